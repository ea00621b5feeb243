"""`AgentClient`: what the tools of agents need of a server beside `AsyncClient`.

They hand on what the server answers. So a refusal of a vendor is an error here, with the envelope of the
server in ``answer``, and a wait ends with the job as it is.
"""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.client.async_client import REFUSED, AsyncClient
from musicgate.client.routes import create_call, held_call, page_call
from musicgate.errors import ServerError
from musicgate.views import read_job

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from musicgate.views import RemoteJob

#: Pause before a job is read again where the server does not hold its answer.
_POLL_S: Final = 1.0
_DOWNLOAD_S: Final = 600.0


@attrs.frozen(kw_only=True)
class SizedAudio:
    """A track's audio up to a size.

    Attributes:
        size_bytes: None = the server does not say it.
        content: None = it is larger than the caller wants.
    """

    content_type: str
    size_bytes: int | None
    content: bytes | None


class AgentClient(AsyncClient):
    """A client for those who hand the server's answers on."""

    async def create(self, body: Mapping[str, object], key: str) -> tuple[RemoteJob, bool]:
        """Create a job, and return it as soon as its provider has answered.

        Args:
            body: the JSON of a request.
            key: 1 to 255 printable characters.

        Returns:
            The job, and whether it is that of an earlier call with this key.

        Raises:
            MusicgateError: as `AsyncClient.submit`; and ProviderError for a job that the vendor refused.
        """
        call = create_call(body, key, wait_s=0.0)
        answer = await self._calls.send(call)
        if answer.status >= REFUSED:
            raise self._calls.error_of(call, answer)
        return self._value(read_job, answer.body, call), "Idempotency-Replayed" in answer.headers

    async def held(self, job_id: str, wait_s: float) -> RemoteJob:
        """A job once it is final, or as it is after ``wait_s`` at the latest.

        Where the server does not hold its answer, the job is read again after a pause of one second.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        started = time.monotonic()
        call = held_call(job_id, max(1, round(wait_s)))
        answer = await self._calls.try_to_hold(call)
        passed_s = time.monotonic() - started
        if answer is not None:
            job = self._value(read_job, answer.body, call)
            if job.state.is_final or passed_s > wait_s / 2:
                return job
        await asyncio.sleep(max(0.0, min(_POLL_S, wait_s - passed_s)))
        return await self.get(job_id)

    async def page(
        self, *, states: Collection[str], model: str | None, limit: int, cursor: str | None
    ) -> dict[str, Any]:
        """A page of the account's jobs, newest first.

        Args:
            states: only jobs in these states; empty = all.
            model: only jobs that asked for this model, as the caller spelled it.
            limit: number of jobs, 1 to 100.
            cursor: ``next_cursor`` of the page before.
        """
        call = page_call(states, model, limit, cursor)
        answer = await self._calls.send(call)
        for item in self._items(answer, call):
            self._value(read_job, item, call)
        return dict(answer.body)

    async def sized_audio(
        self, job: RemoteJob, index: int, *, wanted: str | None, max_bytes: int
    ) -> SizedAudio:
        """A track's audio with its type, without the bytes if there are too many.

        Raises:
            MusicgateError: as `AsyncClient.audio`.
        """
        with io.BytesIO() as memory:
            download = self._download(job, memory, index, wanted, max_bytes)
            content = None
            try:
                await download.run(_DOWNLOAD_S)
                content = memory.getvalue()
            except ServerError as error:
                if error.reason != "too_large":
                    raise
        return SizedAudio(
            content_type=download.content_type,
            size_bytes=download.size_bytes if content is None else len(content),
            content=content,
        )
