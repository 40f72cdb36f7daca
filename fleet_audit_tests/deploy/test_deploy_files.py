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

from fleet_audit.errors import PermanentError
from fleet_audit.setting_names import BESIDE_SETTINGS, check_names
from fleet_audit.settings import known_variables
from fleet_audit.storage.auth.rights import ROLES_SQL

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
ROOT = DEPLOY.parent
SECRET = "PASSWORD|TOKEN|KEY|SECRET|WAREHOUSE_URL|POSTGRES_URL"
COMPOSE = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
TASKS = [
    json.loads((DEPLOY / name).read_text()) for name in ("ecs-task-definition.json", "ecs-serve-task-definition.json")
]


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
    proxied = set(re.findall(r"reverse_proxy (\w+):(\d+)", (DEPLOY / "Caddyfile").read_text()))
    assert proxied == {("webserver", "3000"), ("viewer", "3000"), ("serve", "8080")}
    for name, port in proxied:
        assert SERVICES[name]["command"][SERVICES[name]["command"].index("--port") + 1] == port
    assert "--read-only" in SERVICES["viewer"]["command"]


def test_every_host_name_of_the_proxy_is_a_variable_that_it_is_given():
    used = set(re.findall(r"\{\$(\w+)\}", (DEPLOY / "Caddyfile").read_text()))
    assert used == set(SERVICES["proxy"]["environment"])


def test_the_read_api_has_its_settings_and_alone_may_write_into_the_inbox():
    serve = SERVICES["serve"]
    assert serve["environment"]["FLEET_SERVE_WAREHOUSE_URL"].startswith("postgresql://fleet_api:${API_PASSWORD:?}@")
    assert serve["environment"]["FLEET_SERVE_SECRET"] == "${FLEET_SERVE_SECRET:?}"
    mounts = {
        name: [one for one in service.get("volumes", []) if ":/inbox" in one] for name, service in SERVICES.items()
    }
    assert [name for name, found in mounts.items() if any(one.endswith(":/inbox") for one in found)] == ["serve"]


def test_compose_gives_every_setting_to_the_containers_that_read_it():
    of_serve = {name for name in known_variables() if name.startswith("FLEET_SERVE_")}
    for service in (one for one in SERVICES.values() if one["image"] == "fleet_audit"):
        given = {name: value for name, value in service["environment"].items() if re.match("FLEET_|AWS_", name)}
        assert given.keys() | of_serve == set(known_variables())
        values = {
            name: value for name, value in given.items() if name not in ("FLEET_HOME", "FLEET_LOG_FORMAT") and value
        }
        assert [name for name, value in values.items() if not value.startswith((f"${{{name}:", "postgresql://"))] == []
    assert of_serve <= SERVICES["serve"]["environment"].keys()


def test_a_misspelled_setting_of_compose_env_stops_the_start(caplog):
    migrate = SERVICES["migrate"]
    assert migrate["env_file"] == "compose.env"  # its names reach the program, which checks them
    names = re.findall(r"^(\w+)=", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE)
    check_names(names, known_variables())
    assert caplog.messages == []
    with pytest.raises(PermanentError, match="FLEET_CLOSNG_DAY"):
        check_names([*names, "FLEET_CLOSNG_DAY"], known_variables())
    secrets = {name for name in names if re.search(f"{SECRET}|HASH", name)}
    assert {name for name in secrets if migrate["environment"].get(name) != ""} == {
        "MIGRATE_PASSWORD",
        "FLEET_PSEUDONYM_KEY",
    }
    assert BESIDE_SETTINGS & set(names) == set(SERVICES["proxy"]["environment"]) & BESIDE_SETTINGS


@pytest.mark.parametrize(
    "name", ["helm-values.yaml", "kubernetes-serve.yaml", "ecs-task-definition.json", "ecs-serve-task-definition.json"]
)
def test_settings_of_the_other_platforms_exist(name):
    named = set(re.findall(r"\bFLEET_[A-Z_]+\b", (DEPLOY / name).read_text()))
    assert named
    assert named <= set(known_variables())


def test_the_roles_of_the_read_api_are_created_as_the_program_names_them():
    text = (DEPLOY / "create-databases.sql").read_text()
    created = re.search(r"\\if :\{\?api_password\}\n(.*?)\\endif", text, re.DOTALL).group(1)
    assert created.replace(" password :'api_password'", "").strip() == ROLES_SQL.strip()
    assert "api_password" in (DEPLOY / "create-databases.sh").read_text()


def test_kubernetes_runs_the_read_api_as_a_number_without_rights():
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes-serve.yaml").read_text())
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["command"] == SERVICES["serve"]["command"]
    assert not [one["name"] for one in container["env"] if re.search(SECRET, one["name"])]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]


def test_images_from_elsewhere_are_named_by_digest():
    for name in ("postgres", "proxy"):
        assert "@sha256:" in SERVICES[name]["image"], name
    assert all("@sha256:" in task["containerDefinitions"][0]["image"] for task in TASKS)


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


@pytest.mark.parametrize("task", TASKS, ids=["pipeline", "serve"])
def test_the_task_definition_fits_the_model_of_ecs(task):
    client = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    shape = client.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    validate_parameters(task, shape)
    memory = sum(container["memory"] for container in task["containerDefinitions"])
    assert memory <= int(task["memory"])
    for container in task["containerDefinitions"]:
        assert container["readonlyRootFilesystem"], container["name"]
        assert container["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("task", TASKS, ids=["pipeline", "serve"])
def test_secrets_are_never_plain_variables(task):
    for container in task["containerDefinitions"]:
        plain = {one["name"] for one in container["environment"]}
        assert not [name for name in plain if re.search(SECRET, name)]


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
