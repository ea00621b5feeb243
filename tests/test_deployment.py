"""The examples for containers, Compose and Kubernetes: their settings exist, and their numbers agree."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from musicgate.hosting.discovery import load_plugins
from musicgate.settings import Settings, load_settings, resolve
from musicgate.web.serve import _SHUTDOWN_S

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
CONTAINERFILE = (EXAMPLES / "container/Containerfile").read_text("utf-8")
MANIFESTS = ("kubernetes/postgres.yaml", "kubernetes/sqlite.yaml")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
PORT = Settings().server.port


def manifest(name: str, kind: str) -> dict[str, Any]:
    """The only object of a kind in a manifest."""
    (found,) = (
        item for item in yaml.safe_load_all((EXAMPLES / name).read_text("utf-8")) if item["kind"] == kind
    )
    return dict(found)


def pod_of(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of a manifest, and its only container."""
    spec = manifest(name, "Deployment" if "postgres" in name else "StatefulSet")["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return spec, container


def compose(*names: str) -> dict[str, Any]:
    """The services of compose files, merged where one adds to another, with their variables as if unset."""
    services: dict[str, Any] = {}
    for name in names:
        for service, table in yaml.safe_load((EXAMPLES / name).read_text("utf-8"))["services"].items():
            before = services.get(service, {})
            added = {
                variable: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value)
                for variable, value in table.get("environment", {}).items()
            }
            services[service] = {**before, **table, "environment": {**before.get("environment", {}), **added}}
    return services


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    instruction = re.search(r"^ENV ((?:.*\\\n)*.*)", CONTAINERFILE, re.MULTILINE)
    assert instruction is not None
    return dict(word.split("=", 1) for word in instruction[1].replace("\\\n", " ").split())


def environments() -> Iterator[tuple[str, Mapping[str, str]]]:
    """The environment of musicgate in each example."""
    for files in (["compose.yaml"], ["compose.yaml", "compose.override.yaml"]):
        for name, service in compose(*files).items():
            if name.startswith("musicgate"):
                yield f"{files[-1]}: {name}", service["environment"]
    for file in MANIFESTS:
        _, container = pod_of(file)
        yield file, {entry["name"]: entry["value"] for entry in container["env"]}


def seconds(text: str) -> int:
    """A duration of Compose: ``11m``, ``15s``."""
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that secrets.sh makes, and what it prints."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "container").mkdir()
    script = shutil.copy(EXAMPLES / "container/secrets.sh", folder / "container")
    done = subprocess.run(["sh", script], capture_output=True, text=True, check=True)  # noqa: S603, S607 - our own script
    again = subprocess.run(["sh", script], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the same
    assert (again.returncode, again.stdout) == (1, "")
    assert "exists already; nothing was changed" in again.stderr
    return folder / "secrets", done.stdout


def test_the_script_makes_settings_that_load(secrets: tuple[Path, str]) -> None:
    folder, printed = secrets
    settings = load_settings(folder / "musicgate.toml", {})
    password = (folder / "postgres_password").read_text()
    assert settings.store.url.endswith(f"musicgate:{password}@database/musicgate")
    (account,) = settings.accounts
    digest = hashlib.sha256(printed.rpartition(" ")[2].strip().encode()).hexdigest()
    assert account.key_hash == f"sha256:{digest}"
    # The container reads the files as another user; no other user of the host gets to them.
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "environment", [pytest.param(environment, id=name) for name, environment in environments()]
)
def test_every_variable_is_a_setting_with_a_valid_value(
    environment: Mapping[str, str], secrets: tuple[Path, str]
) -> None:
    given = {**image_environment(), **environment, "MUSICGATE_CONFIG": str(secrets[0] / "musicgate.toml")}
    settings = load_settings(None, given)
    assert "MUSICGATE_CONFIG" in environment
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", PORT)  # noqa: S104 - in a container
    resolved = {name: resolve(settings, plugin.provider) for name, plugin in load_plugins().providers.items()}
    assert set(settings.providers) <= set(resolved)


def test_replicas_keep_their_audio_in_one_place() -> None:
    services = compose("compose.yaml")
    replicas = [services["musicgate-1"], services["musicgate-2"]]
    assert replicas[0]["environment"] == replicas[1]["environment"]
    (folder,) = {service["environment"]["MUSICGATE_ASSETS__URL"] for service in replicas}
    (volume,) = {volume for service in replicas for volume in service["volumes"]}
    assert folder.removeprefix("file://").startswith(volume.partition(":")[2])
    environment = {entry["name"]: entry["value"] for entry in pod_of("kubernetes/postgres.yaml")[1]["env"]}
    assert environment["MUSICGATE_ASSETS__URL"].startswith("s3://")


def test_ports_agree() -> None:
    assert re.findall(r"^EXPOSE (\d+)", CONTAINERFILE, re.MULTILINE) == [str(PORT)]
    assert f"'MUSICGATE_SERVER__PORT', {PORT}" in CONTAINERFILE
    services = compose("compose.yaml", "compose.override.yaml")
    replicas = [f"{name}:{PORT}" for name in services if name.startswith("musicgate")]
    proxy = services["proxy"]
    assert proxy["environment"]["MUSICGATE_UPSTREAMS"].split() == replicas
    assert proxy["ports"] == [f"127.0.0.1:8080{proxy['environment']['SITE_ADDRESS']}"]
    command = services["vendor"]["command"]
    address = services["musicgate-1"]["environment"]["MUSICGATE_PROVIDERS__SUNO_KIE__BASE_URL"]
    assert address == f"http://vendor:{command[command.index('--port') + 1]}"
    for file in MANIFESTS:
        (service,) = manifest(file, "Service")["spec"]["ports"]
        (port,) = pod_of(file)[1]["ports"]
        assert (service["port"], service["targetPort"]) == (PORT, port["name"])
        assert port["containerPort"] == PORT


