"""What each route of operators takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from musicgate.web.openapi.operation import JSON, Access, Answer, Operation

_TEXT: Final = {"type": "string"}
_OF_USAGE: Final = ("from", "to", "key", "group_by", "usage.format")
_COUNTED: Final = (
    "A job is counted once, on the day of its end, with its cost as far as its price is known and the seconds "
    "of its audio. It stays counted when it is deleted."
)


def _answer(text: str, component: str, *others: str) -> Answer:
    content: dict[str, str | Mapping[str, object]] = {JSON: component}
    content |= dict.fromkeys(others, _TEXT)
    return Answer(
        text=text, content=content, headers=("Cache-Control", "Vary") if others else ("Cache-Control",)
    )


OPERATOR_OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/v1/music/usage"): Operation(
        id="getUsage",
        tag="Music",
        summary="What the account used",
        text=_COUNTED,
        parameters=_OF_USAGE,
        answers={200: _answer("The sums.", "UsageReport", "text/csv")},
    ),
    ("GET", "/v1/admin/usage"): Operation(
        id="getUsageOfAll",
        tag="Administration",
        summary="What all accounts used",
        text=_COUNTED,
        access=Access.ADMIN,
        parameters=("account", *_OF_USAGE),
        answers={200: _answer("The sums.", "UsageReport", "text/csv")},
    ),
    ("GET", "/v1/admin/audit"): Operation(
        id="listAuditEntries",
        tag="Administration",
        summary="Who did what, the oldest entries first",
        text="Entries are never changed, and go only when they are older than `audit.keep_days`.",
        access=Access.ADMIN,
        parameters=("audit.after", "audit.limit", "audit.format"),
        answers={200: _answer("A page.", "AuditLog", "text/csv", "application/x-ndjson")},
    ),
    ("GET", "/v1/admin/providers"): Operation(
        id="listOperatedProviders",
        tag="Administration",
        summary="Health, queues, latency and open jobs of each provider",
        text="Open jobs are those of all replicas. The rest is of the replica that answers.",
        access=Access.ADMIN,
        answers={200: _answer("The providers.", "OperatedProviderList")},
    ),
    ("GET", "/v1/admin/drain"): Operation(
        id="getDrain",
        tag="Administration",
        summary="Whether new jobs are taken, and how many open ones there are",
        text="Of the replica that answers.",
        access=Access.ADMIN,
        answers={200: _answer("The drain.", "Drain")},
    ),
    ("POST", "/v1/admin/drain"): Operation(
        id="beginDrain",
        tag="Administration",
        summary="Take no new jobs any more",
        text="Of the replica that answers: creates are a 503 (`draining`), `/readyz` as well. Open jobs go on.",
        access=Access.ADMIN,
        answers={200: _answer("The drain.", "Drain")},
    ),
    ("DELETE", "/v1/admin/drain"): Operation(
        id="endDrain",
        tag="Administration",
        summary="Take new jobs again",
        access=Access.ADMIN,
        answers={200: _answer("The drain.", "Drain")},
    ),
}
