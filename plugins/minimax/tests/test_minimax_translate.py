"""Each option is sent, reported or refused."""

import json
from typing import Any

import pytest

import musicgate_minimax
from musicgate.errors import RequestError, UnsupportedOptionError
from musicgate.model import MusicRequest
from musicgate.planning.routing import find_offer
from musicgate.plugin.hooks import Translation
from musicgate.testing.rehearsal import Rehearsal

AUDIO_SETTING = {"sample_rate": 44100, "bitrate": 256000, "format": "mp3"}
TAGS = "[Intro]\n[Inst]\n[Outro]"
COVER = {"audio_url": "https://example.com/a.mp3"}
COVER_PROMPT = "a slow bossa nova"


def make_rehearsal(**options: object) -> Rehearsal:
    return Rehearsal("minimax", musicgate_minimax, options=options)


def translate(model: str = "music-2.6", block: dict[str, Any] | None = None, **fields: Any) -> Translation:
    rehearsal = make_rehearsal()
    request = MusicRequest(
        model=f"minimax/{model}", blocks={} if block is None else {"minimax": block}, **fields
    )
    offer = find_offer(rehearsal.provider, request.model)
    assert offer is not None
    return rehearsal.plugin.translate(request, offer, rehearsal.settings, "http://127.0.0.1:1/callback")


