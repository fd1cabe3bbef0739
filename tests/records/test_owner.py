"""Is a process told from one that is gone, and from another with the same number?"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from crews.records.owner import home_id, host_of, presence, this_process
from tests.records.builders import ROOT, child

NAME = """
from crews.records.owner import this_process
print(this_process(), flush=True)
input()
"""


def test_this_process_is_alive_and_keeps_its_name() -> None:
    assert presence(this_process()) == "here"
    assert this_process() == this_process()
    assert f"/{os.getpid()}/" in this_process()


def test_a_child_is_alive_until_it_is_killed() -> None:
    process = child(NAME)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert name != this_process()
    assert presence(name) == "here"
    process.kill()
    process.communicate()
    assert presence(name) == "gone"


def test_a_child_that_nobody_has_collected_is_dead() -> None:
    process = child(NAME)
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert presence(name) == "gone"
    process.communicate()


def test_another_process_with_the_same_number_is_not_the_owner() -> None:
    host, pid, start = this_process().split("/")
    assert presence(f"{host}/{pid}/{start}1") == "gone"


def test_nobody_here_can_say_that_another_host_is_dead() -> None:
    assert presence("elsewhere.example/1/1") == "elsewhere"


def test_a_container_that_shares_the_hosts_name_is_another_host() -> None:
    """Its processes have numbers of their own: one that is not found here may live there."""
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    code = f"import socket\nprint(socket.gethostname()){NAME}"
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*apart, sys.executable, "-c", code], cwd=ROOT, stdin=pipe, stdout=pipe, text=True
    )
    assert process.stdout is not None
    host, name = (process.stdout.readline().strip() for _ in range(2))
    assert host == socket.gethostname()
    assert presence(name) == "elsewhere"
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def test_a_process_keeps_its_name_when_its_host_gets_another() -> None:
    apart = ["unshare", "--user", "--map-root-user", "--uts"]
    code = """
import socket
from crews.records.owner import this_process
before = this_process()
socket.sethostname("another")
print(socket.gethostname(), this_process() == before)
"""
    done = subprocess.run(
        [*apart, sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["another", "True"], done.stderr


def test_a_child_that_is_forked_has_a_name_of_its_own() -> None:
    code = """
import os
from crews.records.owner import presence, this_process
mine = this_process()
if os.fork() == 0:
    print(this_process() != mine, presence(this_process()), flush=True)
    os._exit(0)
os.wait()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "here"], done.stderr


def test_what_is_no_name_is_nobody() -> None:
    host = host_of(this_process())
    for name in ("", "x", "1/2", f"{host}/x/1", f"{host}//"):
        assert presence(name) == "gone", name


def test_a_folder_has_one_name_for_whoever_asks_first(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(home_id, [folder] * 32))
    assert len(names) == 1
    assert names.pop() != home_id(tmp_path / "another")
    assert [one.name for one in folder.iterdir()] == ["home-id"]
