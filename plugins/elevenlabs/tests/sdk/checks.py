"""What the official Python SDK makes of the emulator: one line for each check.

Run by `run.py` with the environment of `requirements.txt`; the only argument is the emulator's address.
"""

import asyncio
import contextlib
import io
import json
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator

import httpx
from elevenlabs import AsyncElevenLabs, ElevenLabs, MusicPrompt, SongSection
from elevenlabs.core import ApiError, RequestOptions
from elevenlabs.errors import ForbiddenError, NotFoundError, UnprocessableEntityError
from elevenlabs.types import AudioRefChunk, CompositionPlan, GenerationChunkInput, TimeRange

BASE_URL = sys.argv[1]
RATES_HZ = {0: 44_100, 1: 48_000, 2: 32_000}
SONG = ("song.mp3", b"not read by the emulator", "audio/mpeg")
VIDEO = ("video.mp4", b"not read by the emulator", "video/mp4")
CHUNK = GenerationChunkInput(text="[Verse]\nla la", duration_ms=3_000, positive_styles=["folk"])

checks: list[Callable[[], None]] = []


def check(function: Callable[[], None]) -> Callable[[], None]:
    """Make a function one of the checks."""
    checks.append(function)
    return function


def client(key: str = "test-key-not-real") -> ElevenLabs:
    return ElevenLabs(base_url=BASE_URL, api_key=key)


def joined(pieces: Iterable[bytes]) -> bytes:
    return b"".join(pieces)


def mp3_rate_hz(audio: bytes) -> int:
    assert audio[0] == 0xFF, audio[:4]
    assert audio[1] & 0xE0 == 0xE0, audio[:4]
    return RATES_HZ[audio[2] >> 2 & 3]


@contextlib.contextmanager
def refused(kind: type[ApiError], status: int, code: str) -> Iterator[None]:
    """Check that the SDK raises this error, whose body has this code."""
    try:
        yield
    except ApiError as error:
        assert type(error) is kind, type(error)
        assert error.status_code == status, error
        assert code in json.dumps(error.body), error.body
    else:
        raise AssertionError(f"no {kind.__name__}")


