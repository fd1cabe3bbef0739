"""What happens from the moment a process takes a run until it lets go of it? One activation.

Claim the run under a new epoch, continue every thread until all are finished or waiting, release. There is
nothing else to a resume: the journal's rows are the state.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from crews.errors import (
    EXIT_BUDGET,
    EXIT_DENIED,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_WAITING,
    RunBusy,
    SandboxUnavailable,
    StopRun,
    UsageError,
    Waiting,
)
from crews.records import inbox
from crews.records.chains import DEADLINE
from crews.records.events import Listener, silent
from crews.records.journal import Journal
from crews.records.questions import ReviewRow
from crews.records.rows import CallRow, RunRow, RunStatus, ThreadRow
from crews.records.runs import claim, ended, get_run
from crews.records.store import Store
from crews.runtime.claude import ModelSource
from crews.runtime.closing import close
from crews.runtime.flags import NO_HAND_OVER
from crews.runtime.foreign import load_foreign
from crews.runtime.heart import beating
from crews.runtime.models import Model
from crews.runtime.releasing import let_go, release
from crews.runtime.reviewing import open_review
from crews.runtime.scene import Scene
from crews.runtime.shift import Shift, still_ours, terms
from crews.runtime.tapes import Player, Recorder
from crews.runtime.tasking import Tasking
from crews.safety.own_secrets import redactor_for
from crews.safety.owners import Owners
from crews.safety.redact import Redactor
from crews.settings import Settings
from crews.teams.spec import TeamSpec
from crews.tools import registry
from crews.tools.codeowners import owners_of
from crews.tools.confining import sweep
from crews.tools.copying import make_workspace, next_generation
from crews.tools.gate import AnyTool, Gate
from crews.tools.sandbox import Sandbox, choose
from crews.tools.workspace import Workspace

MOST_BREAKS = 3
"""Outages in the middle of a write after which an activation is over."""
_active: set[tuple[str, str]] = set()
"""Journal and run of every activation of this process."""


async def activate(
    run: str,
    store: Store,
    settings: Settings,
    listener: Listener = silent,
    draining: Callable[[], bool] | None = None,
) -> RunRow:
    """Work on a run until it ends or waits; see `_activate`.

    Args:
        run: The run.
        store: Its journal.
        settings: The process's settings.
        listener: Is told what happens.
        draining: Given by a worker: is it to end? Without it a person waits here for this run.

    Raises:
        RunBusy: this process works on the run already; its calls would be taken for a dead owner's.
    """
    key = (str(store.engine.url), run)
    if key in _active:
        raise RunBusy(f"run `{run}` is being worked on by this process already")
    _active.add(key)
    try:
        with beating(store, settings) as heart:
            shift = terms(heart.holds, partial(heart.prove, store), draining)
            row = await _activate(run, store, settings, listener, shift, True)
            for more in reversed(range(MOST_BREAKS)):
                if row.status != "queued" or shift.draining():
                    break
                row = await _activate(run, store, settings, listener, shift, more > 0)
            return row
    finally:
        _active.discard(key)


def active_runs(store: Store) -> frozenset[str]:
    """Runs of a journal that this process works on now."""
    return frozenset(run for url, run in _active if url == str(store.engine.url))


async def _activate(
    run: str, store: Store, settings: Settings, listener: Listener, shift: Shift, again: bool
) -> RunRow:
    """Work on a run until it ends or waits; returns the run as it stands then.

    `again`: if an outage of the journal breaks it off, leave it to the caller, who goes on with it.

    Raises:
        CrewsError: the run cannot go on; it keeps its place and can be resumed.
        Fenced: another process has taken the run over.
        CancelledError: the work was interrupted; the run can be resumed.
    """
    row = get_run(store, run)
    source = ModelSource(settings)
    model = _model(row, settings, source)
    first = row.epoch == 0
    epoch = claim(store, run)
    journal = Journal(store, run, epoch)
    scene: Scene | None = None
    try:
        await _leave_behind(journal, settings)
        scene = await _scene(row, journal, settings, listener, model, shift)
        scene.emit("run_started" if first else "run_resumed", text=row.goal)
        _heed_stop(journal)
        last = await Tasking(scene, None if row.asked.tape else source.asked).run()
        await close(scene, last)
        _complete(scene, last)
    except Waiting:
        if shift.draining():  # some threads wait for a human, the others for another worker
            release(journal, scene, "queued", exit_code=EXIT_WAITING)
        else:
            release(journal, scene, "waiting", exit_code=EXIT_WAITING)
    except StopRun as stop:
        status: RunStatus = "failed" if stop.status == "failed" else "stopped"
        release(journal, scene, status, reason=stop.reason, exit_code=stop.exit_code)
    except asyncio.CancelledError:
        # What a person interrupted waits for that person; what a worker lets go of is for the next one.
        reason = "interrupted" if shift.solo else ""
        release(journal, scene, "queued", reason=reason, exit_code=EXIT_INTERRUPTED)
        raise
    except Exception as error:
        if not let_go(journal, scene, error, again):
            raise
    finally:
        await source.aclose()
    return get_run(store, run)


async def _leave_behind(journal: Journal, settings: Settings) -> None:
    """Work in a new copy of the workspace where an old owner may still write into the one it had."""
    if journal.row().left_by:
        await asyncio.to_thread(next_generation, settings.run_folder(journal.run))
        journal.set_run(left_by="")


def _heed_stop(journal: Journal) -> None:
    """End the run where a human decided so, whichever thread had asked and whatever could still go on."""
    for review in inbox.list_reviews(journal.store, run=journal.run, state="decided"):
        if review.decision == "stop":
            spent = review.kind == "budget"
            raise StopRun(
                f"stopped by {review.decided_by} at review {review.id}"
                + (f": the budget is spent. {review.reason}" if spent else ""),
                exit_code=EXIT_BUDGET if spent else EXIT_FAILED,
            )


def _model(row: RunRow, settings: Settings, source: ModelSource) -> Model:
    """Who answers; checked before anything is claimed, and a run that has ended needs nobody."""
    if row.status in {"completed", "stopped"}:
        raise ended(row)
    options = row.asked
    if options.tape:
        model: Model = Player(Path(options.tape), redactor_of(settings))
    else:
        source.check()
        model = source
    if options.record:
        note = f"Recorded from a run of team {row.team_name}."
        model = Recorder(model, Path(options.record), redactor_of(settings), note)
    return model


def redactor_of(settings: Settings) -> Redactor:
    """Takes the secrets that this process holds out of texts."""
    return redactor_for(settings, os.environ)


async def _scene(
    row: RunRow,
    journal: Journal,
    settings: Settings,
    listener: Listener,
    model: Model,
    shift: Shift,
) -> Scene:
    team, options = row.spec, row.asked
    source = None if options.source is None else Path(options.source)
    workspace, owners, (sandbox, problem) = await asyncio.to_thread(_place, row, source, settings)
    redactor = redactor_of(settings)
    scene = Scene(
        journal=journal,
        team=team,
        goal=row.goal,
        options=options,
        settings=settings,
        workspace=workspace,
        sandbox=sandbox,
        sandbox_error=problem,
        model=model,
        redactor=redactor,
        tools=_tools(team, journal, settings),
        listener=listener,
        slots=asyncio.Semaphore(team.policy.max_parallel),
        protected=protected_files(team, source),
        owners=owners,
        shift=shift,
    )
    scene.gate = Gate(
        journal=journal,
        policy=team.policy,
        team_hash=hashlib.sha256(row.team.encode()).hexdigest(),
        redactor=redactor,
        open_review=partial(open_review, scene),
        on_call=partial(_on_call, scene),
        may_act=partial(still_ours, journal, shift),
        draining=shift.draining,
    )
    return scene


def _place(
    row: RunRow, source: Path | None, settings: Settings
) -> tuple[Workspace, Owners, tuple[Sandbox | None, str]]:
    """Where the run works: its files, whose they are, and its sandbox, as `sandbox_of` says."""
    limit = row.spec.policy.workspace_limit_mb
    workspace = make_workspace(source, settings.run_folder(row.id), limit)
    sweep(workspace)
    return workspace, owners_of(workspace), sandbox_of(row.spec, row, settings)


def _tools(team: TeamSpec, journal: Journal, settings: Settings) -> dict[str, AnyTool]:
    """Every tool that the team can name: the registered ones, and CrewAI's by `module:Class`.

    Raises:
        UsageError: a tool that the team names is neither.
    """
    tools = registry.build(partial(_whole_result, journal))
    for name in sorted(named_tools(team) - tools.keys()):
        if ":" not in name:
            raise UsageError(
                f"there is no tool `{name}`", hint=f"there are: {', '.join(sorted(tools))}"
            )
        foreign = load_foreign(name, settings.home / "crewai", team.policy, settings.tool_seconds)
        if foreign.name in tools:
            raise UsageError(
                f"tool `{name}` calls itself `{foreign.name}`, as another tool of this team does",
                hint="give it another `name`",
            )
        # A thread's grant is kept by the tool's own name, the team's files by the place it comes from.
        tools |= {name: foreign, foreign.name: foreign}
    return tools


def named_tools(team: TeamSpec) -> set[str]:
    """Names of tools in the team's files."""
    return {t for a in team.agents for t in a.tools} | {t for k in team.tasks for t in k.tools}


