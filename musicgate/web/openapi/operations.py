"""What each route takes and answers. A new route is described here, and a test says so when it is not.

The names in it are those of `musicgate.web.openapi.parts` (parameters, headers, errors) and of components.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.web.openapi.admin_operations import ADMIN_OPERATIONS
from musicgate.web.openapi.agent_operations import AGENT_OPERATIONS
from musicgate.web.openapi.operation import (
    BYTES,
    JSON,
    OF_A_BODY,
    OF_A_CREATE,
    VALIDATORS,
    Access,
    Answer,
    Operation,
    text_answer,
)
from musicgate.web.openapi.operator_operations import OPERATOR_OPERATIONS

#: Stands for the path of the collection, of which there are two.
JOBS: Final = "{jobs}"


_FILE: Final = ("Content-Disposition", "Last-Modified", "Accept-Ranges", *VALIDATORS)
_CONDITIONS: Final = ("If-Match", "If-None-Match")
_FILE_CONDITIONS: Final = (*_CONDITIONS, "If-Modified-Since", "If-Unmodified-Since")
_NOT_MODIFIED: Final = Answer(text="Nothing has changed since that entity tag.", headers=VALIDATORS)
_SONG: Final = MappingProxyType(
    {
        "model": "suno/v4.5plus",
        "prompt": "Warm jazz trio with brushed drums",
        "provider": {"only": ["suno"]},
        "suno": {"customMode": False, "instrumental": False},
    }
)


def _job(text: str, *headers: str) -> Answer:
    return Answer(text=text, content={JSON: "MusicJob"}, headers=(*VALIDATORS, "Retry-After", *headers))


OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("POST", JOBS): Operation(
        id="generateMusic",
        tag="Music",
        summary="Create a job",
        text="The answer is the job as it is then; read it again until `status` is completed or failed.",
        parameters=("Idempotency-Key", "Prefer", "x-gateway-debug", "Content-Encoding"),
        body="MusicRequest",
        example=_SONG,
        answers={
            200: _job(
                "The job.", "Idempotency-Replayed", "Preference-Applied", "RateLimit", "RateLimit-Policy"
            )
        },
        errors=(*OF_A_BODY, *OF_A_CREATE),
        links=True,
    ),
    ("GET", JOBS): Operation(
        id="listMusicGenerations",
        tag="Music",
        summary="List the account's jobs, newest first",
        parameters=("state", "model", "limit", "cursor"),
        answers={200: Answer(text="One page.", content={JSON: "JobList"}, headers=("Cache-Control", "Vary"))},
    ),
    ("GET", f"{JOBS}/{{music_id}}"): Operation(
        id="getMusicGeneration",
        tag="Music",
        summary="Read a job",
        text="From the store of the gateway, never from the vendor. `Retry-After` says when to ask again. "
        "Without an id behind the last slash, the answer is a 400 (`missing_music_id`).",
        parameters=("Prefer", *_CONDITIONS),
        answers={200: _job("The job.", "Preference-Applied"), 304: _NOT_MODIFIED},
        errors=(404, 412),
    ),
    ("DELETE", f"{JOBS}/{{music_id}}"): Operation(
        id="deleteMusicGeneration",
        tag="Music",
        summary="Delete a job, its events and its audio",
        text="An open job is cancelled first.",
        parameters=_CONDITIONS,
        answers={204: Answer(text="It is deleted.")},
        errors=(404, 412),
    ),
    ("POST", f"{JOBS}/{{music_id}}/cancel"): Operation(
        id="cancelMusicGeneration",
        tag="Music",
        summary="Cancel a job",
        text="`error.may_have_cost` of the answer says whether it may be billed.",
        parameters=_CONDITIONS,
        answers={200: _job("The job, which has failed as cancelled.")},
        errors=(404, 409, 412),
    ),
    ("GET", f"{JOBS}/{{music_id}}/events"): Operation(
        id="streamMusicEvents",
        tag="Music",
        summary="Follow a job by server-sent events",
        text="Everything that has happened so far, then what happens, until the event `settled`. Each event has an "
        "`id` (its number), an `event` (its type) and one line of `data`, whose JSON the schema describes. "
        "A comment line every 15 seconds keeps the connection alive.",
        parameters=("Last-Event-ID", "after"),
        answers={
            200: Answer(
                text="The events.",
                content={"text/event-stream": "EventStreamItem"},
                headers=("Cache-Control",),
            ),
            204: Answer(text="The final event was received before; do not reconnect."),
        },
        errors=(404,),
    ),
    ("GET", f"{JOBS}/{{music_id}}/audio/{{index}}"): Operation(
        id="getAudio",
        tag="Audio",
        summary="The audio of a track",
        access=Access.LINK,
        parameters=("format", "download", "sig", "expires", *_FILE_CONDITIONS, "Range", "If-Range"),
        answers={
            200: Answer(text="The audio.", content={"audio/*": BYTES}, headers=_FILE),
            206: Answer(
                text="The range of it.", content={"audio/*": BYTES}, headers=(*_FILE, "Content-Range")
            ),
            302: Answer(text="It is at the vendor.", headers=("Location", "Cache-Control")),
            304: _NOT_MODIFIED,
            307: Answer(text="It is in the object store.", headers=("Location", "Cache-Control")),
        },
        errors=(404, 412, 416),
    ),
    ("GET", f"{JOBS}/{{music_id}}/audio/{{index}}/peaks"): Operation(
        id="getPeaks",
        tag="Audio",
        summary="The peaks of a track's audio",
        access=Access.LINK,
        parameters=("points", "sig", "expires", *_CONDITIONS),
        answers={
            200: Answer(text="The peaks.", content={JSON: "Peaks"}, headers=VALIDATORS),
            304: _NOT_MODIFIED,
        },
        errors=(404, 412),
    ),
    **{
        ("GET", f"{JOBS}/{{music_id}}/audio/{{index}}/waveform.{suffix}"): Operation(
            id=f"getWaveform{suffix.capitalize()}",
            tag="Audio",
            summary=f"A picture of a track's audio, as {suffix.upper()}",
            access=Access.LINK,
            parameters=("width", "height", "theme", "sig", "expires", *_CONDITIONS),
            answers={
                200: Answer(text="The picture.", content={media_type: schema}, headers=VALIDATORS),
                304: _NOT_MODIFIED,
            },
            errors=(404, 412),
        )
        for suffix, media_type, schema in (
            ("svg", "image/svg+xml", {"type": "string"}),
            ("png", "image/png", BYTES),
        )
    },
    ("GET", f"{JOBS}/{{music_id}}/image/{{index}}"): Operation(
        id="getCover",
        tag="Audio",
        summary="The cover of a track",
        access=Access.LINK,
        parameters=("download", "sig", "expires", *_FILE_CONDITIONS, "Range", "If-Range"),
        answers={
            200: Answer(text="The cover.", content={"image/*": BYTES}, headers=_FILE),
            206: Answer(
                text="The range of it.", content={"image/*": BYTES}, headers=(*_FILE, "Content-Range")
            ),
            302: Answer(text="It is at the vendor.", headers=("Location", "Cache-Control")),
            304: _NOT_MODIFIED,
            307: Answer(text="It is in the object store.", headers=("Location", "Cache-Control")),
        },
        errors=(404, 412, 416),
    ),
    ("GET", f"{JOBS}/{{music_id}}/stream/{{index}}"): Operation(
        id="streamAudio",
        tag="Audio",
        summary="The audio of a track while it is made",
        access=Access.LINK,
        parameters=(
            "sig",
            "expires",
        ),
        answers={
            200: Answer(
                text="The audio so far, then the rest.",
                content={"audio/*": BYTES},
                headers=("Cache-Control",),
            ),
            307: Answer(text="The audio is there.", headers=("Location", "Cache-Control")),
        },
        errors=(404, 502),
    ),
    ("GET", f"{JOBS}/{{music_id}}/webhooks"): Operation(
        id="listWebhookDeliveries",
        tag="Webhooks",
        summary="The webhook messages about a job",
        answers={
            200: Answer(
                text="Every message with its tries.",
                content={JSON: "WebhookDeliveryList"},
                headers=("Cache-Control",),
            )
        },
        errors=(404,),
    ),
    ("POST", f"{JOBS}/{{music_id}}/webhooks/{{message_id}}/replay"): Operation(
        id="replayWebhook",
        tag="Webhooks",
        summary="Send a message again, with the same id",
        answers={
            202: Answer(
                text="It will be sent.", content={JSON: "WebhookDelivery"}, headers=("Cache-Control",)
            )
        },
        errors=(404, 409),
    ),
    ("POST", "/v1/webhooks/test"): Operation(
        id="testWebhook",
        tag="Webhooks",
        summary="Send a test message",
        parameters=("Content-Encoding",),
        body="WebhookTestRequest",
        is_body_required=False,
        answers={
            200: Answer(text="The result.", content={JSON: "WebhookTestResult"}, headers=("Cache-Control",))
        },
        errors=OF_A_BODY,
    ),
    ("POST", "/v1/music/plan"): Operation(
        id="planMusic",
        tag="Catalogue",
        summary="Dry run: who would be asked, with which request, at what price",
        parameters=("Prefer", "Content-Encoding"),
        body="MusicRequest",
        example=_SONG,
        answers={200: Answer(text="The plan.", content={JSON: "Plan"})},
        errors=(*OF_A_BODY, 402, 403, 404, 409, 502),
    ),
    ("GET", "/v1/music/models"): Operation(
        id="listModels",
        tag="Catalogue",
        summary="Every model with its offers, limits, prices and rights",
        answers={200: Answer(text="The models.", content={JSON: "ModelList"})},
    ),
    ("GET", "/v1/music/providers"): Operation(
        id="listProviders",
        tag="Catalogue",
        summary="Every provider with its health",
        answers={200: Answer(text="The providers.", content={JSON: "ProviderList"})},
    ),
    ("POST", "/v1/callbacks/{job_id}/{token}"): Operation(
        id="receiveCallback",
        tag="Operation",
        summary="For vendors: something has happened to a job",
        text="Token and signature are checked, then the vendor is polled: what a callback says is only a hint.",
        access=Access.PUBLIC,
        body={},
        is_body_required=False,
        answers={200: Answer(text="It was received.", content={JSON: "CallbackReceived"})},
        errors=(401, *OF_A_BODY, 404),
    ),
    ("GET", "/v1/schemas/{name}"): Operation(
        id="getSchema",
        tag="Description",
        summary="A published JSON Schema",
        access=Access.PUBLIC,
        answers={
            200: Answer(
                text="The schema.",
                content={"application/schema+json": {"type": "object", "additionalProperties": True}},
                headers=("Cache-Control",),
            )
        },
        errors=(404,),
    ),
    ("GET", "/openapi.json"): Operation(
        id="getOpenApi",
        tag="Description",
        summary="This document",
        access=Access.PUBLIC,
        parameters=("If-None-Match",),
        answers={
            200: Answer(
                text="The document.",
                content={JSON: {"type": "object", "additionalProperties": True}},
                headers=("ETag", "Cache-Control"),
            ),
            304: _NOT_MODIFIED,
        },
    ),
    ("GET", "/docs"): Operation(
        id="getDocs",
        tag="Description",
        summary="This document in Swagger UI",
        access=Access.PUBLIC,
        answers={200: text_answer("The page.", "text/html")},
    ),
    ("GET", "/docs/{file}"): Operation(
        id="getDocsFile",
        tag="Description",
        summary="A file of that page",
        access=Access.PUBLIC,
        parameters=("If-None-Match",),
        answers={
            200: text_answer("The file.", "text/javascript", "text/css", headers=VALIDATORS),
            304: _NOT_MODIFIED,
        },
        errors=(404,),
    ),
    ("GET", "/console"): Operation(
        id="getConsole",
        tag="Description",
        summary="The console: a page to make, follow, play and compare songs",
        access=Access.PUBLIC,
        answers={200: text_answer("The page.", "text/html")},
    ),
    ("GET", "/console/{path}"): Operation(
        id="getConsoleFile",
        tag="Description",
        summary="A file of that page",
        access=Access.PUBLIC,
        parameters=("If-None-Match",),
        answers={
            200: text_answer("The file.", "text/javascript", "text/css", "image/svg+xml", headers=VALIDATORS),
            304: _NOT_MODIFIED,
        },
        errors=(404,),
    ),
    ("GET", "/metrics"): Operation(
        id="getMetrics",
        tag="Operation",
        summary="Figures for Prometheus",
        text="The text of Prometheus, or OpenMetrics if `Accept` names it.",
        access=Access.METRICS,
        answers={200: text_answer("The figures.", "text/plain", "application/openmetrics-text")},
        errors=(401, 404, 429),
    ),
    ("GET", "/livez"): Operation(
        id="getLiveness",
        tag="Operation",
        summary="Whether the process answers",
        access=Access.PUBLIC,
        answers={200: Answer(text="It does.", content={JSON: "Liveness"})},
    ),
    ("GET", "/readyz"): Operation(
        id="getReadiness",
        tag="Operation",
        summary="Whether new jobs can be accepted",
        text="A 503 has `status`, `jobs` and `background` beside the error.",
        access=Access.PUBLIC,
        answers={200: Answer(text="They can.", content={JSON: "Readiness"})},
    ),
    **AGENT_OPERATIONS,
    **OPERATOR_OPERATIONS,
    **ADMIN_OPERATIONS,
}
