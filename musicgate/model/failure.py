"""Why a request failed, as a value, and what each class of failure allows next; knows no vendor.

This table is about money. Every failed call raises three questions: may the same vendor be asked again, may
another vendor be asked instead, and may the failed call have cost something? The answers depend on the
*class* of the failure and on nothing else, so they are in one table. A class that answers "perhaps" or "yes"
to the third question never allows a second call.

The circuit breaker has a question of its own: was the vendor there at all? A vendor that refuses is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs

from musicgate.model.json_types import JsonValue


class FailureClass(StrEnum):
    """The class of a failure: the ``reason`` of an upstream error, and of a failed job."""

    AUTH = "auth"
    FORBIDDEN = "forbidden"
    CREDITS = "credits"
    RATE_LIMITED = "rate_limited"
    INVALID = "invalid"
    MODERATION = "moderation"
    UNSUPPORTED = "unsupported"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    UPSTREAM_FAILED = "upstream_failed"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    UNKNOWN_OUTCOME = "unknown_outcome"
    #: The job's deadline passed while the vendor still said "working".
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    #: Our own fault: a plugin or the gateway broke after the job was accepted.
    GATEWAY = "gateway_error"


class Cost(StrEnum):
    """Whether a call that failed with a class may have cost money."""

    NO = "no"
    PERHAPS = "perhaps"
    YES = "yes"


class Attribution(StrEnum):
    """Whose error it was: the caller's or the upstream's."""

    USER = "user"
    UPSTREAM = "upstream"


@attrs.frozen(kw_only=True)
class FailureRule:
    """What one class of failure allows.

    Attributes:
        http_status: status of our answer to a create call that ended so.
        resend: the same vendor may be asked again, after a wait.
        try_next: the next candidate may be asked.
        cost: whether the failed call may have cost money.
        attribution: whose error it was.
        code: error code of our answer.
        is_there: whether the vendor was there, for its circuit breaker; None = the class does not say.
    """

    http_status: int
    is_there: bool | None
    resend: bool = False
    try_next: bool = False
    cost: Cost = Cost.NO
    attribution: Attribution = Attribution.UPSTREAM
    code: str = "upstream_error"


RULES: Mapping[FailureClass, FailureRule] = MappingProxyType(
    {
        FailureClass.AUTH: FailureRule(http_status=401, is_there=True, try_next=True),
        FailureClass.FORBIDDEN: FailureRule(http_status=403, is_there=True, try_next=True),
        FailureClass.CREDITS: FailureRule(http_status=402, is_there=True, try_next=True),
        FailureClass.RATE_LIMITED: FailureRule(http_status=429, is_there=True, resend=True, try_next=True),
        FailureClass.INVALID: FailureRule(http_status=400, is_there=True, attribution=Attribution.USER),
        FailureClass.MODERATION: FailureRule(
            http_status=400, is_there=True, cost=Cost.PERHAPS, attribution=Attribution.USER
        ),
        FailureClass.UNSUPPORTED: FailureRule(http_status=400, is_there=True, attribution=Attribution.USER),
        FailureClass.NOT_FOUND: FailureRule(http_status=404, is_there=True),
        FailureClass.CONFLICT: FailureRule(http_status=409, is_there=True),
        FailureClass.UNAVAILABLE: FailureRule(http_status=503, is_there=False, resend=True, try_next=True),
        FailureClass.UPSTREAM_FAILED: FailureRule(http_status=502, is_there=False, cost=Cost.PERHAPS),
        FailureClass.TIMEOUT: FailureRule(http_status=504, is_there=False, cost=Cost.PERHAPS),
        FailureClass.PROTOCOL: FailureRule(http_status=502, is_there=False, cost=Cost.YES),
        FailureClass.UNKNOWN_OUTCOME: FailureRule(http_status=502, is_there=False, cost=Cost.YES),
        FailureClass.EXPIRED: FailureRule(http_status=504, is_there=None, cost=Cost.YES),
        FailureClass.CANCELLED: FailureRule(
            http_status=409, is_there=None, cost=Cost.PERHAPS, attribution=Attribution.USER
        ),
        FailureClass.GATEWAY: FailureRule(
            http_status=500, is_there=None, cost=Cost.PERHAPS, code="gateway_error"
        ),
    }
)


@attrs.frozen(kw_only=True)
class Failure:
    """Why a call or a job failed: a class and, where the vendor refused, its own code and message.

    Attributes:
        reason: the class.
        message: one short sentence for people, ours or the vendor's, without any secret.
        native_code: the vendor's own code as text, or None.
        native_message: the vendor's own message, secrets masked, or None.
        suggestion: what the vendor proposes instead (a prompt or a plan); never sent on by itself.
        retry_after_s: seconds until a new call makes sense, where known.
        http_status: the vendor's HTTP status where the contract keeps it (402 for a plan, 422, 504); else the
            rule decides.
        may_have_cost: overrides the class's answer where the vendor states it (a refund, for instance).
    """

    reason: FailureClass
    message: str
    native_code: str | None = None
    native_message: str | None = None
    suggestion: JsonValue = None
    retry_after_s: float | None = None
    http_status: int | None = None
    may_have_cost: bool | None = None

    @property
    def rule(self) -> FailureRule:
        """What this class of failure allows."""
        return RULES[self.reason]

    @property
    def status(self) -> int:
        """HTTP status of our answer to a create call that ended so."""
        return self.http_status or self.rule.http_status

    @property
    def costs(self) -> bool:
        """True if the call may have cost money."""
        return self.rule.cost is not Cost.NO if self.may_have_cost is None else self.may_have_cost
