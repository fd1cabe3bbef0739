"""How is a team started, resumed, decided on and its work taken over? The one way in for every face."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from crews import settings as settings_module
from crews.advancing import advance, changes, outcome
from crews.answering import identified, waking
from crews.bridge import wait
from crews.errors import CrewsError, Denied, UsageError
from crews.logs import hush
from crews.outcome import Answer, Asker, Kickoff, Result, Usage
from crews.records import inbox
from crews.records.events import Listener, silent
from crews.records.owner import home_id, this_process
from crews.records.questions import Decision, ReviewRow
from crews.records.rows import RunOptions, RunRow
from crews.records.runs import fail_run, get_run, new_id, new_run
from crews.records.sealing import open_journal
from crews.records.store import Store
from crews.safety.autonomy import LEVELS
from crews.safety.own_secrets import redactor_for
from crews.settings import Settings
from crews.teams.spec import TeamSpec
from crews.tools.changeset import ChangeSet

__all__ = [
    "Answer",
    "Asker",
    "Kickoff",
    "Result",
    "Usage",
    "advance",
    "akickoff",
    "apply",
    "aresume",
    "changes",
    "create",
    "decide",
    "kickoff",
    "load_team",
    "outcome",
    "resume",
    "undo",
    "who",
]


def load_team(folder: Path | str | None = None) -> TeamSpec:
    """Read a team's YAML files.

    Args:
        folder: The team's folder. Default: `./config` if it is a team, else the bundled one.

    Raises:
        TeamError: what is wrong in its files, all problems at once.
        UsageError: there is no team there.
    """
    from crews.teams import loader
    from crews.tools.registry import TOOL_NAMES

    return loader.load_team(loader.find_team(folder, Path.cwd()), known_tools=TOOL_NAMES)


def create(
    request: Kickoff,
    store: Store,
    settings: Settings,
    *,
    owner: str = "",
    origin: str = "",
    by: str = "",
    as_id: str = "",
) -> RunRow:
    """Write down a new run and copy its workspace; nobody works on it yet.

    Args:
        request: What is asked for.
        store: The journal.
        settings: The process's settings.
        owner: Process that will work on it at once; empty: whoever takes it from the queue.
        origin: What made it, if not a person.
        by: In whose name; empty: whoever this process is run by.
        as_id: The new run's id; empty: any.

    Returns:
        The run; the one that has the request's submission key already, if there is one, as it stands.

    Raises:
        TeamError: the team's files are wrong, or an input is missing.
        WorkspaceError: the folder cannot be copied.
    """
    from crews.teams.loader import fill
    from crews.tools.copying import make_workspace

    if not request.goal.strip():
        raise UsageError("the goal is empty", hint='say what is to be done: crews run "..."')
    team = request.team
    if not isinstance(team, TeamSpec):
        team = load_team(team)
    known = redactor_for(settings, os.environ).known
    inputs = {k: known(v) for k, v in {**(request.inputs or {}), "goal": request.goal}.items()}
    team = fill(team, inputs)
    source = None if request.workspace is None else Path(request.workspace).resolve()
    if source is not None and source.is_relative_to(settings.home.resolve()):
        raise UsageError("crews keeps its own journal and runs here", where=str(source),
                         hint="give another folder as the workspace")  # fmt: skip
    _check_answers(request, settings)
    as_id = as_id or new_id()
    autonomy = team.policy.autonomy if request.autonomy is None else request.autonomy
    if autonomy not in range(len(LEVELS)):
        raise UsageError(f"there is no autonomy level {autonomy}", hint="levels are 0 to 4")
    options = RunOptions(
        autonomy=autonomy,
        observe=request.observe,
        apply=request.apply and not request.observe,
        source=None if source is None else str(source),
        tape=str(Path(request.tape).resolve()) if request.tape else "",
        record=str(Path(request.record).resolve()) if request.record else "",
        sandbox=request.sandbox or team.policy.sandbox,
        started_by=by or who(settings, store),
        model=request.model,
        priority=request.priority,
    )
    run = new_run(
        store,
        goal=inputs["goal"],
        inputs=inputs,
        team=team,
        options=options,
        home=home_id(settings.home),
        origin=origin,
        submission=request.submission,
        owner=owner,
        as_id=as_id,
    )
    if (
        run.id != as_id
    ):  # this submission was made before; whoever made it, or a worker, sees to its files
        return run
    try:
        make_workspace(source, settings.run_folder(run.id), team.policy.workspace_limit_mb)
    except CrewsError as error:
        fail_run(store, run.id, error.what, error.exit_code)
        raise
    return run


def _check_answers(request: Kickoff, settings: Settings) -> None:
    """Refuse a run that nobody could answer before anything of it is kept."""
    from crews.records.tape import load_tape
    from crews.runtime.claude import ModelSource

    if request.tape:
        load_tape(Path(request.tape))
    else:
        ModelSource(settings).check()


def kickoff(
    goal: str,
    *,
    team: Path | str | TeamSpec | None = None,
    workspace: Path | str | None = None,
    inputs: Mapping[str, str] | None = None,
    on_event: Listener = silent,
    ask: Asker | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Result:
    """Run a team on a goal until it ends or waits for a human.

    Args:
        goal: What is to be done, in plain words.
        team: A folder with `agents.yaml` and `tasks.yaml`, or a loaded team. Default: `./config` if it
            is a team, else the bundled one.
        workspace: The folder to work on. It is copied; it changes only by an approved change set.
        inputs: Values of the `{placeholders}` in the team's YAML.
        on_event: Called with each `Event`, from the thread that runs the team.
        ask: Called with each review; returns an `Answer`, or None to leave the run waiting.
        settings: Default: `settings.load()`.
        **options: `autonomy`, `observe`, `apply`, `tape`, `record`, `sandbox`, `model`: see `Kickoff`.

    Returns:
        The result; `status` is `waiting` if a human must decide first (`decide`, then `resume`).

    Raises:
        CrewsError: what a user can understand and act on; see `crews.errors`.
    """
    return wait(
        akickoff(
            goal, team=team, workspace=workspace, inputs=inputs, on_event=on_event, ask=ask,
            settings=settings, **options,
        )
    )  # fmt: skip


async def akickoff(
    goal: str,
    *,
    team: Path | str | TeamSpec | None = None,
    workspace: Path | str | None = None,
    inputs: Mapping[str, str] | None = None,
    on_event: Listener = silent,
    ask: Asker | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> Result:
    """Like `kickoff`, inside a running event loop."""
    hush()
    settings = settings or settings_module.load()
    request = Kickoff(goal, team, workspace, inputs, **options)
    with open_journal(settings) as store:
        run = await asyncio.to_thread(create, request, store, settings, owner=this_process())
        return await advance(run.id, store, settings, on_event=on_event, ask=ask)


def resume(
    run: str,
    *,
    on_event: Listener = silent,
    ask: Asker | None = None,
    settings: Settings | None = None,
) -> Result:
    """Go on with a run at the exact call where it stopped."""
    return wait(aresume(run, on_event=on_event, ask=ask, settings=settings))


async def aresume(
    run: str,
    *,
    on_event: Listener = silent,
    ask: Asker | None = None,
    settings: Settings | None = None,
) -> Result:
    """Like `resume`, inside a running event loop."""
    hush()
    settings = settings or settings_module.load()
    with open_journal(settings) as store:
        return await advance(run, store, settings, on_event=on_event, ask=ask)


def decide(
    review: str,
    decision: Decision,
    *,
    reason: str = "",
    edit: dict[str, Any] | None = None,
    by: str = "",
    content_hash: str | None = None,
    scope: Literal["", "run"] = "",
    only: bool = False,
    settings: Settings | None = None,
) -> ReviewRow:
    """Decide a review; `resume` the run afterwards. See `records.deciding.decide`.

    Args:
        review: The review's id.
        decision: One of the review's `choices`.
        reason: The reason of a rejection, or the answer to a question.
        edit: What is to be done instead.
        by: A name to go by where the journal knows no users; with users, nobody's but one's own.
        content_hash: Hash of what the human was shown.
        scope: `run`: the approval holds for this tool under these rules in all of this run, whatever its arguments.
        only: Decide this call alone, not the others that wait for the very same one.
        settings: Default: `settings.load()`; its `token` says who decides where there are users.

    Raises:
        UsageError: unknown or decided review, a decision that it does not take, a missing reason.
        Denied: this person may not decide it.
    """
    from crews.notify import teller

    settings = settings or settings_module.load()
    with open_journal(settings) as store:
        me = identified(store, settings, by=by, about=f"{decision} {review}")
        redactor = redactor_for(settings, os.environ)
        with waking(store, settings) as wake:
            return inbox.decide(
                store,
                review,
                decision,
                by=me,
                answer=redactor.known(reason),
                edit=edit and cast("dict[str, Any]", redactor.known_json(edit)),
                content_hash=content_hash,
                scope=scope,
                only=only,
                wake=wake,
                tell=teller(settings),
            )


def apply(run: str, store: Store, settings: Settings) -> ChangeSet:
    """Apply a run's approved change set to the user's folder.

    Raises:
        Denied: nobody approved these changes, or the journal knows users and this is none of them.
        WorkspaceError: the user's files have changed since the run copied them.
    """
    from crews.runtime.delivery import deliver

    row = get_run(store, run)
    if row.status == "running":
        raise UsageError(f"run `{run}` is still running", hint=f"`crews stop {run}` ends it")
    if row.asked.observe:
        raise Denied(f"run `{run}` was for observation only: its changes are never applied",
                     hint=f"`crews diff {run}` prints them as a patch")  # fmt: skip
    return deliver(store, settings, row, by=who(settings, store))


def undo(run: str, store: Store, settings: Settings) -> tuple[str, ...]:
    """Take an applied change set back; returns the paths that were restored.

    Raises:
        Denied: the journal knows users and this is none of them.
        WorkspaceError: the user's files have changed since.
    """
    from crews.runtime.delivery import take_back

    return take_back(store, settings, get_run(store, run), by=who(settings, store))


def who(settings: Settings, store: Store) -> str:
    """Name under which what this process does is kept.

    Raises:
        Denied: the journal knows users, and this is none of them.
    """
    return identified(store, settings).name
