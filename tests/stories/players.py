"""Who plays in a story: which team, and what do its members say?

The team's supervisor is `boss`; it has a `coder`, a reviewer `judge` and an escalation agent
`officer`. Scripts are those of `tests.support.scripts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crews.teams.spec import (
    AgentOversight,
    AgentSpec,
    Duty,
    Limits,
    Match,
    PolicySpec,
    Rule,
    Ruling,
    TaskSpec,
    TeamSpec,
)
from tests.support.reply import Reply, Usage
from tests.support.request import Request, as_object
from tests.support.scripts import (
    Script,
    Step,
    agent_of,
    call,
    last_results,
    reply,
    scripted,
    task_of,
    turn_of,
)

MODEL = "claude-sonnet-5-5"
READING = ("list_files", "read_file", "search", "read_result")
WORKING = (*READING, "write_file", "edit_file", "delete_file", "run_command")


# -- the team -------------------------------------------------------------------------------------


def agent(
    name: str,
    tools: Sequence[str] = (),
    duty: Duty = "worker",
    *,
    llm: str = MODEL,
    max_iter: int = 12,
    max_tokens: int = 1000,
    **oversight: Any,
) -> AgentSpec:
    """An agent; `oversight` are the fields of `AgentOversight`."""
    return AgentSpec(
        name=name,
        role=f"the {name}",
        goal="do it well",
        backstory="You are careful.",
        llm=llm,
        tools=tuple(tools),
        max_iter=max_iter,
        max_tokens=max_tokens,
        oversight=AgentOversight(duty=duty, **oversight),
    )


BOSS = agent("boss", READING, "supervisor")
CODER = agent("coder", WORKING)
JUDGE = agent("judge", READING, "reviewer")
OFFICER = agent("officer", READING, "escalation", max_iter=4)
EVERYBODY = (BOSS, CODER, JUDGE, OFFICER)


def job(name: str = "deliver", description: str = "{goal}", **keys: Any) -> TaskSpec:
    """A task; `keys` are the fields of `TaskSpec`."""
    return TaskSpec(name=name, description=description, expected_output="a report", **keys)


def team(
    *agents: AgentSpec,
    tasks: Sequence[TaskSpec] = (),
    rules: Sequence[Rule] = (),
    folder: Path | None = None,
    **policy: Any,
) -> TeamSpec:
    """A team of these agents in place of those of the same name.

    `policy` are further fields of `PolicySpec`.
    """
    own = {a.name: a for a in (*EVERYBODY, *agents)}
    return TeamSpec(
        name="players",
        folder=folder or Path("nowhere").resolve(),
        agents=tuple(own.values()),
        tasks=tuple(tasks) or (job(),),
        policy=PolicySpec(rules=tuple(rules), **policy),
    )


def rule(name: str, ruling: Ruling, *, at: Any = "now", role: str = "", **when: Any) -> Rule:
    """A rule; `when` are the fields of `Match`, a single value standing for a tuple of one."""
    told: dict[str, Any] = {k: (v,) if isinstance(v, str) else v for k, v in when.items()}
    return Rule(name=name, ruling=ruling, when=Match(**told), at=at, role=role)


def limits(**amounts: Any) -> Limits:
    """Limits of these amounts."""
    return Limits(**amounts)


# -- what its members say -------------------------------------------------------------------------


def played(steps: Mapping[str, Sequence[Step]]) -> Script:
    """Like `scripted`, for one agent in several threads: a key may be `AGENT: WORDS`.

    Such a script is for the agent's threads whose first message holds the words; the key `AGENT`
    alone is for all others. A model that is made to call a tool does so, whatever its script says.
    """

    def answer(request: Request) -> Reply:
        name, task = agent_of(request), task_of(request)
        if forced := forced_tool(request):
            return _yielded(forced, name)
        for key, own in steps.items():
            who, colon, words = key.partition(": ")
            if colon and who == name and words in task:
                return scripted({name: own})(request)
        return scripted(steps)(request)

    return answer


def forced_tool(request: Request) -> str:
    """The tool that the request makes the model call; empty: it may choose."""
    return str(as_object(request.json.get("tool_choice")).get("name", ""))


def _yielded(tool: str, name: str) -> Reply:
    told: dict[str, Any] = {"summary": "I had to stop here, before my work was done."}
    verdict = {"verdict": "reject"} if name == JUDGE.name else {}
    return brief() if tool == "brief" else reply(call(tool, **told, **verdict, confidence=0.1))


def step(
    name: str, who: str = "coder", task: str = "", after: Sequence[str] = ()
) -> dict[str, Any]:
    """A step of a plan."""
    return {
        "id": name,
        "agent": who,
        "task": task or f"do {name}",
        "expected_output": "it is done",
        "depends_on": list(after),
    }


def plan(*steps: dict[str, Any]) -> Reply:
    """The supervisor's plan."""
    return reply(call("plan", steps=list(steps)))


