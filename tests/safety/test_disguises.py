"""Is a known secret gone when it is broken up, escaped or written in another code?"""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.redact import Redactor

VALUE = "kX93-Lq0_zzT/7pW+44a"
REDACTOR = Redactor({"A": VALUE})


def in_lines(text: str) -> str:
    return "\n".join(text[n : n + 6] for n in range(0, len(text), 6))


DISGUISES: dict[str, Callable[[str], str]] = {
    "over lines": lambda v: "\n    ".join(v[n : n + 4] for n in range(0, len(v), 4)),
    "in quoted pieces": lambda v: " + ".join(f'"{v[n : n + 5]}"' for n in range(0, len(v), 5)),
    "reversed": lambda v: v[::-1],
    "hex with colons": lambda v: v.encode().hex(":"),
    "hex with blanks, upper": lambda v: v.encode().hex(" ").upper(),
    "hex, mixed case": lambda v: "".join(
        c.upper() if n % 3 else c for n, c in enumerate(v.encode().hex())
    ),
    "bytes of C": lambda v: ", ".join(f"0x{b:02X}" for b in v.encode()),
    "escapes of C": lambda v: "".join(f"\\x{b:02x}" for b in v.encode()),
    "octal escapes": lambda v: "".join(f"\\{b:03o}" for b in v.encode()),
    "decimal bytes": lambda v: str(list(v.encode())),
    "JSON escapes": lambda v: "".join(f"\\u{ord(c):04x}" for c in v),
    "JSON in JSON": lambda v: "".join(f"\\\\u{ord(c):04X}" for c in v),
    "some JSON escapes": lambda v: "".join(
        f"\\u{ord(c):04x}" if n % 2 else c for n, c in enumerate(v)
    ),
    "HTML entities": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "HTML entities, hex": lambda v: "".join(f"&#x{ord(c):x};" for c in v),
    "every byte of a URL": lambda v: "".join(f"%{b:02X}" for b in v.encode()),
    "a URL in a URL": lambda v: "".join(f"%25{b:02x}" for b in v.encode()),
    "quoted printable": lambda v: "".join(f"={b:02X}" for b in v.encode()),
    "base64 in lines": lambda v: in_lines(base64.b64encode(f"user:{v}:rest".encode()).decode()),
    "UTF-16 with NULs": lambda v: v.encode("utf-16-le").decode("latin-1"),
    "UTF-16 in hex": lambda v: v.encode("utf-16-be").hex(),
    "UTF-16 in base64": lambda v: base64.b64encode(v.encode("utf-16-le")).decode(),
    "url-safe base64": lambda v: base64.urlsafe_b64encode(b"?" + v.encode()).decode(),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_value_goes(name: str) -> None:
    disguised = DISGUISES[name](VALUE)

    clean = REDACTOR.known(f"before {disguised} after")

    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert "[redacted:A]" in clean
    # At most what was beside the value, or an edge of a few characters that base64 shares with it, is left.
    assert len(clean) - len("before [redacted:A] after") <= 20
    assert REDACTOR.known(clean) == clean


@given(st.text(max_size=30), st.text(max_size=30), st.sampled_from(sorted(DISGUISES)))
def test_it_goes_wherever_it_stands(before: str, after: str, name: str) -> None:
    # A letter at its side would be a part of an escape, or of the base64 beside it.
    text = f"{before} ~ {DISGUISES[name](VALUE)} ~ {after}"

    clean = REDACTOR.known(text)

    assert VALUE not in clean
    assert "[redacted:A]" in clean
    assert REDACTOR.known(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "kX93 is one part; " + "of another text " * 5 + "Lq0 zzT 7pW 44a",
        "KEY=\\u00e9t\\u00e9 &amp; 100%25 \\x41",
        "correct, horse: battery",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    redactor = Redactor({"A": VALUE, "WORDS": "correct-horse"})
    assert redactor.known(text) == text


@given(
    st.lists(
        st.from_regex(r"[a-z0-9]{9}[0-9][A-Za-z0-9]{0,20}", fullmatch=True), min_size=1, max_size=6
    ),
    st.text("ab0-", max_size=40),
    st.data(),
)
def test_wherever_a_value_stands_it_is_seen(
    values: list[str], before: str, data: st.DataObject
) -> None:
    value = data.draw(st.sampled_from(values))
    split = data.draw(st.integers(1, len(value) - 1))
    text = f"{before}{value[:split]}' + '{value[split:]}"
    redactor = Redactor({f"N{n}": value for n, value in enumerate(values)})
    assert redactor.holds(text)
