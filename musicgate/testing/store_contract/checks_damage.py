"""Damaged rows: an error that names them, and never a list that ends."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from musicgate.errors import StorageError
from musicgate.model import JobQuery
from musicgate.testing.store_contract.samples import make_event, make_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from musicgate.testing.store_contract.subject import StoreUnderTest


class _Messages(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def _logged() -> Iterator[list[str]]:
    handler, root = _Messages(), logging.getLogger()
    root.addHandler(handler)
    try:
        yield handler.texts
    finally:
        root.removeHandler(handler)


async def check_damaged_row_is_left_out(subject: StoreUnderTest) -> None:
    """Lists, pages and events leave out what cannot be read, and log its id; `get` names it."""
    store = subject.store
    for number in range(1, 7):
        await store.add(make_job(f"m{number}", age_s=-number), [make_event("a"), make_event("b")])
    await subject.damage("m6", "m5", "m2")
    with _logged() as texts:
        listed = await store.list_jobs("default", JobQuery(limit=3))
        assert [job.id for job in listed] == ["m4", "m3", "m1"]
        assert [job.id for job in await store.list_jobs("default", JobQuery(limit=2))] == ["m4", "m3"]
        assert [job.id for job in await store.open_jobs("", 9)] == ["m1", "m3", "m4"]
        assert await store.events("m6") == [(2, make_event("b"))]
        assert await store.events("m6", 0, 1) == [(2, make_event("b"))]
    assert any("m6" in text for text in texts)
    with pytest.raises(StorageError, match="m6"):
        await store.get("m6")


async def check_damaged_rows_do_not_end_the_open_jobs(subject: StoreUnderTest) -> None:
    """A page of open jobs goes on behind rows that cannot be read."""
    for number in range(1, 7):
        await subject.store.add(make_job(f"m{number}"), [make_event()])
    await subject.damage("m1", "m2", "m4")
    assert [job.id for job in await subject.store.open_jobs("", 2)] == ["m3", "m5"]
    assert [job.id for job in await subject.store.open_jobs("m5", 2)] == ["m6"]
