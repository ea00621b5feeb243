"""What a plugin's readings do to a job: unknown words, any sequence of answers, storage and the published job schema."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import attrs
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from musicgate import codec, views
from musicgate import jobs as state_machine
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
from musicgate.testing.compliance.checks_answers import good_answers, jobs, read_answer
from musicgate.testing.compliance.probes import (
    EMPTY_TALK,
    STATUSES,
    WRONG_SHAPES,
    mutations,
    parsed,
    places,
    with_value,
)
from musicgate.testing.compliance.probes import at as value_at
from musicgate.testing.compliance.subject import Skipped

#: An answer, the seconds before it, which place of it is changed (None = none), and to what.
_Move = tuple[tuple[Step, HttpResponse], float, int | None, Any]

if TYPE_CHECKING:
    from musicgate.testing.compliance.subject import Subject
    from musicgate.testing.compliance.walk import Heard

_UNKNOWN_WORDS: Final = (
    "kit_never_heard_of_this",
    "KIT NEVER HEARD OF THIS",
    "состояние",
    "完成?",
    "🎷",
    "x" * 5_000,
)
#: Each sequence has up to this many answers; so many sequences are tried. The choice is the same in every run.
_LONGEST_SEQUENCE: Final = 8
_SEQUENCES: Final = 80
#: Every n-th mutation of a good body goes through the store and the schema.
_MUTATION_STRIDE: Final = 7


def check_unknown_status_word(subject: Subject) -> None:
    """A word that the plugin does not know means nothing, and leaves the job open."""
    for word in _UNKNOWN_WORDS:
        mapped = subject.plugin.map_status(word)
        assert mapped is None, f"map_status({word[:40]!r}) is {mapped}: an unknown word has no meaning (None)"
    for one in good_answers(subject):
        body = parsed(one.response.body)
        if body is None:
            continue
        for word in (*_UNKNOWN_WORDS[:1], _UNKNOWN_WORDS[2]):
            changed = _with_words_replaced(subject, body, word)
            if changed is None:
                continue
            response = attrs.evolve(one.response, body=json.dumps(changed).encode())
            _assert_open(subject, one, response, word)


def check_any_sequence_of_answers(subject: Subject) -> None:
    """No sequence of answers, good, late, repeated or mutated, breaks the transition table."""
    moves: st.SearchStrategy[_Move] = st.tuples(
        st.one_of(*(st.sampled_from(answers) for answers in _pools(subject) if answers)),
        st.sampled_from((0.0, 1.0, 30.0, 400.0)),
        st.one_of(st.none(), st.integers(0, 10_000)),
        st.sampled_from((None, "kit", 0, [], {}, -1)),
    )
    start = jobs(subject)[0][1]

    @hypothesis_settings(
        max_examples=_SEQUENCES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(moves, min_size=1, max_size=_LONGEST_SEQUENCE))
    def play(sequence: list[_Move]) -> None:
        job, now = start, start.updated_at
        for (step, response), wait_s, place, wrong in sequence:
            now += timedelta(seconds=wait_s)
            job = _moved(subject, job, step, _mutated(response, place, wrong), now)

    play()


def check_updates_survive_storage(subject: Subject) -> None:
    """A job with any update folded in is written and read back equal."""
    for what, job in _jobs_with_updates(subject):
        try:
            again = codec.load_job(codec.dump_job(job))
        except Exception as exc:
            raise AssertionError(f"a job with {what} cannot be stored: {type(exc).__name__}: {exc}") from exc
        assert again == job, (
            f"a job with {what} comes back from the store as another: {_difference(job, again)}"
        )


def check_jobs_fit_the_schema(subject: Subject) -> None:
    """A job with any update folded in is shown in the published shape, open, failed and completed."""
    validator = _job_validator()
    for what, job in _jobs_with_updates(subject):
        for shown in (job, _settled(job)):
            rendered = views.render_job(
                shown, lambda _job, track: f"https://gate.example/audio/{track.index}"
            )
            broken = validator.violations(json.loads(json.dumps(rendered, default=dict)))
            assert not broken, (
                f"a {shown.state} job with {what} breaks the job schema: {broken[0].message} at "
                f"{'.'.join(map(str, broken[0].path))}"
            )


@cache
def _job_validator() -> SchemaValidator:
    return SchemaValidator(bundle("job"))


def _assert_open(subject: Subject, good: Heard, response: HttpResponse, word: str) -> None:
    """An answer with an unknown word ends nothing; audio that is there may still prove that the song is done."""
    where = f"an answer at step {good.step} whose status word is {word!r}"
    read = read_answer(subject, good.step, response, good.job, where)
    if not isinstance(read, JobUpdate):
        return
    own_refusal = isinstance(good.read, JobUpdate) and good.read.failure is not None
    assert read.failure is None or own_refusal, f"{where} failed the job: an unknown word leaves it open"
    if any(track.has_audio for track in read.tracks):
        return
    ends = read.doubt is not None or read.state in {JobState.COMPLETED, JobState.FAILED}
    assert own_refusal or not ends, (
        f"{where} ends the job ({read.state}, {read.doubt}): an unknown word leaves it open"
    )


def _with_words_replaced(subject: Subject, body: Any, word: str) -> Any:
    """The body with every status word that the plugin knows replaced; None where it has none."""
    known = [
        path
        for path in places(body)
        if isinstance(value_at(body, path), str)
        and subject.plugin.map_status(value_at(body, path)) is not None
    ]
    if not known:
        return None
    for path in known:
        body = with_value(body, path, word)
    return body


def _moved(subject: Subject, before: Job, step: Step, response: HttpResponse, now: datetime) -> Job:
    """The job after an answer, as it was after one that says nothing.

    Raises:
        AssertionError: the move is none that the life cycle allows.
    """
    try:
        update = subject.plugin.parse(step, response, before, subject.settings)
        if not isinstance(update, JobUpdate):
            return before
        after = state_machine.apply(before, update, subject.plugin.map_status(update.native_status), now)
    except ProviderError:
        return before
    except Exception as exc:
        shown = f"{response.body[:200]!r} with HTTP {response.status} at step {step}"
        said = f"{type(exc).__name__}: {exc}"
        raise AssertionError(f"{shown} gives an update that the life cycle breaks on: {said}") from exc
    allowed = state_machine.TRANSITIONS[before.state] | {before.state}
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
    body = None if place is None else parsed(response.body)
    if not isinstance(body, dict | list) or place is None:
        return response
    paths = list(places(body))
    return attrs.evolve(
        response, body=json.dumps(with_value(body, paths[place % len(paths)], wrong)).encode()
    )


def _pools(subject: Subject) -> tuple[list[tuple[Step, HttpResponse]], ...]:
    """Answers to draw from: the song's own, the recorded ones, and nonsense."""
    steps = {step for step, _ in jobs(subject)}
    own = [(one.step, one.response) for one in subject.walk.heard if one.step in steps]
    recorded = [(case.step, case.response) for case in subject.cases or () if case.step in steps]
    nonsense = [
        (step, HttpResponse(status=status, body=body))
        for step in sorted(steps)
        for status in STATUSES[::4]
        for body in (*EMPTY_TALK.values(), *list(WRONG_SHAPES.values())[::5])
        if len(body) < 1_000
    ]
    return own, recorded, nonsense


