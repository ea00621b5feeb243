"""Who is asked: lists and spellings, the alpha and beta gates, failing over by class, and the plan that says so beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from musicgate.model import Secret, Stage
from musicgate.settings import Account
from tests.e2e.house import redeclared, running_house

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

KIE, APIIN = "suno_kie", "apiin_one"
NOBODY = "no_provider_matches"
#: The provider block, then who would be asked in this order; empty = nobody.
LISTS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, [KIE, APIIN]),
    ({"only": ["suno"]}, [KIE, APIIN]),
    ({"only": ["suno_kie"]}, [KIE]),
    ({"only": ["suno-kie"]}, [KIE]),
    ({"only": [" Suno_KIE "]}, [KIE]),
    ({"only": ["suno kie"]}, [KIE]),
    ({"only": ["kie.ai"]}, [KIE]),
    ({"only": ["apiin.one"]}, [APIIN]),
    ({"only": ["APIIN one"]}, [APIIN]),
    ({"only": ["minimax", "apiin_one"]}, [APIIN]),
    ({"only": []}, []),
    ({"only": ["minimax"]}, []),
    ({"only": ["nobody"]}, []),
    ({"ignore": ["suno_kie"]}, [APIIN]),
    ({"ignore": ["Suno-Kie", "nobody"]}, [APIIN]),
    ({"ignore": ["suno"]}, []),
    ({"ignore": []}, [KIE, APIIN]),
    ({"only": ["suno"], "ignore": ["kie"]}, [APIIN]),
    ({"only": ["suno_kie"], "ignore": ["suno_kie"]}, []),
    ({"order": ["apiin_one"]}, [APIIN, KIE]),
    ({"order": ["apiin-one", "suno_kie"]}, [APIIN, KIE]),
    ({"order": ["suno"]}, [KIE, APIIN]),
    ({"order": ["nobody", "minimax"]}, [KIE, APIIN]),
    ({"order": ["apiin_one"], "only": ["suno_kie"]}, [KIE]),
    ({"order": ["suno_kie"], "ignore": ["suno_kie"]}, [APIIN]),
    ({"order": ["apiin_one"], "only": ["suno"], "ignore": ["minimax"]}, [APIIN, KIE]),
    (
        {"quantizations": ["x"], "max_price": {"request": 0}, "data_collection": "deny", "zdr": True},
        [KIE, APIIN],
    ),
]


def wish(provider: dict[str, Any], prompt: str = "rain", **more: object) -> dict[str, Any]:
    """A Suno wish with a routing block."""
    return {"model": "suno/v5", "prompt": prompt, "provider": provider, **more}


@pytest.mark.parametrize(("provider", "asked"), LISTS, ids=[str(row[0]) for row in LISTS])
async def test_lists_decide_who_is_asked(house: House, provider: dict[str, Any], asked: list[str]) -> None:
    plan = await house.call("POST", "/v1/music/plan", body=wish(provider))
    with house.watch() as seen:
        created = await house.create(wish(provider))
    if not asked:
        for reply in (plan, created):
            assert (reply.status, reply.body["error"], reply.body["reason"]) == (
                400,
                "unsupported_model_or_endpoint",
                NOBODY,
            )
        assert seen.creates == []
        return
    assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == asked
    assert created.body["provider_plugin"] == asked[0]
    assert created.body["provider"] == "suno"


@pytest.mark.parametrize("spelling", ["elevenlabs", "eleven-labs", "ELEVEN LABS", "Eleven_Labs"])
async def test_eleven_labs_in_odd_spelling(house: House, spelling: str) -> None:
    body = {"model": "elevenlabs/music", "prompt": "x", "provider": {"only": [spelling]}}
    plan = await house.call("POST", "/v1/music/plan", body=body)
    assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == ["elevenlabs"]


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ("create=401", "auth"),
        ("create=402", "credits"),
        ("create=403", "forbidden"),
        ("create=429", "rate_limited"),
        ("create=455", "unavailable"),
    ],
)
async def test_a_plain_refusal_goes_to_the_next_provider(house: House, switches: str, reason: str) -> None:
    with house.watch(KIE) as kie, house.watch(APIIN) as apiin:
        job = await house.make(wish({}, f"rain [emulate {switches}]"))
    assert (job["status"], job["provider"], job["provider_plugin"]) == ("completed", "suno", APIIN)
    assert [(attempt["provider_plugin"], attempt["outcome"]) for attempt in job["attempts"]] == [
        (KIE, "refused"),
        (APIIN, "accepted"),
    ]
    assert job["attempts"][0]["reason"] == reason
    assert (len(kie.creates), kie.billed, len(apiin.creates), apiin.billed) == (1, 0, 1, 1)
    assert job["model"] == "suno-v5-0"


@pytest.mark.parametrize(
    ("switches", "reason", "status"),
    [
        ("create=400", "moderation", 400),
        ("create=422", "invalid", 422),
        ("create=404", "not_found", 404),
        ("create=409", "conflict", 409),
        ("create=531", "upstream_failed", 502),
        ("create=500", "upstream_failed", 502),
        ("create=html", "upstream_failed", 502),
        ("create=http-500", "upstream_failed", 502),
        ("create=lost", "upstream_failed", 502),
        ("create=no_id", "protocol", 502),
        ("create=data_empty", "protocol", 502),
        ("create=empty", "protocol", 502),
        ("create=drop", None, 200),
    ],
)
async def test_anything_that_may_have_cost_money_or_would_be_refused_again_stays(
    house: House, switches: str, reason: str | None, status: int
) -> None:
    with house.watch(KIE) as kie, house.watch(APIIN) as apiin:
        reply = await house.create(wish({}, f"rain [emulate {switches} callbacks=off]"))
    assert (reply.status, reply.body.get("reason")) == (status, reason)
    assert len(kie.creates) == 1
    assert apiin.creates == []


async def test_no_fallback_when_the_caller_forbids_it(house: House) -> None:
    with house.watch(APIIN) as apiin:
        reply = await house.create(wish({"allow_fallbacks": False}, "rain [emulate create=429]"))
    assert (reply.status, reply.body["reason"]) == (429, "rate_limited")
    assert apiin.creates == []


async def test_when_all_refuse_the_last_refusal_is_told_with_the_tries(house: House) -> None:
    reply = await house.create(wish({}, "rain [emulate create=402 create_fault=429]"))
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (
        429,
        "upstream_error",
        "rate_limited",
    )
    assert reply.body["attempt_count"] == 2
    assert reply.body["failed_providers"] == [KIE, APIIN]
    assert reply.body["failed_statuses"] == [402, 429]


async def test_a_provider_without_a_key_is_skipped_without_a_call(open_house: OpenHouse) -> None:
    async with open_house(tables={KIE: {"api_key": None}}) as house:
        with house.watch(KIE) as kie:
            job = await house.make(wish({}))
            alone = await house.create(wish({"only": [KIE]}))
    assert (job["status"], job["provider_plugin"]) == ("completed", APIIN)
    assert (alone.status, alone.body["reason"]) == (502, "all_candidates_failed")
    assert kie.creates == []


async def test_the_operators_priority_is_the_default_order(open_house: OpenHouse) -> None:
    async with open_house(tables={APIIN: {"priority": 1}}) as house:
        assert (await house.create(wish({}))).body["provider_plugin"] == APIIN
        providers = (await house.call("GET", "/v1/music/providers")).body["data"]
    assert [entry["provider_plugin"] for entry in providers][:2] == [APIIN, KIE]


async def test_what_one_provider_cannot_be_told_goes_to_the_one_that_can(house: House) -> None:
    """suno.personaId is refused by apiin_one: asked for it first, the wish goes to kie all the same."""
    suno = {"customMode": True, "style": "jazz", "title": "Blue", "instrumental": True, "personaId": "p1"}
    body = wish({"order": [APIIN]}, suno=suno)
    plan = await house.call("POST", "/v1/music/plan", body=body)
    with house.watch(KIE) as kie:
        created = await house.create(body)
    assert created.body["provider_plugin"] == KIE
    assert kie.body["personaId"] == "p1"
    excluded = {item["provider_plugin"]: item["reason"] for item in plan.body["excluded"]}
    assert excluded[APIIN] == "unsupported_option"


async def test_a_model_that_only_one_has_goes_there(house: House) -> None:
    plan = await house.call("POST", "/v1/music/plan", body={**wish({}), "model": "suno/v6"})
    assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == [KIE]
    old = await house.call("POST", "/v1/music/plan", body={**wish({}), "model": "suno/v3.5"})
    assert [candidate["provider_plugin"] for candidate in old.body["candidates"]] == [APIIN]


async def test_a_provider_that_takes_any_name_does_not_take_one_that_another_lists(tmp_path: Path) -> None:
    """Here kie would send ``v3.5`` as a name of its own, which it refuses; apiin.one offers that model."""
    async with running_house(tmp_path, redeclared(suno_kie={"raw_models": True})) as house:
        listed = await house.call("POST", "/v1/music/plan", body={**wish({}), "model": "suno/v3.5"})
        unlisted = await house.call("POST", "/v1/music/plan", body={**wish({}), "model": "suno/V99"})
    assert [candidate["provider_plugin"] for candidate in listed.body["candidates"]] == [APIIN]
    assert [
        (candidate["provider_plugin"], candidate["native_model"]) for candidate in unlisted.body["candidates"]
    ] == [(KIE, "V99")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unripe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A house with kie in alpha and apiin in beta; one of the accounts is on the beta channel."""
    host = redeclared(
        suno_kie={"stage": Stage.ALPHA},
        apiin_one={"stage": Stage.BETA},
        minimax={"stage": Stage.NOT_READY},
    )
    accounts = (
        Account(name="plain", key=Secret("test-key-not-real")),
        Account(name="beta", key=Secret("test-key-of-beta"), beta=True),
    )
    async with running_house(tmp_path_factory.mktemp("unripe"), host, accounts=accounts) as started:
        yield started


