"""What happens while the journal's database is away, locked or full? It is waited for, or an error says why not."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from loguru import logger
from sqlalchemy import func, insert, make_url, select, text

from crews.errors import StoreError
from crews.records.store import FROZEN, Store, open_store
from crews.records.tables import meta
from tests.records.builders import child
from tests.support.postgres import Server


def put(store: Store, name: str) -> None:
    with store.writing() as connection:
        connection.execute(insert(meta).values(name=name, value="1"))


def rows(store: Store) -> int:
    with store.reading() as connection:
        return connection.execute(select(func.count()).select_from(meta)).scalar_one()


@contextmanager
def warnings() -> Generator[list[str]]:
    """What the log is told."""
    told: list[str] = []
    logger.enable("crews")
    sink = logger.add(lambda line: told.append(str(line)), level="WARNING", format="{message}")
    try:
        yield told
    finally:
        logger.remove(sink)


@contextmanager
def later(seconds: float, what: Callable[[], object]) -> Generator[None]:
    """Call something in a while; over when it has been done."""
    timer = threading.Timer(seconds, what)
    timer.start()
    try:
        yield
    finally:
        timer.join()


# -- a server that goes and comes back ------------------------------------------------------------


def test_a_server_that_comes_back_is_waited_for_and_told_of_once(own_postgres: Server) -> None:
    with open_store(own_postgres.url(), patience=20) as store, warnings() as told:
        put(store, "before")
        own_postgres.stop()
        began = time.monotonic()
        with later(2.5, own_postgres.start):
            threads = [threading.Thread(target=put, args=(store, f"n{n}")) for n in range(3)]
            for thread in threads:
                thread.start()
            assert rows(store) >= 2  # the schema's version, and what was written before
            for thread in threads:
                thread.join()
        assert time.monotonic() - began > 2
        assert rows(store) == 5
    away = [line for line in told if "cannot be reached" in line]
    back = [line for line in told if "can be used again" in line]
    assert (len(away), len(back)) == (2, 2), told  # of the writers, and of the readers


def test_a_restart_between_two_uses_is_not_noticed(own_postgres: Server) -> None:
    with open_store(own_postgres.url(), patience=5) as store, warnings() as told:
        put(store, "before")
        assert rows(store) == 2
        own_postgres.stop()
        own_postgres.start()
        assert rows(store) == 2
        put(store, "after")
        assert rows(store) == 3
    assert told == []


def test_a_server_that_stays_away_is_given_up(own_postgres: Server) -> None:
    with open_store(own_postgres.url(), patience=1.5) as store:
        own_postgres.stop()
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"cannot be reached.*\(tried for [12] s\)") as error:
            put(store, "never")
        assert 1 < time.monotonic() - began < 6
        assert error.value.transient
        assert "CREWS_DATABASE_URL" in error.value.hint
        assert "crews resume" in error.value.hint
        assert error.value.where == f"{own_postgres.folder}/{own_postgres.database}"


def test_what_breaks_in_the_middle_is_rolled_back_and_not_repeated(own_postgres: Server) -> None:
    times = 0
    with open_store(own_postgres.url(), patience=20) as store:
        with pytest.raises(StoreError) as error, store.writing() as connection:
            times += 1
            connection.execute(insert(meta).values(name="half", value="1"))
            own_postgres.stop()
            own_postgres.start()
            connection.execute(insert(meta).values(name="whole", value="1"))
        assert error.value.transient
        assert times == 1
        assert rows(store) == 1
        put(store, "half")
        assert rows(store) == 2


def test_an_error_of_the_caller_is_not_hidden_by_a_lost_connection(own_postgres: Server) -> None:
    with open_store(own_postgres.url(), patience=20) as store:
        with pytest.raises(KeyError, match="mine"), store.writing():
            own_postgres.stop()
            own_postgres.start()
            raise KeyError("mine")
        assert rows(store) == 1


def test_a_journal_can_be_opened_while_its_server_starts(own_postgres: Server) -> None:
    own_postgres.stop()
    with (
        later(1.0, own_postgres.start),
        open_store(own_postgres.url(), patience=20) as store,
    ):
        assert rows(store) == 1


@pytest.mark.parametrize(
    ("state", "says", "transient"),
    [
        ("53100", "disk is full", False),
        ("25006", "may only be read", False),
        ("XX001", "damaged", False),
        ("53300", "locked by somebody", True),
        ("57P01", "cannot be reached", True),
        ("40P01", "locked by somebody", True),
        ("23505", "cannot be used", False),
    ],
)
def test_what_a_server_says_is_put_in_words(
    postgres_url: str, state: str, says: str, *, transient: bool
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'so it is' USING ERRCODE = '{state}'; END $$"
    with open_store(postgres_url) as store:
        with pytest.raises(StoreError, match=f"{says}.*so it is") as error:  # noqa: SIM117
            with store.writing() as connection:
                connection.execute(text(raising))
        assert error.value.transient is transient
        assert error.value.hint


def test_a_password_is_not_shown(own_postgres: Server) -> None:
    own_postgres.stop()
    url = make_url(own_postgres.url()).set(password="pa55word")
    with pytest.raises(StoreError) as error:
        open_store(url.render_as_string(hide_password=False), patience=0)
    assert "pa55word" not in str(error.value)


# -- a lock that somebody holds ---------------------------------------------------------------------

HOLDER = """
import sys
from crews.errors import StoreError
from crews.records.store import open_store
from crews.records.tables import meta
from sqlalchemy import insert
with open_store(sys.argv[1]) as store:
    try:
        with store.writing() as connection:
            connection.execute(insert(meta).values(name="held", value="1"))
            print("held", flush=True)
            sys.stdin.readline()
            connection.execute(insert(meta).values(name="late", value="1"))
    except StoreError as error:
        print("transient" if error.transient else "no", error)
    else:
        print("written")
