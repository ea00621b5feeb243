"""What callers send wrong: every violation by path and code, and nothing reaches a vendor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATE = "/v1/music/generate"
GOOD: dict[str, Any] = {"model": "suno/v5", "prompt": "rain"}

#: Section 3.4 of the contract, row by row, and what stands near it: body, then (path, code) of every issue in order.
ISSUES: list[tuple[object, list[tuple[list[str | int], str]]]] = [
    ({"prompt": "x"}, [(["model"], "invalid_type")]),
    ({**GOOD, "model": 5}, [(["model"], "invalid_type")]),
    ({**GOOD, "model": None}, [(["model"], "invalid_type")]),
    ({**GOOD, "model": ""}, [(["model"], "too_small")]),
    ({**GOOD, "prompt": None}, [(["prompt"], "invalid_type")]),
    ({**GOOD, "duration": 0}, [(["duration"], "too_small")]),
    ({**GOOD, "duration": -3}, [(["duration"], "too_small")]),
    ({**GOOD, "duration": 8.5}, [(["duration"], "invalid_type")]),
    ({**GOOD, "duration": "8"}, [(["duration"], "invalid_type")]),
    ({**GOOD, "duration": True}, [(["duration"], "invalid_type")]),
    ({**GOOD, "format": "flac"}, [(["format"], "invalid_enum_value")]),
    ({**GOOD, "provider": "suno"}, [(["provider"], "invalid_type")]),
    ({**GOOD, "provider": {"only": "suno"}}, [(["provider", "only"], "invalid_type")]),
    ({**GOOD, "provider": {"only": ["suno", 3]}}, [(["provider", "only", 1], "invalid_type")]),
    ({**GOOD, "provider": {"order": [None]}}, [(["provider", "order", 0], "invalid_type")]),
    ({**GOOD, "provider": {"ignore": {}}}, [(["provider", "ignore"], "invalid_type")]),
    ({**GOOD, "provider": {"include_alpha": 1}}, [(["provider", "include_alpha"], "invalid_type")]),
    ({**GOOD, "provider": {"allow_fallbacks": "no"}}, [(["provider", "allow_fallbacks"], "invalid_type")]),
    ({**GOOD, "suno": None}, [(["suno"], "invalid_type")]),
    ({**GOOD, "suno": {"customMode": "true"}}, [(["suno", "customMode"], "invalid_type")]),
    ({**GOOD, "suno": {"instrumental": 0}}, [(["suno", "instrumental"], "invalid_type")]),
    ({**GOOD, "suno": {"vocalGender": "x"}}, [(["suno", "vocalGender"], "invalid_enum_value")]),
    ({**GOOD, "suno": {"styleWeight": 1.01}}, [(["suno", "styleWeight"], "too_big")]),
    ({**GOOD, "suno": {"weirdnessConstraint": -0.01}}, [(["suno", "weirdnessConstraint"], "too_small")]),
    ({**GOOD, "suno": {"audioWeight": True}}, [(["suno", "audioWeight"], "invalid_type")]),
    ({**GOOD, "suno": {"callBackUrl": "nowhere"}}, [(["suno", "callBackUrl"], "invalid_string")]),
    ({**GOOD, "elevenlabs": {"music_length_ms": 0}}, [(["elevenlabs", "music_length_ms"], "too_small")]),
    (
        {**GOOD, "elevenlabs": {"composition_plan": []}},
        [(["elevenlabs", "composition_plan"], "invalid_type")],
    ),
    ({**GOOD, "minimax": {"lyrics": "x" * 3501}}, [(["minimax", "lyrics"], "too_big")]),
    ({**GOOD, "minimax": {"prompt": "x" * 2001}}, [(["minimax", "prompt"], "too_big")]),
    ({**GOOD, "minimax": {"tempo": 90}}, [(["minimax", "tempo"], "unrecognized_keys")]),
    (
        {**GOOD, "minimax": {"audio_setting": {"sample_rate": 8000}}},
        [(["minimax", "audio_setting", "sample_rate"], "invalid_enum_value")],
    ),
    ({**GOOD, "echo_upstream_request": "yes"}, [(["echo_upstream_request"], "invalid_type")]),
    ({**GOOD, "debug": {"trace_level": "loud"}}, [(["debug", "trace_level"], "invalid_enum_value")]),
    ({**GOOD, "debug": []}, [(["debug"], "invalid_type")]),
    ({**GOOD, "seed": -1}, [(["seed"], "too_small")]),
    ({**GOOD, "vocal_gender": "female"}, [(["vocal_gender"], "invalid_enum_value")]),
    ({**GOOD, "metadata": {"n": 1}}, [(["metadata", "n"], "invalid_type")]),
    ([GOOD], [([], "invalid_type")]),
    ("text", [([], "invalid_type")]),
    (7, [([], "invalid_type")]),
    (
        {
            "debug": {"trace": "x"},
            "echo_upstream_request": 1,
            "minimax": [],
            "elevenlabs": 1,
            "suno": [],
            "provider": [],
            "format": "x",
            "duration": "x",
            "prompt": 1,
        },
        [
            (["model"], "invalid_type"),
            (["prompt"], "invalid_type"),
            (["duration"], "invalid_type"),
            (["format"], "invalid_enum_value"),
            (["provider"], "invalid_type"),
            (["suno"], "invalid_type"),
            (["elevenlabs"], "invalid_type"),
            (["minimax"], "invalid_type"),
            (["echo_upstream_request"], "invalid_type"),
            (["debug", "trace"], "invalid_type"),
        ],
    ),
]


@pytest.mark.parametrize("path", [GENERATE, "/v1/music/plan"])
@pytest.mark.parametrize(("body", "issues"), ISSUES)
async def test_every_violation_is_named_by_path_and_code(
    house: House, path: str, body: object, issues: list[tuple[list[str | int], str]]
) -> None:
    with house.watch() as seen:
        reply = await house.call("POST", path, body=body)
    assert (reply.status, reply.body["error"]) == (400, "validation_error")
    assert [(issue["path"], issue["code"]) for issue in reply.body["details"]] == issues
    assert all(issue["keyword"] in issue["params"] for issue in reply.body["details"])
    first = reply.body["details"][0]
    dotted = ".".join(map(str, first["path"]))
    assert reply.body["description"] == (f"{first['message']} at {dotted}" if dotted else first["message"])
    assert seen.creates == []


async def test_null_as_the_whole_body_is_a_violation(house: House) -> None:
    reply = await house.call("POST", GENERATE, data=b"null")
    assert [(issue["path"], issue["code"]) for issue in reply.body["details"]] == [([], "invalid_type")]


@pytest.mark.parametrize("value", ["8.0", "8e0", "80e-1"])
async def test_a_whole_number_with_a_zero_fraction_is_an_integer(house: House, value: str) -> None:
    body = b'{"model": "suno/v5", "prompt": "rain", "duration": ' + value.encode() + b"}"
    assert (await house.call("POST", GENERATE, data=body)).status == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"model": "suno/v5"',
        b"model=suno%2Fv5&prompt=rain",
        b'{"model": "suno/v5", "prompt": "rain", "duration": NaN}',
        b'{"model": "suno/v5", "prompt": "rain", "duration": Infinity}',
        b'{"model": "suno/v5", "prompt": "rain", "duration": -Infinity}',
        b'{"model": "suno/v5", "prompt": "\xff"}',
        b"{'model': 'suno/v5'}",
        b"[" * 100_000,
        b'{"model": "suno/v5"} {}',
    ],
    ids=lambda raw: repr(raw[:30]),
)
@pytest.mark.parametrize("path", [GENERATE, "/v1/music/generations", "/v1/music/plan"])
async def test_a_body_that_is_no_json_is_told_so(house: House, path: str, raw: bytes) -> None:
    with house.watch() as seen:
        reply = await house.call("POST", path, data=raw)
    assert (reply.status, reply.body["error"]) == (400, "invalid_json")
    assert reply.body["description"].startswith("the body is not JSON")
    assert seen.creates == []


HOSTILE_NUMBERS = [b"1e999", b"-1e999", b"1" * 5000, b"1e400"]


@pytest.mark.parametrize("number", HOSTILE_NUMBERS, ids=lambda number: repr(number[:8]))
@pytest.mark.parametrize(
    "place", [b'"duration": %s', b'"suno": {"styleWeight": %s}', b'"seed": %s', b'"suno": {"mine": %s}']
)
async def test_numbers_beyond_all_bounds_are_the_callers_error_or_pass(
    house: House, place: bytes, number: bytes
) -> None:
    raw = b'{"model": "suno/v5", "prompt": "rain", ' + place % number + b"}"
    reply = await house.call("POST", GENERATE, data=raw)
    assert reply.status in {200, 400}, reply.raw


@pytest.mark.parametrize("text", ["\\ud83c", "\\udfff\\ud800", "\\u0000", "\\ud83c\\udfb5 rain"])
@pytest.mark.parametrize("field", ["prompt", "title", "model", "lyrics"])
async def test_odd_characters_are_the_callers_error_or_pass(house: House, field: str, text: str) -> None:
    fields = {"model": '"suno/v5"', "prompt": '"rain"', field: f'"{text}"'}
    raw = "{" + ", ".join(f'"{name}": {value}' for name, value in fields.items()) + "}"
    reply = await house.call("POST", GENERATE, data=raw.encode())
    assert reply.status in {200, 400}, reply.raw


async def test_an_oversized_body_is_refused_with_413(open_house: OpenHouse) -> None:
    async with open_house(server={"max_body_bytes": 2000}) as small:
        for path in (GENERATE, "/v1/music/plan"):
            reply = await small.call("POST", path, body={**GOOD, "prompt": "x" * 3000})
            assert (reply.status, reply.body["error"]) == (413, "payload_too_large")
            assert "max_body_bytes" in reply.body["description"]
        assert (await small.create(GOOD)).status == 200


async def test_an_unknown_model_says_where_to_look(house: House) -> None:
    reply = await house.create({"model": "nobody/knows", "prompt": "x"})
    assert (reply.status, reply.body["error"]) == (400, "unsupported_model_or_endpoint")
    assert "nobody/knows" in reply.body["description"]
    assert "/v1/music/models" in reply.body["description"]


async def test_unknown_top_level_keys_are_ignored_and_reported(house: House) -> None:
    with house.watch("suno_kie") as seen:
        reply = await house.create({**GOOD, "tempo": 90, "provider": {"only": ["suno_kie"], "zdr": True}})
    assert reply.status == 200
    unknown = [warning for warning in reply.body["warnings"] if warning["code"] == "unknown_key"]
    assert [warning["path"] for warning in unknown] == [["tempo"]]
    assert "tempo" not in seen.body


async def test_a_megabyte_of_unknown_keys_costs_nobody_anything(house: House) -> None:
    many = {f"k{number}": 1 for number in range(70_000)}
    reply = await house.create({**GOOD, **many}, **{"Idempotency-Key": "many-keys"})
    again = await house.create({**many, **GOOD}, **{"Idempotency-Key": "many-keys"})
    other = await house.create({**GOOD, **many, "k69999": 2}, **{"Idempotency-Key": "many-keys"})
    assert [answer.status for answer in (reply, again, other)] == [200, 200, 422]
    assert again.body["id"] == reply.body["id"]
    assert [warning["path"] for warning in reply.body["warnings"]][48:51] == [["k48"], ["k49"], []]
    assert reply.body["warnings"][50]["message"].startswith("and 69,950 more")
    assert len(reply.raw) < 20_000


async def test_a_body_of_too_many_values_is_refused(house: House) -> None:
    reply = await house.create({**GOOD, "x": [[]] * 100_000})
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        400,
        "validation_error",
        "too_many_values",
    )


@pytest.mark.parametrize(
    "prefer", ["handling=strict", 'respond-async, handling="strict"', "handling = strict; x=y"]
)
async def test_unknown_keys_are_an_error_in_strict_mode(house: House, prefer: str) -> None:
    with house.watch() as seen:
        reply = await house.create({**GOOD, "tempo": 90}, Prefer=prefer)
    assert (reply.status, reply.body["error"]) == (400, "validation_error")
    assert [(issue["path"], issue["code"]) for issue in reply.body["details"]] == [
        (["tempo"], "unrecognized_keys")
    ]
    assert seen.creates == []


PLAN: dict[str, Any] = {"chunks": [{"text": "[Verse]", "duration_ms": 5000, "positive_styles": ["jazz"]}]}
#: Options that contradict each other: body, and the option that the answer names.
CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    (
        {"model": "elevenlabs/music", "elevenlabs": {"composition_plan": PLAN, "music_length_ms": 9000}},
        "elevenlabs.music_length_ms",
    ),
    (
        {"model": "elevenlabs/music", "elevenlabs": {"composition_plan": PLAN, "force_instrumental": True}},
        "elevenlabs.force_instrumental",
    ),
    (
        {"model": "elevenlabs/music", "prompt": "x", "format": "wav", "elevenlabs": {"sign_with_c2pa": True}},
        "elevenlabs.sign_with_c2pa",
    ),
    ({"model": "elevenlabs/music", "prompt": "x", "format": "aac"}, "format"),
    ({"model": "elevenlabs/music", "prompt": "x", "duration": 2}, "duration"),
    (
        {
            "model": "minimax/music-2.6",
            "prompt": "x",
            "minimax": {"is_instrumental": True, "lyrics_optimizer": True},
        },
        "minimax.lyrics_optimizer",
    ),
    (
        {"model": "minimax/music-2.6", "prompt": "x", "minimax": {"audio_url": "https://example.com/a.mp3"}},
        "minimax.audio_url",
    ),
]


@pytest.mark.parametrize(("wish", "option"), CONTRADICTIONS, ids=[option for _, option in CONTRADICTIONS])
async def test_contradictory_options_are_refused_by_name(
    house: House, wish: dict[str, Any], option: str
) -> None:
    with house.watch() as seen:
        reply = await house.create(wish)
    assert reply.status == 400
    assert option in reply.body["description"]
    assert seen.creates == []


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("PUT", GENERATE, 405, "not_supported"),
        ("DELETE", "/v1/music/plan", 405, "not_supported"),
        ("POST", "/v1/music/models", 405, "not_supported"),
        ("GET", "/v1/schemas/nothing", 404, "not_found"),
        ("POST", "/v1/callbacks/music_x/token", 404, "not_found"),
    ],
)
async def test_what_is_not_there_is_told_in_the_same_envelope(
    house: House, method: str, path: str, status: int, error: str
) -> None:
    reply = await house.call(method, path)
    assert (reply.status, reply.body["error"]) == (status, error)
    if status == 405:
        assert reply.headers["Allow"]
