"""The create call: what reaches the vendor, what is refused before any call, and in which order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.running_server import JOBS, MODELS, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

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
LYRICS = "[Verse]\nRow on, row on"
NEUTRAL: dict[str, Any] = {
    "prompt": "a river at dawn",
    "lyrics": LYRICS,
    "style": "indie folk",
    "title": "Row On",
    "negative_style": "metal",
    "instrumental": False,
    "vocal_gender": "f",
    "seed": 42,
    "duration": 30,
    "format": "wav",
}


async def test_the_documented_example_reaches_the_vendor_as_five_keys(server: RunningServer) -> None:
    with server.vendor_calls() as calls:
        reply = await server.create(EXAMPLE)
    job = reply.body
    assert reply.status == 200
    assert job["object"] == "music"
    assert job["status"] in {"queued", "in_progress"}
    assert (job["provider"], job["provider_plugin"], job["model"]) == ("suno", "suno_kie", "V4_5PLUS")
    assert job["nativeResponseId"] == server.vendors["suno_kie"].books.creates[-1] != job["id"]
    assert job["usage"]["requests"] == 1
    assert [request.url.rpartition("/api")[2] for request in calls.creates] == ["/v1/generate"]
    sent = calls.body
    callback = sent.pop("callBackUrl")
    assert sent == {
        "model": "V4_5PLUS",
        "customMode": False,
        "instrumental": False,
        "prompt": "Warm jazz trio with brushed drums",
    }
    assert re.fullmatch(rf"{server.url}/v1/callbacks/{job['id']}/[\w-]{{32,}}", callback)
    final = await server.finish(job["id"])
    assert final["status"] == "completed"
    assert final["usage"]["output_audio_count"] == 2


async def test_jobs_are_created_and_read_under_both_paths(server: RunningServer) -> None:
    for base in (JOBS, "/v1/music/generations"):
        created = await server.call("POST", base, body=song())
        assert created.status == 200
        for path in (JOBS, "/v1/music/generations"):
            read = await server.call("GET", f"{path}/{created.body['id']}")
            assert (read.status, read.body["id"]) == (200, created.body["id"])


#: Plugin, what the vendor is sent of `NEUTRAL` without the callback URL, fields not applied, fields changed.
TRANSLATIONS: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    (
        "suno_kie",
        {
            "model": "V5",
            "customMode": True,
            "instrumental": False,
            "prompt": LYRICS,
            "style": "indie folk",
            "title": "Row On",
            "negativeTags": "metal",
            "vocalGender": "f",
        },
        {"prompt", "duration", "seed"},
        set(),
    ),
    (
        "apiin_one",
        {
            "model": "suno-v5-0",
            "prompt": LYRICS,
            "style": "indie folk, a river at dawn",
            "title": "Row On",
            "tags": "metal",
            "make_instrumental": False,
        },
        {"vocal_gender", "duration", "seed"},
        {"prompt"},
    ),
    (
        "elevenlabs",
        {
            "model_id": "music_v2",
            "prompt": "a river at dawn\n\nStyle: indie folk\n\nVocals: female lead vocals\n\nAvoid: metal\n\n"
            f"Lyrics:\n{LYRICS}",
            "music_length_ms": 30000,
            "force_instrumental": False,
            "seed": 42,
        },
        {"title"},
        {"style", "vocal_gender", "negative_style", "lyrics"},
    ),
    (
        "minimax",
        {
            "model": "music-2.6",
            "prompt": "a river at dawn. Style: indie folk. Vocals: female. Avoid: metal",
            "lyrics": LYRICS,
            "audio_setting": {"sample_rate": 44100, "bitrate": 256000, "format": "wav"},
            "output_format": "hex",
        },
        {"title", "seed", "duration"},
        {"style", "vocal_gender", "negative_style"},
    ),
]


@pytest.mark.parametrize(
    ("plugin", "sent", "not_applied", "changed"), TRANSLATIONS, ids=[row[0] for row in TRANSLATIONS]
)
async def test_every_neutral_field_is_sent_to_the_vendor_or_reported(
    server: RunningServer, plugin: str, sent: dict[str, Any], not_applied: set[str], changed: set[str]
) -> None:
    request = {**NEUTRAL, "model": MODELS[plugin], "provider": {"only": [plugin]}}
    with server.vendor_calls(plugin) as calls:
        reply = await server.create({**request, "metadata": {"project": "kept to ourselves"}})
    assert reply.status == 200, reply.raw
    native = {key: value for key, value in calls.body.items() if key not in {"callBackUrl", "callback_url"}}
    assert native == sent
    reported: dict[str, set[str]] = {"not_applied": set(), "changed": set()}
    for warning in reply.body["warnings"]:
        reported[warning["code"]].add(".".join(warning["path"]))
        assert warning["provider_plugin"] == plugin
        assert warning["message"]
    assert reported == {"not_applied": not_applied, "changed": changed}
    if plugin == "elevenlabs":
        assert calls.creates[0].url.endswith("/v1/music?output_format=pcm_44100")
    final = await server.finish(reply.body["id"])
    assert final["status"] == "completed"
    kept = [warning for warning in final["warnings"] if warning["path"] != ["format"]]
    assert kept == reply.body["warnings"]
    assert {track["audio"]["format"] for track in final["output"]} == {"wav"}
    assert final["metadata"] == {"project": "kept to ourselves"}


async def test_strict_handling_turns_a_warning_into_a_refusal(server: RunningServer) -> None:
    request = song("elevenlabs", title="Row On")
    with server.vendor_calls() as calls:
        refused = await server.create(request, Prefer="handling=strict")
    assert refused.error == (400, "not_supported", "unsupported_option")
    assert refused.body["description"].startswith("title:")
    assert calls.creates == []
    lenient = await server.create(request)
    assert [warning["path"] for warning in lenient.body["warnings"]] == [["title"]]


async def test_strict_handling_chooses_the_provider_that_can_apply_every_field(server: RunningServer) -> None:
    fields = {"lyrics": LYRICS, "style": "folk", "title": "Row", "vocal_gender": "f"}
    request = {"model": "suno/v5", **fields, "provider": {"order": ["apiin_one"]}}
    reply = await server.create(request, Prefer="handling=strict")
    assert (reply.status, reply.body["provider_plugin"]) == (200, "suno_kie")
    assert "warnings" not in reply.body


async def test_options_of_a_vendors_block_beat_the_neutral_fields(server: RunningServer) -> None:
    suno = {
        "customMode": True,
        "negativeTags": "own",
        "model": "V4_5ALL",
        "callBackUrl": "https://example.com/mine",
    }
    with server.vendor_calls("suno_kie") as calls:
        reply = await server.create({**song(), **NEUTRAL, "suno": suno})
    assert reply.body["model"] == "V4_5ALL"
    assert {key: calls.body[key] for key in suno} == suno


#: Request, error code, reason.
REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"model": "suno/v5"}, "validation_error", "prompt_required_when_custom_mode_disabled"),
    ({"model": "elevenlabs/music"}, "validation_error", "prompt_or_composition_plan_required"),
    (
        song("minimax", minimax={"stream": True}),
        "not_supported",
        "minimax_music_streaming_not_supported_by_gateway",
    ),
    (song("apiin_one", suno={"personaId": "p"}), "not_supported", "unsupported_option"),
]


@pytest.mark.parametrize(("request_body", "error", "reason"), REFUSED, ids=[str(row[2]) for row in REFUSED])
async def test_a_request_that_breaks_a_rule_of_the_vendor_is_refused_before_any_call(
    server: RunningServer, request_body: dict[str, Any], error: str, reason: str
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.create(request_body)
    assert reply.error == (400, error, reason)
    assert reply.body["error_type"] == "user"
    assert reply.headers["X-Gateway-Error-Attribution"] == "user"
    assert (calls.creates, calls.billed) == ([], 0)


BROKEN_SUNO = {"suno": {"customMode": True}}
ORDER: list[tuple[str, dict[str, Any], int, str]] = [
    ("the key before the JSON", {"data": b"{", "key": None}, 401, "unauthorised"),
    ("the JSON before the schema", {"data": b'{"model": 3'}, 400, "invalid_json"),
    ("the schema before a blank model", {"body": {"model": " ", "duration": 0}}, 400, "validation_error"),
    ("a blank model before an unknown one", {"body": {"model": " ", **BROKEN_SUNO}}, 400, "model_required"),
    (
        "an unknown model before the vendor's rules",
        {"body": {"model": "x/y", **BROKEN_SUNO}},
        400,
        "unsupported_model_or_endpoint",
    ),
    (
        "the routing lists before the vendor's rules",
        {"body": {"model": "suno/v5", "provider": {"only": ["minimax"]}, **BROKEN_SUNO}},
        400,
        "unsupported_model_or_endpoint",
    ),
    ("the vendor's rules last", {"body": {"model": "suno/v5", **BROKEN_SUNO}}, 400, "validation_error"),
]


@pytest.mark.parametrize(
    ("call", "status", "error"), [row[1:] for row in ORDER], ids=[row[0] for row in ORDER]
)
async def test_checks_run_in_the_documented_order(
    server: RunningServer, call: dict[str, Any], status: int, error: str
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.call("POST", JOBS, **call)
    assert (reply.status, reply.body["error"]) == (status, error)
    assert calls.creates == []


async def test_the_vendors_rules_are_checked_before_the_missing_key(open_server: OpenServer) -> None:
    without_key = {"suno_kie": {"api_key": None}, "apiin_one": {"api_key": None}}
    async with open_server(providers=without_key) as server:
        reply = await server.create({"model": "suno/v5", **BROKEN_SUNO})
    assert reply.body["reason"] == "style_and_title_required_when_custom_mode_enabled"


async def test_a_request_without_a_known_price_is_refused_where_prices_are_required(
    open_server: OpenServer,
) -> None:
    async with open_server(server={"pricing_required": True}) as server:
        with server.vendor_calls() as calls:
            reply = await server.create(song("apiin_one"))
    assert reply.error == (402, "pricing_not_configured", "no_provider_pricing")
    assert calls.creates == []
