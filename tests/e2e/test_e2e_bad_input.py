"""What callers send wrong: the answer names every violation, and nothing reaches a vendor.

The violations themselves are the subject of tests/test_request_schema.py, bodies that are not JSON that of
tests/test_request_json.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.running_server import JOBS, PLAN, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD: dict[str, Any] = {"model": "suno/v5", "prompt": "rain"}
#: Body, then path and code of every violation in order.
VIOLATIONS: list[tuple[object, list[tuple[list[str | int], str]]]] = [
    ({"prompt": "x"}, [(["model"], "invalid_type")]),
    ({**GOOD, "provider": {"only": ["suno", 3]}}, [(["provider", "only", 1], "invalid_type")]),
    ({**GOOD, "minimax": {"tempo": 90}}, [(["minimax", "tempo"], "unrecognized_keys")]),
    ([GOOD], [([], "invalid_type")]),
    (
        {"debug": {"trace": "x"}, "suno": {"styleWeight": 2}, "format": "x", "duration": 0},
        [
            (["model"], "invalid_type"),
            (["duration"], "too_small"),
            (["format"], "invalid_enum_value"),
            (["suno", "styleWeight"], "too_big"),
            (["debug", "trace"], "invalid_type"),
        ],
    ),
]


@pytest.mark.parametrize("path", [JOBS, PLAN])
@pytest.mark.parametrize(
    ("body", "violations"), VIOLATIONS, ids=["missing", "item", "key", "no object", "five"]
)
async def test_every_violation_is_named_by_path_and_code(
    server: RunningServer, path: str, body: object, violations: list[tuple[list[str | int], str]]
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.call("POST", path, body=body)
    assert (reply.status, reply.body["error"]) == (400, "validation_error")
    assert [(issue["path"], issue["code"]) for issue in reply.body["details"]] == violations
    assert all(issue["keyword"] in issue["params"] for issue in reply.body["details"])
    first = reply.body["details"][0]
    dotted = ".".join(map(str, first["path"]))
    assert reply.body["description"] == (f"{first['message']} at {dotted}" if dotted else first["message"])
    assert calls.creates == []


@pytest.mark.parametrize("path", [JOBS, "/v1/music/generations", PLAN])
@pytest.mark.parametrize("raw", [b"", b'{"model": "suno/v5", "seed": 1e999}', b'{"model": "\xff"}'])
async def test_a_body_that_is_not_json_is_refused(server: RunningServer, path: str, raw: bytes) -> None:
    with server.vendor_calls() as calls:
        reply = await server.call("POST", path, data=raw)
    assert (reply.status, reply.body["error"]) == (400, "invalid_json")
    assert reply.body["description"].startswith("the body is not JSON: ")
    assert calls.creates == []


@pytest.mark.parametrize("text", ["\\ud83c", "\\udfff\\ud800", "\\u0000", "\\ud83c\\udfb5 rain"])
async def test_no_odd_character_is_a_server_error(server: RunningServer, text: str) -> None:
    raw = f'{{"model": "suno/v5", "prompt": "{text}", "title": "{text}", "{text}": 1}}'
    reply = await server.call("POST", JOBS, data=raw.encode())
    assert reply.status in {200, 400}, reply.raw


async def test_a_body_above_the_limit_is_refused_with_413(open_server: OpenServer) -> None:
    async with open_server(server={"max_body_bytes": 2000}) as server:
        for path in (JOBS, PLAN):
            reply = await server.call("POST", path, body={**GOOD, "prompt": "x" * 3000})
            assert (reply.status, reply.body["error"]) == (413, "payload_too_large")
            assert "max_body_bytes" in reply.body["description"]
        assert (await server.create(GOOD)).status == 200


async def test_a_body_of_too_many_values_is_refused(server: RunningServer) -> None:
    reply = await server.create({**GOOD, "x": [[]] * 100_000})
    assert reply.error == (400, "validation_error", "too_many_values")


async def test_an_unknown_model_is_refused_with_the_route_that_lists_models(server: RunningServer) -> None:
    reply = await server.create({"model": "unknown/model", "prompt": "x"})
    assert reply.error == (400, "unsupported_model_or_endpoint", None)
    assert "unknown/model" in reply.body["description"]
    assert "/v1/music/models" in reply.body["description"]


async def test_unknown_keys_are_ignored_and_reported_and_refused_in_strict_mode(
    server: RunningServer,
) -> None:
    with server.vendor_calls("suno_kie") as calls:
        reply = await server.create({**song(), "tempo": 90})
    assert reply.status == 200
    unknown = [warning for warning in reply.body["warnings"] if warning["code"] == "unknown_key"]
    assert [warning["path"] for warning in unknown] == [["tempo"]]
    assert "tempo" not in calls.body
    for prefer in ("handling=strict", 'respond-async, handling="strict"', "handling = strict; x=y"):
        with server.vendor_calls() as calls:
            refused = await server.create({**song(), "tempo": 90}, Prefer=prefer)
        assert (refused.status, refused.body["error"]) == (400, "validation_error")
        issues = [(issue["path"], issue["code"]) for issue in refused.body["details"]]
        assert issues == [(["tempo"], "unrecognized_keys")]
        assert calls.creates == []


async def test_tens_of_thousands_of_unknown_keys_make_a_short_answer(server: RunningServer) -> None:
    many = {f"k{number}": 1 for number in range(70_000)}
    reply = await server.create({**GOOD, **many}, **{"Idempotency-Key": "many-keys"})
    again = await server.create({**many, **GOOD}, **{"Idempotency-Key": "many-keys"})
    other = await server.create({**GOOD, **many, "k69999": 2}, **{"Idempotency-Key": "many-keys"})
    assert [answer.status for answer in (reply, again, other)] == [200, 200, 422]
    assert again.body["id"] == reply.body["id"]
    assert [warning["path"] for warning in reply.body["warnings"]][48:51] == [["k48"], ["k49"], []]
    assert reply.body["warnings"][50]["message"].startswith("and 69,950 more")
    assert len(reply.raw) < 20_000


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("PUT", JOBS, 405, "not_supported"),
        ("GET", "/v1/schemas/nothing", 404, "not_found"),
        ("POST", "/v1/callbacks/music_x/token", 404, "not_found"),
    ],
)
async def test_an_unknown_path_or_method_has_the_envelope_of_every_error(
    server: RunningServer, method: str, path: str, status: int, error: str
) -> None:
    reply = await server.call(method, path)
    assert (reply.status, reply.body["error"]) == (status, error)
    assert "Allow" in reply.headers or status == 404
