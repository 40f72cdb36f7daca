"""`fleet-audit serve`: the read API and the page over HTTP.

Only options belong here; the application is `access.app`, imported on first use.
"""

from __future__ import annotations

import secrets
import signal
import sys
from typing import TYPE_CHECKING

import click

from fleet_audit.cli.commands.options import home_option
from fleet_audit.cli.lines import write_result
from fleet_audit.errors import PermanentError
from fleet_audit.settings import Settings, load_settings, wants_json_lines

if TYPE_CHECKING:
    from fleet_audit.access.accounts.company_tokens import CompanyTokens

_MIN_SECRET = 32  # bytes: RFC 7518 asks for a key as long as HS256's hash


@click.command(epilog="Example: fleet-audit serve --port 8080")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; TLS is the proxy's.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True)
@click.option("--demo", "is_demo", is_flag=True, help="Make a user of each profile, for an embedded warehouse.")
def serve(home: str | None, host: str, port: int, is_demo: bool) -> None:
    """Serve the read API and the page until interrupted: each user sees what their profile and grants allow.

    FLEET_SERVE_SECRET signs the tokens. With FLEET_WAREHOUSE_URL, FLEET_SERVE_WAREHOUSE_URL is the same database as
    fleet_api. The page is at /portal, the API's document at /docs.
    """
    import uvicorn

    from fleet_audit.access.app import create_app
    from fleet_audit.access.uploads import Intake
    from fleet_audit.cli.environment import export_settings
    from fleet_audit.installation import Installation
    from fleet_audit.storage.postgres import engine_of

    settings = load_settings(home=home)
    export_settings(settings)
    secret = settings.serve_secret.get_secret_value() if settings.serve_secret else ""
    if is_demo and not secret:
        secret = secrets.token_hex(_MIN_SECRET)
    if len(secret.encode()) < _MIN_SECRET:
        raise PermanentError(
            f"FLEET_SERVE_SECRET must have {_MIN_SECRET} bytes or more: it signs the tokens. Make one with "
            "python3 -c 'import secrets; print(secrets.token_hex(32))'."
        )
    installation = Installation(settings)
    if is_demo:
        from fleet_audit.access.accounts.demo_users import add_demo_users

        for line in add_demo_users(settings, installation.migrated_url()):
            click.echo(line)
    engine, lake = engine_of(_reader_url(settings, installation.migrated_url())), installation.lake()
    app = create_app(engine, secret, lake, Intake(settings, lake), _company_tokens(settings))
    write_result(f"serving the page at http://{host}:{port}/portal and the API at /docs (Ctrl-C ends it)")
    # uvicorn raises the signal again when it ends: turned into an exit, it releases the embedded PostgreSQL
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lines = None if wants_json_lines() else uvicorn.config.LOGGING_CONFIG  # None: lines are those of this process
    uvicorn.run(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False, log_config=lines
    )  # fmt: skip


def _company_tokens(settings: Settings) -> CompanyTokens | None:
    """Verifies tokens of the company's identity provider, where the settings name one."""
    from fleet_audit.access.accounts.company_tokens import CompanyTokens

    issuer, audience, keys_url = settings.serve_oidc_issuer, settings.serve_oidc_audience, settings.serve_oidc_keys_url
    if not (issuer and audience and keys_url):
        return None
    return CompanyTokens(issuer, audience, keys_url, settings.serve_oidc_login_claim)


def _reader_url(settings: Settings, pipeline_url: str) -> str:
    """The warehouse as the role without grants; the embedded one admits every role through its own socket."""
    if settings.serve_warehouse_url:
        return settings.serve_warehouse_url.get_secret_value()
    if settings.warehouse_url:
        raise PermanentError(
            "FLEET_SERVE_WAREHOUSE_URL is not set: name the warehouse as the role fleet_api, "
            "postgresql://fleet_api:password@host:5432/database."
        )
    return pipeline_url.replace("postgresql://postgres@", "postgresql://fleet_api@")
