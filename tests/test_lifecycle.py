from datetime import timedelta
from itertools import product
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import (
    Failure,
    FailureClass,
    JobState,
    JobUpdate,
    NativeTrack,
    Track,
)
from musicgate.jobs import (
    TRANSITIONS,
    KeptAudio,
    apply,
    cancel,
    clamp_deadline,
    end,
    expire,
    fail,
    history,
    keep_audio,
    merge_tracks,
    next_poll_s,
    settle,
)
from musicgate.model import (
    Asset,
    Attempt,
    AttemptOutcome,
    Doubt,
    EventKind,
    OptionWarning,
    PollSchedule,
    Usage,
    WarningCode,
)
from tests.sample_jobs import LATER, START, at, attempt, job

LINK = "https://cdn.test/1.mp3"
SONG = NativeTrack(native_id="t1", audio_url=LINK)
SILENT = NativeTrack(native_id="silent", stream_audio_url="https://x.example/stream")
REFUSED = Failure(reason=FailureClass.MODERATION, message="no")
ASSET = Asset(name="a/0.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=5, duration_s=2.5)
QUEUED, IN_PROGRESS, COMPLETED, FAILED = JobState


# --- states, every pair ---


def test_transitions_are_these_and_no_others() -> None:
    allowed = {(QUEUED, IN_PROGRESS), (QUEUED, COMPLETED), (QUEUED, FAILED)}
    allowed |= {(IN_PROGRESS, COMPLETED), (IN_PROGRESS, FAILED)}
    assert {(one, two) for one, two in product(JobState, JobState) if two in TRANSITIONS[one]} == allowed
    assert {state for state in JobState if not TRANSITIONS[state]} == {
        state for state in JobState if state.is_final
    }


#: State before, the vendor's verdict, state after and whether it counts as delivered. "completed" brings
#: audio here.
PAIRS = [
    (QUEUED, None, QUEUED, False),
    (QUEUED, QUEUED, QUEUED, False),
    (QUEUED, IN_PROGRESS, IN_PROGRESS, False),
    (QUEUED, COMPLETED, IN_PROGRESS, True),
    (QUEUED, FAILED, FAILED, False),
    (IN_PROGRESS, None, IN_PROGRESS, False),
    (IN_PROGRESS, QUEUED, IN_PROGRESS, False),
    (IN_PROGRESS, IN_PROGRESS, IN_PROGRESS, False),
    (IN_PROGRESS, COMPLETED, IN_PROGRESS, True),
    (IN_PROGRESS, FAILED, FAILED, False),
    *((state, verdict, state, False) for state in (COMPLETED, FAILED) for verdict in (None, *JobState)),
]


@pytest.mark.parametrize(("before", "verdict", "after", "delivered"), PAIRS)
@pytest.mark.parametrize("by_status", [True, False])
def test_verdict_moves_a_job(
    before: JobState, verdict: JobState | None, after: JobState, *, delivered: bool, by_status: bool
) -> None:
    tracks = (SONG,) if verdict is COMPLETED else ()
    update = JobUpdate(native_status="status", state=None if by_status else verdict, tracks=tracks)
    moved = apply(job(before), update, verdict if by_status else None, LATER)
    assert moved.state is after
    assert (moved.delivered_at == LATER) is delivered
    assert (moved.failure is not None) is (after is FAILED and before is not FAILED)


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_final_state_absorbs_everything(state: JobState) -> None:
    final = job(state)
    update = JobUpdate(native_status="w", tracks=(SONG,), failure=REFUSED)
    assert apply(final, update, IN_PROGRESS, LATER) is final
    assert fail(final, REFUSED, LATER) is final
    assert settle(final, [], Usage(), LATER) is final


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_attempt_of_a_final_job_still_gets_the_vendors_id_and_nothing_else_changes(state: JobState) -> None:
    final = job(state)
    update = JobUpdate(native_id="n", native_status="w", tracks=(SONG,), failure=REFUSED)
    after = apply(final, update, IN_PROGRESS, LATER)
    assert (after.native_id, after.attempts[-1].outcome) == ("n", AttemptOutcome.ACCEPTED)
    assert attrs.evolve(after, attempts=final.attempts) == final
    assert history(final, after, LATER) == ()


def test_delivered_job_ignores_every_later_answer() -> None:
    delivered = job(IN_PROGRESS, delivered_at=START)
    assert apply(delivered, JobUpdate(failure=REFUSED), FAILED, LATER) is delivered


def test_state_of_an_update_beats_the_mapped_status() -> None:
    assert apply(job(), JobUpdate(native_status="w", state=IN_PROGRESS), FAILED, LATER).state is IN_PROGRESS


def test_same_answer_again_gives_the_same_object() -> None:
    update = JobUpdate(native_id="n-1", native_status="works", tracks=(SONG,))
    once = apply(job(), update, IN_PROGRESS, LATER)
    assert once.updated_at == LATER
    assert apply(once, update, IN_PROGRESS, LATER + timedelta(seconds=9)) is once


def test_failure_names_the_native_status_or_the_vendors_failure() -> None:
    failed = apply(job(), JobUpdate(native_status="ERROR"), FAILED, LATER)
    assert failed.failure == Failure(
        reason=FailureClass.UPSTREAM_FAILED, message="the vendor reported 'ERROR'"
    )
    assert (failed.completed_at, failed.updated_at) == (LATER, LATER)
    assert apply(job(), JobUpdate(failure=REFUSED), COMPLETED, LATER).failure is REFUSED


def test_unknown_status_is_kept_and_an_absent_one_keeps_the_last() -> None:
    once = apply(job(), JobUpdate(native_status="NOVEL"), None, LATER)
    assert (once.state, once.native_status) == (QUEUED, "NOVEL")
    assert apply(once, JobUpdate(), None, LATER).native_status == "NOVEL"


def test_a_repeated_warning_is_kept_once() -> None:
    note = OptionWarning(code=WarningCode.CHANGED, path=("seed",), message="changed")
    once = apply(job(), JobUpdate(warnings=(note,)), None, LATER)
    assert once.warnings == (note,)
    assert apply(once, JobUpdate(warnings=(note,)), None, LATER).warnings == (note,)


# --- native ids ---


def test_first_native_id_adopts_the_attempt_and_never_changes() -> None:
    adopted = apply(job(), JobUpdate(native_id="n-1"), None, LATER)
    assert adopted.attempt is not None
    assert (adopted.native_id, adopted.attempt.outcome) == ("n-1", AttemptOutcome.ACCEPTED)
    assert adopted.attempt.answered_at == LATER
    assert apply(adopted, JobUpdate(native_id="n-2"), None, LATER) is adopted


def test_only_the_last_attempt_is_adopted() -> None:
    two = job(attempts=(attempt(AttemptOutcome.REFUSED), attempt(AttemptOutcome.UNKNOWN)))
    adopted = apply(two, JobUpdate(native_id="n-1"), None, LATER)
    assert [(item.outcome.value, item.native_id) for item in adopted.attempts] == [
        ("refused", None),
        ("accepted", "n-1"),
    ]


# --- doubts and grace ---

DOUBT = JobUpdate(doubt=Doubt(failure=REFUSED, grace_s=30))
EMPTY = JobUpdate(native_status="done")


@pytest.mark.parametrize(
    ("update", "mapped", "speed", "lasts_s"),
    [
        (DOUBT, None, 1.0, 30.0),
        (DOUBT, None, 10.0, 3.0),
        (EMPTY, COMPLETED, 1.0, 120.0),
        (EMPTY, COMPLETED, 60.0, 2.0),
        (attrs.evolve(DOUBT, state=COMPLETED, tracks=(SILENT,)), None, 1.0, 30.0),
    ],
)
def test_doubt_ends_a_job_only_when_it_lasts(
    update: JobUpdate, mapped: JobState | None, speed: float, lasts_s: float
) -> None:
    doubted = apply(job(), update, mapped, START, speed)
    assert doubted.doubt_since == START
    assert apply(doubted, update, mapped, at(lasts_s - 0.001), speed) == doubted
    failed = apply(doubted, update, mapped, at(lasts_s), speed)
    assert failed.state is FAILED
    assert failed.doubt_since is None


def test_success_without_audio_counts_as_work_in_progress_and_says_why_it_fails() -> None:
    doubted = apply(job(), EMPTY, COMPLETED, START)
    assert doubted.state is IN_PROGRESS
    failed = apply(doubted, EMPTY, COMPLETED, at(120))
    assert failed.failure is not None
    assert failed.failure.message == "the vendor reported success but delivered no audio"


@pytest.mark.parametrize(
    ("update", "mapped"),
    [
        (JobUpdate(failure=REFUSED, tracks=(SONG, SILENT)), None),
        (JobUpdate(native_status="broken", tracks=(SONG, SILENT)), FAILED),
        (JobUpdate(native_status="done", tracks=(SONG, SILENT)), COMPLETED),
    ],
)
def test_end_with_one_good_track_delivers_it_and_marks_the_other(
    update: JobUpdate, mapped: JobState | None
) -> None:
    delivered = apply(job(), update, mapped, LATER)
    assert (delivered.state, delivered.delivered_at, delivered.failure) == (IN_PROGRESS, LATER, None)
    assert [track.has_audio for track in delivered.tracks] == [True, False]
    assert delivered.tracks[1].failure_message


def test_doubt_that_lasts_delivers_what_has_audio() -> None:
    update = attrs.evolve(DOUBT, tracks=(SONG, SILENT))
    doubted = apply(job(), update, None, START)
    assert doubted.delivered_at is None
    delivered = apply(doubted, update, None, at(30))
    assert (delivered.delivered_at, delivered.failure) == (at(30), None)
    assert [track.failure_message for track in delivered.tracks] == [None, REFUSED.message]


def test_end_leaves_a_final_or_delivered_job_alone() -> None:
    for settled in (job(COMPLETED), job(FAILED), job(IN_PROGRESS, delivered_at=START)):
        assert end(settled, REFUSED, LATER) is settled


@pytest.mark.parametrize("update", [JobUpdate(native_status="works"), JobUpdate()])
def test_answer_without_a_doubt_ends_the_doubt(update: JobUpdate) -> None:
    doubted = apply(job(), DOUBT, None, START)
    cleared = apply(doubted, update, IN_PROGRESS, at(10))
    assert cleared.doubt_since is None
    assert apply(cleared, DOUBT, None, at(35)).state is IN_PROGRESS


def test_audio_as_bytes_delivers_the_job() -> None:
    update = JobUpdate(native_status="done", tracks=(NativeTrack(audio=b"sound"),))
    assert apply(job(), update, COMPLETED, LATER).delivered_at == LATER


def test_stream_alone_is_no_audio() -> None:
    update = JobUpdate(native_status="done", tracks=(NativeTrack(stream_audio_url=LINK),))
    assert apply(job(), update, COMPLETED, LATER).delivered_at is None


def test_broken_track_is_no_audio() -> None:
    broken = attrs.evolve(SONG, failure_message="broken")
    assert apply(job(), JobUpdate(tracks=(broken,)), COMPLETED, LATER).delivered_at is None


def test_audio_that_an_earlier_answer_showed_counts() -> None:
    shown = apply(job(), JobUpdate(tracks=(SONG,)), IN_PROGRESS, START)
    assert apply(shown, EMPTY, COMPLETED, LATER).delivered_at == LATER


# --- monotonicity ---

_STATUSES = {"waits": QUEUED, "works": IN_PROGRESS, "done": COMPLETED, "bad": FAILED}
_RANK = {QUEUED: 0, IN_PROGRESS: 1, COMPLETED: 2, FAILED: 2}
_NATIVE_TRACKS = st.builds(
    NativeTrack,
    native_id=st.sampled_from([None, "a", "b", "c"]),
    audio_url=st.sampled_from([None, LINK, "https://cdn.test/2.mp3"]),
    stream_audio_url=st.sampled_from([None, "https://s.test/1"]),
    title=st.sampled_from([None, "One", "Two"]),
    failure_message=st.sampled_from([None, None, "broken"]),
)
_UPDATES = st.builds(
    JobUpdate,
    native_id=st.sampled_from([None, "n-1", "n-2"]),
    native_status=st.sampled_from([None, "novel", *_STATUSES]),
    state=st.sampled_from([None, None, *JobState]),
    tracks=st.lists(_NATIVE_TRACKS, max_size=3).map(tuple),
    failure=st.sampled_from([None, None, None, REFUSED]),
    doubt=st.sampled_from([None, None, Doubt(failure=REFUSED, grace_s=30)]),
)


@given(st.lists(st.tuples(_UPDATES, st.floats(0, 100)), max_size=12))
def test_no_sequence_of_answers_moves_a_job_back(steps: list[tuple[JobUpdate, float]]) -> None:
    current, now = job(), START
    for update, pause_s in steps:
        now += timedelta(seconds=pause_s)
        following = apply(current, update, _STATUSES.get(update.native_status or ""), now)
        assert following.state is current.state or following.state in TRANSITIONS[current.state]
        assert _RANK[following.state] >= _RANK[current.state]
        assert following.state is not COMPLETED  # only settling completes a job
        assert current.native_id in {None, following.native_id}
        assert current.native_status is None or following.native_status is not None
        assert current.delivered_at in {None, following.delivered_at}
        assert (following.failure is not None) == (following.state is FAILED)
        assert (following.completed_at is not None) == following.state.is_final
        assert [track.index for track in following.tracks] == list(range(len(following.tracks)))
        for old, new in zip(current.tracks, following.tracks, strict=False):
            assert old.native_id in {None, new.native_id}
            assert not (old.audio_url and not new.audio_url)
        if current.state.is_final or current.delivered_at:
            assert attrs.evolve(following, attempts=current.attempts) == current
        again = apply(following, update, _STATUSES.get(update.native_status or ""), now)
        assert again.state is following.state
        assert again.native_id == following.native_id
        current = following


# --- settling ---


def test_settled_job_has_usage_and_one_good_track_is_enough() -> None:
    tracks = [Track(index=0, asset=ASSET), Track(index=1, audio_url=LINK, failure_message="broken")]
    usage = Usage(output_audio_count=1)
    settled = settle(job(IN_PROGRESS, delivered_at=START), tracks, usage, LATER)
    assert (settled.state, settled.usage, settled.tracks) == (COMPLETED, usage, tuple(tracks))
    assert (settled.completed_at, settled.updated_at) == (LATER, LATER)


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ([], "no audio"),
        ([Track(index=0, stream_audio_url=LINK)], "no audio"),
        (
            [Track(index=n, audio_url=LINK, failure_message=f"HTTP 40{n}") for n in (3, 4)],
            "HTTP 403; HTTP 404",
        ),
    ],
)
def test_job_without_a_good_track_has_failed_and_may_have_cost(tracks: list[Track], reason: str) -> None:
    settled = settle(job(IN_PROGRESS, delivered_at=START), tracks, Usage(), LATER)
    assert (settled.state, settled.usage) == (FAILED, None)
    assert settled.failure == Failure(
        reason=FailureClass.UPSTREAM_FAILED,
        message=f"the vendor reported success but its audio could not be kept: {reason}",
        may_have_cost=True,
    )


