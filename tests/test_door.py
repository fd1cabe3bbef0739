"""Does a worker take orders from its own user's commands, and from nobody else?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from crews import api, door, work
from crews.errors import CrewsError, StoreError, WorkspaceError
from crews.outcome import Kickoff
from crews.records.owner import this_process
from crews.records.rows import RunRow
from crews.records.runs import list_runs
from crews.records.sealing import open_journal
from crews.records.store import Store
from crews.records.tables import runs
from crews.runtime.worker import Worker
from crews.settings import Settings

ORDER = {"kickoff": {"goal": "paint the fence"}}


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path: a socket's has an end."""
    with tempfile.TemporaryDirectory(prefix="door-") as folder:
        yield Path(folder)


def beside(home: Path, act: Callable[[], str], take: door.Take | None = None) -> str:
    """What `act` returns while orders are taken; a run is called after its goal."""

    async def taken(order: door.Order) -> str:
        return str(order["kickoff"]["goal"]).replace(" ", "-")

    async def both() -> str:
        async with door.opened(home, take or taken):
            return await asyncio.to_thread(act)

    return asyncio.run(both())


def test_an_order_makes_a_run(home: Path) -> None:
    assert not door.is_open(home)
    assert beside(home, lambda: str(door.is_open(home))) == "True"
    assert beside(home, lambda: door.hand_in(home, ORDER)) == "paint-the-fence"
    assert not door.is_open(home)
    assert door.hand_in(home, ORDER) == ""


@pytest.mark.parametrize("refuses", [ValueError, OSError])
def test_an_order_that_nobody_takes_makes_none(home: Path, refuses: type[Exception]) -> None:
    async def broken(order: door.Order) -> str:
        raise refuses(order)

    async def unwilling(order: door.Order) -> str:
        del order
        return ""

    takes: tuple[Callable[[door.Order], Awaitable[str]], ...] = (broken, unwilling)
    for take in takes:
        assert beside(home, lambda: door.hand_in(home, ORDER), take) == ""


def test_only_the_owner_can_come_near(home: Path) -> None:
    def modes() -> str:
        (key,) = (home / "doors").glob("*.key")
        paths = (home / "doors", key)
        return " ".join(oct(stat.S_IMODE(path.stat().st_mode)) for path in paths)

    assert beside(home, modes) == "0o700 0o600"


@pytest.mark.parametrize(
    "said",
    [
        json.dumps({"key": "0" * 64, "order": ORDER}),
        json.dumps({"order": ORDER}),
        json.dumps([ORDER]),
        "no JSON",
        "",
    ],
)
def test_whoever_does_not_know_the_key_is_not_heard(home: Path, said: str) -> None:
    def say() -> str:
        (path,) = (home / "doors").glob("*.sock")
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(path))
            line.sendall(said.encode() + b"\n")
            return line.recv(100).decode()

    assert beside(home, say) == ""


def test_what_a_dead_worker_left_is_cleared_away(home: Path) -> None:
    folder = home / "doors"
    folder.mkdir(mode=0o700)
    gone = subprocess.run(["/bin/sh", "-c", "echo $$"], capture_output=True, text=True, check=True)
    left = folder / f"{gone.stdout.strip()}.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(left))
    assert door.hand_in(home, ORDER) == ""
    assert beside(home, lambda: door.hand_in(home, ORDER)) == "paint-the-fence"
    assert not left.exists()


def test_a_folder_that_can_hold_no_socket_takes_no_orders(home: Path) -> None:
    deep = home / ("x" * 100)
    assert beside(deep, lambda: door.hand_in(deep, ORDER)) == ""


@pytest.mark.parametrize("other", ["place", "journal"])
def test_an_order_from_elsewhere_is_not_taken(home: Path, other: str) -> None:
    settings = Settings(home=home, user="ada", base_url="http://127.0.0.1:9")
    order = {
        "kickoff": {"goal": "g", "team": None, "workspace": None}, "folder": str(home), "user": "ada", "token": "",
        "journal": door.fingerprint(settings.journal_url), "place": door.place(),
    }  # fmt: skip

    async def offer(store: Store, changed: dict[str, str]) -> str:
        worker = work.make_worker(store, settings, 1, lambda run, what: None)
        worker.drain()  # what it makes it only queues
        async with worker.taking():
            return await asyncio.to_thread(door.hand_in, home, order | changed)

    with open_journal(settings) as store:
        for changed, runs in (({other: "another"}, 0), ({}, 1)):
            with contextlib.suppress(CrewsError):  # there is no queue here
                asyncio.run(offer(store, changed))
            assert len(list_runs(store)) == runs


def test_an_order_is_handed_in_before_anything_heavy_is_loaded(home: Path) -> None:
    code = (
        "import sys\nfrom crews.cli.order import handed_in\n"
        "print(handed_in({'goal': 'paint the fence', 'inputs': {}, 'submission': None}))\n"
        "print(*{m.partition('.')[0] for m in sys.modules})"
    )

    def ask() -> str:
        environment = {**os.environ, "CREWS_HOME": str(home)}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    run, loaded = beside(home, ask).splitlines()
    assert run == "paint-the-fence"
    assert not set(loaded.split()) & {"crewai", "anthropic", "dbos", "sqlalchemy"}


