"""The only reader of the environment and of myna.toml.

Precedence, highest first: arguments of a command, ``MYNA_*`` environment variables, ``myna.toml`` in the data
directory, the defaults below. Raises `ConfigurationError` naming the field, the value and what is allowed.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from myna.errors import ConfigurationError

Quantisation = Literal["auto", "w4", "w8", "bf16", "f32"]
BackendName = Literal["auto", "native", "transformers"]
LogLevel = Literal["debug", "info", "warning", "error"]
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?")
"""As browsers write one: in lower case, without a path; anything else would match no request."""

InstructionSet = Literal["auto", "generic", "avx2", "avx2-vnni", "avx512-vnni", "neon"]


class Settings(BaseSettings):
    """Everything that can be configured. Sizes are bytes, times seconds, unless a name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="MYNA_", extra="forbid", frozen=True)

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("myna", appauthor=False)))
    """Database and, unless `cache_dir` says otherwise, models."""
    database_url: SecretStr | None = None
    """postgresql://USER:PASSWORD@HOST/DATABASE; None: a file in the data directory."""
    cache_dir: Path | None = None
    """Where fetched models lie; None: the platform's cache directory, or data_dir/models when data_dir is set."""
    host: str = "127.0.0.1"
    port: int = Field(default=8642, ge=0, le=65535)
    """0 lets the system choose one."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names, besides loopback's, that browsers may use to reach this server."""
    cors_origins: tuple[str, ...] = ()
    """Pages of other origins that may use the API of programs, such as https://app.example; never with cookies."""
    api_key: SecretStr | None = None
    """A key of user "local" with everything permitted; without accounts the OpenAI API and the metrics ask for it."""
    password_sign_in: bool = True
    """Whether people sign in with names and passwords; off where only the identity provider is to let them in."""
    oidc_issuer: str | None = Field(default=None, pattern=r"^https?://[^\s?#]+$", max_length=512)
    """Identity provider (OpenID Connect), such as https://id.example/realms/home; None: there is none."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    """None for a public client, which PKCE alone protects."""
    oidc_name: str = Field(default="single sign-on", max_length=64)
    """What the button calls it: "Sign in with NAME"."""
    oidc_scopes: tuple[str, ...] = ("openid", "profile", "email")
    oidc_sign_up: bool = False
    """Whether whoever the provider lets in gets an account; otherwise an invitation or a linked account is needed."""
    oidc_allowed_domains: tuple[str, ...] = ()
    """Domains of verified e-mail addresses that may come in; empty: all."""
    oidc_allowed_groups: tuple[str, ...] = ()
    """Groups that may come in; empty: all."""
    oidc_groups_claim: str = "groups"
    oidc_role_claim: str | None = None
    """Claim that has owner, admin or member, at every sign-in; None: roles are given here."""
    oidc_private_issuer: bool | None = None
    """Whether the provider may lie in a private network; None: where only this machine is served."""
    max_upload_bytes: int = Field(default=512 << 20, ge=1, le=1 << 39)
    """Largest file that may be sent at once; OpenAI's limit by default."""
    max_stored_bytes: int = Field(default=0, ge=0)
    """What all files of a user may take together; 0: as much as the disk holds."""
    batch_concurrency: int = Field(default=32, ge=1, le=1024)
    """Requests of all batches that are answered at once, beside live ones."""
    max_batch_lines: int = Field(default=50_000, ge=1, le=10_000_000)
    """Requests that a batch may have; OpenAI's limit by default."""
    webhook_private_targets: bool | None = None
    """Whether webhooks of owners and admins may go into private networks; None: where only this machine is served."""
    drain_seconds: float = Field(default=5, ge=0, le=3600)
    """How long running answers may go on when the server is told to stop, before they are cut off."""
    log_level: LogLevel = "warning"
    """info also logs every request."""
    log_format: Literal["text", "json"] = "text"
    """json: an object a line, for programs."""
    telemetry: bool = False
    """Send traces to OpenTelemetry (extra myna[telemetry]); its own variables say where."""
    requests_per_minute: int = Field(default=0, ge=0)
    """Of each user who has no limit of his own; 0: as many as he likes."""
    tokens_per_minute: int = Field(default=0, ge=0)
    tokens_per_day: int = Field(default=0, ge=0)
    browser: bool = True
    """Open the browser at start where there is one."""

    model: str = "smollm2:135m"
    """Default model: a catalog name, a path, or hf:owner/repo[:file]."""
    quant: Quantisation = "auto"
    """auto keeps the file's own precision."""
    packed_cache: bool = False
    """Keep weights that had to be quantised on disk, so that the next start maps them."""
    backend: BackendName = "auto"
    """auto runs on PyTorch (extra myna[torch]) what Myna has no family for."""
    threads: int = Field(default=0, ge=0, le=1024)
    """0: as many as the processor (and the control group) offers."""
    instruction_set: InstructionSet = "auto"
    kv_dtype: Literal["float16", "float32"] = "float16"
    kv_cache_bytes: int = Field(default=0, ge=0)
    """0: sized from free memory and the model's context."""
    adapters: dict[str, Path] = Field(default_factory=dict)
    """LoRA adapters of the default model, loaded with it: names and PEFT's directories."""
    adapters_dir: Path | None = None
    """Where adapters must lie that are loaded over HTTP; None: data_dir/adapters."""
    stream_interval: float = Field(default=0.01, ge=0, le=1)
    """Text that comes within so many seconds is sent together; 0 sends every token by itself."""
    memory_budget: int = Field(default=0, ge=0)
    """Bytes that the weights of all loaded models may take together; 0: as much as is free."""
    context: int = Field(default=0, ge=0)
    """Longest sequence in tokens; 0: the model's own."""
    max_sequences: int = Field(default=64, ge=1, le=4096)
    """Sequences that run at once; further requests wait."""
    step_tokens: int = Field(default=512, ge=16, le=65536)
    """Token budget of one engine step."""
    speculation: bool = True
    """Guess the next tokens where a text repeats itself, and verify the guesses; the text is the same without."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin} is not a scheme, a host and perhaps a port, as in https://app.example:8000")
        return origins

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        current = {**env_settings(), **init_settings()}
        default = platformdirs.user_data_dir("myna", appauthor=False)
        toml = Path(current.get("data_dir") or default) / "myna.toml"
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)

    @property
    def database(self) -> str | None:
        """URL of the database; None: a file in the data directory."""
        return None if self.database_url is None else self.database_url.get_secret_value()

    @property
    def models_dir(self) -> Path:
        """Content-addressed cache of model files."""
        return self.cache_dir or self.data_dir / "models"

    @property
    def shared_adapters_dir(self) -> Path:
        """Where adapters must lie that are loaded over HTTP."""
        return self.adapters_dir or self.data_dir / "adapters"


def load_settings(**overrides: Any) -> Settings:
    """Settings with a command's own arguments on top; None means "not given".

    Raises:
        ConfigurationError: a value is malformed or out of range, or myna.toml is malformed or has an unknown key.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _explain(error) from None
    except SettingsError as error:
        raise ConfigurationError(f"An environment variable cannot be read: {error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"myna.toml is not valid TOML: {error}.") from None
    except OSError as error:
        raise ConfigurationError(f"myna.toml cannot be read: {error}.") from None


def has_display() -> bool:
    """Whether a person sits here, in front of a browser: not over SSH, not in CI, not without a display."""
    environment = os.environ
    if not sys.stderr.isatty() or environment.get("CI") or environment.get("SSH_CONNECTION"):
        return False
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _explain(error: ValidationError) -> ConfigurationError:
    """The first problem as a sentence: where the value can come from, the value, what is allowed."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Settings.model_fields, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(Settings.model_fields)}."
        return ConfigurationError(f"There is no setting {field} (in myna.toml): {hint}", param=field)
    value = "(hidden)" if field in ("api_key", "database_url", "oidc_client_secret") else repr(first["input"])
    reason = first["msg"][:1].lower() + first["msg"][1:]
    return ConfigurationError(
        f"Setting {field} = {value} (argument, MYNA_{field.upper()} or myna.toml) is not usable: {reason}.", param=field
    )
