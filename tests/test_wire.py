from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import (
    FailureClass,
    HttpRequest,
    HttpResponse,
    ProviderError,
)

KEY = "test-key-not-real"


def test_post_json_is_compact_utf8() -> None:
    request = HttpRequest.post_json("https://a.test", {"words": "Grüße 🎷", "n": 0, "no": False, "x": None})
    assert request.method == "POST"
    assert request.body == '{"words":"Grüße 🎷","n":0,"no":false,"x":null}'.encode()
    assert request.headers == {"Content-Type": "application/json", "Accept": "application/json"}


def test_get_accepts_json() -> None:
    assert HttpRequest.get("https://a.test") == HttpRequest(
        method="GET", url="https://a.test", headers={"Accept": "application/json"}
    )


def test_post_json_refuses_nan() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        HttpRequest.post_json("https://a.test", {"weight": float("nan")})


def test_repr_shows_neither_header_values_nor_body() -> None:
    request = HttpRequest(
        method="POST", url="https://a.test", headers={"Authorization": KEY}, body=KEY.encode()
    )
    response = HttpResponse(status=200, headers={"Set-Cookie": KEY}, body=KEY.encode())
    assert repr(request) == (
        "HttpRequest(method='POST', url='https://a.test', headers={Authorization: ...}, body=<17 bytes>)"
    )
    assert KEY not in repr(response)
    assert "Set-Cookie: ..." in repr(response)


@pytest.mark.parametrize("name", ["x-song-id", "X-Song-Id", "X-SONG-ID"])
def test_header_names_are_case_insensitive_and_values_are_stripped(name: str) -> None:
    response = HttpResponse(status=200, headers={"X-song-ID": " 7 ", "empty": "  "})
    assert response.header(name) == "7"
    assert response.header("empty") is None
    assert response.header("absent") is None


@pytest.mark.parametrize(
    ("status", "good"), [(199, False), (200, True), (204, True), (299, True), (300, False), (500, False)]
)
def test_is_success_for_2xx_only(status: int, good: bool) -> None:
    assert HttpResponse(status=status).is_success is good


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        (b"null", None),
        (b'"text"', "text"),
        ('{"a": "ü"}'.encode("utf-16"), {"a": "ü"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}'.encode("utf-16-le"), {"a": 1}),
        (b'{"a": NaN, "id": "t-1", "b": [Infinity, -Infinity]}', {"a": None, "id": "t-1", "b": [None, None]}),
        (b'{"title": "two\nlines\r\n\tand\x00more"}', {"title": "two\nlines\r\n\tand\x00more"}),
        (b'{"title": "caf\xe9", "id": "t-1"}', {"title": "caf\ufffd", "id": "t-1"}),
        (b'{"seed": ' + b"9" * 5000 + b', "id": 7}', {"seed": None, "id": 7}),
    ],
)
def test_body_is_decoded_as_lenient_json(body: bytes, value: object) -> None:
    assert HttpResponse(status=200, body=body).json() == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b"\xff\xfe\xfa",
        b"[" * 100_000,
    ],
    ids=["empty", "html", "cut", "no text", "deep"],
)
def test_body_that_is_not_json_raises_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        HttpResponse(status=418, body=body).json()
    error = caught.value
    assert (error.failure.reason, error.status, error.maybe_accepted) == (FailureClass.PROTOCOL, 418, True)
    assert str(error) == "the vendor's answer (HTTP 418) is not JSON"


@pytest.mark.parametrize(
    ("body", "kind"), [(b"[]", "list"), (b"null", "NoneType"), (b'"x"', "str"), (b"1", "int")]
)
def test_json_object_refuses_every_other_json_value(body: bytes, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        HttpResponse(status=200, body=body).json_object()
    assert caught.value.failure.reason is FailureClass.PROTOCOL
    assert caught.value.maybe_accepted
    assert str(caught.value) == f"the vendor's answer (HTTP 200) is a JSON {kind}, not an object"
    assert HttpResponse(status=200, body=b"{}").json_object() == {}


@given(st.binary())
def test_json_object_raises_only_provider_errors_for_any_bytes(body: bytes) -> None:
    try:
        assert isinstance(HttpResponse(status=200, body=body).json_object(), dict)
    except ProviderError as error:
        assert error.maybe_accepted


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"url": "HTTPS://a.test"}, None),
        ({"headers": {"X-Tab": "a\tb", "X-Letter": "\xe9"}}, None),
        ({"method": "GE T"}, "its method is no HTTP method"),
        ({"method": None}, "its method is no HTTP method"),
        ({"url": b"https://a.test"}, "its address is not an http(s) URL"),
        ({"url": "ws://a.test"}, "its address is not an http(s) URL"),
        ({"url": "file:///etc/passwd"}, "its address is not an http(s) URL"),
        ({"body": "text"}, "its body is of the type str, not bytes"),
        ({"headers": [("X", "a")]}, "its headers are of the type list, not a mapping"),
        ({"headers": {"X": 5}}, "its header X is of the type int, not text"),
        ({"headers": {5: "X"}}, "a header cannot have the name 5"),
        ({"headers": {"X Y": "a"}}, "a header cannot have the name 'X Y'"),
        (
            {"headers": {"X": "one\ntwo"}},
            "its header X holds a line break or another letter that no header can hold",
        ),
        (
            {"headers": {"X": "\ud83d"}},
            "its header X holds a line break or another letter that no header can hold",
        ),
    ],
)
def test_request_fault_names_why_it_cannot_be_sent(changed: dict[str, Any], fault: str | None) -> None:
    request = attrs.evolve(HttpRequest.get("https://a.test"), **changed)
    assert request.fault() == fault
