"""Every JSON that the outside sees: job, error, plan, catalogue, links.

It knows the published shapes, and must not know aiohttp, a store or a clock. Start with `job`.
"""

from musicgate.views.catalogue import (
    render_models,
    render_offer,
    render_provider,
    render_providers,
)
from musicgate.views.health import (
    Readiness,
    render_live,
    render_not_ready,
    render_ready,
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
    "Readiness",
    "audio_links",
    "is_signed",
    "render_body",
    "render_created",
    "render_delivery",
    "render_failure",
    "render_job",
    "render_live",
    "render_message",
    "render_models",
    "render_not_ready",
    "render_offer",
    "render_plan",
    "render_provider",
    "render_providers",
    "render_ready",
    "time_text",
]
