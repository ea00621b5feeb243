from decimal import Decimal

import pytest

from musicgate import Track
from musicgate.model import Asset, Meter, PriceLine, PriceRule, Usage
from musicgate.pricing import measure_usage, price_lines, usd_nanos

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
def test_one_line_a_rule(rule: PriceRule, nanos: int) -> None:
    usage = measure_usage([linked(0, 30.0), linked(1, 31.5)], [rule])
    assert usage.lines is not None
    assert [line.price_usd_nanos for line in usage.lines] == [nanos]
    assert usage.total_usd_nanos == nanos


def test_line_shows_its_sum() -> None:
    (line,) = price_lines([PER_MINUTE], {Meter.OUTPUT_AUDIO_SECONDS: Decimal("61.5")})
    assert line == PriceLine(
        meter=Meter.OUTPUT_AUDIO_SECONDS,
        quantity=Decimal("61.5"),
        unit_size=Decimal(60),
        price_per_unit_usd=Decimal("0.30"),
        price_usd_nanos=307_500_000,
    )


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
