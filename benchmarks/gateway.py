"""musicgate as it is measured: settings, process and requests; knows no measurement."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.load import Answer, Load, ask, request_bytes, run_load
from benchmarks.servers import Server, free_port

JOBS: Final = "/v1/music/generate"
#: What callers ask for.
MUSIC_REQUEST: Final = json.dumps(
    {
        "model": "suno/v4.5plus",
        "prompt": "Warm jazz trio with brushed drums, recorded live in a small room, upright bass",
    }
).encode()
#: Each has a key and an address, as at a user who has all accounts: routing has a choice.
_PLUGINS: Final = ("suno_kie", "apiin_one", "elevenlabs", "minimax")
#: As slow as the setting allows: no poll while something else is measured.
NO_POLLS: Final = 0.001
#: A signing secret in the form of Standard Webhooks.
_HOOK_SECRET: Final = "whsec_" + "bm90LXJlYWwtbm90LXJlYWwtbm90LXJlYWwh"


class MeasuredGateway(Server):
    """``musicgate serve`` with a real store and a folder for audio; a SQLite store is in the same folder."""

    def __init__(
        self,
        folder: Path,
        vendor_url: str,
        core: int | None,
        *,
        speed: float = NO_POLLS,
        accounts: int = 1,
        webhook_url: str = "",
        store_url: str = "",
        more_environ: Mapping[str, str] | None = None,
        launcher: Sequence[str] = (),
    ) -> None:
        """Prepare a gateway.

        Args:
            speed: of polls, ``follow.speed``.
            webhook_url: where the webhooks of every account go; empty = nowhere.
            store_url: of a PostgreSQL; empty = a SQLite file in the folder.
            launcher: words before ``-m musicgate``, after the interpreter.
        """
        port = free_port()
        self.keys = [f"mg_bench_{number:06d}" for number in range(accounts)]
        self.database = folder / "musicgate.db"
        self.config = folder / "musicgate.toml"
        self.config.write_text(
            settings_text(
                port,
                folder,
                vendor_url,
                self.keys,
                speed=speed,
                webhook_url=webhook_url,
                store_url=store_url,
            ),
            "utf-8",
        )
        command = [sys.executable, *(launcher or ("-m", "musicgate")), "serve", "--config", str(self.config)]
        super().__init__("musicgate", command, port, folder, core, _environ(more_environ or {}))

    def request(self, method: str, path: str, body: bytes | None = None, key: int = 0) -> bytes:
        """A request with the key of an account, as it goes over the wire."""
        return request_bytes(method, path, {"Authorization": f"Bearer {self.keys[key]}"}, body)

    def create_request(self, key: int = 0) -> bytes:
        """The request that makes a job."""
        return self.request("POST", JOBS, MUSIC_REQUEST, key)

    def get_request(self, job_id: str, key: int = 0) -> bytes:
        """The request for one job."""
        return self.request("GET", f"{JOBS}/{job_id}", None, key)

    async def create(self, count: int, *, connections: int = 64) -> list[str]:
        """Make so many jobs, and return their ids.

        Raises:
            SystemExit: one was refused.
        """
        load = await run_load(
            self.port, [self.create_request()], connections=connections, count=count, keep_bodies=True
        )
        must_be_good(load)
        return [str(json.loads(body)["id"]) for body in load.bodies]

    async def get(self, job_id: str) -> Answer:
        """One job as the server shows it."""
        return await ask(self.port, self.get_request(job_id))


def must_be_good(load: Load) -> None:
    """Stop the run if the load saw errors: figures with errors in them mean nothing.

    Raises:
        SystemExit: there were errors; with the first one.
    """
    if load.errors:
        sys.exit(f"{load.errors} of {load.sent} requests failed; the first: {load.first_error}")


def settings_text(
    port: int,
    folder: Path,
    vendor_url: str,
    keys: Sequence[str],
    *,
    speed: float,
    webhook_url: str = "",
    store_url: str = "",
) -> str:
    """The settings file: everything at its default, unless a default would be what is measured.

    Those are the vendor's window of 20 creates in 10 seconds, and the limits of connections, and of requests
    and event streams of one account.
    """
    text = json.dumps
    lines = [
        "[server]",
        'host = "127.0.0.1"',
        f"port = {port}",
        f"public_url = {text(f'http://127.0.0.1:{port}')}",
        "max_connections = 10000",
        "max_requests_per_account = 5000",
        "max_event_streams = 5000",
        "max_event_streams_per_account = 2500",
        "[store]",
        f"url = {text(store_url or f'sqlite:///{folder}/musicgate.db')}",
        "[assets]",
        f"url = {text(f'file://{folder}/audio')}",
        "[network]",
        "allow_private_addresses = true",
        "[follow]",
        f"speed = {float(speed)}",
    ]
    for number, key in enumerate(keys):
        lines += ["[[accounts]]", f'name = "bench{number:06d}"', f"key = {text(key)}"]
        if webhook_url:
            lines += [f"webhook_url = {text(webhook_url)}", f"webhook_secret = {text(_HOOK_SECRET)}"]
    for plugin in _PLUGINS:
        lines += [f"[providers.{plugin}]", 'api_key = "sk-api-test-key-not-real"']
        lines += [f"base_url = {text(vendor_url)}"]
        lines += ["create_window_calls = 0"] if plugin == "suno_kie" else []
    return "\n".join([*lines, ""])


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of this machine's own musicgate, keys and proxies."""
    ours = ("MUSICGATE_", "KIE_", "APIIN_", "ELEVENLABS_", "MINIMAX_", "ACESTEP_", "FAL_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }
    return {**kept, **more}
