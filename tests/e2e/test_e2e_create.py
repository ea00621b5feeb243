"""The create call as the contract documents it: what reaches the vendor, what is refused before, and in which order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXAMPLE: dict[str, Any] = {
    "model": "suno/v4.5plus",
    "prompt": "Warm jazz trio with brushed drums",
    "duration": 8,
    "format": "mp3",
    "provider": {"only": ["suno"], "require_parameters": True, "sort": "price"},
    "suno": {"customMode": False, "instrumental": False},
    "elevenlabs": {"force_instrumental": True},
    "echo_upstream_request": False,
    "debug": {"enabled": False, "trace": True, "trace_level": "summary"},
    "meta": True,
}
IDEA: dict[str, Any] = {"model": "suno/v5", "prompt": "rain", "provider": {"only": ["suno_kie"]}}
CUSTOM: dict[str, Any] = {"customMode": True, "style": "jazz", "title": "Blue"}


async def test_the_documented_example_reaches_the_vendor_as_exactly_five_keys(house: House) -> None:
    with house.watch() as seen:
        reply = await house.create(EXAMPLE)
    job = reply.body
    assert reply.status == 200
    assert job["object"] == "music"
    assert job["status"] in {"queued", "in_progress"}
    assert (job["provider"], job["provider_plugin"], job["model"]) == ("suno", "suno_kie", "V4_5PLUS")
    assert job["nativeResponseId"] == house.vendors["suno_kie"].books.creates[-1]
    assert job["usage"]["requests"] == 1
    assert [request.url.rpartition("/api")[2] for request in seen.creates] == ["/v1/generate"]
    sent = seen.body
    callback = sent.pop("callBackUrl")
    assert sent == {
        "model": "V4_5PLUS",
        "customMode": False,
        "instrumental": False,
        "prompt": "Warm jazz trio with brushed drums",
    }
    assert re.fullmatch(rf"{house.url}/v1/callbacks/{job['id']}/[\w-]{{32,}}", callback)
    final = await house.finish(job["id"])
    assert final["status"] == "completed"
    assert final["usage"]["output_audio_count"] == 2


@pytest.mark.parametrize("base", ["/v1/music/generate", "/v1/music/generations"])
async def test_both_paths_create_and_both_read(house: House, base: str) -> None:
    created = await house.call("POST", base, body=IDEA)
    assert created.status == 200
    for path in ("/v1/music/generate", "/v1/music/generations"):
        read = await house.call("GET", f"{path}/{created.body['id']}")
        assert (read.status, read.body["id"]) == (200, created.body["id"])


@pytest.mark.parametrize(
    "extra",
    [
        {"uploadUrl": "https://example.com/a.mp3", "deep": {"list": [1, None, {"x": False}]}},
        {"styleWeight": 0, "weirdnessConstraint": 1, "audioWeight": 0.005},
        {"styleWeight": 1, "weirdnessConstraint": 0, "audioWeight": 0.0},
        {"negativeTags": "", "vocalGender": "f", "personaId": "p1", "personaModel": "voice_persona"},
    ],
)
async def test_suno_options_reach_the_vendor_as_they_are(house: House, extra: dict[str, Any]) -> None:
    wish = {**IDEA, "suno": {**CUSTOM, "instrumental": True, **extra}}
    with house.watch("suno_kie") as seen:
        reply = await house.create(wish)
    assert reply.status == 200
    assert {key: seen.body.get(key, "absent") for key in extra} == extra


@pytest.mark.parametrize(
    ("suno", "prompt", "sent"),
    [
        ({"prompt": "own"}, "outer", "own"),
        ({"prompt": "  "}, "outer", "outer"),
        ({"prompt": ""}, "outer", "outer"),
        ({}, "outer", "outer"),
    ],
)
async def test_a_blank_suno_prompt_does_not_hide_the_good_one(
    house: House, suno: dict[str, Any], prompt: str, sent: str
) -> None:
    with house.watch("suno_kie") as seen:
        await house.create({**IDEA, "prompt": prompt, "suno": suno})
    assert seen.body["prompt"] == sent


async def test_the_callers_own_callback_url_is_passed_on(house: House) -> None:
    with house.watch("suno_kie") as seen:
        await house.create({**IDEA, "suno": {"callBackUrl": "https://example.com/mine"}})
    assert seen.body["callBackUrl"] == "https://example.com/mine"


@pytest.mark.parametrize(
    ("asked", "native"),
    [
        ("suno/v4", "V4"),
        ("suno/suno-v4", "V4"),
        ("SUNO/V4.5", "V4_5"),
        ("suno/suno-v4.5", "V4_5"),
        ("suno/v4.5plus", "V4_5PLUS"),
        ("suno/v4.5+", "V4_5PLUS"),
        ("suno/suno-v4.5+", "V4_5PLUS"),
        ("suno/v4.5all", "V4_5ALL"),
        ("suno/v4.5-all", "V4_5ALL"),
        ("suno/suno-v4.5-all", "V4_5ALL"),
        ("suno/v5", "V5"),
        ("suno/suno-v5", "V5"),
        ("V4_5PLUS", "V4_5PLUS"),
        ("suno/V4_5PLUS", "V4_5PLUS"),
        (" suno/v5:nitro ", "V5"),
        ("elevenlabs/music", "music_v2"),
        ("eleven-labs/music", "music_v2"),
        ("elevenlabs/music_v1", "music_v1"),
        ("eleven-labs/music_v2", "music_v2"),
        ("elevenlabs/music_v2_5", "music_v2_5"),
        ("minimax/music-1.5", "music-1.5"),
        ("minimax/music-2.6", "music-2.6"),
        ("minimax/music-3.0", "music-3.0"),
    ],
)
async def test_public_model_names_become_the_vendors(house: House, asked: str, native: str) -> None:
    plan = await house.call(
        "POST",
        "/v1/music/plan",
        body={"model": asked, "prompt": "a long rain over the sea", "lyrics": "la la la"},
    )
    assert plan.status == 200, plan.raw
    assert plan.body["candidates"][0]["native_model"] == native


@pytest.mark.parametrize(
    ("wish", "winner"),
    [
        ({**IDEA, "suno": {"model": "V4_5ALL"}}, "V4_5ALL"),
        (
            {"model": "elevenlabs/music_v1", "prompt": "x", "elevenlabs": {"model_id": "music_v2_5"}},
            "music_v2_5",
        ),
    ],
)
async def test_the_blocks_model_beats_the_map_and_is_shown(
    house: House, wish: dict[str, Any], winner: str
) -> None:
    with house.watch() as seen:
        reply = await house.create(wish)
    assert reply.body["model"] == winner
    assert seen.body.get("model", seen.body.get("model_id")) == winner


ELEVEN: dict[str, Any] = {"model": "elevenlabs/music"}
MINIMAX: dict[str, Any] = {"model": "minimax/music-2.6"}
PLAN: dict[str, Any] = {"chunks": [{"text": "[Verse]", "duration_ms": 5000, "positive_styles": ["jazz"]}]}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"model": "suno/v5"}, "validation_error", "prompt_required_when_custom_mode_disabled"),
    ({"model": "suno/v5", "prompt": " \n"}, "validation_error", "prompt_required_when_custom_mode_disabled"),
    (
        {"model": "suno/v5", "prompt": "", "suno": {"prompt": " ", "customMode": False}},
        "validation_error",
        "prompt_required_when_custom_mode_disabled",
    ),
    (
        {"model": "suno/v5", "prompt": "x", "suno": {"customMode": True, "style": "jazz", "title": " "}},
        "validation_error",
        "style_and_title_required_when_custom_mode_enabled",
    ),
    (
        {"model": "suno/v5", "suno": {"customMode": True, "title": "t"}},
        "validation_error",
        "style_and_title_required_when_custom_mode_enabled",
    ),
    (
        {"model": "suno/v5", "suno": {"customMode": True, "style": "s", "title": "t", "instrumental": False}},
        "validation_error",
        "prompt_required_for_lyric_mode_when_custom_mode_enabled",
    ),
    (
        {**MINIMAX, "prompt": "x", "minimax": {"is_instrumental": False}},
        "validation_error",
        "lyrics_required_for_non_instrumental_minimax_music",
    ),
    ({**MINIMAX, "prompt": "x" * 2001}, "validation_error", "invalid_minimax_music_prompt"),
    (
        {**MINIMAX, "prompt": " ", "minimax": {"is_instrumental": True}},
        "validation_error",
        "invalid_minimax_music_prompt",
    ),
    (
        {"model": "minimax/music-cover", "prompt": "a sad piano cover of it"},
        "validation_error",
        "invalid_minimax_music_cover_request",
    ),
    (
        {
            "model": "minimax/music-cover",
            "prompt": "short",
            "minimax": {"audio_url": "https://example.com/a.mp3"},
        },
        "validation_error",
        "invalid_minimax_music_cover_request",
    ),
    (
        {**MINIMAX, "prompt": "x", "minimax": {"stream": True}},
        "not_supported",
        "minimax_music_streaming_not_supported_by_gateway",
    ),
    (
        {**MINIMAX, "prompt": "x", "format": "ogg"},
        "validation_error",
        "unsupported_minimax_music_audio_format",
    ),
    (
        {**MINIMAX, "prompt": "x", "format": "aac"},
        "validation_error",
        "unsupported_minimax_music_audio_format",
    ),
    (ELEVEN, "validation_error", "prompt_or_composition_plan_required"),
    ({**ELEVEN, "prompt": "  "}, "validation_error", "prompt_or_composition_plan_required"),
    (
        {**ELEVEN, "prompt": "x", "elevenlabs": {"composition_plan": PLAN}},
        "validation_error",
        "prompt_and_composition_plan_exclusive",
    ),
]


@pytest.mark.parametrize(
    ("wish", "error", "reason"), BAD, ids=[f"{reason}-{n}" for n, (_, _, reason) in enumerate(BAD)]
)
async def test_a_broken_rule_of_the_vendor_is_told_before_any_call(
    house: House, wish: dict[str, Any], error: str, reason: str
) -> None:
    with house.watch() as seen:
        reply = await house.create(wish)
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (400, error, reason)
    assert reply.body["error_type"] == "user"
    assert reply.headers["X-Gateway-Error-Attribution"] == "user"
    assert (seen.creates, seen.billed) == ([], 0)


async def test_an_instrumental_in_custom_mode_needs_no_prompt(house: House) -> None:
    with house.watch() as seen:
        reply = await house.create({**IDEA, "prompt": "", "suno": {**CUSTOM, "instrumental": True}})
    assert reply.status == 200
    assert not seen.body.get("prompt")


@pytest.mark.parametrize(
    ("path", "suno"),
    [
        ("suno.personaId", {"personaId": "p"}),
        ("suno.vocalGender", {"vocalGender": "m"}),
        ("suno.styleWeight", {"styleWeight": 0}),
    ],
)
async def test_an_option_that_the_only_candidate_cannot_be_told_is_refused_by_name(
    house: House, path: str, suno: dict[str, Any]
) -> None:
    with house.watch() as seen:
        reply = await house.create({**IDEA, "provider": {"only": ["apiin_one"]}, "suno": suno})
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        400,
        "not_supported",
        "unsupported_option",
    )
    assert path in reply.body["description"]
    assert seen.creates == []


BROKEN_SUNO = {"suno": {"customMode": True}}
ORDER: list[tuple[str, dict[str, Any], int, str]] = [
    ("no key before broken JSON", {"data": b"{", "key": None}, 401, "unauthorised"),
    ("JSON before the schema", {"data": b'{"model": 3'}, 400, "invalid_json"),
    ("schema before the blank model", {"body": {"model": " ", "duration": 0}}, 400, "validation_error"),
    ("blank model before the unknown model", {"body": {"model": " ", **BROKEN_SUNO}}, 400, "model_required"),
    (
        "unknown model before Suno's rules",
        {"body": {"model": "x/y", **BROKEN_SUNO}},
        400,
        "unsupported_model_or_endpoint",
    ),
    (
        "routing filter before Suno's rules",
        {"body": {"model": "suno/v5", "provider": {"only": ["minimax"]}, **BROKEN_SUNO}},
        400,
        "unsupported_model_or_endpoint",
    ),
    ("Suno's rules last", {"body": {"model": "suno/v5", **BROKEN_SUNO}}, 400, "validation_error"),
]


@pytest.mark.parametrize(
    ("call", "status", "error"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER]
)
async def test_the_first_check_that_fails_answers(
    house: House, call: dict[str, Any], status: int, error: str
) -> None:
    with house.watch() as seen:
        reply = await house.call("POST", "/v1/music/generate", **call)
    assert (reply.status, reply.body["error"]) == (status, error)
    assert seen.creates == []


async def test_an_unknown_model_and_an_empty_filter_are_told_apart(house: House) -> None:
    unknown = await house.create({"model": "x/y", "prompt": "x"})
    filtered = await house.create({"model": "suno/v5", "prompt": "x", "provider": {"only": ["minimax"]}})
    assert "reason" not in unknown.body
    assert filtered.body["reason"] == "no_provider_matches"


async def test_the_rules_come_before_the_missing_key(open_house: Any) -> None:
    async with open_house(tables={"suno_kie": {"api_key": None}, "apiin_one": {"api_key": None}}) as bare:
        reply = await bare.create({"model": "suno/v5", **BROKEN_SUNO})
    assert reply.body["reason"] == "style_and_title_required_when_custom_mode_enabled"


async def test_prices_can_be_made_compulsory(open_house: Any) -> None:
    async with open_house(server={"pricing_required": True}) as strict:
        with strict.watch() as seen:
            unpriced = await strict.create(
                {"model": "suno/v5", "prompt": "x", "provider": {"only": ["apiin_one"]}}
            )
            priced = await strict.create(IDEA)
    assert (unpriced.status, unpriced.body["error"], unpriced.body["reason"]) == (
        402,
        "pricing_not_configured",
        "no_provider_pricing",
    )
    assert priced.status == 200
    assert len(seen.creates) == 1


async def test_vendor_ids_are_ours_and_safe_in_a_path(house: House) -> None:
    created = (await house.create(IDEA)).body
    assert re.fullmatch(r"[A-Za-z0-9_-]+", created["id"])
    assert created["id"] != created["nativeResponseId"]
    assert json.dumps(created).count(created["id"]) >= 1