def body_of(translation: Translation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(translation.request.body)
    return body


def reported(translation: Translation) -> list[tuple[str, str]]:
    return [
        (warning.code.value, ".".join(str(step) for step in warning.path)) for warning in translation.warnings
    ]


def test_prompt_alone_becomes_an_instrumental() -> None:
    translation = translate(prompt="Warm jazz trio")
    assert translation.request.method == "POST"
    assert translation.request.url == "http://127.0.0.1:1/v1/music_generation"
    assert body_of(translation) == {
        "model": "music-2.6",
        "prompt": "Warm jazz trio",
        "is_instrumental": True,
        "audio_setting": AUDIO_SETTING,
        "output_format": "hex",
    }
    assert translation.native_model == "music-2.6"
    assert reported(translation) == []


def test_lyrics_become_a_song() -> None:
    body = body_of(translate(prompt="folk", lyrics="[Verse]\nRow on"))
    assert body["lyrics"] == "[Verse]\nRow on"
    assert "is_instrumental" not in body


#: model, block, neutral fields -> keys of the body (None = must be absent), warnings
SENT: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = [
    ("music-2.6", {"prompt": "own"}, {"prompt": "p"}, {"prompt": "own"}, [("changed", "prompt")]),
    ("music-2.6", {"prompt": "  "}, {"prompt": "p"}, {"prompt": "p"}, []),
    ("music-2.6", {"lyrics": "la"}, {}, {"lyrics": "la", "prompt": None, "is_instrumental": None}, []),
    ("music-2.6", {"lyrics": "la"}, {"lyrics": "lo"}, {"lyrics": "la"}, [("changed", "lyrics")]),
    ("music-2.6", {"lyrics": " \n"}, {"prompt": "p"}, {"lyrics": None, "is_instrumental": True}, []),
    ("music-2.6", {"lyrics": " "}, {"lyrics": "lo"}, {"lyrics": "lo"}, []),
    (
        "music-2.6",
        {"lyrics": "la", "is_instrumental": False},
        {},
        {"lyrics": "la", "is_instrumental": False},
        [],
    ),
    ("music-2.6", {"lyrics": "la", "lyrics_optimizer": False}, {}, {"lyrics_optimizer": False}, []),
    (
        "music-2.6",
        {"lyrics_optimizer": False},
        {"prompt": "p"},
        {"is_instrumental": True, "lyrics_optimizer": False},
        [],
    ),
    (
        "music-2.6",
        {"lyrics_optimizer": True},
        {"prompt": "p"},
        {"lyrics_optimizer": True, "is_instrumental": None, "lyrics": None},
        [],
    ),
    (
        "music-2.6",
        {"lyrics_optimizer": True, "is_instrumental": False},
        {"prompt": "p"},
        {"lyrics_optimizer": True, "is_instrumental": False},
        [],
    ),
    ("music-2.6", {"is_instrumental": True}, {"prompt": "p"}, {"is_instrumental": True}, []),
    ("music-2.6", {}, {"prompt": "p", "instrumental": True}, {"is_instrumental": True}, []),
    ("music-2.6", {}, {"lyrics": "la", "instrumental": False}, {"lyrics": "la", "is_instrumental": None}, []),
    (
        "music-2.6",
        {},
        {"prompt": "p", "instrumental": False},
        {"lyrics_optimizer": True, "is_instrumental": None},
        [("changed", "instrumental")],
    ),
    (
        "music-2.6",
        {"is_instrumental": True},
        {"prompt": "p", "lyrics": "la"},
        {"is_instrumental": True, "lyrics": None},
        [("not_applied", "lyrics")],
    ),
    (
        "music-2.6",
        {"lyrics_optimizer": True},
        {"prompt": "p", "lyrics": "la", "instrumental": True},
        {"lyrics_optimizer": True, "lyrics": None, "is_instrumental": None},
        [("not_applied", "lyrics"), ("not_applied", "instrumental")],
    ),
    (
        "music-2.6",
        {"lyrics": "la"},
        {"instrumental": True},
        {"lyrics": "la", "is_instrumental": None},
        [("not_applied", "instrumental")],
    ),
    (
        "music-2.6",
        {"is_instrumental": False},
        {"lyrics": "la", "instrumental": True},
        {"lyrics": "la", "is_instrumental": False},
        [("changed", "instrumental")],
    ),
    ("music-2.5", {}, {"prompt": "p"}, {"lyrics": TAGS, "is_instrumental": None}, []),
    ("music-2.5", {}, {"prompt": "p", "instrumental": True}, {"lyrics": TAGS}, [("changed", "instrumental")]),
    (
        "music-2.5",
        {"is_instrumental": True},
        {"prompt": "p"},
        {"lyrics": TAGS, "is_instrumental": None},
        [("changed", "minimax.is_instrumental")],
    ),
    (
        "music-2.5",
        {"is_instrumental": False, "lyrics": "la"},
        {},
        {"lyrics": "la", "is_instrumental": None},
        [("not_applied", "minimax.is_instrumental")],
    ),
    (
        "music-2.5",
        {"lyrics_optimizer": True},
        {"prompt": "p"},
        {"lyrics_optimizer": True, "lyrics": None},
        [],
    ),
    ("music-2.5+", {}, {"prompt": "p"}, {"is_instrumental": True}, []),
    (
        "music-2.0",
        {},
        {"prompt": "ten chars!", "lyrics": "la"},
        {"lyrics": "la", "is_instrumental": None},
        [],
    ),
    (
        "music-2.0",
        {"lyrics_optimizer": False, "lyrics": "la"},
        {"prompt": "ten chars!"},
        {"lyrics_optimizer": None},
        [("not_applied", "minimax.lyrics_optimizer")],
    ),
    ("music-2.6", {"stream": False}, {"prompt": "p"}, {"stream": False}, []),
    ("music-2.6", {}, {"prompt": "p"}, {"stream": None, "aigc_watermark": None, "seed": None}, []),
    ("music-2.6", {"output_format": "url"}, {"prompt": "p"}, {"output_format": "url"}, []),
    ("music-2.6", {"aigc_watermark": False}, {"prompt": "p"}, {"aigc_watermark": False}, []),
    ("music-2.6", {"aigc_watermark": True}, {"prompt": "p"}, {"aigc_watermark": True}, []),
    ("music-2.6", {"model": "music-3.0"}, {"prompt": "p"}, {"model": "music-3.0"}, []),
    ("music-2.6", {"model": " music-9 "}, {"prompt": "p"}, {"model": "music-9", "is_instrumental": True}, []),
    ("music-2.6", {"model": " "}, {"prompt": "p"}, {"model": "music-2.6"}, []),
    ("music-9-Turbo", {}, {"prompt": "p"}, {"model": "music-9-Turbo"}, []),
    ("music", {}, {"prompt": "p"}, {"model": "music-2.6"}, []),
    ("music-2.6", {}, {"prompt": "p", "format": "mp3"}, {"audio_setting": AUDIO_SETTING}, []),
    (
        "music-2.6",
        {},
        {"prompt": "p", "format": "wav"},
        {"audio_setting": {**AUDIO_SETTING, "format": "wav"}},
        [],
    ),
    (
        "music-2.6",
        {"audio_setting": {"format": "wav"}},
        {"prompt": "p", "format": "mp3"},
        {"audio_setting": {**AUDIO_SETTING, "format": "wav"}},
        [("changed", "format")],
    ),
    (
        "music-2.6",
        {"audio_setting": {"format": "mp3"}},
        {"prompt": "p", "format": "ogg"},
        {"audio_setting": AUDIO_SETTING},
        [("changed", "format")],
    ),
    (
        "music-2.6",
        {"audio_setting": {"sample_rate": 16000, "bitrate": 32000, "format": "mp3", "channel": 1}},
        {"prompt": "p"},
        {"audio_setting": {"sample_rate": 16000, "bitrate": 32000, "format": "mp3", "channel": 1}},
        [],
    ),
    (
        "music-2.6",
        {"audio_setting": {"format": "pcm"}},
        {"prompt": "p"},
        {"audio_setting": {**AUDIO_SETTING, "format": "pcm"}, "output_format": "hex"},
        [("changed", "minimax.audio_setting.format")],
    ),
    ("music-2.6", {}, {"prompt": "p", "duration_s": 30}, {"duration": None}, [("not_applied", "duration")]),
    ("music-2.6", {}, {"prompt": "p", "seed": 0}, {"seed": None}, [("not_applied", "seed")]),
    (
        "music-2.6",
        {},
        {"prompt": "p", "title": "Row"},
        {"prompt": "p", "title": None},
        [("not_applied", "title")],
    ),
    ("music-2.6", {}, {"style": "folk"}, {"prompt": "folk"}, [("changed", "style")]),
    (
        "music-2.6",
        {},
        {"prompt": "Rain.", "style": "folk"},
        {"prompt": "Rain. Style: folk"},
        [("changed", "style")],
    ),
    (
        "music-2.6",
        {},
        {"prompt": "Rain", "negative_style": "drums"},
        {"prompt": "Rain. Avoid: drums"},
        [("changed", "negative_style")],
    ),
    (
        "music-2.6",
        {"prompt": "Rain"},
        {"style": "folk", "vocal_gender": "f", "negative_style": "metal", "lyrics": "la"},
        {"prompt": "Rain. Style: folk. Vocals: female. Avoid: metal"},
        [("changed", "style"), ("changed", "vocal_gender"), ("changed", "negative_style")],
    ),
    (
        "music-2.6",
        {},
        {"vocal_gender": "m", "lyrics": "la"},
        {"prompt": "Vocals: male"},
        [("changed", "vocal_gender")],
    ),
    (
        "music-2.6",
        {},
        {"prompt": "p", "vocal_gender": "m"},
        {"prompt": "p"},
        [("not_applied", "vocal_gender")],
    ),
    (
        "music-2.5",
        {},
        {"prompt": "p", "vocal_gender": "m"},
        {"prompt": "p", "lyrics": TAGS},
        [("not_applied", "vocal_gender")],
    ),
    ("music-2.6", {}, {"prompt": "p", "style": " ", "negative_style": "", "title": ""}, {"prompt": "p"}, []),
    (
        "music-cover",
        {**COVER},
        {"prompt": COVER_PROMPT},
        {"prompt": COVER_PROMPT, **COVER, "is_instrumental": None, "lyrics": None},
        [],
    ),
    ("music-cover", {"audio_base64": "AAAA"}, {"prompt": COVER_PROMPT}, {"audio_base64": "AAAA"}, []),
    (
        "music-cover",
        {"cover_feature_id": "f1", "lyrics": "la"},
        {"prompt": COVER_PROMPT},
        {"cover_feature_id": "f1", "lyrics": "la"},
        [],
    ),
    ("music-cover", {**COVER}, {"prompt": COVER_PROMPT, "lyrics": "la"}, {"lyrics": "la"}, []),
    ("music-cover", {**COVER, "seed": 0}, {"prompt": COVER_PROMPT}, {"seed": 0}, []),
    ("music-cover", {**COVER}, {"prompt": COVER_PROMPT, "seed": 1_000_000}, {"seed": 1_000_000}, []),
    (
        "music-cover",
        {**COVER, "seed": 7},
        {"prompt": COVER_PROMPT, "seed": 8},
        {"seed": 7},
        [("changed", "seed")],
    ),
    (
        "music-cover",
        {**COVER},
        {"prompt": COVER_PROMPT, "instrumental": True},
        {"is_instrumental": None},
        [("not_applied", "instrumental")],
    ),
    (
        "music-cover",
        {**COVER},
        {"prompt": COVER_PROMPT, "instrumental": False},
        {"is_instrumental": None},
        [],
    ),
    (
        "music-cover",
        {**COVER, "is_instrumental": False},
        {"prompt": COVER_PROMPT},
        {"is_instrumental": None},
        [("not_applied", "minimax.is_instrumental")],
    ),
    (
        "music-cover",
        {**COVER, "is_instrumental": False},
        {"prompt": COVER_PROMPT, "instrumental": True},
        {"is_instrumental": None},
        [("not_applied", "minimax.is_instrumental"), ("not_applied", "instrumental")],
    ),
    (
        "music-2.6",
        {"model": "Music-2.5"},
        {"prompt": "p"},
        {"model": "Music-2.5", "lyrics": TAGS, "is_instrumental": None},
        [],
    ),
    ("music-cover-free", {**COVER}, {"prompt": COVER_PROMPT}, {"model": "music-cover-free", **COVER}, []),
    ("music-cover-2", {**COVER}, {"prompt": COVER_PROMPT}, {"model": "music-cover-2", **COVER}, []),
]


@pytest.mark.parametrize(("model", "block", "fields", "keys", "warnings"), SENT)
def test_option_is_sent_or_reported(
    model: str,
    block: dict[str, Any],
    fields: dict[str, Any],
    keys: dict[str, Any],
    warnings: list[tuple[str, str]],
) -> None:
    translation = translate(model, block, **fields)
    body = body_of(translation)
    assert {key: body.get(key) for key in keys} == keys
    assert {key for key in keys if keys[key] is None and key in body} == set()
    assert reported(translation) == warnings
    assert translation.native_model == body["model"]


LYRICS = "lyrics_required_for_non_instrumental_minimax_music"
PROMPT = "invalid_minimax_music_prompt"
BAD_COVER = "invalid_minimax_music_cover_request"
FORMAT = "unsupported_minimax_music_audio_format"
STREAM = "minimax_music_streaming_not_supported_by_gateway"
BAD = "validation_error"
NO = "not_supported"
EMOJI = "\N{MUSICAL NOTE}"

#: model, block, neutral fields -> code, reason, path
REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str, str | None, str]] = [
    ("music-2.6", {"is_instrumental": False}, {"prompt": "p"}, BAD, LYRICS, "minimax.lyrics"),
    ("music-2.6", {"is_instrumental": False, "lyrics": " "}, {"prompt": "p"}, BAD, LYRICS, "minimax.lyrics"),
    (
        "music-2.6",
        {"lyrics_optimizer": False},
        {"prompt": "p", "instrumental": False},
        BAD,
        LYRICS,
        "lyrics",
    ),
    ("music-2.0", {}, {"prompt": "ten chars!"}, BAD, LYRICS, "lyrics"),
    ("music-2.0", {}, {"prompt": "ten chars!", "instrumental": True}, BAD, LYRICS, "lyrics"),
    ("music-2.0", {}, {"prompt": "ten chars!", "instrumental": False}, BAD, LYRICS, "lyrics"),
    ("music-2.6", {"is_instrumental": False}, {}, BAD, LYRICS, "minimax.lyrics"),
    ("music-2.6", {}, {}, BAD, PROMPT, "prompt"),
    ("music-2.6", {"prompt": " "}, {"prompt": "\n"}, BAD, PROMPT, "prompt"),
    ("music-2.6", {}, {"prompt": "p" * 2001}, BAD, PROMPT, "prompt"),
    ("music-2.6", {"prompt": EMOJI * 1001}, {}, BAD, PROMPT, "minimax.prompt"),
    ("music-2.6", {}, {"prompt": "p" * 1990, "style": "folk"}, BAD, PROMPT, "prompt"),
    ("music-2.0", {"lyrics": "la"}, {"prompt": "nine char"}, BAD, PROMPT, "prompt"),
    ("music-2.0", {"lyrics": "la"}, {}, BAD, PROMPT, "prompt"),
    ("music-1.5", {"lyrics": "la"}, {"prompt": "p" * 301}, BAD, PROMPT, "prompt"),
    ("music-2.6", {"lyrics": "l" * 3501}, {}, BAD, None, "minimax.lyrics"),
    ("music-2.6", {}, {"lyrics": EMOJI * 1751}, BAD, None, "lyrics"),
    ("music-2.0", {}, {"prompt": "ten chars!", "lyrics": "l" * 3001}, BAD, None, "lyrics"),
    ("music-1.5", {}, {"prompt": "ten chars!", "lyrics": "l" * 3001}, BAD, None, "lyrics"),
    ("music-01", {}, {"lyrics": "l" * 201}, BAD, None, "lyrics"),
    ("music-cover", {**COVER}, {"prompt": COVER_PROMPT, "lyrics": "l" * 1001}, BAD, None, "lyrics"),
    ("music-cover", {}, {"prompt": COVER_PROMPT}, BAD, BAD_COVER, "minimax"),
    ("music-cover", {**COVER, "audio_base64": "AAAA"}, {"prompt": COVER_PROMPT}, BAD, BAD_COVER, "minimax"),
    ("music-cover", {**COVER}, {"prompt": "nine char"}, BAD, BAD_COVER, "prompt"),
    ("music-cover", {**COVER}, {}, BAD, BAD_COVER, "prompt"),
    ("music-cover", {**COVER}, {"prompt": "p" * 301}, BAD, BAD_COVER, "prompt"),
    ("music-cover", {"cover_feature_id": "f"}, {"prompt": COVER_PROMPT}, BAD, BAD_COVER, "minimax.lyrics"),
    ("music-cover", {**COVER}, {"prompt": COVER_PROMPT, "seed": 1_000_001}, BAD, None, "seed"),
    (
        "music-cover",
        {**COVER, "is_instrumental": True},
        {"prompt": COVER_PROMPT},
        NO,
        "unsupported_option",
        "minimax.is_instrumental",
    ),
    (
        "music-cover",
        {**COVER, "lyrics_optimizer": True},
        {"prompt": COVER_PROMPT},
        NO,
        "unsupported_option",
        "minimax.lyrics_optimizer",
    ),
    ("music-2.6", {"is_instrumental": True, "lyrics": "la"}, {}, BAD, None, "minimax.is_instrumental"),
    ("music-2.6", {"lyrics_optimizer": True, "lyrics": "la"}, {}, BAD, None, "minimax.lyrics_optimizer"),
    (
        "music-2.6",
        {"lyrics_optimizer": True, "is_instrumental": True},
        {"prompt": "p"},
        BAD,
        None,
        "minimax.lyrics_optimizer",
    ),
    ("music-2.6", {}, {"lyrics": "la", "instrumental": True}, BAD, None, "instrumental"),
    (
        "music-2.6",
        {"lyrics_optimizer": False},
        {"lyrics": "la", "instrumental": True},
        BAD,
        None,
        "instrumental",
    ),
    ("music-2.6", {"stream": True}, {"prompt": "p"}, NO, STREAM, "minimax.stream"),
    ("music-2.6", {}, {"prompt": "p", "format": "ogg"}, BAD, FORMAT, "format"),
    (
        "music-2.6",
        {"audio_setting": {"bitrate": 32000}},
        {"prompt": "p", "format": "aac"},
        BAD,
        FORMAT,
        "format",
    ),
    (
        "music-2.6",
        {"audio_setting": {"format": "pcm"}, "output_format": "url"},
        {"prompt": "p"},
        NO,
        "unsupported_option",
        "minimax.output_format",
    ),
    ("music-2.6", {"seed": 1}, {"prompt": "p"}, NO, "unsupported_option", "minimax.seed"),
    (
        "music-2.6",
        {"audio_url": "https://e.example/a"},
        {"prompt": "p"},
        NO,
        "unsupported_option",
        "minimax.audio_url",
    ),
    (
        "music-2.6",
        {"audio_base64": "AAAA"},
        {"prompt": "p"},
        NO,
        "unsupported_option",
        "minimax.audio_base64",
    ),
    (
        "music-2.6",
        {"cover_feature_id": "f"},
        {"prompt": "p"},
        NO,
        "unsupported_option",
        "minimax.cover_feature_id",
    ),
    (
        "music-2.0",
        {"is_instrumental": True},
        {"prompt": "ten chars!"},
        NO,
        "unsupported_option",
        "minimax.is_instrumental",
    ),
    (
        "music-1.5",
        {"lyrics_optimizer": True},
        {"prompt": "ten chars!"},
        NO,
        "unsupported_option",
        "minimax.lyrics_optimizer",
    ),
    ("music-2.6", {"refer_voice": "v"}, {"prompt": "p"}, NO, "unsupported_option", "minimax.refer_voice"),
]


