"""The code location: everything under `defs/`, with resources for the environment bound. Nothing else.

`build_definitions(resource_overrides=…)` makes the same for a test.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.utils import coerce_valid_log_level

from fleet_audit.closing.code import code_version
from fleet_audit.defs.resources import FleetResource, run_resources
from fleet_audit.garbage_collection import collect_rarely, keep_loaded_objects
from fleet_audit.observability.json_logs import RunJsonFormatter, log_as_json, write_json
from fleet_audit.settings import load_settings, wants_json_lines

collect_rarely()
if wants_json_lines():
    log_as_json(logging.getLogger("fleet_audit"))  # lines outside of runs; Dagster's services set up their own loggers
code_version()  # of the sources that are loaded here: a deployment may replace them while a run lasts


@dg.logger(
    config_schema={
        "log_level": dg.Field(str, default_value="INFO", description="DEBUG prints every event of a run."),
        "name": dg.Field(str, default_value="dagster", description="Name of the logger in lines that are not JSON."),
    }
)
def console(context: dg.InitLoggerContext) -> logging.Logger:
    """The console of a run: without Dagster's debug lines, 6,500 in half an hour; the event log keeps all events.

    JSON lines where FLEET_LOG_FORMAT asks for them.
    """
    if load_settings().log_format == "text":
        return dg.colored_console_logger.logger_fn(context)
    logger = logging.Logger("fleet_audit.runs", coerce_valid_log_level(context.logger_config["log_level"]))
    handler = logging.StreamHandler()
    handler.setFormatter(RunJsonFormatter())
    logger.addHandler(handler)
    return logger


def _set_log(log: logging.Logger) -> None:
    """Makes a run that chose no logger write JSON where FLEET_LOG_FORMAT asks for it."""
    if load_settings().log_format == "json":
        write_json(log)


def _send_trace(instance: dg.DagsterInstance, run: dg.DagsterRun, warn: Callable[[str], None]) -> None:
    """Sends the trace of a run that ends, where FLEET_OTLP_URL asks for it; a receiver that is away fails no run."""
    url = load_settings().otlp_url
    if url is None:
        return
    try:
        from fleet_audit.observability.traces import send_trace  # not at the top: OpenTelemetry is an extra

        if not send_trace(url, instance, run):
            warn("The trace of this run was not sent: the receiver that FLEET_OTLP_URL names did not take it.")
    except Exception as error:  # its own variables (OTEL_…) raise whatever they like
        warn(f"The trace of this run was not sent ({type(error).__name__}): check the variables that begin with OTEL_.")


def build_definitions(
    resource_overrides: Mapping[str, Any] | None = None, loggers: Mapping[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """All definitions; `resource_overrides` replaces resources by key, `loggers` adds loggers for runs to choose."""
    overrides = dict(resource_overrides or {})
    fleet = overrides.get("fleet") or FleetResource()
    resources: dict[str, Any] = {"fleet": fleet, **run_resources(fleet, _set_log, _send_trace)}
    with warnings.catch_warnings():  # of arguments that are still in beta
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        # not load_from_defs_folder: that also imports every library that offers component types (all of dagster_aws)
        loaded = dg.ComponentTree.for_project(Path(__file__).parent).build_defs(Path())
    bound = dg.Definitions(
        resources=resources | overrides,
        loggers={"console": console, **(loggers or {})},
        # for runs outside of our jobs too (dg launch, Materialize in the UI): a process a step takes 180 s for a day,
        # one process 20 s
        executor=dg.in_process_executor,
    )
    merged = dg.Definitions.merge(loaded, bound)
    keep_loaded_objects()
    return merged


@dg.definitions
def defs() -> dg.Definitions:
    """What `dg`, the webserver and the daemon load."""
    return build_definitions()
