from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import HttpResponse
from musicgate.plugin import lenient

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(_JSON | st.binary() | st.from_regex(r"[0-9.eE+ -]{0,40}s?") | st.from_regex(r"https?:.{0,20}"))
def test_no_reader_raises_for_any_json_value(value: Any) -> None:
    assert isinstance(lenient.mapping(value), dict)
    assert isinstance(lenient.snake_case(lenient.mapping(value)), dict)
    assert isinstance(lenient.items(value), list)
    for read in (lenient.text, lenient.url, lenient.seconds, lenient.integer, lenient.moment):
        read(value)


@given(
    st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,4} [A-Z][a-z]{2} [0-9]{1,12} .{0,9} [+-]?[0-9]{0,9}")
)
def test_retry_after_raises_for_no_header_value(value: str) -> None:
    wait_s = lenient.retry_after_s(HttpResponse(status=429, headers={"Retry-After": value, "Date": value}))
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize(("value", "expected"), [({"a": 1}, {"a": 1}), ([], {}), (None, {}), ("x", {})])
def test_mapping_of_anything_but_an_object_is_empty(value: object, expected: dict[str, object]) -> None:
    assert lenient.mapping(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"a": 1}, None, "x", {"b": 2}, [{"c": 3}]], [{"a": 1}, {"b": 2}]),
        ({"a": 1}, [{"a": 1}]),
        (None, []),
        ("text", []),
        ([], []),
    ],
)
def test_items_are_the_objects_of_a_list_or_a_single_object(value: object, expected: list[object]) -> None:
    assert lenient.items(value) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"a": None, "b": "  ", "c": 0, "d": 1}, 0),
        ({"b": "", "d": False}, False),
        ({"a": [], "d": 1}, []),
        ({"z": 1}, None),
    ],
)
def test_first_skips_missing_null_and_blank_values(source: dict[str, object], expected: object) -> None:
    assert lenient.first(source, "a", "b", "c", "d") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" abc ", "abc"),
        ("", None),
        (" \n", None),
        (17, "17"),
        (0, "0"),
        (True, None),
        (1.5, None),
        (None, None),
        (["a"], None),
    ],
)
def test_text_is_stripped_and_numbers_become_digits(value: object, expected: str | None) -> None:
    assert lenient.text(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" https://a.test/x?y=%20 ", "https://a.test/x?y=%20"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80/"),
        ("HTTPS://a.test", "HTTPS://a.test"),
        ("", None),
        ("/relative", None),
        ("ftp://a.test/x", None),
        ("data:audio/mp3;base64,AA", None),
        ("https://", None),
        ("http://[::1", None),
        (5, None),
        (None, None),
    ],
)
def test_url_is_absolute_http_or_none(value: object, expected: str | None) -> None:
    assert lenient.url(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (186, 186.0),
        (186.5, 186.5),
        ("186.5", 186.5),
        ("186 s", 186.0),
        ("PT1H2M3.5S", 3723.5),
        ("PT", None),
        ("P1D", None),
        (" 12SECONDS ", 12.0),
        ("3 sec", 3.0),
        ("", None),
        ("long", None),
        ("1m", None),
        ("-5", None),
        (0, None),
        ("0", None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        ("9" * 400, None),
        (True, None),
        (None, None),
        ({}, None),
    ],
)
def test_seconds_are_positive_and_finite_with_or_without_a_unit(
    value: object, expected: float | None
) -> None:
    assert lenient.seconds(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (-5, -5),
        (5.0, 5),
        (" 17 ", 17),
        ("-3", -3),
        ("0\x1f", 0),
        ("1.0", None),
        (5.5, None),
        (float("inf"), None),
        (True, None),
        ("", None),
        ("9" * 19, None),
        (None, None),
    ],
)
def test_integer_is_a_whole_number_or_its_digits(value: object, expected: int | None) -> None:
    assert lenient.integer(value) == expected
    assert not isinstance(lenient.integer(value), bool)


NOON = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_782_907_200, NOON),
        (1_782_907_200_000, NOON),
        ("1782907200000", NOON),
        ("2026-07-01T12:00:00Z", NOON),
        ("2026-07-01T14:00:00+02:00", NOON),
        ("2026-07-01T12:00:00", NOON),
        (" 2026-07-01 12:00:00 ", NOON),
        (1_782_907_200_500, NOON.replace(microsecond=500_000)),
        ("yesterday", None),
        ("", None),
        (10**30, None),
        (-(10**30), None),
        ("0001-01-01T00:00:00+14:00", None),
        (True, None),
        (None, None),
    ],
)
def test_moment_is_utc_from_epoch_numbers_and_iso_text(value: object, expected: datetime | None) -> None:
    assert lenient.moment(value) == expected


DATE = "Wed, 01 Jul 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"RETRY-AFTER": "Wed, 01 Jul 2026 12:01:30 GMT", "Date": DATE}, 90.0),
        ({"Retry-After": "Wed, 01 Jul 2026 11:00:00 GMT", "Date": DATE}, 0.0),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:10 GMT"}, 5.0),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:10 -0000", "Date": DATE}, 10.0),
        ({"Retry-After": "soon", "Date": DATE}, None),
        ({"Retry-After": "-5", "Date": DATE}, None),
        ({"Retry-After": f"Wed, 01 Jul {'9' * 20} 12:00:00 GMT", "Date": DATE}, None),
        ({"Retry-After": "Wed, 01 Jul 2026 12:00:00 +99999999999", "Date": DATE}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], expected: float | None) -> None:
    received_at = NOON.replace(second=5)
    assert (
        lenient.retry_after_s(HttpResponse(status=429, headers=headers, received_at=received_at)) == expected
    )


def test_retry_after_as_a_date_needs_a_clock() -> None:
    assert lenient.retry_after_s(HttpResponse(status=429, headers={"Retry-After": DATE})) is None


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ('{"a": NaN, "b": "x\ny"}', {"a": None, "b": "x\ny"}),
        ("\ufeff[1]", [1]),
        ("no json", None),
        ("[" * 100_000, None),
        ({"a": 1}, {"a": 1}),
        (7, 7),
        (None, None),
    ],
    ids=["lenient", "byte order mark", "no json", "deep", "object", "number", "nothing"],
)
def test_json_inside_json_is_decoded_leniently(value: object, read: object) -> None:
    assert lenient.json_text(value) == read


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (40, 0.4),
        ("40", 0.4),
        ("40 %", 0.4),
        (100.0, 1.0),
        (0, 0.0),
        (101, None),
        (-1, None),
        (10**400, None),
        (float("nan"), None),
        (True, None),
        ("half", None),
        (None, None),
    ],
)
def test_fraction_of_a_whole(value: object, expected: float | None) -> None:
    assert lenient.fraction(value, 100) == expected


def test_keys_are_read_in_either_spelling() -> None:
    inside = {"startMs": 1}
    source = {"songMetadata": inside, "is_explicit": False, "title": "T", "title_x2": 2, "titleX2": 1}
    read = lenient.snake_case(source)
    assert (read["song_metadata"], read["is_explicit"], read["title_x2"]) == (inside, False, 2)
    assert lenient.snake_case({}) == {}
