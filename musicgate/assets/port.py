"""The port `AssetStore`, which every place for audio implements; no file system, no library's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from musicgate.model import Asset


class StagedAudio(Protocol):
    """A file that is being filled; it becomes an asset or vanishes."""

    @property
    def path(self) -> Path:
        """Where to write."""


class AssetStore(Protocol):
    """Audio that we keep."""

    def stage(self, job_id: str, index: int) -> StagedAudio:
        """A place to write a track's audio to; unfinished places of a crashed process vanish at the next start."""

    def staged(self, job_id: str, index: int) -> AbstractAsyncContextManager[StagedAudio]:
        """A place to write a track's audio to. Afterwards it is gone, whatever is raised, unless it was kept.

        Raises:
            StorageError: it cannot be made.
        """

    async def fill(self, staged: StagedAudio, content: bytes) -> None:
        """Write audio that is in memory to its place.

        Raises:
            StorageError: full, read-only or broken.
        """

    async def keep(self, staged: StagedAudio, job_id: str, index: int) -> Asset:
        """Measure the staged audio and keep it durably; keeping the same track again replaces it.

        Raises:
            NotAudioError: it is no audio that plays; nothing is kept.
            StorageError: full, read-only or broken.
        """

    def discard(self, staged: StagedAudio) -> None:
        """Throw a staged file away; it never raises, so that it hides no other error."""

    def local_path(self, asset: Asset) -> Path | None:
        """Where the asset lies on this machine's disk, or None when it lies elsewhere or is gone."""

    def read(self, asset: Asset, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, not including, ``stop``, in pieces."""

    async def delete(self, job_id: str) -> None:
        """Remove all audio of a job."""
