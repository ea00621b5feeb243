"""An emulated task over time, and what the feed shows of it; no routes, no keys, no credits.

Stages: no items, ``text``, ``first`` (a link to a part of the audio), ``complete``. Two items.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType
from typing import ClassVar

import attrs

from musicgate.emulation import Task, digest
from musicgate.plugin import JsonObject, JsonValue

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


@attrs.define(kw_only=True)
class Generation(Task):
    """One accepted create call for a native model."""

    stages: ClassVar[Mapping[str, float]] = MappingProxyType(
        {"empty": 0.0, "text": 5.0, "first": 20.0, "complete": 40.0}
    )

    model: str

    @property
    def fails(self) -> bool:
        """True if the task ends without a song."""
        return self.switches.get("failure") in {"all", "error_message", "type"}

    def stage(self, now: float) -> Stage:
        """The stage at a time."""
        reached = Stage[self.status(now).upper()]
        return Stage.FAILED if reached is Stage.COMPLETE and self.fails else reached

    def song_s(self, index: int) -> int:
        """Length of a song in whole seconds."""
        shortest, longest = _SONG_S
        return int(self.length_s(index, shortest + self.dice(index) % (longest - shortest + 1)))

    def dice(self, index: int) -> int:
        """A constant pseudo-random number of a track."""
        return int(digest(self.id, index)[:8], 16)

    def title(self) -> str:
        """The requested title, or the first words of the idea."""
        idea = str(self.request.get("gpt_description_prompt") or "Untitled")
        return str(self.request.get("title") or " ".join(idea.split()[:4]))

    def feed(self, stage: Stage, origin: str, false_type: str = "") -> dict[str, JsonValue]:
        """The feed's answer at a stage."""
        return {
            "code": 200,
            "message": "success",
            "data": {
                "type": false_type or self._type(stage),
                "request_body": self._echo(),
                "response_data": [] if false_type else self.items(stage, origin),
                "created_at": iso(self.created_s),
            },
        }

    def items(self, stage: Stage, origin: str) -> list[JsonValue]:
        """The items at a stage."""
        if stage is Stage.EMPTY or (stage is Stage.FAILED and self.switches.get("failure") == "type"):
            return []
        return [self._item(index, stage, origin) for index in range(TRACKS)]

    def _type(self, stage: Stage) -> str:
        if stage is Stage.FAILED and self.switches.get("failure") == "type":
            return "FAILED"
        says_success = self.switches.get("type_style") == "success" and stage is not Stage.EMPTY
        return "SUCCESS" if says_success or stage in {Stage.COMPLETE, Stage.FAILED} else "IN_PROGRESS"

    def _echo(self) -> dict[str, JsonValue]:
        """The request in the feed; ``tags`` is a genre here, but on input it is what to avoid."""
        idea = self.request.get("prompt") or self.request.get("gpt_description_prompt")
        return {
            "prompt": idea,
            "title": self.title(),
            "tags": self.request.get("style") or "pop",
            "make_instrumental": self.request.get("make_instrumental", False),
            "model": self.model,
        }

    def _item(self, index: int, stage: Stage, origin: str) -> JsonObject:
        is_last = stage is Stage.COMPLETE
        failed = stage is Stage.FAILED or (is_last and self.switches.get("failure") == "one" and index == 1)
        status = {Stage.TEXT: "text", Stage.FIRST: "first"}.get(
            stage, self.switches.get("final_style", "complete")
        )
        message = FAIL_TEXTS[self.switches.get("fail_text", "plain")] if failed else ""
        uses_error_message = self.switches.get("failure") == "error_message"
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
            "prompt": "" if self.request.get("make_instrumental") else self._lyrics(),
            "tags": self.request.get("style") or "pop, bright",
            "duration": self._duration(index, stage, has_audio=has_audio),
            "model_name": self.model,
            "extra_message": DONE_REMARK if is_last and not failed else "",
            "fail_message": "" if uses_error_message else message,
            "error_message": message if uses_error_message else "",
        }

    def _lyrics(self) -> JsonValue:
        return self.request.get("prompt") or f"[Verse]\n{self.title()}"

    def _duration(self, index: int, stage: Stage, *, has_audio: bool) -> JsonValue:
        style, length_s = self.switches.get("duration_style"), self.song_s(index)
        if not has_audio or (style == "late" and stage is not Stage.COMPLETE):
            return ""
        return {"text": str(length_s), "unit": f"{length_s} s"}.get(style, length_s)


def iso(at_s: float) -> str:
    """A time in the vendor's form."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