def test_images_have_a_tag_and_ours_the_version_of_the_repository() -> None:
    files = ["compose.yaml", "compose.override.yaml", *MANIFESTS]
    text = CONTAINERFILE + "".join((EXAMPLES / name).read_text("utf-8") for name in files)
    images = re.findall(r"(?:image: |ARG BASE=|FROM |--tag )([\w./:-]+)", text)
    assert len(images) > 6
    assert [image for image in images if not re.search(r":[0-9][\w.-]*$", image)] == []
    ours = {image.rpartition(":")[2] for image in images if "musicgate:" in image}
    assert ours == {VERSION}


def test_a_stopping_replica_has_the_time_to_end_its_calls() -> None:
    longest_call_s = max(plugin.provider.timeouts.create_s for plugin in load_plugins().providers.values())
    for name, environment in environments():
        assert float(environment["MUSICGATE_SERVER__DRAIN_S"]) >= longest_call_s, name
    needed_s = longest_call_s + _SHUTDOWN_S
    services = compose("compose.yaml")
    assert seconds(services["musicgate-1"]["stop_grace_period"]) > needed_s
    for file in MANIFESTS:
        pod, container = pod_of(file)
        program, pause_s = container["lifecycle"]["preStop"]["exec"]["command"]
        assert program == "sleep"
        assert pod["terminationGracePeriodSeconds"] > needed_s + float(pause_s)


def test_the_proxy_closes_idle_connections_before_the_server_does() -> None:
    program = shutil.which("caddy", path=str(Path(sys.executable).parent)) or shutil.which("caddy")
    assert program is not None, "caddy is missing: install the group of dependencies for development"
    adapted = subprocess.run(  # noqa: S603 - our own words
        [program, "adapt", "--config", EXAMPLES / "container/Caddyfile", "--adapter", "caddyfile"],
        capture_output=True,
        check=True,
        env={},
    )
    http = json.loads(adapted.stdout)["apps"]["http"]
    (route,) = http["servers"]["srv0"]["routes"]
    (proxy,) = route["handle"]
    assert proxy["transport"]["keep_alive"]["idle_timeout"] / 1e9 < Settings().server.idle_timeout_s
    services = compose("compose.yaml")
    upstreams = [upstream["dial"] for upstream in proxy["upstreams"]]
    assert upstreams == services["proxy"]["environment"]["MUSICGATE_UPSTREAMS"].split()
    assert http["grace_period"] / 1e9 < seconds(services["proxy"]["stop_grace_period"])


def test_containers_run_without_root_on_a_read_only_root() -> None:
    (user,) = re.findall(r"^USER (\d+):\1$", CONTAINERFILE, re.MULTILINE)
    writable = {image_environment()["MUSICGATE_DATA_DIR"], "/tmp"}  # noqa: S108 - in the container
    for file in MANIFESTS:
        pod, container = pod_of(file)
        security = pod["securityContext"]
        assert security["runAsNonRoot"]
        assert {str(security[name]) for name in ("runAsUser", "runAsGroup", "fsGroup")} == {user}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        mounts = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert mounts == writable
    for name, service in compose("compose.yaml").items():
        if name.startswith("musicgate"):
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
            assert {volume.partition(":")[2] for volume in service["volumes"]} | set(
                service["tmpfs"]
            ) == writable


def test_a_rolling_update_keeps_every_replica_until_another_one_is_ready() -> None:
    deployment = manifest("kubernetes/postgres.yaml", "Deployment")["spec"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert deployment["replicas"] > 1
    budget = manifest("kubernetes/postgres.yaml", "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == deployment["selector"]
    assert manifest("kubernetes/sqlite.yaml", "StatefulSet")["spec"]["replicas"] == 1
    for file in MANIFESTS:
        _, container = pod_of(file)
        probes = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("liveness", "readiness")}
        assert probes == {"liveness": "/livez", "readiness": "/readyz"}


def test_the_build_context_has_what_the_image_copies_and_no_more() -> None:
    ignored = (EXAMPLES / "container/Containerfile.dockerignore").read_text("utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    lines = re.findall(r"^COPY (?!--from)(.*)", CONTAINERFILE, re.MULTILINE)
    copied = {word for line in lines for word in line.split()[:-1]}
    assert copied == kept
    assert [path for path in sorted(copied) if not (ROOT / path).exists()] == []


def test_no_secret_is_in_an_example() -> None:
    text = "".join(path.read_text("utf-8") for path in EXAMPLES.glob("**/*.yaml"))
    assert re.findall(r"whsec_|sha256:|://\w+:[^@/\s]+@", text) == []
    keys = {
        value
        for _, environment in environments()
        for name, value in environment.items()
        if name.endswith(("_KEY", "_SECRET"))
    }
    assert keys == {"any-key-not-real"}


def test_every_log_line_that_the_page_explains_is_logged() -> None:
    page = (ROOT / "docs/operate.md").read_text("utf-8").partition("\nLogs go to standard error")[2]
    lines = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)))
    assert len(lines) > 8
    code = "".join(path.read_text("utf-8") for path in (ROOT / "musicgate").rglob("*.py"))
    assert [line for line in lines if f'"{line}' not in code] == []
