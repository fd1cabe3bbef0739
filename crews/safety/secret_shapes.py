"""Which text looks like a secret? A table of shapes, each behind a cheap test for a fixed part.

The shapes are the issuers' own published prefixes. A match says that text *looks* like a secret;
text without a match may hold one all the same: only known values can be removed with certainty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of secret, looked for where one of `needles` occurs; group `s` is the secret."""

    name: str
    needles: tuple[str, ...]
    """Fixed parts, in lower case."""
    pattern: re.Pattern[str]
    at_needle: bool = False
    """The pattern begins with the needle, so it is tried there and nowhere else."""


SHORTEST = 8
"""Characters of the shortest text with a secret's shape: `://:abc@`."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a secret-shaped text was found."""

    name: str
    start: int
    end: int


def shaped(text: str, shapes: tuple[Shape, ...] | None = None) -> Iterator[Spot]:
    """Every secret-shaped part of the text, shape by shape; parts may overlap. `shapes`: only these."""
    if len(text) < SHORTEST:
        return
    lower = _lower(text)
    # Hardly any text holds a needle: it is looked for before anything else is.
    near = [shape for needle, shape in _needles(shapes) if needle in lower]
    last = None
    for shape in near:
        if shape is last:
            continue  # another of its needles
        last = shape
        group = "s" if "s" in shape.pattern.groupindex else 0
        for match in _matches(shape, text, lower):
            yield Spot(shape.name, match.start(group), match.end(group))


def _needles(shapes: tuple[Shape, ...] | None) -> Iterable[tuple[str, Shape]]:
    """Every needle and its shape, shape by shape."""
    if shapes is None:
        return _all_needles()
    return [(needle, shape) for shape in shapes for needle in shape.needles]


@cache
def _all_needles() -> tuple[tuple[str, Shape], ...]:
    return tuple(_needles(SHAPES))