def sandbox_of(team: TeamSpec, row: RunRow, settings: Settings) -> tuple[Sandbox | None, str]:
    """The sandbox that holds here; none, with the reason, where no agent needs one or none holds."""
    effects = {t.name: t.effect for t in registry.build(_no_results).values()}
    if "execute" not in {effects.get(t) for t in named_tools(team)}:
        return None, "no agent of this team runs commands"
    try:
        return choose(row.asked.sandbox, team.policy.egress, settings.docker_image), ""
    except SandboxUnavailable as error:
        return None, str(error)


def _no_results(thread: str, turn: int, place: int) -> None:
    del thread, turn, place


def protected_files(team: TeamSpec, source: Path | None) -> tuple[str, ...]:
    """The team's own files, where they lie inside the folder that is worked on."""
    if source is None:
        return ()
    folder = team.folder.resolve()
    if not folder.is_relative_to(source.resolve()):
        return ()
    inside = folder.relative_to(source.resolve()).as_posix()
    names = ("agents.yaml", "tasks.yaml", "policy.yaml")
    return tuple(n if inside == "." else f"{inside}/{n}" for n in names)


def _whole_result(journal: Journal, thread: str, turn: int, place: int) -> str | None:
    call = journal.call(thread, turn, place)
    return None if call is None else (call.whole_result or call.result)


