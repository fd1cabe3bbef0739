"""How is a run made again: from its beginning, or from one of its turns?

Either gives a new run; the old one stays as it is. A fork takes the old run's rows over up to a turn and
asks for that turn again; its workspace is made of the files that the old run began with, to which everything
that the taken-over calls did is done again.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import JsonValue

from crews.errors import CrewsError, UsageError, WorkspaceError
from crews.records.forks import (
    Place,
    Rows,
    compacted_before,
    rows_of,
    taken_over,
    write_fork,
)
from crews.records.owner import home_id, this_process
from crews.records.rows import ENDED, RunOptions, RunRow, ThreadRow, child_path
from crews.records.runs import check_kept, fail_run, get_run, new_id, new_run
from crews.records.store import Store
from crews.records.tape import load_tape
from crews.runtime import delegation, tasking
from crews.runtime.claude import ModelSource
from crews.runtime.rebuilding import Rebuilding
from crews.runtime.workflow import protected_files, sandbox_of
from crews.settings import Settings
from crews.teams.spec import Limits, TeamSpec
from crews.tools import registry
from crews.tools.beginning import begin_like
from crews.tools.copying import make_workspace
from crews.tools.gate import AnyTool
from crews.tools.workspace import Workspace


def retry(store: Store, settings: Settings, run: str, by: str) -> RunRow:
    """Make a new run of the same goal, inputs, team and options; nobody works on it yet.

    Args:
        store: The journal.
        settings: The process's settings.
        run: The run that is made again; it must have ended.
        by: Who asks for it.

    Raises:
        UsageError: there is no such run, it has not ended, or its contents were purged.
        CrewsError: no model can be asked, or the folder cannot be copied.
    """
    old = get_run(store, run)
    check_kept(old)
    if old.status not in ENDED:
        raise UsageError(f"run `{run}` has not ended: {old.status}",
                         hint=f"`crews resume {run}` goes on with it")  # fmt: skip
    options = _options(old, by, settings)
    new = new_run(
        store, goal=old.goal, inputs=_inputs(old), team=old.spec, options=options,
        home=home_id(settings.home), origin=f"retry:{run}", owner=this_process(),
    )  # fmt: skip
    try:
        source = Path(options.source) if options.source is not None else None
        limit = old.spec.policy.workspace_limit_mb
        make_workspace(source, settings.run_folder(new.id), limit)
    except CrewsError as error:
        fail_run(store, new.id, error.what, error.exit_code)
        raise
    return new


def fork(
    store: Store, settings: Settings, run: str, place: Place, by: str, *, anyway: bool = False
) -> RunRow:
    """Make a new run that begins where another one stood before a turn; nobody works on it yet.

    Args:
        store: The journal.
        settings: The process's settings.
        run: The run that is forked; nobody may be working on it.
        place: The turn that is asked for again.
        by: Who asks for it.
        anyway: Begin even if the files cannot be made quite what they were; see `forks.differences`.

    Raises:
        UsageError: there is no such run or turn, it is being worked on, or its contents were purged.
        WorkspaceError: the files cannot be made what they were at that turn.
        CrewsError: no model can be asked.
    """
    old = get_run(store, run)
    check_kept(old)
    if old.status == "running":
        raise UsageError(f"run `{run}` is being worked on: what it did is not settled",
                         hint=f"wait for it, or end it with `crews stop {run}`")  # fmt: skip
    everything = rows_of(store, run)
    kept = _limited(taken_over(everything, place), old.spec)
    kept = _compacted(kept, place, compacted_before(store, run, place))
    new = _row(old, place, _options(old, by, settings), settings)
    folder = settings.run_folder(new.id)
    wrong: tuple[str, ...] = ()
    try:
        wrong = _rebuild(old, everything, kept, settings, folder)
        if wrong and not anyway:
            raise _not_exactly(wrong, old, place)
        write_fork(store, new, kept, place, run, wrong)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return get_run(store, new.id)


def _options(old: RunRow, by: str, settings: Settings) -> RunOptions:
    """The old run's options in another one's name; the tape that it recorded stays what it is.

    Raises:
        CrewsError: nobody could answer.
    """
    # A goal stays that of who had it: a fork must not give them a say in what they asked for.
    changed = {"started_by": by, "asked_by": old.asked.askers, "record": ""}
    options = old.asked.model_copy(update=changed)
    if options.tape:
        load_tape(Path(options.tape))
    else:
        ModelSource(settings).check()
    return options


def _inputs(old: RunRow) -> dict[str, str]:
    return json.loads(old.inputs)


def _row(old: RunRow, place: Place, options: RunOptions, settings: Settings) -> RunRow:
    """The new run: as asked for as the old one was, with nothing used yet."""
    policy = old.spec.policy
    return replace(
        old,
        id=new_id(), options=options.model_dump_json(), status="queued", reason="", exit_code=None,
        owner=this_process(), epoch=0, stop_asked=False, limits=policy.limits.model_dump_json(),
        tokens=0, money=0, money_known=True, turns=0, calls=0, working_seconds=0.0,
        approved_hash="", applied_hash="", summary="", created_at=time.time(), started_at=None,
        ended_at=None, home=home_id(settings.home), submission=None,
        origin=f"fork:{old.id}@{place}", woken=False, workflow="", left_by="",
        deaths=0, deaths_at=0, purged_at=None,
    )  # fmt: skip


def _compacted(kept: Rows, place: Place, turns: int) -> Rows:
    """The thread that goes on sends what it sent then."""
    threads = tuple(
        replace(t, compacted=turns) if t.path == place.thread else t for t in kept.threads
    )
    return replace(kept, threads=threads)


def _limited(kept: Rows, team: TeamSpec) -> Rows:
    """The threads that go on have the limits that they began with: what a human extended was another run's."""
    asked = {child_path(c.path, c.turn, c.place): c.args for c in kept.calls}
    threads = tuple(
        replace(t, limits=_first_limits(t, team, asked.get(t.path, {})).model_dump_json())
        if t.state == "open"
        else t
        for t in kept.threads
    )
    return replace(kept, threads=threads)


