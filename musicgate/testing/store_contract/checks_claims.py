"""Idempotency keys: claimed with their job, once, and forgotten when they are old."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs
import pytest

from musicgate.errors import StorageError
from musicgate.testing.store_contract.samples import NOW, make_claim, make_job

if TYPE_CHECKING:
    from musicgate.testing.store_contract.subject import StoreUnderTest


async def check_one_of_concurrent_duplicates_is_stored(subject: StoreUnderTest) -> None:
    """Of many jobs with one idempotency key at the same time one is stored; the others get its claim."""
    store = subject.store
    duplicates = [(make_job(f"m{number}"), make_claim(f"m{number}")) for number in range(50)]
    earlier = await asyncio.gather(*(store.add(job, [], claim) for job, claim in duplicates))
    winners = [job.id for (job, _), claim in zip(duplicates, earlier, strict=True) if claim is None]
    assert len(winners) == 1
    assert {claim.job_id for claim in earlier if claim is not None} == set(winners)
    stored = [job.id for job, _ in duplicates if await store.get(job.id) is not None]
    assert stored == winners
    assert await store.find_claim("default", "create", "k") == make_claim(winners[0])


async def check_key_belongs_to_account_and_route(subject: StoreUnderTest) -> None:
    """Another account, or another route, may use the same idempotency key."""
    store = subject.store
    assert await store.add(make_job("m1"), [], make_claim("m1")) is None
    assert await store.add(make_job("m2"), [], make_claim("m2", account="other")) is None
    assert await store.add(make_job("m3"), [], attrs.evolve(make_claim("m3"), route="plan")) is None
    assert await store.find_claim("unknown", "create", "k") is None


async def check_refused_job_claims_nothing(subject: StoreUnderTest) -> None:
    """A job that cannot be stored does not claim its idempotency key."""
    await subject.store.add(make_job("m1"), [])
    with pytest.raises(StorageError):
        await subject.store.add(make_job("m1"), [], make_claim("m1"))
    assert await subject.store.find_claim("default", "create", "k") is None


async def check_old_keys_are_forgotten(subject: StoreUnderTest) -> None:
    """Idempotency keys that were claimed before a time are deleted and counted, however many there are."""
    store = subject.store
    await asyncio.gather(
        *(
            store.add(make_job(f"m{number}"), [], make_claim(f"m{number}", key=f"k{number}", age_s=number))
            for number in range(150)
        )
    )
    assert await store.forget_claims(NOW - timedelta(seconds=20)) == 129
    found = [await store.find_claim("default", "create", f"k{number}") for number in range(150)]
    assert [claim is not None for claim in found] == [True] * 21 + [False] * 129
