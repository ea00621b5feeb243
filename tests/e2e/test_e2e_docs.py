"""docs/http.md and docs/settings.md are true: commands are run, tables compared with the code."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from musicgate.errors import CODES, ConfigError, StorageError
from musicgate.model import Secret
from musicgate.model.failure import RULES
from musicgate.settings import (
    Account,
    ProviderTable,
    Settings,
    load_settings,
    resolve,
)
from musicgate.web.app import make_app
from tests.e2e.running_server import PLUGINS

if TYPE_CHECKING:
    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCS = Path(__file__).parents[2] / "docs"
HTTP = (DOCS / "http.md").read_text()
SETTINGS = (DOCS / "settings.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: Values that differ from run to run; their type does not.
VOLATILE = {
    *("id", "requestId", "generation_id", "request_id", "nativeResponseId", "generation_ms"),
    *("created_at", "updated_at", "completed_at", "planned_at", "answered_at"),
    *("audio_url", "stream_audio_url", "image_url", "url", "waveform_url", "peaks_url"),
    *("duration", "size_bytes", "output_audio_seconds"),
    *("bit_rate", "loudness_lufs", "true_peak_dbtp", "sha256"),
    *("from", "to", "audio_seconds"),
}


def tables(text: str, *head: str) -> list[list[str]]:
    """The rows of every table whose heading begins with these cells, without back quotes."""
    rows, wanted = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            wanted = False
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[: len(head)] == list(head):
            wanted = True
        elif wanted and not set(cells[0]) <= {"-"}:
            rows.append([cell.replace("`", "") for cell in cells])
    return rows


def assert_alike(printed: object, real: object, where: str = "$") -> None:
    """Same keys, same values; of a volatile value only the type counts."""
    if isinstance(printed, dict):
        assert isinstance(real, dict), where
        assert list(printed) == list(real), where
        for key, value in printed.items():
            if key in VOLATILE and not isinstance(value, dict | list):
                assert type(value) is type(real[key]), f"{where}.{key}"
            else:
                assert_alike(value, real[key], f"{where}.{key}")
    elif isinstance(printed, list):
        assert isinstance(real, list), where
        assert len(printed) == len(real), where
        for index, value in enumerate(printed):
            assert_alike(value, real[index], f"{where}[{index}]")
    else:
        assert printed == real, where


async def test_every_curl_command_gives_the_answer_printed_below_it(server: RunningServer) -> None:
    blocks = BLOCK.findall(HTTP)
    music_id = ""
    ran = compared = 0
    for number, (kind, text) in enumerate(blocks):
        if kind != "sh":
            continue
        line = text.replace("\\\n", " ").replace("$KEY", "test-key-not-real").replace("$ID", music_id)
        command, *words = shlex.split(line.replace("http://127.0.0.1:8080", server.url))
        assert command == "curl"
        options = {"-H": "", "-d": "", "-o": ""}
        url, position = "", 0
        while position < len(words):
            if words[position] in options:
                options[words[position]] = words[position + 1]
                position += 1
            elif words[position] != "-s":
                url = words[position]
            position += 1
        name, _, value = options["-H"].partition(": ")
        if music_id:
            await server.finish(music_id)
        data = options["-d"].encode() or None
        reply = await server.call("POST" if data else "GET", url, data=data, headers={name: value}, key=None)
        if options["-o"]:
            assert (reply.status, reply.headers["Content-Type"]) == (200, "audio/mpeg")
        ran += 1
        if number + 1 < len(blocks) and blocks[number + 1][0] == "json":
            assert_alike(json.loads(blocks[number + 1][1]), reply.body)
            compared += 1
        else:
            assert reply.status == 200
        music_id = music_id or str(reply.body.get("id", ""))
    assert (ran, compared) == (9, 5)


async def test_the_table_of_routes_has_every_route_of_the_server(server: RunningServer) -> None:
    app = make_app(server.gateway)
    served = set()
    for route in app.router.routes():
        assert route.resource is not None
        path = re.sub(r"\{(\w+):[^}]*\}*?\}(?=$|/)", r"{\1}", route.resource.canonical)
        if route.method != "HEAD":
            served.add((route.method, path))
    documented = {(method, path) for method, path, _ in tables(HTTP, "method", "path")}
    assert documented == served


async def test_the_tables_of_errors_have_every_code_and_failure_class() -> None:
    assert {code: int(status) for code, status in tables(HTTP, "`error`", "HTTP")} == {
        code: rule.http_status for code, rule in CODES.items()
    }
    yes = {True: "yes", False: "no"}
    classes = {
        reason.value: [str(rule.http_status), yes[rule.try_next], rule.cost.value]
        for reason, rule in RULES.items()
    }
    assert {row[0]: row[1:] for row in tables(HTTP, "`reason`", "HTTP")} == classes


#: Every section that the code knows; one that the page leaves out has no rows there.
SECTIONS: dict[str, Any] = {
    f"[{field.name}]": type(field.default)
    for field in attrs.fields(Settings)
    if field.default is not None and attrs.has(type(field.default))
}


@pytest.mark.parametrize("section", SECTIONS)
async def test_every_setting_is_documented_with_its_default(section: str) -> None:
    part = SETTINGS.partition(f"## `{section}`")[2].partition("\n## ")[0]
    documented = {
        row[0]: None if row[1] == "none" else json.loads(row[1]) for row in tables(part, "key", "default")
    }
    assert documented == {field.name: field.default for field in attrs.fields(SECTIONS[section])}
    assert {key: type(value) for key, value in documented.items()} == {
        field.name: type(field.default) for field in attrs.fields(SECTIONS[section])
    }


async def test_the_keys_of_accounts_are_documented() -> None:
    part = SETTINGS.partition("## `[[accounts]]`")[2].partition("\n## ")[0]
    documented = {row[0]: row[1] for row in tables(part, "key", "default")}
    words = {attrs.NOTHING: "required", None: "none", "": '""', False: "false"}
    assert documented == {field.name: words[field.default] for field in attrs.fields(Account)}


async def test_the_keys_of_providers_are_documented(plugins: PluginHost) -> None:
    part = SETTINGS.partition("## `[providers.<plugin>]`")[2].partition("\n## ")[0]
    common = {row[0] for row in tables(part, "key", "default")}
    assert common == set(attrs.fields_dict(ProviderTable))
    declared = {name: plugin.provider for name, plugin in plugins.providers.items()}
    names = {row[0]: row[1:] for row in tables(part, "plugin", "key", "base URL")}
    assert names == {
        name: [provider.key_env, provider.base_url_env, provider.webhook_secret_env or ""]
        for name, provider in declared.items()
    }
    own = {
        (plugin, key): json.loads(default)
        for plugin, key, default in tables(part, "plugin", "key", "default")
    }
    properties: dict[tuple[str, str], Any] = {
        (name, key): schema["default"]
        for name, provider in declared.items()
        for key, schema in provider.settings_schema["properties"].items()  # type: ignore[attr-defined]  # validated
    }
    assert own == properties


async def test_the_settings_file_of_the_page_can_be_read(tmp_path: Path, plugins: PluginHost) -> None:
    toml = next(text for kind, text in BLOCK.findall(SETTINGS) if kind == "toml")
    file = tmp_path / "musicgate.toml"
    file.write_text(toml)
    environ = {"MUSICGATE_SERVER__PORT": "9000", "MUSICGATE_PROVIDERS__SUNO_KIE__PRIORITY": "5"}
    settings = load_settings(file, environ)
    assert settings.server.port == 9000
    assert settings.server.public_url == tomllib.loads(toml)["server"]["public_url"]
    assert settings.accounts[0].name == "studio"
    kie = resolve(settings, plugins.providers["suno_kie"].provider)
    assert (kie.provider.priority, kie.key) == (5, Secret("test-key-not-real"))
    assert not resolve(settings, plugins.providers["minimax"].provider).enabled
    with pytest.raises(ConfigError, match=r"server\.colour"):
        load_settings(file, {"MUSICGATE_SERVER__COLOUR": "blue"})


@pytest.mark.parametrize("name", ["request", "job", "error", "plan", "options/suno", "options/minimax.json"])
async def test_the_schemas_are_served(server: RunningServer, name: str) -> None:
    reply = await server.call("GET", f"/v1/schemas/{name}", key=None)
    assert reply.headers["Content-Type"] == "application/schema+json"
    assert reply.body["$id"] == f"urn:musicgate:schema:v1:{name.removesuffix('.json').replace('/', ':')}"


async def test_health_routes_report_whether_the_server_is_ready(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await server.call("GET", "/livez", key=None)).body == {"status": "ok"}
    ready = await server.call("GET", "/readyz", key=None)
    assert (ready.status, ready.body["status"], ready.body["broken_plugins"]) == (200, "ok", [])
    assert ready.body["providers"] == sorted(PLUGINS)

    async def broken() -> None:
        message = "the disk is full"
        raise StorageError(message)

    monkeypatch.setattr(server.gateway._context.store, "ping", broken)
    ready = await server.call("GET", "/readyz", key=None)
    assert (ready.status, ready.body["status"], ready.body["description"]) == (
        503,
        "not_ready",
        "the disk is full",
    )
