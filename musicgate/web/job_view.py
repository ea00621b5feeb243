"""A job as HTTP shows it: found by the id in a path and by its account, with its links, its ETag and a hint when to ask again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.answers import render_job
from musicgate.errors import JobNotFoundError, RequestError
from musicgate.lifecycle import next_look_s
from musicgate.links import audio_links
from musicgate.wire import write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway import Gateway
    from musicgate.model import Job, Track
    from musicgate.settings import Account
    from musicgate.web.patience import Patience

_NATIVE_AND_OURS_MAX_CHARS = 512


class JobView:
    """Finds jobs for routes, and shows them."""

    def __init__(self, gateway: Gateway, patience: Patience) -> None:
        """Show the jobs of one gateway."""
        self._gateway = gateway
        self._patience = patience

    async def find(self, request: web.Request, account: Account) -> Job:
        """The account's job that the path names.

        Raises:
            RequestError: ``missing_music_id``.
            JobNotFoundError: the account has no such job.
        """
        music_id = request.match_info["music_id"].strip()
        if not music_id:
            raise missing_id()
        if len(music_id) > _NATIVE_AND_OURS_MAX_CHARS:
            raise JobNotFoundError(music_id[:64])
        return await self._gateway.find(music_id, account=account.name)

    async def waited(self, job: Job, wait_s: float | None) -> Job:
        """The job when it is final, or as it is after so many seconds."""
        if wait_s is None or job.state.is_final:
            return job
        try:
            async with self._patience.limit(wait_s):
                return await self._gateway.wait(job.id)
        except TimeoutError:
            return await self._gateway.context.store.get(job.id) or job

    def render(self, request: web.Request, job: Job) -> dict[str, object]:
        """A job as GET answers it."""
        return render_job(job, self.audio_url(request))

    def respond(
        self, job: Job, answer: dict[str, object], headers: dict[str, str] | None = None
    ) -> web.Response:
        """An answer about one job."""
        more = {"ETag": etag(job), "Cache-Control": "private, no-cache", **(headers or {})}
        live = self._gateway.context.live(job)
        if not job.state.is_final and live is not None:
            context = self._gateway.context
            pause_s = next_look_s(job, live.provider.poll, context.clock.now(), context.speed)
            more["Retry-After"] = str(max(1, math.ceil(pause_s)))
        return respond_json(answer, more)

    def audio_url(self, request: web.Request) -> Callable[[Job, Track], str | None]:
        """Makes the link of a track that we keep."""
        base = (
            self._gateway.context.settings.server.public_url.rstrip("/")
            or f"{request.scheme}://{request.host}"
        )

        return audio_links(base)


def etag(job: Job) -> str:
    """Changes with every stored version of a job."""
    return f'W/"{job.id}.{job.version}"'


def missing_id() -> RequestError:
    """A path without an id where one belongs."""
    return RequestError("validation_error", "the music id is missing in the path", reason="missing_music_id")


def respond_json(value: object, headers: dict[str, str] | None = None) -> web.Response:
    """A good answer."""
    return web.Response(body=write_json(value), content_type="application/json", headers=headers)
