"""Check stored objects against what was recorded, repair them, copy them to another store.

It knows stores and hashes, and must not know who refers to an object: what must be there is an argument. It
deletes nothing. Both functions may be killed anywhere and begun again, since an object appears in a store
whole or not at all, and what is there already is compared and not copied again.
"""

import asyncio
import contextlib
import hashlib
import tempfile
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
)
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import attrs

from musicgate.aio import run_to_end
from musicgate.assets.port import ObjectStore
from musicgate.errors import StorageError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Objects in work at a time: each is a file of its size in the scratch folder, if a store is in a cloud.
_WORKERS: Final = 4


@attrs.frozen(kw_only=True)
class ExpectedObject:
    """What was recorded about an object when it was stored.

    Attributes:
        name: its name in the store.
        sha256: of its bytes, in lower-case hexadecimal digits; None if it was not recorded.
        size_bytes: None if it was not recorded.
        content_type: which a repaired or copied object gets.
        is_optional: it may be missing: it can be made again, or was never stored.
    """

    name: str
    sha256: str | None
    size_bytes: int | None
    content_type: str
    is_optional: bool = False


class Problem(StrEnum):
    """What is wrong with an object."""

    MISSING = "missing"
    #: Its size or its hash differ from what was recorded.
    CORRUPT = "corrupt"
    #: The store failed, or refused to give it.
    UNREADABLE = "unreadable"
    #: Nothing refers to it.
    ORPHAN = "orphan"


@attrs.frozen(kw_only=True)
class CheckedObject:
    """The result of `verify` for one object.

    Attributes:
        name: its name.
        problem: None = its bytes are what was recorded.
        detail: what the store, or the second one, said; may be empty.
        is_repaired: it was stored again from the second store, and is now what was recorded.
    """

    name: str
    problem: Problem | None
    detail: str = ""
    is_repaired: bool = False


@attrs.frozen(kw_only=True)
class MovedObject:
    """The result of `move` for one object.

    Attributes:
        name: its name.
        problem: None = the target has it, and its bytes were compared.
        is_copied: False = it was there already, or there is a problem.
        detail: what the source said; may be empty.
    """

    name: str
    problem: Problem | None
    is_copied: bool = False
    detail: str = ""


async def verify_objects(
    store: ObjectStore,
    expected: Iterable[ExpectedObject] | AsyncIterable[ExpectedObject],
    *,
    second: ObjectStore | None = None,
    orphans_before: datetime | None = None,
    scratch: Path | None = None,
) -> AsyncGenerator[CheckedObject, None]:
    """Read every object again and compare it with what was recorded; then look for orphans.

    Results come as they are known, one for each name. An object that is deleted meanwhile is reported as
    missing.

    Args:
        store: where the objects are.
        expected: what must be there; a name that comes again is skipped.
        second: where a missing, corrupt or unreadable object is taken from to repair it.
        orphans_before: objects that nothing refers to are reported if they were written before this time. It
            must be earlier than `expected` was read: a song is stored before its job says so. None = not at
            all.
        scratch: folder for downloads; None = the system's.

    Raises:
        StorageError: the orphans cannot be listed.
    """
    names: set[str] = set()
    with _downloads(scratch) as downloads:

        async def check(item: ExpectedObject) -> CheckedObject:
            return await _verified(store, second, item, downloads)

        async with contextlib.aclosing(_in_parallel(_once(expected, names), check)) as results:
            async for result in results:
                yield result
    if orphans_before is None:
        return
    async with contextlib.aclosing(store.objects()) as objects:
        async for found in objects:
            if found.name not in names and found.modified_at < orphans_before:
                yield CheckedObject(name=found.name, problem=Problem.ORPHAN)


async def move_objects(
    source: ObjectStore,
    target: ObjectStore,
    expected: Iterable[ExpectedObject] | AsyncIterable[ExpectedObject],
    *,
    scratch: Path | None = None,
) -> AsyncGenerator[MovedObject, None]:
    """Copy objects to another store and read them there again; the source keeps all of them.

    The source may be emptied once a run had no result with a problem and nothing was stored in it meanwhile.
    Objects that the target has already, from a run that was killed, are compared and not copied again. What
    the source does not have any more, and the target has as it was recorded, is no problem.

    Args:
        source: where the objects are.
        target: where they shall be.
        expected: what to copy; see `everything_in` for all that the source has.
        scratch: folder for downloads; None = the system's.

    Raises:
        StorageError: the target failed, or has other bytes than were stored; begin again later.
    """
    with _downloads(scratch) as downloads:

        async def copy(item: ExpectedObject) -> MovedObject:
            return await _moved(source, target, item, downloads)

        async with contextlib.aclosing(_in_parallel(_once(expected, set()), copy)) as results:
            async for result in results:
                yield result


async def everything_in(
    store: ObjectStore, content_type: Callable[[str], str]
) -> AsyncGenerator[ExpectedObject, None]:
    """All objects of a store, for `move`: hashes are unknown, and content types follow from names."""
    async with contextlib.aclosing(store.objects()) as objects:
        async for found in objects:
            yield ExpectedObject(
                name=found.name,
                sha256=None,
                size_bytes=found.size_bytes,
                content_type=content_type(found.name),
            )