def test_job_without_a_price_is_settled_with_a_warning() -> None:
    kept = [Track(index=0, asset=ASSET)]
    settled = settle(job(IN_PROGRESS, delivered_at=START), kept, Usage(), LATER, "no length")
    assert settled.warnings == (OptionWarning(code=WarningCode.NOT_PRICED, path=(), message="no length"),)
    assert settle(job(IN_PROGRESS, delivered_at=START), [], Usage(), LATER, "no length").warnings == ()


@pytest.mark.parametrize(
    ("audio", "kept"),
    [
        (KeptAudio(), (None, None)),
        (KeptAudio(assets={0: ASSET}), (ASSET, None)),
        (KeptAudio(broken={1: "HTTP 404"}), (None, "HTTP 404")),
        (KeptAudio(assets={0: ASSET}, broken={1: "HTTP 404", 7: "no such track"}), (ASSET, "HTTP 404")),
    ],
)
def test_fetched_audio_is_noted_track_by_track(
    audio: KeptAudio, kept: tuple[Asset | None, str | None]
) -> None:
    tracks = (Track(index=0, audio_url=LINK), Track(index=1, audio_url=LINK))
    delivered = job(IN_PROGRESS, delivered_at=START, tracks=tracks)
    noted = keep_audio(delivered, audio, LATER)
    assert (noted.tracks[0].asset, noted.tracks[1].failure_message) == kept
    assert (noted is delivered) is (kept == (None, None))
    assert noted.updated_at == (START if noted is delivered else LATER)


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_audio_that_comes_after_the_end_changes_nothing(state: JobState) -> None:
    final = job(state, tracks=(Track(index=0, audio_url=LINK),))
    assert keep_audio(final, KeptAudio(assets={0: ASSET}), LATER) is final


