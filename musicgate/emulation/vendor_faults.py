"""The faults of an emulated vendor: switches, refusals, and what takes the place of an answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from musicgate.emulation.answers import Call, No, broken, digest, uuid4, with_headers
from musicgate.emulation.routes import Kind, routes_of
from musicgate.emulation.switches import ANSWER_FAULTS, NEUTRAL, Switch, Switches, check_switches
from musicgate.emulation.vendor_facts import TaskT, VendorFacts
from musicgate.plugin import EmulatedAnswer, EmulatorOptions

#: Switches of parts that a vendor may not have.
_BY_PART: Final = {
    "poll": ("poll", "stuck", "end", "refund"),
    "cancel": ("cancel",),
    "media": ("media", "link_s"),
    "callbacks": ("callbacks",),
}
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


class FaultyVendor(VendorFacts[TaskT]):
    """A vendor that refuses and breaks its answers as its switches say."""

    def __init__(self, options: EmulatorOptions) -> None:
        """Make the vendor.

        Raises:
            ConfigError: a switch that this vendor does not have, or a value that it does not take.
        """
        table = self.switch_table()
        check_switches(table, options.switches)
        self.options = options
        self._switches = Switches(table, options.switches)
        self._faults: Counter[str] = Counter()

    @classmethod
    def switch_table(cls) -> Mapping[str, Switch]:
        """Every switch of this vendor by name, neutral ones first."""
        declared = {found.kind for found, _ in routes_of(cls)}
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
        has_own = getattr(cls, method) is not getattr(VendorFacts, method)
        return {f"{method}s"} if has_own else set()

    def refused(self, call: Call, no: No, text: str = "") -> EmulatedAnswer:
        """Refuse for a reason of the machine's own, in the vendor's words."""
        code, words = self.refusals.get(no, (_CODES[no], ""))
        shown = text or words or self.texts.get(code, no.value)
        if no is No.BAD_KEY and call.switches.is_on("echo_key"):
            shown = f"{shown}: {call.key}"
        return self.refuse(call, code, shown)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Answer a call to an unknown route; no key is needed for it."""
        return self.refused(call, No.NO_ROUTE)

    def no_task(self, call: Call) -> EmulatedAnswer:
        """Answer a poll or cancel call for a task that the account does not have."""
        return self.refused(call, No.NO_TASK)

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

    def digest(self, *parts: object) -> str:
        """64 hexadecimal digits that depend on the seed and the parts."""
        return digest(self.options.seed, *parts)

    def uuid(self, *parts: object) -> str:
        """An id in the form of a random UUID that depends on the seed and the parts."""
        return uuid4(self.options.seed, *parts)
