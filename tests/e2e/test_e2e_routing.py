"""Which provider is asked: routing lists, stages, fallbacks, the catalogue and the plan.

The rules are the subject of tests/test_routing.py and tests/test_gateway.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate.model import Secret, Stage
from musicgate.settings import Account
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLAN, PLUGINS, plugins_declaring, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIE, APIIN = "suno_kie", "apiin_one"
NO_MATCH = (400, "unsupported_model_or_endpoint", "no_provider_matches")
#: The routing block, and the plugins that would be asked, in this order.
LISTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, [KIE, APIIN]),
    ({"only": [" Suno KIE "]}, [KIE]),
    ({"only": ["minimax"]}, []),
    ({"only": []}, []),
    ({"ignore": ["kie.ai", "unknown"]}, [APIIN]),
    ({"order": ["apiin-one"], "only": ["suno"], "ignore": ["minimax"]}, [APIIN, KIE]),
    (
        {"quantizations": ["x"], "max_price": {"request": 0}, "data_collection": "deny", "zdr": True},
        [KIE, APIIN],
    ),
]


def suno(provider: dict[str, Any], prompt: str = "rain", **more: object) -> dict[str, Any]:
    """A request for Suno with a routing block."""
    return {"model": "suno/v5", "prompt": prompt, "provider": provider, **more}


@pytest.mark.parametrize(("provider", "asked"), LISTS, ids=[str(row[0]) for row in LISTS])
async def test_the_callers_lists_choose_the_providers(
    server: RunningServer, provider: dict[str, Any], asked: list[str]
) -> None:
    plan = await server.plan(suno(provider))
    with server.vendor_calls() as calls:
        created = await server.create(suno(provider))
    if not asked:
        assert plan.error == created.error == NO_MATCH
        assert calls.creates == []
        return
    assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == asked
    assert (created.body["provider"], created.body["provider_plugin"]) == ("suno", asked[0])


async def test_a_refusal_that_cost_nothing_goes_to_the_next_provider(server: RunningServer) -> None:
    with server.vendor_calls(KIE) as kie, server.vendor_calls(APIIN) as apiin:
        job = await server.generate(suno({}, "rain [emulate suno_kie.create=402]"))
    assert (job["status"], job["provider"], job["provider_plugin"]) == ("completed", "suno", APIIN)
    assert [
        (attempt["provider_plugin"], attempt["outcome"], attempt.get("reason")) for attempt in job["attempts"]
    ] == [(KIE, "refused", "credits"), (APIIN, "accepted", None)]
    assert (len(kie.creates), kie.billed, len(apiin.creates), apiin.billed) == (1, 0, 1, 1)
    assert job["model"] == "suno-v5-0"


@pytest.mark.parametrize(
    ("switches", "provider", "status", "reason"),
    [
        ("create=422", {}, 422, "invalid"),
        ("create=500", {}, 502, "upstream_failed"),
        ("create=no_id", {}, 502, "protocol"),
        ("create=drop", {}, 200, None),
        ("create=429", {"allow_fallbacks": False}, 429, "rate_limited"),
    ],
)
async def test_no_other_provider_is_asked_after_a_call_that_may_have_cost_or_where_fallbacks_are_off(
    server: RunningServer, switches: str, provider: dict[str, Any], status: int, reason: str | None
) -> None:
    with server.vendor_calls(KIE) as kie, server.vendor_calls(APIIN) as apiin:
        reply = await server.create(suno(provider, f"rain [emulate {switches} callbacks=off]"))
    assert (reply.status, reply.body.get("reason")) == (status, reason)
    assert len(kie.creates) == 1
    assert apiin.creates == []


async def test_when_every_provider_refuses_the_answer_is_the_last_refusal_and_lists_all(
    server: RunningServer,
) -> None:
    reply = await server.create(suno({}, "rain [emulate create=402 apiin_one.create=429]"))
    assert reply.error == (429, "upstream_error", "rate_limited")
    assert reply.body["attempt_count"] == 2
    assert reply.body["failed_providers"] == [KIE, APIIN]
    assert reply.body["failed_statuses"] == [402, 429]


async def test_providers_without_a_key_or_out_of_reach_are_passed_over(open_server: OpenServer) -> None:
    unreachable = {"base_url": "http://127.0.0.1:9"}
    async with open_server(providers={KIE: {"api_key": None}, APIIN: unreachable}) as server:
        with server.vendor_calls(KIE) as kie:
            without_key = await server.create(suno({"only": [KIE]}))
            out_of_reach = await server.create(suno({}))
        listed = (await server.call("GET", "/v1/music/providers")).body["data"]
    assert without_key.error == (502, "upstream_error", "all_candidates_failed")
    assert without_key.body["failed_samples"][0]["provider_plugin"] == KIE
    assert out_of_reach.error == (503, "upstream_error", "unavailable")
    assert kie.creates == []
    assert [entry["provider_plugin"] for entry in listed if not entry["configured"]] == [KIE]


async def test_an_option_that_one_provider_lacks_sends_the_request_to_the_other(
    server: RunningServer,
) -> None:
    options = {"customMode": True, "style": "jazz", "title": "Blue", "instrumental": True, "personaId": "p1"}
    body = suno({"order": [APIIN]}, suno=options)
    plan = await server.plan(body)
    with server.vendor_calls(KIE) as kie:
        created = await server.create(body)
    assert created.body["provider_plugin"] == KIE
    assert kie.body["personaId"] == "p1"
    excluded = {item["provider_plugin"]: item["reason"] for item in plan.body["excluded"]}
    assert excluded[APIIN] == "unsupported_option"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def prerelease_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A server with kie in alpha and apiin.one in beta; one of its accounts is on the beta channel."""
    host = plugins_declaring(
        suno_kie={"stage": Stage.ALPHA}, apiin_one={"stage": Stage.BETA}, minimax={"stage": Stage.NOT_READY}
    )
    accounts = (
        Account(name="plain", key=Secret(ACCOUNT_KEY)),
        Account(name="beta", key=Secret("test-key-of-beta"), beta=True),
    )
    async with running_server(tmp_path_factory.mktemp("prerelease"), host, accounts=accounts) as started:
        yield started


