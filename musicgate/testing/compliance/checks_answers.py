"""How a plugin parses answers: recorded ones, nonsense, good ones with one wrong value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate import jobs
from musicgate.errors import MusicgateError, ProviderError
from musicgate.model import (
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
)
from musicgate.plugin import HttpRequest, HttpResponse, Step
from musicgate.testing.cases import replay
from musicgate.testing.compliance.probes import (
    FAILING_STATUSES,
    HTML,
    MEANINGLESS,
    NONSENSE,
    STATUSES,
)
from musicgate.testing.compliance.subject import BASE_URL, Skipped
from musicgate.testing.compliance.updates import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.testing.compliance.emulated_run import ParsedAnswer
    from musicgate.testing.compliance.subject import Subject

_HTML_TYPE: Final = {"Content-Type": "text/html"}
#: Classes that a refused create call without a readable body may have, by HTTP status.
_CLASSES_BY_STATUS: Final[Mapping[int, frozenset[FailureClass]]] = {
    401: frozenset({FailureClass.AUTH}),
    402: frozenset({FailureClass.CREDITS, FailureClass.FORBIDDEN}),
    403: frozenset({FailureClass.FORBIDDEN, FailureClass.AUTH}),
    429: frozenset({FailureClass.RATE_LIMITED}),
    500: frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.PROTOCOL}),
    502: frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.PROTOCOL}),
    503: frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.UNAVAILABLE, FailureClass.PROTOCOL}),
    504: frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.TIMEOUT, FailureClass.PROTOCOL}),
}
_UNREADABLE: Final = frozenset({FailureClass.PROTOCOL, FailureClass.UNKNOWN_OUTCOME})
#: What `parse_response` returned, or the error that it may raise.
Parsed = JobUpdate | HttpRequest | ProviderError


def check_recorded_cases(subject: Subject) -> None:
    """Every recorded answer becomes what its file expects."""
    if subject.cases is None:
        raise Skipped("no recorded cases at hand (they are part of a plugin's tests, not of its wheel)")
    assert subject.cases, (
        "the folder of recorded cases is empty: record the vendor's answers, with source and date"
    )
    rehearsal, _ = subject.rehearsal()
    for case in subject.cases:
        replay(rehearsal, case)


def check_hostile_answers(subject: Subject) -> None:
    """Nonsense under every status ends in an update or a `ProviderError`, and never in a song."""
    for step, job in jobs_by_step(subject):
        for status in STATUSES:
            for shape, body in NONSENSE.items():
                where = f"{shape} with HTTP {status} at step {step}"
                parsed = parse_answer(subject, step, HttpResponse(status=status, body=body), job, where)
                assert not _is_song(subject, job, parsed), f"{where} was taken for a finished song"


def check_good_body_under_failing_status(subject: Subject) -> None:
    """A good body under a 4xx or 5xx is not a success."""
    for good in good_answers(subject):
        for status in FAILING_STATUSES:
            response = HttpResponse(status=status, headers=good.response.headers, body=good.response.body)
            where = f"a good body with HTTP {status} at step {good.step}"
            parsed = parse_answer(subject, good.step, response, good.job, where)
            if isinstance(parsed, ProviderError):
                sure = good.step is Step.CREATE and status >= 500 and not parsed.maybe_accepted
                assert not sure, (
                    f"{where} has maybe_accepted=False: a song that was made might be requested again"
                )
                continue
            refused = isinstance(parsed, JobUpdate) and (
                parsed.failure is not None or parsed.doubt is not None
            )
            assert refused, f"{where} was read as if nothing were wrong: {parsed!r:.300}"


def check_unreadable_create(subject: Subject) -> None:
    """An unreadable 2xx to a create call is `protocol` and maybe accepted: a song may be paid for."""
    job = jobs_by_step(subject)[0][1]
    for status in (200, 201, 204):
        for shape, body in MEANINGLESS.items():
            where = f"{shape} with HTTP {status} as the answer to a create call"
            parsed = parse_answer(subject, Step.CREATE, HttpResponse(status=status, body=body), job, where)
            assert isinstance(parsed, ProviderError), (
                f"{where} was read as {parsed!r:.300}, not as a ProviderError"
            )
            reason = parsed.failure.reason
            assert reason in _UNREADABLE, (
                f"{where} is {reason}; it has to be protocol: what was created is unknown"
            )
            assert parsed.maybe_accepted, (
                f"{where} has maybe_accepted=False: a paid song might be requested twice"
            )


def check_refusals_by_status(subject: Subject) -> None:
    """401, 402, 403, 429 and 5xx without a readable body end in the right class.

    A 5xx on create may have cost money, so it is maybe accepted.
    """
    job = jobs_by_step(subject)[0][1]
    for status, classes in _CLASSES_BY_STATUS.items():
        where = f"an HTML page with HTTP {status} as the answer to a create call"
        response = HttpResponse(status=status, headers=_HTML_TYPE, body=HTML)
        parsed = parse_answer(subject, Step.CREATE, response, job, where)
        failure = _failure_of(parsed)
        assert failure is not None, f"{where} was read as {parsed!r:.300}, and not as a failure"
        allowed = " or ".join(sorted(classes))
        assert failure.reason in classes, f"{where} is {failure.reason}; it has to be {allowed}"
        if status >= 500 and failure.reason is not FailureClass.UNAVAILABLE:
            careful = isinstance(parsed, ProviderError) and parsed.maybe_accepted
            assert careful, (
                f"{where} does not plainly say that nothing was created: maybe_accepted has to be True"
            )


def check_noise_while_polling(subject: Subject) -> None:
    """A polled answer that says nothing about the song raises an error and leaves the job as it was."""
    subject.skip_unless_polled()
    for status in STATUSES:
        for shape, body in {**MEANINGLESS, "HTML": HTML}.items():
            where = f"{shape} with HTTP {status} as the answer to a poll"
            response = HttpResponse(status=status, body=body)
            parsed = parse_answer(subject, Step.POLL, response, subject.open_job, where)
            ends = isinstance(parsed, JobUpdate) and (
                parsed.failure is not None or parsed.state in {JobState.FAILED, JobState.COMPLETED}
            )
            assert not ends, f"{where} ends the job ({parsed!r:.300}); it says nothing about the song"


def check_retry_after(subject: Subject) -> None:
    """`Retry-After` reaches the failure, given as seconds and as a date."""
    headers = {
        "as seconds": {"Retry-After": "7"},
        "as a date": {
            "Retry-After": "Fri, 20 Nov 2026 10:00:07 GMT",
            "Date": "Fri, 20 Nov 2026 10:00:00 GMT",
        },
    }
    for step, job in jobs_by_step(subject):
        for form, given in headers.items():
            for shape, body in {"HTML": HTML, "an empty body": b"", "an empty object": b"{}"}.items():
                where = f"HTTP 429 with Retry-After {form} and {shape} at step {step}"
                response = HttpResponse(status=429, headers={**given, **_HTML_TYPE}, body=body)
                failure = _failure_of(parse_answer(subject, step, response, job, where))
                wait_s = failure.retry_after_s if failure else None
                assert wait_s == 7.0, (
                    f"{where}: retry_after_s is {wait_s}, not 7.0 (musicgate.plugin.lenient.retry_after_s)"
                )


def jobs_by_step(subject: Subject) -> tuple[tuple[Step, Job], ...]:
    """Return the steps that the provider has, create first, each with a job for `parse_response`."""
    created = (Step.CREATE, subject.emulated_run.answers[0].job)
    return (created, (Step.POLL, subject.open_job)) if subject.can_poll else (created,)


def good_answers(subject: Subject) -> Iterator[ParsedAnswer]:
    """Yield the answers of the emulated run that were parsed without an error, one for each status."""
    seen = set()
    for answer in subject.emulated_run.answers:
        shape = (answer.step, type(answer.parsed), getattr(answer.parsed, "native_status", None))
        if not isinstance(answer.parsed, ProviderError) and shape not in seen:
            seen.add(shape)
            yield answer


def parse_answer(subject: Subject, step: Step, response: HttpResponse, job: Job, where: str) -> Parsed:
    """Parse an answer and check what the plugin returned.

    Raises:
        AssertionError: it raised anything but a `ProviderError`, or what it returned is not well-formed.
    """
    try:
        parsed = subject.plugin.parse(step, response, job, subject.settings)
    except ProviderError as error:
        assert error.failure.message.strip(), f"{where} raised a ProviderError without a message"
        return error
    except MusicgateError as error:
        message = f"{where}: parse_response raises ProviderError and nothing else, but {error}"
        raise AssertionError(message) from error
    if isinstance(parsed, HttpRequest):
        assert parsed.url.startswith(f"{BASE_URL}/"), (
            f"{where}: the next request goes to {parsed.url}, not to the vendor"
        )
        return parsed
    for problem in problems_of(parsed):
        raise AssertionError(f"{where}: the update's {problem}")
    return parsed


def _failure_of(parsed: Parsed) -> Failure | None:
    if isinstance(parsed, ProviderError):
        return parsed.failure
    if isinstance(parsed, HttpRequest):
        return None
    return parsed.failure or (parsed.doubt.failure if parsed.doubt else None)


def _is_song(subject: Subject, job: Job, parsed: Parsed) -> bool:
    if not isinstance(parsed, JobUpdate):
        return False
    mapped = subject.plugin.map_status(parsed.native_status)
    after = jobs.apply(job, parsed, mapped, job.updated_at)
    return after.delivered_at is not None or after.state is JobState.COMPLETED