def _on_call(scene: Scene, call: CallRow, agent: str, text: str) -> None:
    kind = "call_started" if call.state == "started" else "call_ended"
    if call.state in {"waiting", "unknown"}:
        return
    scene.emit(
        kind, thread=call.path, agent=agent, turn=call.turn, place=call.place, tool=call.tool,
        state=call.state, text=text,
    )  # fmt: skip


def _complete(scene: Scene, last: ThreadRow) -> None:
    """The run has ended by itself: what did it end as?"""
    row = scene.row()
    reviews = inbox.list_reviews(scene.journal.store, run=row.id, state="decided")
    code, reason = EXIT_OK, row.reason
    status: RunStatus = "completed"
    if reason:
        code = EXIT_FAILED
    elif any(r.kind == "budget" and r.decision == "reject" for r in reviews):
        code, reason = EXIT_BUDGET, "a budget was spent; finished with what there was"
    elif not row.approved_hash and (refused := _refused(reviews)):
        code, reason = EXIT_DENIED, refused
    elif NO_HAND_OVER in last.flagged:
        code, reason = EXIT_FAILED, f"{last.agent} did not finish: {NO_HAND_OVER}"
        status = "failed"
    said = last.outcome.summary if last.outcome else ""
    release(scene.journal, scene, status, reason=reason, exit_code=code, summary=said)


def _refused(reviews: Sequence[ReviewRow]) -> str:
    """Who refused the changes; empty: nobody did."""
    by = [r.decided_by for r in reviews if (r.kind, r.decision) == ("change_set", "reject")]
    if not by:
        return ""
    return (
        "nobody released the changes in time"
        if by[-1] == DEADLINE
        else "a human refused the changes"
    )
