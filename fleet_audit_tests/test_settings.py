"""Every setting that is wrong is named in one sentence before anything runs, and the sentence holds no secret."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from fleet_audit import setting_names
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings, known_variables, load_settings

SECRET = "s3cr\u00e9t value"
WRONG = {
    "FLEET_HOME": ["a_file", "a_file/below", "what?"],
    "FLEET_INBOX_URL": ["a_file", "ftp://host/inbox", "s3://"],
    "FLEET_LAKE_URL": ["a_file", "gs://bucket/lake", "s3:///prefix"],
    "FLEET_WAREHOUSE_URL": ["mysql://user:s3cr\u00e9t@host/db", "postgresql://user:s3cr\u00e9t@host:port/db", "host"],
    "FLEET_SERVE_WAREHOUSE_URL": ["mysql://user:s3cr\u00e9t@host/db", "host"],
    "FLEET_SERVE_SECURE_COOKIES": ["maybe"],
    "FLEET_API_URL": ["api.example.com", "ftp://api.example.com", "https://"],
    "FLEET_SERVE_OIDC_ISSUER": ["sso.example.com"],
    "FLEET_SERVE_OIDC_KEYS_URL": ["sso.example.com", "http://sso.example.com/keys"],
    "FLEET_API_TOKEN": [SECRET, "two\nlines"],
    "FLEET_API_REQUESTS_PER_MIN": ["0", "many", "1.5"],
    "FLEET_API_CONCURRENCY": ["0", "33"],
    "FLEET_API_ADAPTER": ["absent.toml", "a_file", "a_folder"],
    "FLEET_BACKUP_KEEP_DAYS": ["0", "many"],
    "FLEET_DAY_PROCESSES": ["0", "65"],
    "FLEET_BACKFILL_DAYS": ["0", "367", "all"],
    "FLEET_CHUNK_VEHICLES": ["0", "all"],
    "FLEET_ENGINE": ["flink", "Spark"],
    "FLEET_SPARK_MASTER": ["http://host:7077", "local-cluster", "local-cluster[2]", "host:7077"],
    "FLEET_CLOSING_DAY": ["0", "29", "the last"],
    "FLEET_LATE_HOURS": ["-1", "8785"],
    "FLEET_START_DATE": ["01/06/2025", "2025-13-01", "2999-01-01", "0025-01-01"],
    "FLEET_NOTIFY_URLS": ["nothing://s3cr\u00e9t"],
    "FLEET_REPORT_LAYOUT": ["absent.toml", "a_file", "a_folder"],
    "FLEET_LOG_FORMAT": ["xml"],
    "FLEET_OTLP_URL": ["collector:4318", "grpc://collector:4317"],
    "FLEET_MAX_FILE_MB": ["0", "nan", "inf", "big"],
    "FLEET_MAX_FILE_ROWS": ["0", "-5"],
    "AWS_ACCESS_KEY_ID": [SECRET],
    "AWS_SECRET_ACCESS_KEY": [SECRET],
    "AWS_SESSION_TOKEN": [SECRET],
    "AWS_DEFAULT_REGION": ["s\u00e3o paulo"],
    "AWS_ENDPOINT_URL": ["minio:9000", "s3://bucket"],
}
ANY_TEXT = {"FLEET_PSEUDONYM_KEY", "FLEET_SERVE_SECRET", "FLEET_SERVE_OIDC_AUDIENCE", "FLEET_SERVE_OIDC_LOGIN_CLAIM"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder without `.env`, and no variable of ours."""
    for name in [name for name in os.environ if name.startswith(("FLEET_", "AWS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("= no TOML")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


def test_every_setting_is_in_the_table():
    assert set(known_variables()) == {*WRONG, *ANY_TEXT}


@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize(("variable", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_sentence_with_the_variables_name(folder, monkeypatch, variable, value, place):
    if place == "environment":
        monkeypatch.setenv(variable, value)
    else:
        (folder / ".env").write_text(f'{variable}="{value}"\n', encoding="utf-8")
    with pytest.raises(PermanentError) as raised:
        load_settings()
    sentence = str(raised.value)
    assert sentence.startswith(f"Setting {variable} is wrong: "), sentence
    assert sentence.endswith(".")
    assert not sentence.endswith("..")
    assert "\n" not in sentence
    assert "cr\u00e9t" not in sentence


@pytest.mark.parametrize("variable", sorted({*WRONG, *ANY_TEXT}))
def test_an_empty_variable_is_an_absent_one(monkeypatch, variable):
    monkeypatch.setenv(variable, "  ")
    assert load_settings() == Settings()


@pytest.mark.parametrize("place", ["environment", ".env"])
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"FLEET_API_URL": "https://api.example.com"}, "FLEET_API_TOKEN is not set"),
        ({"FLEET_ENGINE": "spark"}, "FLEET_SPARK_MASTER is not set, but FLEET_ENGINE is spark"),
        ({"AWS_ACCESS_KEY_ID": "AK"}, "AWS_SECRET_ACCESS_KEY is not set, but AWS_ACCESS_KEY_ID is"),
        ({"AWS_SESSION_TOKEN": "ST"}, "AWS_ACCESS_KEY_ID is not set, but AWS_SESSION_TOKEN is"),
        ({"AWS_SECRET_ACCESS_KEY": "SK"}, "AWS_ACCESS_KEY_ID is not set, but AWS_SECRET_ACCESS_KEY is"),
        ({"FLEET_CLOSNG_DAY": "1"}, "FLEET_CLOSNG_DAY is not a setting: did you mean FLEET_CLOSING_DAY"),
        ({"FLEET_INBOX_URI": "inbox"}, "FLEET_INBOX_URI is not a setting: did you mean FLEET_INBOX_URL"),
        ({"FLEET_OTEL_URL": "http://collector"}, "FLEET_OTEL_URL is not a setting: did you mean FLEET_OTLP_URL"),
    ],
)
def test_what_is_missing_or_misspelled_is_named(folder, monkeypatch, variables, sentence, place):
    for name, value in variables.items():
        if place == "environment":
            monkeypatch.setenv(name, value)
        else:
            (folder / ".env").write_text(f"{name}={value}\n", encoding="utf-8")
    with pytest.raises(PermanentError, match=sentence):
        load_settings()


OWN_NAMES = ["FLEET_CODE_HOST", "FLEET_ANYTHING_ELSE", "FLEET_NAME", "FLEET_PSEUDONYM_KEY_OLD", "FLEET_WAREHOUSE_USER"]
OWN_NAMES += ["FLEET_WAREHOUSE_URL_2", "FLEET_SERVE_WAREHOUSE_URL_FILE"]
NEAR_NAMES = {
    "FLEET_WAREHOUSE": "FLEET_WAREHOUSE_URL",
    "FLEET_DATABASE_URL": "",
    "FLEET_LAKE": "FLEET_LAKE_URL",
    "FLEET_INBOX": "FLEET_INBOX_URL",
    "FLEET_CLOSE_DAY": "FLEET_CLOSING_DAY",
}


@pytest.mark.parametrize("variable", [*OWN_NAMES, *NEAR_NAMES])
def test_a_name_that_nothing_reads_is_one_line_of_the_log(monkeypatch, caplog, variable):
    setting_names._warn_ignored.cache_clear()
    monkeypatch.setenv(variable, "x")
    assert load_settings() == Settings()
    assert load_settings(home="another") is not None
    (line,) = caplog.messages
    assert line.startswith(f"{variable} is not a setting and has no effect")
    assert NEAR_NAMES.get(variable, "") in line


def test_names_of_the_deployment_and_of_kubernetes_are_left_alone(monkeypatch, caplog):
    for name in ("FLEET_HOST", "FLEET_DBT", "FLEET_SERVE_SERVICE_HOST", "FLEET_SERVE_PORT_8080_TCP_ADDR"):
        monkeypatch.setenv(name, "x")
    assert load_settings() == Settings()
    assert caplog.messages == []


def test_traces_without_opentelemetry_are_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)  # as where it is not installed
    assert load_settings().otlp_url is None
    monkeypatch.setenv("FLEET_OTLP_URL", "http://collector:4318")
    with pytest.raises(PermanentError, match=r"FLEET_OTLP_URL.*not installed: pip install"):
        load_settings()
