"""The port `ObjectStore`, which every store of files implements. No library's types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol

import attrs

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path


@attrs.frozen(kw_only=True)
class StoredObject:
    """An object of a store.

    Attributes:
        name: segments of letters, digits, `_`, `-` and `.`, joined by `/`; see `check_name`.
        modified_at: when it was written last, aware UTC; the store's clock.
    """

    name: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Files by name, in a folder or in the cloud.

    Names are made from contents, so that an object never changes.

    Every method raises `StorageError` with one sentence that says which store failed and why: it refused
    (credentials, permissions, no such bucket), it stalled, it is full, or it has no such object. The sentence
    shows no secret. A name that `check_name` refuses is a `StorageError`, too.
    """

    async def put(self, name: str, source: Path, content_type: str) -> None:
        """Store a local file durably under a name; replaces an object of that name.

        Others see the whole object or none, whenever this fails, is cancelled or is killed. The file is read
        in pieces of 1 MiB, and must not change meanwhile. A cancelled caller waits until nothing is written
        any more; the object may be stored all the same.
        """

    async def size(self, name: str) -> int | None:
        """Size of an object in bytes, or None if there is none of that name."""

    def read(self, name: str, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces of at most 64 KiB.

        A caller that stops early must close it (`contextlib.aclosing`), so that the file or connection is
        released at once. It hardly reads ahead: 50 readers of large objects take a few MiB together.

        Raises:
            StorageError: the object is not there, or is shorter than ``stop``.
        """

    async def fetch(self, name: str, target: Path) -> None:
        """Write a whole object to a local file, in pieces. After an error there is no such file."""

    async def delete(self, name: str) -> None:
        """Remove an object; nothing happens if there is none."""

    async def link(self, name: str, *, lifetime_s: int, content_type: str, disposition: str) -> str | None:
        """Sign a URL under which anybody can GET the object for some seconds, or None if the store cannot.

        It needs no call to the store, and does not look whether the object is there.

        Args:
            name: the object.
            lifetime_s: at most 7 days, the limit of S3 and GCS.
            content_type: the ``Content-Type`` that the store answers with.
            disposition: the ``Content-Disposition`` that the store answers with (RFC 6266).
        """

    def objects(self, prefix: str = "") -> AsyncGenerator[StoredObject, None]:
        """All objects below a folder of names (``ab`` finds ``ab/x``, not ``abc/x``), in no particular order.

        Objects with names that `check_name` refuses are not ours, and left out.
        """

    def local_path(self, name: str) -> Path | None:
        """Path of the object on a local disk, or None when it is stored elsewhere or gone."""

    async def check(self) -> None:
        """Write, read and delete a small object, so that wrong settings are found before a song is paid.

        Raises:
            StorageError: with `StorageError.is_refusal` where it fails until it is mended.
        """

    async def close(self) -> None:
        """Release connections. The store must not be used afterwards."""


#: Cloud stores allow at most 1,024 bytes, prefix included.
_LONGEST_NAME: Final = 512
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


def is_name(name: str) -> bool:
    """Whether an object may have this name: no segment begins with a dot, so none leads out of a folder."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return a name of an object.

    Raises:
        StorageError: no object may have it.
    """
    if not is_name(name):
        raise StorageError(f"no object can have the name {name[:100]!r}")
    return name
