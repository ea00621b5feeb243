"""What the emulator of a vendor says of it: facts with defaults, and methods that a vendor gives.

It carries nothing out. `vendor_faults`, `vendor_checks` and `vendor` build on it, in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar

from musicgate.emulation.accounts import Auth, Rate
from musicgate.emulation.answers import Call, No, answer_bytes, answer_json
from musicgate.emulation.callbacks import Sign
from musicgate.emulation.routes import Kind
from musicgate.emulation.switches import Switch
from musicgate.emulation.tasks import Task
from musicgate.plugin import (
    CallbackSignature,
    EmulatedAnswer,
    FieldViolation,
    JsonObject,
    JsonValue,
    Offer,
    Provider,
    violations,
)

TaskT = TypeVar("TaskT", bound=Task)

_NO_TEXTS: Final[Mapping[int, str]] = MappingProxyType({})


class VendorFacts(Generic[TaskT]):
    """What a vendor is like; all of it may be overridden."""

    #: The plugin's declaration: `name`, `auth`, `sign`, `rate`, `concurrent` and the offers are played from
    #: it, unless they are set.
    provider: ClassVar[Provider | None] = None
    #: Field of a create call that names the native model.
    model_field: ClassVar[str] = "model"
    #: Name of the plugin, for markers that are for one vendor: ``[emulate acme.poll=html]``.
    name: ClassVar[str] = ""
    auth: ClassVar[Auth] = Auth("Authorization", "Bearer")
    #: Switches of the vendor's own, and neutral ones with more values (`Switch.plus`).
    switches: ClassVar[tuple[Switch, ...]] = ()
    #: Neutral switches that this vendor does not play.
    without: ClassVar[frozenset[str]] = frozenset()
    #: Credits (or USD) of each account at the start; infinite = they are not counted.
    credits: ClassVar[float] = float("inf")
    #: Of one song, in the same unit; None = the list price of its declared offer, or 1.
    price: ClassVar[float | None] = None
    #: Seconds of a song whose request names no length, where the offer is declared.
    usual_s: ClassVar[float] = 10.0
    #: Create calls per window and account; None = no limit.
    rate: ClassVar[Rate | None] = None
    #: Songs in the making per account; None = no limit.
    concurrent: ClassVar[int | None] = None
    #: Songs that are made at a time for an account; further ones wait for their turn. None = all at once.
    parallel: ClassVar[int | None] = None
    #: Checks of a create call, in the vendor's order; each names a method ``check_...``.
    checks: ClassVar[tuple[str, ...]] = (
        *("key", "body", "limits", "request", "credits", "rate", "concurrent", "fault"),
    )
    #: Code (or HTTP status) and text of each refusal of the machine's own. Default: 401, 402, 404, 429, 400;
    #: an empty text is that of the code in `texts`.
    refusals: ClassVar[Mapping[No, tuple[int, str]]] = MappingProxyType({})
    #: Code (or HTTP status) and text of the check ``account``, for keys that begin so.
    refused_keys: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType({})
    #: Code (or HTTP status) and text of a broken limit, by `FieldViolation.rule`. The text may hold
    #: ``{name}``, ``{limit}``, ``{minimum}`` and ``{maximum}``. A rule that is not here is `No.INVALID`.
    broken_limits: ClassVar[Mapping[str, tuple[int, str]]] = MappingProxyType({})
    #: Text of a code that a switch asks for, or a refusal without a text.
    texts: ClassVar[Mapping[int, str]] = _NO_TEXTS
    #: Seconds before an answer, by kind of route, before speed.
    delays_s: ClassVar[Mapping[Kind, float]] = MappingProxyType({})
    #: Polls per second and task; None = no limit.
    polls_per_s: ClassVar[int | None] = None
    #: Paths that begin so belong to the media host.
    media_paths: ClassVar[tuple[str, ...]] = ("/media/",)
    slow_bytes_per_s: ClassVar[float] = 20_000.0
    #: True = a task calls back at each of its stages but the first, else at its end alone.
    calls_at_each_stage: ClassVar[bool] = False
    #: How callbacks are signed and retried.
    sign: ClassVar[CallbackSignature | Sign | None] = None
    retries_after_s: ClassVar[Sequence[float]] = ()
    callback_timeout_s: ClassVar[float] = 15.0
    #: The class of the vendor's tasks.
    task_type: ClassVar[type[Any]] = Task

    def __init_subclass__(cls, **more: object) -> None:
        super().__init_subclass__(**more)
        declared = vars(cls).get("provider")
        if not isinstance(declared, Provider):
            return
        played: dict[str, object] = {
            "name": declared.plugin,
            "auth": Auth(declared.auth.header, declared.auth.scheme),
        }
        if declared.callback_signature is not None:
            played["sign"] = declared.callback_signature
        if declared.create_window is not None:
            played["rate"] = Rate(declared.create_window.calls, declared.create_window.per_s)
        if declared.max_parallel_creates is not None:
            played["concurrent"] = declared.max_parallel_creates
        for name, value in played.items():
            if name not in vars(cls):
                setattr(cls, name, value)

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make a refusal in the vendor's shape; ``code`` is its own code, or an HTTP status."""
        return answer_json(code, {"error": {"code": code, "message": text}})

    def headers_of(self, call: Call) -> Mapping[str, str]:
        """Headers of each answer of the vendor's own; what the answer itself sets counts."""
        return {}

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a create call that the vendor would refuse; None for a good one."""
        return None

    def offer_of(self, call: Call) -> Offer | None:
        """The declared offer that a create call asks for; None = its limits are not played.

        Default: that of the model in the body's field `model_field`, where `provider` is set.
        """
        named = self.native_of(call).get(self.model_field)
        return None if self.provider is None else self.provider.offer_like(str(named or ""))

    def native_of(self, call: Call) -> JsonObject:
        """The fields of a create call, by their declared names; default: its body."""
        return call.body

    def violations(self, call: Call) -> Iterable[FieldViolation]:
        """The declared limits that a call breaks, of its route or its offer; the first one is refused."""
        if call.fields:
            return violations(call.fields, self.native_of(call))
        offer = self.offer_of(call)
        return () if offer is None else offer.violations(self.native_of(call))

    def price_of(self, call: Call) -> float:
        """What a song costs, in the unit of `credits`: `price`, else the list price of its offer, else 1."""
        if self.price is not None:
            return self.price
        offer = self.offer_of(call)
        if offer is None or not offer.prices:
            return 1.0
        length_s = self.length_of(offer, self.native_of(call))
        return sum(float(rule.price_usd) * rule.units(length_s) for rule in offer.prices)

    def length_of(self, offer: Offer, native: JsonObject) -> float:
        """Seconds of the song that a native request asks for; `usual_s` if it does not say."""
        asked = offer.asked("duration", native)
        return float(asked) if isinstance(asked, int | float) else self.usual_s

    def rate_of(self, call: Call) -> Rate | None:
        """The window of create calls that counts for a call."""
        return self.rate

    def concurrent_of(self, call: Call) -> int | None:
        """How many songs the account of a call may have in the making."""
        return self.concurrent

    def is_visible(self, task: TaskT, call: Call) -> bool:
        """True if a call may see a task of its account: of the route's own dialect, for example."""
        return True

    def denied(self, status: int, why: str) -> EmulatedAnswer:
        """Make the media host's answer for a link that is not served.

        Args:
            status: 403, 404 or a switch's number.
            why: ``missing``, ``expired`` or ``forbidden``.
        """
        return answer_bytes(status, "text/plain", b"")

    def callback(self, task: TaskT, stage: str, now: float) -> JsonValue:
        """Make the body of a callback; a vendor without callbacks leaves this out."""
        return {}

    def callback_stages(self, task: TaskT) -> Sequence[tuple[float, str]]:
        """When a task calls back, ``(epoch seconds, stage)`` each; default: by `calls_at_each_stage`."""
        stages = task.path()[1:] if self.calls_at_each_stage else [task.last_stage]
        return [(task.at_s(stage), stage) for stage in stages]

    def is_callback_taken(self, status: int) -> bool:
        """True for a status of a callback's receiver that needs no retry."""
        return 200 <= status < 300
