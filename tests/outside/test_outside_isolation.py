"""Broken plugins, installed beside a good one: each is isolated, named and shown, and songs are still made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.outside.environment import CleanEnvironment, build, shared
from tests.outside.strangers import STRANGERS, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.outside, pytest.mark.timeout(180)]

#: Plugin, distribution, and what is said of it; None = nothing is wrong with it as far as loading can tell.
SHOWN: list[tuple[str, str, str | None]] = [
    ("cannot_import", "stranger-import", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
    ("cannot_parse", "stranger-syntax", "SyntaxError: invalid syntax (stranger_syntax.py, line 1)"),
    (
        "odd_signature",
        "stranger-signature",
        "PluginValidationError: Plugin 'odd_signature' for hook 'map_status'",
    ),
    ("leaves", "stranger-exit", "SystemExit: 3"),
    ("raises_at_load", "stranger-declaration", "RuntimeError: no declaration today"),
    (
        "old_api",
        "stranger-old",
        "plugin old_api: was built for hook API 0; this musicgate has 1 (module constant HOOK_API)",
    ),
    ("raises_at_work", "stranger-translation", None),
    ("raises_at_news", "stranger-observer", None),
    ("minimax", "musicgate-minimax", None),
]
BROKEN = ["cannot_import", "cannot_parse", "leaves", "odd_signature", "old_api", "raises_at_load", "twin"]


@pytest.fixture(scope="session")
def facts(run_folder: Path, wheels: Path) -> dict[str, Any]:
    """What is seen of an environment with all of them in it; looked at once for all tests."""

    def look(folder: Path) -> None:
        built = folder / "built"
        for distribution in STRANGERS:
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
            seen["song"] = server.make(model="minimax/music", prompt="rain", lyrics="[Verse]\nRain")
            refused = server.call("POST", "/v1/music/generate", {"model": "raises_at_work/v1", "prompt": "x"})
            seen["refused"] = [refused.status, refused.body]
            seen["another"] = server.make(model="minimax/music", prompt="rain", lyrics="[Verse]\nRain")
        seen["log"] = server.log.read_text()
        (folder / "facts.json").write_text(json.dumps(seen))

    folder = shared(run_folder, "isolation", look)
    return dict(json.loads((folder / "facts.json").read_text()))


@pytest.mark.parametrize(("plugin", "distribution", "error"), SHOWN)
def test_each_plugin_is_shown_with_what_is_wrong_with_it(
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
    twins = [record for record in facts["records"] if record["name"] == "twin"]
    assert sorted(record["distribution"] for record in twins) == ["stranger-twin-a", "stranger-twin-b"]
    assert [record["error"] for record in twins] == [
        None,
        "plugin twin: another plugin has this name already",
    ]


def test_the_table_for_people_names_all_of_them(facts: dict[str, Any]) -> None:
    for distribution in STRANGERS:
        assert distribution in facts["table"]


def test_the_server_is_ready_and_says_what_is_broken(facts: dict[str, Any]) -> None:
    ready = facts["ready"]
    assert ready["status"] == "ok"
    assert ready["providers"] == ["minimax", "raises_at_work"]
    assert sorted(ready["broken_plugins"]) == BROKEN


@pytest.mark.parametrize("song", ["song", "another"])
def test_songs_are_made_all_the_same(facts: dict[str, Any], song: str) -> None:
    job = facts[song]
    assert (job["status"], job["provider_plugin"]) == ("completed", "minimax")
    assert job["usage"]["output_audio_seconds"] > 3


def test_a_translation_that_raises_is_our_error_and_names_the_plugin(facts: dict[str, Any]) -> None:
    status, body = facts["refused"]
    assert (status, body["error"]) == (500, "gateway_error")
    assert "plugin raises_at_work: translate_request raised LookupError" in body["description"]


def test_an_observer_that_raises_is_named_in_the_log(facts: dict[str, Any]) -> None:
    assert "plugin raised in job_changed: plugin=raises_at_news" in facts["log"]
    for plugin in BROKEN:
        assert f"plugin {plugin} is left out: " in facts["log"]
