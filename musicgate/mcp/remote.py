"""The API of a musicgate server somewhere else, by a client of it; no tool, and no HTTP."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from musicgate.aio import new_id
from musicgate.errors import MusicgateError, ServerError, UnauthorisedError
from musicgate.mcp.api import ApiError, Audio, Created
from musicgate.mcp.saving import file_name, unwritable
from musicgate.views import render_envelope, render_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from musicgate.client import AgentClient, RemoteJob


class RemoteMusic:
    """Implements `musicgate.mcp.MusicApi` with a client of a server."""

    def __init__(self, client: AgentClient) -> None:
        self._client = client

    async def plan(self, body: dict[str, Any]) -> dict[str, Any]:
        """As ``POST /v1/music/plan``."""
        with _as_answers():
            return {**await self._client.plan(body)}

    async def create(self, body: dict[str, Any], key: str) -> Created:
        """As ``POST /v1/music/generate`` with ``Idempotency-Key``, so that it may be sent again."""
        with _as_answers():
            job, is_replay = await self._client.create(body, key)
            return Created(job=_shown(job), is_replay=is_replay)

    async def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """As ``GET /v1/music/generate/{id}`` with ``Prefer: wait``."""
        with _as_answers():
            return _shown(await (self._client.held(job_id, wait_s) if wait_s else self._client.get(job_id)))

    async def jobs(
        self, states: Sequence[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """As ``GET /v1/music/generate``."""
        with _as_answers():
            return await self._client.page(states=states, model=model, limit=limit, cursor=cursor)

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """As ``POST /v1/music/generate/{id}/cancel``."""
        with _as_answers():
            return _shown(await self._client.cancel(job_id))

    async def models(self) -> dict[str, Any]:
        """As ``GET /v1/music/models``."""
        with _as_answers():
            return {"object": "list", "data": await self._client.models()}

    async def audio(self, job_id: str, index: int, wanted: str | None, *, max_bytes: int) -> Audio:
        """As ``GET /v1/music/generate/{id}/audio/{index}``; the link is the one that the job shows."""
        with _as_answers():
            job = await self._client.get(job_id)
            found = await self._client.sized_audio(job, index, wanted=wanted, max_bytes=max_bytes)
        return Audio(
            name=file_name(job.id, index, found.content_type),
            content_type=found.content_type,
            size_bytes=found.size_bytes,
            uri=_link(job.answer, index, wanted),
            content=found.content,
        )

    async def save(self, job_id: str, index: int, wanted: str | None, path: Path) -> None:
        """As `audio`, into a file."""
        with _as_answers():
            job = await self._client.get(job_id)
            try:
                await self._client.download(job, path, index, wanted=wanted)
            except OSError as error:
                raise unwritable(path, error) from error


@contextmanager
def _as_answers() -> Iterator[None]:
    """Turn errors of the client into those of the API.

    Raises:
        ApiError: what the block raised: as the server sent it, if it comes from there.
    """
    try:
        yield
    except MusicgateError as error:
        raise ApiError(_envelope(error)) from error


def _envelope(error: MusicgateError) -> dict[str, Any]:
    if isinstance(error, UnauthorisedError) and error.answer is not None:
        # The client adds which setting to look at.
        return {**error.answer, "description": str(error)}
    if error.answer is not None:
        return dict(error.answer)
    if isinstance(error, ServerError):
        return render_envelope(new_id("G-"), error.code, str(error), reason=error.reason, status=503).body
    return render_error(new_id("G-"), error).body


def _shown(job: RemoteJob) -> dict[str, Any]:
    """The job as the server shows it."""
    answer = dict(job.answer)
    answer.setdefault("updated_at", answer["created_at"])
    return answer


def _link(job: Mapping[str, Any], index: int, wanted: str | None) -> str | None:
    """The link of a track that needs no key, in a format where musicgate keeps the audio."""
    shown: Mapping[str, Any] = next((item for item in job.get("output") or () if item["index"] == index), {})
    link: str | None = shown.get("audio_url")
    if link is None or wanted is None or not shown.get("audio"):
        return link
    return f"{link}{'&' if '?' in link else '?'}format={wanted}"
