"""Does every mistake in a team's files come back with its file, line, column and what to do?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from crews.errors import TeamError
from crews.teams.loader import check_team, load_team
from tests.teams.builders import AGENTS, POLICY, TASKS, Write

TOOLS = frozenset({"look", "touch"})
A, T, P = "agents.yaml", "tasks.yaml", "policy.yaml"


@dataclass(frozen=True, slots=True)
class Bad:
    """A change to one file of a right team, and the error that must come of it."""

    file: str
    old: str
    new: str
    line: int
    column: int
    message: str
    help: str = ""
    others: int = 0
    """Further errors that follow from the same mistake."""


CHAIN = """\
chains:
  security:
    - {role: on_call, within: 4h30m, remind: 1h}
    - {role: lead, within: 2d}
"""
BOMB = "\n".join(
    ["x-0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 40)]
)
CHAINED = f"{POLICY}    chain: security\n{CHAIN}"
TEXTS = {A: AGENTS, T: TASKS, P: POLICY}

MALFORMED = {
    "unknown agent key": Bad(
        A, "  tools: [look]", "  alow_delegation: true\n  tools: [look]", 5, 3,
        "unknown key 'alow_delegation'", "did you mean 'allow_delegation'?"),
    "unknown task key": Bad(
        T, "  agent: worker", "  human_imput: true\n  agent: worker", 7, 3,
        "unknown key 'human_imput'", "did you mean 'human_input'?"),
    "unknown policy key": Bad(P, "autonomy: 2", "autonmy: 2", 1, 1, "unknown key", "'autonomy'"),
    "unknown rule key": Bad(P, "    ruling: ask", "    ruling: ask\n    raeson: x", 6, 5,
                            "unknown key 'raeson'", "'reason'"),
    "unknown limit": Bad(P, "autonomy: 2", "limits: {mony: 2}", 1, 10, "unknown key 'mony'", "money"),
    "our key outside oversight": Bad(A, "  oversight: {duty: supervisor}", "  duty: supervisor",
                                     6, 3, "unknown key 'duty'", "under `oversight:`", others=1),
    "duplicate key": Bad(A, "  goal: Do it", "  goal: Do it\n  goal: Twice", 10, 3,
                         "key 'goal' is given twice", "line 9"),
    "duplicate agent": Bad(A, "worker:", "lead:", 7, 1, "key 'lead' is given twice", "line 1",
                           others=1),
    "text is a flag": Bad(A, "role: Lead", "role: yes", 2, 9, "YAML reads yes as true", "'yes'"),
    "text is a number": Bad(A, "role: Lead", "role: 012", 2, 9, "YAML reads 012 as 10", "'012'"),
    "text is base 60": Bad(A, "role: Lead", "role: 1:30", 2, 9, "YAML reads 1:30 as 90", "'1:30'"),
    "text is a date": Bad(A, "role: Lead", "role: 2024-05-01", 2, 9, "as a date", "'2024-05-01'"),
    "text is a mapping": Bad(A, "role: Lead", "role: {topic}", 2, 9, "not a mapping", "quote it"),
    "text is a list": Bad(A, "role: Lead", "role: [Lead]", 2, 9, "must be text, not a list"),
    "text is empty": Bad(A, "role: Lead", "role: ''", 2, 9, "'role' is empty"),
    "no value": Bad(A, "role: Lead", "role:", 2, 3, "'role' has no value"),
    "key is a flag": Bad(A, "worker:", "on:", 7, 1, "YAML reads on as true", "'on'", others=1),
    "key is a list": Bad(A, "role: Lead", "? [role]\n  : Lead", 2, 5, "a key must be text", others=1),
    "flag is text": Bad(T, "  agent: worker", "  human_input: maybe\n  agent: worker", 7, 16,
                        "must be true or false"),
    "flag without value": Bad(T, "  agent: worker", "  human_input:\n  agent: worker", 7, 3,
                              "'human_input' has no value"),
    "number is text": Bad(A, "  tools: [look]", "  max_iter: many", 5, 13,
                          "must be a whole number, not 'many'"),
    "number too small": Bad(A, "  tools: [look]", "  max_iter: 0", 5, 13, "at least 1, not 0"),
    "number is octal": Bad(A, "  tools: [look]", "  max_iter: 012", 5, 13, "reads 012 as 10", "10"),
    "number is a flag": Bad(A, "  tools: [look]", "  max_iter: on", 5, 13, "a whole number, not 'on'"),
    "number too large": Bad(P, "effect: write", "confidence_below: 7", 4, 30, "at most 1, not 7"),
    "money is free": Bad(P, "autonomy: 2", "limits: {money: 0}", 1, 17, "must be above 0"),
    "time is base 60": Bad(P, "autonomy: 2", "limits: {wall: 1:30}", 1, 16, "must be a time", "1h30m"),
    "time is words": Bad(P, "autonomy: 2", "limits: {wall: an hour}", 1, 16, "must be a time"),
    "level": Bad(P, "autonomy: 2", "autonomy: 5", 1, 11, "must be from 0 to 4, not 5"),
    "level's name": Bad(P, "autonomy: 2", "autonomy: superviced", 1, 11, "must be a level",
                        "did you mean 'supervised'?"),
    "missing agent key": Bad(A, "  backstory: Has led before\n", "", 1, 1,
                             "key 'backstory' is missing"),
    "missing task key": Bad(T, "  expected_output: A note\n", "", 1, 1,
                            "key 'expected_output' is missing"),
    "missing ruling": Bad(P, "    ruling: ask\n", "", 3, 5, "key 'ruling' is missing"),
    "agent is text": Bad(A, AGENTS[AGENTS.index("worker:"):], "worker: x\n", 7, 9,
                         "'worker' must be a mapping of keys, not text"),
    "agent's name": Bad(A, "worker:", "my worker:", 7, 1, "cannot be a name", others=1),
    "unknown duty": Bad(A, "duty: supervisor", "duty: supervizor", 6, 21,
                        "'supervizor' is no duty", "did you mean 'supervisor'?"),
    "no supervisor": Bad(A, "  oversight: {duty: supervisor}\n", "", 1, 1,
                         "task 'first' has no agent", "duty: supervisor"),
    "two supervisors": Bad(A, "[look, touch]", "[look]\n  oversight:\n    duty: supervisor", 13, 11,
                           "a second agent has the duty 'supervisor'", "'lead' has it"),
    "unknown tool": Bad(A, "[look, touch]", "[look, tuoch]", 11, 17, "unknown tool 'tuoch'", "'touch'"),
    "unknown agent": Bad(T, "agent: worker", "agent: wroker", 7, 10, "unknown agent 'wroker'",
                         "did you mean 'worker'?"),
    "unknown task": Bad(T, "context: [first]", "context: [frist]", 8, 13, "unknown task 'frist'",
                        "did you mean 'first'?"),
    "task waits for itself": Bad(T, "context: [first]", "context: [second]", 8, 13,
                                 "second -> second"),
    "circle of tasks": Bad(T, "  expected_output: A note", "  expected_output: x\n  context: second",
                           4, 12, "first -> second -> first"),
    "tool nobody has": Bad(T, "  agent: worker", "  tools: 'mod:Tool'\n  agent: worker", 7, 10,
                           "granted to no agent"),
    "async": Bad(T, "  agent: worker", "  async_execution: true\n  agent: worker", 7, 3,
                 "'async_execution' cannot be set here", "remove it"),
    "past the gate": Bad(A, "  tools: [look]", "  mcps: ['https://x']", 5, 3, "past the gate"),
    "runtime key": Bad(A, "  tools: [look]", "  crew: x", 5, 3, "CrewAI sets it"),
    "output leaves": Bad(T, "  agent: worker", "  output_file: ../x.md\n  agent: worker", 7, 16,
                         "must not hold '..'"),
    "output is absolute": Bad(T, "  agent: worker", "  output_file: /x.md\n  agent: worker", 7, 16,
                              "inside the workspace"),
    "unknown effect": Bad(P, "effect: write", "effect: [read, wrote]", 4, 27, "'wrote' is no effect",
                          "'write'"),
    "unknown ruling": Bad(P, "ruling: ask", "ruling: block", 5, 13, "'block' is no ruling", "allow"),
    "unknown category": Bad(P, "effect: write", "content: crypt", 4, 21,
                            "unknown content category 'crypt'", "did you mean 'crypto'?"),
    "bad regex": Bad(P, "effect: write", "content: 'regex:a(b'", 4, 21, "no regular expression"),
    "bad glob": Bad(P, "effect: write", "path: '[z-a]'", 4, 18, "'[z-a]' is no path glob"),
    "open bracket in a glob": Bad(P, "effect: write", "path: [src/**, '[']", 4, 27,
                                  "'[' is no path glob: '[' is not closed", ".gitignore"),
    "class without members": Bad(P, "effect: write", "path: 'a[!]'", 4, 18, "is not closed"),
    "ambiguous glob": Bad(P, "effect: write", "path: '[[]'", 4, 18, "'[[]' is no path glob"),
    "glob of an agent": Bad(A, "duty: supervisor", "duty: supervisor, write_paths: 'src/['", 6, 46,
                            "'src/[' is no path glob"),
    "nothing to match": Bad(P, "effect: write", "tool: []", 4, 18, "'tool' is an empty list",
                            "remove the key"),
    "flag without effect is text": Bad(A, "  tools: [look]", "  allow_delegation: yes please", 5, 21,
                                       "'allow_delegation' must be true or false", "write true or"),
    "number without effect is text": Bad(A, "  tools: [look]", "  max_rpm: many", 5, 12,
                                         "must be a whole number, not 'many'"),
    "deprecated flag is text": Bad(A, "  tools: [look]", "  multimodal: maybe", 5, 15,
                                   "must be true or false"),
    "flag of crewai is text": Bad(A, "  tools: [look]", "  inject_date: perhaps", 5, 16,
                                  "must be true or false"),
    "time without end": Bad(P, "autonomy: 2", "limits: {wall: 36501d}", 1, 16, "at most 36500d"),
    "unknown chain": Bad(P, "    ruling: ask", "    ruling: ask\n    chain: secruity\n" + CHAIN, 6, 12,
                         "unknown chain 'secruity'", "did you mean 'security'?"),
    "no chains": Bad(P, "    ruling: ask", "    ruling: ask\n    chain: boss", 6, 12,
                     "unknown chain 'boss'", "there is no chain"),
    "chain is a flag": Bad(P, "    ruling: ask", "    ruling: ask\n    chain: on", 6, 12,
                           "'chain' must be text", "'on'"),
    "four eyes are text": Bad(P, "    ruling: ask", "    ruling: ask\n    four_eyes: two", 6, 16,
                              "'four_eyes' must be true or false"),
    "chains are a list": Bad(P, POLICY, CHAINED.replace("  security:", "  - security:"), 8, 3,
                             "must be a mapping from names to lists, not a list"),
    "chain is a mapping": Bad(P, "autonomy: 2", "chains: {default: {within: 5}}", 1, 19,
                              "'default' must be a list, not a mapping", "'- '"),
    "chain without stages": Bad(P, POLICY, POLICY + "    chain: boss\nchains: {boss: []}\n", 7, 16,
                                "'boss' is empty", "role, within, remind"),
    "chain without value": Bad(P, POLICY, POLICY + "    chain: boss\nchains:\n  boss:\n", 8, 3,
                               "'boss' is empty", "role, within, remind"),
    "chain's name": Bad(P, "autonomy: 2", "chains: {a b: [{within: 5}]}", 1, 10, "cannot be a name"),
    "stage is text": Bad(P, "autonomy: 2", "chains: {default: [boss]}", 1, 20,
                         "each of 'default' must be a mapping, not text", "known keys: role"),
    "unknown stage key": Bad(P, POLICY, CHAINED.replace("role: lead", "rol: lead"), 10, 8,
                             "unknown key 'rol'", "did you mean 'role'?"),
    "stage without time": Bad(P, POLICY, CHAINED.replace(", within: 2d", ""), 10, 7,
                              "key 'within' is missing", "`within: ...`"),
    "stage of no time": Bad(P, POLICY, CHAINED.replace("2d", "0"), 10, 28,
                            "'within' must be above 0", "1h30m"),
    "stage before now": Bad(P, POLICY, CHAINED.replace("2d", "-5"), 10, 28, "'within' must be above 0"),
    "stage without unit": Bad(P, POLICY, CHAINED.replace("2d", "2 days"), 10, 28,
                              "'within' must be a time, not '2 days'"),
    "daily is a number": Bad(P, "autonomy: 2", "daily: 20", 1, 8, "'daily' must be a mapping", "money"),
    "daily money is free": Bad(P, "autonomy: 2", "daily: {money: 0}", 1, 16, "must be above 0"),
    "unknown daily limit": Bad(P, "autonomy: 2", "daily: {mony: 2}", 1, 9, "unknown key 'mony'", "money"),
    "nobody at work": Bad(P, "autonomy: 2", "queue: {concurrency: 0}", 1, 22, "at least 1, not 0"),
    "half a start": Bad(P, "autonomy: 2", "queue: {starts: 0.5}", 1, 17, "a whole number"),
    "per what": Bad(P, "autonomy: 2", "queue: {per: 1m}", 1, 9, "'per' says nothing without 'starts'",
                    "starts: ..."),
    "never first": Bad(P, "autonomy: 2", "queue: {priority: 1001}", 1, 19, "at most 1000, not 1001"),
    "unknown queue key": Bad(P, "autonomy: 2", "queue: {concurency: 2}", 1, 9, "unknown key",
                             "did you mean 'concurrency'?"),
    "rule of an unknown agent": Bad(P, "effect: write", "agent: wroker", 4, 19, "unknown agent"),
    "two rules of one name": Bad(P, "    ruling: ask", "    ruling: ask\n  - {name: careful, ruling: ask}",
                                 6, 12, "a second rule is named 'careful'", "line 3"),
    "rules are a mapping": Bad(P, POLICY, "rules: {a: b}\n", 1, 8, "must be a list, not a mapping"),
    "not a mapping": Bad(A, AGENTS, "- lead\n- worker\n", 1, 1, "must be a mapping", "name"),
    "empty file": Bad(T, TASKS, "# nothing yet\n", 1, 1, "the file is empty"),
    "tab": Bad(A, "  goal: Do it", "\tgoal: Do it", 9, 1, "a tab stands", "indent with spaces"),
    "colon in text": Bad(A, "goal: Do it", "goal: Do it: now", 9, 14, "not YAML", "quote"),
    "open quote": Bad(A, "role: Worker", "role: 'Worker", 8, 9, "not YAML", "close the quote"),
    "open bracket": Bad(A, "[look, touch]", "[look,", 11, 10, "not YAML", "close the bracket"),
    "braces first": Bad(A, "role: Worker", "role: {goal} expert", 8, 16, "not YAML", "quote"),
    "no anchor": Bad(A, "tools: [look]", "tools: *looking", 5, 10, "alias '*looking' has no anchor"),
    "alias of itself": Bad(A, "tools: [look]", "tools: &t [*t]", 5, 14, "inside what it names"),
    "strange tag": Bad(A, "role: Lead", "role: !!python/name:os.system x", 2, 9, "not supported"),
    "second document": Bad(A, "worker:", "---\nworker:", 7, 1, "a second YAML document"),
    "control character": Bad(A, "role: Lead", "role: L\x07ead", 2, 10, "control character"),
    "unstorable": Bad(A, "role: Lead", 'role: "L\\0ead"', 2, 9, "cannot be stored"),
    "alias bomb": Bad(A, AGENTS, BOMB, 5, 11, "more than 20000 values"),
    "too deep": Bad(A, "[look, touch]", "[" * 60 + "]" * 60, 11, 48, "nested more than"),
}  # fmt: skip


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_mistake_has_a_place_and_a_way_out(bad: Bad, write: Write) -> None:
    text = TEXTS[bad.file]
    assert text.count(bad.old) >= 1
    changed = text.replace(bad.old, bad.new, 1)
    folder = write(**{bad.file.removesuffix(".yaml"): changed})
    with pytest.raises(TeamError) as caught:
        load_team(folder, known_tools=TOOLS)
    problems = check_team(folder, known_tools=TOOLS)
    errors = [p for p in problems if p.severity == "error"]
    assert tuple(errors) == caught.value.problems
    found = next(p for p in errors if bad.message in p.message)
    where = T if bad.message.startswith("task 'first'") else bad.file
    assert (found.file, found.line, found.column) == (str(folder / where), bad.line, bad.column)
    assert bad.help in found.suggestion
    assert len(errors) == 1 + bad.others, [p.render() for p in errors]
    assert found.render() in str(caught.value)


def test_all_mistakes_of_all_files_come_at_once(write: Write) -> None:
    folder = write(
        AGENTS.replace("role: Lead", "rol: Lead"),
        TASKS.replace("agent: worker", "agent: nobody"),
        POLICY.replace("ask", "maybe"),
    )
    errors = [p.message for p in check_team(folder, known_tools=TOOLS)]
    assert errors == [
        "key 'role' is missing",
        "unknown key 'rol'",
        "unknown agent 'nobody'",
        "'maybe' is no ruling",
    ]


def test_a_broken_file_does_not_blame_the_others(write: Write) -> None:
    problems = check_team(write(agents="lead: ["), known_tools=TOOLS)
    assert [Path(p.file).name for p in problems] == [A]


def test_missing_files(tmp_path: Path) -> None:
    problems = check_team(tmp_path, known_tools=TOOLS)
    assert [(Path(p.file).name, p.message) for p in problems] == [
        (A, "there is no agents.yaml"),
        (T, "there is no tasks.yaml"),
    ]


def test_a_policy_that_cannot_be_read_is_not_an_absent_one(write: Write) -> None:
    folder = write()
    (folder / P).unlink()
    (folder / P).symlink_to(folder / "nowhere.yaml")
    assert [p.message for p in check_team(folder, known_tools=TOOLS)] == ["there is no policy.yaml"]
    (folder / P).unlink()
    (folder / "policy.yml").write_text("autonomy: 0\n", encoding="utf-8")
    (only,) = check_team(folder, known_tools=TOOLS)
    assert only.suggestion == "rename policy.yml to policy.yaml"


WARNED = {
    "no effect": (A, "  tools: [look]", "  max_retry_limit: 5", 5, 3, "has no effect here, because"),
    "deprecated": (A, "  tools: [look]", "  multimodal: false", 5, 3, "is deprecated"),
    "optional key without value": (A, "  tools: [look]", "  llm:", 5, 3, "'llm' has no value"),
    "lazy flag": (T, "  agent: worker", "  human_input: yes\n  agent: worker", 7, 16, "yes as true"),
    "quoted flag": (T, "  agent: worker", "  human_input: 'no'\n  agent: worker", 7, 16, "as false"),
    "quoted number": (A, "  tools: [look]", "  max_iter: '7'", 5, 13, "it is read as 7"),
    "allows all": (P, "    when: {effect: write}\n    ruling: ask", "    ruling: allow", 4, 13,
                   "allows every action"),
    "allows the unsure": (P, "effect: write}\n    ruling: ask", "confidence_below: 0.5}\n    ruling: allow",
                          4, 12, "this rule never holds"),
    "tool glob": (P, "effect: write", "tool: tuch", 4, 18, "matches no tool"),
    "level above the team's": (A, "duty: supervisor", "duty: supervisor, autonomy: team", 6, 43,
                               "no effect: the team's level is 2"),
    "allows all, with an empty match": (P, "when: {effect: write}\n    ruling: ask",
                                        "when: {}\n    ruling: allow", 5, 13, "allows every action"),
    "flag without effect": (A, "  tools: [look]", "  allow_delegation: true", 5, 3, "has no effect"),
    "chain of a denial": (P, POLICY, CHAINED.replace("ask", "deny"), 6, 5, "'chain' has no effect"),
    "chain of a permission": (P, POLICY, CHAINED.replace("ask", "allow"), 6, 5, "'chain' has no effect"),
    "four eyes of a denial": (P, "ruling: ask", "ruling: deny\n    four_eyes: true", 6, 5,
                              "'four_eyes' has no effect"),
    "role beside a chain": (P, POLICY, CHAINED.replace("ruling: ask", "ruling: ask\n    role: boss"), 6, 5,
                            "the chain 'security' begins with 'on_call'"),
    "role beside the default": (P, POLICY, POLICY + "    role: boss\nchains: {default: [{role: a, within: 5}]}\n",
                                6, 5, "the chain 'default' begins with 'a'"),
    "late reminder": (P, POLICY, CHAINED.replace("remind: 1h", "remind: 5h"), 9, 46,
                      "'remind' is not shorter than 'within'"),
    "chain of nobody": (P, POLICY, POLICY + CHAIN, 7, 3, "no rule names the chain 'security'"),
    "role of a denial": (P, "ruling: ask", "ruling: deny\n    role: boss", 6, 5, "has no effect"),
}  # fmt: skip


@pytest.mark.parametrize("case", WARNED.values(), ids=WARNED.keys())
def test_what_loads_and_is_not_meant_so_is_warned_of(
    case: tuple[str, str, str, int, int, str], write: Write
) -> None:
    file, old, new, line, column, message = case
    folder = write(**{file.removesuffix(".yaml"): TEXTS[file].replace(old, new, 1)})
    load_team(folder, known_tools=TOOLS)
    (only,) = check_team(folder, known_tools=TOOLS)
    assert (only.severity, Path(only.file).name) == ("warning", file)
    assert (only.line, only.column) == (line, column)
    assert message in only.message
