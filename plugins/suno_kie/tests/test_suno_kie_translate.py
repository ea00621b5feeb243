"""Each option is sent, reported or refused, in both dialects and both modes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import musicgate_suno_kie
from musicgate.errors import RequestError
from musicgate.model import MusicRequest, ProviderSettings
from musicgate.plugin.hooks import Translation
from musicgate.testing.rehearsal import Rehearsal
from musicgate_suno_kie.declaration import PROVIDER

PLUGIN = Rehearsal("suno_kie", musicgate_suno_kie).plugin
PLACEHOLDER = "https://example.com/musicgate/no-receiver"
CUSTOM: dict[str, Any] = {"customMode": True, "prompt": "[Verse]\nla", "style": "jazz", "title": "Rain"}


def translate(
    model: str = "suno/v4.5plus",
    *,
    suno: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    callback_url: str | None = None,
    **neutral: Any,
) -> Translation:
    settings = ProviderSettings(base_url="https://api.kie.ai", options=options or {})
    offer = next(offer for offer in PROVIDER.offers if offer.answers_to(model))
    request = MusicRequest(model=model, blocks={} if suno is None else {"suno": suno}, **neutral)
    return PLUGIN.translate(request, offer, settings, callback_url)


def sent(translation: Translation) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(translation.request.body)
    return body


def reported(translation: Translation) -> list[tuple[str, str]]:
    return [(warning.code.value, ".".join(map(str, warning.path))) for warning in translation.warnings]


def test_documented_example_is_translated_exactly() -> None:
    translation = translate(
        prompt="Warm jazz trio with brushed drums", suno={"customMode": False, "instrumental": False}
    )
    assert translation.request.method == "POST"
    assert translation.request.url == "https://api.kie.ai/api/v1/generate"
    assert translation.native_model == "V4_5PLUS"
    assert sent(translation) == {
        "prompt": "Warm jazz trio with brushed drums",
        "customMode": False,
        "instrumental": False,
        "model": "V4_5PLUS",
        "callBackUrl": PLACEHOLDER,
    }
    assert reported(translation) == []


def test_both_flags_are_sent_by_default() -> None:
    body = sent(translate(prompt="x"))
    assert (body["customMode"], body["instrumental"]) == (False, False)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("style", "blues"),
        ("title", "Other"),
        ("negativeTags", "metal"),
        ("vocalGender", "f"),
        ("styleWeight", 0),
        ("styleWeight", 1),
        ("weirdnessConstraint", 0),
        ("audioWeight", 0.65),
        ("personaId", "persona_123"),
        ("instrumental", True),
        ("duration", 0),
        ("imageUrls", ["https://example.com/a.png"]),
        ("brandNew", {"deep": [None, False, 0]}),
    ],
)
def test_block_option_is_sent_unchanged_in_custom_mode(key: str, value: object) -> None:
    translation = translate(suno={**CUSTOM, key: value})
    assert sent(translation)[key] == value
    assert type(sent(translation)[key]) is type(value)
    assert reported(translation) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("style", "blues"),
        ("title", "Other"),
        ("negativeTags", "metal"),
        ("vocalGender", "m"),
        ("styleWeight", 0),
        ("weirdnessConstraint", 1),
        ("audioWeight", 0.5),
        ("personaId", "persona_123"),
        ("personaModel", "style_persona"),
        ("duration", 20),
    ],
)
@pytest.mark.parametrize("mode", [{}, {"customMode": False}])
def test_block_option_that_idea_mode_ignores_is_sent_and_reported(
    key: str, value: object, mode: dict[str, Any]
) -> None:
    translation = translate(prompt="an idea", suno={**mode, key: value})
    assert sent(translation)[key] == value
    assert sent(translation)["customMode"] is False
    assert sent(translation)["prompt"] == "an idea"
    assert reported(translation) == [("not_applied", f"suno.{key}")]


def test_unknown_block_options_are_forwarded_in_idea_mode_without_a_warning() -> None:
    translation = translate(prompt="x", suno={"brandNew": 0, "imageUrls": ["https://example.com/a.png"]})
    assert sent(translation)["brandNew"] == 0
    assert reported(translation) == []


@pytest.mark.parametrize(
    ("suno", "own", "expected"),
    [
        ({"callBackUrl": "https://me.example/cb"}, "https://gate.example/cb", "https://me.example/cb"),
        ({"callBackUrl": " "}, "https://gate.example/cb", "https://gate.example/cb"),
        ({}, "https://gate.example/cb", "https://gate.example/cb"),
        ({}, None, PLACEHOLDER),
    ],
)
@pytest.mark.parametrize("model", ["suno/v5", "suno/v6"])
def test_callback_url_is_always_sent(
    suno: dict[str, Any], own: str | None, expected: str, model: str
) -> None:
    assert sent(translate(model, prompt="x", suno=suno, callback_url=own))["callBackUrl"] == expected


def test_model_in_the_block_beats_the_offer() -> None:
    translation = translate("suno/v4", prompt="x", suno={"model": "V5"})
    assert (translation.native_model, sent(translation)["model"]) == ("V5", "V5")


def test_blank_model_in_the_block_is_ignored() -> None:
    assert sent(translate("suno/v4", prompt="x", suno={"model": " "}))["model"] == "V4"


def test_v6_model_in_the_block_uses_the_market_dialect() -> None:
    assert translate("suno/v4", prompt="x", suno={"model": "V6_WILD"}).request.url.endswith(
        "/api/v1/jobs/createTask"
    )


@pytest.mark.parametrize(
    ("own", "neutral", "expected"),
    [
        ("own", "neutral", "own"),
        ("  ", "neutral", "neutral"),
        ("", "neutral", "neutral"),
        (None, "neutral", "neutral"),
    ],
)
def test_blank_block_prompt_does_not_hide_the_neutral_one(
    own: str | None, neutral: str, expected: str
) -> None:
    assert sent(translate(prompt=neutral, suno={} if own is None else {"prompt": own}))["prompt"] == expected


# --- the contract's error tokens ---


@pytest.mark.parametrize(
    ("suno", "neutral", "reason"),
    [
        ({}, {}, "prompt_required_when_custom_mode_disabled"),
        ({"customMode": False}, {"prompt": " \n"}, "prompt_required_when_custom_mode_disabled"),
        ({"prompt": ""}, {"prompt": ""}, "prompt_required_when_custom_mode_disabled"),
        ({"style": "jazz", "title": "t"}, {}, "prompt_required_when_custom_mode_disabled"),
        ({"customMode": False}, {"style": "jazz"}, "prompt_required_when_custom_mode_disabled"),
        ({"customMode": True}, {"prompt": "la"}, "style_and_title_required_when_custom_mode_enabled"),
        (
            {"customMode": True, "style": "jazz"},
            {"prompt": "la"},
            "style_and_title_required_when_custom_mode_enabled",
        ),
        (
            {"customMode": True, "style": "jazz", "title": " "},
            {"prompt": "la"},
            "style_and_title_required_when_custom_mode_enabled",
        ),
        ({"customMode": True, "title": "t"}, {}, "style_and_title_required_when_custom_mode_enabled"),
        (
            {"customMode": True, "style": "jazz", "title": "t"},
            {},
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        ),
        (
            {"customMode": True, "style": "jazz", "title": "t", "instrumental": False, "prompt": " "},
            {"prompt": ""},
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        ),
    ],
)
def test_missing_text_has_the_contracts_error_token(
    suno: dict[str, Any], neutral: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RequestError) as caught:
        translate(suno=suno, **neutral)
    assert (caught.value.code, caught.value.reason) == ("validation_error", reason)


def test_custom_instrumental_needs_no_prompt() -> None:
    translation = translate(suno={"customMode": True, "instrumental": True, "style": "jazz", "title": "Rain"})
    assert "prompt" not in sent(translation)
    assert reported(translation) == []


# --- lengths ---


@pytest.mark.parametrize(
    ("model", "suno", "field", "most"),
    [
        ("suno/v5", {}, "prompt", 500),
        ("suno/v6", {}, "prompt", 3000),
        ("suno/v4", CUSTOM, "prompt", 3000),
        ("suno/v5", CUSTOM, "prompt", 5000),
        ("suno/v4", CUSTOM, "style", 200),
        ("suno/v4.5", CUSTOM, "style", 1000),
        ("suno/v5", CUSTOM, "title", 80),
    ],
)
@pytest.mark.parametrize("unit", ["a", "é", "😀"])
def test_text_up_to_the_limit_passes_and_a_longer_one_is_refused(
    model: str, suno: dict[str, Any], field: str, most: int, unit: str
) -> None:
    fitting = unit * (most // (2 if unit == "😀" else 1))
    assert sent_song(translate(model, suno={**suno, field: fitting}))[field] == fitting
    with pytest.raises(RequestError) as caught:
        translate(model, suno={**suno, field: fitting + "a"})
    assert caught.value.reason == f"{field}_too_long"
    assert caught.value.path == ("suno", field)


def sent_song(translation: Translation) -> dict[str, Any]:
    body = sent(translation)
    song: dict[str, Any] = body.get("input", body)
    return song


def test_unknown_model_has_no_limits() -> None:
    assert sent(translate(suno={"model": "V3_5"}, prompt="a" * 600))["model"] == "V3_5"


# --- the neutral request ---


def test_lyrics_alone_choose_custom_mode() -> None:
    translation = translate(lyrics="[Verse 1]\n\nThe river keeps the time\nRow on")
    assert sent(translation) == {
        "prompt": "[Verse 1]\n\nThe river keeps the time\nRow on",
        "style": "whatever suits the lyrics",
        "title": "The river keeps the time",
        "customMode": True,
        "instrumental": False,
        "model": "V4_5PLUS",
        "callBackUrl": PLACEHOLDER,
    }
    assert reported(translation) == [("changed", "style"), ("changed", "title")]


def test_idea_beside_lyrics_becomes_the_style() -> None:
    translation = translate(lyrics="la", prompt="slow folk", title="Row")
    assert (sent(translation)["style"], sent(translation)["prompt"]) == ("slow folk", "la")
    assert reported(translation) == [("changed", "prompt")]


def test_idea_that_is_too_long_for_a_style_is_reported() -> None:
    translation = translate("suno/v4", lyrics="la", prompt="x" * 201, title="Row")
    assert sent(translation)["style"] == "whatever suits the lyrics"
    assert reported(translation) == [("changed", "style"), ("not_applied", "prompt")]


def test_idea_beside_lyrics_and_style_is_reported() -> None:
    translation = translate(lyrics="la", style="folk", title="Row", prompt="slow")
    assert sent(translation)["style"] == "folk"
    assert "slow" not in json.dumps(sent(translation))
    assert reported(translation) == [("not_applied", "prompt")]


def test_neutral_song_in_custom_mode_has_no_warnings() -> None:
    translation = translate(
        lyrics="la", style="folk", title="Row", negative_style="metal", vocal_gender="f", instrumental=False
    )
    body = sent(translation)
    assert (body["customMode"], body["negativeTags"], body["vocalGender"]) == (True, "metal", "f")
    assert reported(translation) == []


@pytest.mark.parametrize(
    ("lyrics", "title"),
    [
        ("[Verse]\n(hum)\n", "Untitled"),
        ("one two " * 20, ("one two " * 10).strip()),
        ("x" * 80, "x" * 80),
        ("x" * 81, "Untitled"),
        ("one " + "x" * 76, "one " + "x" * 76),
        ("  Hello   there ", "Hello there"),
    ],
)
def test_title_from_lyrics_fits_the_limit(lyrics: str, title: str) -> None:
    assert sent(translate(lyrics=lyrics, style="folk"))["title"] == title


def test_unknown_model_takes_a_style_of_any_length_and_a_title_of_80() -> None:
    translation = translate(suno={"model": "V9"}, prompt="x" * 2000, lyrics="word " * 30)
    assert sent(translation)["style"] == "x" * 2000
    assert sent(translation)["title"] == ("word " * 16).strip()


@pytest.mark.parametrize(
    ("block", "neutral"),
    [({"title": "Rain"}, {"style": "ambient"}), ({"style": "ambient"}, {"title": "Rain"})],
)
def test_one_neutral_field_is_enough_for_a_custom_instrumental(
    block: dict[str, Any], neutral: dict[str, Any]
) -> None:
    body = sent(translate(suno={**block, "instrumental": True}, **neutral))
    assert (body["customMode"], body["style"], body["title"]) == (True, "ambient", "Rain")


def test_lyrics_that_are_too_long_are_refused_with_their_own_path() -> None:
    with pytest.raises(RequestError) as caught:
        translate("suno/v4", lyrics="x" * 3001, style="folk", title="Row")
    assert (caught.value.reason, caught.value.path) == ("prompt_too_long", ("lyrics",))


def test_block_option_beats_the_neutral_field() -> None:
    translation = translate(
        suno={
            "style": "blues",
            "title": "B",
            "negativeTags": "pop",
            "vocalGender": "m",
            "instrumental": False,
        },
        lyrics="la",
        style="folk",
        title="A",
        negative_style="metal",
        vocal_gender="f",
        instrumental=True,
    )
    body = sent(translation)
    assert (body["style"], body["title"], body["negativeTags"], body["vocalGender"]) == (
        "blues",
        "B",
        "pop",
        "m",
    )
    assert body["instrumental"] is False


def test_blank_block_option_does_not_hide_the_neutral_field() -> None:
    assert (
        sent(translate(suno={"style": " ", "title": ""}, lyrics="la", style="folk", title="A"))["style"]
        == "folk"
    )


def test_instrumental_with_style_and_title_uses_custom_mode() -> None:
    translation = translate(style="ambient", title="Rain", instrumental=True)
    body = sent(translation)
    assert (body["customMode"], body["instrumental"], body["style"], body["title"]) == (
        True,
        True,
        "ambient",
        "Rain",
    )
    assert "prompt" not in body
    assert reported(translation) == []


def test_idea_of_a_custom_instrumental_is_sent_as_prompt_and_reported() -> None:
    translation = translate(style="ambient", title="Rain", instrumental=True, prompt="rain on a window")
    assert sent(translation)["prompt"] == "rain on a window"
    assert reported(translation) == [("changed", "prompt")]


def test_instrumental_with_style_and_title_in_the_block_only_uses_idea_mode() -> None:
    translation = translate(suno={"style": "ambient", "title": "Rain", "instrumental": True}, prompt="x")
    assert sent(translation)["customMode"] is False
    assert reported(translation) == [("not_applied", "suno.style"), ("not_applied", "suno.title")]


def test_neutral_fields_are_appended_to_the_prompt_in_idea_mode() -> None:
    translation = translate(
        prompt="rain", style="folk", title="Row", vocal_gender="f", negative_style="metal"
    )
    assert sent(translation) == {
        "prompt": "rain\nStyle: folk\nTitle: Row\nVocals: female\nAvoid: metal",
        "customMode": False,
        "instrumental": False,
        "model": "V4_5PLUS",
        "callBackUrl": PLACEHOLDER,
    }
    assert reported(translation) == [
        ("changed", "style"),
        ("changed", "title"),
        ("changed", "vocal_gender"),
        ("changed", "negative_style"),
    ]


def test_neutral_field_that_does_not_fit_is_reported_and_nothing_is_truncated() -> None:
    translation = translate(prompt="x" * 490, style="folk music", title="R")
    assert sent(translation)["prompt"] == "x" * 490 + "\nTitle: R"
    assert reported(translation) == [("not_applied", "style"), ("changed", "title")]


def test_style_alone_becomes_the_prompt() -> None:
    translation = translate(style="lofi", instrumental=True)
    assert (sent(translation)["prompt"], sent(translation)["customMode"]) == ("lofi", False)
    assert reported(translation) == [("changed", "style")]


def test_explicit_custom_mode_uses_neutral_texts() -> None:
    translation = translate(suno={"customMode": True}, lyrics="la", style="folk", title="Row", prompt="slow")
    body = sent(translation)
    assert (body["prompt"], body["style"], body["title"]) == ("la", "folk", "Row")
    assert reported(translation) == [("not_applied", "prompt")]


def test_explicit_idea_mode_reports_lyrics() -> None:
    translation = translate(suno={"customMode": False}, lyrics="la", prompt="rain")
    assert sent(translation)["prompt"] == "rain"
    assert reported(translation) == [("not_applied", "lyrics")]


@pytest.mark.parametrize("block", [{}, {"customMode": True, "style": "folk", "title": "Row"}])
def test_lyrics_and_voice_of_an_instrumental_are_reported(block: dict[str, Any]) -> None:
    translation = translate(
        suno={**block, "instrumental": True}, lyrics="la", prompt="rain", vocal_gender="f"
    )
    body = sent(translation)
    assert body["prompt"] == "rain"
    assert "vocalGender" not in body
    assert reported(translation) == [("not_applied", "lyrics"), ("not_applied", "vocal_gender")]


# --- duration, format, seed ---


@pytest.mark.parametrize(
    ("model", "options", "suno", "seconds", "is_sent"),
    [
        ("suno/v5.5", {}, CUSTOM, 10, True),
        ("suno/v5.5", {}, CUSTOM, 360, True),
        ("suno/v5.5", {}, CUSTOM, 9, False),
        ("suno/v5.5", {}, CUSTOM, 361, False),
        ("suno/v5.5", {}, {"prompt": "x"}, 30, False),
        ("suno/v5.5", {"dialect": "market"}, CUSTOM, 30, True),
        ("suno/v6", {}, CUSTOM, 30, True),
        ("suno/v6", {}, {"prompt": "x"}, 30, False),
        ("suno/v5", {}, CUSTOM, 30, False),
        ("suno/v4.5plus", {}, {"prompt": "x"}, 8, False),
    ],
)
def test_duration_is_sent_where_the_vendor_takes_it_and_reported_elsewhere(
    model: str, options: dict[str, Any], suno: dict[str, Any], seconds: int, *, is_sent: bool
) -> None:
    translation = translate(model, options=options, suno=suno, duration_s=seconds)
    assert sent_song(translation).get("duration") == (seconds if is_sent else None)
    assert reported(translation) == ([] if is_sent else [("not_applied", "duration")])


def test_duration_in_the_block_beats_the_neutral_one() -> None:
    translation = translate("suno/v5.5", suno={**CUSTOM, "duration": 60}, duration_s=30)
    assert sent(translation)["duration"] == 60
    assert reported(translation) == [("changed", "duration")]


@pytest.mark.parametrize(
    ("format_", "warnings"), [("mp3", []), ("wav", ["format"]), ("ogg", ["format"]), ("aac", ["format"])]
)
def test_format_other_than_mp3_is_reported(format_: str, warnings: list[str]) -> None:
    translation = translate(prompt="x", format=format_)
    assert reported(translation) == [("not_applied", name) for name in warnings]
    assert "format" not in sent(translation)


def test_seed_is_reported() -> None:
    assert reported(translate(prompt="x", seed=0)) == [("not_applied", "seed")]


# --- the market dialect ---


def test_market_dialect_uses_snake_case() -> None:
    translation = translate(
        "suno/v6-mini",
        suno={
            **CUSTOM,
            "instrumental": False,
            "negativeTags": "metal",
            "vocalGender": "f",
            "styleWeight": 0,
            "weirdnessConstraint": 1,
            "audioWeight": 0.5,
            "personaId": "p",
            "personaModel": "voice_persona",
            "brandNew": 1,
        },
        duration_s=20,
        callback_url="https://gate.example/cb",
    )
    assert translation.request.url == "https://api.kie.ai/api/v1/jobs/createTask"
    assert sent(translation) == {
        "model": "ai-music-api/generate",
        "callBackUrl": "https://gate.example/cb",
        "input": {
            "lyrics": "[Verse]\nla",
            "style": "jazz",
            "title": "Rain",
            "custom_mode": True,
            "instrumental": False,
            "model": "V6_MINI",
            "negative_tags": "metal",
            "vocal_gender": "f",
            "style_weight": 0,
            "weirdness_constraint": 1,
            "audio_weight": 0.5,
            "persona_id": "p",
            "persona_model": "voice_persona",
            "duration": 20,
            "brandNew": 1,
        },
    }


@pytest.mark.parametrize(
    ("key", "native"),
    [("imageUrls", "image_urls"), ("audioUrls", "audio_urls"), ("videoUrls", "video_urls")],
)
def test_market_dialect_spells_links_its_own_way(key: str, native: str) -> None:
    song = sent_song(translate("suno/v6", prompt="x", suno={key: ["https://example.com/a"]}))
    assert song[native] == ["https://example.com/a"]


def test_market_dialect_sends_variety() -> None:
    assert sent_song(translate("suno/v6", suno={**CUSTOM, "variety": 4}))["variety"] == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [("variety", 5), ("variety", 1.5), ("imageUrls", ["x"] * 6), ("videoUrls", ["x"] * 2), ("duration", 9)],
)
def test_option_that_the_vendor_would_refuse_is_refused_by_its_name(key: str, value: object) -> None:
    with pytest.raises(RequestError) as caught:
        translate("suno/v6", suno={**CUSTOM, key: value})
    assert caught.value.path == ("suno", key)


# --- weights and personas ---


@pytest.mark.parametrize("key", ["styleWeight", "weirdnessConstraint", "audioWeight"])
@pytest.mark.parametrize(
    ("weight", "rounded"), [(0.655, 0.66), (0.07, 0.07), (0.29, 0.29), (1, 1), (0.9999, 1.0)]
)
def test_weight_is_sent_in_steps_of_a_hundredth(key: str, weight: float, rounded: float) -> None:
    translation = translate(suno={**CUSTOM, key: weight})
    assert sent(translation)[key] == rounded
    assert reported(translation) == ([] if weight == rounded else [("changed", f"suno.{key}")])


@pytest.mark.parametrize("persona", [{}, {"personaId": " "}])
def test_kind_of_a_persona_without_a_persona_is_reported(persona: dict[str, str]) -> None:
    translation = translate("suno/v5", suno={**CUSTOM, **persona, "personaModel": "style_persona"})
    assert "personaModel" not in sent(translation)
    assert reported(translation) == [("not_applied", "suno.personaModel")]


@pytest.mark.parametrize(
    ("model", "kind", "is_sent"),
    [
        ("suno/v4", "style_persona", True),
        ("suno/v4.5", "voice_persona", False),
        ("suno/v5", "voice_persona", True),
        ("suno/v5.5", "voice_persona", True),
        ("suno/v6-mini", "voice_persona", True),
        ("suno/v5", "other", False),
    ],
)
def test_kind_of_a_persona_that_the_model_lacks_is_refused(model: str, kind: str, *, is_sent: bool) -> None:
    suno = {**CUSTOM, "personaId": "p", "personaModel": kind}
    if is_sent:
        assert kind in sent_song(translate(model, suno=suno)).values()
        return
    with pytest.raises(RequestError) as caught:
        translate(model, suno=suno)
    assert caught.value.path == ("suno", "personaModel")


@pytest.mark.parametrize(
    ("suno", "field"),
    [(CUSTOM, "lyrics"), ({"prompt": "[Verse]\nla"}, "prompt"), ({**CUSTOM, "instrumental": True}, "prompt")],
)
def test_words_of_a_custom_song_go_into_the_markets_lyrics(suno: dict[str, Any], field: str) -> None:
    song = sent_song(translate("suno/v6", suno=suno))
    assert {key: song[key] for key in ("prompt", "lyrics") if key in song} == {field: "[Verse]\nla"}
    older = sent_song(translate("suno/v6", suno=suno, options={"market_lyrics_field": "prompt"}))
    assert (older["prompt"], "lyrics" in older) == ("[Verse]\nla", False)


def test_markets_own_lyrics_in_the_block_are_sent_unchanged() -> None:
    song = sent_song(translate("suno/v6", suno={**CUSTOM, "lyrics": "own"}))
    assert (song["lyrics"], song["prompt"]) == ("own", "[Verse]\nla")


@pytest.mark.parametrize(
    ("model", "options", "idea", "is_sent"),
    [
        ("suno/v6", {}, "slow", True),
        ("suno/v6", {}, "x" * 3000, True),
        ("suno/v6", {}, "x" * 3001, False),
        ("suno/v6", {"market_lyrics_field": "prompt"}, "slow", False),
        ("suno/v5", {"dialect": "market"}, "slow", True),
        ("suno/v5", {}, "slow", False),
    ],
)
def test_idea_beside_lyrics_and_a_style_goes_into_the_markets_prompt(
    model: str, options: dict[str, Any], idea: str, *, is_sent: bool
) -> None:
    translation = translate(model, options=options, lyrics="la", style="folk", title="Row", prompt=idea)
    assert (sent_song(translation).get("prompt") == idea) is is_sent
    assert reported(translation) == [("changed" if is_sent else "not_applied", "prompt")]


# --- arbitrary requests ---

_TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=90))
_BLOCKS = st.fixed_dictionaries(
    {},
    optional={
        "customMode": st.booleans(),
        "instrumental": st.booleans(),
        "prompt": st.text(st.characters(exclude_categories=["Cs"]), max_size=90),
        "style": st.text(st.characters(exclude_categories=["Cs"]), max_size=90),
        "title": st.text(st.characters(exclude_categories=["Cs"]), max_size=90),
        "vocalGender": st.sampled_from(["m", "f"]),
        "styleWeight": st.floats(0, 1),
        "model": st.sampled_from(["V4", "V5_5", "V6", "V9", ""]),
        "other": st.one_of(st.none(), st.integers(), st.booleans()),
    },
)


@given(
    block=_BLOCKS,
    neutral=st.fixed_dictionaries(
        dict.fromkeys(("prompt", "lyrics", "style", "title", "negative_style"), _TEXTS)
        | {
            "instrumental": st.one_of(st.none(), st.booleans()),
            "duration_s": st.one_of(st.none(), st.integers(1, 999)),
        }
    ),
)
def test_every_neutral_text_is_sent_reported_or_refused(
    block: dict[str, Any], neutral: dict[str, Any]
) -> None:
    try:
        translation = translate(suno=block, **neutral)
    except RequestError as error:
        assert error.code == "validation_error"
        return
    song = json.dumps(sent_song(translation), ensure_ascii=False)
    paths = {path for _, path in reported(translation)}
    for name in ("prompt", "lyrics", "style", "title", "negative_style"):
        value, own = neutral[name], {"negative_style": "negativeTags"}.get(name, name)
        overridden = isinstance(block.get(own), str) and block[own].strip()
        sung_instead = name == "lyrics" and isinstance(block.get("prompt"), str) and block["prompt"].strip()
        if value and value.strip() and not overridden and not sung_instead:
            assert json.dumps(value, ensure_ascii=False)[1:-1] in song or name in paths
