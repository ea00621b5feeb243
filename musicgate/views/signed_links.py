"""Signed links to kept audio: made for answers and webhooks, verified when a client opens one.

A link carries a signature instead of an API key, so that a player or a browser can open it. It may expire: to
keep answers the same for a while, all links that are made within a lifetime end together, after one lifetime
at least and two at most.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from musicgate.model import Job, Track

_SIGNATURE_CHARS = 32


@attrs.frozen
class SignedLinks:
    """Makes the links to what we keep of a job, on the server at ``base_url``.

    Attributes:
        base_url: without a trailing slash.
        expires_s: Unix time at which the links end; None = never.
    """

    base_url: str
    expires_s: int | None = None

    def __call__(self, job: Job, track: Track, what: str = "audio") -> str:
        """The link to a track's ``audio``, ``stream``, ``image``, ``waveform`` or ``peaks``."""
        signed = f"sig={_signature(job, track.index, self.expires_s)}"
        if self.expires_s is not None:
            signed = f"expires={self.expires_s}&{signed}"
        return f"{self.base_url}/v1/music/generate/{job.id}/{_PLACES[what].format(track.index)}?{signed}"


_PLACES = {
    "audio": "audio/{}",
    "stream": "stream/{}",
    "image": "image/{}",
    "peaks": "audio/{}/peaks",
    "waveform": "audio/{}/waveform.svg",
}


def links_at(base_url: str, lifetime_s: int, now_s: float) -> SignedLinks:
    """The links of this moment.

    Args:
        lifetime_s: how long they work at least; 0 = as long as what they lead to is kept.
        now_s: Unix time.
    """
    expires_s = (int(now_s) // lifetime_s + 2) * lifetime_s if lifetime_s else None
    return _links(base_url, expires_s)


@functools.lru_cache(maxsize=64)
def _links(base_url: str, expires_s: int | None) -> SignedLinks:
    """Nearly all answers of a lifetime have the same."""
    return SignedLinks(base_url.rstrip("/"), expires_s)


def is_signed(job: Job, index: int, signature: str, expires: str | None, now_s: float) -> bool:
    """True if a link to this track was made here and has not ended.

    Args:
        signature: of the link.
        expires: of the link; None for one without an end.
        now_s: Unix time.
    """
    if expires is not None and not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        return False
    expires_s = None if expires is None else int(expires)
    wanted = _signature(job, index, expires_s)
    is_ours = hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))
    return is_ours and (expires_s is None or now_s < expires_s)


def _signature(job: Job, index: int, expires_s: int | None) -> str:
    """Derived from the job's callback token, so it needs no storage and reveals nothing."""
    text = f"audio/{index}" if expires_s is None else f"audio/{index}/{expires_s}"
    return hmac.new(job.callback_token.encode(), text.encode(), hashlib.sha256).hexdigest()[:_SIGNATURE_CHARS]