def _lower(text: str) -> str:
    """In lower case at the same positions: a few characters would become two."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(c.lower() if c.isascii() else c for c in text)


def _matches(shape: Shape, text: str, lower: str) -> Iterator[re.Match[str]]:
    if not shape.at_needle:
        yield from shape.pattern.finditer(text)
        return
    for needle in shape.needles:
        at = lower.find(needle)
        while at >= 0:
            if match := shape.pattern.match(text, at):
                yield match
            at = lower.find(needle, at + len(needle))


def _shape(name: str, needles: str, pattern: str, *, at_needle: bool = False) -> Shape:
    return Shape(name, tuple(needles.lower().split()), re.compile(pattern), at_needle)


_EDGE = r"(?<![A-Za-z0-9])"
_NAMES = (
    r"(?:passw(?:or)?d|passphrase|secret|token"
    r"|(?:(?<=api)|(?<=access)|(?<=api[_-])|(?<=access[_-])|(?<=secret[_-])|(?<=private[_-])"
    r"|(?<=auth[_-])|(?<=account[_-])|(?<=signing[_-])|(?<=encryption[_-]))key)"
)
_MIXED = r"(?=[^\"'\s]{0,200}[0-9])(?=[^\"'\s]{0,200}[A-Za-z])"
"""A letter and a digit soon: keeps plain words and names out."""

_DIGIT_SOON = r"(?=[A-Za-z_.+/-]{0,60}[0-9])"
_SERVICES = (
    "gsk_ xai- pplx- tvly- pcsk_ lsv2_pt_ lsv2_sk_ glsa_ glc_ NRAK- sntrys_ sntryu_ lin_api_ ntn_ figd_ PMAK- "
    "dp.pt. dp.st. dp.ct. dp.sa. nfp_ sbp_ pscale_tkn_ pscale_pw_ pscale_oauth_ fo1_ fm2_ rubygems_ ATATT3 "
    "ATCTT3 dt0c01. sq0atp- sq0csp- CCIPAT_ pul- shippo_live_ duffel_live_ sgp_ dnkey- api_org_"
)
"""Beginnings of the keys of services that have given them one of their own."""

SHAPES: tuple[Shape, ...] = (
    _shape(
        "private-key",
        "-----begin",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:"
        r"[A-Za-z0-9+/=\s:,.\\()-]{0,8000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:(?:\r?\n|\\r?\\n)(?:(?:Proc-Type|DEK-Info|Comment)[^\n]{0,100}|[A-Za-z0-9+/=]{0,200}))"
        r"{0,400})",
        at_needle=True,
    ),
    _shape(
        "age-key",
        "age-secret-key-",
        r"(?i:AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{40,120})",
        at_needle=True,
    ),
    _shape(
        "aws-key",
        "akia asia abia acca",
        _EDGE + r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])",
        at_needle=True,
    ),
    _shape("aws-key", "absk", _EDGE + r"ABSK[A-Za-z0-9+/]{100,280}={0,2}", at_needle=True),
    _shape(
        "aws-secret",
        "aws",
        r"(?i)aws.{0,30}?(?:secret|sk|key).{0,20}?[\"'=:\s]"
        r"(?P<s>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        at_needle=True,
    ),
    _shape(
        "github-token",
        "ghp_ gho_ ghu_ ghs_ ghr_",
        _EDGE + r"gh[pousr]_[A-Za-z0-9]{30,255}",
        at_needle=True,
    ),
    _shape("github-token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,255}", at_needle=True),
    _shape(
        "gitlab-token",
        "glpat- glptt- gldt- glrt- glrtr- gloas- glcbt- glimt- glft- glsoat- glffct- glagent- glwt-",
        r"gl(?:pat|ptt|dt|rtr?|oas|cbt|imt|ft|soat|ffct|agent|wt)-[A-Za-z0-9_.-]{20,300}",
        at_needle=True,
    ),
    _shape(
        "slack-token", "xox xapp-", r"(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,250}", at_needle=True
    ),
    _shape(
        "slack-webhook",
        "hooks.slack.com",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[\w/-]{20,200}",
        at_needle=True,
    ),
    _shape(
        "stripe-key",
        "sk_live_ sk_test_ sk_prod_ rk_live_ rk_test_ rk_prod_ whsec_",
        _EDGE + r"(?:(?:sk|rk)_(?:live|test|prod)|whsec)_[A-Za-z0-9]{16,250}",
        at_needle=True,
    ),
    _shape("anthropic-key", "sk-ant-", r"sk-ant-[A-Za-z0-9_-]{20,250}", at_needle=True),
    _shape(
        "openai-key",
        "sk-",
        _EDGE + r"sk-(?!ant-)(?:[a-z]+-)?(?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{24,250}",
        at_needle=True,
    ),
    _shape("google-key", "aiza", _EDGE + r"AIza[A-Za-z0-9_-]{35}", at_needle=True),
    _shape(
        "google-oauth",
        "gocspx- ya29.",
        r"(?:GOCSPX-[A-Za-z0-9_-]{20,60}|ya29\.[A-Za-z0-9_-]{20,500})",
        at_needle=True,
    ),
    _shape("npm-token", "npm_", _EDGE + r"npm_[A-Za-z0-9]{36}", at_needle=True),
    _shape("pypi-token", "pypi-", _EDGE + r"pypi-AgE[A-Za-z0-9_-]{50,500}", at_needle=True),
    _shape(
        "sendgrid-key",
        "sg.",
        _EDGE + r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
        at_needle=True,
    ),
    _shape("twilio-key", "sk ac", _EDGE + r"(?:SK|AC)[0-9a-f]{32}(?![0-9a-z])", at_needle=True),
    _shape(
        "digitalocean-token",
        "doo_v1_ dop_v1_ dor_v1_",
        _EDGE + r"do[opr]_v1_[a-f0-9]{64}",
        at_needle=True,
    ),
    _shape("huggingface-token", "hf_", _EDGE + r"hf_[A-Za-z0-9]{30,60}", at_needle=True),
    _shape("databricks-token", "dapi", _EDGE + r"dapi[a-f0-9]{32}(?:-\d)?", at_needle=True),
    _shape(
        "shopify-token",
        "shpat_ shpca_ shppa_ shpss_",
        _EDGE + r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}",
        at_needle=True,
    ),
    _shape("telegram-token", ":aa", r"(?<!\d)\d{8,10}:AA[A-Za-z0-9_-]{32,34}(?![A-Za-z0-9_-])"),
    _shape("vault-token", "hvs. hvb.", _EDGE + r"hv[sb]\.[A-Za-z0-9_-]{24,250}", at_needle=True),
    _shape("docker-token", "dckr_", _EDGE + r"dckr_[a-z]{3}_[A-Za-z0-9_-]{20,100}", at_needle=True),
    _shape(
        "service-token",
        _SERVICES,
        _EDGE
        + rf"(?:{'|'.join(map(re.escape, _SERVICES.split()))})"
        + _DIGIT_SOON
        + r"[\w.+/=-]{20,400}",
        at_needle=True,
    ),
    _shape(
        "azure-key",
        "accountkey= sharedaccesskey= ?sig= &sig=",
        r"(?i)(?:accountkey|sharedaccesskey|[?&]sig)=(?P<s>[A-Za-z0-9+/%]{40,100}={0,2})",
        at_needle=True,
    ),
    _shape(
        "jwt",
        "eyj",
        _EDGE + r"eyJ[A-Za-z0-9_-]{8,2000}\.eyJ[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{10,2000}",
        at_needle=True,
    ),
    _shape(
        "url-password",
        "://",
        r"://[^\s:/@\"'\[\]]{0,100}:(?P<s>[^\s/@\"'\[\]{}$<>]{3,200})@",
        at_needle=True,
    ),
    _shape(
        "authorization",
        "bearer basic",
        r"(?i)\b(?:bearer|basic)\s+" + _MIXED + r"(?P<s>[A-Za-z0-9+/=_.~-]{16,4000})",
        at_needle=True,
    ),
    _shape(
        "password",
        "passw passphrase secret token key",
        r"(?i)"
        + _NAMES
        + r"[\"']?\s{0,4}(?:[:=]|=>)\s{0,4}(?P<q>[\"'])"
        + _MIXED
        + r"(?P<s>[^\"'\s\[\]{}$<>]{8,300}+)(?P=q)",
        at_needle=True,
    ),
    _shape(
        "password",
        "passw passphrase secret token key",
        r"(?i)"
        + _NAMES
        + r"\s{0,2}[:=]\s{0,2}"
        + _MIXED
        + r"(?P<s>[A-Za-z0-9+/=_~!@#%^&*-]{12,300}+)(?=\s|$)",
        at_needle=True,
    ),
)
"""Names are what a redaction shows; the order is from the most to the least certain."""
