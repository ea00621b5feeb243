"""Echo and debug: every combination of the switches, always the real body as an object, no secret in any of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House

pytestmark = pytest.mark.asyncio(loop_scope="module")

WISHES: dict[str, dict[str, Any]] = {
    "suno_kie": {"model": "suno/v5", "prompt": "rain", "provider": {"only": ["suno_kie"]}},
    "apiin_one": {"model": "suno/v5", "prompt": "rain", "provider": {"only": ["apiin_one"]}},
    "elevenlabs": {"model": "elevenlabs/music", "prompt": "rain"},
    "minimax": {"model": "minimax/music-2.6", "prompt": "rain"},
}
#: echo_upstream_request, debug -> is the request shown, is the response shown.
SWITCHES: list[tuple[bool | None, dict[str, Any] | None, bool, bool]] = [
    (None, None, False, False),
    (None, {}, False, False),
    (None, {"enabled": True}, False, False),
    (False, None, False, False),
    (True, None, True, False),
    (True, {}, True, False),
    (True, {"return_upstream_request": False}, False, False),
    (True, {"returnUpstreamRequest": False}, False, False),
    (False, {"return_upstream_request": True}, True, False),
    (None, {"return_upstream_request": True}, True, False),
    (None, {"returnUpstreamRequest": True}, True, False),
    (None, {"return_upstream_response": True}, False, True),
    (None, {"returnUpstreamResponse": True}, False, True),
    (True, {"return_upstream_response": True}, True, True),
    (True, {"return_upstream_request": False, "return_upstream_response": True}, False, True),
]


@pytest.mark.parametrize(("echo", "debug", "request_shown", "response_shown"), SWITCHES)
async def test_each_combination_shows_what_was_asked_for(
    house: House, echo: bool | None, debug: dict[str, Any] | None, request_shown: bool, response_shown: bool
) -> None:
    wish = dict(WISHES["suno_kie"])
    if echo is not None:
        wish["echo_upstream_request"] = echo
    if debug is not None:
        wish["debug"] = debug
    created = (await house.create(wish)).body
    final = await house.finish(created["id"])
    for answer in (created, final):
        assert ("upstream_request" in answer) == request_shown
        assert ("upstream_response" in answer) == response_shown
        assert "result" not in answer


@pytest.mark.parametrize("vendor", WISHES)
async def test_the_echo_is_the_real_body_as_an_object_without_secrets(house: House, vendor: str) -> None:
    debug = {
        "return_upstream_request": True,
        "return_upstream_response": True,
        "enabled": True,
        "trace": True,
    }
    with house.watch(vendor) as seen:
        created = (await house.create({**WISHES[vendor], "debug": debug, "meta": True})).body
        final = await house.finish(created["id"])
    sent = seen.body
    callback = next((name for name in ("callBackUrl", "callback_url") if name in sent), None)
    token = ""
    if callback:
        token = sent[callback].rpartition("/")[2]
        sent[callback] = sent[callback].replace(token, "***")
    assert created["upstream_request"] == sent
    assert final["upstream_request"] == sent
    if vendor != "elevenlabs":  # whose answer is no JSON
        assert isinstance(final["upstream_response"], dict)
    key = f"{vendor}-key-not-real"
    for answer in (created, final):
        text = json.dumps(answer)
        assert key not in text
        assert not token or token not in text
    assert (
        not {"debug", "echo_upstream_request", "provider", "meta", "suno", "elevenlabs", "minimax"}
        & sent.keys()
    )


async def test_other_vendors_blocks_never_reach_an_upstream(house: House) -> None:
    blocks = {
        "suno": {"style": "for suno"},
        "elevenlabs": {"finetune_id": "for eleven"},
        "minimax": {"lyrics": "for minimax"},
    }
    with house.watch() as seen:
        for wish in WISHES.values():
            block = {"suno/v5": "suno", "elevenlabs/music": "elevenlabs"}.get(wish["model"], "minimax")
            others = {name: options for name, options in blocks.items() if name != block}
            assert (await house.create({**wish, **others})).status == 200
    assert len(seen.creates) == 4
    for request in seen.creates:
        assert b"for suno" not in request.body
        assert b"for eleven" not in request.body
        assert b"for minimax" not in request.body


@pytest.mark.parametrize(
    ("body", "header", "shown"),
    [
        ({}, None, False),
        ({"meta": False}, None, False),
        ({"meta": True}, None, True),
        ({"debug": {"enabled": True}}, None, True),
        ({"debug": {"enabled": False}}, None, False),
        ({}, "1", True),
        ({}, "true", True),
        ({}, "YES", True),
        ({}, "0", False),
        ({}, "no", False),
    ],
)
async def test_routing_facts_appear_when_asked_for(
    house: House, body: dict[str, Any], header: str | None, shown: bool
) -> None:
    headers = {"x-gateway-debug": header} if header else {}
    reply = await house.call(
        "POST", "/v1/music/generate", body={**WISHES["suno_kie"], **body}, headers=headers
    )
    meta = reply.body["meta"]
    assert meta["generation_ms"] >= 0
    assert ("routing" in meta) == shown
    if shown:
        assert meta["routing"]["candidates"] == ["suno_kie"]
        assert {item["provider_plugin"]: item["reason"] for item in meta["routing"]["excluded"]} == {
            "apiin_one": "not_in_only",
            "elevenlabs": "model_not_offered",
            "minimax": "model_not_offered",
        }


async def test_an_error_shows_the_bodies_only_when_asked(house: House) -> None:
    wish = {**WISHES["minimax"], "prompt": "rain [emulate code=1026]"}
    plain = await house.create(wish)
    shown = await house.create(
        {**wish, "debug": {"return_upstream_request": True, "return_upstream_response": True}}
    )
    assert not {"upstream_request", "upstream_response"} & plain.body.keys()
    assert shown.body["upstream_request"]["prompt"] == "rain [emulate code=1026]"
    assert shown.body["upstream_response"]["base_resp"]["status_code"] == 1026