def test_audio_inside_an_answer_is_kept_and_the_broken_track_says_why() -> None:
    update = JobUpdate(tracks=(NativeTrack(audio=b"sound"), NativeTrack(audio=b"noise")))
    audio = KeptAudio(assets={0: ASSET}, broken={1: "no audio"})
    delivered = apply(job(), update, COMPLETED, LATER, audio=audio, body={"raw": 1})
    assert [(track.asset, track.failure_message) for track in delivered.tracks] == [
        (ASSET, None),
        (None, "no audio"),
    ]
    assert (delivered.delivered_at, delivered.native_response) == (LATER, {"raw": 1})


def test_body_of_an_answer_that_changes_nothing_is_not_kept() -> None:
    known = apply(job(), JobUpdate(native_status="works"), IN_PROGRESS, START, body={"raw": 1})
    assert apply(known, JobUpdate(native_status="works"), IN_PROGRESS, LATER, body={"raw": 2}) is known
    assert apply(known, JobUpdate(native_status="soon"), IN_PROGRESS, LATER).native_response == {"raw": 1}


# --- deadlines and cancellation ---

LOST = Failure(reason=FailureClass.TIMEOUT, message="no answer")


@pytest.mark.parametrize(
    ("attempts", "more", "reason", "message", "costs"),
    [
        (
            (),
            {},
            FailureClass.EXPIRED,
            "not sent when its time was up: it waited for a slot at its provider",
            False,
        ),
        (
            (attempt(AttemptOutcome.PLANNED),),
            {},
            FailureClass.EXPIRED,
            "not sent when its time was up: it waited for a slot at its provider",
            False,
        ),
        ((attempt(),), {}, FailureClass.UNKNOWN_OUTCOME, "the vendor's answer was lost", True),
        ((attempt(AttemptOutcome.UNKNOWN, failure=LOST),), {}, FailureClass.TIMEOUT, "no answer", True),
        (
            (attempt(AttemptOutcome.ACCEPTED, "n-1"),),
            {"native_status": "works"},
            FailureClass.EXPIRED,
            "not finished when its time was up; the last thing the vendor said was 'works'",
            True,
        ),
        (
            (attempt(AttemptOutcome.ACCEPTED, "n-1"),),
            {"delivered_at": START},
            FailureClass.GATEWAY,
            "the vendor has finished it, but its audio could not be kept in time; the vendor's links are left",
            True,
        ),
    ],
)
def test_expired_job_says_how_far_it_came(
    attempts: tuple[Attempt, ...], more: dict[str, Any], reason: FailureClass, message: str, *, costs: bool
) -> None:
    expired = expire(job(attempts=attempts, **more), LATER)
    assert expired.failure is not None
    assert (expired.state, expired.failure.reason, expired.failure.message) == (FAILED, reason, message)
    assert expired.failure.costs is costs


