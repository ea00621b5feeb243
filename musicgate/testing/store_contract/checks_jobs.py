"""One job: adding, compare-and-set, its events, marks, deletion, and texts of any kind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import attrs
import pytest

from musicgate.errors import StorageError
from musicgate.model import (
    Asset,
    JobHead,
    JobQuery,
    JobState,
    MusicRequest,
    OptionWarning,
    Track,
    WarningCode,
)
from musicgate.testing.store_contract.samples import NOW, make_claim, make_event, make_job

if TYPE_CHECKING:
    from musicgate.store import JobStore
    from musicgate.testing.store_contract.subject import StoreUnderTest

#: Texts that databases refuse or take for something else: a lone surrogate, NUL, SQL, none, a long one.
ODD_TEXTS: Final = (
    *("\ud800", "a\x00b", "\x00\ud800 ü", "'; DROP TABLE jobs; --", "ü 音楽", ""),
    "n" * 5_000 + "\U0001f3b5" * 5_000,
)


async def labels(store: JobStore, job_id: str = "m1") -> list[object]:
    """The labels of a job's events."""
    return [event.data["label"] for _, event in await store.events(job_id)]


async def check_added_job_is_found(subject: StoreUnderTest) -> None:
    """An added job is found by its id, and no other one."""
    job = make_job()
    await subject.store.add(job, [make_event()])
    assert await subject.store.get("m1") == job
    assert await subject.store.get("m2") is None


async def check_id_is_added_once(subject: StoreUnderTest) -> None:
    """Adding an id twice is a `StorageError`, and the first job and its events stay as they are."""
    await subject.store.add(make_job(), [make_event("first")])
    with pytest.raises(StorageError):
        await subject.store.add(make_job(account="other"), [make_event("second")])
    stored = await subject.store.get("m1")
    assert stored is not None
    assert stored.account == "default"
    assert await labels(subject.store) == ["first"]


async def check_replace_counts_the_version(subject: StoreUnderTest) -> None:
    """A replacement is stored and returned with the version of the old job and one."""
    old = make_job()
    await subject.store.add(old, [])
    new = attrs.evolve(old, state=JobState.IN_PROGRESS, version=77)
    stored = await subject.store.replace(old, new, [])
    assert stored == attrs.evolve(new, version=1)
    assert await subject.store.get("m1") == stored


async def check_late_replacement_changes_nothing(subject: StoreUnderTest) -> None:
    """The second of two replacements of one version returns None and stores neither job nor events."""
    store, old = subject.store, make_job()
    await store.add(old, [])
    winner = await store.replace(old, attrs.evolve(old, native_status="first"), [make_event("first")])
    assert await store.replace(old, attrs.evolve(old, native_status="second"), [make_event("second")]) is None
    assert await store.get("m1") == winner
    assert await labels(store) == ["first"]


async def check_one_racing_replacement_wins(subject: StoreUnderTest) -> None:
    """Of many replacements at the same time one is stored, with its event."""
    store, old = subject.store, make_job()
    await store.add(old, [])
    rivals = [attrs.evolve(old, native_status=str(number)) for number in range(20)]
    answers = await asyncio.gather(*(store.replace(old, rival, [make_event()]) for rival in rivals))
    winners = [answer for answer in answers if answer is not None]
    assert winners == [await store.get("m1")]
    assert len(await store.events("m1")) == 1


async def check_missing_job_is_not_replaced(subject: StoreUnderTest) -> None:
    """A job that does not exist cannot be replaced, and gets no events."""
    assert await subject.store.replace(make_job(), make_job(), [make_event()]) is None
    assert await subject.store.get("m1") is None
    assert await subject.store.events("m1") == []


async def check_failing_write_leaves_the_others(subject: StoreUnderTest) -> None:
    """A write that fails or comes too late does not affect those that come with it."""
    store, taken = subject.store, make_job("m3")
    await store.add(taken, [])
    adding = [store.add(make_job(f"m{number}"), [make_event()]) for number in range(6)]
    late = store.replace(attrs.evolve(taken, version=9), taken, [make_event()])
    *answers, of_late = await asyncio.gather(*adding, late, return_exceptions=True)
    assert [type(answer).__name__ for answer in answers] == [
        *("NoneType", "NoneType", "NoneType", "StorageError", "NoneType", "NoneType"),
    ]
    assert of_late is None
    assert await store.count_open() == 6
    assert await store.events("m3") == []
    assert len(await store.events("m5")) == 1


