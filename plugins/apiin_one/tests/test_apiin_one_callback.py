"""Callbacks: the task and stage that they claim, and what is refused."""

import json
from typing import Any

import pytest

import musicgate_apiin_one
from musicgate.errors import ProviderError
from musicgate.model import FailureClass
from musicgate.plugin.hooks import CallbackClaim
from musicgate.testing.rehearsal import Rehearsal

REHEARSAL = Rehearsal("apiin_one", musicgate_apiin_one)
ITEMS = [{"id": "t0", "audio_url": "", "status": "text"}, {"id": "t1", "audio_url": "", "status": "text"}]


def claim(body: bytes) -> CallbackClaim:
    return REHEARSAL.plugin.parse_callback({}, body, REHEARSAL.settings, now=0.0)


@pytest.mark.parametrize(
    ("body", "native_id", "status"),
    [
        (ITEMS, None, "text"),
        ([], None, None),
        ({"data": ITEMS}, None, "text"),
        ({"code": 200, "data": {"type": "SUCCESS", "response_data": ITEMS}}, None, "SUCCESS"),
        (
            {"code": 200, "task_id": "gen1ksv", "data": {"type": "SUCCESS", "response_data": ITEMS}},
            "gen1ksv",
            "SUCCESS",
        ),
        ({"code": 200, "data": {"task_id": "gen1ksv", "status": "first"}}, "gen1ksv", "first"),
        ({"workId": "gen1ksv", "data": ITEMS}, "gen1ksv", "text"),
        ({"id": "t0", "audio_url": "", "status": "complete"}, None, "complete"),
        ({}, None, None),
    ],
)
def test_callback_claims_a_task_and_a_stage(body: Any, native_id: str | None, status: str | None) -> None:
    expected = CallbackClaim(native_id=native_id, native_status=status, verified=None)
    assert claim(json.dumps(body).encode()) == expected


@pytest.mark.parametrize("body", [b"", b"null", b"7", b'"SUCCESS"', b"[{", b"<html>", b"\xff\xfe"])
def test_unreadable_callback_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        claim(body)
    assert caught.value.failure.reason is FailureClass.PROTOCOL


def test_declaration_has_callbacks_without_a_secret() -> None:
    assert REHEARSAL.provider.callbacks
    assert REHEARSAL.provider.webhook_secret_env is None
