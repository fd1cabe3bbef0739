"""What does a thread know, and from whom? It begins with what is trusted, and each result adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from pydantic import JsonValue

from crews.safety.labels import (
    AIMED,
    Exposure,
    Grounds,
    Provenance,
    asked_with_trust,
    origins,
    secret_texts,
    trusted_texts,
    with_places,
    worst,
)
from crews.safety.redact import Redactor
from crews.safety.values import leaves
from crews.teams.spec import ArgumentRole, Effect, ResultLabel, ToolSpec

Heard = Literal["trusted", "fields", "values", "workspace", "untrusted"]
"""What a result was taken for. `fields`: anybody's words, but some fields of it are trusted."""
_EXPOSES: Final[Mapping[str, Exposure]] = {
    "trusted": "trusted",
    "values": "values",
    "workspace": "workspace",
}
_NO_ROLES: Final[Mapping[str, ArgumentRole]] = {}


@dataclass(frozen=True, slots=True)
class Declared:
    """What is declared of a tool: roles of its arguments, and whose words its result is."""

    roles: Mapping[str, ArgumentRole]
    """An argument that is not named is a target."""
    result: ResultLabel = "untrusted"
    fields: tuple[str, ...] = ()
    """Fields of a JSON result that are trusted, where the rest is not."""
    secrets: tuple[str, ...] = ()
    """Fields of a JSON result that are secret or personal: they do not leave an exposed thread."""
    grounds: bool = False
    """Can a trusted result name a target? Not where it only says that something was done."""


UNDECLARED: Final = Declared(_NO_ROLES)
"""A tool of which nothing is known: every argument is a target, and nothing that it says is trusted."""


ENGINES_OWN: Final = Declared(_NO_ROLES, "trusted")
"""A tool whose result holds no words of others beyond what its thread has read: the engine's, or a human's."""


def declared_by(spec: ToolSpec) -> Declared:
    """What a team's policy says of a tool from outside."""
    return Declared(
        spec.arguments, spec.result, spec.trusted_fields, spec.secret_fields, grounds=True
    )


@dataclass(frozen=True, slots=True)
class Known:
    """One thread's knowledge, as it was before its newest answer."""

    grounds: Grounds = Grounds()
    exposure: Exposure = "untrusted"
    secrets: frozenset[str] = frozenset()
    """Values of secret fields that were read."""
    results: tuple[tuple[str, str], ...] = ()
    """Address and text of what others may have written, for showing where a value comes from."""

    def trusting(self, texts: Iterable[str]) -> Known:
        """With more that is trusted: what a human has said since."""
        return replace(self, grounds=self.grounds.plus(texts))

    def heard_as(self, tool: Declared, arguments: Mapping[str, JsonValue]) -> Heard:
        """What a result of this call is to be taken for, once it is there."""
        if tool.result == "workspace":
            return "workspace"
        if not (tool.result == "trusted" or tool.fields):
            return "untrusted"
        # A field that the tool itself makes up is not what it was given as content.
        content = frozenset(n for n in arguments if tool.roles.get(n) == "content")
        beside = content if tool.result != "trusted" else frozenset[str]()
        if tool.grounds and not asked_with_trust(arguments, self.exposure, self.grounds, beside):
            return "untrusted"
        return "trusted" if tool.result == "trusted" else "fields"

    def after(
        self,
        address: str,
        heard: str,
        text: str,
        *,
        tool: Declared = UNDECLARED,
        arguments: Mapping[str, JsonValue] | None = None,
        failed: bool = False,
    ) -> Known:
        """With one more result, that was taken for `heard`; an error message grounds nothing."""
        known = replace(
            self,
            exposure=worst((self.exposure, _EXPOSES.get(heard, "untrusted"))),
            secrets=self.secrets | secret_texts(text, tool.secrets),
        )
        if heard != "trusted":
            known = replace(known, results=(*self.results, (address, text)))
        if failed or not tool.grounds or heard not in {"trusted", "fields"}:
            return known
        fields = tool.fields if heard == "fields" else ()
        return known.trusting(trusted_texts(text, arguments or {}, fields))

    def provenance(
        self,
        effect: Effect,
        tool: Declared,
        arguments: Mapping[str, JsonValue],
        *,
        secret: bool = False,
    ) -> Provenance:
        """Where the values of an action come from. Raises TooDeep where they cannot be looked into."""
        if effect not in AIMED:
            return Provenance(self.exposure, secret=secret)
        found = with_places(origins(arguments, tool.roles, self.grounds), self.results)
        return Provenance(self.exposure, found, secret, self._carried(tool, arguments))

    def _carried(self, tool: Declared, arguments: Mapping[str, JsonValue]) -> bool:
        """Is a secret that was read among the arguments, in whatever encoding, where none belongs?"""
        if not self.secrets:
            return False
        open_ = ((n, v) for n, v in arguments.items() if tool.roles.get(n) != "secret")
        holds = _finder(self.secrets).holds
        return any(holds(leaf) for name, value in open_ for _, leaf in leaves(value, name))


@lru_cache(maxsize=64)
def _finder(secrets: frozenset[str]) -> Redactor:
    return Redactor({f"read-{n}": value for n, value in enumerate(sorted(secrets))})
