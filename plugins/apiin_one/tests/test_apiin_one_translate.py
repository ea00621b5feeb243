"""Each option is sent, reported or refused, in both generations of the vendor's pages."""

import json
from typing import Any

import attrs
import pytest

import musicgate_apiin_one
from musicgate.errors import RequestError
from musicgate.model import (
    Ability,
    Job,
    MusicRequest,
)
from musicgate.planning import routing
from musicgate.plugin.hooks import Translation
from musicgate.testing.rehearsal import CALLBACK_URL, Rehearsal

A = Rehearsal("apiin_one", musicgate_apiin_one)
B = Rehearsal("apiin_one", musicgate_apiin_one, options={"doc_generation": "B"})
EMOJI = "\N{GUITAR}"

Fields = dict[str, Any]


def translate(
    rehearsal: Rehearsal = A, callback_url: str | None = None, model: str = "suno/v4.5", **fields: Any
) -> Translation:
    request = MusicRequest(model=model, **fields)
    offer = routing.find_offer(rehearsal.provider, model)
    assert offer is not None
    return rehearsal.plugin.translate(request, offer, rehearsal.settings, callback_url)


def sent(*args: Any, **fields: Any) -> Fields:
    body: Fields = json.loads(translate(*args, **fields).request.body)
    return body


def suno(rehearsal: Rehearsal = A, prompt: str | None = "an idea", **options: Any) -> Fields:
    return sent(rehearsal, prompt=prompt, blocks={"suno": options})


def reported(*args: Any, **fields: Any) -> list[tuple[str, str]]:
    warnings = translate(*args, **fields).warnings
    return [(warning.code.value, ".".join(map(str, warning.path))) for warning in warnings]


def refusal(rehearsal: Rehearsal = A, **fields: Any) -> tuple[str, str | None, str]:
    with pytest.raises(RequestError) as caught:
        translate(rehearsal, **fields)
    return caught.value.code, caught.value.reason, ".".join(map(str, caught.value.path))


CUSTOM: Fields = {"customMode": True, "style": "jazz", "title": "Blue", "prompt": "la la"}


def test_create_call_is_a_json_post_without_a_key() -> None:
    request = translate(prompt="an idea").request
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:1/api/v1/audio/music")
    assert request.headers == {"Content-Type": "application/json", "Accept": "application/json"}


def test_prompt_is_sent_in_inspiration_mode() -> None:
    assert sent(prompt="Warm jazz trio") == {
        "model": "suno-v4-5",
        "gpt_description_prompt": "Warm jazz trio",
        "make_instrumental": False,
    }


def test_custom_mode_sends_lyrics_style_title_and_tags() -> None:
    assert suno(**CUSTOM, negativeTags="drums", instrumental=True) == {
        "model": "suno-v4-5",
        "prompt": "la la",
        "style": "jazz",
        "title": "Blue",
        "tags": "drums",
        "make_instrumental": True,
    }


@pytest.mark.parametrize(
    ("model", "a", "b"),
    [
        ("suno/v3.5", "suno-v3-5", "chirp-v3-5"),
        ("suno/v4", "suno-v4-0", "chirp-v4-0"),
        ("suno/suno-v4", "suno-v4-0", "chirp-v4-0"),
        ("suno/v4.5", "suno-v4-5", "chirp-v4-5"),
        ("V4_5", "suno-v4-5", "chirp-v4-5"),
        ("suno/v4.5plus", None, "chirp-v4-5-plus"),
        ("suno/v4.5+", None, "chirp-v4-5-plus"),
        ("suno/V4_5PLUS", None, "chirp-v4-5-plus"),
        ("suno/v5", "suno-v5-0", "chirp-v5"),
        ("suno/v5.5", None, "chirp-v5-5"),
        ("suno/V4_5ALL", None, None),
        ("suno/V6", None, None),
        ("suno/chirp-v5", "chirp-v5", "chirp-v5"),
        ("suno/suno-v4-0-vip", "suno-v4-0-vip", "suno-v4-0-vip"),
        ("suno/suno-v4-0-pro", "suno-v4-0-pro", "suno-v4-0-pro"),
        ("apiin_one/chirp-v5-5", "chirp-v5-5", "chirp-v5-5"),
    ],
)
def test_model_has_the_native_name_of_the_generation_or_is_refused(
    model: str, a: str | None, b: str | None
) -> None:
    for rehearsal, native in ((A, a), (B, b)):
        if native is None:
            refused = refusal(rehearsal, model=model, prompt="x")
            assert refused == ("unsupported_model_or_endpoint", "unsupported_model_or_endpoint", "model")
        else:
            translation = translate(rehearsal, model=model, prompt="x")
            assert translation.native_model == native
            assert json.loads(translation.request.body)["model"] == native