@pytest.mark.parametrize(("model", "block", "fields", "code", "reason", "path"), REFUSED)
def test_invalid_request_is_refused_with_its_token_and_path(
    model: str, block: dict[str, Any], fields: dict[str, Any], code: str, reason: str | None, path: str
) -> None:
    with pytest.raises(RequestError) as caught:
        translate(model, block, **fields)
    error = caught.value
    assert (error.code, error.reason) == (code, reason)
    assert ".".join(str(step) for step in error.path) == path
    assert isinstance(error, UnsupportedOptionError) is (reason == "unsupported_option")


@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("music-2.6", {"prompt": "p" * 2000}),
        ("music-2.6", {"prompt": EMOJI * 1000}),
        ("music-2.6", {"lyrics": "l" * 3500}),
        ("music-2.6", {"lyrics": "l"}),
        ("music-2.0", {"prompt": "ten chars!", "lyrics": "l" * 3000}),
        ("music-1.5", {"prompt": "p" * 300, "lyrics": "l" * 3000}),
        ("music-01", {"lyrics": "l" * 200}),
    ],
)
def test_text_at_its_limit_is_sent_whole(model: str, fields: dict[str, Any]) -> None:
    body = body_of(translate(model, **fields))
    assert {key: body[key] for key in fields} == fields


