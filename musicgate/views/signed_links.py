"""Signed links to kept audio: made for answers and webhooks, verified when a client opens one.

A link carries a signature instead of an API key, so that a player or a browser can open it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.model import Job, Track

_SIGNATURE_CHARS = 32


def audio_links(base_url: str) -> Callable[[Job, Track], str]:
    """Return a function that makes the link to a track, on the server at ``base_url``."""
    base = base_url.rstrip("/")

    def audio_url(job: Job, track: Track) -> str:
        return f"{base}/v1/music/generate/{job.id}/audio/{track.index}?sig={_signature(job, track.index)}"

    return audio_url


def is_signed(job: Job, index: int, signature: str) -> bool:
    """Return True if `audio_links` made a link to this track with this signature."""
    return hmac.compare_digest(_signature(job, index).encode(), signature.encode("utf-8", "replace"))


def _signature(job: Job, index: int) -> str:
    """Derived from the job's callback token, so it needs no storage and reveals nothing."""
    digest = hmac.new(job.callback_token.encode(), f"audio/{index}".encode(), hashlib.sha256)
    return digest.hexdigest()[:_SIGNATURE_CHARS]
