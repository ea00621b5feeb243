"""The port to musicgate: the JSON of its HTTP API, wherever it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class ApiError(Exception):
    """The API refused, or failed.

    Attributes:
        body: the error envelope (published schema ``error``).
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        """Take the envelope."""
        super().__init__(str(body.get("description") or body.get("error")))
        self.body = dict(body)


@attrs.frozen(kw_only=True)
class Created:
    """The answer to a create call.

    Attributes:
        job: published schema ``job``.
        is_replay: the job is that of an earlier call with the same key; nothing was sent.
    """

    job: dict[str, Any]
    is_replay: bool


@attrs.frozen(kw_only=True)
class Audio:
    """A track's audio.

    Attributes:
        uri: where a client gets it without a key; None = only through this server.
        content: the bytes; None = it is larger than the caller wanted.
    """

    name: str
    content_type: str
    size_bytes: int | None
    uri: str | None
    content: bytes | None


class MusicApi(Protocol):
    """What an account can do. Every method raises `ApiError`."""

    async def plan(self, body: dict[str, Any]) -> dict[str, Any]:
        """Plan a request; spends nothing. Published schema ``plan``."""

    async def create(self, body: dict[str, Any], key: str) -> Created:
        """Store a job and submit it; return as soon as the vendor has accepted it, or is at work.

        Args:
            key: of this request, for good: the same one with the same body never makes a second song.
        """

    async def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """Read a job, once it is final or after ``wait_s`` (some seconds). Published schema ``job``."""

    async def jobs(
        self, states: Sequence[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """List the account's jobs, newest first. Published schema ``job_list``."""

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job and return it."""

    async def models(self) -> dict[str, Any]:
        """List the models. Published schema ``model_list``."""

    async def audio(self, job_id: str, index: int, wanted: str | None, *, max_bytes: int) -> Audio:
        """Read a track's audio.

        Args:
            wanted: ``mp3``, ``wav``, ``ogg``, ``aac``, ``flac`` or ``original``; None = as it was asked for.
            max_bytes: larger audio is not read.
        """

    async def save(self, job_id: str, index: int, wanted: str | None, path: Path) -> None:
        """Write a track's audio to a file, whatever its size; it is there only when it is whole."""