def _first_limits(thread: ThreadRow, team: TeamSpec, asked: Mapping[str, JsonValue]) -> Limits:
    agent = team.agent(thread.agent)
    if thread.kind == "task":
        task = next(t for t in team.tasks if t.name == thread.step)
        return tasking.limits_of(task, agent)
    part = asked.get("budget_share")
    return delegation.limits_of(team, agent, part if isinstance(part, int | float) else None)


def _rebuild(
    old: RunRow, everything: Rows, kept: Rows, settings: Settings, folder: Path
) -> tuple[str, ...]:
    """Make the new run's workspace; returns in which way its files are not what they were."""
    options, team = old.asked, old.spec
    source = Path(options.source) if options.source is not None else None
    workspace: Workspace = begin_like(
        settings.run_folder(old.id),
        folder,
        source,
        everything.threads[0].hash_before,
        team.policy.workspace_limit_mb,
    )
    runs_commands = any(c.effect == "execute" for c in kept.calls)
    sandbox, problem = sandbox_of(team, old, settings) if runs_commands else (None, "")
    tools: Mapping[str, AnyTool] = registry.build(_no_results)
    return asyncio.run(
        Rebuilding(
            old, everything, kept, workspace, sandbox, problem, tools, protected_files(team, source)
        ).redo()
    )


def _no_results(thread: str, turn: int, place: int) -> None:
    del thread, turn, place


def _not_exactly(wrong: tuple[str, ...], old: RunRow, place: Place) -> WorkspaceError:
    return WorkspaceError(
        f"the files could not be rebuilt exactly: {'; '.join(wrong)}",
        where=f"run {old.id}, turn {place}",
        hint="--anyway begins with them as they are; the report then says so",
    )
