"""What every job store promises, run against each of them."""

import asyncio
import functools
import sqlite3
from datetime import timedelta

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
from musicgate.store.port import JobStore
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from tests.job_samples import NOW, ended, make_claim, make_event, make_job


async def test_an_added_job_is_found_by_its_id(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [make_event()])
    assert await store.get("m1") == job
    assert await store.get("m2") is None


async def test_adding_an_id_twice_is_refused(store: JobStore) -> None:
    await store.add(make_job(), [make_event("first")])
    with pytest.raises(StorageError, match="already stored"):
        await store.add(make_job(account="other"), [make_event("second")])
    stored = await store.get("m1")
    assert stored is not None
    assert stored.account == "default"
    assert [event.data["label"] for _, event in await store.events("m1")] == ["first"]


async def test_replace_increments_the_stored_version(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    new = attrs.evolve(old, state=JobState.IN_PROGRESS, version=77)
    stored = await store.replace(old, new, [])
    assert stored == attrs.evolve(new, version=1)
    assert await store.get("m1") == stored


async def test_the_second_of_two_replacements_loses_and_changes_nothing(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    winner = await store.replace(old, attrs.evolve(old, native_status="first"), [make_event("first")])
    assert await store.replace(old, attrs.evolve(old, native_status="second"), [make_event("second")]) is None
    assert await store.get("m1") == winner
    assert [event.data["label"] for _, event in await store.events("m1")] == ["first"]


async def test_one_of_many_racing_replacements_wins(store: JobStore) -> None:
    old = make_job()
    await store.add(old, [])
    rivals = [attrs.evolve(old, native_status=str(number)) for number in range(20)]
    answers = await asyncio.gather(*(store.replace(old, rival, [make_event()]) for rival in rivals))
    (winner,) = [answer for answer in answers if answer is not None]
    assert await store.get("m1") == winner
    assert len(await store.events("m1")) == 1


async def test_a_missing_job_cannot_be_replaced(store: JobStore) -> None:
    assert await store.replace(make_job(), make_job(), [make_event()]) is None
    assert await store.get("m1") is None
    assert await store.events("m1") == []


async def test_events_are_numbered_per_job_without_gaps(store: JobStore) -> None:
    one, two = make_job("m1"), make_job("m2")
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


async def test_the_newest_job_of_the_account_is_found_by_its_native_id(store: JobStore) -> None:
    for job in (
        make_job("m3", native_id="n", age_s=300),
        make_job("m1", native_id="n", age_s=100),
        make_job("m2", native_id="n", age_s=200),
        make_job("m4", native_id="n", age_s=0, account="other"),
        make_job("m5", native_id="elsewhere"),
        make_job("m6"),
    ):
        await store.add(job, [])
    found = await store.find_native("default", "n")
    assert found == make_job("m1", native_id="n", age_s=100)
    assert await store.find_native("default", "unknown") is None
    assert await store.find_native("third", "n") is None


async def test_of_two_jobs_created_at_once_the_greater_id_is_the_newest(store: JobStore) -> None:
    for job_id in ("m2", "m3", "m1"):
        await store.add(make_job(job_id, native_id="n"), [])
    found = await store.find_native("default", "n")
    assert found is not None
    assert found.id == "m3"


async def test_a_head_has_id_state_plugin_and_version(store: JobStore) -> None:
    job = make_job(native_id="n")
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


async def test_a_head_is_found_for_its_account_only_and_by_our_id_first(store: JobStore) -> None:
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


async def test_a_native_id_is_found_once_a_replacement_has_set_it(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [])
    assert await store.find_native("default", "n") is None
    stored = await store.replace(job, make_job(native_id="n"), [])
    assert await store.find_native("default", "n") == stored


async def test_open_jobs_come_in_pages_in_the_order_of_their_ids(store: JobStore) -> None:
    states = {
        "m1": JobState.QUEUED,
        "m2": JobState.COMPLETED,
        "m3": JobState.IN_PROGRESS,
        "m4": JobState.FAILED,
        "m5": JobState.QUEUED,
    }
    for job_id in ("m5", "m2", "m1", "m4", "m3"):
        await store.add(make_job(job_id, state=states[job_id]), [])
    assert [job.id for job in await store.open_jobs("", 2)] == ["m1", "m3"]
    assert [job.id for job in await store.open_jobs("m3", 2)] == ["m5"]
    assert await store.open_jobs("m5", 2) == []
    assert await store.count_open() == 3


async def test_a_finished_job_is_no_longer_open(store: JobStore) -> None:
    job = make_job()
    await store.add(job, [])
    await store.replace(job, attrs.evolve(job, state=JobState.FAILED), [])
    assert await store.open_jobs("", 10) == []
    assert await store.count_open() == 0


@pytest.mark.parametrize("odd", ["\ud800", "a\x00b", "'; DROP TABLE jobs; --", "ü 音楽", ""])
async def test_odd_native_ids_are_stored_and_found(store: JobStore, odd: str) -> None:
    job = make_job(native_id=odd)
    await store.add(job, [])
    assert await store.find_native("default", odd) == job
    assert await store.get(odd) is None
    assert await store.events(odd) == []


async def test_bytes_in_a_job_are_refused_before_anything_is_stored(store: JobStore) -> None:
    with pytest.raises(TypeError, match="bytes"):
        await store.add(attrs.evolve(make_job(), native_response=b"RIFF"), [])
    assert await store.get("m1") is None


async def test_of_concurrent_duplicates_only_the_first_is_stored(store: JobStore) -> None:
    duplicates = [(make_job(f"m{number}"), make_claim(f"m{number}")) for number in range(50)]
    earlier = await asyncio.gather(*(store.add(job, [], claim) for job, claim in duplicates))
    winners = [job.id for (job, _), claim in zip(duplicates, earlier, strict=True) if claim is None]
    assert len(winners) == 1
    assert {claim.job_id for claim in earlier if claim is not None} == set(winners)
    stored = [job.id for job, _ in duplicates if await store.get(job.id) is not None]
    assert stored == winners
    assert await store.find_claim("default", "create", "k") == make_claim(winners[0])


async def test_an_idempotency_key_belongs_to_its_account_and_route(store: JobStore) -> None:
    assert await store.add(make_job("m1"), [], make_claim("m1")) is None
    assert await store.add(make_job("m2"), [], make_claim("m2", account="other")) is None
    assert await store.add(make_job("m3"), [], attrs.evolve(make_claim("m3"), route="plan")) is None
    assert await store.find_claim("unknown", "create", "k") is None


async def test_a_job_that_cannot_be_stored_does_not_claim_its_key(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    with pytest.raises(StorageError):
        await store.add(make_job("m1"), [], make_claim("m1"))
    assert await store.find_claim("default", "create", "k") is None


async def test_old_idempotency_keys_are_deleted(store: JobStore) -> None:
    await store.add(make_job("m1"), [], make_claim("m1", key="old", age_s=100))
    await store.add(make_job("m2"), [], make_claim("m2", key="new", age_s=99))
    assert await store.forget_claims(NOW - timedelta(seconds=99)) == 1
    assert await store.find_claim("default", "create", "old") is None
    assert await store.find_claim("default", "create", "new") is not None


async def test_old_idempotency_keys_are_all_deleted_in_pages(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.store.sqlite._CLAIMS_PAGE", 2)
    monkeypatch.setattr("musicgate.store.postgres._CLAIMS_PAGE", 2)
    for number in range(5):
        await store.add(make_job(f"m{number}"), [], make_claim(f"m{number}", key=f"k{number}", age_s=number))
    assert await store.forget_claims(NOW) == 4
    found = [await store.find_claim("default", "create", f"k{number}") for number in range(5)]
    assert [claim is not None for claim in found] == [True, False, False, False, False]


async def test_a_mark_has_the_value_that_was_set_last(store: JobStore) -> None:
    assert await store.mark("audio") is None
    await store.set_mark("audio", "1")
    await store.set_mark("other", "7")
    await store.set_mark("audio", "2 ü")
    assert (await store.mark("audio"), await store.mark("other")) == ("2 ü", "7")


async def test_a_mark_is_swapped_by_one_of_two_writers(store: JobStore) -> None:
    first = await asyncio.gather(store.swap_mark("place", None, "1"), store.swap_mark("place", None, "2"))
    assert first[0] == first[1] == await store.mark("place")
    assert await store.swap_mark("place", "9", "3") == first[0]
    assert await store.swap_mark("place", first[0], "4") == await store.mark("place") == "4"


async def test_jobs_are_listed_newest_first_in_pages(store: JobStore) -> None:
    for number in range(5):
        await store.add(make_job(f"m{number}", age_s=100 - number), [])
    await store.add(make_job("m9", account="other"), [])
    first = await store.list_jobs("default", JobQuery(limit=2))
    assert [job.id for job in first] == ["m4", "m3"]
    before = (first[-1].created_at, first[-1].id)
    rest = await store.list_jobs("default", JobQuery(before=before))
    assert [job.id for job in rest] == ["m2", "m1", "m0"]
    of_all_accounts = await store.list_jobs(None, JobQuery(limit=3))
    assert {job.id for job in of_all_accounts} == {"m9", "m4", "m3"}


async def test_jobs_created_at_once_are_paged_by_their_ids(store: JobStore) -> None:
    for number in range(3):
        await store.add(make_job(f"m{number}"), [])
    seen, before = [], None
    while page := await store.list_jobs("default", JobQuery(before=before, limit=1)):
        seen.append(page[0].id)
        before = (page[0].created_at, page[0].id)
    assert seen == ["m2", "m1", "m0"]


async def test_jobs_are_listed_by_state_and_model(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    await store.add(make_job("m2", state=JobState.IN_PROGRESS), [])
    other = make_job("m3", state=JobState.FAILED)
    await store.add(attrs.evolve(other, request=MusicRequest(model="suno/v5")), [])
    states = (JobState.IN_PROGRESS, JobState.FAILED)
    assert [job.id for job in await store.list_jobs("default", JobQuery(states=states))] == ["m3", "m2"]
    assert [job.id for job in await store.list_jobs("default", JobQuery(model="suno/v5"))] == ["m3"]
    assert await store.list_jobs("default", JobQuery(states=states, model="suno/v9")) == []


async def test_open_jobs_are_counted_per_account(store: JobStore) -> None:
    await store.add(make_job("m1"), [])
    await store.add(make_job("m2", account="other"), [])
    await store.add(ended(make_job("m3")), [])
    assert (await store.count_open("default"), await store.count_open()) == (1, 2)


async def test_the_spend_of_an_account_is_summed_from_a_given_time(store: JobStore) -> None:
    for number, (at_s, price) in enumerate([(-1, 7), (0, 10), (5, 20), (6, None)]):
        old = make_job(f"m{number}")
        await store.add(old, [])
        assert await store.replace(old, ended(old, at_s=at_s, price_usd_nanos=price), [])
    assert await store.spent_usd_nanos("default", NOW) == 30
    assert await store.spent_usd_nanos("other", NOW) == 0


async def test_finished_jobs_are_paged_from_the_oldest(store: JobStore) -> None:
    for job_id, at_s in (("m1", -5.0), ("m2", -10.0), ("m3", 0.0)):
        await store.add(ended(make_job(job_id), at_s=at_s), [])
    await store.add(make_job("m4"), [])
    await store.add(ended(make_job("m5", account="other"), at_s=-7.0), [])
    ten, five = NOW - timedelta(seconds=10), NOW - timedelta(seconds=5)
    assert list(await store.finished_jobs("default", None, NOW, 10)) == [(ten, "m2"), (five, "m1")]
    assert list(await store.finished_jobs("default", None, NOW, 1)) == [(ten, "m2")]
    assert list(await store.finished_jobs("default", (ten, "m2"), NOW, 10)) == [(five, "m1")]
    assert list(await store.finished_jobs("default", (five, "m1"), NOW, 10)) == []


async def test_deleting_a_job_deletes_its_events_and_claim(store: JobStore) -> None:
    await store.add(make_job("m1", native_id="n"), [make_event()], make_claim("m1"))
    assert await store.delete("m1") is True
    assert await store.get("m1") is None
    assert await store.find_native("default", "n") is None
    assert await store.events("m1") == []
    assert await store.find_claim("default", "create", "k") is None
    assert await store.delete("m1") is False


async def test_ping_passes_on_a_healthy_store(store: JobStore) -> None:
    await store.ping()
    await store.ping()


async def test_a_closed_store_refuses_writes(store: JobStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StorageError, match="closed"):
        await store.add(make_job(), [])
    with pytest.raises(StorageError, match="closed"):
        await store.ping()
    with pytest.raises(StorageError, match="closed"):
        await store.set_mark("audio", "1")


async def damage(store: JobStore, *job_ids: str) -> None:
    """Damage the stored documents of these jobs and of their first events."""
    if isinstance(store, MemoryJobStore):
        for job_id in job_ids:
            store._jobs[job_id] = "{}"
            store._events[job_id][0] = "{}"
        return
    if isinstance(store, PostgresJobStore):
        await store._connections.write(
            "UPDATE musicgate.jobs SET doc = '{}', events = '{}' || substr(events, strpos(events, E'\\n'))"
            " WHERE id = ANY($1::text[])",
            list(job_ids),
        )
        return
    assert isinstance(store, SqliteJobStore)
    ids = [(job_id,) for job_id in job_ids]
    for statement in (
        "UPDATE jobs SET doc = '{}' WHERE id = ?",
        "UPDATE jobs SET events = '{}' || substr(events, instr(events, char(10))) WHERE id = ?",
    ):
        await store._writer.write(functools.partial(_damage_rows, statement=statement, ids=ids))


def _damage_rows(connection: sqlite3.Connection, statement: str, ids: list[tuple[str]]) -> None:
    connection.executemany(statement, ids)


async def test_a_damaged_row_is_left_out_of_lists(store: JobStore, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 7):
        await store.add(make_job(f"m{number}", age_s=-number), [make_event("a"), make_event("b")])
    await damage(store, "m6", "m5", "m2")
    listed = await store.list_jobs("default", JobQuery(limit=3))
    assert [job.id for job in listed] == ["m4", "m3", "m1"]
    assert [job.id for job in await store.list_jobs("default", JobQuery(limit=2))] == ["m4", "m3"]
    assert [job.id for job in await store.open_jobs("", 9)] == ["m1", "m3", "m4"]
    assert await store.events("m6") == [(2, make_event("b"))]
    assert await store.events("m6", 0, 1) == [(2, make_event("b"))]
    with pytest.raises(StorageError, match="the job m6: a stored Job cannot be read"):
        await store.get("m6")
    assert "job left out: id=m6 reason=" in caplog.text


async def test_a_page_of_large_jobs_is_shorter_but_never_empty(store: JobStore) -> None:
    for number in range(1, 6):
        job = attrs.evolve(make_job(f"m{number}", age_s=-number), native_status="x" * 10_000)
        await store.add(job, [])
    query = JobQuery(limit=4, max_bytes=25_000)
    page = await store.list_jobs("default", query)
    assert [job.id for job in page] == ["m5", "m4"]
    place = (page[-1].created_at, page[-1].id)
    assert [job.id for job in await store.list_jobs("default", attrs.evolve(query, before=place))] == [
        *("m3", "m2"),
    ]
    assert [job.id for job in await store.list_jobs("default", attrs.evolve(query, max_bytes=1))] == ["m5"]
    assert len(await store.list_jobs("default", JobQuery(limit=4))) == 4


async def test_an_unbounded_job_of_an_older_version_is_read_cut_to_the_bounds(store: JobStore) -> None:
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
    await store.add(old, [])
    read = await store.get("m1")
    assert read is not None
    assert read.warnings[:200] == warnings[:200]
    assert [warning.message for warning in read.warnings[200:]] == ["and 8,800 more warnings"]
    assert [track.index for track in read.tracks] == [*range(32), 900]
    assert (len(read.request.unknown_keys), read.request.more_unknown_keys) == (50, 8_950)
    assert await store.list_jobs("default", JobQuery()) == [read]


# --- in memory ---


async def test_a_failing_memory_store_stores_nothing() -> None:
    store = MemoryJobStore()
    await store.add(make_job(), [])
    store.trouble = "the disk is full"
    for write in (store.add(make_job("m2"), []), store.replace(make_job(), make_job(), []), store.ping()):
        with pytest.raises(StorageError, match="the disk is full"):
            await write
    store.trouble = None
    assert await store.get("m2") is None
    await store.ping()
