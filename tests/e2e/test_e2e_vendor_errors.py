"""Vendors that refuse, or whose answers are unreadable or lost: one create call, at most one bill.

How each vendor's errors are read is the subject of the tests of its plugin.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Timeouts
from tests.e2e.running_server import MODELS, plugins_declaring, running_server, song

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Plugin, switches, class of the failure, status, the vendor's code, Retry-After.
REFUSALS: list[tuple[str, str, str, int, str | None, str | None]] = [
    ("suno_kie", "create=402", "credits", 402, "402", None),
    ("suno_kie", "create=422", "invalid", 422, "422", None),
    ("suno_kie", "create=429", "rate_limited", 429, "429", "10"),
    ("suno_kie", "create=505", "unsupported", 400, "505", None),
    ("apiin_one", "create=402 error_http=200 error_shape=code", "credits", 402, "402", None),
    ("apiin_one", "create=moderation", "moderation", 400, None, None),
    ("elevenlabs", "create=429 detail=text", "rate_limited", 429, None, None),
    ("elevenlabs", "create=503 retry_after=9", "unavailable", 503, "maintenance", "9"),
    ("minimax", "create=1004", "auth", 401, "1004", None),
    ("minimax", "create=2056", "rate_limited", 429, "2056", "7200"),
    ("minimax", "create=1001", "timeout", 504, "1001", None),
]


@pytest.mark.parametrize(
    ("plugin", "switches", "reason", "status", "code", "retry_after"),
    REFUSALS,
    ids=[f"{row[0]}-{row[1]}" for row in REFUSALS],
)
async def test_a_refusal_is_answered_with_its_class_and_the_vendors_code(
    server: RunningServer,
    plugin: str,
    switches: str,
    reason: str,
    status: int,
    code: str | None,
    retry_after: str | None,
) -> None:
    with server.vendor_calls() as calls:
        reply = await server.create(song(plugin, switches))
    assert reply.error == (status, "upstream_error", reason)
    assert reply.body["error_type"] == "system"
    is_users = reason in {"invalid", "moderation", "unsupported"}
    assert reply.headers["X-Gateway-Error-Attribution"] == ("user" if is_users else "upstream")
    assert reply.body["provider_plugin"] == plugin
    assert reply.body["provider"] == MODELS[plugin].partition("/")[0]
    assert code is None or reply.body["native_code"] == code
    if retry_after is not None:
        assert int(reply.headers["Retry-After"]) == pytest.approx(int(retry_after), abs=5)
    assert (len(calls.creates), calls.billed) == (1, 0)


async def test_a_moderated_text_comes_back_with_the_vendors_suggestion(server: RunningServer) -> None:
    reply = await server.create({"model": "elevenlabs/music", "prompt": "a song like Nirvana"})
    assert reply.error == (400, "upstream_error", "moderation")
    assert reply.body["suggestion"] == "a song like a well-known artist"


@pytest.mark.parametrize(
    ("plugin", "key", "error", "code"),
    [
        ("suno_kie", "sub-key-limit-not-real", (402, "upstream_error", "credits"), "433"),
        ("minimax", "bad-key-not-real", (401, "upstream_error", "auth"), "2049"),
    ],
)
async def test_a_key_that_the_vendor_refuses_and_quotes_is_not_shown(
    open_server: OpenServer, plugin: str, key: str, error: tuple[int, str, str], code: str
) -> None:
    debug = {"return_upstream_response": True, "return_upstream_request": True}
    async with open_server(
        providers={plugin: {"api_key": key}}, switches={plugin: {"echo_key": "1"}}
    ) as server:
        reply = await server.create(song(plugin, debug=debug))
    assert reply.error == error
    assert reply.body["native_code"] == code
    assert key.encode() not in reply.raw


#: Plugin, switches, status and reason of the create answer, songs that the vendor bills.
BROKEN: list[tuple[str, str, int, str | None, int]] = [
    ("suno_kie", "create=html", 502, "upstream_failed", 0),
    ("suno_kie", "create=no_id", 502, "protocol", 1),
    ("suno_kie", "create=drop", 200, None, 1),
    ("apiin_one", "create=made-malformed", 502, "protocol", 1),
    ("apiin_one", "create=cut", 200, None, 1),
    ("elevenlabs", "create=html-504", 504, "timeout", 0),
    ("elevenlabs", "create=hangup", 502, "unknown_outcome", 0),
    ("elevenlabs", "create=cut", 502, "unknown_outcome", 1),
    ("elevenlabs", "create=made-html-200", 502, "protocol", 1),
    ("minimax", "create=made-html-500", 502, "upstream_failed", 1),
    ("minimax", "create=cut", 502, "unknown_outcome", 1),
    ("minimax", "audio=nohex", 502, "protocol", 1),
]


@pytest.mark.parametrize(
    ("plugin", "switches", "status", "reason", "billed"), BROKEN, ids=[f"{row[0]}-{row[1]}" for row in BROKEN]
)
async def test_a_broken_create_answer_is_reported_and_the_call_is_not_repeated(
    server: RunningServer, plugin: str, switches: str, status: int, reason: str | None, billed: int
) -> None:
    """Callbacks are off, so that no callback adopts a song whose answer was lost."""
    with server.vendor_calls() as calls:
        reply = await server.create(song(plugin, f"{switches} callbacks=off done_s=1"))
        await asyncio.sleep(0.03)
    assert (reply.status, reply.body.get("reason")) == (status, reason), reply.raw
    assert (len(calls.creates), calls.billed) == (1, billed)
    job = (await server.get(reply.body["id" if status == 200 else "music_id"])).body
    outcome = job["attempts"][0]["outcome"]
    if status == 200:  # the vendor may still call back
        assert (job["status"], outcome, job["nativeResponseId"]) == ("queued", "unknown", None)
        return
    assert reply.body["error"] == "upstream_error"
    assert reply.headers["X-Gateway-Error-Attribution"] == "upstream"
    if billed:  # what was billed is never called free of charge
        assert outcome == "unknown"
        assert job["status"] == "queued" or job["error"]["may_have_cost"] is True


@pytest.mark.parametrize(
    ("plugin", "switches", "more"),
    [
        ("elevenlabs", "audio=boundary detailed=preamble", {"elevenlabs": {"with_timestamps": True}}),
        ("elevenlabs", "headers=no_length,no_song_id", {}),
        ("minimax", "base_resp=missing extra=no_duration", {}),
    ],
)
async def test_an_odd_answer_that_holds_the_song_completes_the_job(
    server: RunningServer, plugin: str, switches: str, more: dict[str, Any]
) -> None:
    with server.vendor_calls() as calls:
        job = await server.generate(song(plugin, f"{switches} song_s=3", **more))
    assert job["status"] == "completed", job
    assert (len(calls.creates), calls.billed) == (1, 1)
    assert 2.5 < job["output"][0]["duration"] < 12


@pytest.mark.parametrize(
    ("plugin", "switches", "reason", "code"),
    [
        ("suno_kie", "end=SENSITIVE_WORD_ERROR", "moderation", "SENSITIVE_WORD_ERROR"),
        ("suno_kie", "audio=null:ever skip=first", "upstream_failed", "SUCCESS"),
        ("apiin_one", "failure=all", "upstream_failed", None),
    ],
)
async def test_a_task_that_fails_later_fails_the_job(
    server: RunningServer, plugin: str, switches: str, reason: str, code: str | None
) -> None:
    job = await server.generate(song(plugin, switches))
    assert (job["status"], job["error"]["reason"]) == ("failed", reason)
    assert job["error"]["message"]
    assert code is None or job["error"]["native_code"] == code
    assert "usage" not in job
    assert job["completed_at"]


@pytest.mark.parametrize("plugin", ["suno_kie", "apiin_one", "elevenlabs"])
async def test_a_create_call_that_times_out_is_never_repeated(tmp_path: Path, plugin: str) -> None:
    impatient = plugins_declaring(**{plugin: {"timeouts": Timeouts(create_s=0.15)}})
    async with running_server(
        tmp_path, impatient, server={"create_wait_s": 1.0}, follow={"deadline_s": 1.0}
    ) as server:
        with server.vendor_calls() as calls:
            reply = await server.create({**song(plugin), "prompt": "a long [hold] on the line"})
            await asyncio.sleep(0.1)
        job = await server.finish(reply.body.get("id") or reply.body["music_id"])
    assert (len(calls.creates), calls.billed) == (1, 1)
    if plugin == "suno_kie":  # its callback names the task, and came before the time-out
        assert (reply.status, job["status"]) == (200, "completed")
    elif plugin == "apiin_one":  # its callbacks name no task
        assert (reply.status, reply.body["status"], reply.body["nativeResponseId"]) == (200, "queued", None)
        assert (job["status"], job["error"]["reason"]) == ("failed", "unknown_outcome")
    else:
        assert reply.error == (504, "upstream_error", "unknown_outcome")
