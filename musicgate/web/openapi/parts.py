"""Parameters, headers and errors that operations share, as OpenAPI writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import musicgate_schemas
from musicgate.assets import KIND_OF_FORMAT, LARGEST_SIDE, MOST_POINTS, USUAL_POINTS
from musicgate.gateway import ORIGINAL
from musicgate.model import JobState, UsageGroup
from musicgate.web import console
from musicgate.web.openapi import swagger_ui

_Schema = Mapping[str, Any]
_TEXT: Final[_Schema] = {"type": "string"}

#: Parameters in the path, by name.
PATH_PARAMETERS: Final[Mapping[str, tuple[str, _Schema]]] = {
    "music_id": (
        "Id of the job: ours, or the vendor's (`nativeResponseId`).",
        {"type": "string", "minLength": 1, "maxLength": 512},
    ),
    "index": ("Position of the track, from 0.", {"type": "integer", "minimum": 0, "maximum": 999}),
    "message_id": ("Id of the message.", {"type": "string", "minLength": 1}),
    "job_id": ("Id of the job.", {"type": "string", "minLength": 1}),
    "token": ("Secret of the callback.", {"type": "string", "minLength": 1}),
    "account": ("Name of the account.", {"type": "string", "minLength": 1}),
    "key_id": ("Id of the key.", {"type": "string", "minLength": 1}),
    "name": (
        "Name of the schema; `.json` may follow it.",
        {"type": "string", "enum": list(musicgate_schemas.NAMES)},
    ),
    "file": ("Name of the file.", {"type": "string", "enum": [*swagger_ui.FILES]}),
    "path": ("Path of the file.", {"type": "string", "enum": [*console.FILES]}),
}

#: Parameters in the query and in headers: where, what for, schema.
PARAMETERS: Final[Mapping[str, tuple[str, str, _Schema]]] = {
    "Idempotency-Key": (
        "header",
        (
            "The same key with the same body returns the same job, for 24 hours at least: quoted or bare, 1 to 255 "
            "printable characters. With another body the answer is a 422."
        ),
        {"type": "string", "minLength": 1, "maxLength": 257},
    ),
    "Prefer": (
        "header",
        (
            "`wait=N` (RFC 7240): answer when the job is final, or after N seconds, at most 60. "
            "`handling=strict`: every warning is an error. Both are separated by a comma; others are ignored."
        ),
        {"type": "string", "examples": ["wait=30", "handling=strict, wait=30"]},
    ),
    "x-gateway-debug": (
        "header",
        "1, true or yes: `meta.routing` of the answer says which providers were considered.",
        _TEXT,
    ),
    "Content-Encoding": (
        "header",
        "The coding of the body. Both it and what it expands to have the limit `server.max_body_bytes`.",
        {"type": "string", "enum": ["gzip", "deflate", "identity"]},
    ),
    "MCP-Protocol-Version": (
        "header",
        "Revision of the Model Context Protocol; as in `_meta` of the message.",
        {"type": "string", "examples": ["2026-07-28"]},
    ),
    "Mcp-Method": ("header", "The method of the message.", _TEXT),
    "Mcp-Name": ("header", "The name of the tool, the URI of the resource, or the id of the task.", _TEXT),
    "If-Match": ("header", "Answer 412 if no entity tag is the current one. Jobs match `*` only.", _TEXT),
    "If-None-Match": ("header", "Answer 304 if one of the entity tags is the current one.", _TEXT),
    "If-Modified-Since": ("header", "Answer 304 if the file is not newer.", _TEXT),
    "If-Unmodified-Since": ("header", "Answer 412 if the file is newer.", _TEXT),
    "Range": (
        "header",
        "One range of bytes; the answer is a 206.",
        {"type": "string", "examples": ["bytes=0-1023"]},
    ),
    "If-Range": ("header", "Answer with the whole file if this is not its entity tag or date.", _TEXT),
    "Last-Event-ID": (
        "header",
        "Number of the last event that was received.",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999},
    ),
    "after": (
        "query",
        "The same, for readers that cannot set a header.",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999},
    ),
    "state": (
        "query",
        "Only jobs in these states, separated by commas.",
        {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "enum": [state.value for state in JobState]},
        },
    ),
    "model": ("query", "Only jobs for this model, spelled as in the request.", _TEXT),
    "limit": (
        "query",
        "Jobs of a page; 20 when left out.",
        {"type": "integer", "minimum": 1, "maximum": 100},
    ),
    "account": ("query", "Only those of this account.", _TEXT),
    "cursor": ("query", "`next_cursor` of the previous page.", _TEXT),
    "format": (
        "query",
        "Convert the audio once, and keep the result; `original` is the audio as the vendor delivered it.",
        {"type": "string", "enum": [*KIND_OF_FORMAT, ORIGINAL]},
    ),
    "download": ("query", "Let a browser save the file, under the title of the song.", _TEXT),
    "sig": ("query", "Signature of a link in `output` of a job, which needs no key.", _TEXT),
    "expires": ("query", "When that link ends, in seconds since 1970; part of it.", _TEXT),
    "points": (
        "query",
        f"Number of points; {USUAL_POINTS} when left out.",
        {"type": "integer", "minimum": 1, "maximum": MOST_POINTS},
    ),
    "width": (
        "query",
        "Pixels; 1000 when left out.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_SIDE},
    ),
    "height": (
        "query",
        "Pixels; 120 when left out.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_SIDE},
    ),
    "from": (
        "query",
        "First day (UTC) of the ends of the jobs; left out, the last thirty days.",
        {"type": "string", "format": "date"},
    ),
    "to": (
        "query",
        "Last day, included; today when left out.",
        {"type": "string", "format": "date"},
    ),
    "key": ("query", "Only jobs that were created with the key of this id; empty = without a key.", _TEXT),
    "group_by": (
        "query",
        "What the sums are told apart by, separated by commas; `day` when left out, one sum when empty.",
        {"type": "array", "items": {"type": "string", "enum": [group.value for group in UsageGroup]}},
    ),
    "usage.format": (
        "query",
        "`csv` for a table, as `Accept: text/csv`.",
        {"type": "string", "enum": ["json", "csv"]},
    ),
    "audit.after": (
        "query",
        "Number of the last entry that was received: `next_after` of the previous page.",
        {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
    ),
    "audit.limit": (
        "query",
        "Entries of a page; 100 when left out.",
        {"type": "integer", "minimum": 1, "maximum": 1000},
    ),
    "audit.format": (
        "query",
        "`jsonl` for one entry a line, `csv` for a table, as `Accept: application/x-ndjson` and `text/csv`.",
        {"type": "string", "enum": ["json", "csv", "jsonl"]},
    ),
    "theme": ("query", "Colours; light when left out.", {"type": "string", "enum": ["light", "dark"]}),
}

#: Headers of answers.
HEADERS: Final[Mapping[str, tuple[str, _Schema]]] = {
    "ETag": ("Entity tag of this version.", _TEXT),
    "Cache-Control": ("RFC 9111.", _TEXT),
    "Vary": ("Headers of the request on which the answer depends.", _TEXT),
    "Retry-After": (
        "Seconds after which it makes sense to ask again; absent where that is not known.",
        {"type": "integer"},
    ),
    "Preference-Applied": ("The preferences that were honoured.", _TEXT),
    "Idempotency-Replayed": (
        "The job, or the error, is that of an earlier call with this key.",
        {"const": "true"},
    ),
    "RateLimit-Policy": (
        (
            "Limits of the account, if there are any, on every answer to a create call "
            "(draft-ietf-httpapi-ratelimit-headers-11)."
        ),
        _TEXT,
    ),
    "RateLimit": ("What is left of them.", _TEXT),
    "X-Gateway-Music-Id": ("The id of the job.", _TEXT),
    "X-Gateway-Cost-Usd": ("What the song cost, in US dollars; absent where the price is not known.", _TEXT),
    "X-Gateway-Tracks": ("How many tracks the job has; the others are at its routes.", _TEXT),
    "X-Gateway-Warnings": ("How many warnings the job has: options that were not applied as given.", _TEXT),
    "Location": ("Where it is.", _TEXT),
    "Content-Disposition": ("A file name.", _TEXT),
    "Last-Modified": ("When the file was made.", _TEXT),
    "Accept-Ranges": ("Ranges of bytes can be asked for.", {"const": "bytes"}),
    "Content-Range": ("Which bytes these are, and of how many.", _TEXT),
    "X-Gateway-Error-Attribution": ("Whose error it was.", {"type": "string", "enum": ["user", "upstream"]}),
    "WWW-Authenticate": (
        "The scheme of the key; absent if it is the vendor that refuses the gateway's.",
        {"const": "Bearer"},
    ),
    "Accept-Encoding": ("The codings that a body may have.", _TEXT),
}

_LIMITS: Final = ("RateLimit-Policy", "RateLimit")
#: Errors by status: name of the component, text, headers beside those that every error has.
ERRORS: Final[Mapping[int, tuple[str, str, tuple[str, ...]]]] = {
    400: ("BadRequest", "The request is not valid, not supported, or refused by the vendor.", _LIMITS),
    401: (
        "Unauthorised",
        "The key is missing, malformed, unknown or expired; or a vendor does not accept the gateway's.",
        ("WWW-Authenticate", *_LIMITS),
    ),
    402: ("PaymentRequired", "The account or the gateway has no funds left, or the model no price.", _LIMITS),
    403: (
        "Forbidden",
        "The key may not do this; or a vendor refuses the gateway, or a guardrail the request.",
        _LIMITS,
    ),
    404: (
        "NotFound",
        "There is nothing of this name, or it is not the account's; `reason` says why.",
        _LIMITS,
    ),
    406: ("NotAcceptable", "`Accept` names nothing that can be made.", _LIMITS),
    408: ("RequestTimeout", "The body did not arrive in time.", _LIMITS),
    409: (
        "Conflict",
        "The job has ended, or is not ready; or no administrator could call any more.",
        _LIMITS,
    ),
    412: ("PreconditionFailed", "`If-Match` or `If-Unmodified-Since` does not hold.", ()),
    413: ("TooLarge", "The body is larger than `server.max_body_bytes`.", _LIMITS),
    414: ("TargetTooLong", "The path and query are too long.", ()),
    415: (
        "UnsupportedCoding",
        "The content coding of the body is not supported.",
        ("Accept-Encoding", *_LIMITS),
    ),
    416: ("RangeNotSatisfiable", "The range is beyond the end of the file.", ("Content-Range",)),
    417: ("ExpectationFailed", "The only expectation that is met is 100-continue.", ()),
    422: (
        "Unprocessable",
        "The idempotency key was used with another body; or the vendor cannot process the request.",
        _LIMITS,
    ),
    429: (
        "TooManyRequests",
        "A limit of the account, the server or the vendor is reached; `reason` says which.",
        ("Retry-After", *_LIMITS),
    ),
    431: ("HeadersTooLarge", "A header field is too large, or there are too many.", ()),
    500: ("InternalError", "The gateway failed.", _LIMITS),
    501: ("NotImplemented", "The method or transfer coding is not known here.", ()),
    502: ("UpstreamError", "The vendor failed, or none could be asked.", _LIMITS),
    503: (
        "Unavailable",
        "Not now: the server or the vendor is busy, or a store does not answer.",
        ("Retry-After", *_LIMITS),
    ),
    504: ("UpstreamTimeout", "The vendor did not answer in time.", _LIMITS),
    505: ("VersionNotSupported", "Neither HTTP/1.1 nor HTTP/1.0.", ()),
}
#: Statuses that HTTP itself has for any request, and that the server has when it fails.
OF_EVERY_ROUTE: Final = (400, 414, 417, 431, 500, 501, 503, 505)
#: Statuses of every route that asks for a key.
OF_A_KEY: Final = (401, 403, 429)
