"""Which settings hold in this process, and where did each come from?

Order, strongest first: command-line flag, `CREWS_*` environment variable, `./.env`, the user's
`config.toml`, the default. Nothing is read when this module is imported: call `load()`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_origin

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from crews.errors import UsageError
from crews.sources import ENV_FILE, env_file, environment, over, user_file, user_values

_FOREIGN = {
    "api_key": "ANTHROPIC_API_KEY",
    "auth_token": "ANTHROPIC_AUTH_TOKEN",
    "base_url": "ANTHROPIC_BASE_URL",
}
"""Settings that have the name of another program's variable besides."""


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


class Settings(BaseModel):
    """Everything that can be set outside a team's files; frozen once loaded."""

    model_config = ConfigDict(frozen=True, extra="ignore")

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
    api_key: SecretStr | None = None
    auth_token: SecretStr | None = None
    base_url: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_sources(cls, given: Any) -> Any:
        """What is given, over the environment, over `./.env`, over the user's file."""
        if not isinstance(given, dict):
            return given
        return reduce(
            over,
            (
                _by_field(cast("dict[str, Any]", given)),
                _said(environment(), "the environment"),
                _said(env_file(), ENV_FILE),
                _by_field(user_values(user_file())),
            ),
        )

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
    written = user_values(file)
    for name in written:
        _check_name(name, file)
    try:
        return Settings()
    except ValidationError as error:
        # `from None`: the error repeats the values, and a value may be a secret.
        raise _wrong_values(error, file, written) from None


def _by_field(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values by the names of their fields; what is no setting is left out."""
    return {
        field: values[name]
        for field in Settings.model_fields
        for name in reversed(_spellings(field))
        if name in values
    }


def _said(variables: Mapping[str, str], place: str) -> dict[str, Any]:
    """What the variables of one place set, by the names of the fields; `null` for a table sets nothing."""
    said = {
        field: _value(field, variables[name], f"{name.upper()} in {place}")
        for field in Settings.model_fields
        if (name := _variable(field, variables))
    }
    return {field: value for field, value in said.items() if value is not None}


def _variable(field: str, variables: Mapping[str, str]) -> str:
    """Which of them sets the field; empty: none."""
    foreign = _spellings(field) if field in _FOREIGN else ()
    names = (*map(str.lower, foreign), f"crews_{field}")
    return next((name for name in names if name in variables), "")


def _value(field: str, text: str, where: str) -> Any:
    """A variable's value: JSON for a table, else its text."""
    kind = Settings.model_fields[field].annotation
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    if not is_model and get_origin(kind) is not dict:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise UsageError(
            "the value is no JSON",
            where=where,
            hint='write it as JSON, such as {"NAME": {...}}, or put it into the user\'s config.toml',
        ) from None


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


def _spellings(field: str) -> tuple[str, ...]:
    """The names that a field has outside this class, the strongest first."""
    return (_FOREIGN[field], field) if field in _FOREIGN else (field,)


def _place(field: str, file: Path, written: Mapping[str, object]) -> str:
    """Where the value of a field was set, in the order of the sources."""
    for variables, place in ((environment(), "the environment"), (env_file(), ENV_FILE)):
        if name := _variable(field, variables):
            return f"{name.upper()} in {place}"
    return str(file) if written.keys() & set(_spellings(field)) else "the settings"
