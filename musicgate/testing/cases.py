"""Load recorded vendor answers and replay them through a plugin; no vendor is known here.

A case is one answer of the vendor, and literally what the plugin must read. A file holds one case::

    {
      "mark": "DOC" | "LIVE" | "ASSUMED", "source": "<page or observation>", "date": "2026-07",
      "step": "poll", "request": {<MusicRequest fields>}, "options": {<plugin settings>}, "native_id": "<id>",
      "status": 200, "headers": {}, "body": <JSON> | "body_text": "<raw>",
      "expect": {...}
    }

or many: ``{<what they share>, "cases": [{"name": "<name>", <what is special>}, ...]}``.

``expect`` is what the answer must become, literally: ``{"update": {field: value}}`` (only the named fields
are compared; tracks as a list of partial objects; failure as a partial object), ``{"mapped": "in_progress" |
null}`` beside it, ``{"next": {"url": ...}}``, or ``{"error": "<failure class>", "maybe_accepted": true}``.
The schema ``case`` of `musicgate_schemas` says the same; an expectation that compares nothing is an error.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.codec import SchemaValidator, bundle
from musicgate.errors import ProviderError
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Doubt,
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    NativeTrack,
)
from musicgate.plugin import HttpRequest, HttpResponse, Step
from musicgate.testing.json_lines import lines_of, pointer_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from musicgate.testing.rehearsal import Rehearsal

_AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
_REQUIRED: Final = ("mark", "source", "step", "expect")
_PROVES_NOTHING: Final = "nothing is compared with {}, so it proves nothing: name what has to be read"
_CLASSES: Final = tuple(reason.value for reason in FailureClass)

#: Keys and indexes from the root of a file to a place in it.
_Path = tuple[str | int, ...]


@attrs.frozen(kw_only=True)
class Case:
    """One recorded answer and what it must become.

    Attributes:
        name: of the file, and within it, as in ``errors/no_credits``.
        file: name of the file.
        pointer: JSON pointer of the case in the file; empty where it is the whole file.
        lines: lines of the file by JSON pointer.
    """

    name: str
    file: str = ""
    pointer: str = ""
    lines: Mapping[str, int] = attrs.field(factory=dict, repr=False, eq=False)
    mark: str
    source: str
    step: Step
    response: HttpResponse
    expect: dict[str, Any]
    request: MusicRequest
    options: dict[str, Any]
    native_id: str | None

    @property
    def place(self) -> str:
        """File and line, for messages: ``errors.json:12``."""
        return self.place_of(())

    def place_of(self, path: _Path) -> str:
        """File and line of a value in the case, or of the nearest one around it."""
        pointers = [f"{self.pointer}{pointer_of(path[:length])}" for length in range(len(path), -1, -1)]
        line = next((self.lines[pointer] for pointer in pointers if pointer in self.lines), None)
        return f"{self.file or self.name}:{line or 1}"


def load_cases(folder: Path) -> list[Case]:
    """Load the cases in every ``*.json`` of a folder, sorted by the name of the file.

    Raises:
        ValueError: cases that cannot be read. Each line of the message is one mistake, with file, line and
            JSON pointer.
    """
    cases: list[Case] = []
    mistakes: list[str] = []
    for path in sorted(folder.glob("*.json")):
        try:
            cases += _load(path)
        except _MistakesError as error:
            mistakes += error.args
    if mistakes:
        raise ValueError("\n".join(mistakes))
    return cases


class _MistakesError(Exception):
    """Each argument is one mistake of a file."""


def _load(path: Path) -> list[Case]:
    text = path.read_text("utf-8")
    try:
        raw = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise _MistakesError(f"{path.name}:{line}: no JSON: {getattr(error, 'msg', error)}") from error
    try:
        lines = lines_of(text)
    except ValueError as error:
        raise _MistakesError(f"{path.name}:{error}") from error
    found = list(_mistakes(raw))
    if found:
        raise _MistakesError(*(_shown(path.name, lines, where, what) for where, what in found))
    if "cases" not in raw:
        return [_case(raw, path, "", path.stem, lines)]
    shared = {key: value for key, value in raw.items() if key != "cases"}
    return [
        _case({**shared, **one}, path, f"/cases/{index}", f"{path.stem}/{one['name']}", lines)
        for index, one in enumerate(raw["cases"])
    ]


def _shown(file: str, lines: Mapping[str, int], where: _Path, what: str) -> str:
    pointers = (pointer_of(where[:length]) for length in range(len(where), -1, -1))
    line = next((lines[pointer] for pointer in pointers if pointer in lines), 1)
    return f"{file}:{line}: {pointer_of(where) or 'the file'}: {what}"


def _mistakes(raw: Any) -> Iterator[tuple[_Path, str]]:
    """Yield every mistake of a file: place and sentence."""
    broken = _validator().violations(raw)
    for violation in broken:
        empty = violation.keyword == "minProperties"
        yield violation.path, _PROVES_NOTHING if empty else violation.message
    if broken:
        return
    if "cases" not in raw:
        yield from _mistakes_of_case(raw, ())
        return
    shared = {key: value for key, value in raw.items() if key != "cases"}
    names: set[str] = set()
    for index, one in enumerate(raw["cases"]):
        if one["name"] in names:
            yield ("cases", index, "name"), f"two cases are called {one['name']!r}"
        names.add(one["name"])
        merged = {**shared, **one}
        missing = [key for key in _REQUIRED if key not in merged]
        if missing:
            yield ("cases", index), f"neither the case nor the file says {', '.join(missing)}"
        for where, what in _mistakes_of_case(merged, ()):
            yield (where if where[0] in shared and where[0] not in one else ("cases", index, *where)), what


def _mistakes_of_case(raw: Mapping[str, Any], where: _Path) -> Iterator[tuple[_Path, str]]:
    """Yield what the schema cannot say of one case, shared keys included."""
    if {"body", "body_text"} <= raw.keys():
        yield (*where, "body_text"), "there is a body already"
    yield from _unknown_fields(raw.get("request", {}), MusicRequest, (*where, "request"))
    expect, at = raw.get("expect", {}), (*where, "expect")
    if "error" in expect:
        if expect["error"] not in _CLASSES:
            yield (
                (*at, "error"),
                f"{expect['error']!r} is no class of failure; there are {', '.join(_CLASSES)}",
            )
        others = [key for key in ("update", "mapped", "next") if key in expect]
        if others:
            yield (*at, others[0]), "an answer that becomes an error becomes nothing else"
    elif "maybe_accepted" in expect:
        yield (*at, "maybe_accepted"), "it is compared beside an error only, and no error is expected"
    if "next" in expect and {"update", "mapped"} & expect.keys():
        yield (*at, "next"), "an answer becomes an update or the next request, not both"
    yield from _unknown_fields(expect.get("update", {}), JobUpdate, (*at, "update"))


#: The values inside an update that are objects of their own.
_INSIDE: Final[Mapping[tuple[type, str], type]] = {
    (JobUpdate, "failure"): Failure,
    (JobUpdate, "doubt"): Doubt,
    (JobUpdate, "tracks"): NativeTrack,
    (Doubt, "failure"): Failure,
}


def _unknown_fields(value: Any, kind: type, where: _Path) -> Iterator[tuple[_Path, str]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown_fields(item, kind, (*where, index))
    if not isinstance(value, dict):
        return
    fields = attrs.fields_dict(kind)
    for name, inner in value.items():
        if name not in fields:
            yield (*where, name), f"{kind.__name__} has no field {name!r}; it has {', '.join(fields)}"
        elif (kind, name) in _INSIDE:
            yield from _unknown_fields(inner, _INSIDE[kind, name], (*where, name))


@cache
def _validator() -> SchemaValidator:
    return SchemaValidator(bundle("case"))


def _case(raw: Mapping[str, Any], path: Path, pointer: str, name: str, lines: Mapping[str, int]) -> Case:
    body = raw["body_text"] if "body_text" in raw else json.dumps(raw.get("body"))
    return Case(
        name=name,
        file=path.name,
        pointer=pointer,
        lines=lines,
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
        assert "error" in case.expect, (
            f"{case.place_of(('expect',))}: {case.name}: parse_response raised {raised} ({error}), and no error "
            "is expected"
        )
        _compare(case, ("expect",), case.expect, raised)
        return
    assert "error" not in case.expect, (
        f"{case.place_of(('expect', 'error'))}: {case.name}: {case.expect['error']} is expected, and "
        f"parse_response read {update}"
    )
    if isinstance(update, HttpRequest):
        plain: Any = {"next": {"method": update.method, "url": update.url}}
    else:
        mapped = rehearsal.plugin.map_status(update.native_status)
        plain = {"update": _plain(update), "mapped": mapped.value if mapped else None}
    _compare(case, ("expect",), case.expect, plain)


def _job(rehearsal: Rehearsal, case: Case) -> Job:
    asked = (offer for offer in rehearsal.provider.offers if offer.answers_to(case.request.model))
    attempt = Attempt(
        plugin=rehearsal.provider.plugin,
        provider=rehearsal.provider.name,
        model=case.request.model,
        native_model=next((offer.native_model for offer in asked), None),
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


def _compare(case: Case, path: _Path, expected: Any, actual: Any) -> None:
    """Assert that what was read is what is expected, as far as that goes."""
    where = f"{case.place_of(path)}: {case.name}: {'.'.join(map(str, path[1:]))}"
    if isinstance(expected, dict) and isinstance(actual, dict):
        for key, value in expected.items():
            assert key in actual, f"{where}: parse_response gave no {key}, only {', '.join(map(str, actual))}"
            _compare(case, (*path, key), value, actual[key])
    elif isinstance(expected, list) and isinstance(actual, list):
        assert len(expected) == len(actual), f"{where}: {len(actual)} items, not {len(expected)}"
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            _compare(case, (*path, index), left, right)
    else:
        assert expected == actual, f"{where}: {actual!r} was read, {expected!r} is expected"