@pytest.mark.parametrize("length", [10, 300])
def test_cover_prompt_at_its_limits_is_sent(length: int) -> None:
    assert body_of(translate("music-cover", COVER, prompt="p" * length))["prompt"] == "p" * length


def test_reference_over_50_mb_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        translate("music-cover", {"audio_base64": "A" * 69_905_072}, prompt=COVER_PROMPT)
    assert caught.value.reason == BAD_COVER


def test_settings_give_the_default_model_and_the_group_id() -> None:
    rehearsal = make_rehearsal(default_model="music-3.0", group_id="17 &4")
    request = MusicRequest(model="minimax/music", prompt="p")
    translation = rehearsal.plugin.translate(
        request, rehearsal.offer("minimax/music"), rehearsal.settings, None
    )
    assert translation.native_model == "music-3.0"
    assert translation.request.url == "http://127.0.0.1:1/v1/music_generation?GroupId=17%20%264"


def test_other_blocks_and_the_metadata_of_the_request_are_not_sent() -> None:
    request = MusicRequest(
        model="minimax/music-2.6",
        prompt="p",
        blocks={"suno": {"style": "x"}, "minimax": {}},
        metadata={"a": "b"},
        webhook_url="https://example.com/hook",
        echo_upstream_request=True,
    )
    rehearsal = make_rehearsal()
    translation = rehearsal.plugin.translate(
        request, rehearsal.offer(request.model), rehearsal.settings, "http://127.0.0.1:1/x"
    )
    assert set(body_of(translation)) == {
        "model",
        "prompt",
        "is_instrumental",
        "audio_setting",
        "output_format",
    }
