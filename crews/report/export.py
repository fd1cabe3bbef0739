"""How does one file hold all that a run left, so that anybody can check it later?"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from crews.errors import UsageError, WorkspaceError
from crews.records import audit, tables, vault
from crews.records.audit import AuditRow
from crews.records.rows import RunRow
from crews.records.runs import check_kept
from crews.records.store import Store, dump
from crews.report.markdown import markdown
from crews.safety.redact import Redactor
from crews.tools.changeset import ChangeSet

VERSION = 1
"""Of the layout of an export."""
_TABLES = ("threads", "turns", "calls", "reviews", "spend")
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every member's time: the same run gives the same bytes."""
_REDACTION = (
    "Secrets that the exporting process knew, and text of the shape of one, stand as `[redacted:NAME]`. "
    "A diff with such a mark does not apply."
)
_AUDIT = (
    "One entry a line. SHA-256 of the UTF-8 text `line` is `hash`; its last element is `previous`, the hash "
    "of the entry with the sequence before, which may belong to another run. `redacted` entries have no `line`: "
    "a secret was taken out of their body, so only the journal can prove them. `contents` is what the entry says "
    "only under the run's key (`sealed`); no hash here covers it. `crews audit export` proves entries by themselves."
)


@dataclass(frozen=True, slots=True)
class Export:
    """What was written."""

    path: Path
    size: int
    """Bytes."""
    sha256: str
    counts: dict[str, int]
    """Rows of each kind."""
    left_out: dict[str, str]
    """Member -> why it is not in the file."""


def export(
    store: Store,
    run: RunRow,
    redactor: Redactor,
    target: Path,
    *,
    changes: ChangeSet | None,
    tape: tuple[str, str],
    force: bool = False,
) -> Export:
    """Write everything that the journal holds of a run into one zip file.

    Args:
        store: The journal.
        run: The run, in whatever state.
        redactor: Takes secrets out of every text.
        target: The file; written whole or not at all, readable by its owner alone.
        changes: The run's change set; None: its workspace is not here.
        tape: The tape that replays the run; or, if there is none, an empty text, and why.
        force: Overwrite the file.

    Raises:
        UsageError: the run was purged, the file is there already, or there is no such folder.
        WorkspaceError: the file cannot be written.
    """
    check_kept(run)
    if target.exists() and not force:
        raise UsageError("this file is there already", where=str(target),
                         hint="--force overwrites it; --output names another one")  # fmt: skip
    members, counts = _members(store, run, redactor)
    left_out: dict[str, str] = {}
    if changes is None:
        left_out["changes.diff"] = "the run's workspace is not on this machine"
    else:
        diff = changes.diff.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        members["changes.diff"] = redactor.outward(diff).encode()
    if tape[0]:
        members["tape.jsonl"] = tape[0].encode()
    else:
        left_out["tape.jsonl"] = tape[1]
    data = _packed(_manifest(run, members, counts, left_out), members)
    _write(target, data, force=force)
    return Export(target, len(data), hashlib.sha256(data).hexdigest(), counts, left_out)


def _members(
    store: Store, run: RunRow, redactor: Redactor
) -> tuple[dict[str, bytes], dict[str, int]]:
    whole = {"run.json": dump(_clean(asdict(run), redactor)) + "\n"}
    counts: dict[str, int] = {}
    for name in _TABLES:
        table: Any = getattr(tables, name)
        query = table.select().where(table.c.run == run.id).order_by(*table.primary_key)
        with store.reading() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        whole[f"{name}.jsonl"] = "".join(dump(_clean(row, redactor)) + "\n" for row in found)
        counts[name] = len(found)
    entries = audit.entries(store, run.id)
    contents = vault.contents_of(store, run.id)
    whole["audit.jsonl"] = "".join(
        dump(_entry(entry, contents.get(entry.sequence), redactor)) + "\n" for entry in entries
    )
    counts["audit"] = len(entries)
    whole["report.md"] = redactor.outward(markdown(store, run.id))
    return {name: text.encode() for name, text in whole.items()}, counts


def _clean(row: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """A row without secrets; what holds none stays byte for byte."""
    return {k: _text(v, redactor) if isinstance(v, str) else v for k, v in row.items()}


def _text(text: str, redactor: Redactor) -> str:
    """A column without secrets. JSON stays JSON: it is redacted value by value."""
    if text.startswith(("{", "[")):
        with contextlib.suppress(ValueError):
            value = json.loads(text)
            clean = redactor.outward_json(value)
            return text if clean == value else dump([clean])[1:-1]
    return redactor.outward(text)


def _entry(entry: AuditRow, contents: dict[str, Any] | None, redactor: Redactor) -> dict[str, Any]:
    body = _text(entry.body, redactor)
    proof: dict[str, Any] = {"redacted": True}
    if body == entry.body:
        proof = {"line": audit.entry_line(entry)}
    found = asdict(entry) | {"body": body} | proof
    return found if contents is None else found | {"contents": redactor.outward_json(contents)}


def _manifest(
    run: RunRow, members: Mapping[str, bytes], counts: Mapping[str, int], left_out: dict[str, str]
) -> bytes:
    try:
        crews = version("crews")
    except PackageNotFoundError:
        crews = "unknown"
    body = {
        "crews_export": VERSION,
        "crews": crews,
        "schema": tables.SCHEMA_VERSION,
        "run": run.id,
        "status": run.status,
        "rows": dict(counts),
        "members": {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in members.items()
        },
        "left_out": left_out,
        "redaction": _REDACTION,
        "audit": _AUDIT,
    }
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def _packed(manifest: bytes, members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in {"manifest.json": manifest, **dict(sorted(members.items()))}.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o600 << 16
            file.writestr(info, data)
    return buffer.getvalue()


def _write(target: Path, data: bytes, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise UsageError("there is no such folder", where=str(target.parent))
    passing = target.parent / f".{target.name}-{secrets.token_hex(4)}"
    try:
        made = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _publish(passing, target, force=force)
    except OSError as error:
        raise WorkspaceError(f"the export cannot be written: {error.strerror}",
                             where=str(target)) from error  # fmt: skip
    finally:
        passing.unlink(missing_ok=True)


def _publish(passing: Path, target: Path, *, force: bool) -> None:
    if force:
        passing.replace(target)
        return
    try:
        os.link(passing, target)  # unlike a rename it never replaces what came in between
    except FileExistsError:
        raise UsageError("this file is there already", where=str(target)) from None
