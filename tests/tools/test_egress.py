"""Does a command reach the hosts that policy lists, and no other, and is it known where it went?"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crews.errors import SandboxUnavailable
from crews.records import audit
from crews.safety.egress import AllowList
from crews.teams.spec import Match, Rule, SandboxChoice
from crews.tools.egress import Proxy
from crews.tools.gate import Seat
from crews.tools.sandbox import CommandResult, choose
from crews.tools.shell import RunCommand
from tests.support.sandboxes import LIMITS, marked, sandbox_of
from tests.tools.bench import Bench, laid_out, ruled

pytestmark = pytest.mark.anyio


class Site(ThreadingHTTPServer):
    """A site on the host's loopback, that counts who comes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.heads: list[str] = []


class _Page(BaseHTTPRequestHandler):
    server: Site  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        self.server.heads.append(f"{self.requestline}\n{self.headers}")
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,))
        thread.start()
        yield served
        served.shutdown()
        thread.join()


async def ran(folder: Path, source: str, *listed: str) -> CommandResult:
    """A Python program in bubblewrap, with these hosts listed."""
    sandbox_of("bubblewrap")  # skips, or fails, where it is missing
    (folder / "program.py").write_text(source, encoding="utf-8")
    sandbox = choose("bubblewrap", listed)
    return await sandbox.run("python program.py", folder, LIMITS)


FETCH = """
import sys, urllib.request
for url in URLS:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            print(answer.read().decode())
    except OSError as error:
        print(getattr(error, "code", "") or error)
"""
TUNNEL = """
import socket
s = socket.create_connection(("127.0.0.1", 3128), 5)
s.sendall(f"CONNECT {TARGET} HTTP/1.1\\r\\n\\r\\n".encode())
head = s.recv(4096)
print(head.split(b"\\r\\n")[0].decode())
if b" 200 " in head:
    s.sendall(b"GET /x HTTP/1.0\\r\\n\\r\\n")
    data = b""
    while piece := s.recv(4096):
        data += piece
    print(data.rpartition(b"\\r\\n")[2].decode())
"""


async def test_a_listed_host_is_reached_and_no_other(site: Site, tmp_path: Path) -> None:
    port = site.server_port
    urls = [f"http://localhost:{port}/a?b=c", "http://example.org/", f"http://127.0.0.1:{port}/"]
    source = (
        f"import os\nos.environ['no_proxy'] = os.environ['NO_PROXY'] = ''\nURLS = {urls}\n{FETCH}"
    )
    result = await ran(tmp_path, source, f"localhost:{port}", "127.0.0.1")
    assert result.output == "hello\n403\n403\n"
    assert [head.split("\n")[0] for head in site.heads] == ["GET /a?b=c HTTP/1.1"]
    assert f"Host: localhost:{port}" in site.heads[0]
    assert result.facts == {
        "reached": [f"localhost:{port}"],
        "refused": [f"127.0.0.1:{port}", "example.org:80"],
    }


async def test_a_tunnel_goes_where_it_may(site: Site, tmp_path: Path) -> None:
    port = site.server_port
    listed = (f"localhost:{port}", "127.0.0.1")
    result = await ran(tmp_path, f"TARGET = 'localhost:{port}'\n{TUNNEL}", *listed)
    assert result.output == "HTTP/1.1 200 connected\nhello\n"
    for target in (
        "localhost:22",
        f"127.0.0.1:{port}",
        f"[::1]:{port}",
        "evil.test:443",
        "nonsense",
    ):
        refused = await ran(tmp_path, f"TARGET = {target!r}\n{TUNNEL}", *listed)
        assert "200" not in refused.output
    assert len(site.heads) == 1


async def test_a_name_that_leads_into_a_private_network_is_refused(
    site: Site, tmp_path: Path
) -> None:
    target = f"localhost:{site.server_port}"
    result = await ran(tmp_path, f"TARGET = {target!r}\n{TUNNEL}", target)
    assert result.output == "HTTP/1.1 403 this host lies in a private network\n"
    assert (site.heads, result.facts) == ([], {"reached": [], "refused": [target]})


async def test_there_is_no_way_but_by_the_proxy(site: Site, tmp_path: Path) -> None:
    source = f"import socket\nsocket.create_connection(('127.0.0.1', {site.server_port}), 3)"
    result = await ran(tmp_path, source, f"localhost:{site.server_port}", "127.0.0.1")
    assert "ConnectionRefusedError" in result.output
    assert (
        "lo"
        in (await ran(tmp_path, "import socket; print(socket.if_nameindex())", "a.test")).output
    )
    assert site.heads == []


