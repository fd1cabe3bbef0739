"""What does the audit log say, has anybody changed it, and how is it taken elsewhere?"""

from __future__ import annotations

import json as json_module
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crews.cli.common import Json, journal, seconds
from crews.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crews.records.audit import AuditRow
    from crews.records.proving import Audited, Signed
    from crews.records.signing import PublicKey

audit_app = typer.Typer(
    help="Read the audit log, prove that nobody has changed it, take it elsewhere.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_WORDS = (
    "tool",
    "rule",
    "ruling",
    "decision",
    "status",
    "state",
    "model",
    "effect",
    "review",
    "user",
)
"""Parts of an entry that say what happened, in the order in which they are shown."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(audit_app, name="audit")


@audit_app.command("verify")
def verify(
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="A checkpoint that was kept elsewhere, or a file of copies."),
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Trust only the public keys in this file."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="EXPORT", help="Check an exported log, not the journal.")
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Find whatever was edited, deleted, swapped or cut off. Exit code 1 where something was."""
    from crews.records import proving

    outside = [note for path in checkpoint or () for note in _notes(path)]
    trusted = [found for path in key or () for found in _keys(path)] if key else None
    if file is not None:
        from crews.report import audit_file

        found = audit_file.check(
            audit_file.read(_text(file).splitlines(), str(file)), outside, trusted
        )
    else:
        with journal() as (store, _):
            found = proving.verify(store, outside, trusted)
    _tell(found, as_json=json)
    if not found.holds:
        raise typer.Exit(EXIT_FAILED)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"the file cannot be read: {why}", where=str(path)) from None


def _notes(path: Path) -> list[Signed]:
    """The checkpoints in a file: one as it was signed, or copies, one a line of JSON."""
    from crews.records.proving import Signed

    text = _text(path)
    if not text.lstrip().startswith("{"):
        return [Signed(f"{text.rstrip()}\n", str(path), outside=True)]
    found: list[Signed] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            note = str(json_module.loads(line)["checkpoint"])
        except (ValueError, KeyError, TypeError):
            note = ""  # half a line, or one that somebody has changed: the check tells
        found.append(Signed(note, f"{path}:{number}", outside=True))
    return found


def _keys(path: Path) -> tuple[PublicKey, ...]:
    from crews.records.signing import public_keys

    return public_keys(_text(path), str(path))


def _tell(found: Audited, *, as_json: bool) -> None:
    from dataclasses import asdict

    from crews.cli.output import put, put_json, say
    from crews.plain import visible

    if as_json:
        put_json({"holds": found.holds, **asdict(found)})
        return
    if found.holds:
        kept = f", {found.outside} of them kept outside" if found.outside else ""
        signed = f"{found.signed:,} of them signed" if found.signed else "none of them signed"
        count = found.checkpoints + found.outside
        put(
            f"the audit log holds: {found.entries:,} entries, {signed}, {count:,} checkpoints{kept}"
        )
        if found.erased:
            put(f"the contents of {found.erased:,} runs were erased")
    else:
        put(f"the audit log does NOT hold, from entry {found.breaks[0].sequence:,} on:")
        for one in found.breaks[:20]:
            put(visible(f"  entry {one.sequence:,}: {one.what}"))
        if len(found.breaks) > 20:
            put(f"  ... and {len(found.breaks) - 20:,} more")
    for warning in found.warnings:
        say(visible(f"note: {warning}"))


@audit_app.command("show")
def show(
    run: Annotated[str, typer.Argument(metavar="[RUN]", help="One run; without it, all.")] = "",
    kind: Annotated[str, typer.Option(help="Only entries of this kind, such as `verdict`.")] = "",
    last: Annotated[int, typer.Option(min=1, metavar="N", help="How many at most.")] = 50,
    json: Json = False,
) -> None:
    """Show who did what, when and by which rule: the newest entries, oldest first."""
    from crews.cli.output import iso, put, put_json, say
    from crews.plain import visible
    from crews.records import copies
    from crews.records.audit import newest
    from crews.records.runs import get_run

    with journal() as (store, _):
        if run:
            get_run(store, run)  # a typo is no empty list
        found = newest(store, run=run, kind=kind, limit=last)
        troubles = copies.troubles(store)
    if json:
        put_json(
            [
                {"sequence": row.sequence, "run": row.run, "at": iso(row.at), "kind": row.kind, "hash": row.hash,
                 "body": json_module.loads(row.body), "contents": contents}
                for row, contents in found
            ]
        )  # fmt: skip
    else:
        put(entry_table(found))
        for trouble in troubles:
            say(visible(f"note: {trouble}"))


