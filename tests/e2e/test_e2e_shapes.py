"""Every word and place of the contract's tables, said by a vendor that answers from a script; for what the emulators do not say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate.emulation.mount import mounted
from musicgate.plugin.emulator import EmulatedAnswer, EmulatedCallback, EmulatorBooks
from musicgate.plugin.wire import HttpRequest, HttpResponse
from tests.e2e.house import running_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from musicgate.hosting.discovery import PluginHost
    from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

TRACK = {
    "id": "t1",
    "audioUrl": "https://media.example.com/1.mp3",
    "streamAudioUrl": "",
    "imageUrl": "",
    "title": "Blue",
    "tags": "jazz",
    "duration": 12.5,
}


class ScriptedVendor:
    """Answers every create call and every read with what a test has put down."""

    def __init__(self) -> None:
        self.books = EmulatorBooks()
        self.created: object = None
        self.status = 200
        self.reads: list[object] = []

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """The script; the last read is repeated."""
        if request.method == "POST":
            self.books.creates.append("one")
            return EmulatedAnswer(response=_json(self.created, self.status))
        body = self.reads[0] if len(self.reads) == 1 else self.reads.pop(0)
        return EmulatedAnswer(response=_json(body, 200))

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """None."""
        return ()

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Never."""


def _json(body: object, status: int) -> HttpResponse:
    """A JSON answer; Python's infinity is written as a number that is too large, which JSON allows."""
    text = json.dumps(body).replace("Infinity", "1e999")
    return HttpResponse(status=status, headers={"Content-Type": "application/json"}, body=text.encode())


@pytest.fixture(scope="module")
def script() -> ScriptedVendor:
    """The vendor behind all plugins of the module's house."""
    return ScriptedVendor()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scripted(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost, script: ScriptedVendor
) -> AsyncIterator[House]:
    """A house where that vendor is asked by every plugin, and no link is fetched."""
    async with mounted(script) as origin:
        tables = {name: {"base_url": origin} for name in ("suno_kie", "elevenlabs", "minimax")}
        folder = tmp_path_factory.mktemp("scripted")
        async with running_house(folder, plugins, tables=tables, archive=False) as started:
            yield started


def record(status: object = "SUCCESS", tracks: object = (TRACK,), **more: object) -> dict[str, Any]:
    """A record of kie's."""
    return {"code": 200, "data": {"taskId": "n1", "status": status, "response": {"sunoData": tracks}, **more}}


async def make(
    house: House, script: ScriptedVendor, *reads: object, created: object = None
) -> dict[str, Any]:
    """A Suno job that is told these things when it is read."""
    script.created = {"code": 200, "data": {"taskId": "n1"}} if created is None else created
    script.status, script.reads = 200, list(reads)
    return await house.make({"model": "suno/v5", "prompt": "rain", "provider": {"only": ["suno_kie"]}})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, "completed") for word in ("SUCCESS", "SUCCEEDED", "COMPLETED", " success ", "Succeeded")),
        *(
            (word, "failed")
            for word in ("CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR")
        ),
        *((word, "failed") for word in ("FAILED", "ERROR", " failed\n")),
        ("CALLBACK_EXCEPTION", "completed"),
    ],
)
async def test_every_last_word_of_suno(
    scripted: House, script: ScriptedVendor, word: str, status: str
) -> None:
    tracks = (TRACK,) if status == "completed" else None
    job = await make(scripted, script, record("PENDING", None), record(word, tracks))
    assert job["status"] == status
    assert job["native_status"].strip() == word.strip()
    assert status == "completed" or job["error"]["reason"] in {"upstream_failed", "moderation"}


@pytest.mark.parametrize(
    "word",
    [
        "PENDING",
        "TEXT_SUCCESS",
        "FIRST_SUCCESS",
        "RUNNING",
        " pending ",
        "GENERATING",
        "WHATEVER",
        "",
        None,
        7,
    ],
)
async def test_every_other_word_of_suno_leaves_the_job_open(
    scripted: House, script: ScriptedVendor, word: object
) -> None:
    script.created, script.status = {"code": 200, "data": {"taskId": "n1"}}, 200
    script.reads = [record(word, None)]
    created = await scripted.create({"model": "suno/v5", "prompt": "x", "provider": {"only": ["suno_kie"]}})
    for _ in range(5):
        assert (await scripted.get(created.body["id"])).body["status"] == "in_progress"
    script.reads = [record()]
    assert (await scripted.finish(created.body["id"]))["status"] == "completed"


