"""The checks of a call to an emulated vendor, by name; in which order they run is the vendor's to say."""

from __future__ import annotations

from typing import Final

from musicgate.emulation.accounts import Accounts
from musicgate.emulation.answers import Call, No
from musicgate.emulation.forms import typed
from musicgate.emulation.vendor_facts import TaskT
from musicgate.emulation.vendor_faults import FaultyVendor
from musicgate.plugin import EmulatedAnswer, EmulatorOptions

#: Charges below this are rounding.
_DUST: Final = 1e-9


class CheckingVendor(FaultyVendor[TaskT]):
    """A vendor with accounts that checks calls: each check returns a refusal, or None for a good call."""

    def __init__(self, options: EmulatorOptions) -> None:
        super().__init__(options)
        self.accounts = Accounts()

    def balance(self, key: str) -> float:
        """Credits left on an account."""
        start = self._switches.number("credits", self.credits)
        return 0.0 if key.startswith("no-credits") else start - self.accounts.spent(key)

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
