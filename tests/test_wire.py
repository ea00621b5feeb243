import json
import math
from dataclasses import make_dataclass
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import (
    FailureClass,
    HttpRequest,
    HttpResponse,
    JobState,
    ProviderError,
)
from musicgate.plugin.wire import read_json, write_json

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
        ({"headers": {"": "a", "X": "b"}}, "a header cannot have the name ''"),
        ({"headers": {"X": "a", "Y": 5}}, "its header Y is of the type int, not text"),
        ({"headers": {}}, None),
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


# --- where orjson and the standard library differ ---


@pytest.mark.parametrize(
    "text",
    [
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775808",
        "-9223372036854775809",
        "123456789012345678901234567890",
        '{"task": 1234567890123456789012}',
        "1234567890123456789.5",
        "-0",
        "-0.0",
        "1e-400",
        '"1234567890123456789012"',
        '"id: 1234567890123456789012"',
        '{"id": "1234567890123456789012", "n":\t1234567890123456789012}',
        '["1234567890123456789012",1234567890123456789012]',
        "[1234567890123456789012]",
        '{"n":1234567890123456789012}',
        "[0,\n1234567890123456789012]",
        "[0,\r1234567890123456789012]",
        "[0,-1234567890123456789012]",
        "0.1234567890123456789012",
        "1e-0000000000000000000000012",
        "1e+0000000000000000000000012",
        "1e0000000000000000000000012",
        '{"a": 1, "b": 2, "a": 3}',
        '"\\ud83d"',
        '"\\u0000"',
        '{"\\ud83d": 1}',
        " [1]\n",
    ],
)
def test_json_is_read_as_the_standard_library_reads_it(text: str) -> None:
    expected = repr(json.loads(text))
    assert repr(read_json(text)) == expected
    assert repr(read_json(text.encode())) == expected


def test_a_number_beyond_all_floats_is_read_as_infinity() -> None:
    assert read_json(b"[1e999, -1e999]") == [math.inf, -math.inf]


def test_half_of_a_surrogate_pair_in_a_text_is_read() -> None:
    assert read_json('["\ud83d"]') == ["\ud83d"]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_written_and_read_as_by_the_standard_library(value: Any) -> None:
    written = write_json(value)
    assert json.loads(written) == value
    assert repr(read_json(written)) == repr(json.loads(written))
    plain = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if "e-" not in plain:  # 1e-05 is written as 0.00001
        assert written == plain.encode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("value", "body"),
    [
        ({"id": 2**64, "low": -(2**63) - 1}, b'{"id":18446744073709551616,"low":-9223372036854775809}'),
        ({1: "one", None: True}, b'{"1":"one","null":true}'),
        ({"half": "\ud83d"}, b'{"half":"\\ud83d"}'),
        ((1, ("a",)), b'[1,["a"]]'),
        ({"state": JobState.COMPLETED, JobState.FAILED: 1}, b'{"state":"completed","failed":1}'),
        ({"a": math.nan, "b": [math.inf]}, b'{"a":null,"b":[null]}'),
        ({"a": math.nan, "b": 2**64}, b'{"a":null,"b":18446744073709551616}'),
        ('\x00\x1f\x7f\u2028/"\\', b'"\\u0000\\u001f\x7f\xe2\x80\xa8/\\"\\\\"'),
    ],
)
def test_what_orjson_refuses_is_written_all_the_same(value: object, body: bytes) -> None:
    assert write_json(value) == body


@pytest.mark.parametrize(
    "value", [datetime(2026, 11, 1, tzinfo=UTC), make_dataclass("Pair", "ab")(1, 2), b"bytes", {1, 2}]
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        write_json({"value": value})
    with pytest.raises(TypeError):
        HttpRequest.post_json("https://a.test", {"value": value})


def test_post_json_writes_integers_beyond_64_bits_and_null() -> None:
    assert HttpRequest.post_json("https://a.test", {"seed": 2**64, "x": None}).body == (
        b'{"seed":18446744073709551616,"x":null}'
    )


def test_post_json_refuses_half_of_a_surrogate_pair() -> None:
    with pytest.raises(UnicodeEncodeError):
        HttpRequest.post_json("https://a.test", {"title": "\ud83d"})
