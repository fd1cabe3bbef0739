"""Do settings come from where they should, and does a wrong one say where it stands?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.errors import UsageError
from crews.settings import Settings, load, user_file


def written(text: str) -> Path:
    """The user's file, which now holds the text."""
    file = user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def refused() -> UsageError:
    with pytest.raises(UsageError) as caught:
        load()
    assert caught.value.exit_code == 2
    error = caught.value
    assert error.__context__ is None or error.__suppress_context__, "a cause would show the values"
    return error


def test_the_environment_goes_before_the_file_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert (load().patience, load().log_level) == (90, "INFO")
    written(
        'log_level = "DEBUG"\npatience = 5\n[models.m]\nconcurrent = 2\n[notify.x]\nurl = "https://a"\n'
    )
    Path(".env").write_text("CREWS_PATIENCE=6\nANOTHER_PROGRAM=1\n", encoding="utf-8")
    assert (load().patience, load().log_level, load().models["m"].concurrent) == (6, "DEBUG", 2)
    monkeypatch.setenv("CREWS_PATIENCE", "7")
    assert load().patience == 7


def test_a_stronger_place_wins_whichever_of_its_names_a_setting_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written('api_key = "a"\nuser = "a"\nbase_url = "a"\n')
    Path(".env").write_text("ANTHROPIC_API_KEY=b\nCREWS_BASE_URL=b\n", encoding="utf-8")
    monkeypatch.setenv("CREWS_API_KEY", "c")
    monkeypatch.setenv("crews_user", "c")
    found = load()
    assert found.api_key is not None
    assert (found.api_key.get_secret_value(), found.user, found.base_url) == ("c", "c", "b")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the SDK's own name goes first")
    assert (key := load().api_key) is not None
    assert key.get_secret_value() == "the SDK's own name goes first"


def test_tables_of_several_places_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    written("[models.a]\nconcurrent = 1\nper_minute = 5\n[models.b]\nconcurrent = 2\n")
    monkeypatch.setenv("CREWS_MODELS", '{"a": {"concurrent": 9}, "c": {"per_minute": 7}}')
    found = {name: (m.concurrent, m.per_minute) for name, m in load().models.items()}
    assert found == {"a": (9, 5), "b": (2, None), "c": (None, 7)}


def test_null_for_a_table_sets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written("[models.a]\nconcurrent = 1")
    monkeypatch.setenv("CREWS_MODELS", "null")
    monkeypatch.setenv("CREWS_AUDIT", "null")
    assert load().models["a"].concurrent == 1
    assert load().audit.every == 100


def test_a_variable_may_name_another_in_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "ada")
    Path(".env").write_text("export CREWS_USER='${WHO} l.'  # me\nCREWS_TOKEN\n", encoding="utf-8")
    assert (load().user, load().token) == ("ada l.", None)


def test_a_variable_of_another_program_is_not_the_place_of_a_wrong_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("USER", "ada")
    file = written("user = 3\n")
    assert refused().where == str(file)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[notify.x]\n", "`notify.x.url`: field required"),
        ("[models.m]\nconcurrent = 0\n", "`models.m.concurrent`: input should be greater than 0"),
        ("[models.m]\nper_minuet = 9\n", "`models.m.per_minuet`: extra inputs are not permitted"),
        ("models = 3\n", "`models`: input should be a valid dictionary"),
        ("patience = -1\n", "`patience`: input should be greater than or equal to 0"),
        ("token = 12\n", "`token`: input should be a valid string"),
        ("api_key = 12\n", "`api_key`: input should be a valid string"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(text: str, what: str) -> None:
    file = written(text)
    error = refused()
    assert (error.what, error.where) == (f"a setting cannot be used: {what}", str(file))


def test_all_wrong_values_are_named_at_once_each_with_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = written("[notify.x]\n[models.m]\nconcurrent = 0\n")
    Path(".env").write_text("CREWS_LOG_LEVEL=INFO\nCREWS_PATIENCE=soon\n", encoding="utf-8")
    error = refused()
    assert error.what == "3 settings cannot be used"
    assert f"{file}: `models.m.concurrent`: input should be greater than 0" in error.hint
    assert "CREWS_PATIENCE in .env: `patience`: " in error.hint
    monkeypatch.setenv("CREWS_PATIENCE", "later")
    assert "CREWS_PATIENCE in the environment: `patience`: " in refused().hint


def test_a_secret_is_not_repeated() -> None:
    written('[notify.x]\nurl = ["mailto://me:hunter2@example.org"]\nsecret = {a = "hunter2"}\n')
    error = refused()
    assert error.what == "2 settings cannot be used"
    assert "hunter2" not in str(error)


def test_a_misspelt_setting_is_none() -> None:
    file = written('[notfy.x]\nurl = "https://a"\n')
    error = refused()
    assert (error.what, error.where) == ("there is no setting `notfy`", str(file))
    assert error.hint == "did you mean `notify`?"


@pytest.mark.parametrize(
    ("text", "place"), [("patience = 5\nuser =\n", ":2:7"), ("[notify", ""), ("a = 1\na = 2\n", "")]
)
def test_what_is_not_toml_has_a_place(text: str, place: str) -> None:
    file = written(text)
    error = refused()
    assert error.what.startswith("the settings are not TOML")
    assert error.where.startswith(f"{file}{place}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    file = written("")
    file.write_bytes(b'user = "\xff"')
    assert refused().what == "the settings cannot be read: it is not UTF-8"
    file.unlink()
    file.mkdir()
    error = refused()
    assert (error.what, error.where) == ("the settings cannot be read: Is a directory", str(file))
    file.rmdir()
    file.symlink_to(tmp_path / "nowhere.toml")
    assert "No such file" in refused().what
    file.unlink()
    Path(".env").write_bytes(b"CREWS_USER=\xff")
    error = refused()
    assert (error.what, error.where) == ("the file cannot be read: it is not UTF-8", ".env")


def test_a_variable_that_should_be_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREWS_MODELS", "m=3")
    error = refused()
    assert (error.what, error.where) == ("the value is no JSON", "CREWS_MODELS in the environment")
    monkeypatch.setenv("CREWS_MODELS", '{"m": {"concurrent": 3}}')
    assert load().models["m"].concurrent == 3


def test_settings_of_a_script_are_its_own() -> None:
    written("patience = 5\n")
    assert Settings(patience=7).patience == 7