def _jobs_with_updates(subject: Subject) -> list[tuple[str, Job]]:
    """Jobs after one answer each, shown with everything that a caller can ask for."""
    starts = dict(jobs(subject))
    answered = [
        (f"the emulator's answer at step {one.step}", one.step, one.response) for one in subject.walk.heard
    ]
    answered += [(f"the case {case.name}", case.step, case.response) for case in subject.cases or ()]
    for one in good_answers(subject):
        changed = list(mutations(one.response.body))[::_MUTATION_STRIDE]
        answered += [
            (
                f"a good answer but for {what}, at step {one.step}",
                one.step,
                attrs.evolve(one.response, body=body),
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
            job = _shown_whole(starts[step], update)
            mapped = subject.plugin.map_status(update.native_status)
            found.append(
                (what, state_machine.apply(job, update, mapped, job.updated_at + timedelta(seconds=1)))
            )
    if not found:
        raise Skipped("no answer of this vendor becomes an update")
    return found


def _shown_whole(job: Job, update: JobUpdate) -> Job:
    debug = DebugOptions(return_upstream_request=True, return_upstream_response=True)
    asked = attrs.evolve(job.request, debug=debug, echo_upstream_request=True, metadata={"kit": "kit"})
    return attrs.evolve(job, request=asked, native_request={"kit": 1}, native_response=update.body)


def _settled(job: Job) -> Job:
    """A delivered job as it is when its audio is kept; any other one as it is."""
    if job.delivered_at is None:
        return job
    asset = Asset(name="job/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=1_000, duration_s=6.0)
    tracks = [attrs.evolve(track, asset=asset) for track in job.tracks]
    usage = Usage(output_audio_count=max(1, len(tracks)), output_audio_seconds=6.0)
    return state_machine.settle(job, tracks, usage, job.updated_at)


def _difference(left: Job, right: Job) -> str:
    names = [field for field in attrs.fields_dict(Job) if getattr(left, field) != getattr(right, field)]
    return "; ".join(
        f"{name}: {getattr(left, name)!r:.150} is not {getattr(right, name)!r:.150}" for name in names
    )
