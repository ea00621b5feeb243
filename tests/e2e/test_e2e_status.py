"""Following a job: status words, late and noisy answers, odd durations and links, both ids; a GET that never lies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDER = {"queued": 0, "in_progress": 1, "completed": 2, "failed": 2}
TRACK_KEYS = {"index", "id", "audio_url", "stream_audio_url", "image_url", "title", "tags", "duration"}


def suno(switches: str, vendor: str = "suno_kie", **more: object) -> dict[str, Any]:
    """A Suno wish with magic words."""
    return {
        "model": "suno/v5",
        "prompt": f"rain [emulate {switches}]",
        "provider": {"only": [vendor]},
        **more,
    }


@pytest.mark.parametrize(
    ("wish", "status", "tracks"),
    [
        (suno("skip=text,first"), "completed", 2),
        (suno("end=SUCCEEDED"), "completed", 2),
        (suno("end=COMPLETED"), "completed", 2),
        (suno("end=CALLBACK_EXCEPTION"), "completed", 2),
        (suno("waiting=suno_data_null"), "completed", 2),
        (suno("waiting=suno_data_empty shape=doc param=broken"), "completed", 2),
        (suno("audio=null:2,some:1"), "completed", 2),
        (suno("audio=source:ever"), "completed", 2),
        (suno("null_s=3"), "completed", 2),
        (suno("callbacks=off"), "completed", 2),
        (suno("result=text", model="suno/v6"), "completed", 2),
        (suno("result=object", model="suno/v6"), "completed", 2),
        (suno("result=response", model="suno/v6"), "completed", 2),
        (suno("end=FAILED", model="suno/v6"), "failed", 0),
        (suno("type_style=success", "apiin_one"), "completed", 2),
        (suno("final_style=first", "apiin_one"), "completed", 2),
        (suno("create_shape=overview", "apiin_one"), "completed", 2),
        (suno("create_shape=envelope", "apiin_one"), "completed", 2),
        (suno("create_shape=camel duration_style=unit", "apiin_one"), "completed", 2),
        (suno("create_shape=work_id duration_style=text", "apiin_one"), "completed", 2),
        (suno("duration_style=late", "apiin_one"), "completed", 2),
    ],
    ids=lambda value: value["prompt"] + value["provider"]["only"][0] if isinstance(value, dict) else "",
)
async def test_each_shape_and_word_ends_as_it_should(
    house: House, wish: dict[str, Any], status: str, tracks: int
) -> None:
    with house.watch() as seen:
        job = await house.make(wish)
    assert (job["status"], seen.billed) == (status, 1)
    good = [track for track in job.get("output", []) if track["audio_url"]]
    assert len(good) == tracks
    assert all(track["duration"] > 2.5 for track in good)


NOISE: list[tuple[str, str]] = [
    ("suno_kie", "read=429:3"),
    ("suno_kie", "read=455:3"),
    ("suno_kie", "read=500:3"),
    ("suno_kie", "read=html:3"),
    ("suno_kie", "read=empty:3"),
    ("suno_kie", "read=malformed:3"),
    ("suno_kie", "read=drop:3"),
    ("suno_kie", "read=data_null:3"),
    ("suno_kie", "read=null_record:2"),
    ("suno_kie", "read=408:2"),
    ("suno_kie", "read=PENDING:1,TEXT_SUCCESS:1,PENDING:1"),
    ("suno_kie", "read=GRONKED:2"),
    ("apiin_one", "feed_noise=not_found"),
    ("apiin_one", "feed_noise=error_500"),
    ("apiin_one", "feed_noise=empty"),
    ("apiin_one", "feed_noise=html"),
    ("apiin_one", "feed_noise=cut_json"),
    ("apiin_one", "feed_noise=code_429"),
]


@pytest.mark.parametrize(("vendor", "switches"), NOISE, ids=[f"{row[0]}-{row[1]}" for row in NOISE])
async def test_noise_while_polling_is_a_good_answer_with_the_last_known_state(
    house: House, vendor: str, switches: str
) -> None:
    with house.watch(vendor) as seen:
        created = await house.create(suno(switches, vendor))
        places = [ORDER[created.body["status"]]]
        job = created.body
        async with asyncio.timeout(15):
            while job["status"] not in {"completed", "failed"}:
                reply = await house.get(job["id"])
                job = reply.body
                assert reply.status == 200
                assert ("usage" in job) == (job["status"] == "completed")
                places.append(ORDER[job["status"]])
                await asyncio.sleep(0.005)
    assert job["status"] == "completed"
    assert places == sorted(places)
    assert seen.billed == 1
    assert len(seen.reads) > 2


async def test_a_word_that_nobody_knows_leaves_the_job_open_until_its_deadline(open_house: OpenHouse) -> None:
    async with open_house(follow={"deadline_s": 1.0}) as house:
        created = await house.create(suno("stop=GRONKED"))
        job = await house.until(created.body["id"], lambda job: job["native_status"] == "GRONKED")
        assert job["status"] == "in_progress"
        job = await house.finish(created.body["id"])
    assert (job["status"], job["error"]["reason"]) == ("failed", "expired")
    assert "GRONKED" in job["error"]["message"]


async def test_a_vendor_that_only_makes_noise_is_given_up_at_the_deadline(open_house: OpenHouse) -> None:
    async with open_house(follow={"deadline_s": 0.6}) as house:
        with house.watch() as seen:
            job = await house.make(suno("read=html:ever callbacks=off"))
    assert (job["status"], job["error"]["reason"]) == ("failed", "expired")
    assert seen.billed == 1


async def test_states_and_tracks_only_move_forward_while_a_song_is_made(open_house: OpenHouse) -> None:
    """Slow enough that a reader sees text, first track and end; the second read is a lie that must change nothing."""
    async with open_house(speed=60.0) as house:
        created = await house.create(suno("callbacks=reverse,double first_s=15 done_s=90"))
        job, seen = created.body, []
        async with asyncio.timeout(15):
            while job["status"] not in {"completed", "failed"}:
                job = (await house.get(job["id"])).body
                seen.append(job)
                await asyncio.sleep(0.005)
    assert job["status"] == "completed"
    early = [state for state in seen if state["status"] == "in_progress"]
    with_output = [state for state in early if "output" in state]
    assert with_output, "a preview was never shown"
    for state in early:
        assert "usage" not in state
        for track in state.get("output", []):
            assert track.keys() >= TRACK_KEYS
            assert any(track[key] for key in ("audio_url", "stream_audio_url", "image_url"))
            assert "" not in (track["audio_url"], track["stream_audio_url"], track["image_url"])
    counts = [sum(bool(track["audio_url"]) for track in state.get("output", [])) for state in seen]
    assert counts == sorted(counts)
    assert 1 in counts, "the first track was never shown alone"


async def test_apiins_partial_stream_is_never_shown_as_audio(open_house: OpenHouse) -> None:
    async with open_house(speed=60.0) as house:
        created = await house.create(suno("x=1", "apiin_one"))
        job, partial = created.body, 0
        async with asyncio.timeout(15):
            while job["status"] not in {"completed", "failed"}:
                job = (await house.get(job["id"])).body
                if job["status"] == "in_progress":
                    links = [
                        (track["audio_url"], track["stream_audio_url"]) for track in job.get("output", [])
                    ]
                    partial += any(stream for _, stream in links)
                    # When the vendor is done, its links are final although we have not copied them yet.
                    assert job["native_status"] == "SUCCESS" or not any(audio for audio, _ in links)
                await asyncio.sleep(0.005)
    assert job["status"] == "completed"
    assert partial


@pytest.mark.parametrize("path", ["/v1/music/generate", "/v1/music/generations"])
async def test_our_id_and_the_vendors_id_both_find_the_job(house: House, path: str) -> None:
    job = await house.make(suno("skip=text"))
    for music_id in (job["id"], job["nativeResponseId"]):
        reply = await house.call("GET", f"{path}/{music_id}")
        assert reply.body == job


@pytest.mark.parametrize("path", ["/v1/music/generate", "/v1/music/generations"])
@pytest.mark.parametrize(
    "music_id", ["music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", "x", "%2e%2e%2f", "a%00b", "%f0%9f%8e%b5", "y" * 2000]
)
async def test_an_unknown_id_is_not_found(house: House, path: str, music_id: str) -> None:
    reply = await house.call("GET", f"{path}/{music_id}")
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        404,
        "not_found",
        "music_not_found_or_not_owned",
    )
    assert reply.body["music_id"]


@pytest.mark.parametrize("path", ["/v1/music/generate/", "/v1/music/generations/", "/v1/music/generate/%20"])
async def test_an_empty_id_is_told_so(house: House, path: str) -> None:
    reply = await house.call("GET", path)
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        400,
        "validation_error",
        "missing_music_id",
    )


async def test_one_track_that_fails_does_not_take_the_other_with_it(house: House) -> None:
    job = await house.make(suno("failure=one", "apiin_one"))
    assert job["status"] == "completed"
    good, bad = job["output"]
    assert good["audio_url"]
    assert bad["audio_url"] is None
    assert bad["error"]["message"]
    assert job["usage"]["output_audio_count"] == 1
    assert job["usage"]["output_audio_seconds"] == good["duration"]


async def test_one_silent_track_beside_a_good_one_is_reported(house: House) -> None:
    job = await house.make(suno("end=GENERATE_AUDIO_FAILED audio=some:ever"))
    assert job["status"] == "completed"
    assert [bool(track["audio_url"]) for track in job["output"]] == [True, False]
    assert job["output"][1]["error"]["message"]


async def test_a_final_job_is_final(house: House) -> None:
    job = await house.make(suno("skip=first"))
    with house.watch() as seen:
        await asyncio.sleep(0.1)
        assert (await house.get(job["id"])).body == job
    assert not any(job["nativeResponseId"] in request.url for request in seen.reads)


async def test_a_storm_of_readers_costs_no_upstream_call(house: House) -> None:
    created = await house.create(suno("stop=TEXT_SUCCESS callbacks=off"))
    await asyncio.sleep(0.5)  # by now the job is looked at every 0.05 s at most
    with house.watch("suno_kie") as seen:
        await asyncio.gather(*(house.get(created.body["id"]) for _ in range(200)))
    own = [request for request in seen.reads if created.body["nativeResponseId"] in request.url]
    assert len(own) < 100


async def test_an_open_job_says_when_to_ask_again_and_an_etag_saves_the_body(house: House) -> None:
    created = await house.create(suno("stop=TEXT_SUCCESS"))
    assert int(created.headers["Retry-After"]) >= 1
    job = await house.make(suno("skip=text"))
    reply = await house.get(job["id"])
    assert "Retry-After" not in reply.headers
    again = await house.call(
        "GET", f"/v1/music/generate/{job['id']}", headers={"If-None-Match": reply.headers["ETag"]}
    )
    assert (again.status, again.raw) == (304, b"")


async def test_a_job_whose_plugin_is_gone_cannot_be_followed(open_house: OpenHouse) -> None:
    async with open_house() as house:
        done = await house.make(suno("skip=first"))
        waiting = (await house.create(suno("stop=TEXT_SUCCESS"))).body
    async with open_house(tables={"suno_kie": {"enabled": False}}) as house:
        assert (await house.get(done["id"])).body["status"] == "completed"
        reply = await house.get(waiting["id"])
        assert (reply.status, reply.body["error"], reply.body["reason"]) == (
            400,
            "not_supported",
            "music_status_not_supported_for_provider",
        )
