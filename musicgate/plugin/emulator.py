"""The contract of an emulated vendor: requests and time in, answers and callbacks out.

It has no socket and no clock of its own. An emulator is part of its plugin. The sandbox, the end-to-end
tests, the compliance kit, docs and benchmarks run on it. It is deterministic: the same requests at the same
times with the same seed give the same answers.

Faults are *switches*: ``name=value`` pairs, given globally (`EmulatorOptions.switches`) or for one task by a
marker in any text of its request: ``[emulate stuck=1 media=cut]``. A task's own switches beat the global
ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import attrs

from musicgate.plugin.wire import HttpRequest, HttpResponse

_MARKER = re.compile(r"\[emulate ([^\]]*)\]")


@attrs.frozen(kw_only=True)
class EmulatorOptions:
    """How a vendor is emulated.

    Attributes:
        seed: chooses ids, lengths and sounds.
        speed: divides every delay of the vendor's own; 1.0 is real time.
        switches: global faults and shapes by name.
        webhook_secret: secret with which callbacks are signed, or None.
        key: the only API key that is valid, or None: every key but those that begin with ``bad``.
    """

    seed: int = 0
    speed: float = 1.0
    switches: Mapping[str, str] = MappingProxyType({})
    webhook_secret: str | None = attrs.field(default=None, repr=False)
    key: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class EmulatedAnswer:
    """What the vendor does with one request.

    Attributes:
        response: the answer; its ``Content-Length`` is what the vendor claims, its body what it has.
        delay_s: seconds that the caller waits for the first byte (already divided by the speed).
        drop: close the connection instead of answering.
        cut_after_bytes: close the connection after that many bytes of the body although more was announced.
        bytes_per_s: send the body no faster than this.
    """

    response: HttpResponse
    delay_s: float = 0.0
    drop: bool = False
    cut_after_bytes: int | None = None
    bytes_per_s: float | None = None


@attrs.frozen(kw_only=True)
class EmulatedCallback:
    """A callback that is due: send it, then report how it was answered (`Emulator.callback_answered`).

    Attributes:
        id: names this try of this callback.
        request: what to send.
        timeout_s: seconds that the vendor waits for an answer.
    """

    id: str
    request: HttpRequest
    timeout_s: float = 15.0


@attrs.define(kw_only=True)
class EmulatorBooks:
    """What the vendor has counted, for tests that prove that one request was billed once.

    Attributes:
        calls: number of calls per route (``"POST /api/v1/generate"``).
        creates: ids of the tasks that were created, in order.
        credits_charged: credits (or USD, as the vendor bills) charged per task, refunds subtracted.
    """

    calls: Counter[str] = attrs.field(factory=Counter)
    creates: list[str] = attrs.field(factory=list)
    credits_charged: dict[str, float] = attrs.field(factory=dict)


class Emulator(Protocol):
    """An emulated vendor. ``now`` is always epoch seconds and never goes back."""

    books: EmulatorBooks

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request. Its URL is absolute; media links in the answer have the same origin."""

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Return the callbacks to send now: each one once, and again when a retry falls due."""

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """Report how a callback was answered, so that the vendor may retry; None = not at all."""


def switches_in(*texts: object) -> dict[str, str]:
    """Return the switches in markers: ``"[emulate a=1 b]"`` gives ``{"a": "1", "b": "1"}``."""
    found: dict[str, str] = {}
    for text in texts:
        if isinstance(text, str):
            for marker in _MARKER.findall(text):
                for switch in marker.split():
                    name, _, value = switch.partition("=")
                    found[name] = value or "1"
    return found
