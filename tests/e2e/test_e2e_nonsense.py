"""Vendors that answer nonsense, or nothing: one wish is one create call and at most one bill, whatever they say; and nothing is lost."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = {
    "suno_kie": "suno/v5",
    "apiin_one": "suno/v5",
    "elevenlabs": "elevenlabs/music",
    "minimax": "minimax/music-2.6",
}


@attrs.frozen
class Case:
    """What a vendor does with a create call, and what the caller is told.

    Attributes:
        status: of the create answer; 200 with ``end`` "lost" is a queued job that nobody adopts.
        reason: class of the error, where there is one.
        billed: whether the vendor charged for it.
    """

    vendor: str
    switches: str
    status: int
    reason: str | None
    billed: int
    more: dict[str, Any] = attrs.field(factory=dict)

    def __str__(self) -> str:
        return f"{self.vendor} {self.switches}"


URL = {"minimax": {"output_format": "url"}}
DETAILED = {"elevenlabs": {"with_timestamps": True}}
KIE, APIIN, ELEVEN, MINIMAX = MODELS
#: Answers to the create call that are no answer, or a strange one. Callbacks are off, so nobody adopts what was lost.
CASES = [
    # HTML, cut JSON, nothing, 200 with an error inside, 5xx.
    Case(KIE, "create=html", 502, "upstream_failed", 0),
    Case(KIE, "create=http-500", 502, "upstream_failed", 0),
    Case(KIE, "create=empty", 502, "protocol", 0),
    Case(KIE, "create=500", 502, "upstream_failed", 0),
    Case(KIE, "create=501", 502, "upstream_failed", 0),
    Case(KIE, "create=no_id", 502, "protocol", 1),
    Case(KIE, "create=data_empty", 502, "protocol", 1),
    Case(KIE, "create=lost", 502, "upstream_failed", 1),
    Case(KIE, "create=drop", 200, None, 1),
    Case(APIIN, "create_fault=html", 502, "upstream_failed", 0),
    Case(APIIN, "create_fault=empty", 502, "upstream_failed", 0),
    Case(APIIN, "create_fault=500", 502, "upstream_failed", 0),
    Case(APIIN, "create_fault=503", 502, "upstream_failed", 0),
    Case(APIIN, "create_fault=500 error_http=200", 502, "upstream_failed", 0),
    Case(APIIN, "create_fault=cut_json", 502, "protocol", 1),
    Case(APIIN, "create_fault=no_id", 502, "protocol", 1),
    Case(APIIN, "create_fault=drop", 200, None, 0),
    Case(APIIN, "create_fault=drop_accepted", 200, None, 1),
    Case(APIIN, "create_fault=cut_answer", 200, None, 1),
    Case(ELEVEN, "error=500", 502, "upstream_failed", 0),
    Case(ELEVEN, "error=500html", 502, "upstream_failed", 0),
    Case(ELEVEN, "error=502html", 502, "upstream_failed", 0),
    Case(ELEVEN, "error=503html", 502, "upstream_failed", 0),
    Case(ELEVEN, "error=504empty", 504, "timeout", 0),
    Case(ELEVEN, "drop=before", 502, "unknown_outcome", 0),
    Case(ELEVEN, "drop=1", 502, "unknown_outcome", 1),
    Case(ELEVEN, "cut=1", 502, "unknown_outcome", 1),
    Case(ELEVEN, "zero=1", 502, "protocol", 1),
    Case(ELEVEN, "html=1", 502, "protocol", 1),
    Case(ELEVEN, "json=1", 502, "protocol", 1),
    Case(ELEVEN, "cut=1", 502, "unknown_outcome", 1, DETAILED),
    Case(MINIMAX, "http=500", 502, "upstream_failed", 1),
    Case(MINIMAX, "http=502", 502, "upstream_failed", 1),
    Case(MINIMAX, "body=text", 502, "protocol", 1),
    Case(MINIMAX, "body=html", 502, "protocol", 1),
    Case(MINIMAX, "body=cut", 502, "protocol", 1),
    Case(MINIMAX, "body=empty", 502, "protocol", 1),
    Case(MINIMAX, "drop=1", 502, "unknown_outcome", 1),
    Case(MINIMAX, "cut=200", 502, "unknown_outcome", 1),
    Case(MINIMAX, "data=null", 502, "protocol", 1),
    Case(MINIMAX, "data=absent", 502, "protocol", 1),
    Case(MINIMAX, "audio=empty", 502, "protocol", 1),
    Case(MINIMAX, "audio=odd", 502, "protocol", 1),
    Case(MINIMAX, "audio=nohex", 502, "protocol", 1),
]


def wish(vendor: str, switches: str, more: dict[str, Any]) -> dict[str, Any]:
    """A wish for one vendor with magic words."""
    return {
        "model": MODELS[vendor],
        "prompt": f"a long rain over the sea [emulate {switches} callbacks=off latency_s=1 delay_s=1]",
        "provider": {"only": [vendor]},
        **more,
    }


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_create_answer_that_is_none_is_told_once_and_never_sent_again(
    house: House, case: Case
) -> None:
    with house.watch() as seen:
        reply = await house.create(wish(case.vendor, case.switches, case.more))
        await asyncio.sleep(0.03)
    assert (reply.status, reply.body.get("reason")) == (case.status, case.reason), reply.raw
    assert (len(seen.creates), seen.billed) == (1, case.billed)
    job = (await house.get(reply.body.get("music_id", reply.body["id"] if reply.status == 200 else ""))).body
    attempt = job["attempts"][0]
    if reply.status == 200:
        assert (job["status"], attempt["outcome"], job["nativeResponseId"]) == ("queued", "unknown", None)
        return
    assert reply.body["error"] == "upstream_error"
    assert reply.body["description"]
    assert reply.body["provider_plugin"] == case.vendor
    assert reply.headers["X-Gateway-Error-Attribution"] == "upstream"
    # Whatever was billed may not be called free of charge.
    if case.billed:
        assert attempt["outcome"] == "unknown"
        assert job["status"] in {"queued", "failed"}
        assert job["status"] == "queued" or job["error"]["may_have_cost"] is True


#: Strange answers that hold a song all the same.
SONGS = [
    Case(ELEVEN, "lf=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "camel=1 nulls=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "no_closing=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "glued=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "preamble=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "boundary_in_audio=1", 200, None, 1, DETAILED),
    Case(ELEVEN, "no_length=1", 200, None, 1),
    Case(ELEVEN, "song_id=0", 200, None, 1),
    Case(ELEVEN, "pcm_channels=1", 200, None, 1, {"format": "wav", "duration": 3}),
    Case(MINIMAX, "audio=audio_url", 200, None, 1, URL),
    Case(MINIMAX, "audio=upper", 200, None, 1),
    Case(MINIMAX, "extra=null", 200, None, 1),
    Case(MINIMAX, "extra=text", 200, None, 1),
    Case(MINIMAX, "extra=size", 200, None, 1),
    Case(MINIMAX, "extra=no_duration", 200, None, 1),
    Case(MINIMAX, "base_resp=text", 200, None, 1),
    Case(MINIMAX, "base_resp=missing", 200, None, 1),
    Case(MINIMAX, "trace=missing", 200, None, 1),
    Case(MINIMAX, "status=success", 200, None, 1),
    Case(KIE, "envelope=message http_status=real", 200, None, 1),
]


@pytest.mark.parametrize("case", SONGS, ids=str)
async def test_a_strange_answer_that_holds_the_song_gives_the_song(house: House, case: Case) -> None:
    with house.watch() as seen:
        job = await house.make(wish(case.vendor, case.switches + " default_length_s=3 length_s=3", case.more))
    assert job["status"] == "completed", job
    assert (len(seen.creates), seen.billed) == (1, 1)
    assert job["output"][0]["audio_url"]
    assert 2.5 < job["output"][0]["duration"] < 12


@pytest.mark.parametrize(
    ("vendor", "switches", "reason"),
    [
        (ELEVEN, "json=refusal", "rate_limited"),
        (MINIMAX, "code=1002", "rate_limited"),
        (KIE, "create=430", None),
    ],
)
async def test_an_error_inside_http_200_is_an_error(
    house: House, vendor: str, switches: str, reason: str | None
) -> None:
    reply = await house.create(wish(vendor, switches, {}))
    assert reply.status >= 400
    assert reply.body["error"] == "upstream_error"
    assert reason is None or reply.body["reason"] == reason


BLOCKING = [(ELEVEN, "latency_s"), (MINIMAX, "delay_s")]


@pytest.mark.parametrize(("vendor", "delay"), BLOCKING)
async def test_a_blocking_vendor_is_left_to_work_in_the_background(
    open_house: OpenHouse, vendor: str, delay: str
) -> None:
    async with open_house(server={"create_wait_s": 0.1}, speed=30.0) as house:
        started = time.monotonic()
        with house.watch(vendor) as seen:
            reply = await house.create(
                {
                    "model": MODELS[vendor],
                    "prompt": f"rain [emulate {delay}=36 length_s=3 default_length_s=3]",
                }
            )
            waited_s = time.monotonic() - started
            assert (reply.status, reply.body["status"]) == (200, "in_progress")
            assert reply.body["nativeResponseId"] is None
            assert waited_s < 1.0
            assert "output" not in reply.body
            open_job = (await house.get(reply.body["id"])).body
            assert open_job["status"] == "in_progress"
            job = await house.finish(reply.body["id"])
        assert job["status"] == "completed"
        assert time.monotonic() - started >= 1.2
        assert (len(seen.creates), seen.billed) == (1, 1)


@pytest.mark.parametrize(("vendor", "delay"), BLOCKING)
async def test_a_quick_song_of_a_blocking_vendor_is_there_at_once(
    house: House, vendor: str, delay: str
) -> None:
    reply = await house.create(
        {"model": MODELS[vendor], "prompt": f"rain [emulate {delay}=1 length_s=3 default_length_s=3]"}
    )
    job = reply.body
    if job["status"] != "completed":  # delivered, and being kept
        assert job["status"] == "in_progress"
        job = await house.finish(job["id"])
    assert job["output"][0]["audio_url"]


@pytest.mark.parametrize(("vendor", "delay"), BLOCKING)
async def test_a_caller_who_hangs_up_loses_nothing(open_house: OpenHouse, vendor: str, delay: str) -> None:
    async with open_house(server={"create_wait_s": 5.0}, speed=30.0) as house:
        with house.watch(vendor) as seen:
            body = {
                "model": MODELS[vendor],
                "prompt": f"rain [emulate {delay}=12 length_s=3 default_length_s=3]",
            }
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.15):
                    await house.create(body)
            (job,) = await house.gateway._context.store.open_jobs("", 10)
            final = await house.finish(job.id)
        assert final["status"] == "completed"
        assert (len(seen.creates), seen.billed) == (1, 1)


async def test_a_background_refusal_fails_the_job_with_its_class(open_house: OpenHouse) -> None:
    async with open_house(server={"create_wait_s": 0.05}, speed=30.0) as house:
        reply = await house.create({"model": MODELS[MINIMAX], "prompt": "rain [emulate code=1027 delay_s=9]"})
        assert (reply.status, reply.body["status"]) == (200, "in_progress")
        job = await house.finish(reply.body["id"])
    assert (job["status"], job["error"]["reason"], job["error"]["native_code"]) == (
        "failed",
        "moderation",
        "1027",
    )


async def test_more_songs_than_a_vendor_takes_at_a_time_wait_for_their_turn(open_house: OpenHouse) -> None:
    async with open_house(server={"create_wait_s": 0.05}, speed=30.0) as house:
        body = {"model": MODELS[ELEVEN], "prompt": "rain [emulate latency_s=6 default_length_s=3]"}
        with house.watch(ELEVEN) as seen:
            replies = await asyncio.gather(*(house.create({**body, "seed": number}) for number in range(6)))
            states = sorted(reply.body["status"] for reply in replies)
            assert states == ["in_progress"] * 2 + ["queued"] * 4
            jobs = await asyncio.gather(*(house.finish(reply.body["id"]) for reply in replies))
        assert {job["status"] for job in jobs} == {"completed"}
        assert (len(seen.creates), seen.billed) == (6, 6)
