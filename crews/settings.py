"""Which settings hold in this process, and where did each come from?

Order, strongest first: command-line flag, `CREWS_*` environment variable, `./.env`, the user's
`config.toml`, the default. Nothing is read when this module is imported: call `load()`.
"""

from __future__ import annotations

from pathlib import Path

import platformdirs
from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)


def user_file() -> Path:
    """The user's settings file; it need not exist."""
    return Path(platformdirs.user_config_dir("crews")) / "config.toml"


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