def test_expired_job_delivers_the_tracks_that_have_audio() -> None:
    accepted = job(
        IN_PROGRESS,
        attempts=(attempt(AttemptOutcome.ACCEPTED, "n-1"),),
        tracks=(Track(index=0, audio_url=LINK), Track(index=1)),
    )
    delivered = expire(accepted, LATER, steady=at(700))
    assert (delivered.state, delivered.delivered_at) == (IN_PROGRESS, at(700))
    assert delivered.tracks[1].failure_message == "not finished when its time was up"


@pytest.mark.parametrize("state", [COMPLETED, FAILED])
def test_final_job_neither_expires_nor_is_cancelled(state: JobState) -> None:
    final = job(state)
    assert expire(final, LATER) is final
    assert cancel(final, LATER, was_stopped=True) is final


@pytest.mark.parametrize(
    ("outcome", "was_stopped", "message", "costs"),
    [
        (AttemptOutcome.PLANNED, False, "cancelled before it was sent; nothing is billed", False),
        (
            AttemptOutcome.SENT,
            False,
            "cancelled here; the vendor could not be asked to stop, so it may finish the song and bill it",
            True,
        ),
        (
            AttemptOutcome.ACCEPTED,
            True,
            "cancelled; the vendor was asked to stop, and may bill what it had done",
            True,
        ),
    ],
)
def test_cancelled_job_says_what_may_be_billed(
    outcome: AttemptOutcome, message: str, *, was_stopped: bool, costs: bool
) -> None:
    cancelled = cancel(job(attempts=(attempt(outcome),)), LATER, was_stopped=was_stopped)
    assert cancelled.failure == Failure(reason=FailureClass.CANCELLED, message=message, may_have_cost=costs)
    assert (cancelled.state, cancelled.completed_at) == (FAILED, LATER)


