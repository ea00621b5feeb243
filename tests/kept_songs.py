"""A data folder with finished jobs and their kept songs, as a server leaves it."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.assets import AudioWorkers, Staging
from musicgate.assets.folder import FolderObjects
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.gateway.audio_keeper import AudioKeeper
from musicgate.model import JobState, Track
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import make_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from musicgate.model import Job


@attrs.frozen
class KeptSongs:
    """A data folder; `jobs` are in it, each with one song of its own."""

    folder: Path
    jobs: list[Job] = attrs.field(factory=list)

    @property
    def audio(self) -> Path:
        """The folder of the default asset store."""
        return self.folder / "audio"

    @property
    def database(self) -> Path:
        """The default store of jobs."""
        return self.folder / "musicgate.db"

    def path(self, number: int) -> Path:
        """The stored file of a job's song."""
        asset = self.jobs[number].tracks[0].asset
        assert asset is not None
        return self.audio / asset.name

    @contextlib.asynccontextmanager
    async def opened(self) -> Any:
        """The store of jobs and its keeper."""
        async with SqliteJobStore.open(self.database) as store:
            with contextlib.closing(AudioWorkers(1)) as workers:
                staging = Staging(self.audio / ".incoming")
                yield (
                    store,
                    AudioKeeper(
                        objects=FolderObjects(self.audio), store=store, staging=staging, workers=workers
                    ),
                )

    async def add(self, count: int = 1, *, account: str = "local", days_ago: float = 0.0) -> None:
        """Add finished jobs."""
        now = datetime.now(UTC) - timedelta(days=days_ago)
        async with self.opened() as (store, keeper):
            for _ in range(count):
                number = len(self.jobs)
                made = attrs.evolve(
                    make_job(f"music_{number}", account=account, state=JobState.IN_PROGRESS), created_at=now
                )
                await store.add(made, [])
                content = song(AudioFormat(container=Container.WAV), 0.3 + number / 10, seed=number)
                asset = await keeper.keep_bytes(content, made.id, 0)
                track = Track(index=0, title=f"Song {number}", asset=asset)
                done = attrs.evolve(made, state=JobState.COMPLETED, completed_at=now, tracks=(track,))
                stored = await store.replace(made, done, [])
                assert stored is not None
                self.jobs.append(stored)


def lines_of(text: str) -> Iterator[Any]:
    """The JSON values of a file with one a line."""
    return map(json.loads, text.splitlines())


async def kept_songs(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int = 3) -> KeptSongs:
    """A data folder with some songs, which the command line uses."""
    for name in ("MUSICGATE_CONFIG", "MUSICGATE_ASSETS__URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(folder / "data"))
    monkeypatch.chdir(folder)
    songs = KeptSongs(folder / "data")
    await songs.add(count)
    return songs