"""


@contextmanager
def holding(url: str) -> Generator[subprocess.Popen[str]]:
    """A process that holds the write lock until it is sent a line."""
    process = child(HOLDER, url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_lock_that_is_given_back_is_waited_for(url: str) -> None:
    with open_store(url, patience=20) as store, holding(url) as process:
        with later(1.5, lambda: process.communicate("go on\n")):
            put(store, "mine")
        assert rows(store) == 4


def test_who_holds_a_file_is_named(file: Path) -> None:
    url = f"sqlite:///{file}"
    with open_store(url, patience=1) as store, holding(url) as process:
        with pytest.raises(StoreError, match=rf"locked by process {process.pid} \(") as error:
            put(store, "mine")
        assert error.value.transient
        assert str(process.pid) in error.value.hint
        assert rows(store) == 1  # a reader is not kept waiting
        with open_store(url, patience=0) as another:  # nor is who opens it
            assert rows(another) == 1


def test_how_a_stopped_holder_is_woken_is_said(file: Path) -> None:
    url = f"sqlite:///{file}"
    with open_store(url, patience=1) as store, holding(url) as process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(StoreError, match="which is stopped") as error:
            put(store, "mine")
        assert f"kill -CONT {process.pid}" in error.value.hint


def test_a_frozen_writer_keeps_nobody_out_of_postgres(postgres_url: str) -> None:
    with open_store(postgres_url, patience=30) as store, holding(postgres_url) as process:
        os.kill(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        put(store, "mine")
        assert time.monotonic() - began < FROZEN + 5
        os.kill(process.pid, signal.SIGCONT)
        out, _ = process.communicate("go on\n")
        assert out.startswith("transient")
        assert rows(store) == 2  # nothing of the frozen one


# -- a disk without room -------------------------------------------------------------------------


def test_a_full_disk_is_said_at_once_and_leaves_nothing_half_done(file: Path) -> None:
    with open_store(f"sqlite:///{file}") as store:
        began = time.monotonic()
        with (
            pytest.raises(StoreError, match="disk is full") as error,
            store.writing() as connection,
        ):
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
            connection.execute(text(f"PRAGMA max_page_count = {pages + 3}"))
            connection.execute(insert(meta).values(name="small", value="1"))
            connection.execute(insert(meta).values(name="big", value="x" * 99_999))
        assert time.monotonic() - began < 5
        assert not error.value.transient
        assert "free space" in error.value.hint
        assert rows(store) == 1
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
