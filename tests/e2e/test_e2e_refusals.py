"""What a vendor's "no" becomes: class, status, attribution, the vendor's own words; body codes and HTTP errors alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = {
    "suno_kie": "suno/v5",
    "apiin_one": "suno/v5",
    "elevenlabs": "elevenlabs/music",
    "minimax": "minimax/music-2.6",
}
USER = {"invalid", "moderation", "unsupported"}


def wish(vendor: str, switches: str, **more: object) -> dict[str, Any]:
    """A wish for one vendor with magic words."""
    return {
        "model": MODELS[vendor],
        "prompt": f"a long rain over the sea [emulate {switches}]",
        "provider": {"only": [vendor]},
        **more,
    }


#: Vendor, magic words, class, status, the vendor's code, whether the vendor says how long to wait.
REFUSALS: list[tuple[str, str, str, int, str | None]] = [
    # Body codes inside HTTP 200.
    ("suno_kie", "create=401", "auth", 401, "401"),
    ("suno_kie", "create=402", "credits", 402, "402"),
    ("suno_kie", "create=433", "credits", 402, "433"),
    ("suno_kie", "create=400", "moderation", 400, "400"),
    ("suno_kie", "create=413", "moderation", 400, "413"),
    ("suno_kie", "create=422", "invalid", 422, "422"),
    ("suno_kie", "create=429", "rate_limited", 429, "429"),
    ("suno_kie", "create=455", "unavailable", 503, "455"),
    ("suno_kie", "create=505", "unsupported", 400, "505"),
    ("suno_kie", "create=404", "not_found", 404, "404"),
    ("suno_kie", "create=409", "conflict", 409, "409"),
    ("suno_kie", "create=531", "upstream_failed", 502, "531"),
    ("apiin_one", "create_fault=400 error_http=200", "invalid", 400, None),
    ("apiin_one", "create_fault=402 error_http=200 error_shape=code", "credits", 402, "402"),
    ("minimax", "code=1004", "auth", 401, "1004"),
    ("minimax", "code=2049", "auth", 401, "2049"),
    ("minimax", "code=1008", "credits", 402, "1008"),
    ("minimax", "code=1002", "rate_limited", 429, "1002"),
    ("minimax", "code=1041", "rate_limited", 429, "1041"),
    ("minimax", "code=2056", "rate_limited", 429, "2056"),
    ("minimax", "code=2013", "invalid", 400, "2013"),
    ("minimax", "code=1026", "moderation", 400, "1026"),
    ("minimax", "code=1027", "moderation", 400, "1027"),
    ("minimax", "code=2061", "forbidden", 403, "2061"),
    ("minimax", "code=1001", "timeout", 504, "1001"),
    ("minimax", "code=1000", "upstream_failed", 502, "1000"),
    ("minimax", "code=4711", "upstream_failed", 502, "4711"),
    ("minimax", "code=1008 shape=llm", "credits", 402, "1008"),
    # HTTP errors.
    ("apiin_one", "create_fault=400", "invalid", 400, None),
    ("apiin_one", "create_fault=401", "auth", 401, None),
    ("apiin_one", "create_fault=402", "credits", 402, None),
    ("apiin_one", "create_fault=403", "forbidden", 403, None),
    ("apiin_one", "create_fault=404", "not_found", 404, None),
    ("apiin_one", "create_fault=429", "rate_limited", 429, None),
    ("apiin_one", "create_fault=moderation", "moderation", 400, None),
    ("minimax", "http=429", "rate_limited", 429, None),
    ("minimax", "http=401", "auth", 401, None),
    ("minimax", "http=402", "credits", 402, None),
    ("elevenlabs", "moderation=1", "moderation", 400, "bad_prompt"),
    ("elevenlabs", "busy=rate_limit_exceeded", "rate_limited", 429, "rate_limit_exceeded"),
    ("elevenlabs", "busy=system_busy retry_after=7", "rate_limited", 429, "system_busy"),
    ("elevenlabs", "busy=1 detail=text", "rate_limited", 429, None),
    ("elevenlabs", "busy=1 detail=legacy", "rate_limited", 429, None),
    ("elevenlabs", "error=503", "unavailable", 503, "maintenance"),
    ("elevenlabs", "credits=1", "credits", 402, "insufficient_credits"),
    ("elevenlabs", "tier_gate=1", "forbidden", 403, "subscription_required"),
]


@pytest.mark.parametrize(
    ("vendor", "switches", "reason", "status", "code"),
    REFUSALS,
    ids=[f"{row[0]}-{row[1]}" for row in REFUSALS],
)
async def test_a_refusal_is_the_error_of_its_class(
    house: House, vendor: str, switches: str, reason: str, status: int, code: str | None
) -> None:
    more = {"format": "wav"} if "tier_gate" in switches else {}
    with house.watch() as seen:
        reply = await house.create(wish(vendor, switches, **more))
    body = reply.body
    assert (reply.status, body["error"], body["reason"]) == (status, "upstream_error", reason)
    assert body["error_type"] == "system"
    assert reply.headers["X-Gateway-Error-Attribution"] == ("user" if reason in USER else "upstream")
    assert body["provider_plugin"] == vendor
    assert body["provider"] == MODELS[vendor].partition("/")[0]
    assert code is None or body["native_code"] == code
    assert "upstream_request" not in body
    assert "upstream_response" not in body
    assert len(seen.creates) == 1
    assert seen.billed == 0


@pytest.mark.parametrize(
    ("vendor", "switches", "seconds"),
    [
        ("suno_kie", "create=429", "10"),
        ("elevenlabs", "busy=system_busy retry_after=7", "7"),
        ("elevenlabs", "error=503 retry_after=9", "9"),
    ],
)
async def test_a_known_wait_is_told(house: House, vendor: str, switches: str, seconds: str) -> None:
    reply = await house.create(wish(vendor, switches))
    assert reply.headers["Retry-After"] == seconds


async def test_the_wait_for_a_plans_window_is_the_vendors_own(house: House) -> None:
    reply = await house.create(wish("minimax", "code=2056"))
    assert 7000 < int(reply.headers["Retry-After"]) <= 7200


@pytest.mark.parametrize(
    ("vendor", "key", "reason", "status", "code"),
    [
        ("suno_kie", "bad-key-not-real", "auth", 401, "401"),
        ("suno_kie", "no-credits-not-real", "credits", 402, "402"),
        ("suno_kie", "sub-key-limit-not-real", "credits", 402, "433"),
        ("apiin_one", "bad-key-not-real", "auth", 401, None),
        ("apiin_one", "forbidden-not-real", "forbidden", 403, None),
        ("apiin_one", "no-credits-not-real", "credits", 402, None),
        ("elevenlabs", "bad-key-not-real", "auth", 401, "invalid_api_key"),
        ("elevenlabs", "free-plan-not-real", "forbidden", 402, "limited_access"),
        ("elevenlabs", "no-scope-not-real", "forbidden", 403, "missing_permissions"),
        ("elevenlabs", "no-credits-401-not-real", "credits", 402, "quota_exceeded"),
        ("elevenlabs", "no-credits-not-real", "credits", 402, "insufficient_credits"),
        ("minimax", "bad-key-not-real", "auth", 401, "2049"),
        ("minimax", "free-plan-not-real", "forbidden", 403, "2061"),
        ("minimax", "no-credits-not-real", "credits", 402, "1008"),
        ("minimax", "window-used-not-real", "rate_limited", 429, "2056"),
    ],
)
async def test_a_key_that_the_vendor_refuses_is_told_and_never_shown(
    open_house: OpenHouse, vendor: str, key: str, reason: str, status: int, code: str | None
) -> None:
    echo = {"suno_kie": {"echo_key": "1"}, "minimax": {"echo_key": "1"}}
    async with open_house(tables={vendor: {"api_key": key}}, switches=echo) as house:
        reply = await house.create(
            {
                **wish(vendor, "x=1"),
                "debug": {"return_upstream_response": True, "return_upstream_request": True},
            }
        )
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (status, "upstream_error", reason)
    assert code is None or reply.body["native_code"] == code
    assert key.encode() not in reply.raw


async def test_a_moderated_text_comes_back_with_the_vendors_suggestion(house: House) -> None:
    reply = await house.create({"model": "elevenlabs/music", "prompt": "a song like Nirvana"})
    assert reply.status == 400
    assert reply.body["reason"] == "moderation"
    assert reply.body["suggestion"] == "a song like a well-known artist"


async def test_a_vendor_that_cannot_be_reached_refused_plainly(open_house: OpenHouse) -> None:
    nobody = {"base_url": "http://127.0.0.1:9"}
    async with open_house(tables={"suno_kie": nobody, "apiin_one": nobody}) as house:
        reply = await house.create({"model": "suno/v5", "prompt": "rain"})
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (503, "upstream_error", "unavailable")
    assert reply.body["attempt_count"] == 2


async def test_no_key_anywhere_is_all_candidates_failed(open_house: OpenHouse) -> None:
    none = {"api_key": None}
    async with open_house(tables={"suno_kie": none, "apiin_one": none, "minimax": none}) as house:
        with house.watch() as seen:
            suno = await house.create({"model": "suno/v5", "prompt": "rain"})
            minimax = await house.create({"model": "minimax/music-2.6", "prompt": "rain"})
    assert (suno.status, suno.body["error"], suno.body["reason"]) == (
        502,
        "upstream_error",
        "all_candidates_failed",
    )
    assert suno.body["attempt_count"] == 2
    assert suno.body["failed_providers"] == ["suno_kie", "apiin_one"]
    assert [sample["message"].partition(":")[0] for sample in suno.body["failed_samples"]] == [
        "suno_kie_key_missing",
        "apiin_one_key_missing",
    ]
    assert minimax.body["failed_providers"] == ["minimax"]
    assert seen.creates == []


@pytest.mark.parametrize(
    ("vendor", "switches", "reason", "code"),
    [
        ("suno_kie", "end=CREATE_TASK_FAILED", "upstream_failed", "CREATE_TASK_FAILED"),
        ("suno_kie", "end=GENERATE_AUDIO_FAILED", "upstream_failed", "GENERATE_AUDIO_FAILED"),
        ("suno_kie", "end=GENERATE_AUDIO_FAILED error_code=400", "moderation", "400"),
        ("suno_kie", "end=GENERATE_AUDIO_FAILED error_code=408", "timeout", "408"),
        ("suno_kie", "end=GENERATE_AUDIO_FAILED error_code=413", "moderation", "413"),
        ("suno_kie", "end=SENSITIVE_WORD_ERROR", "moderation", "SENSITIVE_WORD_ERROR"),
        ("suno_kie", "end=FAILED", "upstream_failed", "FAILED"),
        ("suno_kie", "end=ERROR error_message=no_luck", "upstream_failed", "ERROR"),
        (
            "suno_kie",
            "end=CALLBACK_EXCEPTION audio=none:ever skip=first",
            "upstream_failed",
            "CALLBACK_EXCEPTION",
        ),
        ("suno_kie", "audio=null:ever skip=first", "upstream_failed", "SUCCESS"),
        ("apiin_one", "failure=all", "upstream_failed", None),
        ("apiin_one", "failure=error_message fail_text=moderation", "moderation", None),
        ("apiin_one", "failure=type", "upstream_failed", "FAILED"),
    ],
)
async def test_a_task_that_fails_later_fails_the_job_with_its_class(
    house: House, vendor: str, switches: str, reason: str, code: str | None
) -> None:
    job = await house.make(wish(vendor, switches))
    assert job["status"] == "failed"
    assert job["error"]["reason"] == reason
    assert job["error"]["message"]
    assert code is None or job["error"]["native_code"] == code
    assert "usage" not in job
    assert job["completed_at"]
