"""A caller or a vendor that sends a lot: jobs stay small, and no other caller has to wait."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import attrs
import pytest

from musicgate import hookimpl
from musicgate.aio.large_work import offload
from musicgate.codec import dump_job
from musicgate.errors import InvalidRequestError
from musicgate.gateway.follow import advance
from musicgate.gateway.idempotency import fingerprint
from musicgate.model import (
    Job,
    JobUpdate,
    OptionWarning,
    WarningCode,
)
from musicgate.plugin.hooks import Step
from musicgate.plugin.wire import HttpRequest, HttpResponse, write_json
from musicgate.store.port import JobStore
from musicgate.views.job import render_job
from musicgate.web.body import parse_json
from musicgate.web.errors import error_response
from tests.fake_vendor import MODEL, FakeVendor, Rig, rig_of

WORKS = {"id": "n1", "status": "works"}
#: The event loop shall not be held up for 20 ms; a garbage collection between two ticks may double that here.
LONG_S = 0.04
#: A body of a megabyte of unknown keys.
WIDE = {"model": MODEL, "prompt": "jazz", **{f"k{number}": 1 for number in range(90_000)}}


class WordyVendor(FakeVendor):
    """A vendor that sends as many warnings as a test wants."""

    @hookimpl
    def parse_response(self, step: Step, response: HttpResponse) -> JobUpdate | HttpRequest:
        """Read ``warnings`` and ``extra`` beside the usual keys."""
        read: Any = FakeVendor.parse_response(self, step, response)
        body: Any = response.json_object()
        warnings = tuple(
            OptionWarning(code=WarningCode.NOT_APPLIED, path=("fake", str(number)), message="not here")
            for number in range(body.get("warnings", 0))
        )
        tracks = tuple(attrs.evolve(track, extra=body.get("extra", {})) for track in read.tracks)
        updated: JobUpdate = attrs.evolve(read, warnings=warnings, tracks=tracks)
        return updated


@pytest.fixture
async def rig(tmp_path: Path, store: JobStore) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path, WordyVendor("one"), store=store) as opened:
        yield opened


def shown(job: Job) -> bytes:
    return write_json(render_job(job, lambda *_: None))


class Ticker:
    """Measures how long the event loop's thread computed without a break, in CPU seconds."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._task.cancel()

    async def _run(self) -> None:
        before = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest_s, before = max(self.longest_s, now - before), now


async def test_of_many_unknown_keys_fifty_are_named_and_the_rest_is_counted(rig: Rig) -> None:
    rig.transport.script("one", WORKS)
    job = await rig.gate.submit(rig.gate.read(WIDE))
    assert len(job.warnings) == 51
    assert (job.warnings[0].path, job.warnings[49].path) == (("k0",), ("k49",))
    assert job.warnings[50].message == "and 89,950 more keys are not known here and were ignored"
    assert len(dump_job(await rig.stored(job))) < 10_000
    assert len(shown(job)) < 10_000


async def test_a_long_unknown_key_is_not_repeated(rig: Rig) -> None:
    rig.transport.script("one", WORKS)
    job = await rig.submit(**{"k" * 1_000_000: 1})
    assert len(dump_job(job)) < 2_000


