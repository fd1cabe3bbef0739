"""Does the gate rule as it is written, fail closed, and never loosen by accident?"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.action import STRICTNESS, Action, FileChange, Standing, Verdict
from crews.safety.labels import Provenance
from crews.safety.owners import parse
from crews.safety.policy import JUDGE_ERROR, judge
from crews.teams.spec import CONTENT_CATEGORIES, Duty, Effect, Match, PolicySpec, Rule, Ruling
from tests.safety.builders import action, change, policy, rule, standing, write

EFFECTS: tuple[Effect, ...] = get_args(Effect)


@pytest.mark.parametrize(
    ("effect", "level", "sandbox", "ruling"),
    [
        ("read", 2, "", "allow"),
        ("write", 2, "", "allow"),
        ("execute", 2, "bubblewrap", "allow"),
        ("execute", 2, "none", "ask"),
        ("execute", 2, "", "ask"),
        ("network", 2, "bubblewrap", "ask"),
        ("external", 2, "bubblewrap", "ask"),
        ("read", 0, "bubblewrap", "deny"),
        ("read", 1, "bubblewrap", "allow"),
        ("write", 1, "bubblewrap", "deny"),
        ("execute", 1, "bubblewrap", "deny"),
        ("network", 1, "bubblewrap", "deny"),
        ("network", 3, "bubblewrap", "allow"),
        ("execute", 3, "none", "allow"),
        ("external", 3, "bubblewrap", "ask"),
        ("external", 4, "bubblewrap", "ask"),
    ],
)
def test_what_holds_where_no_rule_speaks(
    effect: Effect, level: int, sandbox: str, ruling: Ruling
) -> None:
    asked = action(effect, paths=("a.txt",))

    assert judge(policy(), asked, standing(level, sandbox=sandbox)).ruling == ruling


@pytest.mark.parametrize("level", [3, 4])
@pytest.mark.parametrize("sandbox", ["none", ""])
def test_no_level_runs_a_command_without_a_sandbox_for_an_agent_that_others_may_steer(
    level: int, sandbox: str
) -> None:
    """It could do whatever the user can. A team that wants it all the same says so by a rule."""
    command = action("execute", command="make")
    steered = replace(command, provenance=Provenance("workspace"))
    free = policy(rule("free", "allow", Match(effect=("execute",))))
    at = standing(level, sandbox=sandbox)

    assert judge(policy(), steered, at).ruling == "ask"
    assert judge(policy(), command, at).ruling == "allow"
    assert judge(free, steered, at).ruling == "allow"
    assert judge(policy(), steered, standing(level)).ruling == "allow"


def test_the_strictest_rule_wins_wherever_it_stands() -> None:
    rules = (rule("free", "allow"), rule("careful", "ask"), rule("never", "deny", reason="No."))

    for ordered in (rules, rules[::-1]):
        verdict = judge(policy(*ordered), action("network"), standing())
        assert (verdict.ruling, verdict.rule, verdict.reason) == ("deny", "never", "No.")


def test_an_allow_rule_replaces_only_the_default() -> None:
    free = rule("free", "allow", Match(effect=("network",)))

    assert judge(policy(free), action("network"), standing()).rule == "free"
    both = policy(free, rule("careful", "ask"))
    assert judge(both, action("network"), standing()).rule == "careful"


@pytest.mark.parametrize(
    ("asked", "where", "rule_name"),
    [
        (action(tool="other"), standing(), "not-granted"),
        (write("src/a.py"), standing(write_paths=("docs/**",)), "write-paths"),
        (write("../a.py"), standing(), "write-paths"),
        (write("/etc/passwd"), standing(), "write-paths"),
        (write(".git/config"), standing(), "write-paths"),
        (write("sub/.GIT/hooks/x"), standing(), "write-paths"),
        (write("git~1/config"), standing(), "write-paths"),
        (write(".git\u200b/config"), standing(), "write-paths"),
        (write(".git./config"), standing(), "write-paths"),
        (write("team/policy.yaml"), standing(protected=("team/policy.yaml",)), "write-paths"),
        (write("TEAM/Policy.yaml"), standing(protected=("team/policy.yaml",)), "write-paths"),
        (write("team", None, "x"), standing(protected=("team/policy.yaml",)), "write-paths"),
        (write("team/new.yaml"), standing(protected=("team",)), "write-paths"),
        (action("write"), standing(), "write-paths"),
        (action("network"), standing(observe=True), "observe"),
        (action("external"), standing(observe=True), "observe"),
        (action("execute"), standing(observe=True, sandbox="none"), "observe"),
        (action("read"), standing(0), "autonomy-level"),
        (write("a.py"), standing(1), "autonomy-level"),
    ],
)
def test_no_rule_loosens_what_is_built_in(asked: Action, where: Standing, rule_name: str) -> None:
    verdict = judge(policy(rule("free", "allow")), asked, where)

    assert (verdict.ruling, verdict.rule) == ("deny", rule_name)
    assert verdict.reason.endswith(".")


def test_what_looks_like_git_but_is_not_may_be_written() -> None:
    for path in (".gitignore", ".github/x.yml", "git/config", "src/.gitkeep"):
        assert judge(policy(), write(path), standing()).ruling == "allow"


def test_observing_still_reads_writes_the_copy_and_runs_in_the_sandbox() -> None:
    for asked in (action("read"), write("a.py"), action("execute", command="pytest")):
        assert judge(policy(), asked, standing(observe=True)).ruling == "allow"


@pytest.mark.parametrize(
    "when",
    [
        Match(content=("regex:(",)),
        Match(content=("nonsense",)),
        Match(path=("!",)),
    ],
)
def test_a_rule_that_cannot_be_judged_denies(when: Match) -> None:
    verdict = judge(policy(rule("broken", "allow", when)), write("a.py"), standing())

    assert (verdict.ruling, verdict.rule) == ("deny", JUDGE_ERROR)


def test_a_broken_pattern_denies_only_what_its_rule_is_about() -> None:
    broken = rule("broken", "ask", Match(tool=("other",), content=("regex:(",)))

    assert judge(policy(broken), write("a.py"), standing()).ruling == "allow"


def test_a_level_that_does_not_exist_denies() -> None:
    for level in (-1, 5):
        assert judge(policy(), action(), standing(level)).rule == JUDGE_ERROR


def test_a_question_about_the_copy_waits_for_the_change_set() -> None:
    later = rule("later", "ask", Match(effect=("write", "external")), at="change_set")
    now = rule("now", "ask")

    assert judge(policy(later), write("a.py"), standing()).deferred
    assert not judge(policy(later), action("external"), standing()).deferred
    both = judge(policy(later, now), write("a.py"), standing())
    assert (both.deferred, both.rule) == (False, "now")


def test_a_deferred_question_does_not_hide_the_default_one() -> None:
    later = rule("later", "ask", at="change_set")

    verdict = judge(policy(later), action("execute"), standing(sandbox="none"))

    assert (verdict.ruling, verdict.deferred) == ("ask", False)


def test_every_role_that_an_asking_rule_names_must_agree() -> None:
    rules = (
        rule("dba", "ask", role="dba", at="change_set"),
        rule("sec", "ask", role="security"),
        rule("any", "ask"),
        rule("free", "allow", role="nobody"),
    )

    verdict = judge(policy(*rules), write("a.py"), standing())

    assert (verdict.role, verdict.roles) == ("dba", ("dba", "security"))
    assert verdict.rules == ("sec", "any")


@pytest.mark.parametrize(
    ("when", "asked", "holds"),
    [
        (Match(tool=("fi*",)), action(tool="tool"), False),
        (Match(tool=("to?l",)), action(), True),
        (Match(tool=("too",)), action(), False),
        (Match(agent=("ann",), duty=("worker",)), action(), True),
        (Match(agent=("ann",), duty=("reviewer",)), action(), False),
        (Match(path=("src/**",)), write("src/a/b.py"), True),
        (Match(path=("src/**",)), write("SRC/b.py"), True),
        (Match(path=("src/**",)), write("./x/../src/b.py"), True),
        (Match(path=("src/**",)), write("docs/b.py"), False),
        (Match(path=("src/**",)), action(), False),
        (Match(path=("*.py", "!test_*.py")), write("test_a.py"), False),
        (Match(confidence_below=0.5), action(confidence=0.4), True),
        (Match(confidence_below=0.5), action(confidence=0.5), False),
        (Match(confidence_below=0.5), action(confidence=float("nan")), True),
        (Match(confidence_below=0.5), action(), False),
        (Match(cost_above=Decimal(2)), action(), False),
        (Match(cost_above=Decimal(1)), action(), True),
        (Match(content=("regex:rm -rf",)), action("execute", command="ls; rm -rf /"), True),
        (Match(content=("regex:^DROP",)), action(arguments={"q": "a\nDROP b"}), True),
        (Match(content=("regex:secret_fn",)), write("a.py", "secret_fn()\n"), True),
        (Match(content=("regex:gone",)), write("a.py", "x\n", "gone()\nx\n"), True),
        (Match(content=("regex:kept",)), write("a.py", "kept\ny\n", "kept\nx\n"), False),
        (Match(content=("ci",)), write(".github/workflows/a.yml", "x"), True),
        (Match(content=("auth",)), write("a.py", "check_password(user)\n"), True),
        (Match(content=("auth", "sql")), write("a.py", "x = 1\n"), False),
    ],
)
def test_what_a_restricting_rule_matches(when: Match, asked: Action, holds: bool) -> None:
    where = standing(spent=Decimal(2))

    verdict = judge(policy(rule("it", "deny", when)), asked, where)

    assert (verdict.rule == "it") is holds


@pytest.mark.parametrize(
    ("when", "asked", "holds"),
    [
        (Match(path=("docs/**",)), action("external", paths=("docs/a", "docs/b")), True),
        (Match(path=("docs/**",)), action("external", paths=("docs/a", "src/b")), False),
        (Match(path=("docs/**",)), action("external", paths=("DOCS/a",)), False),
        (Match(path=("docs/**",)), action("external"), False),
        (Match(content=("regex:npm test",)), action("network", command="npm test"), True),
        (Match(content=("regex:npm test",)), action("network", command="npm test; id"), False),
        (Match(content=("regex:npm test",)), action("network", command="npm test\nid"), False),
        (Match(content=("regex:npm .*",)), action("network", command="npm a\nid"), False),
        (Match(content=("network",)), action("network", command="curl x"), True),
        (Match(content=("network",)), action("network", command="sudo curl x"), False),
        (Match(content=("network",)), action("network", command="ls"), False),
    ],
)
def test_a_loosening_rule_must_cover_all_there_is(when: Match, asked: Action, holds: bool) -> None:
    verdict = judge(policy(rule("it", "allow", when)), asked, standing())

    assert (verdict.rule == "it") is holds


def test_text_too_long_to_search_is_taken_to_match_where_it_restricts() -> None:
    big = action("network", arguments={"body": "a" * 1_100_000})
    pattern = Match(content=("regex:zzz",))

    assert judge(policy(rule("it", "deny", pattern)), big, standing()).rule == "it"
    assert judge(policy(rule("it", "allow", pattern)), big, standing()).ruling == "ask"


def test_a_pattern_is_found_across_the_window_of_a_long_line() -> None:
    for start in (0, 1_790, 1_990, 1_999, 2_000, 5_000):
        asked = action("execute", command="a" * start + "needle" + "b" * 3_000)
        assert (
            judge(
                policy(rule("it", "deny", Match(content=("regex:needle",)))), asked, standing()
            ).rule
            == "it"
        )


def test_reading_is_not_sensitive_for_the_words_it_searches() -> None:
    asked = action(arguments={"pattern": "password", "path": "src/auth.py"})

    assert judge(policy(), asked, standing()).findings == ()


def test_at_level_three_a_sensitive_change_still_asks() -> None:
    careful = policy(rule("careful", "ask"))

    assert judge(careful, write("a.py"), standing(3)).ruling == "allow"
    sensitive = judge(careful, write("a.py", "login(password)\n"), standing(3))
    assert sensitive.ruling == "ask"
    assert {finding.category for finding in sensitive.findings} == {"auth"}


globs = st.sampled_from(["**", "src/**", "*.py", "docs/*", ".github/**", "!x.py", "!", "a[", "/"])
names = st.sampled_from(["tool", "other", "t*", "*", "[", ""])
people = st.sampled_from(["ann", "bob", ""])
patterns = st.sampled_from(["regex:a", "regex:(", "regex:^$", "regex:.*", "nonsense"])
categories = st.sampled_from(CONTENT_CATEGORIES)
effects = st.sampled_from(EFFECTS)
duties = st.sampled_from(get_args(Duty))
texts = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.sampled_from(["login(password)\n", "SELECT a\n", "def test_a(): ...\n", "hashlib.md5(x)\n"]),
)
commands = st.sampled_from(["", "pytest -q", "curl x | sh", "npm test", "a\nb"])
paths = st.one_of(
    st.sampled_from(["src/a.py", "docs/x", ".git/x", "../x", "", ".", "a/../b", ".github/x.yml"]),
    st.text(max_size=12),
)


def some(items: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(items, max_size=2).map(tuple)


holders = st.sampled_from(["@org/*", "@ann", "*"])
owning = st.lists(
    st.sampled_from(["* @ann", "/src/ @org/security", "docs/", "[s] @org/x", "!*.py"]), max_size=3
).map(lambda lines: parse("\n".join(lines), "gitlab"))
matches = st.builds(
    Match,
    owners=some(holders),
    tool=some(names),
    effect=st.lists(effects, max_size=2).map(tuple),
    agent=some(people),
    duty=st.lists(duties, max_size=2).map(tuple),
    path=some(globs),
    content=some(st.one_of(categories, patterns)),
    confidence_below=st.one_of(st.none(), st.floats(0, 1)),
    cost_above=st.one_of(st.none(), st.decimals(0, 5, places=2)),
)
rules = st.builds(
    Rule,
    name=st.sampled_from(["r1", "r2", "r3"]),
    when=st.one_of(st.just(Match()), matches),
    ruling=st.sampled_from(get_args(Ruling)),
    at=st.sampled_from(["now", "change_set"]),
    role=st.sampled_from(["", "dba", "security"]),
    chain=st.sampled_from(["", "slow"]),
    four_eyes=st.booleans(),
)
actions = st.builds(
    Action,
    tool=names,
    effect=effects,
    agent=people,
    duty=duties,
    thread=st.just("/"),
    arguments=st.dictionaries(
        st.text(max_size=3),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=9)),
            lambda inner: st.lists(inner, max_size=2),
            max_leaves=4,
        ),
        max_size=2,
    ),
    paths=some(paths),
    changes=st.lists(st.builds(FileChange, paths, texts, texts), max_size=2).map(tuple),
    command=commands,
    confidence=st.one_of(st.none(), st.floats()),
    stated=some(st.one_of(categories, st.text(max_size=5))),
    delegation=st.booleans(),
)
standings = st.builds(
    Standing,
    autonomy=st.integers(-1, 5),
    observe=st.booleans(),
    granted_tools=st.frozensets(names),
    write_paths=some(globs),
    spent=st.one_of(st.decimals(0, 5, places=2), st.just(Decimal("NaN"))),
    sandbox=st.sampled_from(["", "none", "bubblewrap"]),
    owners=owning,
    protected=some(paths),
)


def placed(level: int, sandbox: str) -> Standing:
    return standing(level, sandbox=sandbox, granted=frozenset({"tool", "other"}))


likely = st.builds(placed, st.integers(0, 4), st.sampled_from(["", "none", "bubblewrap"]))


def weight(verdict: Verdict) -> tuple[int, bool]:
    return STRICTNESS[verdict.ruling], not verdict.deferred


DEFAULTS = ("default-execute", "default-network", "default-external")


def check_grows_stricter(have: list[Rule], new: Rule, asked: Action, where: Standing) -> None:
    before = judge(policy(*have), asked, where)
    after = judge(policy(*have, new), asked, where)
    if new.ruling != "allow":
        assert weight(after) >= weight(before)
        if after.ruling == before.ruling:
            assert set(after.roles) >= set(before.roles)
            assert set(after.asking) >= set(before.asking) - set(DEFAULTS)
        return
    # An `allow` may only silence the default: the other rules say at least what they say alone.
    silent = rule("silence-the-default", "allow")
    alone = judge(policy(*have, silent), asked, where)
    assert weight(after) >= weight(alone)


@given(st.lists(rules, max_size=4), rules, actions, st.one_of(standings, likely))
def test_another_rule_never_loosens_a_verdict(
    have: list[Rule], new: Rule, asked: Action, where: Standing
) -> None:
    check_grows_stricter(have, new, asked, where)


@given(st.lists(rules, max_size=4), rules, actions, likely)
def test_another_rule_never_loosens_a_verdict_on_what_is_granted(
    have: list[Rule], new: Rule, asked: Action, where: Standing
) -> None:
    granted = replace(where, granted_tools=frozenset({asked.tool}))
    check_grows_stricter(have, new, replace(asked, paths=("src/a.py",), changes=()), granted)


@given(st.lists(rules, max_size=5), actions, st.one_of(standings, likely))
def test_the_order_of_rules_changes_no_ruling(
    have: list[Rule], asked: Action, where: Standing
) -> None:
    verdict = judge(policy(*have), asked, where)
    again = judge(policy(*have[::-1]), asked, where)

    assert (verdict.ruling, verdict.deferred) == (again.ruling, again.deferred)
    assert set(verdict.roles) == set(again.roles)


@given(st.lists(rules, max_size=5), actions, st.one_of(standings, likely))
def test_a_matching_deny_wins_and_nothing_is_ever_raised(
    have: list[Rule], asked: Action, where: Standing
) -> None:
    everything = PolicySpec(rules=(*have, rule("never", "deny")))

    assert judge(everything, asked, where).ruling == "deny"
    assert judge(PolicySpec(rules=tuple(have)), asked, where).ruling in STRICTNESS


def test_a_value_of_the_wrong_kind_is_refused_and_not_raised() -> None:
    odd = replace(action("write"), changes=(change("a", None, "b"), None))  # pyright: ignore[reportArgumentType]

    assert judge(policy(), odd, standing()).ruling == "deny"


@given(
    st.lists(rules, max_size=4),
    actions,
    st.one_of(standings, likely),
    some(st.one_of(categories, st.text(max_size=9))),
    st.floats(0, 1),
)
def test_nothing_that_an_agent_states_of_its_work_loosens_a_verdict(
    have: list[Rule], asked: Action, where: Standing, words: tuple[str, ...], sure: float
) -> None:
    silent = replace(asked, stated=(), confidence=None)
    before = judge(policy(*have), silent, where)
    for told in (
        replace(silent, stated=words),
        replace(silent, confidence=sure),
        replace(silent, stated=words, confidence=sure),
    ):
        after = judge(policy(*have), told, where)

        assert weight(after) >= weight(before)
        assert after.rule == JUDGE_ERROR or set(before.findings) <= set(after.findings)


def test_what_an_agent_states_is_a_finding_and_opens_nothing() -> None:
    asks = policy(rule("auth", "ask", Match(content=("auth",))))
    opens = policy(rule("net", "allow", Match(content=("network",))))
    sure = policy(rule("unsure", "ask", Match(confidence_below=0.5)))
    told = replace(write("a.py"), stated=("auth", "the moon"))

    verdict = judge(asks, told, standing())

    assert verdict.rule == "auth"
    assert [(f.category, f.stated) for f in verdict.findings] == [("auth", True), ("stated", True)]
    assert judge(opens, action("network", command="ls"), standing()).ruling == "ask"
    assert judge(opens, replace(action("network"), stated=("network",)), standing()).ruling == "ask"
    (low,) = judge(sure, action(confidence=0.4), standing()).findings
    assert (low.category, low.detail) == ("stated", "stated: the agent is 40% sure, below 50%")
