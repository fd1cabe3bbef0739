"""Which commands are there, and how does the program end, whatever happens?"""

from __future__ import annotations

import atexit
import contextlib
import gc
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, NoReturn, cast

import typer

from crews.cli import failing
from crews.cli.common import LOADING, seek_garbage
from crews.errors import EXIT_CODES, EXIT_FAILED, EXIT_INTERRUPTED, CrewsError, Signal

MODULES: Mapping[str, Sequence[str]] = {
    "run": ("run", "ask", "demo", "resume", "watch"),
    "teams": ("check", "schema"),
    "explain": ("explain",),
    "inbox": ("inbox",),
    "users": ("users", "whoami"),
    "history": ("runs", "stop", "diff", "apply", "undo"),
    "cost": ("cost",),
    "notify": ("notify",),
    "worker": ("worker", "workers"),
    "schedules": ("schedules",),
    "again": ("runs",),
    "audit": ("audit",),
    "retention": ("export", "purge"),
}
"""Module of this package -> the commands that are there, in the order of the help."""
HELP = (
    "Run a supervised team of agents: it plans, works, and asks you before anything that matters."
)


def exit_codes() -> str:
    """The exit codes as the help's last paragraph."""
    codes = "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())
    return f"\b\nExit codes:\n{codes}"


@cache
def program(name: str = "") -> typer.Typer:
    """The program with the one command or group of that name, or all where there is none.

    To load every command and look at its parameters takes longer than most commands do.
    """
    modules = [module for module, names in MODULES.items() if name in names]
    app = _empty(completion=not modules)  # its options stand before any command's name
    app.callback()(options)
    for module in modules or MODULES:
        import_module(f"crews.cli.{module}").register(app)
    if modules:
        app.registered_commands = [c for c in app.registered_commands if c.name == name]
        app.registered_groups = [g for g in app.registered_groups if g.name == name]
    return app


def _empty(*, completion: bool) -> typer.Typer:
    return typer.Typer(
        name="crews",
        add_completion=completion,
        help=HELP,
        epilog=exit_codes(),
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        found = "unknown"
        with contextlib.suppress(PackageNotFoundError):
            found = version("crews")
        sys.stdout.write(f"crews {found}\n")
        raise typer.Exit


def options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that come before a command."""
    del version


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    # Importing libraries makes objects by the hundred thousand, none of which is garbage: to look for
    # some after every 700, as is the default, takes a fifth of a start.
    seek_garbage(every=LOADING)
    # Nor is any of them at the end, where Python looks at each once more. What must be closed is by then.
    atexit.register(gc.freeze)
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # A terminal that cannot show a character shows its number; nothing breaks.
            cast("TextIOWrapper", stream).reconfigure(errors="backslashreplace")
    sys.exit(_code(given))


def _code(given: list[str]) -> int:
    options_given = given[: given.index("--")] if "--" in given else given
    as_json = "--json" in options_given
    try:
        app = program(given[0] if given else "")
        ended: object = app(given, prog_name="crews", standalone_mode=False)
    except CrewsError as error:
        return failing.known(error, as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        return failing.usage("interrupted", EXIT_INTERRUPTED, "", as_json=as_json)
    except Signal as signal:
        return failing.usage(f"the run was left: {signal}", EXIT_FAILED, "", as_json=as_json)
    except Exception as error:  # noqa: BLE001  # the last place where anybody can say anything
        return _other(error, as_json=as_json)
    if ended == EXIT_INTERRUPTED:
        return failing.usage("interrupted", EXIT_INTERRUPTED, "", as_json=as_json)
    return ended if isinstance(ended, int) else 0


def _other(error: Exception, *, as_json: bool) -> int:
    """An error of the command line's parser, or one that nobody foresaw."""
    text = getattr(error, "format_message", None)
    if text is None:
        return failing.unexpected(error, as_json=as_json)
    code = int(getattr(error, "exit_code", 2))
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{text()}\n")
        return code
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "crews"
    message = str(text()).rstrip(".")
    return failing.usage(message, code, f"`{command} --help` says more", as_json=as_json)
