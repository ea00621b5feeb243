"""The contract of a played vendor: requests and time in, answers and callbacks out; no socket and no clock of its own.

An emulator is part of its plugin. The sandbox, the end-to-end tests, the compliance kit, docs and benchmarks run on it. It is
deterministic: the same requests at the same times with the same seed give the same answers.

Faults are *switches*: ``name=value`` pairs, given globally (`EmulatorOptions.switches`) or for one task by magic words in any text
of the request: ``[emulate stuck=1 media=cut]``. Words of the task beat the global ones.
"""

from __future__ import annotations

import re
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from musicgate.plugin.wire import HttpRequest, HttpResponse

_MAGIC = re.compile(r"\[emulate ([^\]]*)\]")


@attrs.frozen(kw_only=True)
class EmulatorOptions:
    """How a vendor shall be played.

    Attributes:
        seed: picks ids, lengths and sounds.
        speed: divides every delay of the vendor's own clock; 1.0 plays real time.
        switches: global faults and shapes by name.
        webhook_secret: secret with which callbacks are signed, or None.
    """

    seed: int = 0
    speed: float = 1.0
    switches: Mapping[str, str] = MappingProxyType({})
    webhook_secret: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class EmulatedAnswer:
    """What the vendor does with one request.

    Attributes:
        response: the answer; its ``Content-Length`` is what the vendor claims, its body what it has.
        delay_s: seconds of the caller's time before the first byte (already divided by the speed).
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
    """A callback that is due: POST it, then tell the emulator how it was answered."""

    id: str
    request: HttpRequest
    timeout_s: float = 15.0


@attrs.define(kw_only=True)
class EmulatorBooks:
    """What the vendor has counted, for tests that prove that one wish was billed once.

    Attributes:
        calls: number of calls per route (``"POST /api/v1/generate"``).
        creates: ids of the tasks that were created, in order.
        credits_charged: credits (or USD, as the vendor bills) charged per task, refunds subtracted.
    """

    calls: Counter[str] = attrs.field(factory=Counter)
    creates: list[str] = attrs.field(factory=list)
    credits_charged: dict[str, float] = attrs.field(factory=dict)


class Emulator(Protocol):
    """A played vendor. ``now`` is always epoch seconds and never goes back."""

    books: EmulatorBooks

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Answer one request; its URL is absolute, and media links in the answer start with the same origin."""

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        """Callbacks to be sent now; each is handed out once, again only when a retry falls due."""

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        """How a callback was answered; None = not at all. Decides about retries."""


def switches_in(*texts: object) -> dict[str, str]:
    """Fault switches in magic words: ``"[emulate a=1 b]"`` gives ``{"a": "1", "b": "1"}``; anything but text is skipped."""
    found: dict[str, str] = {}
    for text in texts:
        if isinstance(text, str):
            for words in _MAGIC.findall(text):
                for word in words.split():
                    name, _, value = word.partition("=")
                    found[name] = value or "1"
    return found