async def test_without_a_list_there_is_no_way_at_all(tmp_path: Path) -> None:
    result = await ran(
        tmp_path, f"import os\nprint('http_proxy' in os.environ)\nTARGET = 'x:1'\n{TUNNEL}"
    )
    assert result.output.startswith("False\n")
    assert "ConnectionRefusedError" in result.output


async def test_a_command_ends_as_without_it(tmp_path: Path) -> None:
    sandbox_of("bubblewrap")
    sandbox = choose("bubblewrap", ("a.test",))
    result = await sandbox.run("echo out; echo err >&2; pwd; exit 7", tmp_path, LIMITS)
    assert (result.exit_code, result.output) == (7, "out\nerr\n/workspace\n")
    killed = await sandbox.run("sleep 30", tmp_path, replace(LIMITS, wall_seconds=1))
    assert killed.killed_for == "time"
    assert [pid for pid in marked("/run/forwarder.py") if pid] == []


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "::1"]
)
async def test_whatever_the_name_service_says_is_judged(address: str, tmp_path: Path) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        del host, port
        return [address]

    async with Proxy(AllowList(("a.test",)), resolve).serving(tmp_path / "e", None) as proxy:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "e" / "proxy")
        writer.write(b"CONNECT a.test:443 HTTP/1.1\r\n\r\n")
        assert b"403" in await reader.readline()
        writer.close()
    assert proxy.refused == {"a.test:443"}


@pytest.mark.parametrize("said", [b"", b"x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 40_000])
async def test_what_is_no_request_gets_nowhere(said: bytes, tmp_path: Path) -> None:
    async with Proxy(AllowList(("a.test",))).serving(tmp_path / "e", None) as proxy:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "e" / "proxy")
        writer.write(said)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            assert b"200" not in await reader.read()
        writer.close()
    assert proxy.reached == set()


@pytest.mark.parametrize("choice", ["landlock", "docker", "none"])
def test_where_it_cannot_be_held_to_it_is_refused(choice: SandboxChoice) -> None:
    with pytest.raises(SandboxUnavailable, match="only bubblewrap gives a command a network"):
        choose(choice, ("a.test",))


# -- what policy and the audit log make of it -----------------------------------------------------


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with laid_out(tmp_path) as made:
        yield made


def reaching(bench: Bench, *listed: str) -> Seat:
    """A seat whose commands may reach these hosts."""
    sandbox_of("bubblewrap")
    seat = bench.seat(RunCommand())
    return replace(seat, context=replace(seat.context, sandbox=choose("bubblewrap", listed)))


def settled(bench: Bench, command: str, *listed: str) -> dict[str, object]:
    """The audit log's last row after this call."""
    call = bench.propose("run_command", command=command)
    asyncio.run(bench.gate().settle(call, reaching(bench, *listed)))
    return json.loads(audit.entries(bench.store, bench.journal.run)[-1].body)


ALLOWED = Rule(name="go", when=Match(effect=("execute", "network")), ruling="allow")


def test_the_audit_log_says_where_a_command_went(bench: Bench, site: Site) -> None:
    port = site.server_port
    bench = ruled(bench, ALLOWED)
    fetch = f"python -c \"import urllib.request as u; u.ProxyHandler; u.urlopen(u.Request('http://localhost:{port}/'))\""
    command = f"unset no_proxy NO_PROXY; {fetch}; python -c \"import urllib.request as u; u.urlopen('http://b.test/')\""
    body = settled(bench, command, f"localhost:{port}", "127.0.0.1")
    assert (body["reached"], body["refused"]) == ([f"localhost:{port}"], ["b.test:80"])


def test_a_command_that_reaches_out_is_asked_about(bench: Bench) -> None:
    call = bench.propose("run_command", command="true")
    with pytest.raises(BaseException, match=call.address):
        asyncio.run(bench.gate().settle(call, reaching(bench, "a.test")))
    assert bench.now(call).state == "waiting"


def test_rules_about_commands_hold_for_it_too(bench: Bench) -> None:
    denied = Rule(name="no", when=Match(effect=("execute",)), ruling="deny", reason="no commands")
    assert settled(ruled(bench, ALLOWED, denied), "true", "a.test")["state"] == "denied"


def test_an_allowance_for_commands_alone_does_not_let_it_reach_out(bench: Bench) -> None:
    alone = Rule(name="go", when=Match(effect=("execute",)), ruling="allow")
    call = (bench := ruled(bench, alone)).propose("run_command", command="true")
    with pytest.raises(BaseException, match=call.address):
        asyncio.run(bench.gate().settle(call, reaching(bench, "a.test")))