@pytest.mark.parametrize(
    ("key", "provider", "asked"),
    [
        ("test-key-not-real", {}, []),
        ("test-key-not-real", {"include_alpha": False}, []),
        ("test-key-not-real", {"only": ["suno_kie"]}, []),
        ("test-key-not-real", {"include_alpha": True}, [KIE]),
        ("test-key-not-real", {"includeAlpha": True}, [KIE]),
        ("test-key-of-beta", {}, [APIIN]),
        ("test-key-of-beta", {"include_alpha": True}, [KIE, APIIN]),
    ],
)
async def test_unripe_providers_are_behind_their_gates(
    unripe: House, key: str, provider: dict[str, Any], asked: list[str]
) -> None:
    plan = await unripe.call("POST", "/v1/music/plan", body=wish(provider), key=key)
    created = await unripe.call("POST", "/v1/music/generate", body=wish(provider), key=key)
    if asked:
        assert [candidate["provider_plugin"] for candidate in plan.body["candidates"]] == asked
        assert created.body["provider_plugin"] == asked[0]
    else:
        assert (plan.status, created.status) == (400, 400)
        assert created.body["reason"] == NOBODY
        assert plan.body["reason"] == NOBODY


async def test_a_provider_that_is_not_ready_is_never_asked(unripe: House) -> None:
    body = {"model": "minimax/music-2.6", "prompt": "x", "provider": {"include_alpha": True}}
    reply = await unripe.call("POST", "/v1/music/generate", body=body, key="test-key-of-beta")
    assert (reply.status, reply.body["reason"]) == (400, NOBODY)


