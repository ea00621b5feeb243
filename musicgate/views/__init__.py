"""Every JSON that the outside sees: job, event, error, plan, catalogue, webhook, health, links.

It knows the published shapes, and must not know aiohttp, a store or a clock. Start with `job`. The modules
that end in ``_reading`` read the same JSON back into values, for clients.
"""

from musicgate.views.audio_end import AudioEnd
from musicgate.views.catalogue import render_models, render_provider, render_providers
from musicgate.views.cursor import decode_cursor
from musicgate.views.error_reading import read_error
from musicgate.views.errors import ErrorAnswer, render_envelope, render_error, render_refusal
from musicgate.views.event import read_event, render_event
from musicgate.views.health import Readiness, render_live, render_not_ready, render_ready
from musicgate.views.job import render_created, render_job, render_job_list
from musicgate.views.job_reading import RemoteJob, read_job
from musicgate.views.keys import render_account, render_key
from musicgate.views.llms import render_llms
from musicgate.views.native import render_callback_received, render_native_body
from musicgate.views.operation import (
    AUDIT_FIELDS,
    csv_text,
    render_audit_entry,
    render_drain,
    render_provider_report,
    render_usage_report,
    render_usage_sum,
    usage_columns,
)
from musicgate.views.plan import render_plan
from musicgate.views.signed_links import SignedLinks, is_signed, links_at
from musicgate.views.usage import render_usage
from musicgate.views.webhook import (
    read_delivery,
    render_delivery,
    render_delivery_log,
    render_message,
    render_webhook_test,
)

__all__ = [
    "AUDIT_FIELDS",
    "AudioEnd",
    "ErrorAnswer",
    "Readiness",
    "RemoteJob",
    "SignedLinks",
    "csv_text",
    "decode_cursor",
    "is_signed",
    "links_at",
    "read_delivery",
    "read_error",
    "read_event",
    "read_job",
    "render_account",
    "render_audit_entry",
    "render_callback_received",
    "render_created",
    "render_delivery",
    "render_delivery_log",
    "render_drain",
    "render_envelope",
    "render_error",
    "render_event",
    "render_job",
    "render_job_list",
    "render_key",
    "render_live",
    "render_llms",
    "render_message",
    "render_models",
    "render_native_body",
    "render_not_ready",
    "render_plan",
    "render_provider",
    "render_provider_report",
    "render_providers",
    "render_ready",
    "render_refusal",
    "render_usage",
    "render_usage_report",
    "render_usage_sum",
    "render_webhook_test",
    "usage_columns",
]
