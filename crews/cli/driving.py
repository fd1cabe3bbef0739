"""How is a run carried forward from the command line, shown, interrupted and ended?"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crews import api, work
from crews.cli.common import STAYING, seek_garbage
from crews.cli.live import Drawn, Face, JsonLines, Lines, Silent
from crews.cli.output import console, has_colour, has_human
from crews.errors import EXIT_INTERRUPTED, CrewsError, UsageError
from crews.logs import set_up
from crews.records.events import Event
from crews.records.inbox import get_review, list_reviews
from crews.records.owner import this_process
from crews.records.runs import get_run, list_threads
from crews.records.sealing import open_journal
from crews.records.store import Store
from crews.records.workers import is_alive
from crews.settings import Settings

if TYPE_CHECKING:
    from crews.cli.keys import Keys
    from crews.records.questions import ReviewRow
    from crews.records.rows import RunRow

STARTED = 10.0
"""Seconds after which all that a run needs is loaded."""


class Interrupted(CrewsError):
    """Ctrl-C or SIGTERM; the run goes on from where it stands."""

    exit_code = EXIT_INTERRUPTED


@dataclass(frozen=True, slots=True)
class View:
    """How a run is to be shown."""

    as_json: bool = False
    quiet: bool = False
    may_ask: bool = True
    """May a human at the terminal be asked?"""
    verbose: bool = False
    only_watch: bool = False
    """Work on nothing here, whoever else does or does not."""
    answer_only: bool = False
    """Print the team's answer instead of the report."""


def carry(
    settings: Settings,
    view: View,
    start: Callable[[Store], str],
    *,
    ask: api.Asker | None = None,
    after: Callable[[api.Result], str] | None = None,
) -> int:
    """Carry a run forward until it ends or waits.

    Args:
        settings: The process's settings.
        view: How the run is shown.
        start: Makes the run, or finds it, and returns its id.
        ask: Decides reviews; default: the human at the terminal, if there is one.
        after: Text to print at the end.

    Returns:
        The exit code.

    Raises:
        Interrupted: a signal ended this process's work on the run.
        CrewsError: what went wrong; it says how to go on.
    """
    live = has_colour(sys.stderr) and has_human() and not (view.as_json or view.quiet)
    set_up(settings, verbose=view.verbose and not live)
    stdout = sys.stdout
    # What a library prints must not mix with the data on stdout.
    with (
        open_journal(settings) as store,
        contextlib.redirect_stdout(sys.stderr),
    ):
        run = get_run(store, start(store))
        theirs = view.only_watch or _is_theirs(run, store)
        face = _face(view, run, store, live=live, stdout=stdout)
        asking = _asker(view, face, store, settings, ask)
        with asking as (chosen, stop_asking), _going_on(run.id, store), face:
            told = None if chosen is None else _announced(chosen, face)
            doing = _Work(run.id, store, settings, face, told, stop_asking, theirs)
            result = asyncio.run(doing.advance())
        with contextlib.redirect_stdout(stdout):
            from crews.cli.ending import say_end, tell_end  # what draws reports can wait

            if view.as_json:
                say_end(result)
            else:
                tell_end(result, get_run(store, run.id), answer_only=view.answer_only)
                if after is not None:
                    stdout.write(after(result).rstrip("\n") + "\n")
    return result.exit_code


@dataclass(frozen=True, slots=True)
class _Work:
    run: str
    store: Store
    settings: Settings
    face: Face
    ask: api.Asker | None
    stop_asking: Callable[[], None]
    theirs: bool
    """A worker works on it; this process only looks on."""

    async def advance(self) -> api.Result:
        """Advance the run; the first signal cancels, a second one kills."""
        loop = asyncio.get_running_loop()
        loop.call_later(STARTED, lambda: seek_garbage(every=STAYING))
        go_on = work.follow if self.theirs else api.advance
        task = asyncio.ensure_future(
            go_on(self.run, self.store, self.settings, on_event=self.face.listen, ask=self.ask)
        )
        got: list[int] = []
        signals = (signal.SIGINT, signal.SIGTERM)

        def interrupt(number: int) -> None:
            got.append(number)
            for one in signals:
                loop.remove_signal_handler(one)
                signal.signal(one, signal.SIG_DFL)
            self.stop_asking()
            task.cancel()

        for one in signals:
            loop.add_signal_handler(one, interrupt, one)
        try:
            result = await task
        except asyncio.CancelledError:
            raise self._interrupted() from None
        finally:
            for one in signals:
                loop.remove_signal_handler(one)
        if got and result.status not in {"completed", "failed", "stopped"}:
            raise self._interrupted()
        return result

    def _interrupted(self) -> Interrupted:
        if self.theirs:
            return Interrupted(
                f"you look on no more; the worker goes on with it: crews watch {self.run}",
                hint=f"crews stop {self.run} ends it",
            )
        return Interrupted(f"interrupted; go on with: crews resume {self.run}")


def _is_theirs(run: RunRow, store: Store) -> bool:
    """Has it been left to the workers?"""
    if run.owner:
        return run.owner != this_process() and is_alive(store, run.owner)
    return run.status == "queued" and bool(run.workflow)


@contextlib.contextmanager
def _going_on(run: str, store: Store) -> Generator[None]:
    """An error of a run says how to go on with it, if that is possible."""
    try:
        yield
    except Interrupted:
        raise
    except Exception as error:
        with contextlib.suppress(Exception):
            status = get_run(store, run).status
            elsewhere = isinstance(error, UsageError) and status == "running"
            if status not in {"completed", "stopped"} and not elsewhere:
                error.add_note(f"the run is kept; go on with: crews resume {run}")
        raise


def _face(view: View, run: RunRow, store: Store, *, live: bool, stdout: Any) -> Face:
    if view.as_json:
        return JsonLines(stdout)
    if view.quiet:
        return Silent()
    if not live:
        return Lines(sys.stderr)
    from crews.cli.board import Board

    reviews = list_reviews(store, run=run.id)
    return Drawn(Board(run, list_threads(store, run.id), reviews), console(sys.stderr))


def _announced(ask: api.Asker, face: Face) -> api.Asker:
    """The same asker; the face learns what was decided."""

    def announced(review: ReviewRow) -> api.Answer | None:
        answer = ask(review)
        if answer is not None:
            face.listen(
                Event(
                    kind="review_decided",
                    run=review.run,
                    at=time.time(),
                    thread=review.address.rpartition(":")[0],
                    agent=review.agent,
                    state=answer.decision,
                    text=review.title,
                    review=review.id,
                )
            )
        return answer

    return announced


@contextlib.contextmanager
def _asker(
    view: View, face: Face, store: Store, settings: Settings, ask: api.Asker | None
) -> Generator[tuple[api.Asker | None, Callable[[], None]]]:
    if ask is not None or not view.may_ask or view.as_json or not has_human():
        yield ask, lambda: None
        return
    from crews.cli.asking import Inline
    from crews.cli.keys import Keys

    keys: Keys = Keys(sys.stdin.fileno())
    inline = Inline(
        face,
        console(sys.stderr),
        keys,
        run=lambda review: get_run(store, review.run),
        changes=lambda review: api.changes(review.run, settings),
        now=lambda review: get_review(store, review.id),
    )
    try:
        yield inline, keys.cancel
    finally:
        keys.close()
