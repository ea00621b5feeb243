"""How a plugin reads what comes back: recorded answers, nonsense under every status, and good bodies with one thing wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate import jobs as state_machine
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
    EMPTY_TALK,
    FAILING_STATUSES,
    HTML,
    NONSENSE,
    STATUSES,
    mutations,
)
from musicgate.testing.compliance.subject import BASE_URL, Skipped
from musicgate.testing.compliance.updates import problems_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.testing.compliance.subject import Subject
    from musicgate.testing.compliance.walk import Heard

_HTML_TYPE: Final = {"Content-Type": "text/html"}
#: Classes that a refusal without a readable body may have on create, by HTTP status (providers: error classes).
_CLASS_OF: Final[Mapping[int, frozenset[FailureClass]]] = {
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
Reading = JobUpdate | HttpRequest | ProviderError


def check_recorded_cases(subject: Subject) -> None:
    """Every recorded answer becomes what its file says."""
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
    for step, job in jobs(subject):
        for status in STATUSES:
            for shape, body in NONSENSE.items():
                where = f"{shape} with HTTP {status} at step {step}"
                read = read_answer(subject, step, HttpResponse(status=status, body=body), job, where)
                assert not _is_song(subject, job, read), f"{where} was taken for a finished song"


def check_wrong_types_in_good_answers(subject: Subject) -> None:
    """A good answer with one wrong value anywhere is read, or ends in a `ProviderError`; nothing else."""
    found = False
    for one in good_answers(subject):
        for what, body in mutations(one.response.body):
            found = True
            for status in (one.response.status, 500):
                response = HttpResponse(status=status, headers=one.response.headers, body=body)
                where = f"a good answer but for {what}, HTTP {status}, at step {one.step},"
                read_answer(subject, one.step, response, one.job, where)
    if not found:
        raise Skipped("none of the vendor's good answers is JSON")


def check_good_body_under_failing_status(subject: Subject) -> None:
    """A good body under a 4xx or 5xx is no success: the HTTP status is not to be overlooked."""
    for one in good_answers(subject):
        for status in FAILING_STATUSES:
            response = HttpResponse(status=status, headers=one.response.headers, body=one.response.body)
            where = f"a good body with HTTP {status} at step {one.step}"
            read = read_answer(subject, one.step, response, one.job, where)
            if isinstance(read, ProviderError):
                sure = one.step is Step.CREATE and status >= 500 and not read.maybe_accepted
                assert not sure, (
                    f"{where} has maybe_accepted=False: a song that was made might be asked for again"
                )
                continue
            refused = isinstance(read, JobUpdate) and (read.failure is not None or read.doubt is not None)
            assert refused, f"{where} was read as if nothing were wrong: {read!r:.300}"


def check_unreadable_create(subject: Subject) -> None:
    """A 2xx to a create call that cannot be read may have been paid for: `protocol`, maybe accepted, never sent again."""
    job = jobs(subject)[0][1]
    for status in (200, 201, 204):
        for shape, body in EMPTY_TALK.items():
            where = f"{shape} with HTTP {status} as the answer to a create call"
            read = read_answer(subject, Step.CREATE, HttpResponse(status=status, body=body), job, where)
            assert isinstance(read, ProviderError), (
                f"{where} was read as {read!r:.300}, not as a ProviderError"
            )
            reason = read.failure.reason
            assert reason in _UNREADABLE, (
                f"{where} is {reason}; it has to be protocol: nobody knows what was created"
            )
            assert read.maybe_accepted, (
                f"{where} has maybe_accepted=False: a paid song might be asked for twice"
            )


def check_refusals_by_status(subject: Subject) -> None:
    """401, 402, 403, 429 and 5xx without a readable word end in the right class; a 5xx on create may have cost money."""
    job = jobs(subject)[0][1]
    for status, classes in _CLASS_OF.items():
        where = f"an HTML page with HTTP {status} as the answer to a create call"
        response = HttpResponse(status=status, headers=_HTML_TYPE, body=HTML)
        read = read_answer(subject, Step.CREATE, response, job, where)
        failure = _failure_of(read)
        assert failure is not None, f"{where} was read as {read!r:.300}, and not as a failure"
        allowed = " or ".join(sorted(classes))
        assert failure.reason in classes, f"{where} is {failure.reason}; it has to be {allowed}"
        if status >= 500 and failure.reason is not FailureClass.UNAVAILABLE:
            careful = isinstance(read, ProviderError) and read.maybe_accepted
            assert careful, (
                f"{where} does not plainly say that nothing was created: maybe_accepted has to be True"
            )


def check_noise_while_polling(subject: Subject) -> None:
    """While polling, an answer that says nothing about the song is an error of that call; the job stays as it was."""
    subject.must_poll()
    for status in STATUSES:
        for shape, body in {**EMPTY_TALK, "HTML": HTML}.items():
            where = f"{shape} with HTTP {status} as the answer to a poll"
            response = HttpResponse(status=status, body=body)
            read = read_answer(subject, Step.POLL, response, subject.open_job, where)
            ends = isinstance(read, JobUpdate) and (
                read.failure is not None or read.state in {JobState.FAILED, JobState.COMPLETED}
            )
            assert not ends, f"{where} ends the job ({read!r:.300}); it says nothing about the song"


def check_retry_after(subject: Subject) -> None:
    """`Retry-After` reaches the failure, given as seconds and as a date."""
    headers = {
        "as seconds": {"Retry-After": "7"},
        "as a date": {
            "Retry-After": "Fri, 20 Nov 2026 10:00:07 GMT",
            "Date": "Fri, 20 Nov 2026 10:00:00 GMT",
        },
    }
    for step, job in jobs(subject):
        for form, given in headers.items():
            for shape, body in {"HTML": HTML, "an empty body": b"", "an empty object": b"{}"}.items():
                where = f"HTTP 429 with Retry-After {form} and {shape} at step {step}"
                response = HttpResponse(status=429, headers={**given, **_HTML_TYPE}, body=body)
                failure = _failure_of(read_answer(subject, step, response, job, where))
                wait_s = failure.retry_after_s if failure else None
                assert wait_s == 7.0, (
                    f"{where}: retry_after_s is {wait_s}, not 7.0 (musicgate.plugin.lenient.retry_after_s)"
                )


def jobs(subject: Subject) -> tuple[tuple[Step, Job], ...]:
    """The steps that the provider has, each with a job as its reader gets it; create comes first."""
    created = (Step.CREATE, subject.walk.heard[0].job)
    return (created, (Step.POLL, subject.open_job)) if subject.can_poll else (created,)


def good_answers(subject: Subject) -> Iterator[Heard]:
    """Every answer of the plain song that was read without an error, the same body once."""
    seen = set()
    for one in subject.walk.heard:
        shape = (one.step, type(one.read), getattr(one.read, "native_status", None))
        if not isinstance(one.read, ProviderError) and shape not in seen:
            seen.add(shape)
            yield one


def read_answer(subject: Subject, step: Step, response: HttpResponse, job: Job, where: str) -> Reading:
    """What the plugin makes of an answer.

    Raises:
        AssertionError: it raised something else than a `ProviderError`, or what it gave is not well-formed.
    """
    try:
        read = subject.plugin.parse(step, response, job, subject.settings)
    except ProviderError as error:
        assert error.failure.message.strip(), f"{where} raised a ProviderError without a word"
        return error
    except MusicgateError as error:
        raise AssertionError(f"{where}: readers raise ProviderError and nothing else, but {error}") from error
    if isinstance(read, HttpRequest):
        assert read.url.startswith(f"{BASE_URL}/"), (
            f"{where}: the next request goes to {read.url}, not to the vendor"
        )
        return read
    for problem in problems_of(read):
        raise AssertionError(f"{where}: the update's {problem}")
    return read


def _failure_of(read: Reading) -> Failure | None:
    if isinstance(read, ProviderError):
        return read.failure
    if isinstance(read, HttpRequest):
        return None
    return read.failure or (read.doubt.failure if read.doubt else None)


def _is_song(subject: Subject, job: Job, read: Reading) -> bool:
    if not isinstance(read, JobUpdate):
        return False
    mapped = subject.plugin.map_status(read.native_status)
    after = state_machine.apply(job, read, mapped, job.updated_at)
    return after.delivered_at is not None or after.state is JobState.COMPLETED
