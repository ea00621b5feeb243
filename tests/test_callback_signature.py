"""Declared callback signatures: the time in the same header, ISO 8601, a digest of the body."""

import pytest

from musicgate.plugin import CallbackSignature, SignatureEncoding

STRIPED = CallbackSignature(header="X-Sign", form="t={timestamp},v1={signature}", signed="{timestamp}.{body}")
ISO = CallbackSignature(
    header="X-Sign",
    form="at={timestamp}; sig={signature}",
    signed="{timestamp}\n{body_sha256}",
    encoding=SignatureEncoding.BASE64,
    iso_time=True,
)
NOW = 1_700_000_000


def fault(signature: CallbackSignature, header: str, now: float = NOW) -> str | None:
    return signature.fault("s", {"x-sign": header}, body=b"{}", native_id=None, now=now)


def test_time_and_signature_are_read_from_one_header() -> None:
    header = STRIPED.sign("s", body=b"{}", timestamp=STRIPED.written(NOW))
    # HMAC-SHA256 of "1700000000.{}" with the key "s".
    assert header == "t=1700000000,v1=e9232c9945da8456c2dea6b39da7786c07b00bca7a64d5dd1283674713a7b72a"
    assert fault(STRIPED, header) is None
    assert fault(STRIPED, header, NOW + 301) == "the signature is too old or from the future"
    assert fault(STRIPED, header.replace("1700000000", "1700000001")) == "the signature does not match"


def test_iso_time_and_digest_of_the_body_are_signed() -> None:
    header = ISO.sign("s", body=b"{}", timestamp=ISO.written(NOW))
    assert header.startswith("at=2023-11-14T22:13:20Z; sig=")
    assert fault(ISO, header) is None
    assert fault(ISO, ISO.sign("s", body=b"[]", timestamp=ISO.written(NOW))) == "the signature does not match"


@pytest.mark.parametrize("header", ["", "sig=x", "at=now; sig=x", "at=2023-11-14T22:13:20Z", "at=; sig="])
def test_header_of_another_form_is_not_signed(header: str) -> None:
    assert fault(ISO, header) == "the callback is not signed"


@pytest.mark.parametrize(
    ("signature", "message"),
    [
        (CallbackSignature(header="X", form="v1"), "has the header 'v1', which needs {signature} once"),
        (CallbackSignature(header="X", form="{timestamp} {signature}"), "a timestamp needs both its header"),
    ],
)
def test_form_that_contradicts_the_rest_is_named(signature: CallbackSignature, message: str) -> None:
    assert message in (signature.contradiction() or "")