SNAKE = {
    "id": "t1",
    "audio_url": "https://media.example.com/1.mp3",
    "stream_audio_url": "",
    "image_url": "",
    "title": "Blue",
    "tags": "jazz",
    "duration": 12.5,
}
OTHER = {**TRACK, "id": "wrong", "audioUrl": "https://media.example.com/wrong.mp3"}


@pytest.mark.parametrize("track", [TRACK, SNAKE], ids=["camelCase", "snake_case"])
@pytest.mark.parametrize("place", ["response.sunoData", "sunoData", "response.data", "data"])
async def test_tracks_are_found_in_every_place_and_spelling(
    scripted: House, script: ScriptedVendor, place: str, track: dict[str, Any]
) -> None:
    data: dict[str, Any] = {"taskId": "n1", "status": "SUCCESS"}
    outer, _, inner = place.rpartition(".")
    home = data.setdefault(outer, {}) if outer else data
    home[inner] = [track]
    job = await make(scripted, script, {"code": 200, "data": data})
    (shown,) = job["output"]
    assert (shown["id"], shown["audio_url"]) == ("t1", "https://media.example.com/1.mp3")
    assert (shown["stream_audio_url"], shown["image_url"]) == (None, None)
    assert (shown["title"], shown["tags"], shown["duration"]) == ("Blue", "jazz", 12.5)


async def test_the_first_place_that_holds_tracks_counts(scripted: House, script: ScriptedVendor) -> None:
    job = await make(scripted, script, record(tracks=[TRACK], sunoData=[OTHER], data=[OTHER]))
    assert [track["id"] for track in job["output"]] == ["t1"]


@pytest.mark.parametrize(
    ("fields", "duration"),
    [
        ({"duration": 12.5}, 12.5),
        ({"duration": "12.5"}, 12.5),
        ({"duration": 12}, 12),
        ({"duration": None, "durationSeconds": 7}, 7),
        ({"duration": "", "metadata": {"duration": "7.25"}}, 7.25),
        ({"duration": 0, "durationSeconds": -1, "metadata": {"duration": 3}}, 3),
        ({"duration": 0}, None),
        ({"duration": -4}, None),
        ({"duration": "long"}, None),
        ({"duration": "nan"}, None),
        ({"duration": True}, None),
        ({"duration": [12]}, None),
        ({"duration": None}, None),
        ({"duration": 1e999}, None),
    ],
)
async def test_a_duration_is_positive_seconds_or_null(
    scripted: House, script: ScriptedVendor, fields: dict[str, Any], duration: float | None
) -> None:
    job = await make(scripted, script, record(tracks=[{**TRACK, **fields}]))
    assert job["output"][0]["duration"] == duration
    assert job["usage"].get("output_audio_seconds") == duration
    assert job["usage"]["output_audio_count"] == 1


async def test_durations_are_summed_over_what_is_known(scripted: House, script: ScriptedVendor) -> None:
    tracks = [
        {**TRACK, "id": str(number), "duration": length} for number, length in enumerate((3, "4.5", "?"))
    ]
    job = await make(scripted, script, record(tracks=tracks))
    assert job["usage"]["output_audio_seconds"] == 7.5
    assert job["usage"]["output_audio_count"] == 3


@pytest.mark.parametrize("empty", ["", " ", None, 5, "no link", "/relative.mp3", "javascript:alert(1)"])
async def test_what_is_no_url_is_null(scripted: House, script: ScriptedVendor, empty: object) -> None:
    track = {**TRACK, "streamAudioUrl": empty, "imageUrl": empty}
    job = await make(scripted, script, record(tracks=[track]))
    assert (job["output"][0]["stream_audio_url"], job["output"][0]["image_url"]) == (None, None)


async def test_a_track_without_any_link_is_not_shown(scripted: House, script: ScriptedVendor) -> None:
    bare = {**TRACK, "id": "t2", "audioUrl": ""}
    script.created, script.status = {"code": 200, "data": {"taskId": "n1"}}, 200
    script.reads = [record("TEXT_SUCCESS", [bare])]
    created = await scripted.create({"model": "suno/v5", "prompt": "x", "provider": {"only": ["suno_kie"]}})
    job = await scripted.until(created.body["id"], lambda job: job["native_status"] == "TEXT_SUCCESS")
    assert "output" not in job
    script.reads = [record("SUCCESS", [TRACK])]
    await scripted.finish(created.body["id"])


