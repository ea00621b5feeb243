"""Keep the covers of tracks whose audio is kept, where their vendor gives any.

A cover is an extra: it is tried once, for a short time, and whatever goes wrong is a line in the log. The
vendor's link stays.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from musicgate.engine import no_stray_cancellation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Asset, Job, Track

_log = logging.getLogger(__name__)

#: Seconds for all covers of a job together, and so the longest time for which they delay its end.
_LIMIT_S: Final = 5.0
_MOST_BYTES: Final = 8 * 1024 * 1024
#: Covers of one job that are fetched at a time: a vendor's answer may name any number.
_AT_ONCE: Final = 4


async def keep_covers(context: GatewayContext, job: Job, tracks: Iterable[Track]) -> dict[int, Asset]:
    """Keep the covers that are not kept yet. What is kept, by track index."""
    wanted = [
        track for track in tracks if track.asset is not None and track.image is None and track.image_url
    ]
    kept: dict[int, Asset] = {}
    downloads = asyncio.Semaphore(_AT_ONCE)

    async def keep(track: Track) -> None:
        async with downloads:
            image = await _keep(context, job, track)
            if image is not None:
                kept[track.index] = image

    if wanted:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LIMIT_S), asyncio.TaskGroup() as group:
                for track in wanted:
                    group.create_task(keep(track))
        if late := [track.index for track in wanted if track.index not in kept]:
            _log.info("covers not kept: job=%s tracks=%s", job.id, late)
    return kept


async def _keep(context: GatewayContext, job: Job, track: Track) -> Asset | None:
    url = track.image_url or ""
    try:
        with no_stray_cancellation(), context.keeper.staged(job.id, track.index) as staged:
            await context.transport.download(
                url,
                staged,
                max_bytes=_MOST_BYTES,
                timeout_s=_LIMIT_S,
                own_headers=context.media_headers(job, url),
            )
            image = await context.keeper.keep_picture(staged, job.id)
    except Exception as error:  # noqa: BLE001 - no song may fail or wait because of its cover
        _log.info("cover cannot be kept: job=%s track=%s error=%s", job.id, track.index, error)
        return None
    if image is None:
        _log.info("cover is no picture: job=%s track=%s", job.id, track.index)
    return image
