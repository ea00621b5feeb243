"""The port `AssetStore`, which every store of audio implements. No library's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from musicgate.model import Asset


class StagedAudio(Protocol):
    """A file that is being written; it becomes an asset or is removed."""

    @property
    def path(self) -> Path:
        """The file to write to."""


class AssetStore(Protocol):
    """Audio that we keep."""

    def stage(self, job_id: str, index: int) -> StagedAudio:
        """Create a file to write a track's audio to; leftovers of a crash are removed at a later start."""

    def staged(self, job_id: str, index: int) -> AbstractAsyncContextManager[StagedAudio]:
        """Create a file to write a track's audio to, and remove it at the end unless it was kept.

        Raises:
            StorageError: it cannot be created.
        """

    async def fill(self, staged: StagedAudio, content: bytes) -> None:
        """Write audio that is in memory to a staged file.

        Raises:
            StorageError: the store is full, read-only or broken.
        """

    async def keep(self, staged: StagedAudio, job_id: str, index: int) -> Asset:
        """Measure the staged audio and keep it durably; keeping the same track again replaces it.

        Raises:
            NotAudioError: it is not audio that plays; nothing is kept.
            StorageError: the store is full, read-only or broken.
        """

    def discard(self, staged: StagedAudio) -> None:
        """Remove a staged file. It never raises, so that it hides no other error."""

    def local_path(self, asset: Asset) -> Path | None:
        """Path of the asset on a local disk, or None when it is stored elsewhere or gone."""

    def read(self, asset: Asset, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces."""

    async def delete(self, job_id: str) -> None:
        """Remove all audio of a job; nothing happens if there is none."""
