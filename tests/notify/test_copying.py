"""Do checkpoints reach a file, a webhook and a git note as they are made, and does a copy that fails block nothing?"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from crews import notify
from crews.records import audit, copies
from crews.records.outbox import list_deliveries
from crews.records.sealing import open_journal
from crews.records.store import Store
from crews.records.tables import checkpoints
from crews.settings import AuditSettings, FileCopy, GitCopy, Settings, WebhookCopy
from tests.notify.receiver import SECRET, Receiver, receiving

pytestmark = pytest.mark.anyio


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as listening:
        yield listening


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(folder), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def sealed(store: Store) -> str:
    """Make a checkpoint; returns its note."""
    with store.writing() as connection:
        audit.append(connection, "run", "review_decided", {})
    with store.reading() as connection:
        query = select(checkpoints.c.note).order_by(checkpoints.c.size.desc())
        return str(connection.execute(query).scalar())


async def test_each_kind_of_copy_gets_each_checkpoint(tmp_path: Path, receiver: Receiver) -> None:
    git(tmp_path, "init", "-q", "repo")
    hook = tmp_path / "repo" / ".git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    hook.chmod(0o755)
    git(
        tmp_path / "repo",
        "-c",
        "core.hooksPath=/dev/null",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
    )
    settings = Settings(home=tmp_path / "home", audit=AuditSettings(copies=(
        FileCopy(kind="file", path=tmp_path / "copies.jsonl"),
        WebhookCopy.model_validate({"kind": "webhook", "url": f"{receiver.url}/x", "secret": SECRET}),
        GitCopy(kind="git", repository=tmp_path / "repo"),
    )))  # fmt: skip
    with open_journal(settings) as store:
        first = sealed(store)
        await notify.flush_copies(store, settings)
        second = sealed(store)
        await notify.flush_copies(store, settings)
        await notify.flush_copies(store, settings)
        states = {(row.target, row.state) for row in list_deliveries(store)}
    lines = (tmp_path / "copies.jsonl").read_text().splitlines()
    assert [json.loads(line)["checkpoint"] for line in lines] == [first, second]
    assert [r.verified()["checkpoint"] for r in receiver.received] == [first, second]
    show = ("notes", "--ref=crews-audit", "show")
    assert git(tmp_path / "repo", *show) == second
    assert len(git(tmp_path / "repo", "log", "--format=%h", "refs/notes/crews-audit").split()) == 2
    assert not (tmp_path / "hooked").exists()
    assert states == {(f"audit:{name}", "sent") for name in ("file-1", "webhook-2", "git-3")}


async def test_a_copy_that_fails_is_told_and_tried_again(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, audit=AuditSettings(copies=(
        FileCopy(kind="file", path=tmp_path / "no" / "copies.jsonl", name="vault"),
        GitCopy(kind="git", repository=tmp_path),
    )))  # fmt: skip
    with open_journal(settings) as store:
        note = sealed(store)
        await notify.flush_copies(store, settings)
        troubles = copies.troubles(store)
        assert len(troubles) == 2
        assert any("copy vault does not arrive: No such file" in one for one in troubles)
        (tmp_path / "no").mkdir()
        await notify.send_due(store, settings, time.time() + 60, only=["audit:vault"])
        assert [one for one in copies.troubles(store) if "vault" in one] == []
    assert json.loads((tmp_path / "no" / "copies.jsonl").read_text()) == {"checkpoint": note}


async def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    os.symlink(tmp_path / "elsewhere", tmp_path / "copies.jsonl")  # noqa: PTH211
    copy = FileCopy(kind="file", path=tmp_path / "copies.jsonl")
    settings = Settings(home=tmp_path, audit=AuditSettings(copies=(copy,)))
    with open_journal(settings) as store:
        sealed(store)
        await notify.flush_copies(store, settings)
        assert len(copies.troubles(store)) == 1
    assert not (tmp_path / "elsewhere").exists()
