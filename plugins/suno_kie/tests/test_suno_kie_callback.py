"""Callbacks: the shapes, and the signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

import musicgate_suno_kie
from musicgate.errors import ProviderError
from musicgate.model import ProviderSettings, Secret
from musicgate.plugin.hooks import CallbackClaim
from musicgate.testing.rehearsal import Rehearsal

PLUGIN = Rehearsal("suno_kie", musicgate_suno_kie).plugin
SECRET = "test-secret-not-real"
NOW = 1_790_000_000.0
BODY = {
    "code": 200,
    "msg": "All generated successfully.",
    "data": {"callbackType": "complete", "task_id": "abc", "data": []},
}


def claim(
    body: object,
    headers: dict[str, str] | None = None,
    *,
    secret: str | None = None,
    flavour: str = "kie",
) -> CallbackClaim:
    settings = ProviderSettings(
        base_url="https://api.kie.ai",
        options={"flavour": flavour},
        webhook_secret=Secret(secret) if secret else None,
    )
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return PLUGIN.parse_callback(headers or {}, content, settings, NOW)


def signed(task_id: str = "abc", at: float = NOW, secret: str = SECRET) -> dict[str, str]:
    timestamp = str(int(at))
    digest = hmac.new(secret.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return {"x-webhook-timestamp": timestamp, "x-webhook-signature": base64.b64encode(digest).decode()}


@pytest.mark.parametrize(
    ("body", "native_id", "status"),
    [
        (BODY, "abc", "complete"),
        ({"code": 200, "data": {"callbackType": "text", "task_id": "abc", "data": []}}, "abc", "text"),
        ({"code": 200, "data": {"callbackType": "first", "task_id": "abc", "data": [{}]}}, "abc", "first"),
        (
            {"code": 501, "msg": "no", "data": {"callbackType": "error", "task_id": "abc", "data": None}},
            "abc",
            "error",
        ),
        ({"code": 200, "data": {"taskId": "abc", "state": "success", "resultJson": "{}"}}, "abc", "success"),
        ({"code": 501, "data": {"taskId": "abc", "state": "fail", "failCode": "501"}}, "abc", "fail"),
        (
            {"code": 200, "data": {"taskId": "abc", "status": "SUCCESS", "response": {"sunoData": []}}},
            "abc",
            "SUCCESS",
        ),
        ({"code": 200, "taskId": "abc", "data": {"images": []}}, "abc", None),
        ({"code": 200, "task_id": 17, "data": None}, "17", None),
        ({"code": 500, "data": {"error": "?"}}, None, None),
        ({}, None, None),
    ],
)
def test_each_shape_is_read(body: object, native_id: str | None, status: str | None) -> None:
    assert claim(body) == CallbackClaim(native_id=native_id, native_status=status, verified=None)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"abc"', b"\xff", b"{"])
def test_body_that_is_not_an_object_is_an_error(body: bytes) -> None:
    with pytest.raises(ProviderError):
        claim(body)


def test_signature_is_the_documented_one() -> None:
    headers = {
        "x-webhook-timestamp": "1790000000",
        "x-webhook-signature": "XgEeSLzoAyDrpmELIz4R4KFLybVEbXR5HgkAiax886o=",
    }
    assert claim(BODY, headers, secret=SECRET).verified is True


@pytest.mark.parametrize(
    ("age_s", "is_valid"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_signature_is_valid_for_five_minutes(age_s: float, *, is_valid: bool) -> None:
    assert claim(BODY, signed(at=NOW - age_s), secret=SECRET).verified is is_valid


@pytest.mark.parametrize(
    "headers",
    [
        {**signed(), "x-webhook-timestamp": "soon"},
        {**signed(), "x-webhook-signature": "\udcff"},
        signed(task_id="other"),
    ],
)
def test_callback_with_a_wrong_signature_claims_nothing(headers: dict[str, str]) -> None:
    refused = claim(BODY, headers, secret=SECRET)
    assert refused.verified is False
    assert (refused.native_id, refused.native_status) == (None, None)
    assert refused.message
    assert SECRET not in refused.message


def test_unsigned_callback_is_refused_before_its_body_is_read() -> None:
    assert claim(b"<html>", secret=SECRET).verified is False


def test_signature_must_cover_the_id_that_is_claimed() -> None:
    body = {"taskId": "abc", "data": {"task_id": "evil"}}
    assert claim(body, signed("abc"), secret=SECRET).verified is False


def test_sunoapi_callbacks_need_no_signature() -> None:
    assert claim(BODY, secret=SECRET, flavour="sunoapi").verified is None