@pytest.mark.parametrize(
    ("own", "native"),
    [("V5", "suno-v5-0"), (" chirp-v5-5 ", "chirp-v5-5"), ("suno/v4", "suno-v4-0"), ("", "suno-v4-5")],
)
def test_model_in_the_block_beats_the_offer(own: str, native: str) -> None:
    assert suno(model=own)["model"] == native


@pytest.mark.parametrize("own", ["V4_5PLUS", "V5_5", "V4_5ALL", "music-2.0"])
def test_block_model_that_the_generation_lacks_is_refused_with_its_path(own: str) -> None:
    refused = refusal(prompt="x", blocks={"suno": {"model": own}})
    assert refused == ("unsupported_model_or_endpoint", "unsupported_model_or_endpoint", "suno.model")


@pytest.mark.parametrize(
    ("fields", "token"),
    [
        ({}, "prompt_required_when_custom_mode_disabled"),
        ({"prompt": " "}, "prompt_required_when_custom_mode_disabled"),
        (
            {"style": "jazz", "blocks": {"suno": {"customMode": False}}},
            "prompt_required_when_custom_mode_disabled",
        ),
        ({"blocks": {"suno": {"style": "jazz"}}}, "prompt_required_when_custom_mode_disabled"),
        ({"lyrics": "la", "instrumental": True}, "prompt_required_when_custom_mode_disabled"),
        ({"blocks": {"suno": {"customMode": True}}}, "style_and_title_required_when_custom_mode_enabled"),
        (
            {"prompt": "x", "blocks": {"suno": {"customMode": True, "style": "x", "title": " "}}},
            "style_and_title_required_when_custom_mode_enabled",
        ),
        (
            {"prompt": "x", "blocks": {"suno": {"customMode": True, "title": "x"}}},
            "style_and_title_required_when_custom_mode_enabled",
        ),
        (
            {"blocks": {"suno": {"customMode": True, "style": "x", "title": "x"}}},
            "prompt_required_for_lyric_mode_when_custom_mode_enabled",
        ),
    ],
)
def test_missing_text_has_the_contracts_error_token(fields: Fields, token: str) -> None:
    assert refusal(**fields)[:2] == ("validation_error", token)


def test_blank_block_prompt_does_not_hide_the_neutral_one() -> None:
    assert suno(prompt="good", customMode=False)["gpt_description_prompt"] == "good"
    body = sent(prompt="good", blocks={"suno": {"prompt": "  "}})
    assert body["gpt_description_prompt"] == "good"


def test_block_prompt_beats_the_neutral_one() -> None:
    assert sent(prompt="neutral", blocks={"suno": {"prompt": "own"}})["gpt_description_prompt"] == "own"


def test_custom_instrumental_without_a_prompt_sends_the_placeholder() -> None:
    body = suno(prompt=None, customMode=True, instrumental=True, style="jazz", title="Blue")
    assert (body["prompt"], body["make_instrumental"]) == ("[Instrumental]", True)


@pytest.mark.parametrize(
    ("options", "native"),
    [
        ({"vocalGender": "m"}, {"gender": "male"}),
        ({"vocalGender": "f"}, {"gender": "female"}),
        ({"styleWeight": 0}, {"style_weight": 0}),
        ({"weirdnessConstraint": 1}, {"weirdness_constraint": 1}),
        ({"audioWeight": 0.5}, {"audio_weight": 0.5}),
    ],
)
def test_option_is_sent_in_generation_b_and_refused_in_a(options: Fields, native: Fields) -> None:
    assert native.items() <= suno(B, **options).items()
    path = f"suno.{next(iter(options))}"
    assert refusal(prompt="x", blocks={"suno": options}) == ("not_supported", "unsupported_option", path)


