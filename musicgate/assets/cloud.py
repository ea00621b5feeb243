"""Objects in S3-compatible stores, GCS, Azure or memory, by obstore.

It knows clouds by their library, and must not know what the files are.

obstore retries single requests (503, resets, timeouts), and this module what obstore does not: an upload in
conflict with another one, a part or an answer that was cut. Uploads of more than 5 MiB are multipart: they
appear whole or not at all, and are aborted when they fail or are cancelled. Only a killed process leaves
parts behind; a lifecycle rule of the bucket removes them (AbortIncompleteMultipartUpload).

Reads are short requests of a range, a few at a time: a listener who pauses for minutes holds no connection,
and 50 listeners take little memory. Errors are put into our own words (`refusals`): those of obstore show
whole answers and URLs, which may contain credentials.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store

from musicgate.aio import run_to_end
from musicgate.assets.patience import Patience
from musicgate.assets.port import StoredObject, check_name, is_name
from musicgate.assets.refusals import SHORTER, is_passing, is_refusal, is_without_ranges, reason
from musicgate.assets.s3_links import with_answer_headers
from musicgate.errors import StorageError

_T = TypeVar("_T")

#: Smallest part of a multipart upload but for the last (AWS, "Amazon S3 multipart upload limits", 11/2026).
_PART_BYTES: Final = 5 * 1024 * 1024
#: Size of each piece that is read from a file, or fetched into one.
_PIECE_BYTES: Final = 1024 * 1024
#: Largest piece for a listener: 50 of them take 7 MB. While there are few listeners, one request fetches two.
_HEARD_BYTES: Final = 48 * 1024
_FEW_LISTENERS: Final = 8
#: Requests for listeners at a time: each takes some 500 kB of buffers in obstore.
_READS_AT_ONCE: Final = 4
#: So often is something tried that obstore does not try again.
_TRIES: Final = 3
#: A cancelled caller waits so long for the current step of an upload, and for its abort.
_GRACE_S: Final = 5.0
_LISTED_AT_ONCE: Final = 500


class CloudObjects:
    """An `ObjectStore` over one of obstore's stores."""

    def __init__(
        self,
        store: AzureStore | GCSStore | MemoryStore | S3Store,
        label: str,
        patience: Patience,
        *,
        secret: str | None = None,
    ) -> None:
        """Use a store.

        Args:
            store: as obstore opened it, with its prefix.
            label: its URL, for messages.
            patience: the time limits that the store was opened with.
            secret: the secret access key of S3, if it is known: links can then set the answer's headers.
        """
        self._store = store
        self._label = label
        self._patience = patience
        self._secret = secret
        self._listeners = 0
        self._reads = asyncio.Semaphore(_READS_AT_ONCE)
        #: False once the store answered a range with 200, as gofakes3 (`rclone serve s3` 1.75) and lakeFS do,
        #: and obstore refuses to read: github.com/treeverse/lakeFS/issues/6100.
        self._has_ranges = True

    async def put(self, name: str, source: Path, content_type: str) -> None:
        """Upload a file, in parts if it is large; see `ObjectStore.put`."""
        check_name(name)
        await self._tried(f"store {name}", lambda: self._upload(name, source, content_type))

    async def size(self, name: str) -> int | None:
        """Size of an object in bytes, or None if there is none of that name."""
        check_name(name)
        with self._explained(f"look for {name}"):
            try:
                facts = await self._bounded(obstore.head_async(self._store, name))
            except FileNotFoundError:
                return None
            return facts["size"]

    async def read(self, name: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces; see `ObjectStore.read`."""
        check_name(name)
        self._listeners += 1
        try:
            while start < stop and self._has_ranges:
                length = _HEARD_BYTES * (2 if self._listeners <= _FEW_LISTENERS else 1)
                async with self._reads:
                    content = await self._range(name, start, min(stop, start + length))
                start += len(content)
                # While a listener is slow, only the piece that it has is held.
                while content:
                    piece, content = content[:_HEARD_BYTES], content[_HEARD_BYTES:]
                    yield piece
            async with contextlib.aclosing(self._stream(name, start, stop)) as stream:
                async for piece in stream:
                    yield piece
        finally:
            self._listeners -= 1

    async def fetch(self, name: str, target: Path) -> None:
        """Download an object; see `ObjectStore.fetch`."""
        size = await self.size(name)
        if size is None:
            raise StorageError(f"cannot read {name}: {self._label} has no such object")
        try:
            await self._download(name, size, target)
        except BaseException:
            with contextlib.suppress(OSError):
                await run_to_end(target.unlink, missing_ok=True)
            raise

    async def delete(self, name: str) -> None:
        """Remove an object; nothing happens if there is none."""
        check_name(name)

        async def delete() -> None:
            with contextlib.suppress(FileNotFoundError):
                await self._bounded(obstore.delete_async(self._store, name))

        await self._tried(f"remove {name}", delete)

    async def link(self, name: str, *, lifetime_s: int, content_type: str, disposition: str) -> str | None:
        """Sign a URL; see `ObjectStore.link`.

        obstore 0.12 signs no headers of the answer. We do for S3 if its secret key is known; else there are
        links for the disposition ``inline`` only, and the answer has the content type that `put` was given.
        """
        check_name(name)
        if isinstance(self._store, MemoryStore) or (self._secret is None and disposition != "inline"):
            return None
        with self._explained(f"sign a link to {name}"):
            lifetime = timedelta(seconds=lifetime_s)
            link = await self._bounded(obstore.sign_async(self._store, "GET", name, lifetime))
        if self._secret is None:
            return link
        return with_answer_headers(
            link, self._secret, content_type=content_type, content_disposition=disposition
        )

    async def objects(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """All objects below a folder of names; see `ObjectStore.objects`."""
        folder = check_name(prefix) if prefix else None
        with self._explained("list objects"):
            listing = obstore.list(self._store, folder, chunk_size=_LISTED_AT_ONCE)
            while batch := await self._bounded(_next(listing)):
                for facts in batch:
                    if is_name(facts["path"]):
                        yield StoredObject(
                            name=facts["path"], size_bytes=facts["size"], modified_at=facts["last_modified"]
                        )

    def local_path(self, name: str) -> Path | None:
        """Return None: the objects are not on a local disk."""
        check_name(name)
        return None

    async def check(self) -> None:
        """Write, read and delete a small object; see `ObjectStore.check`."""
        name = f".check/{secrets.token_hex(8)}"  # no name of an object, so `objects` leaves it out
        with self._explained("write, read and delete an object"):
            await self._bounded(obstore.put_async(self._store, name, b"musicgate", use_multipart=False))
            await self._bounded(_content(self._store, name))
            await self._bounded(obstore.delete_async(self._store, name))

    async def close(self) -> None:
        """Do nothing: obstore closes its connections when the store is forgotten."""

    async def _upload(self, name: str, source: Path, content_type: str) -> None:
        attributes: obstore.Attributes = {"Content-Type": content_type}
        with _file_errors(f"read {source.name}"):
            content = await run_to_end(_whole_if_small, source)
        if content is not None:
            putting = obstore.put_async(
                self._store, name, content, attributes=attributes, use_multipart=False
            )
            await _to_end(putting, self._patience.step_s)
            return
        writer = obstore.open_writer_async(
            self._store, name, attributes=attributes, buffer_size=_PART_BYTES, max_concurrency=1
        )
        try:
            async for piece in _pieces(source):
                await _to_end(writer.write(piece), self._patience.step_s)
            await _to_end(writer.close(), self._patience.step_s)
        except BaseException as exc:
            # obstore aborts by itself when `close` fails, and refuses to do it again.
            with contextlib.suppress(BaseError, OSError):
                await _to_end(writer.__aexit__(type(exc), exc, None), _GRACE_S)
            raise

    async def _download(self, name: str, size: int, target: Path) -> None:
        with _file_errors(f"write {name} to a file"), target.open("wb") as file:
            start = 0
            while start < size and self._has_ranges:
                piece = await self._range(name, start, min(size, start + _PIECE_BYTES))
                await run_to_end(file.write, piece)
                start += len(piece)
            async with contextlib.aclosing(self._stream(name, start, size)) as stream:
                async for piece in stream:
                    await run_to_end(file.write, piece)

    async def _range(self, name: str, start: int, stop: int) -> bytes:
        """The bytes of a range; none, and `_has_ranges` is False, if the store answers no ranges."""

        async def get() -> bytes:
            try:
                getting = obstore.get_range_async(self._store, name, start=start, end=stop)
                return bytes(await self._bounded(getting))
            except BaseError as exc:
                if not is_without_ranges(exc):
                    raise
                self._has_ranges = False
                return b""

        content = await self._tried(f"read {name}", get)
        if self._has_ranges and len(content) < stop - start:
            raise self._shorter(name)
        return content

    async def _stream(self, name: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes of a range out of the whole object, for stores that answer no ranges.

        A slow listener exceeds the time limit of the request, which holds for the whole body: then it begins
        again, as long as it got on.
        """
        while start < stop:
            began = start
            with self._explained(f"read {name}"):
                try:
                    result = await self._bounded(obstore.get_async(self._store, name))
                    if result.meta["size"] < stop:
                        raise self._shorter(name)
                    position = 0
                    async for chunk in result.stream(min_chunk_size=_HEARD_BYTES):
                        content = memoryview(chunk)[max(0, start - position) : max(0, stop - position)]
                        position += len(chunk)
                        for offset in range(0, len(content), _HEARD_BYTES):
                            piece = bytes(content[offset : offset + _HEARD_BYTES])
                            start += len(piece)
                            yield piece
                        if start >= stop:
                            break
                except (BaseError, OSError):
                    if start == began:
                        raise

    def _shorter(self, name: str) -> StorageError:
        return StorageError(f"cannot read {name}: {self._label} {SHORTER}")

    async def _tried(self, doing: str, action: Callable[[], Awaitable[_T]]) -> _T:
        """Do something, and again if its failure may pass."""
        with self._explained(doing):
            for attempt in range(1, _TRIES):
                try:
                    return await action()
                except (BaseError, OSError) as exc:
                    if not is_passing(exc):
                        raise
                await asyncio.sleep(self._patience.pause_s * attempt)
            return await action()

    async def _bounded(self, action: Awaitable[_T]) -> _T:
        async with asyncio.timeout(self._patience.step_s):
            return await action

    @contextlib.contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError, NotImplementedError) as exc:
            # Without its cause: a log of that may show credentials.
            message = f"cannot {doing}: {self._label} {reason(exc)}"
            raise StorageError(message, is_refusal=is_refusal(exc)) from None


