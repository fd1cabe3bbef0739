"""Does every error say what, where and what next, and do control signals pass what catches errors?"""

from __future__ import annotations

import inspect

import pytest

from crews import errors
from crews.errors import EXIT_CODES, CrewsError, Fenced, Signal, StopRun, TeamError, Waiting


def tree(kind: type[BaseException]) -> list[type[BaseException]]:
    """The class and every class under it in `crews.errors`."""
    found = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, kind)]
    return sorted(found, key=lambda c: c.__name__)


ALL = tree(CrewsError)


@pytest.mark.parametrize("kind", ALL)
def test_an_error_says_what_where_and_what_next(kind: type[CrewsError]) -> None:
    error = kind("it broke", where="a.yaml:3:7", hint="mend it")
    assert str(error) == "a.yaml:3:7: it broke\n  mend it"
    assert (error.what, error.where, error.hint) == ("it broke", "a.yaml:3:7", "mend it")
    assert str(kind("it broke")) == "it broke"
    assert str(kind("it broke", hint="mend it")) == "it broke\n  mend it"


@pytest.mark.parametrize("kind", ALL)
def test_every_error_ends_a_command_with_a_code_that_is_documented(kind: type[CrewsError]) -> None:
    assert kind.exit_code in EXIT_CODES
    assert kind.exit_code != errors.EXIT_OK


@pytest.mark.parametrize("kind", ALL)
def test_every_error_stands_in_the_module_s_list_with_its_code(kind: type[CrewsError]) -> None:
    assert errors.__doc__ is not None
    [line] = [n for n in errors.__doc__.splitlines() if f"{kind.__name__} (" in n]
    assert f"{kind.__name__} ({kind.exit_code})" in line


def test_exit_codes_differ_and_each_has_words() -> None:
    codes = {n: v for n, v in vars(errors).items() if n.startswith("EXIT_") and isinstance(v, int)}
    assert sorted(codes.values()) == sorted(EXIT_CODES)
    assert all(EXIT_CODES.values())


def test_a_team_error_holds_every_problem() -> None:
    assert TeamError("two things", problems=("a", "b")).problems == ("a", "b")
    assert TeamError("x").problems == ()


def test_signals_pass_what_catches_errors() -> None:
    assert {s.__name__ for s in tree(Signal)} == {"Signal", "Waiting", "Fenced", "StopRun"}
    for signal in (Waiting("x"), Fenced("x"), StopRun("x")):
        with pytest.raises(Signal):
            try:
                raise signal
            except Exception:  # noqa: BLE001 - what CrewAI does
                pytest.fail("a signal was caught")


def test_a_stop_says_how_the_run_ends() -> None:
    stop = StopRun("enough", status="failed", exit_code=5)
    assert (stop.reason, stop.status, stop.exit_code, str(stop)) == (
        "enough",
        "failed",
        5,
        "enough",
    )
    assert StopRun("x").status == "stopped"