def test_who_gave_up_on_a_frozen_worker_has_given_no_order(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.1)
    taken: list[door.Order] = []

    async def take(order: door.Order) -> str:
        taken.append(order)
        return "a-run"

    async def frozen() -> str:
        async with door.opened(home, take):
            asked = asyncio.get_running_loop().run_in_executor(None, door.hand_in, home, ORDER)
            time.sleep(0.5)  # noqa: ASYNC251 - nothing in this process goes on
            answer = await asked
            await asyncio.sleep(0.1)
            return answer

    assert asyncio.run(frozen()) == ""
    assert not taken


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_nothing_is_handed_in_where_others_can_listen(home: Path, mode: int) -> None:
    folder = home / "doors"
    folder.mkdir()
    folder.chmod(mode)
    (folder / "1.key").write_text("known to others", encoding="ascii")
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "1.sock"))
        other.listen()
        other.settimeout(0.5)

        def listen() -> None:
            with contextlib.suppress(OSError), other.accept()[0] as line:
                heard.append(line.recv(1000))

        listening = threading.Thread(target=listen)
        listening.start()
        assert not door.is_open(home)
        assert door.hand_in(home, {"token": "of mine"}) == ""
        listening.join()
    assert not heard
    assert beside(home, lambda: door.hand_in(home, ORDER)) == ""


def test_a_key_that_a_dead_worker_left_is_no_hindrance(home: Path) -> None:
    folder = home / "doors"
    folder.mkdir(mode=0o700)
    (folder / f"{os.getpid()}.key").write_text("old", encoding="ascii")
    assert beside(home, lambda: door.hand_in(home, ORDER)) == "paint-the-fence"


def settings_of(home: Path) -> Settings:
    return Settings(home=home, user="ada", base_url="http://127.0.0.1:9")


def order_for(settings: Settings, **kickoff: object) -> door.Order:
    """An order of this user's."""
    asked = {"goal": "g", "team": None, "workspace": None, **kickoff}
    return {
        "kickoff": asked, "folder": str(settings.home), "user": "ada", "token": "",
        "journal": door.fingerprint(settings.journal_url), "place": door.place(),
    }  # fmt: skip


def handed_to_a_worker(store: Store, settings: Settings, order: door.Order) -> str:
    async def offer() -> str:
        worker = work.make_worker(store, settings, 1, lambda run, what: None)
        worker.drain()  # what it makes it only queues
        async with worker.taking():
            return await asyncio.to_thread(door.hand_in, settings.home, order)

    return asyncio.run(offer())


def test_a_run_that_breaks_off_while_it_is_made_is_kept_by_nobody(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its maker lives on: no other worker would take it, and who asked would look on for ever."""

    def away(store: Store, run: str) -> RunRow:
        raise StoreError(f"{store} went away after {run} was written down")

    settings = settings_of(home)
    with open_journal(settings) as store:
        with monkeypatch.context() as broken:
            broken.setattr("crews.records.runs.get_run", away)
            order = order_for(settings, submission="once")
            assert handed_to_a_worker(store, settings, order) == ""
        (run,) = list_runs(store)
        assert (run.status, run.owner) == ("queued", "")


@pytest.mark.parametrize(
    ("standing", "answered"),
    [
        ({"status": "failed"}, False),
        ({"status": "queued", "reason": "interrupted"}, False),
        ({"status": "completed"}, True),
        ({"status": "running"}, True),
    ],
)
def test_who_asks_again_for_a_run_that_waits_for_them_goes_on_with_it(
    home: Path, standing: dict[str, str], answered: bool
) -> None:
    """A worker leaves such a run alone: to look on would never end."""
    settings = settings_of(home)
    request = Kickoff(goal="g", submission="once")
    with open_journal(settings) as store:
        run = api.create(request, store, settings).id
        with store.writing() as connection:
            connection.execute(update(runs).where(runs.c.id == run).values(**standing))
        order = order_for(settings, submission="once")
        assert handed_to_a_worker(store, settings, order) == (run if answered else "")


def test_a_worker_begins_no_more_at_once_than_it_has_room_for(home: Path) -> None:
    """What waits for room here would be found by no other worker, which may have some."""
    settings = settings_of(home)

    async def begun(store: Store) -> list[bool]:
        worker = work.make_worker(store, settings, 1, lambda run, what: None)
        made = [api.create(Kickoff(goal=g), store, settings) for g in ("a", "b")]
        answers = [worker.begin(run) for run in made]
        worker.give_up()
        await asyncio.sleep(0.1)
        return answers

    with open_journal(settings) as store:
        assert asyncio.run(begun(store)) == [True, False]


@pytest.mark.parametrize("others", [0, 1])
def test_a_run_that_is_made_at_a_door_goes_before_none_that_waits(
    home: Path, others: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def begin(worker: Worker, run: RunRow) -> bool:
        del worker
        begun.append(run.id)
        return True

    monkeypatch.setattr(Worker, "begin", begin)
    settings = settings_of(home)
    with open_journal(settings) as store:
        for n in range(others):
            api.create(Kickoff(goal=f"wait {n}", priority=1), store, settings)
        with contextlib.suppress(CrewsError):  # there is no queue here
            handed_to_a_worker(store, settings, order_for(settings))
    assert len(begun) == 1 - others


def test_what_a_worker_could_not_make_its_giver_is_told_of(home: Path, tmp_path: Path) -> None:
    """They try it themselves: the run must be nobody's, or they would only look at it."""
    settings = settings_of(home)
    request = Kickoff(goal="g", submission="once", workspace=str(tmp_path / "nowhere"))
    with open_journal(settings) as store:
        order = order_for(settings, submission="once", workspace=request.workspace)
        assert handed_to_a_worker(store, settings, order) == ""
        (run,) = list_runs(store)
        assert (run.status, run.owner) == ("failed", "")
        again = api.create(request, store, settings, owner=this_process())
        assert again.id == run.id
        with pytest.raises(WorkspaceError, match="not a folder") as told:
            asyncio.run(api.advance(run.id, store, settings))
        assert told.value.hint
