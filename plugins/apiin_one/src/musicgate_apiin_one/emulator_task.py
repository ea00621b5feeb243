"""An emulated task over time, and what the feed shows of it; no routes, no keys, no credits.

Stages: no items, ``text``, ``first`` (a link to a part of the audio), ``complete``. Two items.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from musicgate.plugin import JsonObject, JsonValue
    from musicgate_apiin_one.emulator_switches import Switches

TRACKS = 2
DONE_REMARK = "All generated successfully."
FAIL_TEXTS = {
    "plain": "Generation failed, please try again.",
    "moderation": "The lyrics violate our community guidelines.",
}
#: Shortest and longest song in seconds by default: short, so that a sandbox is quick.
_SONG_S = (6, 12)


class Stage(IntEnum):
    """Progress of a task."""

    EMPTY = 0
    TEXT = 1
    FIRST = 2
    COMPLETE = 3
    FAILED = 4


@attrs.frozen(kw_only=True)
class Task:
    """One accepted create call.

    Attributes:
        account: API key of the account that is charged.
        model: native model of the create call.
        body: body of the create call.
        origin: scheme and host of the create call; links in callbacks begin with it.
        created_s: epoch seconds.
        lasts_s: seconds of the vendor's clock from create to done, divided by the speed.
    """

    id: str
    account: str
    model: str
    body: JsonObject
    switches: Switches
    origin: str
    created_s: float
    lasts_s: float

    def stage(self, now: float) -> Stage:
        """The stage at a time."""
        age = (now - self.created_s) / self.lasts_s
        failure = self.switches["failure"]
        reached = Stage.EMPTY
        for stage, share in ((Stage.TEXT, 1 / 8), (Stage.FIRST, 1 / 2), (Stage.COMPLETE, 1.0)):
            reached = stage if age >= share else reached
        if failure == "no_items":
            return Stage.EMPTY
        if failure == "stuck":
            return min(reached, Stage.FIRST)
        return Stage.FAILED if reached is Stage.COMPLETE and self.fails else reached

    def reached_s(self, stage: Stage) -> float:
        """Epoch seconds at which a stage is reached."""
        share = {Stage.EMPTY: 0.0, Stage.TEXT: 1 / 8, Stage.FIRST: 1 / 2}.get(stage, 1.0)
        return self.created_s + share * self.lasts_s

    @property
    def fails(self) -> bool:
        """True if the task ends without a song."""
        return self.switches["failure"] in {"all", "error_message", "type"}

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages with a callback, in order."""
        failure = self.switches["failure"]
        if failure == "no_items":
            return ()
        last = () if failure == "stuck" else (Stage.FAILED,) if self.fails else (Stage.COMPLETE,)
        return (Stage.TEXT, Stage.FIRST, *last)

    def song_s(self, index: int) -> int:
        """Length of a song in whole seconds."""
        shortest, longest = _SONG_S
        return self.switches.number("song_s") or shortest + self.dice(index) % (longest - shortest + 1)

    def dice(self, index: int) -> int:
        """A constant pseudo-random number of a track."""
        return int.from_bytes(hashlib.sha256(f"{self.id}/{index}".encode()).digest()[:4], "big")

    def title(self) -> str:
        """The requested title, or the first words of the idea."""
        idea = str(self.body.get("gpt_description_prompt") or "Untitled")
        return str(self.body.get("title") or " ".join(idea.split()[:4]))

    def feed(self, stage: Stage, origin: str) -> JsonObject:
        """The feed's answer at a stage."""
        return {
            "code": 200,
            "message": "success",
            "data": {
                "type": self._type(stage),
                "request_body": self._echo(),
                "response_data": self.items(stage, origin),
                "created_at": iso(self.created_s),
            },
        }

    def items(self, stage: Stage, origin: str) -> list[JsonValue]:
        """The items at a stage."""
        if stage is Stage.EMPTY or (stage is Stage.FAILED and self.switches["failure"] == "type"):
            return []
        return [self._item(index, stage, origin) for index in range(TRACKS)]

    def _type(self, stage: Stage) -> str:
        if stage is Stage.FAILED and self.switches["failure"] == "type":
            return "FAILED"
        says_success = self.switches["type_style"] == "success" and stage is not Stage.EMPTY
        return "SUCCESS" if says_success or stage in {Stage.COMPLETE, Stage.FAILED} else "IN_PROGRESS"

    def _echo(self) -> dict[str, JsonValue]:
        """The request in the feed; ``tags`` is a genre here, but on input it is what to avoid."""
        idea = self.body.get("prompt") or self.body.get("gpt_description_prompt")
        return {
            "prompt": idea,
            "title": self.title(),
            "tags": self.body.get("style") or "pop",
            "make_instrumental": self.body.get("make_instrumental", False),
            "model": self.model,
        }

    def _item(self, index: int, stage: Stage, origin: str) -> JsonObject:
        is_last = stage is Stage.COMPLETE
        failed = stage is Stage.FAILED or (is_last and self.switches["failure"] == "one" and index == 1)
        status = {Stage.TEXT: "text", Stage.FIRST: "first"}.get(stage, self.switches["final_style"])
        message = FAIL_TEXTS[self.switches["fail_text"]] if failed else ""
        uses_error_message = self.switches["failure"] == "error_message"
        has_audio = stage >= Stage.FIRST and not failed
        created_ms = int(self.created_s * 1000)
        return {
            "id": f"{self.dice(index):08x}-{index}",
            "audio_url": f"{origin}/media/{self.id}/{index}.mp3" if has_audio else "",
            "image_url": f"{origin}/media/{self.id}/{index}.png",
            "image_large_url": f"{origin}/media/{self.id}/{index}.png",
            "created_at": iso(self.created_s),
            "createTime": created_ms,
            "timestamp": created_ms,
            "status": "error" if failed else status,
            "title": self.title(),
            "prompt": "" if self.body.get("make_instrumental") else self._lyrics(),
            "tags": self.body.get("style") or "pop, bright",
            "duration": self._duration(index, stage, has_audio=has_audio),
            "model_name": self.model,
            "extra_message": DONE_REMARK if is_last and not failed else "",
            "fail_message": "" if uses_error_message else message,
            "error_message": message if uses_error_message else "",
        }

    def _lyrics(self) -> JsonValue:
        return self.body.get("prompt") or f"[Verse]\n{self.title()}"

    def _duration(self, index: int, stage: Stage, *, has_audio: bool) -> JsonValue:
        style, length_s = self.switches["duration_style"], self.song_s(index)
        if not has_audio or (style == "late" and stage is not Stage.COMPLETE):
            return ""
        return {"text": str(length_s), "unit": f"{length_s} s"}.get(style, length_s)


def iso(at_s: float) -> str:
    """A time in the vendor's form."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
