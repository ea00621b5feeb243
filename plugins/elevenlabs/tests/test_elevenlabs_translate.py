"""Each option is sent, reported or refused."""

import json
from typing import Any
from urllib.parse import urlsplit

import pytest

import musicgate_elevenlabs
from musicgate.errors import RequestError, UnsupportedOptionError
from musicgate.model import MusicRequest
from musicgate.plugin.hooks import Translation
from musicgate.testing.rehearsal import Rehearsal

V1_PLAN: dict[str, Any] = {
    "positive_global_styles": ["folk"],
    "negative_global_styles": [],
    "sections": [
        {
            "section_name": "Verse",
            "positive_local_styles": [],
            "negative_local_styles": [],
            "duration_ms": 20000,
            "lines": ["The river keeps the time for me"],
        }
    ],
}
V2_PLAN: dict[str, Any] = {
    "chunks": [
        {
            "text": "[Verse]\nThe river keeps the time",
            "duration_ms": 20000,
            "positive_styles": ["folk"],
            "negative_styles": None,
            "context_adherence": None,
            "conditioning_ref": None,
            "condition_strength": None,
        }
    ]
}


def translate(
    block: dict[str, Any] | None = None, *, model: str = "music", default: str = "music_v2", **fields: Any
) -> Translation:
    rehearsal = Rehearsal("elevenlabs", musicgate_elevenlabs, options={"default_model": default})
    blocks = {} if block is None else {"elevenlabs": block}
    return rehearsal.translate(MusicRequest(model=f"elevenlabs/{model}", blocks=blocks, **fields))