@pytest.mark.parametrize(
    ("fields", "details", "last"),
    [
        ({"provider": {"order": [1] * 400}}, 51, "and 350 more"),
        ({"provider": {"order": [1] * 4_000}}, 51, "and at least 450 more"),
        ({"minimax": {f"k{number}": 1 for number in range(300)}}, 51, "and 250 more"),
        ({"provider": {"order": [1] * 50}}, 50, "must be text"),
        (
            {"metadata": {f"k{number}": 1 for number in range(50_000)}},
            1,
            "must hold at most 5,000 values in all, and 64 levels",
        ),
    ],
)
async def test_of_many_violations_fifty_are_named_and_the_rest_is_counted(
    rig: Rig, fields: dict[str, Any], details: int, last: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        rig.gate.read({"model": MODEL, "prompt": "jazz", **fields})
    response = error_response("G-1", caught.value)
    assert isinstance(response.body, bytes)
    shown = json.loads(response.body)["details"]
    assert (len(shown), shown[-1]["message"]) == (details, last)
    assert len(response.body) < 20_000


@pytest.mark.parametrize(
    "answer",
    [
        {"tracks": [{"id": f"t{number}", "url": f"https://media.test/{number}"} for number in range(2_000)]},
        {"warnings": 20_000},
        {"tracks": [{"id": "t", "title": "la, " * 500_000}]},
        {"tracks": [{"id": "t"}], "extra": {f"k{number}": number for number in range(90_000)}},
        {"tracks": [{"id": "t", "more": [f"https://media.test/{number}" for number in range(50_000)]}]},
        {"status": "la " * 500_000},
        {"tracks": [1] * 200_000},
        {"no": "upstream_failed", "message": "la " * 500_000, "words": "la " * 500_000},
    ],
    ids=["tracks", "warnings", "title", "extra", "links", "status", "values", "failure"],
)
async def test_a_wide_answer_does_not_make_a_wide_job(rig: Rig, answer: dict[str, Any]) -> None:
    rig.transport.script("one", WORKS, {**WORKS, **answer})
    job = await rig.submit(debug={"return_upstream_response": True})
    rig.clock.pass_s(10)
    await advance(rig.context, job.id)
    stored = await rig.stored(job)
    assert len(dump_job(stored)) < 1_500_000
    assert len(shown(stored)) < 1_500_000
    assert sum(len(str(event.data)) for _, event in await rig.store.events(job.id)) < 100_000


async def test_new_status_and_track_at_every_poll_do_not_grow_the_history_without_bound(rig: Rig) -> None:
    answers = [
        {
            "id": "n1",
            "status": f"word {number}",
            "tracks": [{"id": f"t{number}", "url": "https://media.test/1"}],
        }
        for number in range(200)
    ]
    rig.transport.script("one", WORKS, *answers)
    job = await rig.submit()
    for _ in answers:
        rig.clock.pass_s(1)
        await advance(rig.context, job.id)
    stored = await rig.stored(job)
    assert (len(stored.tracks), stored.native_status) == (32, "word 199")
    assert len(stored.warnings) == 1
    assert len(await rig.store.events(job.id)) < 50


async def test_an_event_never_changes_after_it_was_appended(rig: Rig) -> None:
    rig.transport.script(
        "one",
        {"id": "n1", "status": "waits"},
        {**WORKS, "tracks": [{"id": "t1", "stream": "https://media.test/s"}]},
        {**WORKS, "tracks": [{"id": "t1", "url": "https://media.test/1", "title": "Rain"}]},
        {"no": "upstream_failed"},
    )
    job = await rig.submit()
    seen = await rig.store.events(job.id)
    for _ in range(3):
        rig.clock.pass_s(10)
        await advance(rig.context, job.id)
        now = await rig.store.events(job.id)
        assert list(now[: len(seen)]) == list(seen)
        assert [number for number, _ in now] == list(range(1, len(now) + 1))
        seen = now
    assert len(seen) >= 6


async def test_a_large_body_is_read_while_the_event_loop_goes_on(rig: Rig) -> None:
    raw = json.dumps(WIDE).encode()

    def read() -> str:
        body = parse_json(raw)
        rig.gate.read(body)
        return fingerprint(body)

    async with Ticker() as ticker:
        digest = await offload(read, is_large=True)
    assert digest == fingerprint(WIDE)
    assert ticker.longest_s < LONG_S


async def test_a_large_answer_is_read_while_the_event_loop_goes_on(rig: Rig) -> None:
    large = json.dumps({**WORKS, "tracks": [{"id": f"t{number}"} for number in range(20_000)]}).encode()
    rig.transport.script("one", WORKS, large)
    job = await rig.submit()
    rig.clock.pass_s(10)
    async with Ticker() as ticker:
        await advance(rig.context, job.id)
    assert len((await rig.stored(job)).tracks) == 32
    assert ticker.longest_s < LONG_S
