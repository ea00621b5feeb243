"""Reading a job while it is made: it only moves forward, and both ids find it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.running_server import JOBS, UNFINISHED, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDER = {"queued": 0, "in_progress": 1, "completed": 2, "failed": 2}
TRACK_KEYS = {"index", "id", "audio_url", "stream_audio_url", "image_url", "title", "tags", "duration"}


@pytest.mark.parametrize(
    ("plugin", "switches"),
    [
        ("suno_kie", "poll=404:1,429:1,500:1,html:1"),
        ("suno_kie", "poll=status-SUCCESS:1,status-PENDING:1"),
        ("apiin_one", "poll=malformed:2"),
    ],
)
async def test_a_failed_poll_leaves_the_last_known_state(
    server: RunningServer, plugin: str, switches: str
) -> None:
    with server.vendor_calls(plugin) as calls:
        job = (await server.create(song(plugin, switches))).body
        places = [ORDER[job["status"]]]
        async with asyncio.timeout(15):
            while job["status"] not in {"completed", "failed"}:
                reply = await server.get(job["id"])
                job = reply.body
                assert reply.status == 200
                assert ("usage" in job) == (job["status"] == "completed")
                places.append(ORDER[job["status"]])
                await asyncio.sleep(0.005)
    assert job["status"] == "completed"
    assert places == sorted(places)
    assert calls.billed == 1
    assert len(calls.reads) > 2


async def test_states_and_tracks_only_move_forward_while_a_song_is_made(open_server: OpenServer) -> None:
    """Slow enough to see text, first track and end; callbacks come twice and in the wrong order."""
    async with open_server(speed=60.0) as server:
        job, seen = (
            (await server.create(song(switches="callbacks=reverse,double first_s=15 done_s=90"))).body,
            [],
        )
        async with asyncio.timeout(15):
            while job["status"] not in {"completed", "failed"}:
                job = (await server.get(job["id"])).body
                seen.append(job)
                await asyncio.sleep(0.005)
    assert job["status"] == "completed"
    early = [state for state in seen if state["status"] == "in_progress"]
    assert any("output" in state for state in early), "a preview was never shown"
    for state in early:
        assert "usage" not in state
        for track in state.get("output", []):
            assert track.keys() >= TRACK_KEYS
            assert any(track[key] for key in ("audio_url", "stream_audio_url", "image_url"))
            assert "" not in (track["audio_url"], track["stream_audio_url"], track["image_url"])
    counts = [sum(bool(track["audio_url"]) for track in state.get("output", [])) for state in seen]
    assert counts == sorted(counts)
    assert 1 in counts, "the first track was never shown alone"


@pytest.mark.parametrize("plugin", ["elevenlabs", "minimax"])
async def test_a_create_call_that_lasts_as_long_as_the_song_goes_on_in_the_background(
    open_server: OpenServer, plugin: str
) -> None:
    async with open_server(server={"create_wait_s": 0.1}, speed=30.0) as server:
        started = time.monotonic()
        with server.vendor_calls(plugin) as calls:
            reply = await server.create(song(plugin, "done_s=36 song_s=3"))
            assert time.monotonic() - started < 1.0
            assert (reply.status, reply.body["status"]) == (200, "in_progress")
            assert reply.body["nativeResponseId"] is None
            assert "output" not in reply.body
            job = await server.finish(reply.body["id"])
        assert job["status"] == "completed"
        assert (len(calls.creates), calls.billed) == (1, 1)


async def test_a_caller_who_hangs_up_does_not_stop_the_create_call(open_server: OpenServer) -> None:
    async with open_server(server={"create_wait_s": 5.0}, speed=30.0) as server:
        with server.vendor_calls("minimax") as calls:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.15):
                    await server.create(song("minimax", "done_s=12 song_s=3"))
            (job,) = await server.gateway._context.store.open_jobs("", 10)
            final = await server.finish(job.id)
        assert final["status"] == "completed"
        assert (len(calls.creates), calls.billed) == (1, 1)


async def test_our_id_and_the_vendors_id_find_a_job_under_both_paths(server: RunningServer) -> None:
    job = await server.generate(song(switches="skip=text"))
    for music_id in (job["id"], job["nativeResponseId"]):
        for path in (JOBS, "/v1/music/generations"):
            assert (await server.call("GET", f"{path}/{music_id}")).body == job


@pytest.mark.parametrize("path", [JOBS, "/v1/music/generations"])
@pytest.mark.parametrize("music_id", ["music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", "%2e%2e%2f", "a%00b", "y" * 2000])
async def test_an_unknown_id_is_not_found(server: RunningServer, path: str, music_id: str) -> None:
    reply = await server.call("GET", f"{path}/{music_id}")
    assert reply.error == (404, "not_found", "music_not_found_or_not_owned")
    assert reply.body["music_id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{JOBS}/"),
        ("GET", "/v1/music/generations/"),
        ("GET", f"{JOBS}/%20"),
        ("DELETE", f"{JOBS}/%20"),
        ("POST", f"{JOBS}/%20/cancel"),
    ],
)
async def test_an_empty_id_is_refused(server: RunningServer, method: str, path: str) -> None:
    assert (await server.call(method, path)).error == (400, "validation_error", "missing_music_id")


async def test_a_track_that_fails_does_not_take_the_other_one_with_it(server: RunningServer) -> None:
    job = await server.generate(song("apiin_one", "failure=one"))
    assert job["status"] == "completed"
    good, bad = job["output"]
    assert good["audio_url"]
    assert bad["audio_url"] is None
    assert bad["error"]["message"]
    assert job["usage"]["output_audio_count"] == 1
    assert job["usage"]["output_audio_seconds"] == good["duration"]


async def test_reading_jobs_causes_no_call_to_a_vendor(server: RunningServer) -> None:
    done = await server.generate(song(switches="skip=first"))
    created = (await server.create(UNFINISHED)).body
    await asyncio.sleep(0.5)  # from now on the job is polled every 0.05 s at most
    with server.vendor_calls("suno_kie") as calls:
        await asyncio.gather(*(server.get(created["id"]) for _ in range(200)))
        assert (await server.get(done["id"])).body == done
    assert sum(created["nativeResponseId"] in request.url for request in calls.reads) < 100
    assert not any(done["nativeResponseId"] in request.url for request in calls.reads)


async def test_an_open_job_says_when_to_ask_again_and_a_final_one_does_not(server: RunningServer) -> None:
    created = await server.create(UNFINISHED)
    assert int(created.headers["Retry-After"]) >= 1
    assert int((await server.get(created.body["id"])).headers["Retry-After"]) >= 1
    job = await server.generate(song(switches="skip=text"))
    assert "Retry-After" not in (await server.get(job["id"])).headers


async def test_a_job_whose_plugin_is_gone_cannot_be_read_until_it_is_final(open_server: OpenServer) -> None:
    async with open_server() as server:
        done = await server.generate(song(switches="skip=first"))
        waiting = (await server.create(UNFINISHED)).body
    async with open_server(providers={"suno_kie": {"enabled": False}}) as server:
        assert (await server.get(done["id"])).body["status"] == "completed"
        reply = await server.get(waiting["id"])
    assert reply.error == (400, "not_supported", "music_status_not_supported_for_provider")
