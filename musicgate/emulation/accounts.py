"""The accounts of an emulated vendor: keys, credits, calls in a window, songs in the making."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import attrs


@attrs.frozen
class Auth:
    """Where a call carries its key: ``Auth("X-Key")``, ``Auth("Authorization", "Bearer")``."""

    header: str = "Authorization"
    scheme: str = ""

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The key in the headers of a call, whose names are in lower case; empty if there is none."""
        value = headers.get(self.header.lower(), "")
        if not self.scheme:
            return value.strip()
        scheme, _, key = value.partition(" ")
        return key.strip() if scheme == self.scheme else ""


@attrs.frozen
class Rate:
    """Calls that an account may make in a window of seconds, before speed."""

    calls: float
    window_s: float


@attrs.define
class _Account:
    spent: float = 0.0
    calls_at: list[float] = attrs.field(factory=list)
    busy_until: list[float] = attrs.field(factory=list)


class Accounts:
    """What each account has spent and is doing; an account is its key."""

    def __init__(self) -> None:
        self._accounts: defaultdict[str, _Account] = defaultdict(_Account)

    def spent(self, key: str) -> float:
        """What was charged, refunds subtracted."""
        return self._accounts[key].spent

    def charge(self, key: str, price: float) -> None:
        """Charge an account; a negative price is a refund."""
        self._accounts[key].spent += price

    def enter_window(self, key: str, calls: float, window_s: float, now: float) -> bool:
        """Count a call; False, and nothing is counted, if the window is full."""
        account = self._accounts[key]
        account.calls_at = [at for at in account.calls_at if at > now - window_s]
        if len(account.calls_at) >= calls:
            return False
        account.calls_at.append(now)
        return True

    def running(self, key: str, now: float) -> int:
        """How many songs are in the making."""
        account = self._accounts[key]
        account.busy_until = [until for until in account.busy_until if until > now]
        return len(account.busy_until)

    def free_at_s(self, key: str, parallel: int, now: float) -> float:
        """Epoch seconds at which one of the places for songs that are made at a time is free."""
        if self.running(key, now) < parallel:
            return now
        return sorted(self._accounts[key].busy_until)[-parallel]

    def begin(self, key: str, until_s: float) -> None:
        """Count a song in the making until then."""
        self._accounts[key].busy_until.append(until_s)

    def end(self, key: str, until_s: float) -> None:
        """No longer count a song that was to be in the making until then."""
        busy_until = self._accounts[key].busy_until
        if until_s in busy_until:
            busy_until.remove(until_s)

    def end_all(self) -> None:
        """Count no song of any account any longer: the vendor has forgotten them."""
        for account in self._accounts.values():
            account.busy_until.clear()