@pytest.mark.parametrize("option", ["personaId", "personaModel"])
def test_personas_are_refused(option: str) -> None:
    for rehearsal in (A, B):
        refused = refusal(rehearsal, prompt="x", blocks={"suno": {option: "p1"}})
        assert refused == ("not_supported", "unsupported_option", f"suno.{option}")
    blank: Fields = {option: " "}
    assert option not in suno(**blank)


def test_unknown_options_are_forwarded_unchanged() -> None:
    body = suno(mv="x", nothing=None, deep={"a": [1]}, gender="male")
    assert {"mv": "x", "nothing": None, "deep": {"a": [1]}, "gender": "male"}.items() <= body.items()


def test_known_options_are_never_forwarded_in_their_own_spelling() -> None:
    body = suno(
        B, **CUSTOM, callBackUrl="https://me.example/cb", vocalGender="f", styleWeight=0.1, model="V5"
    )
    assert set(body) == {
        *("model", "prompt", "style", "title", "make_instrumental", "callback_url", "gender", "style_weight"),
    }


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({**CUSTOM, "gpt_description_prompt": "x"}, "suno.gpt_description_prompt"),
        ({"gpt_description_prompt": "another"}, "suno.gpt_description_prompt"),
        ({"make_instrumental": True}, "suno.make_instrumental"),
        ({**CUSTOM, "negativeTags": "drums", "tags": "guitar"}, "suno.tags"),
    ],
)
def test_native_key_that_contradicts_the_options_is_refused(options: Fields, path: str) -> None:
    assert refusal(prompt="x", blocks={"suno": options}) == ("not_supported", "unsupported_option", path)


@pytest.mark.parametrize(
    ("own", "ours", "url"),
    [
        (None, None, None),
        (None, CALLBACK_URL, CALLBACK_URL),
        ("https://me.example/cb", CALLBACK_URL, "https://me.example/cb"),
    ],
)
def test_callback_url_of_the_block_beats_ours_and_none_is_needed(
    own: str | None, ours: str | None, url: str | None
) -> None:
    options = {"callBackUrl": own} if own else {}
    assert sent(A, ours, prompt="x", blocks={"suno": options}).get("callback_url") == url


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"duration_s": 60}, "duration"), ({"format": "wav"}, "format"), ({"seed": 0}, "seed")],
)
def test_option_without_a_native_field_is_reported(fields: Fields, path: str) -> None:
    assert reported(prompt="x", **fields) == [("not_applied", path)]
    assert set(sent(prompt="x", **fields)) == {"model", "gpt_description_prompt", "make_instrumental"}


def test_neutral_gender_is_sent_in_b_and_reported_in_a() -> None:
    assert sent(B, prompt="x", vocal_gender="f")["gender"] == "female"
    assert reported(B, prompt="x", vocal_gender="f") == []
    assert reported(A, prompt="x", vocal_gender="f") == [("not_applied", "vocal_gender")]
    assert reported(B, prompt="x", vocal_gender="f", instrumental=True) == [("not_applied", "vocal_gender")]
    assert suno(B, vocalGender="m", instrumental=True)["gender"] == "male"


@pytest.mark.parametrize(
    ("neutral", "own", "result"),
    [(True, None, True), (False, True, True), (True, False, False), (None, None, False)],
)
def test_instrumental_is_always_sent_and_the_block_wins(
    neutral: bool | None, own: bool | None, result: bool
) -> None:
    options = {} if own is None else {"instrumental": own}
    assert sent(prompt="x", instrumental=neutral, blocks={"suno": options})["make_instrumental"] is result


def test_neutral_lyrics_are_sent_as_prompt_and_the_idea_as_style() -> None:
    fields = {"prompt": "slow waltz", "lyrics": "la la"}
    assert sent(**fields) == {
        "model": "suno-v4-5",
        "prompt": "la la",
        "style": "slow waltz",
        "make_instrumental": False,
    }
    assert reported(**fields) == [("changed", "prompt")]


