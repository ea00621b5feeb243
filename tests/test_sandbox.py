"""The sandbox: real gateway, real plugins, emulated vendors, no real account."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

from musicgate.emulation.sandbox import SANDBOX_KEY, SANDBOX_SECRET, sandbox
from musicgate.errors import ConfigError
from musicgate.gateway import Gateway
from musicgate.hosting import PluginHost, load_plugins
from musicgate.model import Job, JobState, Secret
from musicgate.settings import (
    Account,
    Settings,
    load_settings,
    resolve,
)
from musicgate.web.serve import serve
from tests.free_port import free_port

FAST = 100.0


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return load_plugins()


@pytest.mark.parametrize(
    ("model", "plugin", "tracks"),
    [
        ("suno/v4.5plus", "suno_kie", 2),
        ("suno/v3.5", "apiin_one", 2),
        ("elevenlabs/music_v1", "elevenlabs", 1),
        ("fal/ace-step", "fal", 1),
        ("minimax/music-2.5", "minimax", 1),
        ("acestep/turbo", "acestep", 1),
    ],
)
async def test_every_installed_vendor_makes_a_song(
    host: PluginHost, model: str, plugin: str, tracks: int
) -> None:
    async with (
        sandbox(Settings(), host, speed=FAST) as settings,
        Gateway.open(settings, plugins=host) as gateway,
    ):
        job = await gateway.generate("Warm jazz trio with brushed drums", model=model)
        paths = [gateway.audio_path(job, index) for index in range(tracks)]
        assert (job.state, job.plugin, len(job.tracks)) == (JobState.COMPLETED, plugin, tracks)
        assert all(path is not None and path.stat().st_size > 1000 for path in paths)


async def test_keys_addresses_and_store_of_the_operator_are_replaced(
    host: PluginHost, tmp_path: Path
) -> None:
    real = {
        "KIE_API_KEY": "real-looking-key-not-real",
        "KIE_BASE_URL": "https://vendor.example",
        "KIE_WEBHOOK_HMAC_KEY": "real-looking-secret-not-real",
        "MUSICGATE_STORE__URL": f"sqlite:///{tmp_path}/real.db",
        "MUSICGATE_ASSETS__URL": f"file://{tmp_path}/real-audio",
        "MUSICGATE_SERVER__PUBLIC_URL": "https://music.example",
        "MUSICGATE_DATA_DIR": str(tmp_path / "real-data"),
        "MUSICGATE_PROVIDERS__MINIMAX__PRIORITY": "7",
        "MUSICGATE_SERVER__CREATE_WAIT_S": "1.5",
    }
    account = Account(name="ann", key=Secret("test-key-not-real"))
    given = attrs.evolve(load_settings(None, real), accounts=(account,))
    async with sandbox(given, host, speed=5.0) as settings:
        resolved = {name: resolve(settings, plugin.provider) for name, plugin in host.providers.items()}
        addresses = {name: one.settings.base_url for name, one in resolved.items()}
        assert all(address.startswith("http://127.0.0.1:") for address in addresses.values())
        assert len(set(addresses.values())) == len(host.providers)
        assert {one.key for one in resolved.values()} == {Secret(SANDBOX_KEY)}
        assert resolved["suno_kie"].settings.webhook_secret == Secret(SANDBOX_SECRET)
        assert str(tmp_path) not in settings.store_url + settings.assets_url
        assert (settings.server.public_url, settings.follow.speed) == ("", 5.0)
        assert settings.network.allow_private_addresses
        # Settings that do not concern the vendors stay as they are.
        assert (settings.accounts, settings.server.create_wait_s) == ((account,), 1.5)
        assert resolved["minimax"].provider.priority == 7
        folder = settings.data_dir
        assert folder.is_dir()
    assert not folder.exists()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - it takes microseconds


async def test_given_data_dir_is_kept(host: PluginHost, tmp_path: Path) -> None:
    async with (
        sandbox(Settings(), host, speed=FAST, data_dir=tmp_path) as settings,
        Gateway.open(settings, plugins=host) as gateway,
    ):
        await gateway.generate("Hello", model="elevenlabs/music_v1")
    assert (tmp_path / "musicgate.db").is_file()
    assert len(list((tmp_path / "audio").glob("??/*.mp3"))) == 1


async def test_disabled_provider_is_not_emulated(host: PluginHost) -> None:
    off = attrs.evolve(Settings(), providers={"minimax": {"enabled": False}})
    async with sandbox(off, host, speed=FAST) as settings, Gateway.open(settings, plugins=host) as gateway:
        assert set(gateway._context.providers) == set(host.providers) - {"minimax"}


async def test_provider_without_an_emulator_is_left_out() -> None:
    import musicgate_minimax as real

    class WithoutEmulator:
        """MiniMax without its emulator."""

        HOOK_API = real.HOOK_API

    for hook in ("provider", "translate_request", "parse_response"):
        setattr(WithoutEmulator, hook, staticmethod(getattr(real, hook)))
    host = load_plugins({"minimax": WithoutEmulator()}, installed=False)
    assert host.records[0].error is None
    async with (
        sandbox(Settings(), host, speed=FAST) as settings,
        Gateway.open(settings, plugins=host) as gateway,
    ):
        assert list(gateway._context.providers) == []


@pytest.mark.parametrize(
    ("switches", "state"),
    [
        ({"end": "SENSITIVE_WORD_ERROR"}, JobState.FAILED),
        ({"suno_kie.end": "SENSITIVE_WORD_ERROR"}, JobState.FAILED),
        ({"minimax.done_s": "1"}, JobState.COMPLETED),
    ],
    ids=["for all", "for this one", "for another one"],
)
async def test_switches_reach_the_vendors_that_they_name(
    host: PluginHost, switches: dict[str, str], state: JobState
) -> None:
    async with (
        sandbox(Settings(), host, speed=FAST, switches=switches) as settings,
        Gateway.open(settings, plugins=host) as gateway,
    ):
        # A vendor that refuses unknown switches is emulated all the same.
        assert set(gateway._context.providers) == set(host.providers)
        job = await gateway.submit(gateway.read({"model": "suno/v4.5plus", "prompt": "Hello"}))
        job = await gateway.wait(job.id, 20)
    assert job.state is state


@pytest.mark.parametrize("name", ["missing.end", "apiin_one.gibberish"])
async def test_unknown_switch_or_plugin_is_a_config_error(host: PluginHost, name: str) -> None:
    with pytest.raises(ConfigError, match=name.partition(".")[0]):
        async with sandbox(Settings(), host, switches={name: "1"}):
            pass


async def test_callbacks_arrive_and_are_signed(host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Mapping[str, str]] = []
    original = Gateway.callback

    async def record(
        gateway: Gateway, job_id: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        await original(gateway, job_id, token, headers, body)
        received.append(headers)

    monkeypatch.setattr(Gateway, "callback", record)
    port = free_port()
    async with (
        sandbox(Settings(), host, speed=FAST, public_url=f"http://127.0.0.1:{port}") as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", port) as (address, bound),
        aiohttp.ClientSession(f"http://{address}:{bound}") as session,
    ):
        body: dict[str, Any] = {"model": "suno/v4.5plus", "prompt": "Hello"}
        async with session.post("/v1/music/generate", json=body) as response:
            made = await response.json()
        job: Job = await gateway.wait(made["id"], 20)
        async with asyncio.timeout(5):
            while len(received) < 3:  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.01)
    assert job.state is JobState.COMPLETED
    assert all("x-webhook-signature" in headers for headers in received)


async def test_sandbox_emulates_the_installed_plugins_unless_others_are_given() -> None:
    async with sandbox(Settings(), speed=FAST) as settings, Gateway.open(settings) as gateway:
        job = await gateway.generate("Hello", model="elevenlabs/music_v1")
    assert job.state is JobState.COMPLETED