@pytest.mark.parametrize(
    ("key", "provider", "asked"),
    [
        (ACCOUNT_KEY, {}, []),
        (ACCOUNT_KEY, {"includeAlpha": True}, [KIE]),
        ("test-key-of-beta", {}, [APIIN]),
        ("test-key-of-beta", {"include_alpha": True}, [KIE, APIIN]),
    ],
)
async def test_alpha_is_for_requests_that_include_it_and_beta_for_accounts_on_that_channel(
    prerelease_server: RunningServer, key: str, provider: dict[str, Any], asked: list[str]
) -> None:
    plan = await prerelease_server.call("POST", PLAN, body=suno(provider), key=key)
    created = await prerelease_server.call("POST", JOBS, body=suno(provider), key=key)
    if asked:
        assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == asked
        assert created.body["provider_plugin"] == asked[0]
    else:
        assert plan.error == created.error == NO_MATCH


async def test_the_catalogue_lists_models_and_providers_in_the_operators_order(
    open_server: OpenServer,
) -> None:
    async with open_server(providers={APIIN: {"priority": 1}}) as server:
        models = (await server.call("GET", "/v1/music/models")).body["data"]
        listed = await server.call("GET", "/v1/music/providers")
        assert (await server.create(suno({}))).body["provider_plugin"] == APIIN
    by_id = {entry["id"]: entry for entry in models}
    assert {"suno/v5", "suno/v4.5plus", "elevenlabs/music", "minimax/music-2.6"} <= by_id.keys()
    offers = {offer["provider_plugin"]: offer for offer in by_id["suno/v5"]["offers"]}
    assert offers.keys() == {KIE, APIIN}
    assert offers[KIE]["pricing"] == [
        {"meter": "requests", "unit_size": 1.0, "price_per_unit": "0.06", "currency": "USD"}
    ]
    providers = listed.body["data"]
    assert [entry["provider_plugin"] for entry in providers][:2] == [APIIN, KIE]
    assert {entry["provider_plugin"] for entry in providers} == set(PLUGINS)
    assert all(entry["configured"] for entry in providers)
    assert b"key-not-real" not in listed.raw


async def test_a_plan_costs_nothing_stores_nothing_and_shows_no_secret(server: RunningServer) -> None:
    stored = await server.gateway._context.store.count_open()
    with server.vendor_calls() as calls:
        plan = await server.plan(suno({}, duration=30))
    assert calls.creates == []
    assert await server.gateway._context.store.count_open() <= stored
    first = plan.body["candidates"][0]
    assert first["price"]["total_usd_str"] == "0.06"
    assert first["upstream_request"]["body"]["prompt"] == "rain"
    assert first["upstream_request"]["body"]["callBackUrl"].endswith("/v1/callbacks/***/***")
    assert "Authorization" not in first["upstream_request"]["headers"]
    assert [warning["path"] for warning in first["warnings"]] == [["duration"]]
    assert b"key-not-real" not in plan.raw
