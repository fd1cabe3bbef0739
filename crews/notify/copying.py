"""How does a checkpoint of the audit log reach a place outside, where whoever changes the journal cannot reach it?"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

from crews.errors import WorkspaceError
from crews.notify import sending
from crews.notify.sending import Answer
from crews.plain import one_line
from crews.settings import FileCopy, GitCopy, NotifyTarget, WebhookCopy
from crews.tools.gitfiles import git

REF = "refs/notes/crews-audit"


async def send(
    copy: FileCopy | WebhookCopy | GitCopy,
    delivery: str,
    note: str,
    *,
    seconds: float = sending.SECONDS,
) -> Answer:
    """Try once.

    Args:
        copy: Where to.
        delivery: The delivery's id, the same for each attempt.
        note: The checkpoint.
        seconds: How long it may take.
    """
    line = json.dumps({"checkpoint": note}, ensure_ascii=False)
    if isinstance(copy, WebhookCopy):
        target = NotifyTarget(url=copy.url, secret=copy.secret)
        if not sending.is_webhook(target):
            return Answer(sent=False, text="the address of a copy begins with https://")
        return await sending.send(target, delivery, line, seconds=seconds)
    try:
        if isinstance(copy, FileCopy):
            await asyncio.to_thread(_append, copy.path, f"{line}\n")
        else:
            await asyncio.to_thread(_annotate, copy.repository, note, seconds)
    except (OSError, WorkspaceError) as error:
        what = error.what if isinstance(error, WorkspaceError) else error.strerror or str(error)
        return Answer(sent=False, text=one_line(what, sending.KEPT))
    return Answer(sent=True, text="kept")


def _append(file: Path, line: str) -> None:
    """Add a line that is on the disk when this returns; what is there is never touched."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    opened = os.open(file.expanduser(), flags, 0o600)
    with os.fdopen(opened, "ab", buffering=0) as stream:
        data = line.encode()  # one write, so that two processes' lines stay apart
        if stream.write(data) != len(data):
            raise OSError(None, "the line was written in part only")
        os.fsync(opened)


def _annotate(repository: Path, note: str, seconds: float) -> None:
    """Make the checkpoint the note of the newest commit; the notes' own history keeps those before it."""
    folder = repository.expanduser()
    who = (
        "-c",
        "user.name=crews",
        "-c",
        "user.email=crews@localhost",
        "-c",
        "commit.gpgSign=false",
    )
    words = (*who, "notes", f"--ref={REF}", "add", "-f", "-F", "-", "HEAD")
    try:
        done = git(folder, *words, given=note.encode(), timeout=seconds)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WorkspaceError(f"git cannot be run: {type(error).__name__}") from error
    if done.returncode:
        raise WorkspaceError(done.stderr.decode("utf-8", "replace").strip() or "git refuses")
