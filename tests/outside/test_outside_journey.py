"""Plugins are installed from wheels, make songs and are uninstalled, and the rest still works."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.assets.audio import AudioKind, sniff
from musicgate.scaffold import Callback, Names, Vendor, render, write
from tests.e2e.running_server import decoded_s
from tests.outside.environment import CleanEnvironment, build

if TYPE_CHECKING:
    from pathlib import Path

    from tests.outside.environment import Server

pytestmark = [pytest.mark.outside, pytest.mark.timeout(180)]

HARMONIA = {
    "name": "harmonia",
    "distribution": "musicgate-harmonia",
    "version": "0.1.0",
    "hook_api": 1,
    "provider": "harmonia",
    "error": None,
}
MINIMAX = {**HARMONIA, "name": "minimax", "distribution": "musicgate-minimax", "provider": "minimax"}
POLICY = {
    **HARMONIA,
    "name": "prompt_policy",
    "distribution": "musicgate-prompt-policy",
    "provider": None,
}
LEDGER = {**POLICY, "name": "job_ledger", "distribution": "musicgate-job-ledger"}


@pytest.fixture
def clean(tmp_path: Path, wheels: Path) -> CleanEnvironment:
    return CleanEnvironment.make(tmp_path / "clean", wheels)


def check_song(server: Server, job: dict[str, Any]) -> None:
    """Check that the song is audio of the length that is billed."""
    assert job["status"] == "completed", job
    audio = server.audio(job)
    assert sniff(audio) is AudioKind.MP3
    assert decoded_s(audio) == pytest.approx(job["usage"]["output_audio_seconds"], abs=0.1)
    assert decoded_s(audio) > 3


def test_a_plugin_is_installed_makes_a_song_and_is_uninstalled(clean: CleanEnvironment) -> None:
    clean.install("musicgate-harmonia", "musicgate-minimax")
    assert clean.python("import musicgate; print(musicgate.__file__)").startswith(str(clean.folder))
    assert clean.plugins() == [HARMONIA, MINIMAX]
    model = clean.first_model("harmonia")
    with clean.serving() as server:
        assert server.call("GET", "/readyz").body["providers"] == ["harmonia", "minimax"]
        song = server.generate(model=model, prompt="Slow tango for two guitars")
        assert song["provider_plugin"] == "harmonia"
        check_song(server, song)
        check_song(
            server, server.generate(model="minimax/music", prompt="Slow tango", lyrics="[Verse]\nRain")
        )

    clean.uninstall("musicgate-harmonia")
    assert clean.plugins() == [MINIMAX]
    with clean.serving() as server:
        assert server.call("GET", "/readyz").body["providers"] == ["minimax"]
        refused = server.call("POST", "/v1/music/generate", {"model": model, "prompt": "x"})
        assert (refused.status, refused.body["error"]) == (400, "unsupported_model_or_endpoint")
        check_song(
            server, server.generate(model="minimax/music", prompt="Slow tango", lyrics="[Verse]\nRain")
        )
        check_song(server, server.call("GET", f"/v1/music/generate/{song['id']}").body)


def test_draft_of_a_plugin_is_built_installed_and_makes_a_song(clean: CleanEnvironment) -> None:
    draft = clean.folder / "draft"
    names = Names(name="dawn_chorus", provider="dawn_chorus")
    vendor = Vendor.of(models=("small", "large"), callback=Callback.HMAC_BODY, cancel=True)
    write(draft, render(names, vendor, musicgate_version="0.1.0", today=date(2026, 11, 20)))
    build(draft, clean.folder / "wheel", only_wheel=True)
    (wheel,) = (clean.folder / "wheel").glob("*.whl")
    clean.install(str(wheel))
    assert [record["name"] for record in clean.plugins()] == ["dawn_chorus"]
    clean.musicgate("generate", "Rain", "--model", "dawn_chorus/large", "--sandbox", "-o", "song.mp3")
    assert sniff((clean.folder / "song.mp3").read_bytes()) is AudioKind.MP3


def test_installed_cross_cutting_plugins_take_effect(clean: CleanEnvironment) -> None:
    clean.install("musicgate-job-ledger", "musicgate-minimax", "musicgate-prompt-policy")
    assert clean.plugins() == [LEDGER, MINIMAX, POLICY]
    request = {"model": "minimax/music", "lyrics": "[Verse]\nDamn rain"}
    with clean.serving() as server:
        refused = server.call("POST", "/v1/music/generate", {**request, "prompt": "in the voice of him"})
        assert (refused.status, refused.body["reason"]) == (403, "real-voices")
        song = server.generate(**request, prompt="tango")
        assert "clean-language" in song["warnings"][0]["message"]
        check_song(server, song)
    lines = [line for line in server.log.read_text().splitlines() if "musicgate.job_ledger" in line]
    assert len(lines) == 1
    assert f'"job_id": "{song["id"]}"' in lines[0]
    assert '"price_usd": "0.15"' in lines[0]
