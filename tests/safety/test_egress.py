"""Is a host let through only where it is listed, however it is spelt and wherever it lies?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.egress import AllowList, plain_name, shown

LISTED = AllowList(("code.test", "*.example.org", "git.test:8443", "10.0.0.7"))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("code.test", 443),
        ("code.test", 80),
        ("Code.Test.", 443),
        ("a.example.org", 443),
        ("a.b.example.org", 443),
        ("git.test", 8443),
    ],
)
def test_a_listed_host_is_let_through(host: str, port: int) -> None:
    assert LISTED.allows(host, port)


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("code.test", 22),
        ("evil.org", 443),
        ("code.test.evil.org", 443),
        ("notcode.test", 443),
        ("example.org", 443),
        ("evilexample.org", 443),
        ("example.org.evil.org", 443),
        ("git.test", 443),
        ("10.0.0.7", 443),
        ("127.0.0.1", 443),
        ("0x7f.1", 443),
        ("2130706433", 443),
        ("017700000001", 443),
        ("::1", 443),
        ("[::1]", 443),
        ("", 443),
        (".", 443),
        ("code.test@evil.org", 443),
        ("code.test\r\nx", 443),
        ("code.test/..", 443),
        ("code.test%00.evil.org", 443),
        ("рypi.org", 443),
    ],
)
def test_every_other_host_is_not(host: str, port: int) -> None:
    assert not LISTED.allows(host, port)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "::1", "fe80::1", "fe80::1%eth0"),
        *("fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2001:0:1::", "no address", ""),
    ],
)
def test_a_private_network_is_not_reached(address: str) -> None:
    assert not LISTED.reaches(address)


def test_a_public_address_is_reached_and_a_private_one_where_it_is_listed() -> None:
    assert LISTED.reaches("1.1.1.1")
    assert LISTED.reaches("2606:4700::1111")
    assert LISTED.reaches("10.0.0.7")
    assert LISTED.reaches("::ffff:10.0.0.7")
    assert not AllowList(("10.0.0.8",)).reaches("10.0.0.7")


def test_without_a_list_nothing_is_let_through() -> None:
    assert not AllowList()
    assert not AllowList().allows("code.test", 443)


@given(st.text(max_size=40), st.integers(0, 65535))
def test_nothing_but_what_is_listed_gets_through(host: str, port: int) -> None:
    name = plain_name(host)
    listed = name == "code.test" or name.endswith(".example.org")
    expected = (listed and port in (80, 443)) or (name == "git.test" and port == 8443)
    assert LISTED.allows(host, port) is expected


def test_a_log_of_hosts_is_plain_and_has_an_end() -> None:
    assert shown(["b\x1b[2J", "a"]) == ["a", "b\\x1b[2J"]
    assert shown([str(n) for n in range(80)])[-1] == "and 30 more"
