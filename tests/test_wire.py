import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import FailureClass, HttpRequest, HttpResponse, ProviderError

KEY = "test-key-not-real"


def test_post_json_is_compact_utf8() -> None:
    request = HttpRequest.post_json("https://a.test", {"words": "Grüße 🎷", "n": 0, "no": False, "x": None})
    assert request.method == "POST"
    assert request.body == '{"words":"Grüße 🎷","n":0,"no":false,"x":null}'.encode()
    assert request.headers == {"Content-Type": "application/json", "Accept": "application/json"}


def test_get_asks_for_json() -> None:
    assert HttpRequest.get("https://a.test") == HttpRequest(
        method="GET", url="https://a.test", headers={"Accept": "application/json"}
    )


def test_nan_is_never_sent() -> None:
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
def test_header_names_have_no_case(name: str) -> None:
    response = HttpResponse(status=200, headers={"X-song-ID": " 7 ", "empty": "  "})
    assert response.header(name) == "7"
    assert response.header("empty") is None
    assert response.header("absent") is None


@pytest.mark.parametrize(
    ("status", "good"), [(199, False), (200, True), (204, True), (299, True), (300, False), (500, False)]
)
def test_success_is_2xx(status: int, good: bool) -> None:
    assert HttpResponse(status=status).is_success is good


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, null, true]}', {"a": [1, 2.5, None, True]}),
        (b"null", None),
        (b'"text"', "text"),
        ('{"a": "ü"}'.encode("utf-16"), {"a": "ü"}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
    ],
)
def test_body_is_read_as_json(body: bytes, value: object) -> None:
    assert HttpResponse(status=200, body=body).json() == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"a": 1',
        b'{"a": NaN}',
        b"[Infinity]",
        b"\xff\xfe\xfa",
        b"[" * 100_000,
        b"9" * 10_000,
    ],
    ids=["empty", "html", "cut", "nan", "infinity", "no text", "deep", "long number"],
)
def test_body_that_is_no_json_is_a_protocol_fault(body: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        HttpResponse(status=418, body=body).json()
    error = caught.value
    assert (error.failure.reason, error.status, error.maybe_accepted) == (FailureClass.PROTOCOL, 418, True)
    assert str(error) == "the vendor's answer (HTTP 418) is not JSON"


@pytest.mark.parametrize(
    ("body", "kind"), [(b"[]", "list"), (b"null", "NoneType"), (b'"x"', "str"), (b"1", "int")]
)
def test_object_is_demanded(body: bytes, kind: str) -> None:
    with pytest.raises(ProviderError) as caught:
        HttpResponse(status=200, body=body).json_object()
    assert caught.value.failure.reason is FailureClass.PROTOCOL
    assert caught.value.maybe_accepted
    assert str(caught.value) == f"the vendor's answer (HTTP 200) is a JSON {kind}, not an object"
    assert HttpResponse(status=200, body=b"{}").json_object() == {}


@given(st.binary())
def test_whatever_the_bytes_only_a_provider_error_is_raised(body: bytes) -> None:
    try:
        assert isinstance(HttpResponse(status=200, body=body).json_object(), dict)
    except ProviderError as error:
        assert error.maybe_accepted