def test_idea_is_appended_to_a_neutral_style_beside_lyrics() -> None:
    fields = {"prompt": "slow", "lyrics": "la", "style": "jazz", "title": "Blue", "negative_style": "drums"}
    body = sent(**fields)
    assert [body[name] for name in ("prompt", "style", "title", "tags")] == [
        "la",
        "jazz, slow",
        "Blue",
        "drums",
    ]
    assert reported(**fields) == [("changed", "prompt")]


def test_neutral_lyrics_alone_send_no_style_and_no_title() -> None:
    assert sent(lyrics="la") == {"model": "suno-v4-5", "prompt": "la", "make_instrumental": False}
    assert reported(lyrics="la") == []


def test_idea_that_does_not_fit_into_the_style_is_reported_or_refused() -> None:
    idea = "x" * 1001
    assert reported(prompt=idea, lyrics="la") == [("not_applied", "prompt")]
    assert "style" not in sent(prompt=idea, lyrics="la")
    assert refusal(lyrics="la", blocks={"suno": {"prompt": idea}})[1:] == (
        "unsupported_option",
        "suno.prompt",
    )


def test_neutral_style_and_title_without_lyrics_are_appended_to_the_description() -> None:
    fields = {"prompt": "rain", "style": "jazz", "title": "Blue", "negative_style": "drums"}
    assert sent(**fields)["gpt_description_prompt"] == "rain\nStyle: jazz\nTitle: Blue\nAvoid: drums"
    assert reported(**fields) == [("changed", "style"), ("changed", "title"), ("changed", "negative_style")]


def test_neutral_style_too_long_for_a_description_needs_a_prompt() -> None:
    assert refusal(style="x" * 395)[1] == "prompt_required_when_custom_mode_disabled"


def test_neutral_style_alone_becomes_the_description() -> None:
    assert sent(style="jazz")["gpt_description_prompt"] == "Style: jazz"


def test_block_texts_are_appended_to_the_description_in_inspiration_mode() -> None:
    body = suno(prompt="rain", customMode=False, style="jazz", title="Blue", negativeTags="drums")
    assert body["gpt_description_prompt"] == "rain\nStyle: jazz\nTitle: Blue\nAvoid: drums"
    assert {"prompt", "style", "title", "tags"}.isdisjoint(body)


def test_text_that_does_not_fit_into_the_description_is_reported_or_refused() -> None:
    prompt = "x" * 390
    assert reported(prompt=prompt, style="jazzy") == [("not_applied", "style")]
    assert sent(prompt=prompt, style="jazzy")["gpt_description_prompt"] == prompt
    assert refusal(prompt=prompt, blocks={"suno": {"style": "jazzy"}})[1:] == (
        "unsupported_option",
        "suno.style",
    )


def test_neutral_instrumental_with_a_style_uses_custom_mode() -> None:
    fields = {"prompt": "rain", "style": "jazz", "title": "Blue", "instrumental": True}
    assert sent(**fields) == {
        "model": "suno-v4-5",
        "prompt": "[Instrumental]",
        "style": "jazz, rain",
        "title": "Blue",
        "make_instrumental": True,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"instrumental": True},
        {"instrumental": True, "style": "jazz"},
        {"blocks": {"suno": {"customMode": False}}},
        {"blocks": {"suno": {**CUSTOM, "instrumental": True}}},
    ],
)
def test_unused_lyrics_are_reported(fields: Fields) -> None:
    assert ("not_applied", "lyrics") in reported(prompt="x", lyrics="la", **fields)
    assert "la" not in sent(prompt="x", lyrics="la", **fields).values()


def test_explicit_custom_mode_uses_neutral_texts_that_the_block_lacks() -> None:
    fields = {"style": "jazz", "title": "Blue", "lyrics": "la", "blocks": {"suno": {"customMode": True}}}
    body = sent(prompt="slow", **fields)
    assert [body[name] for name in ("prompt", "style", "title")] == ["la", "jazz, slow", "Blue"]
    own = sent(prompt="slow", **{**fields, "blocks": {"suno": CUSTOM}})
    assert [own[name] for name in ("prompt", "style", "title")] == ["la la", "jazz", "Blue"]
    assert (
        sent(prompt="own lyrics", style="jazz", title="Blue", blocks={"suno": {"customMode": True}})["prompt"]
        == "own lyrics"
    )


