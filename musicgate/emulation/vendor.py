"""The machine that all emulators share; a vendor's emulator derives `EmulatedVendor`.

The machine owns accounts, keys, credits and refunds, rate windows, concurrency, the task book on virtual
time, the media host, the callback queue and the faults. A vendor gives its routes, bodies, words, prices and
ugliness (`vendor_facts`). Sans I/O and deterministic: requests and time come in. The faults are in
`vendor_faults`, the checks in `vendor_checks`; here a call is routed, carried out and charged.

How a call goes: route; key and the other checks, in the order of the route; the fault of the route's script,
if it takes the place of the answer; the vendor's method; a fault that breaks its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from musicgate.emulation.answers import Call, No, digest, read_call, with_headers
from musicgate.emulation.callbacks import CallbackQueue, declared_signature
from musicgate.emulation.media import MediaFile, MediaHost
from musicgate.emulation.routes import Kind, Route, routes_of
from musicgate.emulation.tones import AudioFormat, Container
from musicgate.emulation.vendor_checks import CheckingVendor
from musicgate.emulation.vendor_facts import TaskT
from musicgate.plugin import (
    CallbackSignature,
    EmulatedAnswer,
    EmulatedCallback,
    EmulatorBooks,
    EmulatorOptions,
    HttpRequest,
)

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


class EmulatedVendor(CheckingVendor[TaskT]):
    """An emulated vendor; implements `musicgate.plugin.emulator.Emulator`.

    Every key is a valid account except those that begin with ``bad`` (refused) and ``no-credits`` (an empty
    account); with `EmulatorOptions.key`, that key alone is valid.
    """

    def __init__(self, options: EmulatorOptions) -> None:
        """Make the vendor.

        Raises:
            ConfigError: a switch that this vendor does not have, or a value that it does not take.
        """
        super().__init__(options)
        self.books = EmulatorBooks()
        self.tasks: dict[str, TaskT] = {}
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
        self._routes = [(found, getattr(self, name)) for found, name in routes_of(type(self))]
        self._polls_at: dict[str, list[float]] = {}
        self._to_refund: list[TaskT] = []

    def accept(
        self,
        call: Call,
        *,
        task_id: str = "",
        callback_url: str = "",
        price: float | None = None,
        **more: Any,
    ) -> TaskT:
        """Make, charge and remember a task.

        Args:
            task_id: default: 32 hexadecimal digits.
            callback_url: where to call back; empty = nowhere.
            price: default: `price_of` the call.
            more: fields of the vendor's own task class.
        """
        task: TaskT = self.task_type(
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

    def stop(self, task: TaskT, now: float, *, refund: bool = False) -> None:
        """Cancel a task: it has no audio, is not called back, and no longer counts as in the making."""
        task.cancelled_s = now if task.cancelled_s is None else task.cancelled_s
        self.accounts.end(task.key, task.ends_at_s)
        if refund:
            self.refund(task)

    def refund(self, task: TaskT) -> None:
        """Give the price of a task back to its account."""
        self.accounts.charge(task.key, -self.books.credits_charged[task.id])
        self.books.credits_charged[task.id] = 0.0

    def _refund(self, now: float) -> None:
        for task in [task for task in self._to_refund if task.is_over(now)]:
            self._to_refund.remove(task)
            self.refund(task)

    def add_song(
        self, task: TaskT, index: int = 0, *, folder: str = "/media", life_s: float | None = None
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

    @classmethod
    def route_names(cls) -> tuple[str, ...]:
        """Every route as declared, and the media host's paths."""
        media = (f"GET {path}..." for path in cls.media_paths)
        return (*(found.name for found, _ in routes_of(cls)), *media)

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

    def _polls_too_often(self, task: TaskT, now: float) -> bool:
        if self.polls_per_s is None:
            return False
        window = [at for at in self._polls_at.get(task.id, ()) if at > now - 1.0 / self.options.speed]
        self._polls_at[task.id] = window
        if len(window) >= self.polls_per_s:
            return True
        window.append(now)
        return False

    def _headed(self, call: Call, answer: EmulatedAnswer) -> EmulatedAnswer:
        headers = {} if call.is_foreign else self.headers_of(call)
        return with_headers(answer, {**headers, **answer.response.headers}) if headers else answer

    def _delayed(self, kind: Kind, answer: EmulatedAnswer) -> EmulatedAnswer:
        delay_s = self.delays_s.get(kind, 0.0) / self.options.speed
        return answer if answer.delay_s or not delay_s else attrs.evolve(answer, delay_s=delay_s)

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Answer a call for a file."""
        file = self.file_at(call)
        return self.denied(404, "missing") if file is None else self.media.serve(call, file)

    def file_at(self, call: Call) -> MediaFile | None:
        """The file that a call asks for, or None; default: the one that was added under its path.

        A vendor whose files follow from its tasks makes them here.
        """
        return self.media.find(call.path)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to send now."""
        self._refund(now)
        return self.callbacks.due(now)

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Note how a callback was answered; a failed one is retried."""
        self.callbacks.answered(callback_id, status, now)
