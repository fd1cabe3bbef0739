"""How is a team started, asked, shown at work, and taken up again?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from crews.cli.common import Json, NoInput, Quiet, RunId, Verbose, pairs
from crews.cli.order import handed_in
from crews.errors import UsageError

if TYPE_CHECKING:
    from crews import api
    from crews.cli.driving import View
    from crews.records.store import Store
    from crews.settings import Settings
    from crews.teams.spec import SandboxChoice

_LEVELS = "0-4 or completion, assistant, supervised, autonomous, team"
DEFAULT_PRIORITY = 100
_FOLDER = "Folder to work on; it is copied, and changes only by what you approve."


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("ask")(ask)
    app.command("demo")(demo)
    app.command("resume")(resume)
    app.command("watch")(watch)


def run(
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="What is to be done.")],
    team: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The team. Default: ./config, else the bundled one."),
    ] = None,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", metavar="DIR", help=_FOLDER)
    ] = Path(),
    given: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="NAME=VALUE", help="Value of a {placeholder}."),
    ] = None,
    autonomy: Annotated[str | None, typer.Option(metavar="LEVEL", help=_LEVELS)] = None,
    observe: Annotated[
        bool, typer.Option("--observe", help="End with a patch: the folder is never changed.")
    ] = False,
    no_apply: Annotated[
        bool, typer.Option("--no-apply", help="Keep approved changes for `crews apply`.")
    ] = False,
    tape: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replay a tape instead of a model.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a tape of this run.")
    ] = None,
    sandbox: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="auto, bubblewrap, landlock or none."),
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="One model for every agent.")] = "",
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Leave it to the workers; prints the run's id.")
    ] = False,
    delay: Annotated[
        str, typer.Option(metavar="TIME", help="With --detach: begin in 90s, 30m, 2h or 1d.")
    ] = "",
    priority: Annotated[
        int, typer.Option(min=1, max=1000, help="Among queued runs; lower goes first.")
    ] = 100,
    key: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Idempotency key: given again, it is the same run."),
    ] = None,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Have a team work on a goal: a worker does, where one is running, else this process."""
    if delay and not detach:
        raise UsageError(
            "`--delay` needs `--detach`: nobody waits here for a run that begins later"
        )
    asked: dict[str, Any] = {
        "goal": goal,
        "team": team,
        "workspace": str(folder_of(workspace).resolve()),
        "inputs": pairs(given or [], "--input"),
        "autonomy": None if autonomy is None else level(autonomy),
        "observe": observe,
        "apply": not no_apply,
        "sandbox": _sandbox(sandbox),
        "model": model,
        "submission": key,
        "priority": 0 if priority == DEFAULT_PRIORITY else priority,
    }
    tapes: dict[str, Any] = {"tape": _tape(tape), "record": record}
    run = "" if detach or any(tapes.values()) else handed_in(asked)
    from crews import api
    from crews.cli.driving import View

    view = View(
        as_json=json,
        quiet=quiet,
        may_ask=not no_input,
        verbose=verbose,
        only_watch=bool(run),  # it may have ended, or wait, by the time that it is looked at here
    )
    if run:
        _look_on(run, view)
    request = api.Kickoff(**asked, **tapes)
    if detach:
        _detach(request, delay, as_json=json)
    else:
        _start(request, view)


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What you want to know.")],
    read: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Let the agent read this folder (autonomy 1)."),
    ] = None,
    team: Annotated[str | None, typer.Option(metavar="DIR", help="The team.")] = None,
    tape: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Replay a tape instead of a model.")
    ] = None,
    model: Annotated[str, typer.Option(metavar="NAME", help="The model to ask.")] = "",
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Get one answer: no plan, no changes. Prints the answer and nothing else."""
    from crews import api
    from crews.cli.driving import View

    request = api.Kickoff(
        goal=question,
        team=team,
        workspace=None if read is None else folder_of(read),
        autonomy=0 if read is None else 1,
        apply=False,
        tape=_tape(tape),
        model=model,
    )
    _start(request, View(as_json=json, quiet=not json, verbose=verbose, answer_only=True))


def demo(
    decide: Annotated[
        str | None,
        typer.Option(metavar="CHOICE", help="approve, reject or edit. Default: ask you."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask a real model instead of the recorded one.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the sample project is put.")
    ] = None,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Watch a team at work on a sample project; needs no key."""
    from crews.cli.driving import View, carry
    from crews.cli.output import filled, has_colour
    from crews.cli.showing import demo_asker, demo_epilogue, demo_opening, demo_request
    from crews.settings import load

    asker = None if decide is None else demo_asker(decide)
    request, settings = demo_request(folder, live), load()
    if not (json or quiet):
        said = demo_opening(request)
        typer.echo(filled(said) if has_colour(sys.stderr) else said, err=True)
    view = View(as_json=json, quiet=quiet, may_ask=not no_input, verbose=verbose)
    raise typer.Exit(
        carry(
            settings,
            view,
            lambda store: _create(request, store, settings),
            ask=asker,
            after=None if json else lambda result: demo_epilogue(request, result),
        )
    )


