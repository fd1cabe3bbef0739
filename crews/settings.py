"""Which settings hold in this process, and where did each come from?

Order, strongest first: command-line flag, `CREWS_*` environment variable, `./.env`, the user's
`config.toml`, the default. Nothing is read when this module is imported: call `load()`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from crews.errors import UsageError


def user_file() -> Path:
    """The user's settings file; it need not exist."""
    return Path(platformdirs.user_config_dir("crews")) / "config.toml"


class ModelLimits(BaseModel):
    """How much all runs of one journal together may ask of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrent: int | None = Field(default=None, gt=0)
    """Requests in flight."""
    per_minute: int | None = Field(default=None, gt=0)
    """Requests begun in any sixty seconds."""


NotifyEvent = Literal["review_opened", "review_reminder", "review_handed_up", "run_ended"]
"""What people can be told of."""


class NotifyTarget(BaseModel):
    """Where people are told that a review waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    """`https://...`: a signed webhook; anything else: an address that `apprise` understands."""
    secret: SecretStr | None = None
    """The webhook's signing secret (`whsec_...`, Standard Webhooks)."""
    events: tuple[NotifyEvent, ...] = (
        "review_opened",
        "review_reminder",
        "review_handed_up",
        "run_ended",
    )


class _Copy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    """What its deliveries are called; without one its kind and place in the list."""


class FileCopy(_Copy):
    """A file to which each checkpoint of the audit log is appended, as a line of JSON."""

    kind: Literal["file"]
    path: Path


class WebhookCopy(_Copy):
    """An address that gets each checkpoint, signed like a notification."""

    kind: Literal["webhook"]
    url: SecretStr
    secret: SecretStr | None = None


class GitCopy(_Copy):
    """A repository whose newest commit gets the checkpoint as a note under `refs/notes/crews-audit`."""

    kind: Literal["git"]
    repository: Path


AuditCopy = Annotated[FileCopy | WebhookCopy | GitCopy, Field(discriminator="kind")]


class AuditSettings(BaseModel):
    """How often the audit log is signed, and where its checkpoints are kept besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(default=100, gt=0)
    """Entries after which a checkpoint is made, besides those at every decision and every end of a run."""
    copies: tuple[AuditCopy, ...] = ()

    @property
    def targets(self) -> dict[str, FileCopy | WebhookCopy | GitCopy]:
        """Name of the deliveries' target -> copy."""
        return {f"audit:{c.name or f'{c.kind}-{n}'}": c for n, c in enumerate(self.copies, 1)}


class Settings(BaseSettings):
    """Everything that can be set outside a team's files; frozen once loaded."""

    model_config = SettingsConfigDict(
        env_prefix="CREWS_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("crews")))
    """Folder of the journal, the runs' workspaces and the logs."""
    database_url: str = ""
    """SQLAlchemy URL of the journal; empty: `crews.db` in `home`."""
    log_level: str = "INFO"
    """Level of the log file."""
    user: str = ""
    """Who decides reviews here; empty: the operating system's user name."""
    token: SecretStr | None = None
    """Token of a user of this journal (`crews users token`); decisions are then made in that user's name."""
    public_url: str = ""
    """Where the review page can be reached; notifications link to it."""
    notify: dict[str, NotifyTarget] = {}
    """Targets of notifications, by name."""
    models: dict[str, ModelLimits] = {}
    """Limits of models, by name."""
    audit: AuditSettings = AuditSettings()
    """Checkpoints of the audit log."""
    audit_key: SecretStr | None = None
    """Private key that signs them: PEM, or 32 bytes as base64; without it one is made in `home`."""
    patience: float = Field(default=90.0, ge=0)
    """Seconds for which a database that cannot be reached, or is locked, is tried again."""
    tool_seconds: float = Field(default=600.0, gt=0)
    """Seconds after which a call of a CrewAI tool that has not answered is given up."""
    docker_image: str = ""
    """Image of `sandbox: docker`, which is never fetched; empty: the official one of the running Python."""
    redact_personal_data: bool = False
    """Take personal data out of what is kept or sent for others: `docs/privacy.md`; needs `crews[pii]`."""
    personal_names_model: str = ""
    """spaCy model, a package or a folder, that finds the names of persons in it; empty: they stay."""
    api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_API_KEY", "api_key")
    )
    auth_token: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_AUTH_TOKEN", "auth_token")
    )
    base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("ANTHROPIC_BASE_URL", "base_url")
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the user's TOML file below the environment."""
        toml = TomlConfigSettingsSource(settings_cls, toml_file=user_file())
        return (init_settings, env_settings, dotenv_settings, toml)

    @property
    def journal_url(self) -> str:
        """SQLAlchemy URL of the journal."""
        return self.database_url or f"sqlite:///{self.home / 'crews.db'}"

    @property
    def audit_key_file(self) -> Path:
        """Where the key that signs the audit log is, unless `audit_key` is set."""
        return self.home / "keys" / "audit.pem"

    def run_folder(self, run: str) -> Path:
        """Folder that holds a run's workspace, base copy and undo data."""
        return self.home / "runs" / run