async def check_events_are_numbered(subject: StoreUnderTest) -> None:
    """The events of a job have the numbers 1, 2, ... in the order of their storing."""
    store, one, two = subject.store, make_job("m1"), make_job("m2")
    await store.add(one, [make_event("a"), make_event("b")])
    await store.add(two, [make_event("c")])
    await store.replace(one, one, [make_event("d")])
    events = [(number, event.data["label"]) for number, event in await store.events("m1")]
    assert events == [(1, "a"), (2, "b"), (3, "d")]
    assert await store.events("m1", 1) == [(2, make_event("b")), (3, make_event("d"))]
    assert await store.events("m1", 3) == []
    assert await store.events("m1", 1, 1) == [(2, make_event("b"))]
    assert await store.events("m2") == [(1, make_event("c"))]
    assert await store.events("m3") == []


async def check_line_breaks_do_not_end_an_event(subject: StoreUnderTest) -> None:
    """Texts of events may have line breaks of every kind, and lone surrogates."""
    # The last one cannot be written by orjson.
    events = [make_event("a\nb\r\n"), make_event("\u2028\x85\x0b\x1e"), make_event("\ud800\u2028\n")]
    await subject.store.add(make_job(), events)
    assert await subject.store.events("m1") == list(enumerate(events, 1))


async def check_native_id_finds_the_newest(subject: StoreUnderTest) -> None:
    """A native id finds the account's newest job that has it; of two of one time, the greater id."""
    store = subject.store
    for job in (
        make_job("m3", native_id="n", age_s=300),
        make_job("m1", native_id="n", age_s=100),
        make_job("m2", native_id="n", age_s=200),
        make_job("m4", native_id="n", age_s=0, account="other"),
        make_job("m5", native_id="elsewhere"),
        make_job("m6"),
        make_job("m8", native_id="twice"),
        make_job("m9", native_id="twice"),
        make_job("m7", native_id="twice"),
    ):
        await store.add(job, [])
    assert await store.find_native("default", "n") == make_job("m1", native_id="n", age_s=100)
    assert await store.find_native("default", "twice") == make_job("m9", native_id="twice")
    assert await store.find_native("default", "unknown") is None
    assert await store.find_native("third", "n") is None


async def check_native_id_may_come_later(subject: StoreUnderTest) -> None:
    """A native id is found once a replacement has set it."""
    job = make_job()
    await subject.store.add(job, [])
    assert await subject.store.find_native("default", "n") is None
    stored = await subject.store.replace(job, make_job(native_id="n"), [])
    assert await subject.store.find_native("default", "n") == stored


async def check_head_is_that_of_the_job(subject: StoreUnderTest) -> None:
    """A head has id, state, plugin and version of the stored job, by our id and by the native one."""
    store, job = subject.store, make_job(native_id="n")
    await store.add(job, [])
    stored = await store.replace(job, attrs.evolve(job, state=JobState.COMPLETED), [])
    assert stored is not None
    for name in ("m1", "n"):
        head = await store.head("default", name)
        assert head == JobHead("m1", JobState.COMPLETED, job.plugin, stored.version)
        assert head.state is JobState.COMPLETED
    await store.delete("m1")
    assert await store.head("default", "m1") is None
    assert await store.head("default", "n") is None


async def check_head_is_for_its_account(subject: StoreUnderTest) -> None:
    """A head is found for its account only, by our id first."""
    store = subject.store
    for job in (
        make_job("m1", native_id="m2"),
        make_job("m2"),
        make_job("m3", native_id="n", age_s=300),
        make_job("m4", native_id="n", age_s=100),
        make_job("m5", native_id="m1", account="other"),
    ):
        await store.add(job, [])
    asked = [("default", "m2"), ("default", "n"), ("other", "m1"), ("other", "m2"), ("third", "m1")]
    heads = [await store.head(account, name) for account, name in asked]
    assert [head and head.id for head in heads] == ["m2", "m4", "m5", None, None]