def test_delivered_job_cannot_be_cancelled() -> None:
    delivered = job(IN_PROGRESS, delivered_at=START)
    assert cancel(delivered, LATER, was_stopped=True) is delivered


@pytest.mark.parametrize(
    ("deadline_s", "clamped_s"), [(-50, 100), (100, 100), (300, 300), (500, 500), (501, 500)]
)
def test_deadline_is_moved_between_two_times(deadline_s: float, clamped_s: float) -> None:
    known = job(deadline_at=at(deadline_s))
    clamped = clamp_deadline(known, at(100), at(500), LATER)
    assert clamped.deadline_at == at(clamped_s)
    assert (clamped is known) is (deadline_s == clamped_s)
    final = job(FAILED, deadline_at=at(deadline_s))
    assert clamp_deadline(final, at(100), at(500), LATER) is final


# --- polls ---

SCHEDULE = PollSchedule(first_s=20, min_s=5, max_s=30)


@pytest.mark.parametrize(
    ("age_s", "speed", "pause_s"),
    [
        (0, 1, 20),
        (15, 1, 5),
        (19.5, 1, 0.5),
        (20, 1, 5),
        (40, 1, 6),
        (100, 1, 15),
        (200, 1, 30),
        (100_000, 1, 30),
        (-3, 1, 20),
        (0, 10, 2),
        (2, 10, 0.5),
        (4, 10, 0.6),
        (200, 10, 3),
    ],
)
def test_poll_interval_grows_with_the_jobs_age(age_s: float, speed: float, pause_s: float) -> None:
    assert next_poll_s(job(), SCHEDULE, at(age_s), speed) == pytest.approx(pause_s)


