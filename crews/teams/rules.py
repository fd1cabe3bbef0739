"""Do a policy's rules, chains and queue say what they seem to say?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

from pydantic import JsonValue

from crews.teams.keys import HOST_PATTERN
from crews.teams.names import check_contents, check_globs, check_known, check_one, sub, texts
from crews.teams.shape import Sheet
from crews.teams.values import Path, closest

DEFAULT_CHAIN: Final = "default"
"""The chain of every review whose rule names none."""
_ASKING: Final = ("at", "role", "chain", "four_eyes")
"""Keys of a rule that say how a human is asked."""


def check_policy(policy: Sheet, agents: Sheet, known_tools: frozenset[str]) -> None:
    """Note every rule, chain and number of `policy.yaml` that leads nowhere."""
    lines: dict[str, int] = {}
    for index, rule in enumerate(_rules(policy)):
        path = ("rules", index)
        _twice(policy, path, rule, lines)
        _effective(policy, path, rule)
        _chain_of(policy, path, rule)
        _when(policy, (*path, "when"), sub(rule, "when"), agents, known_tools)
    _chains(policy)
    _queue(policy)
    _hosts(policy)
    _declared(policy, agents, known_tools)


def _declared(sheet: Sheet, agents: Sheet, known_tools: frozenset[str]) -> None:
    """Note declarations of tools that the team has not, or that declare themselves."""
    tools = sheet.data.get("tools")
    foreign = {t for a in agents.data.values() for t in texts(sub(a, "tools")) if ":" in t}
    for name, keys in tools.items() if isinstance(tools, dict) else ():
        place = sheet.key("tools", name)
        if name in known_tools:
            message = f"'{name}' comes with this engine, which knows what it does"
            sheet.source.error(place, message, "remove it; tools from outside are declared here")
        elif agents.complete and (not foreign or (":" in name and name not in foreign)):
            message = f"no agent has the tool '{name[:80]}'"
            sheet.source.warning(place, message, closest(name, foreign))
        if sub(keys, "result") == "trusted" and sub(keys, "trusted_fields"):
            place = sheet.key("tools", name, "trusted_fields")
            message = "'trusted_fields' says nothing where the whole result is trusted"
            sheet.source.warning(place, message, "remove it, or `result: trusted`")


def _hosts(sheet: Sheet) -> None:
    """Note hosts that no name is ever like."""
    for index, host in enumerate(texts(sheet.data.get("egress"))):
        if not re.match(HOST_PATTERN, host):
            message = f"'{host[:80]}' is no host"
            hint = "write HOST, *.HOST or HOST:PORT, without http:// and without a path"
            sheet.source.error(sheet.place("egress", index), message, hint)


def _rules(policy: Sheet) -> Sequence[JsonValue]:
    rules = policy.data.get("rules")
    return rules if isinstance(rules, list) else ()


def _twice(sheet: Sheet, path: Path, rule: JsonValue, lines: dict[str, int]) -> None:
    name = sub(rule, "name")
    if not isinstance(name, str):
        return
    place = sheet.place(*path, "name")
    if name in lines:
        first = f"the first is in line {lines[name]}; rename one"
        sheet.source.error(place, f"a second rule is named '{name}'", first)
    else:
        lines[name] = place.line


def _effective(sheet: Sheet, path: Path, rule: JsonValue) -> None:
    """Warn of rules that say more, or less, than it seems."""
    ruling = sub(rule, "ruling")
    if ruling == "allow" and not sub(rule, "when") and not _given(sheet, (*path, "when")):
        place = sheet.place(*path, "ruling")
        sheet.source.warning(place, "this rule allows every action", "say `when:` it holds")
    if ruling == "allow" and sub(sub(rule, "when"), "confidence_below") is not None:
        place = sheet.key(*path, "when", "confidence_below")
        message = "this rule never holds: what an agent says of its own confidence allows nothing"
        sheet.source.warning(place, message, "remove 'confidence_below', or ask instead of allow")
    for name in _ASKING if ruling in {"allow", "deny"} else ():
        if sub(rule, name):
            place = sheet.key(*path, name)
            message = f"'{name}' has no effect: only an `ask` is put to a human"
            sheet.source.warning(place, message, "remove it")


def _given(sheet: Sheet, path: Path) -> bool:
    """Does the file hold any key below this one, right or wrong?"""
    return any(key[: len(path)] == path and len(key) > len(path) for key in sheet.keys)


def _chain_of(sheet: Sheet, path: Path, rule: JsonValue) -> None:
    name = sub(rule, "chain")
    unread = ("chains",) in sheet.keys and "chains" not in sheet.data
    if isinstance(name, str) and name and not unread:
        check_one(sheet, (*path, "chain"), name, _names(sheet), "chain")
    _role_of(sheet, path, rule, name if isinstance(name, str) and name else DEFAULT_CHAIN)


def _role_of(sheet: Sheet, path: Path, rule: JsonValue, chain: str) -> None:
    """Warn of a rule whose role is not asked, because its chain begins with another one."""
    stages = sub(sheet.data.get("chains"), chain)
    first = sub(stages[0], "role") if isinstance(stages, list) and stages else None
    role = sub(rule, "role")
    if sub(rule, "ruling") == "ask" and role and first and role != first:
        message = f"the role '{role}' is not asked: the chain '{chain[:80]}' begins with '{first}'"
        hint = "remove it, or the role of the chain's first stage"
        sheet.source.warning(sheet.key(*path, "role"), message, hint)


def _names(sheet: Sheet) -> tuple[str, ...]:
    """Names of the chains, right or wrong: a mistake in a chain is no mistake of who names it."""
    return tuple(str(key[1]) for key in sheet.keys if len(key) == 2 and key[0] == "chains")


def _when(
    sheet: Sheet, path: Path, when: JsonValue, agents: Sheet, known_tools: frozenset[str]
) -> None:
    check_globs(sheet, (*path, "path"), sub(when, "path"))
    check_contents(sheet, (*path, "content"), sub(when, "content"))
    _tool_globs(sheet, (*path, "tool"), texts(sub(when, "tool")), known_tools)
    if agents.complete:
        check_known(sheet, (*path, "agent"), sub(when, "agent"), agents.data, "agent")


def _tool_globs(sheet: Sheet, path: Path, globs: Iterable[str], known: frozenset[str]) -> None:
    for index, glob in enumerate(globs):
        if ":" not in glob and not any(fnmatchcase(tool, glob) for tool in known):
            message = f"'{glob[:80]}' matches no tool"
            sheet.source.warning(sheet.place(*path, index), message, closest(glob, known))


def _chains(sheet: Sheet) -> None:
    chains = sheet.data.get("chains")
    named = [sub(rule, "chain") for rule in _rules(sheet)]
    for name, stages in chains.items() if isinstance(chains, dict) else ():
        path = ("chains", name)
        if name != DEFAULT_CHAIN and name not in named:
            message = f"no rule names the chain '{name[:80]}'"
            hint = f"name it in a rule, as `chain: {name[:80]}`, or call it {DEFAULT_CHAIN}"
            sheet.source.warning(sheet.key(*path), message, hint)
        for index, stage in enumerate(stages if isinstance(stages, list) else ()):
            _stage(sheet, (*path, index), stage)


def _stage(sheet: Sheet, path: Path, stage: JsonValue) -> None:
    within, remind = sub(stage, "within"), sub(stage, "remind")
    if isinstance(within, float) and isinstance(remind, float) and remind >= within:
        place = sheet.place(*path, "remind")
        message = "nobody is reminded: 'remind' is not shorter than 'within'"
        sheet.source.warning(place, message, "shorten it, or remove it")


def _queue(sheet: Sheet) -> None:
    if ("queue", "per") in sheet.keys and ("queue", "starts") not in sheet.keys:
        place = sheet.key("queue", "per")
        sheet.source.error(place, "'per' says nothing without 'starts'",
                           "add `starts: ...`, how often in that time")  # fmt: skip
