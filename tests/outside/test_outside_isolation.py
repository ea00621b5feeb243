"""Broken plugins beside a good one: each is isolated and named, and songs are still made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.outside.broken_plugins import BROKEN_PLUGINS, write
from tests.outside.environment import CleanEnvironment, build, shared

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.outside, pytest.mark.timeout(180)]

#: Plugin, distribution, and its error; None = it can be loaded.
SHOWN: list[tuple[str, str, str | None]] = [
    ("cannot_import", "broken-import", "ModuleNotFoundError: No module named 'a_module_that_does_not_exist'"),
    ("cannot_parse", "broken-syntax", "SyntaxError: invalid syntax (broken_syntax.py, line 1)"),
    (
        "odd_signature",
        "broken-signature",
        "PluginValidationError: Plugin 'odd_signature' for hook 'map_status'",
    ),
    ("leaves", "broken-exit", "SystemExit: 3"),
    ("raises_at_load", "broken-declaration", "RuntimeError: not today"),
    (
        "old_api",
        "broken-old",
        "plugin old_api: was built for hook API 0; this musicgate has 1 (module constant HOOK_API)",
    ),
    ("raises_in_translation", "broken-translation", None),
    ("raises_in_observer", "broken-observer", None),
    ("minimax", "musicgate-minimax", None),
]
BROKEN = [
    "cannot_import",
    "cannot_parse",
    "duplicate",
    "leaves",
    "odd_signature",
    "old_api",
    "raises_at_load",
]


@pytest.fixture(scope="session")
def facts(run_folder: Path, wheels: Path) -> dict[str, Any]:
    """Observations of one environment with all of them installed."""

    def observe(folder: Path) -> None:
        built = folder / "built"
        for distribution in BROKEN_PLUGINS:
            source = folder / distribution
            source.mkdir()
            write(distribution, source)
            build(source, built, only_wheel=True)
        clean = CleanEnvironment.make(folder / "clean", wheels)
        clean.install("musicgate-minimax", *map(str, built.glob("*.whl")))
        seen: dict[str, Any] = {
            "records": clean.plugins(exit_code=1),
            "table": clean.musicgate("plugins", exit_codes=(1,)),
        }
        with clean.serving() as server:
            seen["ready"] = server.call("GET", "/readyz").body
            seen["song"] = server.generate(model="minimax/music", prompt="rain", lyrics="[Verse]\nRain")
            refused = server.call(
                "POST", "/v1/music/generate", {"model": "raises_in_translation/v1", "prompt": "x"}
            )
            seen["refused"] = [refused.status, refused.body]
            seen["another"] = server.generate(model="minimax/music", prompt="rain", lyrics="[Verse]\nRain")
        seen["log"] = server.log.read_text()
        (folder / "facts.json").write_text(json.dumps(seen))

    folder = shared(run_folder, "isolation", observe)
    return dict(json.loads((folder / "facts.json").read_text()))


@pytest.mark.parametrize(("plugin", "distribution", "error"), SHOWN)
def test_each_plugin_is_listed_with_its_error(
    facts: dict[str, Any], plugin: str, distribution: str, error: str | None
) -> None:
    (record,) = [record for record in facts["records"] if record["name"] == plugin]
    assert record["distribution"] == distribution
    assert record["version"] == ("0.1.0" if plugin == "minimax" else "1.2.3")
    if error is None:
        assert record["error"] is None
    else:
        assert record["error"].startswith(error)
        assert record["provider"] is None


def test_of_two_plugins_with_one_name_the_second_is_left_out(facts: dict[str, Any]) -> None:
    duplicates = [record for record in facts["records"] if record["name"] == "duplicate"]
    assert sorted(record["distribution"] for record in duplicates) == [
        "broken-duplicate-a",
        "broken-duplicate-b",
    ]
    assert [record["error"] for record in duplicates] == [
        None,
        "plugin duplicate: another plugin has this name already",
    ]


def test_the_printed_table_names_every_plugin(facts: dict[str, Any]) -> None:
    for distribution in BROKEN_PLUGINS:
        assert distribution in facts["table"]


def test_the_server_is_ready_and_lists_the_broken_plugins(facts: dict[str, Any]) -> None:
    ready = facts["ready"]
    assert ready["status"] == "ok"
    assert ready["providers"] == ["minimax", "raises_in_translation"]
    assert sorted(ready["broken_plugins"]) == BROKEN


@pytest.mark.parametrize("song", ["song", "another"])
def test_songs_are_still_made(facts: dict[str, Any], song: str) -> None:
    job = facts[song]
    assert (job["status"], job["provider_plugin"]) == ("completed", "minimax")
    assert job["usage"]["output_audio_seconds"] > 3


def test_a_translation_that_raises_is_a_gateway_error_that_names_the_plugin(facts: dict[str, Any]) -> None:
    status, body = facts["refused"]
    assert (status, body["error"]) == (500, "gateway_error")
    assert "plugin raises_in_translation: translate_request raised LookupError" in body["description"]


def test_an_observer_that_raises_is_named_in_the_log(facts: dict[str, Any]) -> None:
    assert "plugin raised in job_changed: plugin=raises_in_observer" in facts["log"]
    for plugin in BROKEN:
        assert f"plugin left out: plugin={plugin} error=" in facts["log"]