def delegate(*names: str, **more: Any) -> Reply:
    """The supervisor's delegation of these steps, in one turn."""
    return reply(*[call("delegate", step=name, **more) for name in names])


def finish(summary: str = "All is done.", **more: Any) -> Reply:
    """The supervisor's end."""
    return reply(call("finish", **{"summary": summary, "confidence": 0.9, **more}))


def hand_over(summary: str = "It is done.", **more: Any) -> Reply:
    """A worker's end."""
    return reply(call("hand_over", **{"summary": summary, "confidence": 0.9, **more}))


def approve(**more: Any) -> Reply:
    """A reviewer's approval."""
    return hand_over("The change is right.", verdict="approve", **more)


def refuse(why: str = "a.txt: the second line is wrong, it must say two") -> Reply:
    """A reviewer's rejection."""
    return hand_over(why, verdict="reject")


def brief(**more: Any) -> Reply:
    """The escalation agent's end."""
    told = {
        "what": "A file will change.",
        "why": "A rule says so.",
        "risk": "low",
        "recommendation": "Approve it.",
    }
    return reply(call("brief", **told | more))


LOOK = reply(call("list_files"))
CHANGE = step("change")
CHECK = step("check", "judge", after=["change"])


def write(path: str = "a.txt", content: str = "two\n") -> Reply:
    """A worker writes a file."""
    return reply(call("write_file", path=path, content=content))


def delivery(*work: Step, judging: Sequence[Step] = (), **more: Any) -> Script:
    """The plain story: the coder does `work`, the judge approves, the boss finishes.

    Args:
        work: What the coder does before it hands over.
        judging: What the judge does instead of looking and approving.
        more: The last arguments of `finish`.
    """
    return played(
        {
            "boss": [plan(CHANGE, CHECK), delegate("change"), delegate("check"), finish(**more)],
            "coder": [*work, hand_over()],
            "judge": judging or [LOOK, approve()],
            "officer": [brief()],
        }
    )


def worked(*coder: Step) -> Script:
    """The coder works; nothing is delivered."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(deliver=False)],
            "coder": coder,
            "officer": [brief()],
        }
    )


def led(*steps: Step, coder: Sequence[Step] = (), judge: Sequence[Step] = ()) -> Script:
    """What the supervisor does before it finishes; its agents look and hand over."""
    return played(
        {
            "boss": [*steps, finish(deliver=False)],
            "coder": coder or [LOOK, hand_over()],
            "judge": judge or [LOOK, approve()],
            "officer": [brief()],
        }
    )


def hearing(into: list[str], answer: Reply) -> Callable[[Request], Reply]:
    """A step that keeps what its last calls returned."""

    def hear(request: Request) -> Reply:
        into.extend(r.text for r in last_results(request))
        return answer

    return hear


def stubborn(name: str, answers: Sequence[Reply], others: Script) -> Script:
    """One agent that gives its answers even where it is made to call a tool."""

    def answer(request: Request) -> Reply:
        return answers[turn_of(request)] if agent_of(request) == name else others(request)

    return answer


def without(found: TeamSpec, *names: str) -> TeamSpec:
    """The team without these agents."""
    agents = tuple(a for a in found.agents if a.name not in names)
    return found.model_copy(update={"agents": agents})


def walled(scope: str, **amounts: Any) -> TeamSpec:
    """A team with these limits: `limits` of a run, or of each `delegation`."""
    of: dict[str, Any] = {scope: limits(**amounts)}
    return team().model_copy(update={"policy": PolicySpec(**of)})


def round_of(*names: str) -> list[Reply]:
    """One delegation a turn."""
    return [delegate(name) for name in names]


# -- whole scripts -----------------------------------------------------------------------------------

USAGE = Usage(500, 100)
"""What every answer costs where a test counts."""


def priced(script: Script, usage: Usage = USAGE) -> Script:
    """The same model, every answer of the same price."""

    def answer(request: Request) -> Reply:
        found = script(request)
        return Reply(found.blocks, stop_reason=found.stop_reason, usage=usage, delay=found.delay)

    return answer


def looking(turns: int, **more: Any) -> Script:
    """The coder looks around for so many turns, then hands over."""
    return played(
        {
            "boss": [plan(CHANGE), delegate("change"), finish(**more)],
            "coder": [LOOK] * turns + [hand_over()],
        }
    )
