import pytest

from musicgate import Failure, FailureClass
from musicgate.engine.breaker import Breaker
from musicgate.engine.health import ProviderHealth
from musicgate.model import RULES, BreakerState
from tests.sample_jobs import START

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def after(breaker: Breaker, now_s: float, calls: str) -> Breaker:
    """The breaker after these calls at one moment: ``.`` good, ``x`` error."""
    for call in calls:
        breaker = breaker.with_call(now_s, was_there=call == ".")
    return breaker


def opened(now_s: float = 0.0) -> Breaker:
    return after(Breaker(), now_s, "xxxxxxxx")


@pytest.mark.parametrize(
    ("calls", "state"),
    [
        ("", CLOSED),
        ("xxxxxxx", CLOSED),
        ("xxxxxxxx", OPEN),
        ("....xxxx", OPEN),
        (".....xxxx", CLOSED),
        (".....xxxxx", OPEN),
        ("xxxx....", CLOSED),  # opens at an error, not at a success
        ("xxxx....x", OPEN),
        ("....................", CLOSED),
    ],
)
def test_errors_in_half_of_eight_calls_open_the_breaker(calls: str, state: BreakerState) -> None:
    assert after(Breaker(), 0.0, calls).state(0.0) is state


def test_only_the_last_minute_counts() -> None:
    breaker = after(Breaker(), 0.0, "xxxxxxx")
    assert breaker.calls(59.0) == (7, 7)
    assert breaker.calls(60.0) == (0, 0)
    assert after(breaker, 60.0, "x").state(60.0) is CLOSED
    assert after(breaker, 59.0, "x").state(59.0) is OPEN


def test_the_memory_does_not_grow_with_the_traffic() -> None:
    breaker = Breaker()
    for moment in range(3_000):
        breaker = breaker.with_call(moment / 10, was_there=True)
    assert len(breaker.slices) <= 7
    assert breaker.calls(299.9)[0] >= 500


@pytest.mark.parametrize(
    ("now_s", "state"), [(0.0, OPEN), (29.9, OPEN), (30.0, HALF_OPEN), (999.0, HALF_OPEN)]
)
def test_a_breaker_is_open_for_thirty_seconds(now_s: float, state: BreakerState) -> None:
    assert opened().state(now_s) is state


def test_each_error_while_half_open_doubles_the_open_time_up_to_a_quarter_of_an_hour() -> None:
    breaker, now_s, lengths_s = opened(), 0.0, list[float]()
    for _ in range(7):
        assert breaker.open_until_s is not None
        lengths_s.append(breaker.open_until_s - now_s)
        now_s = breaker.open_until_s
        breaker = after(breaker, now_s, "x")
    assert lengths_s == [30, 60, 120, 240, 480, 900, 900]


@pytest.mark.parametrize(
    ("now_s", "calls", "state"),
    [
        (30.0, "....", HALF_OPEN),
        (30.0, ".....", CLOSED),
        (30.0, "....x", OPEN),
        (5.0, ".....", CLOSED),  # no other provider could be asked
        (5.0, "....x....", OPEN),
        (5.0, "x", OPEN),
    ],
)
def test_five_good_calls_in_a_row_close_the_breaker(now_s: float, calls: str, state: BreakerState) -> None:
    assert after(opened(), now_s, calls).state(now_s) is state


def test_an_error_while_open_does_not_extend_the_open_time() -> None:
    assert after(opened(), 5.0, "xxx").open_until_s == 30.0


def test_a_breaker_that_closes_starts_over() -> None:
    closed = after(opened(), 30.0, ".....")
    assert closed == Breaker()
    assert after(closed, 31.0, "xxxxxxxx").open_until_s == 61.0


def test_one_request_in_twenty_is_a_probe_while_half_open() -> None:
    breaker, kept = opened(), []
    for _ in range(41):
        kept.append(breaker.keeps_its_place(30.0))
        breaker = breaker.with_request(30.0)
    assert [index for index, keeps in enumerate(kept) if keeps] == [0, 20, 40]


def test_the_first_request_after_each_open_time_is_a_probe() -> None:
    breaker = opened()
    for _ in range(7):
        breaker = breaker.with_request(30.0)
    assert not breaker.keeps_its_place(30.0)
    assert after(breaker, 30.0, "x").keeps_its_place(90.0)


@pytest.mark.parametrize(("breaker", "keeps"), [(Breaker(), True), (opened(), False)])
def test_requests_count_only_while_half_open(breaker: Breaker, *, keeps: bool) -> None:
    assert breaker.keeps_its_place(1.0) is keeps
    assert breaker.with_request(1.0) == breaker


def test_a_clock_that_is_set_back_does_not_keep_the_breaker_open() -> None:
    assert opened(10_000.0).state(9_500.0) is OPEN
    assert opened(10_000.0).state(5_000.0) is HALF_OPEN


#: True = the vendor was there.
TABLE = {
    FailureClass.AUTH: True,
    FailureClass.FORBIDDEN: True,
    FailureClass.CREDITS: True,
    FailureClass.RATE_LIMITED: True,
    FailureClass.INVALID: True,
    FailureClass.MODERATION: True,
    FailureClass.UNSUPPORTED: True,
    FailureClass.NOT_FOUND: True,
    FailureClass.CONFLICT: True,
    FailureClass.UNAVAILABLE: False,
    FailureClass.UPSTREAM_FAILED: False,
    FailureClass.TIMEOUT: False,
    FailureClass.PROTOCOL: False,
    FailureClass.UNKNOWN_OUTCOME: False,
    FailureClass.EXPIRED: None,
    FailureClass.CANCELLED: None,
    FailureClass.GATEWAY: None,
}


@pytest.mark.parametrize("reason", FailureClass)
def test_each_class_of_failure_says_whether_the_vendor_was_there(reason: FailureClass) -> None:
    assert RULES[reason].is_there is TABLE[reason]


def test_an_accepted_call_is_good_and_our_own_error_does_not_count() -> None:
    health = ProviderHealth("one")
    health.note_call(None, START)
    health.note_call(Failure(reason=FailureClass.GATEWAY, message="a bug"), START)
    health.note_call(Failure(reason=FailureClass.TIMEOUT, message="no answer"), START)
    assert (health.report(START).calls, health.report(START).error_rate) == (2, 0.5)