Told = tuple["AuditRow", "dict[str, Any] | None"]
"""An entry and its contents; None: they were erased."""


def entry_table(found: Sequence[Told]) -> str:
    """Entries as a table; a friendly line if there are none."""
    from crews.cli.output import moment, table

    if not found:
        return "The audit log has no such entry yet."
    rows = [
        [str(row.sequence), moment(row.at), row.run, row.kind.replace("_", " "), _who(body), _what(body, contents)]
        for row, contents in found
        for body in [json_module.loads(row.body)]
    ]  # fmt: skip
    return table(["entry", "when", "run", "kind", "who", "what"], rows, right=frozenset({0}))


def _who(body: dict[str, Any]) -> str:
    from crews.plain import one_line

    name = str(body.get("by") or body.get("agent") or body.get("owner") or "")
    way = body.get("signed_in")
    return one_line(f"{name} ({way})" if name and way else name, 30)


def _what(body: dict[str, Any], contents: dict[str, Any] | None) -> str:
    from crews.plain import one_line

    known = [f"{word} {body[word]}" for word in _WORDS if body.get(word)]
    if contents is None:
        known.append("erased")
    else:
        known += [f"{name}: {_short(value)}" for name, value in sorted(contents.items())]
    return one_line(", ".join(known), 100)


def _short(value: object) -> str:
    return value if isinstance(value, str) else json_module.dumps(value, ensure_ascii=False)


@audit_app.command("export")
def export(
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Default: standard output.")
    ] = None,
    run: Annotated[str, typer.Option(metavar="RUN", help="Only what is about this run.")] = "",
    since: Annotated[str, typer.Option(metavar="TIME", help="Only the last 90m, 12h or 30d.")] = "",
    contents: Annotated[
        bool,
        typer.Option("--contents", help="With goals, arguments, answers; secrets are taken out."),
    ] = False,
    json: Json = False,
) -> None:
    """Write the log, its checkpoints and public keys as JSON lines; `verify --file` checks them anywhere."""
    from crews import api
    from crews.cli.output import put, put_json, say
    from crews.records import audit
    from crews.records.runs import get_run
    from crews.report.audit_file import Wanted, lines
    from crews.safety.own_secrets import redactor_for

    begin = time.time() - seconds(since, "--since") if since else 0.0
    with journal() as (store, settings):
        if run:
            get_run(store, run)
        _check_free(to)
        by = api.who(settings, store)
        body = {"by": by, "since": since, "contents": contents}
        with store.writing() as connection:  # signed in the same step, so that all of it is covered
            audit.append(connection, run, "audit_exported", body)
        redactor = redactor_for(settings, os.environ)
        made = list(lines(store, Wanted(run, begin, contents), redactor))
    if to is None:
        put("\n".join(made))
        return
    _write(to, "".join(f"{line}\n" for line in made))
    entries = sum('"line":"entry"' in line for line in made)
    if json:
        put_json({"path": str(to), "entries": entries})
    else:
        put(str(to))
        say(f"{entries:,} entries; `crews audit verify --file {to}` checks them")


def _check_free(to: Path | None) -> None:
    if to is not None and to.exists():
        raise UsageError("this file is there already", where=str(to), hint="name another one")
    if to is not None and not to.absolute().parent.is_dir():
        raise UsageError("there is no such folder", where=str(to.parent))


def _write(to: Path, text: str) -> None:
    try:
        opened = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except OSError as error:
        raise UsageError(f"the file cannot be written: {error.strerror}", where=str(to)) from None


@audit_app.command("keys")
def keys(json: Json = False) -> None:
    """List the keys that have signed: fingerprint, machine, first use, and the key for `verify --key`."""
    from crews.cli.output import iso, moment, put, put_json, table
    from crews.plain import one_line
    from crews.records.sealing import known_keys

    with journal() as (store, _):
        found = known_keys(store)
    if json:
        put_json(
            [
                {"fingerprint": k.public.fingerprint, "host": k.host, "since": iso(k.added_at),
                 "public": k.public.raw.hex(), "verifier": k.public.verifier(k.origin)}
                for k in found
            ]
        )  # fmt: skip
    elif not found:
        put("Nothing has been signed yet: the first decision or the first run's end makes a key.")
    else:
        rows = [
            [k.public.fingerprint, one_line(k.host, 30), moment(k.added_at), k.public.verifier(k.origin)]
            for k in found
        ]  # fmt: skip
        put(table(["fingerprint", "machine", "since", "key"], rows))