def resume(
    run: RunId,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Go on with a run at the exact call where it stopped."""
    from crews.cli.driving import View

    go_on(run, View(as_json=json, quiet=quiet, may_ask=not no_input, verbose=verbose))


def watch(
    run: RunId,
    json: Json = False,
    no_input: NoInput = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Look on while a worker works on a run, until it ends or waits."""
    from crews.cli.driving import View, carry
    from crews.settings import load

    view = View(as_json=json, quiet=quiet, may_ask=not no_input, verbose=verbose, only_watch=True)
    raise typer.Exit(carry(load(), view, lambda _: run))


def go_on(run: str, view: View) -> None:
    """Carry a run on that exists, and end the command as it ends."""
    from crews.cli.driving import carry
    from crews.settings import load

    settings = load()

    def begin(store: Store) -> str:
        from crews import work

        work.leave_to_workers(run, store, settings)
        return run

    raise typer.Exit(carry(settings, view, begin))


def level(text: str) -> int:
    """A level of autonomy by number or name."""
    from crews.teams.spec import LEVELS

    names: dict[str, int] = {found: number for number, found in enumerate(LEVELS)}
    found = names.get(text.strip().lower())
    if found is None and text.strip().isdigit() and int(text) in names.values():
        found = int(text)
    if found is None:
        raise UsageError(f"there is no level of autonomy `{text}`", hint=_LEVELS)
    return found


def _start(request: api.Kickoff, view: View) -> None:
    from crews.cli.driving import carry
    from crews.settings import load

    settings = load()
    raise typer.Exit(carry(settings, view, lambda store: _begin(request, store, settings)))


def _look_on(run: str, view: View) -> NoReturn:
    from crews.cli.driving import carry
    from crews.settings import load

    raise typer.Exit(carry(load(), view, lambda _: run))


def _detach(request: api.Kickoff, delay: str, *, as_json: bool) -> None:
    """Queue a run, print its id, and say who will work on it."""
    from crews import work
    from crews.cli.common import journal, seconds
    from crews.cli.output import put, put_json, say

    with journal() as (store, settings):
        wait = seconds(delay, "--delay") if delay else 0.0
        run = work.submit(request, store, settings, delay=wait)
        someone = work.someone_works(store, settings)
    if as_json:
        put_json({"run": run.id, "status": run.status, "worker": someone})
        return
    put(run.id)
    if not someone:
        say("no worker is running here; start one with: crews worker")


def _create(request: api.Kickoff, store: Store, settings: Settings) -> str:
    from crews import api
    from crews.records.owner import this_process

    return api.create(request, store, settings, owner=this_process()).id


def _begin(request: api.Kickoff, store: Store, settings: Settings) -> str:
    """A new run: for the workers, if there are any; a tape is played, and recorded, here."""
    from crews import work

    here = bool(request.tape or request.record)
    if here or not work.someone_works(store, settings):
        return _create(request, store, settings)
    return work.submit(request, store, settings).id


def folder_of(path: Path) -> Path:
    """The folder that an option names. Raises UsageError: there is none."""
    if not path.is_dir():
        raise UsageError("there is no such folder", where=str(path))
    return path


def _tape(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageError("there is no such tape", where=str(path))
    return path


def _sandbox(text: str | None) -> SandboxChoice | None:
    from typing import get_args

    from crews.teams.spec import SandboxChoice

    if text is None:
        return None
    choices = get_args(SandboxChoice)
    if text not in choices:
        raise UsageError(f"there is no sandbox `{text}`", hint=", ".join(choices))
    return cast("SandboxChoice", text)