def load() -> Settings:
    """Read the environment, `./.env` and the user's file.

    Raises:
        UsageError: One of them cannot be read, or says what is no setting; the error names the place.
    """
    file = user_file()
    written = _user_values(file)
    # `from None`: the errors below repeat the values, and a value may be a secret.
    try:
        return Settings()
    except ValidationError as error:
        raise _wrong_values(error, file, written) from None
    except SettingsError as error:
        raise _wrong_json(error) from None
    except (OSError, UnicodeError) as error:
        raise UsageError(f"the file cannot be read: {_reason(error)}", where=".env") from None


def _user_values(file: Path) -> Mapping[str, object]:
    """What the user's file says; nothing where there is none."""
    try:
        if not file.exists() and not file.is_symlink():
            return {}
        values = tomllib.loads(file.read_bytes().decode("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise _wrong_toml(error, file) from None
    except (OSError, UnicodeError) as error:
        raise UsageError(
            f"the settings cannot be read: {_reason(error)}",
            where=str(file),
            hint="make it a UTF-8 file that you may read, or remove it",
        ) from None
    for name in values:
        _check_name(name, file)
    return values


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


def _check_name(name: str, file: Path) -> None:
    """A setting that is misspelt would otherwise be one that is not made."""
    known = tuple(Settings.model_fields)
    if any(name in _spellings(field) for field in known):
        return
    import difflib  # only here: a start that goes well must not pay for it

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are: {', '.join(sorted(known))}"
    raise UsageError(f"there is no setting `{name}`", where=str(file), hint=hint)


def _wrong_values(error: ValidationError, file: Path, written: Mapping[str, object]) -> UsageError:
    lines: list[tuple[str, str]] = []
    for found in error.errors(include_input=False, include_url=False, include_context=False):
        field, *below = map(str, found["loc"] or ("",))
        field = next((f for f in Settings.model_fields if field in _spellings(f)), field)
        name, where = ".".join((field, *below)), _place(field, file, written)
        lines.append((where, f"`{name}`: {found['msg'][:1].lower()}{found['msg'][1:]}"))
    if len(lines) == 1:
        where, what = lines[0]
        return UsageError(
            f"a setting cannot be used: {what}", where=where, hint="correct the value"
        )
    hint = "\n".join(f"{where}: {what}" for where, what in lines)
    places = ", ".join(dict.fromkeys(where for where, _ in lines))
    return UsageError(f"{len(lines)} settings cannot be used", where=places, hint=hint)


def _spellings(field: str) -> set[str]:
    """The names that a field has outside this class."""
    info = Settings.model_fields.get(field)
    alias = info.validation_alias if info else None
    choices = alias.choices if isinstance(alias, AliasChoices) else []
    return {field, *map(str, choices)}


def _place(field: str, file: Path, written: Mapping[str, object]) -> str:
    """Where the value of a field was set, in the order of the sources."""
    spellings = _spellings(field)
    names = {*map(str.lower, spellings), f"crews_{field}"}
    for variables, place in (
        (EnvSettingsSource(Settings).env_vars, "the environment"),
        (DotEnvSettingsSource(Settings).env_vars, ".env"),
    ):
        if found := names & {name.lower() for name in variables}:
            return f"{min(found).upper()} in {place}"
    return str(file) if written.keys() & spellings else "the settings"


def _wrong_json(error: SettingsError) -> UsageError:
    found = re.search(r'field "(\w+)" from source "(\w+)"', str(error))
    if not found:
        return UsageError(f"the settings cannot be read: {error}")
    place = ".env" if found[2].startswith("Dot") else "the environment"
    return UsageError(
        "the value is no JSON",
        where=f"CREWS_{found[1].upper()} in {place}",
        hint='write it as JSON, such as {"NAME": {...}}, or put it into the user\'s config.toml',
    )
