"""Load recorded vendor answers and replay them through a plugin; no vendor is known here.

A case is one JSON file::

    {
      "mark": "DOC" | "LIVE" | "ASSUMED", "source": "<page or observation>", "date": "2026-07",
      "step": "poll", "request": {<MusicRequest fields>}, "options": {<plugin settings>}, "native_id": "<id>",
      "status": 200, "headers": {}, "body": <JSON> | "body_text": "<raw>",
      "expect": {...}
    }

``expect`` is what the answer must become, literally: ``{"update": {field: value}}`` (only the named fields
are compared; tracks as a list of partial objects; failure as a partial object), ``{"mapped": "in_progress" |
null}`` beside it, or ``{"error": "<failure class>", "maybe_accepted": true}``.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ProviderError
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Job,
    JobState,
    MusicRequest,
)
from musicgate.plugin import HttpRequest, HttpResponse, Step

if TYPE_CHECKING:
    from pathlib import Path

    from musicgate.testing.rehearsal import Rehearsal

_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@attrs.frozen(kw_only=True)
class Case:
    """One recorded answer and what it must become."""

    name: str
    mark: str
    source: str
    step: Step
    response: HttpResponse
    expect: dict[str, Any]
    request: MusicRequest
    options: dict[str, Any]
    native_id: str | None


def load_cases(folder: Path) -> list[Case]:
    """Load every ``*.json`` in a folder, sorted by name.

    Raises:
        ValueError: a case without mark, source or expectation.
    """
    return [_load(path) for path in sorted(folder.glob("*.json"))]


def _load(path: Path) -> Case:
    raw = json.loads(path.read_text("utf-8"))
    if raw.get("mark") not in {"DOC", "LIVE", "ASSUMED"} or not raw.get("source") or not raw.get("expect"):
        message = f"{path.name}: a case needs mark, source and expect"
        raise ValueError(message)
    body = raw["body_text"] if "body_text" in raw else json.dumps(raw.get("body"))
    return Case(
        name=path.stem,
        mark=raw["mark"],
        source=raw["source"],
        step=Step(raw["step"]),
        response=HttpResponse(
            status=raw.get("status", 200), headers=raw.get("headers", {}), body=body.encode()
        ),
        expect=raw["expect"],
        request=MusicRequest(**{"model": "case", **raw.get("request", {})}),
        options=raw.get("options", {}),
        native_id=raw.get("native_id"),
    )


def replay(rehearsal: Rehearsal, case: Case) -> None:
    """Parse a recorded answer with the plugin and compare the result with what the case expects.

    Raises:
        AssertionError: they differ.
    """
    job = _job(rehearsal, case)
    settings = attrs.evolve(rehearsal.settings, options={**rehearsal.settings.options, **case.options})
    try:
        update = rehearsal.plugin.parse(case.step, case.response, job, settings)
    except ProviderError as error:
        raised = {"error": error.failure.reason.value, "maybe_accepted": error.maybe_accepted}
        expected = {key: value for key, value in case.expect.items() if key in raised}
        assert "error" in expected, f"{case.name}: raised {error.failure.reason}: {error}"
        assert {key: raised[key] for key in expected} == expected, f"{case.name}: {raised} is not {expected}"
        return
    assert "error" not in case.expect, f"{case.name}: read as {update}"
    if isinstance(update, HttpRequest):
        plain: Any = {"next": {"method": update.method, "url": update.url}}
    else:
        mapped = rehearsal.plugin.map_status(update.native_status)
        plain = {"update": _plain(update), "mapped": mapped.value if mapped else None}
    _compare(case.name, case.expect, plain)


def _job(rehearsal: Rehearsal, case: Case) -> Job:
    attempt = Attempt(
        plugin=rehearsal.provider.plugin,
        provider=rehearsal.provider.name,
        model=case.request.model,
        native_model=None,
        outcome=AttemptOutcome.ACCEPTED if case.native_id else AttemptOutcome.SENT,
        planned_at=_AT,
        native_id=case.native_id,
    )
    return Job(
        id="job",
        account="test",
        generation_id="G-TEST",
        request=case.request,
        state=JobState.QUEUED,
        created_at=_AT,
        updated_at=_AT,
        deadline_at=_AT + timedelta(hours=1),
        callback_token="token",  # noqa: S106 - not a real secret
        attempts=(attempt,),
    )


def _plain(value: object) -> Any:
    """Convert a value to JSON types, to compare it with a case file."""
    kind: Any = type(value)
    if attrs.has(kind):
        return {name: _plain(getattr(value, name)) for name in attrs.fields_dict(kind)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _compare(where: str, expected: Any, actual: Any) -> None:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            assert key in actual, f"{where}: nothing named {key}"
            _compare(f"{where}.{key}", value, actual[key])
    elif isinstance(expected, list) and isinstance(actual, list):
        assert len(expected) == len(actual), f"{where}: {len(actual)} items, not {len(expected)}"
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            _compare(f"{where}[{index}]", left, right)
    else:
        assert expected == actual, f"{where}: {actual!r} is not {expected!r}"
