"""Which hosts may a command reach, and at which addresses? Only what policy lists.

`example.org` is that host on ports 80 and 443, `*.example.org` any host beneath it, and
`example.org:8443` that port only. A command names hosts, never addresses; an answer of the name
service that leads into a private network counts only where that very address is listed as well.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

PORTS = (80, 443)
_NAME = re.compile(
    r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
)
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*")
"""What some programs read as an IPv4 address, in any of its spellings."""
_TUNNELS = tuple(
    ipaddress.IPv6Network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
"""Addresses that stand for IPv4 ones."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class AllowList:
    """What `egress:` in policy.yaml says."""

    entries: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries)

    def allows(self, host: str, port: int) -> bool:
        """May this host, as the command wrote it, be asked for at all?"""
        name = plain_name(host)
        return bool(name) and any(_matches(entry.lower(), name, port) for entry in self.entries)

    def reaches(self, address: str) -> bool:
        """May a listed host be reached where the name service says it is?"""
        found = _address(address)
        if found is None:
            return False
        listed = {_address(entry.strip("[]")) for entry in self.entries}
        return found in listed or _public(found)


def plain_name(host: str) -> str:
    """The host's name in lower case and ASCII; empty: it is no name, or an address."""
    try:
        name = host.strip().removesuffix(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        return ""
    return "" if not _NAME.fullmatch(name) or _NUMBER.fullmatch(name) else name


def _matches(entry: str, name: str, port: int) -> bool:
    pattern, _, listed = entry.partition(":")
    if listed != str(port) if listed else port not in PORTS:
        return False
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == pattern


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and any(address in net for net in _TUNNELS):
        return False
    return address.is_global and not address.is_multicast


def shown(hosts: Iterable[str], most: int = 50) -> list[str]:
    """Hosts for a log: sorted, plain, and not without end."""
    named = sorted({ascii(host)[1:-1][:260] for host in hosts})
    return named if len(named) <= most else [*named[:most], f"and {len(named) - most} more"]