async def _next(
    listing: "obstore.ListStream[Sequence[obstore.ObjectMeta]]",
) -> "Sequence[obstore.ObjectMeta]":
    try:
        return await anext(listing)
    except StopAsyncIteration:
        return ()


async def _content(store: AzureStore | GCSStore | MemoryStore | S3Store, name: str) -> bytes:
    return bytes(await (await obstore.get_async(store, name)).bytes_async())


def _whole_if_small(source: Path) -> bytes | None:
    return source.read_bytes() if source.stat().st_size <= _PART_BYTES else None


async def _pieces(source: Path) -> AsyncGenerator[bytes, None]:
    with _file_errors(f"read {source.name}"), source.open("rb", buffering=0) as file:
        while piece := await run_to_end(file.read, _PIECE_BYTES):
            yield piece


@contextlib.contextmanager
def _file_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StorageError(f"cannot {doing}: {exc.strerror or exc}") from exc


async def _to_end(action: Awaitable[_T], limit_s: float) -> _T:
    """Wait for a step of an upload; a cancelled caller still waits for a while.

    A step that is cut may have begun an upload whose id is lost then, so that it cannot be aborted.

    Raises:
        TimeoutError: the step took longer than its limit.
        asyncio.CancelledError: the caller was cancelled; the step has ended, or was cut.
    """
    loop = asyncio.get_running_loop()
    step = asyncio.ensure_future(action)
    ends = loop.time() + limit_s
    cancelled: asyncio.CancelledError | None = None
    while not step.done() and loop.time() < ends:
        try:
            await asyncio.wait([step], timeout=ends - loop.time())
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
            ends = min(ends, loop.time() + _GRACE_S)
    is_cut = step.cancel()
    if cancelled is not None:
        if not is_cut and not step.cancelled():
            step.exception()  # retrieved, so that asyncio does not log it: the cancellation wins
        raise cancelled
    if is_cut:
        raise TimeoutError
    return step.result()
