"""Refusals in the vendor's own shape under a doubtful status: 5xx at create, 404 at a poll.

The shapes are those of the recorded refusals and of the emulator's answer to a bad key. Every text and number
in them is replaced, so that no table of codes knows them: what is left is the form of a reason. A code that
the vendor documents may decide before the HTTP status; a form never does.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.errors import ProviderError
from musicgate.model import FailureClass, JobState, JobUpdate
from musicgate.plugin import HttpRequest, HttpResponse, Step
from musicgate.testing.compliance.checks_answers import Parsed, jobs_by_step, parse_answer
from musicgate.testing.compliance.probes import BAD_KEY, at, json_of, places, with_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.model import Job
    from musicgate.testing.compliance.subject import Subject

#: Forms of a reason that many vendors use; the vendor's own are added.
_COMMON: Final[Mapping[str, object]] = {
    '{"error": {"code", "message"}}': {
        "error": {"code": "kit_reason", "message": "kit: never heard of this"}
    },
    '{"error"}': {"error": "kit: never heard of this"},
    '{"message"}': {"message": "kit: never heard of this"},
    '{"detail": {"status", "message"}}': {"detail": {"status": "kit_reason", "message": "kit: unheard of"}},
    '{"code", "msg"}': {"code": 987654, "msg": "kit: never heard of this", "data": None},
}
_UNKNOWN_TEXT: Final = "kit: never heard of this"
_UNKNOWN_NUMBER: Final = 987654
_DOUBTFUL: Final = (500, 502, 503, 504)


def check_reasons_under_5xx(subject: Subject) -> None:
    """A 5xx at create whose body has the form of a reason is maybe accepted, not a plain refusal."""
    for step, job in _creating(subject):
        for shape, body in _shapes(subject):
            for status in _DOUBTFUL:
                where = f"HTTP {status} with {shape} as the answer at step {step}"
                parsed = parse_answer(subject, step, _answer(status, body), job, where)
                assert _is_careful(subject, parsed, status), (
                    f"parse_response read {where} as {_read_as(parsed)}: expected a ProviderError with "
                    "maybe_accepted=True, since the song may be made and paid for"
                )


def _creating(subject: Subject) -> Iterator[tuple[Step, Job]]:
    """Yield the step create, and the step next where a song takes two calls to create."""
    yield jobs_by_step(subject)[0]
    further = (answer.job for answer in subject.emulated_run.answers if answer.step is Step.NEXT)
    yield from ((Step.NEXT, job) for job in list(further)[:1] if job.native_id is None)


def check_unknown_song_is_doubted(subject: Subject) -> None:
    """The vendor's "no such song" about a new job, and any 404 at a poll, does not end the job at once."""
    subject.skip_unless_polled()
    _ = subject.song_run
    for what, response, job in _not_found(subject):
        where = f"{what} as the answer to poll_request"
        parsed = parse_answer(subject, Step.POLL, response, job, where)
        if not isinstance(parsed, JobUpdate):
            continue
        ends = parsed.failure is not None or parsed.state is JobState.FAILED
        mapped = subject.plugin.map_status(parsed.native_status)
        ends = ends or (parsed.doubt is None and mapped is JobState.FAILED)
        assert not ends, (
            f"parse_response ended the job on {where} ({parsed.failure}): expected JobUpdate(doubt=...) or a "
            "ProviderError, since vendors forget a new song for some seconds"
        )
        grace_s = None if parsed.doubt is None else parsed.doubt.grace_s
        assert grace_s is None or grace_s > 0, (
            f"parse_response doubts {where} for {grace_s} s: the first such answer would end the job"
        )


def _not_found(subject: Subject) -> Iterator[tuple[str, HttpResponse, Job]]:
    rehearsal, _ = subject.rehearsal()
    unknown = rehearsal.create(subject.song_request)
    attempt = unknown.attempts[-1]
    if attempt.native_id is not None:
        # An id of the vendor's own form: letters and digits are replaced, everything else stays.
        native_id = "".join("0" if sign.isdigit() else sign for sign in attempt.native_id)
        native_id = native_id if native_id != attempt.native_id else f"{native_id}0"
        unknown = attrs.evolve(
            unknown, attempts=(*unknown.attempts[:-1], attrs.evolve(attempt, native_id=native_id))
        )
        poll = subject.plugin.poll(unknown, subject.settings)
        if poll is not None:
            response = rehearsal.send(poll)
            yield f"the emulator's HTTP {response.status} about an unknown song", response, unknown
    for shape, body in _shapes(subject):
        yield f"HTTP 404 with {shape}", _answer(404, body), subject.created_job


def _shapes(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """Yield bodies in the form of a refusal that name a reason which no table knows."""
    for shape, value in _COMMON.items():
        yield f"a body like {shape}", json.dumps(value).encode()
    for where, body in _own_refusals(subject):
        value = json_of(body)
        if isinstance(value, dict):
            yield f"the body of {where}, its texts and numbers replaced,", _unknown(value)


def _own_refusals(subject: Subject) -> Iterator[tuple[str, bytes]]:
    """Yield where a refusal comes from, and its body: the emulator's of a bad key, and the recorded ones."""
    rehearsal, _ = subject.rehearsal(key=BAD_KEY)
    yield "the emulator's refusal of a bad key", rehearsal.send(subject.base[0][2].request).body
    for case in subject.cases or ():
        update = case.expect.get("update")
        refused = isinstance(update, dict) and update.get("failure") and not update.get("native_id")
        if case.step is Step.CREATE and (refused or case.response.status >= 400):
            yield f"the case {case.place}", case.response.body


def _unknown(value: dict[str, Any]) -> bytes:
    changed: Any = value
    for path in list(places(value)):
        old = at(value, path)
        if isinstance(old, str):
            changed = with_value(changed, path, _UNKNOWN_TEXT)
        elif isinstance(old, int | float) and not isinstance(old, bool):
            changed = with_value(changed, path, _UNKNOWN_NUMBER)
    return json.dumps(changed).encode()


def _answer(status: int, body: bytes) -> HttpResponse:
    return HttpResponse(status=status, headers={"Content-Type": "application/json"}, body=body)


def _is_careful(subject: Subject, parsed: Parsed, status: int) -> bool:
    """True if an answer to a create call leaves open whether the song is made."""
    if isinstance(parsed, HttpRequest):
        return False
    failure = parsed.failure
    if failure is None:
        return False
    if status == 503 and failure.reason is FailureClass.UNAVAILABLE:
        return True  # "not now": nothing was begun
    if isinstance(parsed, ProviderError):
        return parsed.maybe_accepted
    # Where no callback can bring the song back, a refusal that may have cost ends the job in the same way.
    rule = failure.rule
    return not subject.provider.callbacks and failure.costs and not (rule.try_next or rule.resend)


def _read_as(parsed: Parsed) -> str:
    if isinstance(parsed, ProviderError):
        return f"a ProviderError ({parsed.failure.reason}) with maybe_accepted={parsed.maybe_accepted}"
    if isinstance(parsed, JobUpdate) and parsed.failure is not None:
        return f"a plain refusal ({parsed.failure.reason})"
    return f"{parsed!r:.200}"
