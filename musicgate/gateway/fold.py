"""Fold a vendor's answer into its job: map the status, keep inline audio, store the rest."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import MusicgateError, StorageError
from musicgate.gateway import commit
from musicgate.gateway.inline_audio import keep_inline_audio
from musicgate.model import JobUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job, JobState, JsonValue, NativeTrack

_log = logging.getLogger(__name__)
#: The texts of a track that are kept as they are. ``failure_message`` is masked before it is kept.
_SHOWN = (
    "native_id", "audio_url", "fallback_urls", "stream_audio_url", "image_url", "title", "tags", "lyrics",
    "native_model",
)  # fmt: skip


async def apply_update(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    """Fold an answer into a job; inline audio is kept first: no stored job names a missing file.

    Raises:
        StorageError: the store is full, read-only or broken.
    """
    mapped = None if update.native_status is None else _map_status(context, job, update)
    try:
        audio = await keep_inline_audio(context, job, update) if update.tracks else jobs.NO_AUDIO
    except StorageError as error:
        await _note_trouble(context, job, str(error))
        raise
    body = update.body if job.request.debug.return_upstream_response else None
    now, steady, speed = context.clock.now(), context.clock.steady(), context.speed
    quotes = holds_secret(context, job, update)
    job = await commit.change(
        context,
        job,
        lambda current: jobs.apply(
            current, update, mapped, now, speed, steady, audio=audio, body=body, holds_secret=quotes
        ),
    )
    if audio.assets and not any(track.asset for track in job.tracks):
        # The job had ended before its audio came, by a cancel for instance.
        await context.keeper.release(job.id)
    return job


async def _note_trouble(context: GatewayContext, job: Job, trouble: str) -> None:
    """Note why audio that came as bytes cannot be stored; where not even that can be, the log says it."""
    now = context.clock.now()
    with suppress(StorageError):
        await commit.change(
            context, job, lambda current: jobs.keep_audio(current, jobs.NO_AUDIO, now, trouble)
        )


async def _rescue(context: GatewayContext, job: Job, update: JobUpdate, error: StorageError) -> None:
    """Save audio that came as bytes, and that no store took in all that time, on the local disk."""
    paths: list[Path] = []
    with suppress(StorageError):
        for index, track in enumerate(update.tracks):
            if track.audio:
                paths.append(await context.keeper.rescue(track.audio, job.id, index))
    for path in paths:
        _log.error("audio was paid for and cannot be stored: job=%s rescued=%s", job.id, path)
    if paths:
        names = ", ".join(path.name for path in paths)
        await _note_trouble(context, job, f"{error}; it is on the gateway's disk, rescued as {names}")


async def apply_update_until_stored(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    """Fold the answer to a create call, however long our disk fails.

    Where folding it breaks our own code, the vendor's id at least is stored.

    Raises:
        StorageError: the store still fails at the job's deadline.
    """
    try:
        return await commit.until_stored(context, job, lambda: apply_update(context, job, update))
    except StorageError as error:
        await _rescue(context, job, update, error)
        raise
    except Exception:
        if update.native_id is None:
            raise
        _log.exception("answer cannot be folded, only the vendor's id is kept: job=%s", job.id)
        now, bare = context.clock.now(), JobUpdate(native_id=update.native_id)
        quotes = holds_secret(context, job, bare)
        return await commit.change_until_stored(
            context, job, lambda current: jobs.apply(current, bare, None, now, holds_secret=quotes)
        )


def holds_secret(context: GatewayContext, job: Job, update: JobUpdate) -> bool:
    """True if what an answer brings to be used and shown, as ids, links and titles, holds a secret.

    It is looked for once, here, where such texts enter: a job without one is shown as it is. See
    `GatewayContext.masker`.
    """
    texts: Iterable[str]
    if update.tracks:
        texts = _texts_of([update.native_id, *map(_shown, update.tracks)])
    elif update.native_id is None or update.native_id == job.native_id:
        return False  # a status is masked before it is kept
    else:
        texts = (update.native_id,)
    installed = context.installed(job)
    if installed is None or not job.is_clean:
        return False
    return installed.finds_secret(texts, job.callback_token)


def _shown(track: NativeTrack) -> JsonValue:
    return [getattr(track, name) for name in _SHOWN] + [track.extra]


def _texts_of(value: JsonValue) -> Iterator[str]:
    """Every text and every key in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts_of(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_of(item)


def _map_status(context: GatewayContext, job: Job, update: JobUpdate) -> JobState | None:
    """Map a native status; a plugin error counts as an unknown status, and does not lose the song."""
    installed = context.installed(job)
    mapped = None
    if installed is not None:
        try:
            mapped = installed.plugin.map_status(update.native_status)
        except MusicgateError as error:
            _log.error("status cannot be mapped: job=%s plugin=%s error=%s", job.id, job.plugin, error)
    is_decided = mapped is not None or update.state is not None or update.failure is not None
    if update.native_status is not None and not is_decided:
        _log.warning(
            "unknown status, the job stays open: job=%s plugin=%s status=%r",
            *(job.id, job.plugin, update.native_status),
        )
    return mapped
