"""The machine that all emulators share; a vendor's emulator derives `EmulatedVendor`.

The machine owns accounts, keys, credits and refunds, rate windows, concurrency, the task book on virtual
time, the media host, the callback queue and the faults. A vendor gives its routes, bodies, words, prices and
ugliness. Sans I/O and deterministic: requests and time come in.

How a call goes: route; key and the other checks, in the order of the route; the fault of the route's script,
if it takes the place of the answer; the vendor's method; a fault that breaks its answer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar

import attrs

from musicgate.emulation.accounts import Accounts, Auth, Rate
from musicgate.emulation.answers import (
    Call,
    No,
    answer_bytes,
    answer_json,
    broken,
    digest,
    read_call,
    uuid4,
    with_headers,
)
from musicgate.emulation.callbacks import CallbackQueue, Sign, declared_signature
from musicgate.emulation.forms import typed
from musicgate.emulation.media import MediaFile, MediaHost
from musicgate.emulation.switches import ANSWER_FAULTS, NEUTRAL, Switch, Switches, check_switches
from musicgate.emulation.tasks import Task
from musicgate.emulation.tones import AudioFormat, Container
from musicgate.plugin import (
    CallbackSignature,
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    Field,
    FieldViolation,
    HttpRequest,
    JsonObject,
    JsonValue,
    Offer,
    Provider,
    violations,
)

_T = TypeVar("_T", bound=Task)

#: Charges below this are rounding.
_DUST: Final = 1e-9
#: Switches of parts that a vendor may not have.
_BY_PART: Final = {
    "poll": ("poll", "stuck", "end", "refund"),
    "cancel": ("cancel",),
    "media": ("media", "link_s"),
    "callbacks": ("callbacks",),
}
#: Faults that break the answer to a call which was carried out.
_OF_AN_ANSWER: Final = frozenset({"drop", "cut", "malformed"})
#: What a container that a vendor offers sounds like; one that is not here is played as mp3.
_SOUNDS: Final[Mapping[str, AudioFormat]] = {
    "wav": AudioFormat(container=Container.WAV),
    "ogg": AudioFormat(container=Container.OPUS, sample_rate_hz=48_000),
    "opus": AudioFormat(container=Container.OPUS, sample_rate_hz=48_000),
    "m4a": AudioFormat(container=Container.M4A),
    "flac": AudioFormat(container=Container.FLAC),
}
_NO_TEXTS: Final[Mapping[int, str]] = MappingProxyType({})


class Kind(StrEnum):
    """What a route is for. Faults, delays and checks go by it."""

    CREATE = "create"
    POLL = "poll"
    CANCEL = "cancel"
    OTHER = "other"


@attrs.frozen(kw_only=True)
class Route:
    """One route of a vendor; see `route`."""

    method: str
    path: str
    kind: Kind
    task: str
    checks: tuple[str, ...] | None
    fields: tuple[Field, ...]
    pattern: re.Pattern[str]

    @property
    def name(self) -> str:
        """The route as declared: ``GET /v1/songs/{id}``."""
        return f"{self.method} {self.path}"


def route(
    name: str,
    kind: Kind = Kind.OTHER,
    *,
    task: str = "id",
    checks: tuple[str, ...] | None = None,
    fields: tuple[Field, ...] = (),
) -> Callable[[Callable[..., EmulatedAnswer]], Callable[..., EmulatedAnswer]]:
    """Make a method a route of its vendor; it may be repeated.

    A create route and any other is called with the call, a poll or cancel route with the call and its task.

    Args:
        name: method and path: ``GET /v1/songs/{id}``; a name in braces is one segment, with dots behind it
            (``{path...}``) all that are left.
        task: where a poll or cancel route finds the task's id: a parameter of the path or the query, or a key
            of the body; the first one of a list.
        checks: names of the checks of this route, in order; default: those of its kind.
        fields: what its body or form takes, for the checks ``form`` and ``limits``; default: what the offer
            of the call declares.
    """
    method, _, path = name.partition(" ")
    escaped = re.sub(r"\\\{(\w+)\\\.\\\.\\\.\\\}", r"(?P<\1>.+)", re.escape(path))
    pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", escaped))
    made = Route(
        method=method, path=path, kind=kind, task=task, checks=checks, fields=fields, pattern=pattern
    )

    def mark(function: Callable[..., EmulatedAnswer]) -> Callable[..., EmulatedAnswer]:
        function.__dict__.setdefault("routes", []).insert(0, made)
        return function

    return mark


class EmulatedVendor(Generic[_T]):
    """An emulated vendor; implements `musicgate.plugin.emulator.Emulator`.

    Every key is a valid account except those that begin with ``bad`` (refused) and ``no-credits`` (an empty
    account); with `EmulatorOptions.key`, that key alone is valid.
    """

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

    def __init__(self, options: EmulatorOptions) -> None:
        """Make the vendor.

        Raises:
            ConfigError: a switch that this vendor does not have, or a value that it does not take.
        """
        table = self.switch_table()
        check_switches(table, options.switches)
        self.books = EmulatorBooks()
        self.options = options
        self.accounts = Accounts()
        self.tasks: dict[str, _T] = {}
        self.media = MediaHost(
            self.denied, seed=options.seed, speed=options.speed, slow_bytes_per_s=self.slow_bytes_per_s
        )
        sign = type(self).sign
        self.callbacks = CallbackQueue(
            self.callback,
            sign=declared_signature(sign) if isinstance(sign, CallbackSignature) else sign,
            secret=options.webhook_secret,
            retries_after_s=self.retries_after_s,
            timeout_s=self.callback_timeout_s,
            is_taken=self.is_callback_taken,
        )
        self._switches = Switches(table, options.switches)
        self._routes = self._bound_routes()
        self._faults: Counter[str] = Counter()
        self._polls_at: dict[str, list[float]] = {}
        self._to_refund: list[_T] = []

    # --- what a vendor gives ---

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

    def denied(self, status: int, why: str) -> EmulatedAnswer:
        """Make the media host's answer for a link that is not served.

        Args:
            status: 403, 404 or a switch's number.
            why: ``missing``, ``expired`` or ``forbidden``.
        """
        return answer_bytes(status, "text/plain", b"")

    def callback(self, task: _T, stage: str, now: float) -> JsonValue:
        """Make the body of a callback; a vendor without callbacks leaves this out."""
        return {}

    def callback_stages(self, task: _T) -> Sequence[tuple[float, str]]:
        """When a task calls back, ``(epoch seconds, stage)`` each; default: by `calls_at_each_stage`."""
        stages = task.path()[1:] if self.calls_at_each_stage else [task.last_stage]
        return [(task.at_s(stage), stage) for stage in stages]

    def is_callback_taken(self, status: int) -> bool:
        """True for a status of a callback's receiver that needs no retry."""
        return 200 <= status < 300

    # --- what a vendor uses ---

    def refused(self, call: Call, no: No, text: str = "") -> EmulatedAnswer:
        """Refuse for a reason of the machine's own, in the vendor's words."""
        code, words = self.refusals.get(no, (_CODES[no], ""))
        shown = text or words or self.texts.get(code, no.value)
        if no is No.BAD_KEY and call.switches.is_on("echo_key"):
            shown = f"{shown}: {call.key}"
        return self.refuse(call, code, shown)

    def accept(
        self,
        call: Call,
        *,
        task_id: str = "",
        callback_url: str = "",
        price: float | None = None,
        **more: Any,
    ) -> _T:
        """Make, charge and remember a task.

        Args:
            task_id: default: 32 hexadecimal digits.
            callback_url: where to call back; empty = nowhere.
            price: default: `price_of` the call.
            more: fields of the vendor's own task class.
        """
        task: _T = self.task_type(
            id=task_id or self.digest("task", len(self.books.creates))[:32],
            key=call.key,
            origin=call.origin,
            request=call.body,
            switches=call.switches,
            created_s=call.now,
            speed=self.options.speed,
            price=self.price_of(call) if price is None else price,
            callback_url=callback_url,
            offer=self.offer_of(call),
            **more,
        )
        if self.parallel is not None:
            task.starts_s = self.accounts.free_at_s(task.key, self.parallel, call.now)
        self.tasks[task.id] = task
        self.books.creates.append(task.id)
        self.books.credits_charged[task.id] = task.price
        self.accounts.charge(task.key, task.price)
        self.accounts.begin(task.key, task.ends_at_s)
        # ASSUMED for every vendor: a failure is refunded; where one keeps the money, it sets `refund` aside.
        if task.fails and task.switches.get("refund") != "off":
            self._to_refund.append(task)
        if not task.switches.is_on("stuck"):
            self.callbacks.schedule(task, self.callback_stages(task))
        return task

    def stop(self, task: _T, now: float, *, refund: bool = False) -> None:
        """Cancel a task: it has no audio, is not called back, and no longer counts as in the making."""
        task.cancelled_s = now if task.cancelled_s is None else task.cancelled_s
        self.accounts.end(task.key, task.ends_at_s)
        if refund:
            self.refund(task)

    def balance(self, key: str) -> float:
        """Credits left on an account."""
        start = self._switches.number("credits", self.credits)
        return 0.0 if key.startswith("no-credits") else start - self.accounts.spent(key)

    def digest(self, *parts: object) -> str:
        """64 hexadecimal digits that depend on the seed and the parts."""
        return digest(self.options.seed, *parts)

    def uuid(self, *parts: object) -> str:
        """An id in the form of a random UUID that depends on the seed and the parts."""
        return uuid4(self.options.seed, *parts)

    def add_song(
        self, task: _T, index: int = 0, *, folder: str = "/media", life_s: float | None = None
    ) -> str:
        """Put a song of a task, as its request asks for it, on the media host; return its link.

        Args:
            life_s: seconds from the create call until the link expires; None = never, but for ``link_s``.
        """
        offer, length_s, container = task.offer, None, "mp3"
        if offer is not None:
            asked = offer.asked("format", task.request)
            container = asked if isinstance(asked, str) else next(iter(offer.formats), "mp3")
            length_s = self.length_of(offer, task.request)
        life_s = task.switches.limit("link_s", life_s)
        file = MediaFile(
            sound=_SOUNDS.get(container, AudioFormat()),
            length_s=task.length_s(index, length_s),
            seed=int(digest(task.id, index)[:6], 16),
            switches=task.switches,
            expires_s=None if life_s is None else task.created_s + life_s,
        )
        return task.origin + self.media.add(f"{folder}/{task.id}/{index}.{container}", file)

    # --- checks, by name ---

    def check_key(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a missing key, and one that begins with ``bad`` or is not the one of the options."""
        call.key = self.auth.key_of(call.headers)
        if not call.key:
            return self.refused(call, No.NO_KEY)
        only = self.options.key
        is_bad = call.key.startswith("bad") if only is None else call.key != only
        return self.refused(call, No.BAD_KEY) if is_bad else None

    def check_account(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a key whose account has a refusal of its own."""
        start = max(filter(call.key.startswith, self.refused_keys), key=len, default=None)
        return None if start is None else self.refuse(call, *self.refused_keys[start])

    def check_offer(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a call for a model that is not declared."""
        return self.refused(call, No.NO_ROUTE) if self.offer_of(call) is None else None

    def check_body(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a body that is no JSON object."""
        return None if call.is_json else self.refused(call, No.UNREADABLE)

    def check_form(self, call: Call) -> EmulatedAnswer | None:
        """Read a form as if it had come as JSON, by the fields of the route; a file by its name."""
        call.body = typed(call.fields, ((part.name, part.filename or part.text) for part in call.form))
        return None

    def check_limits(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a request that breaks a declared limit, and one for a model that is not declared."""
        if self.provider is not None and not call.fields and self.offer_of(call) is None:
            return self.refused(call, No.INVALID, "there is no such model")
        first = next(iter(self.violations(call)), None)
        if first is None:
            return None
        if first.rule not in self.broken_limits:
            return self.refused(call, No.INVALID, f"{first.where} {first.message}")
        code, text = self.broken_limits[first.rule]
        bounds = {name: getattr(first.field, name, None) for name in ("minimum", "maximum")}
        return self.refuse(call, code, text.format(name=first.name, limit=first.limit, **bounds))

    def check_credits(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a song that the account cannot pay."""
        enough = self.balance(call.key) + _DUST >= self.price_of(call)
        return None if enough else self.refused(call, No.NO_CREDITS)

    def check_rate(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a call beyond the window; a refused one does not count."""
        rate = self.rate_of(call)
        calls = call.switches.limit("rate", rate.calls if rate else None)
        window_s = (rate.window_s if rate else 60.0) / self.options.speed
        if calls is None or self.accounts.enter_window(call.key, calls, window_s, call.now):
            return None
        return self.refused(call, No.TOO_OFTEN)

    def check_concurrent(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a song beyond those that the account may have in the making."""
        most = call.switches.limit("concurrent", self.concurrent_of(call))
        if most is None or self.accounts.running(call.key, call.now) < most:
            return None
        return self.refused(call, No.TOO_MANY)

    def check_fault(self, call: Call) -> EmulatedAnswer | None:
        """Play a fault of the ``create`` script that makes nothing; remember any other for the answer."""
        fault = self.next_fault("create", call)
        if fault in {"drop", "cut", "lost"} or fault.startswith("made-"):
            call.fault = fault
            return None
        return self.play(call, fault, None)

    # --- the machine ---

    @classmethod
    def switch_table(cls) -> Mapping[str, Switch]:
        """Every switch of this vendor by name, neutral ones first."""
        declared = {found.kind for found, _ in _routes_of(cls)}
        absent = set(cls.without)
        if Kind.POLL not in declared:
            absent |= {*_BY_PART["poll"], *({"callbacks"} - cls._own("callback"))}
        if Kind.CANCEL not in declared:
            absent |= {*_BY_PART["cancel"]}
        if not cls.media_paths:
            absent |= {*_BY_PART["media"]}
        if not cls._own("callback"):
            absent |= {*_BY_PART["callbacks"]}
        own = {switch.name: switch for switch in cls.switches}
        neutral = {name: switch for name, switch in NEUTRAL.items() if name not in absent}
        return {**neutral, **own}

    @classmethod
    def _own(cls, method: str) -> set[str]:
        has_own = getattr(cls, method) is not getattr(EmulatedVendor, method)
        return {f"{method}s"} if has_own else set()

    @classmethod
    def route_names(cls) -> tuple[str, ...]:
        """Every route as declared, and the media host's paths."""
        media = (f"GET {path}..." for path in cls.media_paths)
        return (*(found.name for found, _ in _routes_of(cls)), *media)

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request."""
        self._refund(now)
        number = self.books.calls.total()
        trace = digest(self.options.seed, number, now, request.body.hex())
        call = read_call(request, now, self._switches, self.name, trace)
        if call.method in {"GET", "HEAD"} and call.path.startswith(self.media_paths):
            self.books.calls[f"{call.method} media"] += 1
            return self.serve_media(call)
        for found, method in self._routes:
            match = found.pattern.fullmatch(call.path) if found.method == call.method else None
            if match:
                call.route, call.parameters, call.fields = found.name, match.groupdict(), found.fields
                self.books.calls[found.name] += 1
                return self._delayed(found.kind, self._headed(call, self._serve(found, method, call)))
        call.route = f"{call.method} {call.path}"
        self.books.calls[call.route] += 1
        return self._headed(call, self.no_route(call))

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Answer a call for a file."""
        file = self.file_at(call)
        return self.denied(404, "missing") if file is None else self.media.serve(call, file)

    def file_at(self, call: Call) -> MediaFile | None:
        """The file that a call asks for, or None; default: the one that was added under its path.

        A vendor whose files follow from its tasks makes them here.
        """
        return self.media.find(call.path)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Answer a call to an unknown route; no key is needed for it."""
        return self.refused(call, No.NO_ROUTE)

    def no_task(self, call: Call) -> EmulatedAnswer:
        """Answer a poll or cancel call for a task that the account does not have."""
        return self.refused(call, No.NO_TASK)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to send now."""
        self._refund(now)
        return self.callbacks.due(now)

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Note how a callback was answered; a failed one is retried."""
        self.callbacks.answered(callback_id, status, now)

    def _serve(self, found: Route, method: Callable[..., EmulatedAnswer], call: Call) -> EmulatedAnswer:
        checks = found.checks or (self.checks if found.kind is Kind.CREATE else ("key",))
        for check in checks:
            refusal: EmulatedAnswer | None = getattr(self, f"check_{check}")(call)
            if refusal is not None:
                return refusal
        if found.kind in {Kind.POLL, Kind.CANCEL}:
            return self._serve_task(found, method, call)
        answer = method(call)
        if found.kind is not Kind.CREATE or not call.fault:
            return answer
        fault = {"lost": "html"}.get(call.fault, call.fault.removeprefix("made-"))
        return self.play(call, fault, answer) or answer

    def _serve_task(self, found: Route, method: Callable[..., EmulatedAnswer], call: Call) -> EmulatedAnswer:
        named = call.parameters.get(found.task) or call.query.get(found.task) or call.body.get(found.task)
        call.task_id = str(named[0] if isinstance(named, list) and named else named or "")
        task = self.tasks.get(call.task_id)
        if task is None or task.key != call.key or not self.is_visible(task, call):
            return self.no_task(call)
        call.switches = task.switches
        if found.kind is Kind.CANCEL:
            fault = self.next_fault("cancel", call)
        else:
            if self._polls_too_often(task, call.now):
                return self.refused(call, No.TOO_OFTEN)
            fault = task.switches.step("poll", task.polls)
            task.polls += 1
        if fault not in _OF_AN_ANSWER:
            instead = self.play(call, fault, None)
            if instead is not None:
                return instead
        task.final_polls += found.kind is Kind.POLL and task.is_over(call.now)
        answer = method(call, task)
        return self.play(call, fault, answer) or answer

    def is_visible(self, task: _T, call: Call) -> bool:
        """True if a call may see a task of its account: of the route's own dialect, for example."""
        return True

    def _polls_too_often(self, task: _T, now: float) -> bool:
        if self.polls_per_s is None:
            return False
        window = [at for at in self._polls_at.get(task.id, ()) if at > now - 1.0 / self.options.speed]
        self._polls_at[task.id] = window
        if len(window) >= self.polls_per_s:
            return True
        window.append(now)
        return False

    def next_fault(self, name: str, call: Call) -> str:
        """The next fault of a script.

        A global script counts the calls of an account; one in a request's own texts counts equal bodies.
        """
        script = call.switches.get(name)
        own = script != self._switches.get(name)
        counter = f"{name}:{call.key}:{script}:{digest(call.raw.hex()) if own else ''}"
        fault = call.switches.step(name, self._faults[counter])
        self._faults[counter] += 1
        return fault

    def play(self, call: Call, fault: str, whole: EmulatedAnswer | None) -> EmulatedAnswer | None:
        """Make the answer of a fault; None for a word of the vendor's own, which is kept for its method."""
        if not fault:
            return None
        if fault == "missing":
            return self.no_task(call)
        if fault.isdecimal():
            code = int(fault)
            refusal = self.refuse(call, code, self.texts.get(code, f"code {code} on demand"))
            wait_s = call.switches.get("retry_after")
            return with_headers(refusal, {"Retry-After": wait_s}) if wait_s else refusal
        made = broken(fault, whole)
        if made is None:
            call.fault = fault
        call.is_foreign = fault.partition("-")[0] in ANSWER_FAULTS
        return made

    def _headed(self, call: Call, answer: EmulatedAnswer) -> EmulatedAnswer:
        headers = {} if call.is_foreign else self.headers_of(call)
        return with_headers(answer, {**headers, **answer.response.headers}) if headers else answer

    def _delayed(self, kind: Kind, answer: EmulatedAnswer) -> EmulatedAnswer:
        delay_s = self.delays_s.get(kind, 0.0) / self.options.speed
        return answer if answer.delay_s or not delay_s else attrs.evolve(answer, delay_s=delay_s)

    def _refund(self, now: float) -> None:
        for task in [task for task in self._to_refund if task.is_over(now)]:
            self._to_refund.remove(task)
            self.refund(task)

    def refund(self, task: _T) -> None:
        """Give the price of a task back to its account."""
        self.accounts.charge(task.key, -self.books.credits_charged[task.id])
        self.books.credits_charged[task.id] = 0.0

    def _bound_routes(self) -> list[tuple[Route, Callable[..., EmulatedAnswer]]]:
        return [(found, getattr(self, name)) for found, name in _routes_of(type(self))]


def _routes_of(vendor: type[Any]) -> list[tuple[Route, str]]:
    """The routes of a vendor and the names of their methods, in the order of the source."""
    names = dict.fromkeys(name for base in reversed(vendor.__mro__) for name in vars(base))
    return [(found, name) for name in names for found in getattr(getattr(vendor, name, None), "routes", ())]


_CODES: Final = {
    No.NO_ROUTE: 404,
    No.NO_KEY: 401,
    No.BAD_KEY: 401,
    No.UNREADABLE: 400,
    No.INVALID: 400,
    No.NO_CREDITS: 402,
    No.TOO_OFTEN: 429,
    No.TOO_MANY: 429,
    No.NO_TASK: 404,
}
