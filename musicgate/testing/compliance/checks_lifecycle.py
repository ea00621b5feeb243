"""What a plugin's updates do to a job: unknown statuses, sequences of answers, storage, schema."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from musicgate import codec, jobs, views
from musicgate.codec import SchemaValidator, bundle
from musicgate.errors import ProviderError
from musicgate.model import (
    Asset,
    DebugOptions,
    Job,
    JobState,
    JobUpdate,
    Usage,
)
from musicgate.plugin import HttpResponse, Step
from musicgate.testing.compliance.checks_answers import good_answers, jobs_by_step, parse_answer
from musicgate.testing.compliance.probes import (
    MEANINGLESS,
    STATUSES,
    WRONG_SHAPES,
    json_of,
    mutations,
    places,
    with_value,
)
from musicgate.testing.compliance.probes import at as value_at
from musicgate.testing.compliance.subject import Skipped

#: An answer, the seconds before it, which place in it is changed (None = none), and to what.
_Move = tuple[tuple[Step, HttpResponse], float, int | None, Any]

if TYPE_CHECKING:
    from musicgate.testing.compliance.emulated_run import ParsedAnswer
    from musicgate.testing.compliance.subject import Subject

_UNKNOWN_STATUSES: Final = (
    "kit_never_heard_of_this",
    "KIT NEVER HEARD OF THIS",
    "состояние",
    "完成?",
    "🎷",
    "x" * 5_000,
)
#: How many sequences are tried, and how many answers each has at most. The choice is the same in every run.
_SEQUENCES: Final = 80
_LONGEST_SEQUENCE: Final = 8
#: Every n-th mutation of a good body goes through the store and the schema.
_MUTATION_STRIDE: Final = 7


def check_unknown_status(subject: Subject) -> None:
    """A status that the plugin does not know is mapped to None, and leaves the job open."""
    for status in _UNKNOWN_STATUSES:
        mapped = subject.plugin.map_status(status)
        assert mapped is None, f"map_status({status[:40]!r}) is {mapped}: an unknown status is mapped to None"
    for good in good_answers(subject):
        body = json_of(good.response.body)
        if body is None:
            continue
        for status in (_UNKNOWN_STATUSES[0], _UNKNOWN_STATUSES[2]):
            changed = _with_statuses_replaced(subject, body, status)
            if changed is None:
                continue
            response = attrs.evolve(good.response, body=json.dumps(changed).encode())
            _assert_open(subject, good, response, status)


def check_any_sequence_of_answers(subject: Subject) -> None:
    """No sequence of good, late, repeated or mutated answers breaks the transition table."""
    moves: st.SearchStrategy[_Move] = st.tuples(
        st.one_of(*(st.sampled_from(answers) for answers in _pools(subject) if answers)),
        st.sampled_from((0.0, 1.0, 30.0, 400.0)),
        st.one_of(st.none(), st.integers(0, 10_000)),
        st.sampled_from((None, "kit", 0, [], {}, -1)),
    )
    start = jobs_by_step(subject)[0][1]

    @hypothesis_settings(
        max_examples=_SEQUENCES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(moves, min_size=1, max_size=_LONGEST_SEQUENCE))
    def apply_all(sequence: list[_Move]) -> None:
        job, now = start, start.updated_at
        for (step, response), wait_s, place, wrong in sequence:
            now += timedelta(seconds=wait_s)
            job = _moved(subject, job, step, _mutated(response, place, wrong), now)

    apply_all()


def check_updates_survive_storage(subject: Subject) -> None:
    """A job with any update applied is stored and loaded as an equal job."""
    for what, job in _jobs_with_updates(subject):
        try:
            again = codec.load_job(codec.dump_job(job))
        except Exception as exc:
            raise AssertionError(f"a job with {what} cannot be stored: {type(exc).__name__}: {exc}") from exc
        assert again == job, f"a job with {what} comes back from the store changed: {_difference(job, again)}"


def check_jobs_fit_the_schema(subject: Subject) -> None:
    """A job with any update applied fits the published job schema, open, failed and completed."""
    validator = _job_validator()
    for what, job in _jobs_with_updates(subject):
        for shown in (job, _settled(job)):
            rendered = views.render_job(
                shown, lambda _job, track, what: f"https://gate.example/{what}/{track.index}"
            )
            broken = validator.violations(json.loads(json.dumps(rendered, default=dict)))
            assert not broken, (
                f"a {shown.state} job with {what} breaks the job schema: {broken[0].message} at "
                f"{'.'.join(map(str, broken[0].path))}"
            )


@cache
def _job_validator() -> SchemaValidator:
    return SchemaValidator(bundle("job"))


def _assert_open(subject: Subject, good: ParsedAnswer, response: HttpResponse, status: str) -> None:
    """Assert that an unknown status ends nothing, unless there is audio in the answer."""
    where = f"an answer at step {good.step} whose status is {status!r}"
    parsed = parse_answer(subject, good.step, response, good.job, where)
    if not isinstance(parsed, JobUpdate):
        return
    own_refusal = isinstance(good.parsed, JobUpdate) and good.parsed.failure is not None
    assert parsed.failure is None or own_refusal, f"{where} failed the job: an unknown status leaves it open"
    if any(track.has_audio for track in parsed.tracks):
        return
    ends = parsed.doubt is not None or parsed.state in {JobState.COMPLETED, JobState.FAILED}
    assert own_refusal or not ends, (
        f"{where} ends the job ({parsed.state}, {parsed.doubt}): an unknown status leaves it open"
    )


def _with_statuses_replaced(subject: Subject, body: Any, status: str) -> Any:
    """Return the body with every status that the plugin knows replaced; None where it has none."""
    known = [
        path
        for path in places(body)
        if isinstance(value_at(body, path), str)
        and subject.plugin.map_status(value_at(body, path)) is not None
    ]
    if not known:
        return None
    for path in known:
        body = with_value(body, path, status)
    return body


def _moved(subject: Subject, before: Job, step: Step, response: HttpResponse, now: datetime) -> Job:
    """Return the job after an answer; after one that cannot be parsed it is as before.

    Raises:
        AssertionError: the life cycle does not allow this change.
    """
    try:
        update = subject.plugin.parse(step, response, before, subject.settings)
        if not isinstance(update, JobUpdate):
            return before
        after = jobs.apply(before, update, subject.plugin.map_status(update.native_status), now)
    except ProviderError:
        return before
    except Exception as exc:
        shown = f"{response.body[:200]!r} with HTTP {response.status} at step {step}"
        message = f"{shown} gives an update that the life cycle breaks on: {type(exc).__name__}: {exc}"
        raise AssertionError(message) from exc
    allowed = jobs.TRANSITIONS[before.state] | {before.state}
    assert after.state in allowed, f"{step} moved a job from {before.state} to {after.state}"
    # An attempt may be completed at any time; nothing else of a job that has ended changes.
    changed = attrs.evolve(after, attempts=before.attempts)
    assert not before.state.is_final or changed == before, f"{step} changed a job that is {before.state}"
    assert before.native_id in {None, after.native_id}, f"{step} changed the native id of a job"
    assert len(after.tracks) >= len(before.tracks), f"{step} took tracks away from a job"
    if after.delivered_at is not None and before.delivered_at is None:
        sounds = [*(track.audio_url for track in after.tracks), *(track.audio for track in update.tracks)]
        assert any(sounds), f"{step} finished a job that has no audio"
    return after


def _mutated(response: HttpResponse, place: int | None, wrong: object) -> HttpResponse:
    body = None if place is None else json_of(response.body)
    if not isinstance(body, dict | list) or place is None:
        return response
    paths = list(places(body))
    return attrs.evolve(
        response, body=json.dumps(with_value(body, paths[place % len(paths)], wrong)).encode()
    )


def _pools(subject: Subject) -> tuple[list[tuple[Step, HttpResponse]], ...]:
    """Return answers to choose from: those of the emulated run, the recorded ones, and nonsense."""
    steps = {step for step, _ in jobs_by_step(subject)}
    own = [(answer.step, answer.response) for answer in subject.emulated_run.answers if answer.step in steps]
    recorded = [(case.step, case.response) for case in subject.cases or () if case.step in steps]
    nonsense = [
        (step, HttpResponse(status=status, body=body))
        for step in sorted(steps)
        for status in STATUSES[::4]
        for body in (*MEANINGLESS.values(), *list(WRONG_SHAPES.values())[::5])
        if len(body) < 1_000
    ]
    return own, recorded, nonsense


def _jobs_with_updates(subject: Subject) -> list[tuple[str, Job]]:
    """Return jobs after one answer each, with every optional field of the job view requested."""
    starts = dict(jobs_by_step(subject))
    answered = [
        (f"the emulator's answer at step {answer.step}", answer.step, answer.response)
        for answer in subject.emulated_run.answers
    ]
    answered += [(f"the case {case.name}", case.step, case.response) for case in subject.cases or ()]
    for good in good_answers(subject):
        changed = list(mutations(good.response.body))[::_MUTATION_STRIDE]
        answered += [
            (
                f"a good answer but for {what}, at step {good.step}",
                good.step,
                attrs.evolve(good.response, body=body),
            )
            for what, body in changed
        ]
    found = []
    for what, step, response in answered:
        if step not in starts:
            continue
        try:
            update = subject.plugin.parse(step, response, starts[step], subject.settings)
        except ProviderError:
            continue
        if isinstance(update, JobUpdate):
            job = _with_everything_shown(starts[step], update)
            mapped = subject.plugin.map_status(update.native_status)
            found.append((what, jobs.apply(job, update, mapped, job.updated_at + timedelta(seconds=1))))
    if not found:
        raise Skipped("no answer of this vendor becomes an update")
    return found


def _with_everything_shown(job: Job, update: JobUpdate) -> Job:
    debug = DebugOptions(return_upstream_request=True, return_upstream_response=True)
    request = attrs.evolve(job.request, debug=debug, echo_upstream_request=True, metadata={"kit": "kit"})
    return attrs.evolve(job, request=request, native_request={"kit": 1}, native_response=update.body)


def _settled(job: Job) -> Job:
    """Return a delivered job with its audio kept; any other one as it is."""
    if job.delivered_at is None:
        return job
    asset = Asset(name="job/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=1_000, duration_s=6.0)
    tracks = [attrs.evolve(track, asset=asset) for track in job.tracks]
    usage = Usage(output_audio_count=max(1, len(tracks)), output_audio_seconds=6.0)
    return jobs.settle(job, tracks, usage, job.updated_at)


def _difference(left: Job, right: Job) -> str:
    names = [field for field in attrs.fields_dict(Job) if getattr(left, field) != getattr(right, field)]
    return "; ".join(
        f"{name}: {getattr(left, name)!r:.150} is not {getattr(right, name)!r:.150}" for name in names
    )
