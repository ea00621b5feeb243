"""Listen to a track while its vendor makes it: the vendor's stream, once it is known to be audio."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from musicgate.assets import SNIFF_BYTES, content_type, sniff
from musicgate.errors import ProviderError, RequestError
from musicgate.model import Failure, FailureClass

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.assets import AudioKind
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job

#: A file with a header is recognised by so many bytes.
_FIRST_TRY_BYTES: Final = 64
_RETRY_S: Final = 5


@asynccontextmanager
async def listen(
    context: GatewayContext, job: Job, index: int
) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
    """Open a track's stream; give its media type, by its bytes, and the bytes as they come.

    Raises:
        RequestError: there is no such stream, or nothing in it yet.
        ProviderError: it cannot be opened, is no audio, or breaks off; also while the bytes are read.
    """
    url = next((track.stream_audio_url for track in job.tracks if track.index == index), None)
    if not url or job.state.is_final:
        why = "has no stream" if not url else "has ended, and there is no more stream"
        raise RequestError("not_found", f"job {job.id} {why} {index}", reason="stream_not_found")
    async with context.transport.listen(
        url,
        max_bytes=context.settings.assets.max_bytes,
        own_headers=context.media_headers(job, url),
    ) as (_, pieces):
        head, kind = await _begin(pieces)
        if not head:
            # Seen: an empty body until there is something to hear (kie, August 2026).
            message = "the provider has nothing of this track to hear yet"
            raise RequestError(
                "not_ready", message, reason="stream_not_ready", http_status=503, retry_after_s=_RETRY_S
            )
        if kind is None:
            message = "the stream is not audio"
            raise ProviderError(Failure(reason=FailureClass.UPSTREAM_FAILED, message=message))
        yield content_type(kind), _joined(head, pieces)


async def _begin(pieces: AsyncIterator[bytes]) -> tuple[bytes, AudioKind | None]:
    """Read until it is known what kind of audio comes, or that it is none."""
    head, tried_bytes = bytearray(), _FIRST_TRY_BYTES // 2
    async for piece in pieces:
        head += piece
        # Not after each piece: a server may send single bytes.
        if len(head) >= min(2 * tried_bytes, SNIFF_BYTES):
            kind, tried_bytes = sniff(bytes(head)), len(head)
            if kind is not None or tried_bytes >= SNIFF_BYTES:
                return bytes(head), kind
    return bytes(head), sniff(bytes(head))


async def _joined(head: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for piece in pieces:
        yield piece
