"""The songs of an emulated vendor on virtual time: stages, end, lengths; no HTTP.

A task is a function of the moment: nothing runs, and the same task asked at the same time says the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import attrs

from musicgate.emulation.answers import digest
from musicgate.emulation.switches import Switches
from musicgate.plugin import JsonObject, Offer


@attrs.define(kw_only=True)
class Task:
    """One accepted create call. A vendor derives its own to add records.

    Attributes:
        key: the account that is charged.
        origin: of the call; media links have the same.
        request: the JSON object that was sent.
        created_s: epoch seconds.
        speed: divides all delays.
        offer: that was asked for, where the vendor's offers are declared.
        done_s: seconds until the end, if this task does not take as long as `stages` say.
        starts_s: epoch seconds of its turn, if it waits for others; until then it is at its first stage.
        polls: how often its record was read.
        final_polls: how often since its end.
        cancelled_s: epoch seconds at which it was cancelled.
    """

    #: Status word -> seconds after the create call at which it is reached, in order. The last is the end.
    stages: ClassVar[Mapping[str, float]] = MappingProxyType({"queued": 0.0, "running": 5.0, "done": 25.0})
    #: Words that end a task in a failure: it is refunded, and has no audio.
    failures: ClassVar[frozenset[str]] = frozenset({"failed"})
    #: The status of a cancelled task.
    cancelled: ClassVar[str] = "cancelled"

    id: str
    key: str
    origin: str
    request: JsonObject
    switches: Switches
    created_s: float
    speed: float
    price: float = 0.0
    callback_url: str = ""
    offer: Offer | None = None
    done_s: float | None = None
    starts_s: float | None = None
    polls: int = 0
    final_polls: int = 0
    cancelled_s: float | None = None

    @property
    def last_stage(self) -> str:
        """The name of the last stage."""
        return list(self.stages)[-1]

    @property
    def end(self) -> str:
        """The last status."""
        return self.switches.get("end") or self.last_stage

    @property
    def fails(self) -> bool:
        """True if the task ends in a failure."""
        return self.end in self.failures

    @property
    def ends_at_s(self) -> float:
        """Epoch seconds of the end."""
        return self.at_s(self.last_stage)

    def at_s(self, stage: str) -> float:
        """Epoch seconds at which a stage is reached; ``done_s`` moves all of them in proportion."""
        last_s = self.stages[self.last_stage]
        own_s = last_s if self.done_s is None else self.done_s
        done_s = self.switches.number("done_s", own_s)
        waits = self.starts_s is not None and stage != next(iter(self.stages))
        begins_s = self.starts_s if waits and self.starts_s is not None else self.created_s
        return begins_s + (self.stages[stage] * done_s / last_s if last_s else done_s) / self.speed

    def path(self) -> Sequence[str]:
        """The stages that this task goes through, in order; a vendor may leave some out."""
        return tuple(self.stages)

    def status(self, now: float) -> str:
        """The status word at a moment."""
        if self.cancelled_s is not None and now >= self.cancelled_s:
            return self.cancelled
        stuck, words = self.switches.get("stuck", "0"), self.path()
        if stuck == "1":
            stuck = words[-2] if len(words) > 1 else words[0]
        elif stuck != "0" and stuck not in {*self.stages, self.end}:
            return stuck
        status = words[0]
        for stage in words[1:]:
            if now < self.at_s(stage) or status == stuck:
                break
            status = stage
        return self.end if status == words[-1] else status

    def is_over(self, now: float) -> bool:
        """True once the task has ended, or was cancelled."""
        status = self.status(now)
        return status == self.cancelled or (status == self.end and now >= self.ends_at_s)

    def has_audio(self, now: float) -> bool:
        """True once the task has ended in a song."""
        return self.is_over(now) and not self.fails and self.cancelled_s is None

    def progress(self, now: float) -> float:
        """How much of the work is done, from 0 to 1."""
        whole_s = self.ends_at_s - self.created_s
        return min(1.0, (now - self.created_s) / whole_s) if whole_s > 0 else 1.0

    def length_s(self, index: int = 0, default: float | None = None) -> float:
        """Seconds of a track: of the switch ``song_s``, else the default, else 6 to 12, chosen by the id."""
        lengths = self.switches.numbers("song_s")
        if lengths:
            return lengths[min(index, len(lengths) - 1)]
        return default or round(6 + 3 * index + int(digest(self.id, "length")[:4], 16) % 300 / 100, 2)
