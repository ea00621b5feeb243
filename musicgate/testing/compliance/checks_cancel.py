"""Cancelling: the request stops the song, and only an answer that says so is read as a stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate import jobs
from musicgate.errors import MusicgateError, ProviderError
from musicgate.model import Job, JobState, JobUpdate
from musicgate.plugin import HttpRequest, HttpResponse, Step
from musicgate.testing.compliance.checks_answers import Parsed, parse_answer
from musicgate.testing.compliance.probes import FAILING_STATUSES, HTML, MEANINGLESS, NONSENSE, STATUSES
from musicgate.testing.compliance.subject import Skipped

if TYPE_CHECKING:
    from musicgate.testing.compliance.subject import Subject
    from musicgate.testing.rehearsal import Rehearsal

_MEANINGLESS: Final = {**MEANINGLESS, "HTML": HTML}


def check_cancel_request_never_raises(subject: Subject) -> None:
    """`cancel_request` answers for a job in every state that the emulated song goes through, and after it."""
    subject.skip_unless_polled()
    for job in (*(answer.job for answer in subject.emulated_run.answers), subject.emulated_run.job):
        _cancel_request(subject, job)


def check_cancel_stops_the_song(subject: Subject) -> None:
    """`cancel_request` reaches the emulator, its song ends undelivered, and the answer is read as a stop."""
    for polls in (0, 1):
        rehearsal, job, request = _running(subject, polls)
        what = (
            f"the answer to cancel_request ({request.method} {request.url}) for {subject.song_request.model}"
        )
        status, parsed = _cancel(subject, rehearsal, request, job)
        assert not isinstance(parsed, ProviderError), (
            f"{what} is HTTP {status}, read as {parsed.failure.reason} ({parsed}): the emulator's song is "
            "running, so it can be stopped: is this the vendor's path and method?"
        )
        assert _is_stop(parsed), (
            f"{what}, HTTP {status}, was read as {parsed!r:.300}: a song that was stopped is no failure, or "
            "one of the class cancelled"
        )
        after = rehearsal.fold(job, parsed) if isinstance(parsed, JobUpdate) else job
        assert after.delivered_at is None, f"{what} was read as a finished song"
        assert after.state is not JobState.COMPLETED, f"{what} was read as a finished song"
        followed = rehearsal.finish(job)
        assert followed.delivered_at is None, (
            f"{what} was read as a stop, and the emulator delivered the song all the same"
        )


def check_cancel_too_late(subject: Subject) -> None:
    """Where the emulator refuses to stop a song that is over, the answer is not read as a stop."""
    rehearsal, job, request = _running(subject, 0)
    job = rehearsal.finish(job)
    status, parsed = _cancel(subject, rehearsal, request, job)
    if status < 400:
        raise Skipped(f"the emulator answers a late cancel call with HTTP {status}")
    assert isinstance(parsed, ProviderError) or not _is_stop(parsed), (
        f"the emulator refused cancel_request for a song that is over with HTTP {status}, and parse_response "
        f"read {parsed!r:.300}: expected a ProviderError, or a failure"
    )


def check_hostile_cancel_answers(subject: Subject) -> None:
    """At step cancel, nonsense is no song, and a failing status is never read as a stop."""
    rehearsal, job, request = _running(subject, 0)
    for status in STATUSES:
        for shape, body in NONSENSE.items():
            where = f"{shape} with HTTP {status} as the answer to cancel_request"
            parsed = parse_answer(subject, Step.CANCEL, HttpResponse(status=status, body=body), job, where)
            song = isinstance(parsed, JobUpdate) and (
                parsed.state is JobState.COMPLETED or any(track.has_audio for track in parsed.tracks)
            )
            assert not song, f"{where} was taken for a finished song"
    good = rehearsal.send(request)
    for status in FAILING_STATUSES:
        for shape, body in {**_MEANINGLESS, "the body of a good answer": good.body}.items():
            where = f"{shape} with HTTP {status} as the answer to cancel_request"
            response = HttpResponse(status=status, headers=good.headers, body=body)
            parsed = parse_answer(subject, Step.CANCEL, response, job, where)
            assert isinstance(parsed, ProviderError) or not _is_stop(parsed), (
                f"{where} was read as a stop ({parsed!r:.200}): expected a ProviderError or a failure, since "
                "the song goes on and is paid for"
            )


def _running(subject: Subject, polls: int) -> tuple[Rehearsal, Job, HttpRequest]:
    """Create a song, poll it, and make the request that cancels it.

    Raises:
        Skipped: the vendor cannot stop a song.
    """
    subject.skip_unless_polled()
    _ = subject.song_run
    rehearsal, _ = subject.rehearsal()
    job = rehearsal.create(subject.song_request)
    for _ in range(polls):
        polled = rehearsal.poll(job)
        if polled.state.is_final or polled.delivered_at is not None:
            break
        job = polled
    request = _cancel_request(subject, job)
    if request is None:
        recorded = [case.place for case in subject.cases or () if case.step is Step.CANCEL]
        assert not recorded, (
            f"{recorded[0]} records the step cancel, yet cancel_request returns None: does the plugin's module "
            "export the hook?"
        )
        raise Skipped("cancel_request returns None, or is not there: the vendor cannot stop a song")
    return rehearsal, job, request


def _cancel_request(subject: Subject, job: Job) -> HttpRequest | None:
    try:
        return subject.plugin.cancel(job, subject.settings)
    except MusicgateError as error:
        raise AssertionError(
            f"cancel_request raised for a job that is {job.state} ({error}): expected a request, or None"
        ) from error


def _cancel(subject: Subject, rehearsal: Rehearsal, request: HttpRequest, job: Job) -> tuple[int, Parsed]:
    """Send a cancel call, and what the plugin asks for next; return the last status and what was read."""
    response, step = rehearsal.send(request), Step.CANCEL
    parsed = parse_answer(subject, step, response, job, "the emulator's answer to cancel_request")
    for _ in range(3):
        if not isinstance(parsed, HttpRequest):
            break
        response, step = rehearsal.send(parsed), Step.NEXT
        parsed = parse_answer(subject, step, response, job, "the answer after the one to cancel_request")
    return response.status, parsed


def _is_stop(parsed: Parsed) -> bool:
    return isinstance(parsed, JobUpdate) and jobs.says_stopped(parsed)
