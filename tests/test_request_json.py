"""Request bodies that are not JSON, and numbers that JSON cannot hold."""

from __future__ import annotations

import json

import pytest

from musicgate.errors import RequestError
from musicgate.plugin.wire import write_json
from musicgate.web.body import parse_json


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "it cannot be parsed at line 1, column 1"),
        (b"{", "it cannot be parsed at line 1, column 2"),
        (b'{"model":\n "suno/v5"', "it cannot be parsed at line 2, column 11"),
        (b"model=suno%2Fv5&prompt=rain", "it cannot be parsed at line 1, column 1"),
        (b"{'model': 'suno/v5'}", "it cannot be parsed at line 1, column 2"),
        (b'{"model": "suno/v5"} {}', "it cannot be parsed at line 1, column 22"),
        (b'{"duration": NaN}', "NaN is not JSON"),
        (b'{"duration": Infinity}', "Infinity is not JSON"),
        (b'{"duration": -Infinity}', "-Infinity is not JSON"),
        (b'{"prompt": "\xff"}', "it is not UTF-8"),
        (b"[" * 100_000, "it is nested too deeply"),
        (b'{"seed": 1e999}', "the number 1e999 is too large"),
        (b'{"suno": {"styleWeight": -1e400}}', "the number -1e400 is too large"),
        (b'{"seed": ' + b"1" * 5000 + b"}", "the number 111111111111... is too large"),
        (b'{"prompt": "two\nlines"}', "it cannot be parsed at line 1, column 16"),
        (b'\xef\xbb\xbf{"model": "m"}', "it cannot be parsed at line 1, column 1"),
        (b'{"a": [' + b"[" * 64 + b"]" * 64 + b"]}", "it is nested too deeply"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_a_body_that_is_not_json_is_refused_with_the_reason(raw: bytes, why: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_json(raw)
    assert caught.value.code == "invalid_json"
    assert str(caught.value) == f"the body is not JSON: {why}"


@pytest.mark.parametrize("text", ["8.0", "8e0", "80e-1"])
def test_a_number_keeps_its_value_in_every_spelling(text: str) -> None:
    assert parse_json(f'{{"duration": {text}}}'.encode()) == {"duration": 8}


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"seed": 18446744073709551616}', {"seed": 2**64}),
        (b'{"seed": -9223372036854775809}', {"seed": -(2**63) - 1}),
        (b'{"prompt": "1234567890123456789012"}', {"prompt": "1234567890123456789012"}),
        (b'{"title": "\\ud83d"}', {"title": "\ud83d"}),
        (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
        (b"[" + b"[],{}," * 40 + b"1]", [*[[], {}] * 40, 1]),
    ],
    ids=["large", "low", "digits in a text", "half a pair", "a key twice", "wide"],
)
def test_a_body_is_read_as_the_standard_library_reads_it(raw: bytes, value: object) -> None:
    assert parse_json(raw) == value == json.loads(raw)
    assert type(parse_json(raw)) is type(value)


def test_infinite_numbers_are_written_as_null() -> None:
    assert write_json({"a": [1e999, (-1e999, 1.5)], "b": {"c": float("nan")}}) == (
        b'{"a":[null,[null,1.5]],"b":{"c":null}}'
    )