# --- tracks ---


def known(*native_ids: str | None) -> list[Track]:
    return [Track(index=index, native_id=native_id) for index, native_id in enumerate(native_ids)]


@pytest.mark.parametrize(
    ("before", "seen", "after", "indexes"),
    [
        ((), ("a", "b"), ("a", "b"), (0, 1)),
        ((), (None, None), (None, None), (0, 1)),
        (("a", "b"), ("b", "a"), ("a", "b"), (1, 0)),
        (("a", "b"), ("b",), ("a", "b"), (1,)),
        ((None, None), ("a", "b"), ("a", "b"), (0, 1)),
        (("a",), (None, "b"), ("a", "b"), (0, 1)),
        (("a",), ("b",), ("a", "b"), (1,)),
        (("a", "b"), (None, None), ("a", "b"), (0, 1)),
        ((), ("a", "a"), ("a",), (0, 0)),
        (("a",), (), ("a",), ()),
    ],
)
def test_tracks_are_matched_by_id_then_by_position(
    before: tuple[str | None, ...],
    seen: tuple[str | None, ...],
    after: tuple[str | None, ...],
    indexes: tuple[int, ...],
) -> None:
    natives = [NativeTrack(native_id=native_id) for native_id in seen]
    merged = merge_tracks(known(*before), natives)
    assert [track.native_id for track in merged.tracks] == list(after)
    assert [track.index for track in merged.tracks] == list(range(len(after)))
    assert merged.indexes == indexes