@pytest.mark.parametrize(
    ("model", "option", "max_units", "token"),
    [
        ("suno/v4", "prompt", 5000, "prompt_too_long"),
        ("suno/v4.5", "prompt", 5000, "prompt_too_long"),
        ("suno/v3.5", "style", 200, "style_too_long"),
        ("suno/v4", "style", 200, "style_too_long"),
        ("suno/suno-v4-0-vip", "style", 200, "style_too_long"),
        ("suno/v4.5", "style", 1000, "style_too_long"),
        ("suno/v5", "style", 1000, "style_too_long"),
        ("suno/chirp-v9", "style", 1000, "style_too_long"),
        ("suno/v4", "title", 100, "title_too_long"),
    ],
)
def test_custom_text_is_limited_by_the_larger_of_the_vendors_numbers(
    model: str, option: str, max_units: int, token: str
) -> None:
    fits = {**CUSTOM, option: EMOJI * (max_units // 2)}
    assert sent(model=model, blocks={"suno": fits})[option] == EMOJI * (max_units // 2)
    too_long = {**CUSTOM, option: EMOJI * (max_units // 2) + "x"}
    refused = refusal(model=model, blocks={"suno": too_long})
    assert refused == ("validation_error", token, f"suno.{option}")


def test_description_is_limited_to_400_utf16_units() -> None:
    assert sent(prompt=EMOJI * 200)["gpt_description_prompt"] == EMOJI * 200
    assert refusal(prompt=EMOJI * 200 + "x") == ("validation_error", "prompt_too_long", "prompt")


def test_declaration_has_the_documented_values() -> None:
    declared = A.provider
    assert (declared.name, declared.plugin, declared.option_block) == ("suno", "apiin_one", "suno")
    assert (declared.key_env, declared.base_url_env) == ("APIIN_API_KEY", "APIIN_BASE_URL")
    assert declared.base_url == "https://apiin.one"
    assert declared.auth.value("test-key-not-real") == "Bearer test-key-not-real"
    assert (declared.poll.min_s, declared.poll.max_s, declared.deadline_s) == (6.0, 10.0, 900.0)
    assert (declared.timeouts.create_s, declared.timeouts.read_s) == (60.0, 30.0)
    assert A.settings.options == {"doc_generation": "A", "feed_parameter": "task_id"}
    assert [offer.model for offer in declared.offers] == [
        *("suno/v3.5", "suno/v4", "suno/v4.5", "suno/v4.5plus", "suno/v5", "suno/v5.5"),
    ]
    assert all(not offer.prices and offer.tracks == 2 for offer in declared.offers)
    assert Ability.VOCAL_GENDER not in declared.offers[0].abilities


@pytest.mark.parametrize(
    ("parameter", "query"),
    [
        ("task_id", "task_id=a%2Fb%20c"),
        ("workId", "workId=a%2Fb%20c"),
        ("both", "task_id=a%2Fb%20c&workId=a%2Fb%20c"),
    ],
)
def test_feed_is_read_with_the_configured_parameter(parameter: str, query: str) -> None:
    rehearsal = Rehearsal("apiin_one", musicgate_apiin_one, options={"feed_parameter": parameter})
    job = rehearsal.create(MusicRequest(model="suno/v4.5", prompt="x"))
    request = musicgate_apiin_one.poll_request(job=_renamed(job, "a/b c"), settings=rehearsal.settings)
    assert request is not None
    assert (request.method, request.url) == ("GET", f"http://127.0.0.1:1/api/v1/audio/music/feed?{query}")
    assert rehearsal.plugin.cancel(job, rehearsal.settings) is None


def _renamed(job: Job, native_id: str) -> Job:
    assert job.attempt is not None
    return attrs.evolve(job, attempts=(attrs.evolve(job.attempt, native_id=native_id),))