def names_in(archive: bytes) -> list[str]:
    """The files of a zip, each of which is MP3."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for name in opened.namelist():
            mp3_rate_hz(opened.read(name))
        return opened.namelist()


@check
def compose_makes_a_song_of_the_requested_length() -> None:
    audio = joined(client().music.compose(prompt="Warm jazz", music_length_ms=5_000, model_id="music_v2"))
    assert mp3_rate_hz(audio) == 48_000
    assert abs(len(audio) / (192_000 / 8) - 5) < 0.1, len(audio)


@check
def compose_takes_v1_as_the_default_model() -> None:
    assert mp3_rate_hz(joined(client().music.compose(prompt="Warm jazz"))) == 44_100


@check
def compose_sends_the_output_format() -> None:
    audio = joined(client().music.compose(prompt="x", music_length_ms=3_000, output_format="pcm_8000"))
    assert len(audio) == 3 * 8_000 * 2 * 2, len(audio)


@check
def compose_takes_a_plan_of_sections() -> None:
    section = SongSection(
        section_name="Verse",
        positive_local_styles=[],
        negative_local_styles=[],
        duration_ms=4_000,
        lines=["One two"],
    )
    plan = MusicPrompt(positive_global_styles=["folk"], negative_global_styles=[], sections=[section])
    audio = joined(client().music.compose(composition_plan=plan, respect_sections_durations=False))
    assert abs(len(audio) / (128_000 / 8) - 4) < 0.1, len(audio)


@check
def compose_takes_a_plan_of_chunks() -> None:
    plan = CompositionPlan(chunks=[CHUNK, CHUNK])
    audio = joined(client().music.compose(composition_plan=plan, model_id="music_v2_5"))
    assert abs(len(audio) / (192_000 / 8) - 6) < 0.1, len(audio)


@check
def raw_response_has_the_song_id() -> None:
    with client().music.with_raw_response.compose(prompt="x", music_length_ms=3_000) as answer:
        joined(answer.data)
        assert len(answer.headers["song-id"]) == 20
        assert answer.headers["song-id"].isalnum()
        assert answer.headers["character-cost"] == "45"


@check
def compose_detailed_has_facts_and_audio() -> None:
    song = client().music.compose_detailed(prompt="x", model_id="music_v2", with_timestamps=True)
    assert song.filename == "music.mp3"
    assert song.song_id is not None
    assert len(song.song_id) == 20
    assert mp3_rate_hz(song.audio) == 48_000
    assert song.json["song_metadata"]["languages"] == ["English"]
    assert song.json["words_timestamps"][0]["word"] == "la"
    assert "chunks" in song.json["composition_plan"]


@check
def waveform_is_a_flat_list_of_four_numbers_a_second() -> None:
    with client().music.with_raw_response.compose_detailed(
        prompt="x", music_length_ms=3_000, with_waveform_visual=True
    ) as answer:
        facts = json.loads(joined(answer.data).split(b"\r\n")[3])
    assert len(facts["waveform_visual"]) == 12
    assert all(type(number) is int and -1_000 <= number <= 1_000 for number in facts["waveform_visual"])


@check
def async_client_composes() -> None:
    async def compose() -> bytes:
        music = AsyncElevenLabs(base_url=BASE_URL, api_key="test-key-not-real").music
        return joined([piece async for piece in music.compose(prompt="x", music_length_ms=3_000)])

    mp3_rate_hz(asyncio.run(compose()))


@check
def async_client_composes_detailed() -> None:
    music = AsyncElevenLabs(base_url=BASE_URL, api_key="test-key-not-real").music
    song = asyncio.run(music.compose_detailed(prompt="x", music_length_ms=3_000))
    assert song.json["song_metadata"]["title"]


@check
def stream_begins_before_the_song_is_done() -> None:
    begun = time.monotonic()
    pieces = client().music.stream(
        prompt="x [emulate done_s=50]", request_options=RequestOptions(chunk_size=4_096)
    )
    audio = next(iter(pieces))
    first_s = time.monotonic() - begun
    audio += joined(pieces)
    assert first_s < (time.monotonic() - begun) / 2
    assert abs(len(audio) / (128_000 / 8) - 8) < 0.1, len(audio)


@check
def detailed_stream_of_json_strings_is_read() -> None:
    events = client().music.compose_detailed_stream(prompt="x [emulate events=strings]", with_timestamps=True)
    names = [json.loads(event)["event"] for event in events]
    assert names[:3] == ["composition_plan", "song_metadata", "audio_chunk"], names
    assert names[-1] == "completion", names


@check
def detailed_stream_of_server_sent_events_is_not_read_by_this_sdk() -> None:
    # It parses each line as JSON, ignores those that are not, and so gives nothing of "data: {...}".
    with client().music.with_raw_response.compose_detailed_stream(prompt="x") as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert list(answer.data) == []


@check
def composition_plan_has_sections_by_default() -> None:
    plan = client().music.composition_plan.create(prompt="Warm jazz", music_length_ms=130_000)
    assert isinstance(plan, MusicPrompt), type(plan)
    assert sum(section.duration_ms for section in plan.sections) == 130_000
    assert joined(client().music.compose(composition_plan=plan))


@check
def composition_plan_of_chunks_is_accepted_back() -> None:
    plan = client().music.composition_plan.create(
        prompt="Warm jazz", model_id="music_v2", music_length_ms=4_000
    )
    assert isinstance(plan, CompositionPlan), type(plan)
    assert joined(client().music.compose(composition_plan=plan, model_id="music_v2"))


@check
def uploaded_song_is_part_of_another_song() -> None:
    found = client().music.upload(
        file=SONG, extract_composition_plan="music_v2", with_timestamps=True, with_waveform_visual=True
    )
    assert isinstance(found.composition_plan, CompositionPlan), found
    assert found.words_timestamps
    assert found.waveform_visual
    part = AudioRefChunk(song_id=found.song_id, range=TimeRange(start_ms=0, end_ms=2_000))
    plan = CompositionPlan(chunks=[part, CHUNK])
    audio = joined(client().music.compose(composition_plan=plan, model_id="music_v2"))
    assert abs(len(audio) / (192_000 / 8) - 5) < 0.1, len(audio)


@check
def song_that_was_not_stored_is_404() -> None:
    part = AudioRefChunk(song_id="nothing", range=TimeRange(start_ms=0, end_ms=2_000))
    with refused(ApiError, 404, "song_not_found"):
        joined(
            client().music.compose(
                composition_plan=CompositionPlan(chunks=[part, CHUNK]), model_id="music_v2"
            )
        )


@check
def six_stems_come_as_a_zip() -> None:
    names = names_in(joined(client().music.separate_stems(file=SONG)))
    assert names == [f"{name}.mp3" for name in ("vocals", "drums", "bass", "guitar", "piano", "other")], names


@check
def two_stems_come_as_a_zip() -> None:
    archive = joined(client().music.separate_stems(file=SONG, stem_variation_id="two_stems_v1"))
    assert names_in(archive) == ["vocals.mp3", "instrumental.mp3"]


@check
def video_gets_music() -> None:
    audio = joined(
        client().music.video_to_music(videos=[VIDEO, VIDEO], tags=["upbeat", "warm"], add_sfx=True)
    )
    mp3_rate_hz(audio)


@check
def video_gets_separate_tracks() -> None:
    archive = joined(client().music.video_to_music(videos=[VIDEO], separate_tracks=True, model_id="music_v2"))
    assert names_in(archive) == ["music.mp3", "sfx.mp3"]


@check
def too_many_videos_are_422() -> None:
    with refused(UnprocessableEntityError, 422, "videos"):
        joined(client().music.video_to_music(videos=[VIDEO] * 11))


@check
def missing_scope_is_a_forbidden_error() -> None:
    with refused(ForbiddenError, 403, "insufficient_permissions"):
        joined(client("no-scope-403-key").music.video_to_music(videos=[VIDEO]))


@check
def finetune_is_trained_changed_and_deleted() -> None:
    finetunes = client("finetune-key").music.finetunes
    made = finetunes.create(name="Our sound", primary_genre="folk", files=[SONG], tags=["a", "b"])
    assert (made.status, made.created_by, made.visibility) == ("pending", "self", "private"), made
    assert made.tags == ["a", "b"], made
    while finetunes.get(made.id).status != "completed":
        time.sleep(0.1)
    assert finetunes.get(made.id).training_progress == 1.0
    assert finetunes.update(made.id, name="Our new sound").name == "Our new sound"
    assert finetunes.delete(made.id).id == made.id
    with refused(NotFoundError, 404, "not_found"):
        finetunes.get(made.id)


@check
def finetunes_are_listed_by_pages() -> None:
    finetunes = client("other-finetune-key").music.finetunes
    for name in ("First one", "Second one", "Third one"):
        finetunes.create(name=name, primary_genre="folk")
    page = finetunes.list(page_size=2, sort="name", sort_direction="asc")
    assert [one.name for one in page.finetunes] == ["First one", "Second one"], page
    assert page.has_more
    rest = finetunes.list(page_size=2, sort="name", sort_direction="asc", cursor=page.next_cursor)
    assert ([one.name for one in rest.finetunes], rest.has_more) == (["Third one"], False), rest


@check
def finetune_without_a_long_enough_name_is_422() -> None:
    with refused(UnprocessableEntityError, 422, "name"):
        client().music.finetunes.create(name="abc", primary_genre="folk")


@check
def field_out_of_range_is_an_unprocessable_entity_error() -> None:
    with refused(UnprocessableEntityError, 422, "music_length_ms"):
        joined(client().music.compose(prompt="x", music_length_ms=1))


@check
def plan_of_the_wrong_kind_is_an_unprocessable_entity_error() -> None:
    with refused(UnprocessableEntityError, 422, "Invalid composition plan type"):
        joined(client().music.compose(composition_plan=CompositionPlan(chunks=[CHUNK]), model_id="music_v1"))


@check
def wrong_key_is_401() -> None:
    with refused(ApiError, 401, "invalid_api_key"):
        joined(client("bad-key").music.compose(prompt="x"))


@check
def spent_credits_and_free_plan_are_402() -> None:
    with refused(ApiError, 402, "insufficient_credits"):
        joined(client("no-credits-key").music.compose(prompt="x"))
    with refused(ApiError, 402, "limited_access"):
        joined(client("free-plan-key").music.compose(prompt="x"))


@check
def refused_prompt_has_a_suggestion() -> None:
    with refused(ApiError, 400, "Like a well-known artist"):
        joined(client().music.compose(prompt="Like The Beatles"))


@check
def enable_logging_is_sent_in_the_query() -> None:
    with refused(ApiError, 403, "subscription_required"):
        joined(client().music.compose(prompt="x [emulate tier_gate=1]", enable_logging=False))
    assert joined(client().music.compose(prompt="x [emulate tier_gate=1]", enable_logging=True))


@check
def rate_limit_has_its_retry_time() -> None:
    try:
        joined(client().music.compose(prompt="x [emulate create=429 retry_after=7]"))
    except ApiError as error:
        assert (error.status_code, (error.headers or {})["retry-after"]) == (429, "7"), error
    else:
        raise AssertionError("no error")


@check
def plan_is_made_after_a_retry_at_the_stated_time() -> None:
    # This SDK repeats no call whose answer is bytes.
    plans = client("plan-key").music.composition_plan
    begun = time.monotonic()
    for _ in range(2):
        assert plans.create(prompt="x [emulate rate=1 retry_after=1]")
    assert time.monotonic() - begun >= 1


@check
def page_of_a_load_balancer_is_an_api_error() -> None:
    with refused(ApiError, 502, "<html>"):
        joined(client().music.compose(prompt="x [emulate create=html]"))


@check
def cut_answer_is_an_error() -> None:
    try:
        joined(client().music.compose(prompt="x [emulate create=cut]"))
    except httpx.RemoteProtocolError:
        return
    raise AssertionError("a cut answer was taken for a whole one")


def main() -> int:
    """Run each check, and print a line for it."""
    failed = 0
    for function in checks:
        name = function.__name__.replace("_", " ")
        try:
            function()
        except Exception as error:  # whatever it is: the next check still runs
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
        else:
            print(f"ok      {name}")
    print(f"{len(checks) - failed} of {len(checks)} checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
