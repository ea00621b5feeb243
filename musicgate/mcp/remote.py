"""The API of a musicgate server somewhere else, by HTTP, as JSON; it knows no tool."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from musicgate.aio import new_id
from musicgate.errors import JobNotFoundError
from musicgate.mcp.api import ApiError, Audio, Created
from musicgate.mcp.saving import file_name, write_pieces
from musicgate.views import render_envelope, render_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from musicgate.model import Secret

_JOBS: Final = "v1/music/generate"
_PIECE_BYTES: Final = 65_536
#: Larger than any answer of a musicgate server.
_MAX_ANSWER_BYTES: Final = 16_777_216
_MAX_TRACK_BYTES: Final = 1_073_741_824
_TIMEOUT: Final = aiohttp.ClientTimeout(total=120, sock_connect=10)
_DOWNLOAD_TIMEOUT: Final = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)
#: Pauses before a call is made again. Every call may be: a create call has its key.
_PAUSES_S: Final = (0.5, 2.0)
_MASK: Final = "***"
#: What the tools read of a job.
_OF_A_JOB: Final = ("id", "status", "created_at", "updated_at")


class RemoteMusic:
    """Implements `musicgate.mcp.MusicApi` with the routes of a server."""

    def __init__(self, origin: URL, key: Secret | None, session: aiohttp.ClientSession) -> None:
        self._origin = origin
        self._name = str(origin).rstrip("/")
        self._key = key
        self._session = session

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, key: Secret | None) -> AsyncIterator[RemoteMusic]:
        """Open a client for the block.

        Args:
            url: of the server, checked before; a path prefix is kept.
        """
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            yield cls(URL(f"{url.rstrip('/')}/"), key, session)

    async def plan(self, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /v1/music/plan``."""
        return (await self._call("POST", "v1/music/plan", body=body, keys=("candidates",)))[0]

    async def create(self, body: dict[str, Any], key: str) -> Created:
        """``POST /v1/music/generate``, with the key, so that it may be sent again."""
        quoted = key.replace("\\", "\\\\").replace('"', '\\"')
        headers = {"Idempotency-Key": f'"{quoted}"', "Prefer": "wait=0"}
        job, answered = await self._call("POST", _JOBS, body=body, headers=headers, keys=_OF_A_JOB)
        return Created(job=job, is_replay="Idempotency-Replayed" in answered)

    async def job(self, job_id: str, wait_s: float = 0.0) -> dict[str, Any]:
        """``GET /v1/music/generate/{id}``."""
        headers = {"Prefer": f"wait={max(1, round(wait_s))}"} if wait_s else {}
        return (await self._call("GET", self._path(job_id), headers=headers, keys=_OF_A_JOB))[0]

    async def jobs(
        self, states: Sequence[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """``GET /v1/music/generate``."""
        query = {"limit": str(limit), "state": ",".join(states), "model": model, "cursor": cursor}
        return (await self._call("GET", _JOBS, query={name: text for name, text in query.items() if text}))[0]

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """``POST /v1/music/generate/{id}/cancel``."""
        return (await self._call("POST", f"{self._path(job_id)}/cancel", keys=_OF_A_JOB))[0]

    async def models(self) -> dict[str, Any]:
        """``GET /v1/music/models``."""
        return (await self._call("GET", "v1/music/models", keys=("data",)))[0]

    async def audio(
        self, job_id: str, index: int, wanted: str | None, *, max_bytes: int, sink: Path | None = None
    ) -> Audio:
        """``GET /v1/music/generate/{id}/audio/{index}``; the link is the one that the job shows."""
        job = await self.job(job_id)
        shown: dict[str, Any] = next(
            (item for item in job.get("output") or () if item.get("index") == index), {}
        )
        link = shown.get("audio_url")
        if link is not None and wanted is not None and shown.get("audio"):
            link = str(URL(link, encoded=True).update_query(format=wanted))
        query = {} if wanted is None else {"format": wanted}
        url = self._url(f"{self._path(job_id)}/audio/{index}", query)
        try:
            async with self._session.get(url, headers=self._headers(), timeout=_DOWNLOAD_TIMEOUT) as response:
                if response.status != 200:
                    raise self._refusal(response.status, await self._json(response))
                size_bytes, content_type = response.content_length, response.content_type
                limit = _MAX_TRACK_BYTES if sink is not None else max_bytes
                content = None
                pieces = response.content.iter_chunked(_PIECE_BYTES)
                if sink is not None:
                    size_bytes = await write_pieces(pieces, sink, limit)
                elif size_bytes is not None and size_bytes <= limit:
                    content = b"".join([piece async for piece in pieces])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as exc:
            raise self._failure(f"the audio cannot be fetched from {self._name}: {_reason(exc)}") from exc
        return Audio(
            name=file_name(str(job.get("id")), index, content_type),
            content_type=content_type,
            size_bytes=size_bytes,
            uri=link,
            content=content,
        )

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        keys: Sequence[str] = (),
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Send a request, again if there is no answer, and return the JSON and the headers of the answer.

        Args:
            keys: that the answer must have.
        """
        url = self._url(path, query or {})
        sent = {**self._headers(), **(headers or {})}
        refusal = ApiError({})
        for pause_s in (*_PAUSES_S, None):
            try:
                async with self._session.request(method, url, json=body, headers=sent) as response:
                    value = await self._json(response)
                    if response.status == 200:
                        if any(key not in value for key in keys):
                            raise self._stranger(response)
                        return value, response.headers
                    refusal = self._refusal(response.status, value)
                    if response.status not in {502, 503, 504} or value.get("error") != "gateway_error":
                        raise refusal
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                refusal = self._failure(f"{self._name} gives no answer: {_reason(exc)}")
            if pause_s is None:
                break
            await asyncio.sleep(pause_s)
        raise refusal

    def _url(self, path: str, query: Mapping[str, str]) -> URL:
        return self._origin.joinpath(*path.split("/"), encoded=True).with_query(dict(query))

    def _path(self, job_id: str) -> str:
        if set(job_id) <= {"."}:  # a path without it
            raise ApiError(render_error(new_id("G-"), JobNotFoundError(job_id)).body)
        return f"{_JOBS}/{quote(job_id, safe='')}"

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key.reveal()}"} if self._key else {}

    async def _json(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """Read the JSON object of an answer, with the key masked if the server quotes it."""
        body = bytearray()
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            body += piece
            if len(body) > _MAX_ANSWER_BYTES:
                raise self._failure(f"the answer of {self._name} is too large")
        text = body.decode("utf-8", "replace")
        if self._key is not None:
            text = text.replace(self._key.reveal(), _MASK)
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise self._stranger(response)
        return value

    def _stranger(self, response: aiohttp.ClientResponse) -> ApiError:
        message = f"{self._name} answers {response.status} with something else; is it a musicgate server?"
        return self._failure(message)

    def _refusal(self, status: int, body: Mapping[str, Any]) -> ApiError:
        return ApiError({"status_code": status, **body})

    def _failure(self, message: str) -> ApiError:
        return ApiError(render_envelope(new_id("G-"), "gateway_error", message, status=503).body)


def _reason(error: Exception) -> str:
    """Why a call failed, without its address."""
    if isinstance(error, TimeoutError):
        return "too slow"
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__
