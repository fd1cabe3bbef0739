"""Can a human see at what an action is aimed, however the value is spelt?"""

from __future__ import annotations

from crews.cli.aims import aims


def line(value: str) -> str:
    origin = {"argument": "to", "role": "target", "value": value, "grounded": False, "seen": ""}
    (shown,) = aims({"origins": [origin]})
    return shown


def test_a_long_value_hides_neither_its_end_nor_that_nobody_named_it() -> None:
    shown = line("ann@b.example," * 200 + "eve@evil.example")
    assert "NOT named by anybody you trust" in shown
    assert shown.endswith("eve@evil.example")
    assert len(shown) < 700


def test_a_value_of_other_scripts_is_spelt_out() -> None:
    assert "\\u0430nn@b.example" in line("\u0430nn@b.example")
