"""The vendors of a scenario: they make songs in virtual time, count paid creates, and call back."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from musicgate import (
    HttpRequest,
    HttpResponse,
    Job,
    hookimpl,
)
from musicgate.assets.audio import riff_wav
from musicgate.model import ProviderSettings, Timeouts
from tests.fake_vendor import FakeVendor, broken_link, lost
from tests.faults.injection import Injector

SONG = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
#: Seconds that a vendor works on a song.
WORK_S = 20.0


class FaultyVendor(FakeVendor):
    """A plugin whose hooks count their calls and may raise; its vendor has a cancel call."""

    def __init__(self, plugin: str, **declared: Any) -> None:
        super().__init__(plugin, **declared)
        self.injector = Injector()

    @hookimpl
    def translate_request(self, request: Any, offer: Any, settings: Any, callback_url: str | None) -> Any:
        self.injector.sync("plugin.translate_request")
        return super().translate_request(request, offer, settings, callback_url)

    @hookimpl
    def poll_request(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        self.injector.sync("plugin.poll_request")
        return super().poll_request(job, settings)

    @hookimpl
    def parse_response(self, step: Any, response: Any) -> Any:
        self.injector.sync("plugin.parse_response")
        return super().parse_response(step, response)

    @hookimpl
    def map_status(self, native_status: str) -> Any:
        self.injector.sync("plugin.map_status")
        return super().map_status(native_status)

    @hookimpl
    def parse_callback(self, headers: Any, body: bytes) -> Any:
        self.injector.sync("plugin.parse_callback")
        return super().parse_callback(headers, body)

    @hookimpl
    def cancel_request(self, job: Job, settings: ProviderSettings) -> HttpRequest:
        self.injector.sync("plugin.cancel_request")
        return HttpRequest.get(f"{settings.base_url}/stop/{job.native_id}")


@attrs.define
class Task:
    """A song that a vendor makes."""

    id: str
    prompt: str
    callback: str | None
    made_at: float
    is_stopped: bool = False


class Vendors:
    """All vendors and their media host, as a transport.

    Attributes:
        tasks: every song that was started and paid for, by native id.
        creates: number of paid creates, by prompt.
        work_s: how long a song takes.
        refusals: answers of a plugin's vendor to its next create calls, instead of a song.
        loses: plugins whose create answers are lost after the song was started.
        create_s: how long a create call takes.
        broken_links: how many downloads fail before one succeeds.
        open_calls: number of running calls; above 0 at the end it is a leak.
        on_stop: called when a task is cancelled.
    """

    def __init__(self, blocking: bool = False) -> None:
        self.work_s = WORK_S
        self.blocking = blocking
        self.tasks: dict[str, Task] = {}
        self.refusals: dict[str, list[dict[str, Any]]] = {}
        self.loses: set[str] = set()
        self.create_s = 1.0
        self.broken_links = 0
        self.open_calls = 0
        self.creates: Counter[str] = Counter()
        self.on_stop: Callable[[Task], Awaitable[None]] | None = None

    async def send(
        self, request: HttpRequest, *, timeouts: Timeouts, read_timeout_s: float, max_body_bytes: int
    ) -> HttpResponse:
        """Carry out one API call."""
        self.open_calls += 1
        try:
            async with asyncio.timeout(timeouts.connect_s + read_timeout_s):
                body = await self._answer(request)
        except TimeoutError as exc:
            raise lost() from exc
        finally:
            self.open_calls -= 1
        return HttpResponse(status=200, body=json.dumps(body).encode())

    async def download(
        self,
        url: str,
        sink: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        """The song behind a media link."""
        self.open_calls += 1
        try:
            await asyncio.sleep(0.5)
            if self.broken_links:
                self.broken_links -= 1
                raise broken_link("HTTP 403")
            await asyncio.to_thread(sink.write_bytes, SONG)
        finally:
            self.open_calls -= 1

    async def _answer(self, request: HttpRequest) -> dict[str, Any]:
        where = urlsplit(request.url)
        plugin, (_, verb, *rest) = str(where.hostname).removesuffix(".test"), where.path.split("/")
        if verb == "create":
            return await self._create(plugin, json.loads(request.body))
        await asyncio.sleep(0.1)
        task = self.tasks.get(rest[0])
        if task is None:
            return {"no": "not_found"}
        if verb == "stop":
            task.is_stopped = True
            if self.on_stop is not None:
                await self.on_stop(task)
            return {"id": task.id}
        if asyncio.get_running_loop().time() - task.made_at < self.work_s:
            return {"id": task.id, "status": "works"}
        links = [{"id": f"{task.id}-{n}", "url": f"https://cdn.test/{task.id}/{n}"} for n in (0, 1)]
        return {"id": task.id, "status": "done", "tracks": links}

    async def _create(self, plugin: str, wanted: dict[str, Any]) -> dict[str, Any]:
        await asyncio.sleep(self.create_s)
        if self.refusals.get(plugin):
            return self.refusals[plugin].pop(0)
        prompt = str(wanted["prompt"])
        self.creates[prompt] += 1
        made_at = asyncio.get_running_loop().time()
        task = Task(f"{plugin}-{len(self.tasks)}", prompt, wanted.get("callback"), made_at)
        self.tasks[task.id] = task
        if plugin in self.loses:
            raise lost()
        if self.blocking:
            await asyncio.sleep(self.work_s)
            audio = base64.b64encode(SONG).decode()
            return {"id": task.id, "state": "completed", "tracks": [{"audio": audio}, {"audio": audio}]}
        return {"id": task.id, "status": "waits"}
