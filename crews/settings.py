"""Which settings hold in this process, and where did each come from?

Order, strongest first: command-line flag, `CREWS_*` environment variable, `./.env`, the user's
`config.toml`, the default. Nothing is read when this module is imported: call `load()`.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


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


class NotifyTarget(BaseModel):
    """Where people are told that a review waits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    """`https://...`: a signed webhook; anything else: an address that `apprise` understands."""
    secret: SecretStr | None = None
    """The webhook's signing secret (`whsec_...`, Standard Webhooks)."""
    events: tuple[str, ...] = ("review_opened", "review_reminder", "run_ended")


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
    patience: float = Field(default=90.0, ge=0)
    """Seconds for which a database that cannot be reached, or is locked, is tried again."""
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

    def run_folder(self, run: str) -> Path:
        """Folder that holds a run's workspace, base copy and undo data."""
        return self.home / "runs" / run


def load() -> Settings:
    """Read the environment, `./.env` and the user's file."""
    return Settings()
