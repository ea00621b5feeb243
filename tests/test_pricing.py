"""What a job used and costs is exact, never overflows, and is unknown rather than wrong."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import Track
from musicgate.model import (
    Asset,
    Meter,
    Offer,
    PriceLine,
    PriceRule,
    Usage,
)
from musicgate.planning.pricing import (
    MAX_USD_NANOS,
    expected_usd_nanos,
    measure_usage,
    price_lines,
    usd_nanos,
    why_unpriced,
)

PER_REQUEST = PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("0.06"))
PER_MINUTE = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.30"), unit_size=Decimal(60))
PER_TRACK = PriceRule(meter=Meter.OUTPUT_AUDIO_COUNT, price_usd=Decimal("0.15"))


def kept(index: int, duration_s: float) -> Track:
    asset = Asset(name="a", kind="mp3", content_type="audio/mpeg", size_bytes=1, duration_s=duration_s)
    return Track(index=index, asset=asset, duration_s=999.0)


def linked(index: int, duration_s: float | None = None, broken: str | None = None) -> Track:
    return Track(index=index, audio_url="https://cdn.test/1", duration_s=duration_s, failure_message=broken)


@pytest.mark.parametrize(
    ("tracks", "count", "seconds"),
    [
        ([], 0, 0.0),
        ([kept(0, 12.5)], 1, 12.5),
        ([kept(0, 0.1), kept(1, 0.2)], 2, 0.3),
        ([kept(0, 1.23456)], 1, 1.235),
        ([linked(0, 30.0), linked(1, 31.5)], 2, 61.5),
        ([linked(0), kept(1, 10.0)], 2, 10.0),
        ([linked(0, 30.0, broken="HTTP 403"), kept(1, 10.0)], 1, 10.0),
        ([Track(index=0, stream_audio_url="https://s.test/1", duration_s=5.0)], 0, 0.0),
    ],
)
def test_usage_is_measured_from_what_was_delivered(tracks: list[Track], count: int, seconds: float) -> None:
    usage = measure_usage(tracks, [])
    assert (usage.requests, usage.output_audio_count, usage.output_audio_seconds) == (1, count, seconds)


@pytest.mark.parametrize(
    ("rule", "nanos"),
    [
        (PER_REQUEST, 60_000_000),
        (PER_MINUTE, 307_500_000),
        (PER_TRACK, 300_000_000),
    ],
)
def test_each_rule_makes_one_line(rule: PriceRule, nanos: int) -> None:
    usage = measure_usage([linked(0, 30.0), linked(1, 31.5)], [rule])
    assert usage.lines is not None
    assert [line.price_usd_nanos for line in usage.lines] == [nanos]
    assert usage.total_usd_nanos == nanos


def test_line_shows_its_sum() -> None:
    line = PriceLine(
        meter=Meter.OUTPUT_AUDIO_SECONDS,
        quantity=Decimal("61.5"),
        unit_size=Decimal(60),
        price_per_unit_usd=Decimal("0.30"),
        price_usd_nanos=307_500_000,
    )
    assert price_lines([PER_MINUTE], {Meter.OUTPUT_AUDIO_SECONDS: Decimal("61.5")}) == (line,)


def test_rules_add_up() -> None:
    usage = measure_usage([kept(0, 60.0)], [PER_REQUEST, PER_MINUTE, PER_TRACK])
    assert usage.total_usd_nanos == 510_000_000


def test_no_rate_card_means_unknown_and_not_free() -> None:
    assert measure_usage([kept(0, 1.0)], []).total_usd_nanos is None
    assert Usage(lines=()).total_usd_nanos == 0


@pytest.mark.parametrize(
    ("usd", "nanos"),
    [("0.06", 60_000_000), ("0.0000000005", 1), ("0.00000000049", 0), ("12", 12_000_000_000), ("0", 0)],
)
def test_billionths_are_rounded_half_up(usd: str, nanos: int) -> None:
    assert usd_nanos(Decimal(usd)) == nanos


def test_a_third_of_a_price_is_rounded_once() -> None:
    rule = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.000000003"), unit_size=Decimal(6))
    assert [measure_usage([kept(0, seconds)], [rule]).total_usd_nanos for seconds in (0.999, 1.0, 5.0)] == [
        0,
        1,
        3,
    ]


@pytest.mark.parametrize("length_s", [1e10, 1.9e14, float("inf"), float("nan"), -1.0, 0.0, 86_400.1])
def test_an_impossible_length_is_not_counted_and_not_priced(length_s: float) -> None:
    for track in (kept(0, length_s), linked(0, length_s)):
        usage = measure_usage([track, kept(1, 10.0)], [PER_MINUTE])
        assert (usage.output_audio_count, usage.output_audio_seconds, usage.lines) == (2, 10.0, None)
        assert "price is not known" in (why_unpriced(usage, [PER_MINUTE]) or "")
        assert measure_usage([track], [PER_REQUEST]).total_usd_nanos == 60_000_000


def test_an_unknown_length_is_not_free_where_seconds_are_priced() -> None:
    assert measure_usage([linked(0)], [PER_MINUTE]).total_usd_nanos is None
    assert measure_usage([linked(0)], [PER_TRACK]).total_usd_nanos == 150_000_000


@pytest.mark.parametrize(
    ("price_usd", "unit_size"),
    [
        ("NaN", "1"), ("Infinity", "1"), ("-1", "1"), ("1e999999", "1"), ("1e-999999", "1"), ("1", "0"), ("1", "-60"),
        ("10000.000000001", "1"), ("1", "1e-20"),
    ],
)  # fmt: skip
def test_an_impossible_rate_card_gives_no_price(price_usd: str, unit_size: str) -> None:
    rule = PriceRule(meter=Meter.REQUESTS, price_usd=Decimal(price_usd), unit_size=Decimal(unit_size))
    usage = measure_usage([kept(0, 10.0)], [rule])
    assert (usage.output_audio_seconds, usage.total_usd_nanos) == (10.0, None)
    assert expected_usd_nanos(Offer(model="m", native_model=None, prices=(rule,)), None) is None


def test_a_priced_job_has_no_reason_for_a_missing_price() -> None:
    usage = measure_usage([kept(0, 10.0)], [PER_MINUTE])
    assert why_unpriced(usage, [PER_MINUTE]) is None
    assert why_unpriced(measure_usage([kept(0, 10.0)], []), []) is None


LENGTHS = st.none() | st.floats(allow_nan=True, allow_infinity=True)
NUMBERS = st.decimals(allow_nan=True, allow_infinity=True) | st.decimals("0.0001", 100)


@given(
    lengths=st.lists(st.tuples(LENGTHS, st.booleans()), max_size=5),
    rules=st.lists(st.tuples(st.sampled_from(Meter), NUMBERS, NUMBERS), max_size=4),
)
def test_no_track_and_no_rate_card_upsets_the_pricing(
    lengths: list[tuple[float | None, bool]], rules: list[tuple[Meter, Decimal, Decimal]]
) -> None:
    tracks = [
        kept(index, length) if is_kept and length is not None else linked(index, length)
        for index, (length, is_kept) in enumerate(lengths)
    ]
    prices = [PriceRule(meter=meter, price_usd=price, unit_size=size) for meter, price, size in rules]
    usage = measure_usage(tracks, prices)
    assert 0 <= usage.output_audio_seconds <= 86_400 * len(tracks)
    total = usage.total_usd_nanos
    assert total is None or 0 <= total <= MAX_USD_NANOS < 2**63 / 900_000
