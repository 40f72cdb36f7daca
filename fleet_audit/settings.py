"""One typed settings object, from the environment and `.env`; nothing else reads the environment.

Every field is documented with the name of its variable; `AWS_*` names are the standard ones.
"""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fleet_audit.database_url import database_url
from fleet_audit.errors import PermanentError
from fleet_audit.notify.apprise import unreadable
from fleet_audit.setting_names import check_names

_OTLP_EXPORTER = "opentelemetry.exporter.otlp.proto.http"
_SPARK_MASTER = r"yarn|(spark|k8s)://\S+|local(\[(\*|\d+)\])?|local-cluster\[\d+,\d+,\d+\]"


class Settings(BaseSettings):
    """Settings of one installation. Environment variable = `FLEET_` + upper-case field name, except `aws_*`."""

    model_config = SettingsConfigDict(env_prefix="FLEET_", env_file=".env", extra="ignore", populate_by_name=True)

    home: Path = Field(Path(".fleet"), description="Folder under which all embedded state lives")
    inbox_url: str | None = Field(None, description="Folder or s3://bucket/prefix where files are dropped")
    lake_url: str | None = Field(None, description="Folder or s3://bucket/prefix; absent = <home>/lake")
    warehouse_url: SecretStr | None = Field(None, description="postgresql://…; absent = embedded under <home>")
    api_url: str | None = Field(None, description="Base URL of the telemetry API; absent = no API")
    api_token: SecretStr | None = Field(None, description="Bearer token of the telemetry API")
    api_requests_per_min: int = Field(600, ge=1, description="Client-side rate limit, of all threads together")
    api_concurrency: int = Field(4, ge=1, le=32, description="Windows of the telemetry API that are read at once")
    api_adapter: str = Field("contract", description="TOML file of names and units, or the name of a shipped one")
    day_processes: int = Field(
        min(os.cpu_count() or 1, 4),
        ge=1,
        le=64,
        description="Processes that compute the days of a long range or the chunks of a large fleet, and make the "
        "documents of a large cycle",
    )
    backfill_days: int | None = Field(
        None, ge=1, le=366, description="Days per run of a backfill of the job `day`; absent = all in one run"
    )
    chunk_vehicles: int = Field(500, ge=1, description="About how many vehicles are computed at once")
    engine: Literal["local", "spark"] = Field("local", description="What computes windows: local processes, or Spark")
    spark_master: str | None = Field(None, description="Master of the Spark cluster: spark://host:7077, yarn, k8s://…")
    closing_day: int = Field(16, ge=1, le=28, description="First day of a measurement cycle")
    late_hours: int = Field(24, ge=0, le=8_784, description="How long after the event a position may still arrive")
    start_date: str = Field("2024-01-01", description="First operational day that can be materialised")
    notify_urls: SecretStr = Field(
        SecretStr(""), description="Apprise URLs, comma separated: they receive failures, D-1 reports, final closes"
    )
    pseudonym_key: SecretStr = Field(
        SecretStr("fleet-audit"),
        description="Key of the hash that makes driver_id and draws samples for review; set your own in production",
    )
    report_layout: Path | None = Field(None, description="TOML file of the company's layout; absent = the standard one")
    log_format: Literal["text", "json"] = Field("text", description="Lines of the log on stderr: text or json")
    otlp_url: str | None = Field(
        None, description="OTLP/HTTP receiver of a trace per run, such as http://collector:4318; absent = no traces"
    )
    max_file_mb: float = Field(10, gt=0, allow_inf_nan=False, description="Largest file that is read")
    max_file_rows: int = Field(50_000, gt=0, description="Most data rows of a file")
    backup_keep_days: int | None = Field(
        None, ge=1, description="`fleet-audit backup` removes backups of its place that are older; absent = never"
    )
    serve_secret: SecretStr | None = Field(None, description="Signs the tokens of the read API, 32 bytes or more")
    serve_secure_cookies: bool = Field(
        True, description="Cookies of the page are sent over HTTPS alone; no = a trial over plain HTTP"
    )
    serve_warehouse_url: SecretStr | None = Field(
        None, description="The warehouse as the role fleet_api, for the read API; absent = the embedded one"
    )
    serve_oidc_issuer: str | None = Field(None, description="Issuer whose tokens the read API takes; absent = its own")
    serve_oidc_audience: str | None = Field(None, description="Audience that those tokens must name")
    serve_oidc_keys_url: str | None = Field(None, description="Where the issuer publishes its keys (JWKS)")
    serve_oidc_login_claim: str = Field("preferred_username", description="Claim that is the login of the user")
    aws_access_key_id: SecretStr | None = Field(None, alias="AWS_ACCESS_KEY_ID")
    aws_secret_access_key: SecretStr | None = Field(None, alias="AWS_SECRET_ACCESS_KEY")
    aws_session_token: SecretStr | None = Field(None, alias="AWS_SESSION_TOKEN")
    aws_region: str | None = Field(None, alias="AWS_DEFAULT_REGION")
    aws_endpoint_url: str | None = Field(None, alias="AWS_ENDPOINT_URL")

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_absent(cls, value: object, info: ValidationInfo) -> object:
        """The default in place of an empty text: an empty variable hides one of `.env`, and is not a value."""
        if isinstance(value, str) and not value.strip():
            return cls.model_fields[str(info.field_name)].get_default()
        return value

    @field_validator("home")
    @classmethod
    def _folder(cls, value: Path) -> Path:
        try:
            existing = next(path for path in (value.expanduser(), *value.expanduser().parents) if path.exists())
            is_folder = existing.is_dir()
        except (OSError, RuntimeError, ValueError, StopIteration) as error:
            raise ValueError(f"is not a folder's path ({error}): name a folder") from None
        if not is_folder:
            raise ValueError(f"{existing} is a file: name a folder")
        if "?" in str(value.expanduser().absolute()):
            raise ValueError(
                "has a question mark in its path: Dagster's SQLite files cannot be opened there; name another folder"
            )
        return value

    @field_validator("lake_url", "inbox_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme == "" and Path(value).expanduser().is_file():
            raise ValueError(f"names {value}, which is a file: name a folder or s3://bucket/prefix")
        if value is not None and urlsplit(value).scheme not in ("", "file", "s3"):
            raise ValueError("must be a folder or s3://bucket/prefix; a relative folder with a colon starts with ./")
        if value is not None and urlsplit(value).scheme == "s3" and not urlsplit(value).netloc:
            raise ValueError("has no bucket: write s3://bucket/prefix")
        return value

    @field_validator("api_url", "aws_endpoint_url", "otlp_url", "serve_oidc_issuer", "serve_oidc_keys_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError("must start with http:// or https:// and name a host")
        return value

    @field_validator("serve_oidc_keys_url")
    @classmethod
    def _not_forged(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("must start with https://: keys that are read over http can be forged")
        return value

    @field_validator("otlp_url")
    @classmethod
    def _sendable(cls, value: str | None) -> str | None:
        if value is not None and not (_is_installed("opentelemetry.sdk") and _is_installed(_OTLP_EXPORTER)):
            raise ValueError("needs OpenTelemetry, which is not installed: pip install '.[otel]'")
        return value

    @field_validator("spark_master")
    @classmethod
    def _master(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(_SPARK_MASTER, value):
            raise ValueError(
                "is not the master of a Spark cluster: write spark://host:7077, yarn, k8s://https://host:443 or "
                "local-cluster[2,1,1024]"
            )
        return value

    @field_validator("api_adapter")
    @classmethod
    def _adapter(cls, value: str) -> str:
        if value != cls.model_fields["api_adapter"].default:
            from fleet_audit.formats.adapter import load_adapter

            _sentence_of(load_adapter, value)
        return value

    @field_validator("report_layout")
    @classmethod
    def _layout(cls, value: Path | None) -> Path | None:
        if value is not None:
            from fleet_audit.reporting.layout import load_layout

            _sentence_of(load_layout, value)
        return value

    @field_validator("aws_region")
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError("is not the name of a region, such as sa-east-1")
        return value

    @field_validator("api_token", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    @classmethod
    def _header(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[!-~]+", value.get_secret_value()):
            raise ValueError("must be ASCII characters without spaces or line breaks: it is sent in a header")
        return value

    @field_validator("start_date")
    @classmethod
    def _day(cls, value: str) -> str:
        try:
            day = dt.date.fromisoformat(value)
        except ValueError:
            raise ValueError("is not a day: write YYYY-MM-DD") from None
        if not dt.date(2000, 1, 1) <= day <= dt.datetime.now(dt.UTC).date():
            raise ValueError(f"{day} is in the future, or before 2000: name a day that has data")
        return day.isoformat()

    @field_validator("warehouse_url", "serve_warehouse_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else SecretStr(database_url(value.get_secret_value()))

    @field_validator("notify_urls")
    @classmethod
    def _readable(cls, value: SecretStr) -> SecretStr:
        wrong = unreadable(value.get_secret_value())
        if wrong:
            raise ValueError(f"{wrong} is not one that Apprise reads, such as json://host/path or mailto://user@host")
        return value

    @property
    def lake_root(self) -> str:
        """Where the lake is: the setting, or a folder under home."""
        return self.lake_url or str(self.home.expanduser().resolve() / "lake")


def known_variables() -> list[str]:
    """The variable of each setting, in the order of the settings."""
    return [field.alias or f"FLEET_{name.upper()}" for name, field in Settings.model_fields.items()]


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment and `.env`; keyword arguments that are not None win (the command line's options).

    Raises PermanentError with one sentence that names the wrong variable (never its value, which may be a secret).
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    return _loaded(tuple(sorted(given.items())), _surroundings()).model_copy()


def wants_json_lines() -> bool:
    """Whether FLEET_LOG_FORMAT asks for JSON lines; also where another setting is wrong, which is such a line then."""
    with suppress(UnicodeDecodeError):
        given = {**dotenv_values(".env"), **os.environ}
        return {name.upper(): value for name, value in given.items()}.get("FLEET_LOG_FORMAT") == "json"
    return False


def _surroundings() -> tuple[object, ...]:
    """What settings are made of besides overrides: the variables, and which `.env` there is."""
    try:
        found = Path(".env").stat()
        env_file: tuple[object, ...] = (Path.cwd(), found.st_ino, found.st_mtime_ns, found.st_size)
    except OSError:
        env_file = (Path.cwd(),)
    return (*env_file, *sorted(item for item in os.environ.items() if item[0].upper().startswith(("FLEET_", "AWS_"))))


@lru_cache(maxsize=16)
def _loaded(given: tuple[tuple[str, Any], ...], _: tuple[object, ...]) -> Settings:
    """The settings, made once for the same surroundings: every step asks, which took 0.4 s of a day of ten vehicles."""
    try:
        settings = Settings(**dict(given))
    except UnicodeDecodeError:
        raise PermanentError("The file .env is not UTF-8: save it as UTF-8.") from None
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        variable = name if name.startswith("AWS_") else f"FLEET_{name.removeprefix('FLEET_').upper()}"
        message = problem["msg"].removeprefix("Value error, ").rstrip(".")
        raise PermanentError(f"Setting {variable} is wrong: {message}.") from None
    _require_companions(settings)
    check_names({*os.environ, *dotenv_values(".env")}, known_variables())
    return settings


def _require_companions(settings: Settings) -> None:
    """Raises PermanentError that names the setting without which another has no effect."""
    if settings.api_url and not settings.api_token:
        raise PermanentError(
            f"FLEET_API_TOKEN is not set, but the telemetry API {settings.api_url} asks for one: set it to that token."
        )
    if settings.engine == "spark" and not settings.spark_master:
        raise PermanentError("FLEET_SPARK_MASTER is not set, but FLEET_ENGINE is spark: name the cluster's master.")
    oidc = ("serve_oidc_issuer", "serve_oidc_audience", "serve_oidc_keys_url")
    absent = [f"FLEET_{name.upper()}" for name in oidc if not getattr(settings, name)]
    if 0 < len(absent) < len(oidc):
        raise PermanentError(
            f"{absent[0]} is not set: tokens of the company need issuer, audience and keys; set all three."
        )
    has_id, has_secret = settings.aws_access_key_id is not None, settings.aws_secret_access_key is not None
    if has_id != has_secret:
        missing, given = ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")[:: 1 if has_id else -1]
        raise PermanentError(
            f"{missing} is not set, but {given} is: S3 needs both, or neither where the host has a role."
        )
    if settings.aws_session_token and not has_id:
        raise PermanentError("AWS_ACCESS_KEY_ID is not set, but AWS_SESSION_TOKEN is: it is the session of a key.")


def _sentence_of(load: Callable[[Any], object], value: object) -> None:
    """Loads a file that a setting names; what is wrong with it is wrong with the setting."""
    try:
        load(value)
    except PermanentError as error:
        raise ValueError(str(error)) from None


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
