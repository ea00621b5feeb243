"""Signatures of webhooks, made and checked; the expected ones were made with openssl."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from musicgate import (
    ConfigError,
    RequestError,
    UnauthorisedError,
    verify_webhook,
)
from musicgate.model import Secret
from musicgate.settings.secrets import read_secret
from musicgate.webhooks.signing import sign

#: printf webhook-secret-not-real-0123456789 | base64
SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
EARLIER = "whsec_ZWFybGllci1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
AT = datetime(2026, 11, 20, 12, 0, 0, 900_000, tzinfo=UTC)
BODY = '{"type":"music.completed"}'


def test_a_message_is_signed_as_the_standard_says() -> None:
    assert sign([Secret(SECRET)], "msg_1", AT, BODY) == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1795176000",
        "webhook-signature": "v1,F9yerCF8T4Z422avy3kLmspjTkepWIUUdAZt15F2aYs=",
    }


def test_during_a_rotation_both_secrets_sign() -> None:
    headers = sign([Secret(SECRET), Secret(EARLIER)], "msg_1", AT, BODY)
    assert headers["webhook-signature"] == (
        "v1,F9yerCF8T4Z422avy3kLmspjTkepWIUUdAZt15F2aYs= v1,TmjxTmRrXOCE2jSghouRTUrXZzEkPDGtVTxu/29GVbo="
    )


def signed(body: str = BODY, *secrets: str, age_s: float = 0) -> dict[str, str]:
    chosen = [Secret(text) for text in secrets or (SECRET,)]
    return sign(chosen, "msg_1", datetime.now(UTC) - timedelta(seconds=age_s), body)


@pytest.mark.parametrize("secret", [SECRET, EARLIER, EARLIER.rstrip("="), f" {SECRET}\n"])
def test_a_receiver_may_know_either_secret(secret: str) -> None:
    headers = signed(BODY, SECRET, EARLIER)
    assert verify_webhook(headers, BODY.encode(), secret) == {"type": "music.completed"}
    assert verify_webhook({name.title(): value for name, value in headers.items()}, BODY, secret)


def test_a_body_in_any_language_is_signed_to_the_byte() -> None:
    body = '{"title":"音楽 ü"}'
    assert verify_webhook(signed(body), body.encode(), SECRET) == {"title": "音楽 ü"}


def test_another_implementation_of_the_receiver_agrees() -> None:
    headers = signed(BODY, EARLIER, SECRET)
    assert Webhook(SECRET).verify(BODY, headers) == {"type": "music.completed"}


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e999"},
        {"webhook-timestamp": ""},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,A"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
        {"webhook-signature": "\ud800,\x00 ,,,"},
    ],
)
def test_changed_headers_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(UnauthorisedError, match="not a webhook of ours") as caught:
        verify_webhook({**signed(), **changes}, BODY, SECRET)
    assert caught.value.reason == "invalid_webhook_signature"


def test_the_time_is_signed_as_well() -> None:
    headers = signed()
    later = {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)}
    with pytest.raises(UnauthorisedError, match="No matching signature"):
        verify_webhook({**headers, **later}, BODY, SECRET)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(name: str) -> None:
    headers = signed()
    del headers[name]
    with pytest.raises(UnauthorisedError):
        verify_webhook(headers, BODY, SECRET)


@pytest.mark.parametrize(
    ("body", "secret", "age_s"),
    [
        (BODY + " ", SECRET, 0),
        (b"\xff\xfe", SECRET, 0),
        (b"", SECRET, 0),
        (BODY, EARLIER, 0),
        (BODY, SECRET, 301),
        (BODY, SECRET, -301),
    ],
)
def test_another_body_secret_or_time_is_refused(body: Any, secret: str, age_s: float) -> None:
    with pytest.raises(UnauthorisedError):
        verify_webhook(signed(age_s=age_s), body, secret)


@pytest.mark.parametrize("body", ["[1]", "3", "null", "", "{", "[" * 100_000])
def test_a_signed_body_that_is_no_object_is_a_request_error(body: str) -> None:
    with pytest.raises(RequestError) as caught:
        verify_webhook(signed(body), body, SECRET)
    assert (caught.value.code, isinstance(caught.value, UnauthorisedError)) == ("invalid_json", False)


def test_a_signed_body_is_refused_four_hundred_seconds_later_but_not_two_hundred() -> None:
    assert verify_webhook(signed(age_s=200), BODY, SECRET) == {"type": "music.completed"}
    with pytest.raises(UnauthorisedError, match="too old"):
        verify_webhook(signed(age_s=400), BODY, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "test-key-not-real",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "QUJD" * 7 + "QUI",  # 23 bytes and a bit: no whole base64
        "whsec_" + "YWFh" * 22,  # 66 bytes
        "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwt MDEyMzQ1Njc4OQ==",
        "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwt-_EyMzQ1Njc4OQ==",
        "whsk_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ==",
        "whsec_é",
    ],
)
def test_a_secret_of_another_form_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError, match=r"webhooks\.secret in m\.toml: must be whsec_") as caught:
        read_secret(text, key="webhooks.secret", source="m.toml")
    assert len(text) < 7 or text not in str(caught.value)


@pytest.mark.parametrize("text", ["whsec_" + "YWFh" * 8, "whsec_" + "YWFh" * 21, SECRET.rstrip("=")])
def test_24_to_64_bytes_are_a_secret(text: str) -> None:
    assert read_secret(text, key="k").reveal() == text
    assert text not in repr(read_secret(text, key="k"))
