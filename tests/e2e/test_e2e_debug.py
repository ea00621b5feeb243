"""Debug views show native requests, native responses and the routing on request, and no secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.running_server import JOBS, PLUGINS, song

if TYPE_CHECKING:
    from tests.e2e.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Fields of the request -> is the native request shown, is the native response shown.
SWITCHES: list[tuple[dict[str, Any], bool, bool]] = [
    ({}, False, False),
    ({"debug": {"enabled": True}}, False, False),
    ({"echo_upstream_request": True}, True, False),
    ({"echo_upstream_request": True, "debug": {"returnUpstreamRequest": False}}, False, False),
    ({"debug": {"return_upstream_request": True, "returnUpstreamResponse": True}}, True, True),
]


@pytest.mark.parametrize(("fields", "request_shown", "response_shown"), SWITCHES, ids=str)
async def test_native_request_and_response_are_shown_on_request(
    server: RunningServer, fields: dict[str, Any], request_shown: bool, response_shown: bool
) -> None:
    created = (await server.create({**song(), **fields})).body
    for answer in (created, await server.finish(created["id"])):
        assert ("upstream_request" in answer) == request_shown
        assert ("upstream_response" in answer) == response_shown
        assert "result" not in answer


@pytest.mark.parametrize("plugin", PLUGINS)
async def test_the_echo_is_the_body_that_was_sent_without_secrets(server: RunningServer, plugin: str) -> None:
    debug = {
        "return_upstream_request": True,
        "return_upstream_response": True,
        "enabled": True,
        "trace": True,
    }
    other_block = "elevenlabs" if plugin != "elevenlabs" else "suno"
    with server.vendor_calls(plugin) as calls:
        created = (
            await server.create(
                {**song(plugin, debug=debug, meta=True), other_block: {"x": "for another vendor"}}
            )
        ).body
        final = await server.finish(created["id"])
    sent = calls.body
    assert not {"debug", "echo_upstream_request", "provider", "meta", other_block} & sent.keys()
    assert b"for another vendor" not in calls.creates[0].body
    token = ""
    if callback := next((name for name in ("callBackUrl", "callback_url") if name in sent), None):
        token = sent[callback].rpartition("/")[2]
        sent[callback] = sent[callback].replace(token, "***")
    for answer in (created, final):
        assert answer["upstream_request"] == sent
        text = json.dumps(answer)
        assert f"{plugin}-key-not-real" not in text
        assert not token or token not in text
    if plugin != "elevenlabs":  # its answer is audio
        assert isinstance(final["upstream_response"], dict)


@pytest.mark.parametrize(
    ("body", "header", "shown"),
    [
        ({}, None, False),
        ({"meta": False}, None, False),
        ({"meta": True}, None, True),
        ({"debug": {"enabled": True}}, None, True),
        ({}, "1", True),
        ({}, "YES", True),
        ({}, "no", False),
    ],
)
async def test_the_routing_is_shown_on_request(
    server: RunningServer, body: dict[str, Any], header: str | None, shown: bool
) -> None:
    headers = {"x-gateway-debug": header} if header else {}
    reply = await server.call("POST", JOBS, body={**song(), **body}, headers=headers)
    meta = reply.body["meta"]
    assert meta["generation_ms"] >= 0
    assert ("routing" in meta) == shown
    if shown:
        assert meta["routing"]["candidates"] == ["suno_kie"]
        reasons = {item["provider_plugin"]: item["reason"] for item in meta["routing"]["excluded"]}
        assert reasons.pop("apiin_one") == "not_in_only"
        assert reasons == dict.fromkeys(set(PLUGINS) - {"suno_kie", "apiin_one"}, "model_not_offered")


async def test_an_error_shows_native_request_and_response_on_request(server: RunningServer) -> None:
    request = song("minimax", "create=1026:ever")
    plain = await server.create(request)
    debug = {"return_upstream_request": True, "return_upstream_response": True}
    shown = await server.create({**request, "debug": debug})
    assert not {"upstream_request", "upstream_response"} & plain.body.keys()
    assert shown.body["upstream_request"]["prompt"] == request["prompt"]
    assert shown.body["upstream_response"]["base_resp"]["status_code"] == 1026
