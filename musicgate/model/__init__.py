"""The values: request, job, track, failure, provider, offer, and more.

Frozen attrs, no I/O, and no rule beyond what a value knows of itself.
"""

from musicgate.model.audit import AuditAction, AuditEntry
from musicgate.model.callback_signature import CallbackSignature, SignatureEncoding
from musicgate.model.changes import changed
from musicgate.model.delivery import Delivery, DeliveryStatus, DeliveryTry, is_address, origin
from musicgate.model.event import EventKind, JobEvent
from musicgate.model.failure import (
    RULES,
    Attribution,
    Cost,
    Failure,
    FailureClass,
    FailureRule,
)
from musicgate.model.fields import (
    Array,
    Choice,
    Field,
    FieldViolation,
    Flag,
    Number,
    Structure,
    Text,
    TextUnit,
    contradiction,
    fields_carrying,
    value_of,
    violations,
)
from musicgate.model.health import BreakerState, HealthReport, ProviderStatus
from musicgate.model.job import (
    Attempt,
    AttemptOutcome,
    Doubt,
    IdempotencyClaim,
    Job,
    JobHead,
    JobQuery,
    JobUpdate,
    OptionWarning,
    Progress,
    WarningCode,
)
from musicgate.model.json_types import JsonObject, JsonValue
from musicgate.model.operation import DrainReport, Latency, ProviderReport
from musicgate.model.provider import (
    Ability,
    HeaderAuth,
    Limits,
    Meter,
    Offer,
    PollSchedule,
    PriceRule,
    Provider,
    RateWindow,
    Stage,
    Timeouts,
)
from musicgate.model.request import (
    DebugOptions,
    MusicRequest,
    RoutingOptions,
    is_blank,
    utf16_units,
)
from musicgate.model.rights import Rights, RightsStatement
from musicgate.model.settings import ProviderSettings, Secret
from musicgate.model.share import SHARES, share_of
from musicgate.model.state import JobState
from musicgate.model.track import Asset, Manifest, NativeTrack, Track
from musicgate.model.usage import PriceLine, Usage
from musicgate.model.usage_sum import COMPLETED, UsageGroup, UsageQuery, UsageSum

__all__ = [
    "COMPLETED",
    "RULES",
    "SHARES",
    "Ability",
    "Array",
    "Asset",
    "Attempt",
    "AttemptOutcome",
    "Attribution",
    "AuditAction",
    "AuditEntry",
    "BreakerState",
    "CallbackSignature",
    "Choice",
    "Cost",
    "DebugOptions",
    "Delivery",
    "DeliveryStatus",
    "DeliveryTry",
    "Doubt",
    "DrainReport",
    "EventKind",
    "Failure",
    "FailureClass",
    "FailureRule",
    "Field",
    "FieldViolation",
    "Flag",
    "HeaderAuth",
    "HealthReport",
    "IdempotencyClaim",
    "Job",
    "JobEvent",
    "JobHead",
    "JobQuery",
    "JobState",
    "JobUpdate",
    "JsonObject",
    "JsonValue",
    "Latency",
    "Limits",
    "Manifest",
    "Meter",
    "MusicRequest",
    "NativeTrack",
    "Number",
    "Offer",
    "OptionWarning",
    "PollSchedule",
    "PriceLine",
    "PriceRule",
    "Progress",
    "Provider",
    "ProviderReport",
    "ProviderSettings",
    "ProviderStatus",
    "RateWindow",
    "Rights",
    "RightsStatement",
    "RoutingOptions",
    "Secret",
    "SignatureEncoding",
    "Stage",
    "Structure",
    "Text",
    "TextUnit",
    "Timeouts",
    "Track",
    "Usage",
    "UsageGroup",
    "UsageQuery",
    "UsageSum",
    "WarningCode",
    "changed",
    "contradiction",
    "fields_carrying",
    "is_address",
    "is_blank",
    "origin",
    "share_of",
    "utf16_units",
    "value_of",
    "violations",
]