def sent(translation: Translation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(translation.request.body)
    return body


def reported(translation: Translation) -> list[tuple[str, str]]:
    return [
        (warning.code.value, ".".join(str(step) for step in warning.path)) for warning in translation.warnings
    ]


def refused(block: dict[str, Any] | None = None, **fields: Any) -> tuple[str, str | None, str]:
    with pytest.raises(RequestError) as caught:
        translate(block, **fields)
    return caught.value.code, caught.value.reason, ".".join(map(str, caught.value.path))


def test_prompt_alone_is_one_plain_post() -> None:
    translation = translate(prompt="  Warm jazz trio ")
    assert translation.request.method == "POST"
    assert translation.request.url == "http://127.0.0.1:1/v1/music"
    assert sent(translation) == {"prompt": "  Warm jazz trio ", "model_id": "music_v2"}
    assert translation.native_model == "music_v2"
    assert reported(translation) == []
    assert "xi-api-key" not in {name.lower() for name in translation.request.headers}


@pytest.mark.parametrize(
    ("block", "fields", "model_id"),
    [
        ({}, {}, "music_v2"),
        ({}, {"default": "music_v2_5"}, "music_v2_5"),
        ({}, {"model": "music_v1", "default": "music_v2_5"}, "music_v1"),
        ({"model_id": "music_v3"}, {"model": "music_v1"}, "music_v3"),
        ({"model_id": "  "}, {"model": "music_v1"}, "music_v1"),
    ],
)
def test_model_is_always_sent(block: dict[str, Any], fields: dict[str, Any], model_id: str) -> None:
    translation = translate(block, prompt="x", **fields)
    assert sent(translation)["model_id"] == model_id
    assert translation.native_model == model_id


@pytest.mark.parametrize(
    ("neutral", "own", "prompt"),
    [("a", "b", "b"), ("a", " ", "a"), ("a", None, "a"), (None, "b", "b"), (" ", "b", "b")],
)
def test_blank_prompt_does_not_override_the_other(neutral: str | None, own: str | None, prompt: str) -> None:
    block = {} if own is None else {"prompt": own}
    assert sent(translate(block, prompt=neutral))["prompt"] == prompt


@pytest.mark.parametrize(
    ("block", "fields"),
    [
        ({}, {}),
        ({"prompt": " "}, {"prompt": ""}),
        ({}, {"negative_style": "drums"}),
        ({}, {"instrumental": True, "lyrics": "la"}),
    ],
)
def test_request_without_prompt_and_plan_is_refused(block: dict[str, Any], fields: dict[str, Any]) -> None:
    assert refused(block, **fields) == ("validation_error", "prompt_or_composition_plan_required", "prompt")


@pytest.mark.parametrize(
    ("own", "neutral", "path"),
    [("x", None, "elevenlabs.prompt"), (None, "x", "prompt"), ("x", "y", "elevenlabs.prompt")],
)
def test_prompt_and_plan_exclude_each_other(own: str | None, neutral: str | None, path: str) -> None:
    block = {"composition_plan": V2_PLAN, **({} if own is None else {"prompt": own})}
    assert refused(block, prompt=neutral) == (
        "validation_error",
        "prompt_and_composition_plan_exclusive",
        path,
    )


def test_empty_plan_beside_a_prompt_counts_as_a_plan() -> None:
    assert refused({"composition_plan": {}}, prompt="x")[1] == "prompt_and_composition_plan_exclusive"


@pytest.mark.parametrize("neutral", [None, "", "  "])
def test_blank_prompt_is_left_out_beside_a_plan(neutral: str | None) -> None:
    translation = translate({"composition_plan": V2_PLAN, "prompt": ""}, prompt=neutral)
    assert sent(translation) == {"composition_plan": V2_PLAN, "model_id": "music_v2"}


@pytest.mark.parametrize(
    ("model", "plan", "fits"),
    [
        ("music_v1", V1_PLAN, True),
        ("music_v1", V2_PLAN, False),
        ("music_v2", V1_PLAN, False),
        ("music_v2", V2_PLAN, True),
        ("music_v2_5", V1_PLAN, False),
        ("music_v2_5", V2_PLAN, True),
        ("music", V1_PLAN, False),
        ("music", V2_PLAN, True),
        ("music_v1", {}, False),
        ("music_v2", {"chunks": None}, False),
    ],
)
def test_kind_of_plan_must_fit_the_model(model: str, plan: dict[str, Any], *, fits: bool) -> None:
    if fits:
        assert sent(translate({"composition_plan": plan}, model=model))["composition_plan"] == plan
    else:
        assert refused({"composition_plan": plan}, model=model) == (
            "validation_error",
            "invalid",
            "elevenlabs.composition_plan",
        )


def test_refusal_of_a_plan_names_the_models_that_take_it() -> None:
    with pytest.raises(RequestError, match=r"sections, which is for music_v1 \(set elevenlabs\.model_id\)$"):
        translate({"composition_plan": V1_PLAN})


def test_model_id_decides_which_plan_is_valid() -> None:
    block = {"composition_plan": V1_PLAN, "model_id": "music_v1"}
    assert sent(translate(block, model="music_v2"))["model_id"] == "music_v1"


def test_unknown_model_takes_any_plan() -> None:
    for plan in (V1_PLAN, V2_PLAN):
        assert sent(translate({"composition_plan": plan, "model_id": "music_v9"}))["composition_plan"] == plan


def test_plan_under_its_old_name_is_sent() -> None:
    assert sent(translate({"music_prompt": V1_PLAN}, model="music_v1")) == {
        "music_prompt": V1_PLAN,
        "model_id": "music_v1",
    }
    assert refused({"music_prompt": V1_PLAN}, model="music_v2")[2] == "elevenlabs.music_prompt"


def test_plan_beyond_a_limit_is_refused_with_the_path() -> None:
    chunk = {**V2_PLAN["chunks"][0], "duration_ms": 2999}
    block = {"composition_plan": {"chunks": [V2_PLAN["chunks"][0], chunk]}}
    assert refused(block) == (
        "validation_error",
        "invalid",
        "elevenlabs.composition_plan.chunks.1.duration_ms",
    )


@pytest.mark.parametrize(
    ("block", "duration_s", "length_ms"),
    [
        ({}, 3, 3_000),
        ({}, 600, 600_000),
        ({"music_length_ms": 3_000}, None, 3_000),
        ({"music_length_ms": 600_000}, None, 600_000),
        ({"music_length_ms": 30_000}, 30, 30_000),
    ],
)
def test_length_is_sent_in_milliseconds(
    block: dict[str, Any], duration_s: int | None, length_ms: int
) -> None:
    translation = translate(block, prompt="x", duration_s=duration_s)
    assert sent(translation)["music_length_ms"] == length_ms
    assert reported(translation) == []


def test_length_of_the_block_beats_the_duration_with_a_warning() -> None:
    translation = translate({"music_length_ms": 12_345}, prompt="x", duration_s=30)
    assert sent(translation)["music_length_ms"] == 12_345
    assert reported(translation) == [("changed", "duration")]


@pytest.mark.parametrize(
    ("block", "duration_s", "path"),
    [
        ({}, 2, "duration"),
        ({}, 601, "duration"),
        ({"music_length_ms": 2_999}, None, "elevenlabs.music_length_ms"),
        ({"music_length_ms": 600_001}, 30, "elevenlabs.music_length_ms"),
    ],
)
def test_length_out_of_range_is_refused(block: dict[str, Any], duration_s: int | None, path: str) -> None:
    assert refused(block, prompt="x", duration_s=duration_s) == ("validation_error", "invalid", path)


def test_length_beside_a_plan_is_reported_or_refused() -> None:
    block = {"composition_plan": V2_PLAN}
    translation = translate(block, duration_s=30)
    assert "music_length_ms" not in sent(translation)
    assert reported(translation) == [("not_applied", "duration")]
    assert refused({**block, "music_length_ms": 30_000}) == (
        "validation_error",
        "invalid",
        "elevenlabs.music_length_ms",
    )


@pytest.mark.parametrize("symbol", ["x", "é", "🎷"])
def test_prompt_may_have_4100_characters(symbol: str) -> None:
    assert sent(translate(prompt=symbol * 4100))["prompt"] == symbol * 4100
    assert refused(prompt=symbol * 4101) == ("validation_error", "invalid", "prompt")
    assert refused({"prompt": symbol * 4101}, prompt="x")[2] == "elevenlabs.prompt"


def test_neutral_fields_are_appended_to_the_prompt_and_reported() -> None:
    translation = translate(
        prompt="Warm jazz trio", style="swing", negative_style="drums", lyrics="One\nTwo", vocal_gender="f"
    )
    assert sent(translation)["prompt"] == (
        "Warm jazz trio\n\nStyle: swing\n\nVocals: female lead vocals\n\nAvoid: drums\n\nLyrics:\nOne\nTwo"
    )
    assert reported(translation) == [
        ("changed", "style"),
        ("changed", "vocal_gender"),
        ("changed", "negative_style"),
        ("changed", "lyrics"),
    ]


@pytest.mark.parametrize(
    ("fields", "prompt"),
    [
        ({"style": "swing"}, "Style: swing"),
        ({"lyrics": "One"}, "Lyrics:\nOne"),
        ({"style": " ", "lyrics": "One", "vocal_gender": "m"}, "Vocals: male lead vocals\n\nLyrics:\nOne"),
    ],
)
def test_style_or_lyrics_alone_make_a_prompt(fields: dict[str, Any], prompt: str) -> None:
    assert sent(translate(**fields))["prompt"] == prompt


def test_neutral_field_that_does_not_fit_the_prompt_is_refused() -> None:
    assert sent(translate(prompt="x" * 2000, lyrics="y" * 2090))["prompt"][-1] == "y"
    assert refused(prompt="x" * 2000, lyrics="y" * 2091) == ("validation_error", "invalid", "lyrics")
    assert refused(style="s" * 4100)[2] == "style"


@pytest.mark.parametrize(
    ("block", "neutral", "force"),
    [
        ({}, None, None),
        ({}, True, True),
        ({}, False, False),
        ({"force_instrumental": False}, True, False),
        ({"force_instrumental": True}, False, True),
    ],
)
def test_instrumental_of_the_block_beats_the_neutral_one(
    block: dict[str, Any], neutral: bool | None, force: bool | None
) -> None:
    body = sent(translate(block, prompt="x", instrumental=neutral))
    assert body.get("force_instrumental") is force
    assert ("force_instrumental" in body) == (force is not None)


def test_instrumental_has_neither_lyrics_nor_a_voice() -> None:
    translation = translate(prompt="x", instrumental=True, lyrics="One", vocal_gender="m", style="swing")
    assert sent(translation)["prompt"] == "x\n\nStyle: swing"
    assert reported(translation) == [
        ("changed", "style"),
        ("not_applied", "vocal_gender"),
        ("not_applied", "lyrics"),
    ]


def test_neutral_fields_beside_a_plan_are_reported() -> None:
    translation = translate(
        {"composition_plan": V2_PLAN},
        style="a", lyrics="b", negative_style="c", vocal_gender="m", instrumental=False, title="T", seed=7,
    )  # fmt: skip
    assert sent(translation) == {"composition_plan": V2_PLAN, "model_id": "music_v2", "seed": 7}
    assert reported(translation) == [
        ("not_applied", "style"),
        ("not_applied", "vocal_gender"),
        ("not_applied", "negative_style"),
        ("not_applied", "lyrics"),
        ("not_applied", "instrumental"),
        ("not_applied", "title"),
    ]


def test_force_instrumental_beside_a_plan_is_refused() -> None:
    block = {"composition_plan": V2_PLAN}
    assert refused({**block, "force_instrumental": True})[2] == "elevenlabs.force_instrumental"
    assert sent(translate({**block, "force_instrumental": False}))["force_instrumental"] is False


def test_title_is_reported() -> None:
    translation = translate(prompt="x", title="Night Train")
    assert "Night Train" not in translation.request.body.decode()
    assert reported(translation) == [("not_applied", "title")]


@pytest.mark.parametrize(
    ("block", "neutral", "seed"),
    [
        ({}, 0, 0),
        ({}, 2_147_483_647, 2_147_483_647),
        ({"seed": 0}, 5, 0),
        ({"seed": None}, 5, 5),
    ],
)
def test_seed_is_sent_beside_a_prompt(block: dict[str, Any], neutral: int, seed: object) -> None:
    assert sent(translate(block, prompt="x", seed=neutral))["seed"] == seed


def test_unlisted_model_has_the_same_limits() -> None:
    assert refused({"model_id": "music_v9"}, prompt="x", seed=-1)[2] == "seed"
    assert sent(translate({"model_id": "music_v9"}, prompt="x", title="T"))["model_id"] == "music_v9"


def test_seed_out_of_range_is_refused() -> None:
    assert refused(prompt="x", seed=-1) == ("validation_error", "invalid", "seed")
    assert refused(prompt="x", seed=2_147_483_648)[2] == "seed"
    assert refused({"seed": 2_147_483_648}, prompt="x")[2] == "elevenlabs.seed"
    assert refused({"seed": "x"}, prompt="x", seed=5)[2] == "elevenlabs.seed"


@pytest.mark.parametrize("block", [{}, {"composition_plan": V2_PLAN}, {"with_timestamps": True}])
def test_enable_logging_is_a_query_parameter(block: dict[str, Any]) -> None:
    prompt = None if "composition_plan" in block else "x"
    translation = translate({**block, "enable_logging": False}, prompt=prompt)
    assert urlsplit(translation.request.url).query == "enable_logging=false"
    assert "enable_logging" not in sent(translation)
    on = translate({"enable_logging": True, "output_format": "mp3_44100_64"}, prompt="x")
    assert urlsplit(on.request.url).query == "output_format=mp3_44100_64&enable_logging=true"


def test_enable_logging_that_is_no_boolean_is_refused() -> None:
    assert refused({"enable_logging": "no"}, prompt="x")[2] == "elevenlabs.enable_logging"


@pytest.mark.parametrize(
    ("block", "neutral", "query"),
    [
        ({}, None, ""),
        ({}, "mp3", "output_format=mp3_44100_128"),
        ({}, "wav", "output_format=pcm_44100"),
        ({}, "ogg", "output_format=opus_48000_128"),
        ({"output_format": "mp3_48000_320"}, None, "output_format=mp3_48000_320"),
        ({"output_format": "mp3_48000_320"}, "mp3", "output_format=mp3_48000_320"),
        ({"output_format": " "}, "ogg", "output_format=opus_48000_128"),
        ({"output_format": "a&b=c"}, None, "output_format=a%26b%3Dc"),
    ],
)
def test_output_format_is_sent_in_the_query(block: dict[str, Any], neutral: str | None, query: str) -> None:
    translation = translate(block, prompt="x", format=neutral)
    assert urlsplit(translation.request.url).query == query
    assert "output_format" not in sent(translation)
    assert reported(translation) == []


def test_aac_is_refused_unless_the_block_has_an_output_format() -> None:
    with pytest.raises(UnsupportedOptionError) as caught:
        translate(prompt="x", format="aac")
    assert caught.value.path == ("format",)
    translation = translate({"output_format": "mp3_44100_64"}, prompt="x", format="aac")
    assert reported(translation) == [("not_applied", "format")]


@pytest.mark.parametrize("output_format", ["pcm_24000", "ulaw_8000", "alaw_8000"])
def test_headerless_output_format_is_reported_as_wav(output_format: str) -> None:
    translation = translate({"output_format": output_format}, prompt="x")
    assert reported(translation) == [("changed", "elevenlabs.output_format")]
    assert reported(translate({"output_format": output_format}, prompt="x", format="ogg")) == [
        ("not_applied", "format"),
        ("changed", "elevenlabs.output_format"),
    ]


@pytest.mark.parametrize(
    ("block", "path", "body"),
    [
        ({"with_timestamps": True}, "/v1/music/detailed", {"with_timestamps": True}),
        ({"with_timestamps": False}, "/v1/music", {}),
        ({"with_waveform_visual": True}, "/v1/music/detailed", {"with_waveform_visual": True}),
        (
            {"with_waveform_visual": True, "with_timestamps": False},
            "/v1/music/detailed",
            {"with_waveform_visual": True, "with_timestamps": False},
        ),
    ],
)
def test_timestamps_and_waveform_choose_the_route(
    block: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    translation = translate(block, prompt="x")
    assert urlsplit(translation.request.url).path == path
    assert sent(translation) == {"prompt": "x", "model_id": "music_v2", **body}


def test_other_options_of_the_block_are_sent_unchanged() -> None:
    block = {
        "store_for_inpainting": False,
        "sign_with_c2pa": True,
        "finetune_id": "f",
        "finetune_strength": 0,
        "respect_sections_durations": False,
        "lyrics_text": "la",
        "generation_mode": None,
        "whatever": [{"a": 1}],
    }
    assert sent(translate(block, prompt="x")) == {"prompt": "x", "model_id": "music_v2", **block}


@pytest.mark.parametrize(("block", "neutral"), [({}, "wav"), ({"output_format": "opus_48000_64"}, None)])
def test_signature_is_refused_for_anything_but_mp3(block: dict[str, Any], neutral: str | None) -> None:
    assert refused({**block, "sign_with_c2pa": True}, prompt="x", format=neutral) == (
        "validation_error",
        "invalid",
        "elevenlabs.sign_with_c2pa",
    )
    assert (
        sent(translate({**block, "sign_with_c2pa": False}, prompt="x", format=neutral))["sign_with_c2pa"]
        is False
    )


def test_metadata_webhook_and_debug_options_are_not_sent() -> None:
    translation = translate(
        prompt="x",
        metadata={"label": "mine"},
        webhook_url="https://example.com/hook",
        echo_upstream_request=True,
    )
    assert sent(translation) == {"prompt": "x", "model_id": "music_v2"}
    assert "callbacks" not in translation.request.body.decode() + translation.request.url
