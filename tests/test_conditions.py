"""Conditional requests and ranges against RFC 9110, section by section."""

from datetime import UTC, datetime, timedelta

import pytest

from musicgate.web.conditions import (
    Conditions,
    RangeError,
    matches,
    read_range,
)

CHANGED = datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC)
BEFORE, SAME, AFTER = (CHANGED.replace(microsecond=0) + timedelta(seconds=step) for step in (-1, 0, 1))
LATER = CHANGED + timedelta(hours=1)
DATE = "Fri, 20 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("field", "strong", "weak"),
    [
        ('"a"', True, True),
        ('W/"a"', False, True),
        ('"b", "a"', True, True),
        ('"b" ,W/"a"', False, True),
        (' , ,"a",, ', True, True),
        ("*", True, True),
        (" * ", True, True),
        ('"b"', False, False),
        ("", False, False),
        ("a", False, False),
        ('"a', False, False),
        ('"a" "b"', False, False),
        ('"a", b', False, False),
        ('w/"a"', False, False),
        ('"*"', False, False),
        ('"b,a"', False, False),
        ('"A"', False, False),
    ],
)
def test_entity_tags_are_compared_as_rfc_9110_8_8_3_2_requires(field: str, strong: bool, weak: bool) -> None:
    assert matches(field, '"a"', is_weak_enough=False) is strong
    assert matches(field, '"a"', is_weak_enough=True) is weak


def test_weak_entity_tag_of_the_server_matches_weakly_only() -> None:
    assert matches('W/"a"', 'W/"a"', is_weak_enough=True)
    assert not matches('W/"a"', 'W/"a"', is_weak_enough=False)


@pytest.mark.parametrize(
    ("conditions", "get", "delete"),
    [
        (Conditions(), None, None),
        (Conditions(if_match='"a"'), None, None),
        (Conditions(if_match='"b"'), 412, 412),
        (Conditions(if_match="*"), None, None),
        (Conditions(if_none_match='"a"'), 304, 412),
        (Conditions(if_none_match='"b"'), None, None),
        (Conditions(if_none_match="*"), 304, 412),
        (Conditions(if_unmodified_since=BEFORE), 412, 412),
        (Conditions(if_unmodified_since=SAME), None, None),
        (Conditions(if_modified_since=BEFORE), None, None),
        (Conditions(if_modified_since=SAME), 304, None),
        (Conditions(if_modified_since=AFTER), 304, None),
        # The order of 13.2.2: the tag beats the date of its kind, and If-Match comes before If-None-Match.
        (Conditions(if_match='"a"', if_unmodified_since=BEFORE), None, None),
        (Conditions(if_none_match='"b"', if_modified_since=AFTER), None, None),
        (Conditions(if_match='"b"', if_none_match='"a"'), 412, 412),
        (Conditions(if_match='"a"', if_none_match='"a"'), 304, 412),
    ],
)
def test_conditions_are_evaluated_in_the_order_of_13_2_2(
    conditions: Conditions, get: int | None, delete: int | None
) -> None:
    assert conditions.status("GET", '"a"', CHANGED) == get
    assert conditions.status("HEAD", '"a"', CHANGED) == get
    assert conditions.status("DELETE", '"a"', CHANGED) == delete


def test_date_conditions_are_ignored_without_a_last_modified_date() -> None:
    assert Conditions(if_modified_since=AFTER).status("GET", '"a"') is None
    assert Conditions(if_unmodified_since=BEFORE).status("GET", '"a"') is None


@pytest.mark.parametrize(
    ("if_range", "counts"),
    [
        (None, True),
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        (DATE, True),
        ("Fri, 20 Nov 2026 10:00:01 GMT", False),
        ("Friday, 20-Nov-26 10:00:00 GMT", False),
        ("x", False),
    ],
)
def test_range_counts_only_for_the_version_in_if_range(if_range: str | None, counts: bool) -> None:
    assert Conditions(if_range=if_range).range_counts('"a"', DATE, CHANGED, LATER) is counts


def test_date_of_a_file_that_was_just_written_is_no_strong_validator() -> None:
    now = CHANGED + timedelta(seconds=1)
    assert Conditions(if_range=DATE).range_counts('"a"', DATE, CHANGED, now) is False


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("bytes=0-0", (0, 0)),
        ("bytes=0-99", (0, 99)),
        ("bytes=10-", (10, 99)),
        ("bytes=-10", (90, 99)),
        ("bytes=-1000", (0, 99)),
        ("bytes=50-1000", (50, 99)),
        ("Bytes=1-2", (1, 2)),
        (" bytes=1-2 ", (1, 2)),
        ("bytes=1-2,", (1, 2)),
        ("bytes=200-300, 1-2", (1, 2)),
        ("bytes=0-" + "9" * 5000, (0, 99)),
        # Several ranges are answered with the whole file.
        ("bytes=0-1,4-5", None),
        ("bytes=-1,0-0", None),
        # Malformed ranges are ignored, and so is another unit.
        ("bytes=5-2", None),
        ("bytes=0-1,5-2", None),
        ("bytes=x", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes=1-2-3", None),
        ("bytes=+1-2", None),
        ("bytes=\u00b2-3", None),
        ("bytes 1-2", None),
        ("items=1-2", None),
        ("", None),
    ],
)
def test_range_is_read_as_rfc_9110_14_1_2_requires(field: str, found: tuple[int, int] | None) -> None:
    assert read_range(field, 100) == found


@pytest.mark.parametrize(
    "field", ["bytes=100-", "bytes=100-200", "bytes=-0", f"bytes={'9' * 5000}-", "bytes=100-,200-"]
)
def test_range_that_does_not_overlap_the_file_is_an_error(field: str) -> None:
    with pytest.raises(RangeError):
        read_range(field, 100)


def test_empty_file_has_no_range() -> None:
    with pytest.raises(RangeError):
        read_range("bytes=0-", 0)
