"""Knows what apiin.one may POST to our callback URL; a callback is a hint to read the feed, never a verdict.

The page says that results are POSTed and no more. Relatives POST once per stage (text, first, complete) a bare list of items without the
task's id, unsigned and once. So the URL's own token has to find the job. A list, ``{data: [...]}`` and the feed's envelope are read.
Source: https://apiin.one/docs/suno/generate, 2026-02-24; https://udioapi.pro/docs/generate-callback, 2026 (relative).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.plugin import CallbackClaim, HttpResponse, hookimpl
from musicgate_apiin_one import feed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin import ProviderSettings


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read a callback: the task's id where the body names one, and the stage for the log.

    A bare ``id`` is not taken for the task's: in a callback it is a track's, and a job must never adopt a track.

    Raises:
        ProviderError: class ``protocol``, when the body is no JSON object or list.
    """
    answer = HttpResponse(status=200, body=body)
    parsed = answer.json()
    claim = parsed if isinstance(parsed, list) else answer.json_object()
    return CallbackClaim(
        native_id=feed.named_task_id(claim),
        native_status=feed.overall_word(claim) or feed.stage_of(feed.find_items(claim)),
        # No signature is known.
        verified=None,
    )
