"""Callbacks of apiin.one: a hint to read the feed, never a verdict.

The page says only that results are POSTed. Relatives POST a bare list of items once per stage (text, first,
complete), without the task's id, unsigned and without retries. So the token in our URL finds the job. A list,
``{data: [...]}`` and the feed's envelope are read.
Source: https://apiin.one/docs/suno/generate, 2026-02-24; https://udioapi.pro/docs/generate-callback, 2026
(relative).
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
    """Read a callback: the task's id if the body has one, and the stage for the log.

    A bare ``id`` is ignored: in a callback it is a track's id, and a job must never adopt a track.

    Raises:
        ProviderError: class ``protocol``, if the body is neither a JSON object nor a list.
    """
    answer = HttpResponse(status=200, body=body)
    parsed = answer.json()
    content = parsed if isinstance(parsed, list) else answer.json_object()
    return CallbackClaim(
        native_id=feed.named_task_id(content),
        native_status=feed.overall_status(content) or feed.stage_of(feed.find_items(content)),
        # No signature is documented.
        verified=None,
    )
