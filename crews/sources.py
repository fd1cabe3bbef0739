"""What do the environment, `./.env` and the user's file say, each by itself?"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import platformdirs

from crews.errors import UsageError

if TYPE_CHECKING:
    import tomllib

ENV_FILE = ".env"


def user_file() -> Path:
    """The user's settings file; it need not exist."""
    return Path(platformdirs.user_config_dir("crews")) / "config.toml"


def environment() -> dict[str, str]:
    """The process's variables, by name in lower case."""
    return {name.lower(): value for name, value in os.environ.items()}


def env_file() -> dict[str, str]:
    """The variables of `./.env`, by name in lower case; none where there is no such file.

    Raises:
        UsageError: It cannot be read.
    """
    file = Path(ENV_FILE)
    try:
        if not (file.is_file() or file.is_fifo()):
            return {}
        from dotenv import dotenv_values  # only here: most folders have no such file

        found = dotenv_values(file, encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the file cannot be read: {_reason(error)}", where=ENV_FILE) from None
    return {name.lower(): value for name, value in found.items() if value is not None}


def user_values(file: Path) -> dict[str, Any]:
    """What the user's file says; nothing where there is none.

    Raises:
        UsageError: It cannot be read, or is no TOML.
    """
    try:
        if not file.exists() and not file.is_symlink():
            return {}
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"the settings cannot be read: {_reason(error)}",
            where=str(file),
            hint="make it a UTF-8 file that you may read, or remove it",
        ) from None
    import tomllib  # only here: most users have no such file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong_toml(error, file) from None


def over(strong: Mapping[str, Any], weak: Mapping[str, Any]) -> dict[str, Any]:
    """The values of both; where both have one the strong one's, unless it is a table, which is put over the other."""
    merged = {**weak, **strong}
    for name in strong.keys() & weak.keys():
        upper, lower = strong[name], weak[name]
        if isinstance(upper, dict) and isinstance(lower, dict):
            merged[name] = over(cast("dict[str, Any]", upper), cast("dict[str, Any]", lower))
    return merged


def _reason(error: OSError | UnicodeError) -> str:
    return (error.strerror if isinstance(error, OSError) else "it is not UTF-8") or str(error)


def _wrong_toml(error: tomllib.TOMLDecodeError, file: Path) -> UsageError:
    what, _, place = str(error).partition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    where = f"{file}:{found[1]}:{found[2]}" if found else f"{file}"
    end = "" if found else ", at its end"
    return UsageError(
        f"the settings are not TOML{end}: {what}", where=where, hint="correct the line"
    )