async def test_models_and_providers_list_what_can_be_asked_of_whom(house: House) -> None:
    models = (await house.call("GET", "/v1/music/models")).body["data"]
    by_id = {entry["id"]: entry for entry in models}
    assert {"suno/v5", "suno/v4.5plus", "elevenlabs/music", "minimax/music-2.6"} <= by_id.keys()
    assert [offer["provider_plugin"] for offer in by_id["suno/v5"]["offers"]] == [APIIN, KIE] or [
        offer["provider_plugin"] for offer in by_id["suno/v5"]["offers"]
    ] == [KIE, APIIN]
    kie = next(offer for offer in by_id["suno/v5"]["offers"] if offer["provider_plugin"] == KIE)
    assert kie["pricing"] == [
        {"meter": "requests", "unit_size": 1.0, "price_per_unit": "0.06", "currency": "USD"}
    ]
    providers = (await house.call("GET", "/v1/music/providers")).body["data"]
    assert {entry["provider_plugin"] for entry in providers} == {KIE, APIIN, "elevenlabs", "minimax"}
    assert all(entry["configured"] for entry in providers)
    assert b"key-not-real" not in (await house.call("GET", "/v1/music/providers")).raw


async def test_a_plan_spends_nothing_stores_nothing_and_shows_no_secret(house: House) -> None:
    open_before = await house.gateway._context.store.count_open()
    with house.watch() as seen:
        plan = await house.call("POST", "/v1/music/plan", body=wish({}, duration=30))
    assert seen.creates == []
    assert await house.gateway._context.store.count_open() <= open_before
    first = plan.body["candidates"][0]
    assert first["price"]["total_usd_str"] == "0.06"
    assert first["upstream_request"]["body"]["prompt"] == "rain"
    assert first["upstream_request"]["body"]["callBackUrl"].endswith("/v1/callbacks/***/***")
    assert "Authorization" not in first["upstream_request"]["headers"]
    assert [warning["path"] for warning in first["warnings"]] == [["duration"]]
    assert b"key-not-real" not in plan.raw
