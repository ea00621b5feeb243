"""Recorded vendor answers as data: loads case files and replays them through a plugin; knows no vendor.

A case is one JSON file: ``{"mark": "DOC" | "LIVE" | "ASSUMED", "source": "<page or observation>", "date": "2026-07", "step": "poll",
"request": {<MusicRequest fields>}, "options": {<plugin settings>}, "status": 200, "headers": {}, "body": <JSON> | "body_text": "<raw>",
"expect": {...}}``. ``expect`` names what the answer must become, literally: ``{"update": {field: value}}`` (only the named fields are
compared; tracks as a list of partial objects; failure as a partial object), ``{"mapped": "in_progress" | null}`` beside it, or
``{"error": "<failure class>", "maybe_accepted": true}``.
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
    """Every ``*.json`` in a folder, by name.

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
    """Give a recorded answer to the plugin and compare.

    Raises:
        AssertionError: the answer became something else than the case says.
    """
    job = _job(rehearsal, case)
    settings = attrs.evolve(rehearsal.settings, options={**rehearsal.settings.options, **case.options})
    try:
        update = rehearsal.plugin.parse(case.step, case.response, job, settings)
    except ProviderError as error:
        said = {"error": error.failure.reason.value, "maybe_accepted": error.maybe_accepted}
        wanted = {key: value for key, value in case.expect.items() if key in said}
        assert "error" in wanted, f"{case.name}: raised {error.failure.reason}: {error}"
        assert {key: said[key] for key in wanted} == wanted, f"{case.name}: {said} is not {wanted}"
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
        callback_token="token",  # noqa: S106 - not a secret of anything
        attempts=(attempt,),
    )


def _plain(value: object) -> Any:
    """A value in JSON's terms, so that it can be compared with what a case file says."""
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


def _compare(where: str, wanted: Any, got: Any) -> None:
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key, value in wanted.items():
            assert key in got, f"{where}: nothing named {key}"
            _compare(f"{where}.{key}", value, got[key])
    elif isinstance(wanted, list) and isinstance(got, list):
        assert len(wanted) == len(got), f"{where}: {len(got)} items, not {len(wanted)}"
        for index, (left, right) in enumerate(zip(wanted, got, strict=True)):
            _compare(f"{where}[{index}]", left, right)
    else:
        assert wanted == got, f"{where}: {got!r} is not {wanted!r}"
