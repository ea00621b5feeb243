"""Every JSON that the outside sees: job, error, plan, catalogue, links.

It knows the published shapes, and must not know aiohttp, a store or a clock. Start with `job`.
"""

from musicgate.views.catalogue import (
    render_offer,
    render_provider,
)
from musicgate.views.job import (
    render_body,
    render_created,
    render_delivery,
    render_failure,
    render_job,
    render_message,
    time_text,
)
from musicgate.views.links import (
    audio_links,
    is_signed,
)
from musicgate.views.plan import (
    render_plan,
)

__all__ = [
    "audio_links",
    "is_signed",
    "render_body",
    "render_created",
    "render_delivery",
    "render_failure",
    "render_job",
    "render_message",
    "render_offer",
    "render_plan",
    "render_provider",
    "time_text",
]
