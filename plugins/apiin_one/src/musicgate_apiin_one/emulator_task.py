"""An emulated task over time, and what the feed shows of it; no routes, no keys, no credits.

Stages: no items, ``text``, ``first`` (a link to a part of the audio), ``complete`` or ``failed``. Two items.
"""

from datetime import UTC, datetime
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


@attrs.define(kw_only=True)
class Generation(Task):
    """One accepted create call for a native model."""

    stages: ClassVar = {"empty": 0.0, "text": 5.0, "first": 20.0, "complete": 40.0}

    model: str

    @property
    def failure(self) -> str:
        """How the task fails: the switch; empty if it does not."""
        return self.switches.get("failure")

    @property
    def end(self) -> str:
        """The last stage."""
        return "failed" if self.failure in {"all", "error_message", "type"} else self.last_stage

    def song_s(self, index: int) -> int:
        """Length of a song in whole seconds; by default short, so that a sandbox is quick."""
        return int(self.length_s(index, 6 + self.dice(index) % 7))

    def dice(self, index: int) -> int:
        """A constant pseudo-random number of a track."""
        return int(digest(self.id, index)[:8], 16)

    def title(self) -> str:
        """The requested title, or the first words of the idea."""
        idea = str(self.request.get("gpt_description_prompt") or "Untitled")
        return str(self.request.get("title") or " ".join(idea.split()[:4]))

    def time(self) -> str:
        """The time of the create call, in the vendor's form."""
        return datetime.fromtimestamp(self.created_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def feed(self, stage: str, false_type: str = "") -> dict[str, JsonValue]:
        """The feed's answer at a stage; ``tags`` in the echo is a genre, but on input it is what to avoid."""
        echo = {
            "prompt": self.request.get("prompt") or self.request.get("gpt_description_prompt"),
            "title": self.title(),
            "tags": self.request.get("style") or "pop",
            "make_instrumental": self.request.get("make_instrumental", False),
            "model": self.model,
        }
        data = {
            "type": false_type or self._type(stage),
            "request_body": echo,
            "response_data": [] if false_type else self.items(stage),
            "created_at": self.time(),
        }
        return {"code": 200, "message": "success", "data": data}

    def items(self, stage: str) -> list[JsonValue]:
        """The items at a stage."""
        if stage == "empty" or (stage == "failed" and self.failure == "type"):
            return []
        return [self._item(index, stage) for index in range(TRACKS)]

    def _type(self, stage: str) -> str:
        if stage == "failed" and self.failure == "type":
            return "FAILED"
        says_success = self.switches.get("type_style") == "success" and stage != "empty"
        return "SUCCESS" if says_success or stage in {"complete", "failed"} else "IN_PROGRESS"

    def _item(self, index: int, stage: str) -> JsonObject:
        is_last = stage == "complete"
        failed = stage == "failed" or (is_last and self.failure == "one" and index == 1)
        message = FAIL_TEXTS[self.switches.get("fail_text", "plain")] if failed else ""
        uses_error_message = self.failure == "error_message"
        has_audio = stage in {"first", "complete"} and not failed
        cover = f"{self.origin}/media/{self.id}/{index}.png"
        created_ms = int(self.created_s * 1000)
        words = self.request.get("prompt") or f"[Verse]\n{self.title()}"
        return {
            "id": f"{self.dice(index):08x}-{index}",
            "audio_url": f"{self.origin}/media/{self.id}/{index}.mp3" if has_audio else "",
            "image_url": cover,
            "image_large_url": cover,
            "created_at": self.time(),
            "createTime": created_ms,
            "timestamp": created_ms,
            "status": "error" if failed else self.switches.get("final_style", stage) if is_last else stage,
            "title": self.title(),
            "prompt": "" if self.request.get("make_instrumental") else words,
            "tags": self.request.get("style") or "pop, bright",
            "duration": self._duration(index, is_last=is_last) if has_audio else "",
            "model_name": self.model,
            "extra_message": DONE_REMARK if is_last and not failed else "",
            "fail_message": "" if uses_error_message else message,
            "error_message": message if uses_error_message else "",
        }

    def _duration(self, index: int, *, is_last: bool) -> JsonValue:
        length_s = self.song_s(index)
        late = length_s if is_last else ""
        forms: JsonObject = {"text": str(length_s), "unit": f"{length_s} s", "late": late}
        return forms.get(self.switches.get("duration_style"), length_s)
