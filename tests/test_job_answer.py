"""The ``Date`` of answers; the whole head is compared with aiohttp's in tests/e2e/test_e2e_http.py."""

import pytest

from musicgate.web import job_answer


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def time(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (1_790_000_000.999, "Mon, 21 Sep 2026 14:13:20 GMT"),
        (1_790_000_001.0, "Mon, 21 Sep 2026 14:13:21 GMT"),
        (1_789_999_999.5, "Mon, 21 Sep 2026 14:13:19 GMT"),
    ],
)
def test_the_date_is_that_of_the_current_second(
    monkeypatch: pytest.MonkeyPatch, now: float, text: str
) -> None:
    clock, date = Clock(), job_answer._Date()
    monkeypatch.setattr(job_answer, "time", clock)
    clock.now = 1_790_000_000.0
    assert date.text() == "Mon, 21 Sep 2026 14:13:20 GMT"
    clock.now = now
    assert date.text() == text