def test_fields_of_a_track_survive_an_answer_without_them() -> None:
    full = NativeTrack(
        native_id="a",
        audio_url=LINK,
        fallback_urls=("https://spare.test/1",),
        title="One",
        duration_s=2.5,
        extra={"words": []},
        audio=b"bytes stay out of a track",
    )
    once = merge_tracks([], [full]).tracks
    assert once == (
        Track(
            index=0,
            native_id="a",
            audio_url=LINK,
            fallback_urls=("https://spare.test/1",),
            title="One",
            duration_s=2.5,
            extra={"words": []},
        ),
    )
    assert merge_tracks(once, [NativeTrack(native_id="a")]).tracks == once
    assert merge_tracks(once, [NativeTrack(native_id="a", title="Two")]).tracks[0].title == "Two"


def test_kept_audio_stays_with_its_track() -> None:
    kept = [Track(index=0, native_id="a", asset=ASSET)]
    assert merge_tracks(kept, [NativeTrack(native_id="b"), SONG]).tracks[0].asset is ASSET


# --- history ---


def test_history_begins_with_the_request_and_its_first_attempt() -> None:
    events = history(None, job(), START)
    assert [(event.kind, event.at, dict(event.data)) for event in events] == [
        (EventKind.CREATED, START, {"model": "fake/song"}),
        (EventKind.ATTEMPT, START, {"plugin": "one", "outcome": "sent", "native_id": None}),
    ]


def test_history_lists_what_changed_in_order() -> None:
    before = job()
    after = apply(
        before, JobUpdate(native_id="n-1", tracks=(attrs.evolve(SONG, title="One"),)), COMPLETED, LATER
    )
    assert [(event.kind.value, dict(event.data)) for event in history(before, after, LATER)] == [
        ("attempt", {"plugin": "one", "outcome": "accepted", "native_id": "n-1"}),
        ("state", {"from": "queued", "to": "in_progress"}),
        ("track", {"index": 0, "title": "One", "stream_audio_url": None, "audio_url": LINK}),
        ("output", {"tracks": 1}),
    ]
    settled = settle(after, after.tracks, Usage(), LATER)
    assert [(event.kind.value, dict(event.data)) for event in history(after, settled, LATER)] == [
        ("state", {"from": "in_progress", "to": "completed"}),
        ("settled", {"state": "completed", "reason": None}),
    ]


def test_every_link_of_a_track_makes_one_event_while_the_job_is_open() -> None:
    bare, streamed = Track(index=0), Track(index=0, title="One", stream_audio_url="https://s.test/0")
    whole = attrs.evolve(streamed, audio_url=LINK)
    second = Track(index=1, stream_audio_url="https://s.test/1")
    steps = [(bare,), (streamed,), (attrs.evolve(streamed, tags="jazz"),), (whole, second), (whole, second)]
    reported: list[list[tuple[object, ...]]] = []
    before = job(IN_PROGRESS)
    for tracks in steps:
        after = attrs.evolve(before, tracks=tracks)
        reported.append([tuple(event.data.values()) for event in history(before, after, LATER)])
        before = after
    assert reported == [
        [(0, None, None, None)],
        [(0, "One", "https://s.test/0", None)],
        [],
        [(0, "One", "https://s.test/0", LINK), (1, None, "https://s.test/1", None)],
        [],
    ]


def test_history_of_a_failure_names_the_class() -> None:
    events = history(job(), fail(job(), REFUSED, LATER), LATER)
    assert dict(events[-1].data) == {"state": "failed", "reason": "moderation"}


def test_history_of_one_more_attempt() -> None:
    before = job(attempts=(attempt(AttemptOutcome.REFUSED),))
    after = job(attempts=(attempt(AttemptOutcome.REFUSED), attempt(AttemptOutcome.PLANNED)))
    assert [event.data["outcome"] for event in history(before, after, LATER)] == ["planned"]
    assert history(after, attrs.evolve(after, native_status="x"), LATER) == ()