async def _verified(
    store: ObjectStore, second: ObjectStore | None, item: ExpectedObject, downloads: Path
) -> CheckedObject:
    detail = ""
    try:
        problem = await _problem(store, item, downloads)
    except StorageError as exc:
        problem, detail = Problem.UNREADABLE, str(exc)
    if problem is None or second is None:
        return CheckedObject(name=item.name, problem=problem, detail=detail)
    try:
        is_repaired = await _repair(store, second, item, downloads)
    except StorageError as exc:
        return CheckedObject(name=item.name, problem=problem, detail=str(exc))
    return CheckedObject(name=item.name, problem=problem, detail=detail, is_repaired=is_repaired)


async def _repair(store: ObjectStore, second: ObjectStore, item: ExpectedObject, downloads: Path) -> bool:
    if await second.size(item.name) is None:
        return False
    async with _local(second, item.name, downloads) as path:
        if not _is_as_recorded(item, await _facts(path)):
            return False
        await store.put(item.name, path, item.content_type)
    return await _problem(store, item, downloads) is None


async def _moved(
    source: ObjectStore, target: ObjectStore, item: ExpectedObject, downloads: Path
) -> MovedObject:
    async with contextlib.AsyncExitStack() as stack:
        try:
            if await source.size(item.name) is None:
                return await _unless_there(target, item, downloads, Problem.MISSING)
            path = await stack.enter_async_context(_local(source, item.name, downloads))
            sha256, size_bytes = await _facts(path)
        except StorageError as exc:
            return await _unless_there(target, item, downloads, Problem.UNREADABLE, str(exc))
        if not _is_as_recorded(item, (sha256, size_bytes)):
            return await _unless_there(target, item, downloads, Problem.CORRUPT)
        whole = attrs.evolve(item, sha256=sha256, size_bytes=size_bytes, is_optional=False)
        if await _problem(target, whole, downloads) is None:
            return MovedObject(name=item.name, problem=None)
        await target.put(item.name, path, item.content_type)
    if await _problem(target, whole, downloads) is not None:
        raise StorageError(
            f"the store that objects are moved to has other bytes for {item.name} than were stored"
        )
    return MovedObject(name=item.name, problem=None, is_copied=True)


async def _unless_there(
    target: ObjectStore, item: ExpectedObject, downloads: Path, problem: Problem, detail: str = ""
) -> MovedObject:
    """A problem of the source, unless the target has the object as it was recorded: from an earlier run."""
    is_there = await _problem(target, attrs.evolve(item, is_optional=False), downloads) is None
    if is_there or (item.is_optional and problem is Problem.MISSING):
        return MovedObject(name=item.name, problem=None)
    return MovedObject(name=item.name, problem=problem, detail=detail)


async def _problem(store: ObjectStore, item: ExpectedObject, downloads: Path) -> Problem | None:
    """Compare an object with what was recorded; its bytes only if its size is right and its hash is known."""
    size_bytes = await store.size(item.name)
    if size_bytes is None:
        return None if item.is_optional else Problem.MISSING
    if item.size_bytes is not None and size_bytes != item.size_bytes:
        return Problem.CORRUPT
    if item.sha256 is None:
        return None
    async with _local(store, item.name, downloads) as path:
        return None if _is_as_recorded(item, await _facts(path)) else Problem.CORRUPT


def _is_as_recorded(item: ExpectedObject, facts: tuple[str, int]) -> bool:
    sha256, size_bytes = facts
    return item.sha256 in {None, sha256} and item.size_bytes in {None, size_bytes}


@contextlib.asynccontextmanager
async def _local(store: ObjectStore, name: str, downloads: Path) -> AsyncIterator[Path]:
    """An object as a local file: the store's own, or a download that is removed at the end."""
    kept = store.local_path(name)
    if kept is not None:
        yield kept
        return
    with tempfile.TemporaryDirectory(dir=downloads) as folder:
        path = Path(folder) / "object"
        await store.fetch(name, path)
        yield path


async def _facts(path: Path) -> tuple[str, int]:
    """Hash and size of a local file."""
    try:
        return await run_to_end(_hash, path)
    except OSError as exc:
        raise StorageError(f"cannot read {path.name}: {exc.strerror or exc}") from exc


def _hash(path: Path) -> tuple[str, int]:
    with path.open("rb", buffering=0) as file:
        digest = hashlib.file_digest(file, "sha256")
        return digest.hexdigest(), file.tell()


@contextlib.contextmanager
def _downloads(scratch: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="musicgate-custody-", dir=scratch) as folder:
        yield Path(folder)


async def _once(
    expected: Iterable[ExpectedObject] | AsyncIterable[ExpectedObject], names: set[str]
) -> AsyncGenerator[ExpectedObject, None]:
    """Each name once; ``names`` has all that came. One object may belong to many jobs."""
    async with contextlib.aclosing(_each(expected)) as items:
        async for item in items:
            if item.name not in names:
                names.add(item.name)
                yield item


async def _each(items: Iterable[_Item] | AsyncIterable[_Item]) -> AsyncGenerator[_Item, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


async def _in_parallel(
    items: AsyncGenerator[_Item, None], work: Callable[[_Item], Awaitable[_Result]]
) -> AsyncGenerator[_Result, None]:
    """The results of some work, as they come; a failure ends it all."""
    running: set[asyncio.Future[_Result]] = set()
    done: set[asyncio.Future[_Result]] = set()
    try:
        async with contextlib.aclosing(items):
            async for item in items:
                running.add(asyncio.ensure_future(work(item)))
                if len(running) >= _WORKERS:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                    while done:
                        yield done.pop().result()
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            while done:
                yield done.pop().result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, *done, return_exceptions=True)
