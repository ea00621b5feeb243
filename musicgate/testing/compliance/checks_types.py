"""One wrong value anywhere in an answer, the emulator's or a recorded one, and where none has a value.

A plugin also reads what its emulator never sends (``metadata.tags`` of an older record). Which keys those are
is found out by watching what it looks for in the parsed body.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.plugin import HttpResponse, Step
from musicgate.testing.compliance.checks_answers import good_answers, jobs_by_step, parse_answer
from musicgate.testing.compliance.probes import WRONG_VALUES, at, json_of, mutations, with_value
from musicgate.testing.compliance.subject import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from musicgate.model import Job, JsonValue
    from musicgate.testing.compliance.subject import Subject

_Path = tuple[str | int, ...]
#: How deep inside what is missing the search goes: ``metadata``, then ``metadata.tags``.
_ROUNDS: Final = 2


@attrs.frozen(kw_only=True)
class _Answer:
    """An answer that the plugin can parse, and where it comes from."""

    what: str
    step: Step
    response: HttpResponse
    job: Job


def check_wrong_types_in_good_answers(subject: Subject) -> None:
    """A good answer with one wrong value anywhere ends in an update or a `ProviderError`."""
    _ = subject.song_run
    found = False
    for good in good_answers(subject):
        for what, body in mutations(good.response.body):
            found = True
            for status in (good.response.status, 500):
                response = HttpResponse(status=status, headers=good.response.headers, body=body)
                where = f"a good answer but for {what}, HTTP {status}, at step {good.step},"
                parse_answer(subject, good.step, response, good.job, where)
    if not found:
        raise Skipped("none of the vendor's good answers is JSON")


def check_wrong_types_in_recorded_answers(subject: Subject) -> None:
    """A recorded answer with one wrong value anywhere ends in an update or a `ProviderError`."""
    if not subject.cases:
        raise Skipped("no recorded cases at hand (they are part of a plugin's tests, not of its wheel)")
    for answer in _recorded(subject):
        for what, body in mutations(answer.response.body):
            response = attrs.evolve(answer.response, body=body)
            parse_answer(subject, answer.step, response, answer.job, f"{answer.what} but for {what}")


def check_wrong_types_where_nothing_is(subject: Subject) -> None:
    """A value of a wrong type that the plugin looks for, and no answer at hand holds, breaks nothing."""
    emulated = [
        _Answer(
            what=f"a good answer at step {good.step}", step=good.step, response=good.response, job=good.job
        )
        for good in good_answers(subject)
    ]
    found = False
    for answer in (*emulated, *_recorded(subject)):
        for path, body in _planted(subject, answer):
            found = True
            response = attrs.evolve(answer.response, body=json.dumps(body).encode())
            where = f"{answer.what} with {'.'.join(map(str, path))} = {json.dumps(at(body, path))[:40]}"
            parse_answer(subject, answer.step, response, answer.job, where)
    if not found:
        raise Skipped("every value that the plugin looks for is in some answer, or no answer is JSON")


def _recorded(subject: Subject) -> Iterator[_Answer]:
    jobs = dict(jobs_by_step(subject))
    for case in subject.cases or ():
        job = jobs.get(case.step, jobs[Step.CREATE])
        yield _Answer(what=f"the case {case.place}", step=case.step, response=case.response, job=job)


def _planted(subject: Subject, answer: _Answer) -> Iterator[tuple[_Path, Any]]:
    """Yield bodies with a wrong value where the plugin found none, and the place."""
    good = json_of(answer.response.body)
    if not isinstance(good, dict | list):
        return
    bodies, seen = [good], set[_Path]()
    for _ in range(_ROUNDS):
        deeper = []
        for body in bodies:
            for path in sorted(_missed(subject, answer, body) - seen, key=str):
                seen.add(path)
                for wrong in WRONG_VALUES:
                    yield path, with_value(body, path, wrong)
                deeper.append(with_value(body, path, {}))
        bodies = deeper


def _missed(subject: Subject, answer: _Answer, body: JsonValue) -> set[_Path]:
    """Return where the plugin looked for a value and there was none; in a list only its first item counts."""
    missed: set[_Path] = set()

    class WatchedResponse(HttpResponse):
        """An answer whose objects note the keys that they do not have."""

        def json(self) -> JsonValue:
            return _watched(body, (), missed.add)

    response = answer.response
    watched = WatchedResponse(
        status=response.status,
        headers=response.headers,
        body=json.dumps(body).encode(),
        received_at=response.received_at,
    )
    parse_answer(subject, answer.step, watched, answer.job, f"{answer.what}, its keys watched,")
    return {path for path in missed if all(not key for key in path if isinstance(key, int))}


class _Watched(dict[str, Any]):
    """A JSON object that reports each key that is looked for and is not there."""

    def __init__(self, content: dict[str, Any], path: _Path, miss: Callable[[_Path], None]) -> None:
        super().__init__(content)
        self._path = path
        self._miss = miss

    def __contains__(self, key: object) -> bool:
        if not super().__contains__(key) and isinstance(key, str):
            self._miss((*self._path, key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        _ = key in self
        return super().get(key, default)

    def __missing__(self, key: str) -> Any:
        self._miss((*self._path, key))
        raise KeyError(key)


def _watched(value: Any, path: _Path, miss: Callable[[_Path], None]) -> Any:
    if isinstance(value, dict):
        inner = {key: _watched(one, (*path, key), miss) for key, one in value.items()}
        return _Watched(inner, path, miss)
    if isinstance(value, list):
        return [_watched(one, (*path, index), miss) for index, one in enumerate(value)]
    return value
