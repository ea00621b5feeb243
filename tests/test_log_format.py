"""Log lines as JSON: the facts of each template by their names, on one line whatever they hold."""

import json
import logging
from typing import Any

import pytest

from musicgate.cli.log_format import JsonFormatter


def line(message: str, *args: object, error: Exception | None = None) -> dict[str, Any]:
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    record = logging.LogRecord("musicgate.x", logging.INFO, "", 0, message, args, exc_info)
    record.created = 1_795_950_000.25
    text = JsonFormatter().format(record)
    assert "\n" not in text
    assert text.isascii()
    found: dict[str, Any] = json.loads(text)
    assert found.pop("time") == "2026-11-29T11:00:00.250+00:00"
    assert (found.pop("level"), found.pop("logger")) == ("INFO", "musicgate.x")
    return found


@pytest.mark.parametrize(
    ("message", "args", "expected"),
    [
        ("job stored: job=%s version=%d", ("m1", 3), {"event": "job stored", "job": "m1", "version": 3}),
        (
            "done ms=%.1f ok=%s by=%s",
            (1.26, True, None),
            {"event": "done", "ms": 1.3, "ok": True, "by": None},
        ),
        ("failed: error=%r", (ValueError("a\nb"),), {"event": "failed", "error": "ValueError('a\\nb')"}),
        ("failed: level=%s", ("\x1b\ud800",), {"event": "failed", "level_": "\x1b\ud800"}),
        ("started", (), {"event": "started"}),
        ("%s of %s: job=%s", (1, 2, "m1"), {"event": "1 of 2: job=m1"}),
        ("job=%s is gone", ("m1",), {"event": "job=m1 is gone"}),
        ("100%% of jobs=%d", (4,), {"event": "100% of jobs=4"}),
    ],
)
def test_facts_have_the_names_of_the_template(
    message: str, args: tuple[object, ...], expected: dict[str, object]
) -> None:
    assert line(message, *args) == expected


def test_a_traceback_is_one_more_fact() -> None:
    found = line("step failed: job=%s", "m1", error=ValueError("broken"))
    assert found["job"] == "m1"
    assert found["traceback"].endswith("ValueError: broken")
