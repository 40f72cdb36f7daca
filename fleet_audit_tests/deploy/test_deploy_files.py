"""The files of deploy/ as far as they can be checked without a container engine: form, hardening, names they share."""

from __future__ import annotations

import json
import re
from pathlib import Path

import boto3
import pytest
import yaml
from botocore.validate import validate_parameters
from dagster._core.instance.config import dagster_instance_config

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROOT = DEPLOY.parent
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
TASK = json.loads((DEPLOY / "ecs-task-definition.json").read_text())


def test_every_container_is_hardened_and_limited():
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert name == "postgres" or service["read_only"], name
        if service["image"] == "fleet_audit":
            assert re.fullmatch(r"\d+:\d+", service["user"]), name


def test_only_the_proxy_publishes_ports_and_only_our_network_reaches_the_code_server():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    proxied = set(re.findall(r"reverse_proxy (\w+):3000", (DEPLOY / "Caddyfile").read_text()))
    assert proxied == {"webserver", "viewer"}
    assert "--read-only" in SERVICES["viewer"]["command"]


def test_images_from_elsewhere_are_named_by_digest():
    for name in ("postgres", "proxy"):
        assert "@sha256:" in SERVICES[name]["image"], name
    assert "@sha256:" in TASK["containerDefinitions"][0]["image"]


def test_every_variable_without_a_default_is_in_the_example():
    text = (DEPLOY / "docker-compose.yml").read_text()
    required = set(re.findall(r"\$\{(\w+):\?", text))
    given = set(re.findall(r"^(\w+)=", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))
    assert required <= given


def test_mounted_and_copied_files_exist():
    mounted = re.findall(r"- \./([\w.-]+):", (DEPLOY / "docker-compose.yml").read_text())
    copied = re.findall(r"^!(deploy/[\w.-]+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert mounted
    assert [path for path in [*(f"deploy/{name}" for name in mounted), *copied] if not (ROOT / path).is_file()] == []


def test_the_task_definition_fits_the_model_of_ecs():
    client = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    shape = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    validate_parameters(TASK, shape)
    memory = sum(container["memory"] for container in TASK["containerDefinitions"])
    assert memory <= int(TASK["memory"])
    for container in TASK["containerDefinitions"]:
        assert container["readonlyRootFilesystem"], container["name"]
        assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}


def test_secrets_are_never_plain_variables():
    for container in TASK["containerDefinitions"]:
        plain = {one["name"] for one in container["environment"]}
        assert not [name for name in plain if re.search("PASSWORD|TOKEN|KEY|WAREHOUSE_URL|POSTGRES_URL", name)]


@pytest.mark.parametrize("with_s3_logs", [False, True])
def test_dagster_accepts_the_instance_configuration(tmp_path, monkeypatch, with_s3_logs):
    config = yaml.safe_load((DEPLOY / "dagster.yaml").read_text())
    if with_s3_logs:
        config |= yaml.safe_load((DEPLOY / "dagster-s3-logs.yaml").read_text())
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    found, _ = dagster_instance_config(str(tmp_path))
    assert found["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}


def test_helm_values_run_every_pod_as_a_number_without_rights():
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    pods = [*values["dagster-user-deployments"]["deployments"], values["dagsterWebserver"], values["dagsterDaemon"]]
    for pod in pods:
        assert pod["podSecurityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert pod["resources"]["limits"]


def test_compiled_functions_of_the_image_are_where_the_pods_of_runs_may_write():
    values = yaml.safe_load((DEPLOY / "helm-values.yaml").read_text())
    (pod,) = values["dagster-user-deployments"]["deployments"]
    (first,) = pod["initContainers"]
    (kept_in,) = re.findall(r"NUMBA_CACHE_DIR=(\S+)", (ROOT / "Dockerfile").read_text())
    *_, source, target = first["command"]
    assert source == kept_in
    assert f"{target}{Path(source).name}" == pod["env"]["NUMBA_CACHE_DIR"]
    assert target.rstrip("/") in [mount["mountPath"] for mount in first["volumeMounts"]]
    assert first["image"] == f"{pod['image']['repository']}:{pod['image']['tag']}"
    assert first["securityContext"] == pod["securityContext"]