@pytest.mark.parametrize(
    ("created", "native_id"),
    [
        ({"code": 200, "data": {"taskId": "a", "task_id": "b"}, "taskId": "c"}, "a"),
        ({"code": 200, "data": {"taskId": "", "task_id": "b"}, "taskId": "c"}, "b"),
        ({"code": 200, "data": {}, "taskId": "c", "task_id": "d"}, "c"),
        ({"code": 200, "data": None, "task_id": "d"}, "d"),
        ({"code": 200, "id": "e"}, "e"),
        ({"code": 200, "data": {"taskId": " padded "}}, "padded"),
        ({"code": 200, "data": {"taskId": 12345}}, "12345"),
    ],
)
async def test_the_task_id_is_found_wherever_it_stands(
    scripted: House, script: ScriptedVendor, created: object, native_id: str
) -> None:
    job = await make(scripted, script, record(), created=created)
    assert job["nativeResponseId"] == native_id


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_our_answer_is_200_whatever_success_the_vendor_says(
    scripted: House, script: ScriptedVendor, status: int
) -> None:
    script.created, script.status, script.reads = {"code": 200, "data": {"taskId": "n1"}}, status, [record()]
    reply = await scripted.create({"model": "suno/v5", "prompt": "x", "provider": {"only": ["suno_kie"]}})
    assert (reply.status, reply.body["status"]) == (200, "in_progress")
    await scripted.finish(reply.body["id"])


async def test_a_late_word_after_the_end_changes_nothing(scripted: House, script: ScriptedVendor) -> None:
    job = await make(scripted, script, record("SUCCESS"), record("PENDING", None), record("FAILED", None))
    assert (await scripted.get(job["id"])).body == job


async def test_two_jobs_with_one_native_id_show_the_newest(scripted: House, script: ScriptedVendor) -> None:
    created = {"code": 200, "data": {"taskId": "shared"}}
    first = await make(scripted, script, record(), created=created)
    second = await make(scripted, script, record(), created=created)
    assert (await scripted.get("shared")).body["id"] == second["id"] != first["id"]


def song(status: object) -> dict[str, Any]:
    """MiniMax's answer with a link."""
    data = {"audio": "https://media.example.com/1.mp3", "status": status}
    return {"data": data, "trace_id": "trace", "base_resp": {"status_code": 0, "status_msg": "success"}}


@pytest.mark.parametrize("status", [2, 3, "2", "success", "Succeeded", "completed", "FINISHED"])
async def test_every_good_word_of_minimax(scripted: House, script: ScriptedVendor, status: object) -> None:
    script.created, script.status = song(status), 200
    job = await scripted.make({"model": "minimax/music-2.6", "prompt": "rain"})
    assert job["status"] == "completed"


@pytest.mark.parametrize("status", [-1, -2, "failed", "Error", "cancelled", "canceled"])
async def test_every_bad_word_of_minimax(scripted: House, script: ScriptedVendor, status: object) -> None:
    script.created, script.status = {**song(status), "data": {"status": status}}, 200
    reply = await scripted.create({"model": "minimax/music-2.6", "prompt": "rain"})
    if reply.status == 200:
        job = await scripted.finish(reply.body["id"])
        assert (job["status"], job["error"]["reason"]) == ("failed", "upstream_failed")
    else:
        assert (reply.status, reply.body["reason"]) == (502, "upstream_failed")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        *((word, "completed") for word in ("completed", "Succeeded", "success", None, "whatever")),
        *((word, "in_progress") for word in ("running", "in_progress", "processing", "queued", "pending")),
        *((word, "failed") for word in ("failed", "Error")),
    ],
)
async def test_every_word_of_eleven(
    scripted: House, script: ScriptedVendor, word: str | None, status: str
) -> None:
    """The vendor answers with audio; the contract's table is for gateways that answered with a link."""
    script.created = {"id": "song", "status": word, "audio_url": "https://media.example.com/1.mp3"}
    script.status = 200
    reply = await scripted.create({"model": "elevenlabs/music", "prompt": "rain"})
    assert (reply.status, reply.body["nativeResponseId"]) == (200, "song")
    job = reply.body if status == "in_progress" else await scripted.finish(reply.body["id"])
    assert job["status"] == status


@pytest.mark.parametrize(
    "raw", [{"code": 200, "data": {"taskId": "x"}, "big": 1e999}, {"code": "200", "data": {"taskId": "x"}}]
)
async def test_odd_numbers_in_a_vendors_answer_cost_no_song(
    scripted: House, script: ScriptedVendor, raw: object
) -> None:
    script.created, script.status, script.reads = raw, 200, [record()]
    reply = await scripted.create(
        {
            "model": "suno/v5",
            "prompt": "x",
            "provider": {"only": ["suno_kie"]},
            "debug": {"return_upstream_response": True},
        }
    )
    assert reply.status in {200, 502}
    job = (await scripted.get(reply.body.get("id") or reply.body["music_id"])).body
    assert job["status"] in {"in_progress", "queued", "completed"}
