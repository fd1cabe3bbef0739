"""How does a test put a scripted team on a stage, run it in this process, and look at what it left?

with staged(played({"boss": [...], "coder": [...]}), files={"a.txt": "one\n"}) as stage:
    result = stage.run()
    stage.decide("approve")
    result = stage.resume()

The team's supervisor is `boss`; it has a `coder`, a reviewer `judge` and an escalation agent
`officer`. Scripts are those of `tests.support.scripts`.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pydantic import SecretStr

import crews
from crews import Result, Review, Settings
from crews.cli import app
from crews.records import audit, inbox
from crews.records.audit import AuditRow
from crews.records.journal import Journal
from crews.records.rows import CallRow, Decision, RunRow, ThreadRow
from crews.records.runs import get_run, list_runs
from crews.records.store import open_store
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
from tests.support.messages_api import Brain, MessagesServer
from tests.support.reply import Reply
from tests.support.request import Request, as_object
from tests.support.scripts import Script, Step, agent_of, call, reply, scripted, task_of

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
    """A team of these agents in place of those of the same name; `policy` are fields of `PolicySpec`."""
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
    told = {k: (v,) if isinstance(v, str) else v for k, v in when.items()}
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


# -- the stage ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Stage:
    """One scripted model, one folder, and the runs of teams on it."""

    server: MessagesServer
    folder: Path
    team: TeamSpec
    settings: Settings
    runs: list[str] = field(default_factory=list[str])

    def run(self, goal: str = "Make it so", **options: Any) -> Result:
        """Kick the team off on the folder."""
        given: dict[str, Any] = {"team": self.team, "workspace": self.folder} | options
        try:
            result = crews.kickoff(goal, settings=self.settings, **given)
        finally:
            with open_store(self.settings.journal_url) as store:
                self.runs = [r.id for r in list_runs(store)]
        return self._played(result)

    def resume(self, **options: Any) -> Result:
        """Go on with the newest run."""
        return self._played(crews.resume(self.id, **{"settings": self.settings, **options}))

    def _played(self, result: Result) -> Result:
        """The result, if no script failed; a test would misread that as an outage."""
        for review in result.reviews:
            if "the scripted model raised" in review.reason:
                raise AssertionError(review.reason)
        return result

    def decide(self, decision: Decision, kind: str = "", **more: Any) -> Review:
        """Decide the one open review (of that kind)."""
        return self.decide_one(self.open_review(kind).id, decision, **more)

    def decide_one(self, review: str, decision: Decision, **more: Any) -> Review:
        """Decide the review of that id."""
        return crews.decide(review, decision, by="ann", settings=self.settings, **more)

    def go_on(self, decision: Decision, kind: str = "", **more: Any) -> Result:
        """Decide the one open review, and resume."""
        self.decide(decision, kind, **more)
        return self.resume()

    # -- what is there ----------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The newest run."""
        return self.runs[0]

    @property
    def row(self) -> RunRow:
        """The newest run's row."""
        with open_store(self.settings.journal_url) as store:
            return get_run(store, self.id)

    def reviews(self, kind: str = "", state: str | None = None) -> tuple[Review, ...]:
        """Reviews of the newest run, oldest first."""
        with open_store(self.settings.journal_url) as store:
            found = inbox.list_reviews(store, run=self.id, state=state)
        return tuple(r for r in found if kind in {"", r.kind})

    def open_review(self, kind: str = "") -> Review:
        """The one open review (of that kind)."""
        (review,) = self.reviews(kind, "open")
        return review

    def calls(self, tool: str = "", agent: str = "") -> tuple[CallRow, ...]:
        """Calls of the newest run in the journal's order."""
        with open_store(self.settings.journal_url) as store:
            journal = Journal(store, self.id, 0)
            own = {t.path for t in journal.threads() if agent in {"", t.agent}}
            return tuple(c for c in journal.calls() if c.path in own and tool in {"", c.tool})

    def call(self, tool: str, agent: str = "") -> CallRow:
        """The one call of that tool."""
        (found,) = self.calls(tool, agent)
        return found

    def threads(self, agent: str = "") -> tuple[ThreadRow, ...]:
        """Threads of the newest run, oldest first."""
        with open_store(self.settings.journal_url) as store:
            found = Journal(store, self.id, 0).threads()
        return tuple(t for t in found if agent in {"", t.agent})

    def audit(self, kind: str = "") -> tuple[AuditRow, ...]:
        """The audit log of the newest run; the chain holds."""
        with open_store(self.settings.journal_url) as store:
            assert audit.first_break(store) is None
            return tuple(e for e in audit.entries(store, self.id) if kind in {"", e.kind})

    def requests(self, agent: str = "") -> tuple[Request, ...]:
        """Requests that reached the model."""
        return tuple(r for r in self.server.requests if agent in {"", agent_of(r)})

    @property
    def workspace(self) -> Path:
        """The newest run's own copy."""
        return self.settings.run_folder(self.id) / "workspace"

    # -- the command line -------------------------------------------------------------------------

    def shown(self) -> str:
        """What `crews runs show RUN` prints."""
        code, out, _ = self.cli("runs", "show", self.id)
        assert code == 0
        return out

    def cli(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and error output of a `crews` command, run in this process."""
        key = self.settings.api_key
        environment = {
            "ANTHROPIC_BASE_URL": self.server.url,
            "ANTHROPIC_API_KEY": key.get_secret_value() if key else "",
            "COLUMNS": "400",
        }
        out, err = _stream(), _stream()
        with (
            mock.patch.dict(os.environ, environment),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            app.main(arguments)
        return int(ended.value.code or 0), _text(out), _text(err)


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    raw = stream.buffer
    assert isinstance(raw, io.BytesIO)
    return raw.getvalue().decode()


@contextmanager
def staged(
    brain: Brain,
    team: TeamSpec | Callable[[Path], TeamSpec] | None = None,
    files: Mapping[str, str] | None = None,
    *,
    key: str = "a-key",
) -> Generator[Stage]:
    """A stage with a folder of these files in the test's working folder."""
    folder = Path("project").resolve()
    folder.mkdir()
    for path, content in (files or {"a.txt": "one\n"}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    made = team(folder) if callable(team) else team
    with MessagesServer(brain) as server:
        settings = Settings(base_url=server.url, api_key=SecretStr(key))
        yield Stage(server, folder, made or _plain_team(), settings)


def _plain_team() -> TeamSpec:
    return team()


def tree(folder: Path) -> dict[str, str]:
    """Every file beneath a folder and what it holds; links as what they point to."""
    return {
        p.relative_to(folder).as_posix(): str(p.readlink())
        if p.is_symlink()
        else p.read_bytes().decode(errors="replace")
        for p in sorted(folder.rglob("*"))
        if p.is_symlink() or p.is_file()
    }


def occurrences(needle: str, *folders: Path) -> list[Path]:
    """Files that hold the text anywhere: journal, tapes, logs, copies."""
    wanted = needle.encode()
    return [
        p
        for folder in folders
        for p in folder.rglob("*")
        if p.is_file() and not p.is_symlink() and wanted in p.read_bytes()
    ]