async def check_odd_texts_are_stored(subject: StoreUnderTest) -> None:
    """Native ids, labels and addresses may be any text: lone surrogates, NUL, SQL, 10,000 characters."""
    store = subject.store
    for number, odd in enumerate(ODD_TEXTS):
        job = make_job(f"m{number}", native_id=odd)
        await store.add(job, [make_event(odd)])
        assert await store.find_native("default", odd) == job
        assert await store.get(odd) is None
        assert await store.events(odd) == []
        assert await store.events(job.id) == [(1, make_event(odd))]
        await store.outbox.disable("default", odd, NOW)
        await store.outbox.disable("default", odd, NOW)
        assert await store.outbox.is_disabled("default", odd)
        assert await store.outbox.enable("default", odd)


async def check_bytes_are_refused(subject: StoreUnderTest) -> None:
    """A job that is no JSON is a `TypeError` before anything is stored."""
    with pytest.raises(TypeError, match="bytes"):
        await subject.store.add(attrs.evolve(make_job(), native_response=b"RIFF"), [])
    assert await subject.store.get("m1") is None


async def check_unbounded_job_is_read_cut(subject: StoreUnderTest) -> None:
    """A job of a version without bounds is read with its lists cut, and a note of what was left out."""
    warnings = tuple(
        OptionWarning(code=WarningCode.UNKNOWN_KEY, path=(f"k{number}",), message="not known")
        for number in range(9_000)
    )
    tracks = tuple(
        Track(index=number, native_id=f"t{number}", audio_url="https://a.test/") for number in range(900)
    )
    kept = Asset(name="m1/900.mp3", kind="mp3", content_type="audio/mpeg", size_bytes=1, duration_s=1.0)
    request = MusicRequest(model="suno/v4", unknown_keys=tuple(f"k{number}" for number in range(9_000)))
    old = attrs.evolve(
        make_job(),
        warnings=warnings,
        tracks=(*tracks, Track(index=900, asset=kept)),
        request=request,
        native_response={"a": 1},
    )
    await subject.store.add(old, [])
    read = await subject.store.get("m1")
    assert read is not None
    assert read.warnings[:200] == warnings[:200]
    assert [warning.message for warning in read.warnings[200:]] == ["and 8,800 more warnings"]
    assert [track.index for track in read.tracks] == [*range(32), 900]
    assert (len(read.request.unknown_keys), read.request.more_unknown_keys) == (50, 8_950)
    assert await subject.store.list_jobs("default", JobQuery()) == [read]


async def check_deletion_is_complete(subject: StoreUnderTest) -> None:
    """A deleted job is gone with its events, native id and idempotency key."""
    store = subject.store
    await store.add(make_job("m1", native_id="n"), [make_event()], make_claim("m1"))
    assert await store.delete("m1") is True
    assert await store.get("m1") is None
    assert await store.find_native("default", "n") is None
    assert await store.events("m1") == []
    assert await store.find_claim("default", "create", "k") is None
    assert await store.delete("m1") is False


async def check_mark_has_its_last_value(subject: StoreUnderTest) -> None:
    """A mark has the value that was set last."""
    store = subject.store
    assert await store.mark("audio") is None
    await store.set_mark("audio", "1")
    await store.set_mark("other", "7")
    await store.set_mark("audio", "2 ü")
    assert (await store.mark("audio"), await store.mark("other")) == ("2 ü", "7")


async def check_mark_is_swapped_by_one_writer(subject: StoreUnderTest) -> None:
    """Of two writers that swap a mark one wins, and both get the value that is set then."""
    store = subject.store
    first = await asyncio.gather(store.swap_mark("place", None, "1"), store.swap_mark("place", None, "2"))
    assert first[0] == first[1] == await store.mark("place")
    assert await store.swap_mark("place", "9", "3") == first[0]
    assert await store.swap_mark("place", first[0], "4") == await store.mark("place") == "4"


async def check_ping_passes(subject: StoreUnderTest) -> None:
    """`ping` passes on a healthy store, again and again."""
    await subject.store.ping()
    await subject.store.ping()


async def check_closed_store_refuses(subject: StoreUnderTest) -> None:
    """A closed store refuses every write with a `StorageError`; closing it again does nothing."""
    store = subject.store
    await store.add(make_job(), [])
    await store.close()
    await store.close()
    for write in (
        store.add(make_job("m2"), []),
        store.ping(),
        store.set_mark("audio", "1"),
        store.asset_references.claim("aa/aa11.mp3", "m1"),
        store.asset_references.release("m1"),
    ):
        with pytest.raises(StorageError):
            await write
