"""An emulated task at a moment: its stages, its tracks and its record in both dialects; no HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from musicgate.emulation import Task, digest
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import seconds
from musicgate_suno_kie.declaration import CREDITS_PER_REQUEST, Dialect

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seen: 27 to 60 s for both tracks (V5), June 2026.
STAGES: Final[Mapping[str, float]] = MappingProxyType(
    {"PENDING": 0.0, "TEXT_SUCCESS": 10.0, "FIRST_SUCCESS": 27.0, "SUCCESS": 45.0}
)
#: Switches that set or skip a stage, by its status.
_STAGE_NAMES: Final = {"TEXT_SUCCESS": "text", "FIRST_SUCCESS": "first", "SUCCESS": "done"}
#: Lengths in the example of the vendor's page.
_DOC_LENGTHS_S = (198.44, 228.28)
_MARKET_STATES = {
    "PENDING": "waiting",
    "TEXT_SUCCESS": "generating",
    "FIRST_SUCCESS": "generating",
    "SUCCESS": "success",
}
_MODEL_NAMES = {
    "V4": "chirp-v4",
    "V4_5": "chirp-auk-turbo",
    "V4_5PLUS": "chirp-auk-turbo",
    "V4_5ALL": "chirp-auk-turbo",
}
_CHINA_HOURS = 8


def uuid4(*parts: object) -> str:
    """A deterministic id in the form of a random UUID."""
    text = digest(*parts)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:32]}"


@attrs.define(kw_only=True)
class SunoTask(Task):
    """One accepted create call; ``song`` is the requested song in the legacy spelling."""

    stages: ClassVar[Mapping[str, float]] = STAGES
    failures: ClassVar[frozenset[str]] = frozenset(
        {"CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR", "FAILED", "ERROR"}
    )

    dialect: Dialect
    song: JsonObject

    @property
    def keeps_first_track(self) -> bool:
        """True if the first track has audio although the task fails."""
        return self.switches.get("audio").startswith("some")

    @property
    def error_code(self) -> int | None:
        """The code of the failure, or None."""
        code = self.switches.get("error_code")
        return int(code) if code else None

    @property
    def error_message(self) -> str:
        """The text of the failure."""
        return self.switches.get("error_message", "Song_generation_failed").replace("_", " ")

    def at_s(self, stage: str) -> float:
        """Epoch seconds at which a stage is reached; each has a switch of its own."""
        name = _STAGE_NAMES.get(stage)
        after_s = self.switches.number(f"{name}_s", STAGES[stage]) if name else 0.0
        return self.created_s + after_s / self.speed

    def path(self) -> tuple[str, ...]:
        """The stages of this task; a failing one has no first track, unless ``audio=some``."""
        skipped = set(self.switches.get_all("skip"))
        if self.fails and not self.keeps_first_track:
            skipped |= {"first"} if self.end == "GENERATE_AUDIO_FAILED" else {"text", "first"}
        return tuple(stage for stage in STAGES if _STAGE_NAMES.get(stage) not in skipped)

    def lengths_s(self) -> tuple[float, float]:
        """Seconds of the two tracks. They differ, as they do at the vendor."""
        if self.switches.get("song_s") == "doc":
            return _DOC_LENGTHS_S
        requested_s = seconds(self.song.get("duration"))
        return self.length_s(0, requested_s), self.length_s(1, requested_s and requested_s + 2)

    def track_ids(self) -> tuple[str, str]:
        """Ids of the two tracks."""
        return uuid4(self.id, 0), uuid4(self.id, 1)

    def tracks(self, now: float) -> list[dict[str, JsonValue]]:
        """The tracks of a record, in camelCase; empty before the text stage."""
        status = self.status(now)
        if status == "PENDING" or status.startswith(("CREATE", "SENSITIVE")):
            return []
        over = self.is_over(now)
        fault = self.switches.step("audio", self.final_polls - 1) if over else ""
        if fault == "none" or (self.fails and fault != "some"):
            return []
        ready = (
            0
            if status == "TEXT_SUCCESS" or fault == "null"
            else 1
            if status == "FIRST_SUCCESS" or fault == "some"
            else 2
        )
        if not over and status not in {"TEXT_SUCCESS", "FIRST_SUCCESS"}:
            return []
        empty: JsonValue = None if fault == "null" else ""
        return [self._track(index, ready=index < ready, fault=fault, empty=empty) for index in range(2)]

    def _track(self, index: int, *, ready: bool, fault: str, empty: JsonValue) -> dict[str, JsonValue]:
        track_id, song = self.track_ids()[index], self.song
        lyrics = (
            song.get("prompt") or song.get("lyrics")
            if song.get("customMode") is True
            else "[Verse]\nA song of its own"
        )
        audio = f"{self.origin}/media/{track_id}.mp3" if ready else empty
        source = f"{self.origin}/source/{track_id}.mp3" if ready else empty
        track: dict[str, JsonValue] = {
            "id": track_id,
            "audioUrl": None if fault == "source" else audio,
            "sourceAudioUrl": source,
            "streamAudioUrl": f"{self.origin}/stream/{track_id}",
            "sourceStreamAudioUrl": f"{self.origin}/stream/{track_id}",
            "imageUrl": f"{self.origin}/image/{track_id}.png",
            "sourceImageUrl": f"{self.origin}/image/{track_id}.png",
            "prompt": "[Instrumental]" if song.get("instrumental") is True else lyrics or "",
            "modelName": _MODEL_NAMES.get(str(song.get("model")), "chirp-fenix"),
            "title": song.get("title") or "Midnight Blue",
            "tags": song.get("style") or "jazz, piano",
            "createTime": self.time(self.created_s),
            "duration": self.lengths_s()[index] if ready else None,
        }
        if self.switches.get("shape") == "doc":
            return {key: value for key, value in track.items() if not key.startswith("source")}
        return track

    def time(self, epoch_s: float) -> JsonValue:
        """A time in the vendor's form: epoch milliseconds (seen), or the documented date text."""
        if self.switches.get("shape") != "doc":
            return int(epoch_s * 1000)
        return f"{datetime.fromtimestamp(epoch_s, UTC) + timedelta(hours=_CHINA_HOURS):%Y-%m-%d %H:%M:%S}"

    def legacy_record(self, now: float, *, status: str | None = None) -> dict[str, JsonValue]:
        """The record of the legacy dialect; ``status`` overrides the true status."""
        over = self.is_over(now)
        failed = over and self.fails
        tracks = [] if status else self.tracks(now)
        empty: JsonValue = {
            "suno_data_null": {"taskId": self.id, "sunoData": None},
            "suno_data_empty": {"taskId": self.id, "sunoData": []},
        }.get(self.switches.get("waiting"))
        return {
            "taskId": self.id,
            "parentMusicId": "",
            "param": self.param_text(),
            "response": {"taskId": self.id, "sunoData": tracks} if tracks else empty,
            "status": status or self.status(now),
            "type": "chirp-v4",
            "operationType": "generate",
            "errorCode": self.error_code if failed else None,
            "errorMessage": self.error_message if failed else None,
            "createTime": self.time(self.created_s),
        }

    def market_record(self, now: float, *, status: str | None = None) -> dict[str, JsonValue]:
        """The record of the market dialect; ``status`` overrides the true status."""
        over = self.is_over(now) and status is None
        failed = over and self.fails
        songs = [snake_case(track) for track in self.tracks(now)] if over and not failed else []
        result: JsonValue = {"data": songs} if songs else None
        place = self.switches.get("result", "text")
        as_text = {"text": json.dumps(result), "broken": '{"data": [{', "response": None}
        done = self.time(self.ends_at_s) if over else None
        return {
            "taskId": self.id,
            "model": "ai-music-api/generate",
            "state": self._market_state(status or self.status(now), now, failed=failed),
            "param": self.param_text(),
            "resultJson": as_text.get(place, result) if songs else None,
            "response": result if place == "response" else None,
            "failCode": str(self.error_code or 501) if failed else None,
            "failMsg": self.error_message if failed else None,
            "costTime": int((self.ends_at_s - self.created_s) * 1000) if over else None,
            "createTime": self.time(self.created_s),
            "updateTime": self.time(now),
            "completeTime": done,
            "creditsConsumed": CREDITS_PER_REQUEST if over and not failed else 0,
        }

    def _market_state(self, status: str, now: float, *, failed: bool) -> str:
        if failed:
            return "fail"
        is_queuing = status == "PENDING" and now >= (self.created_s + self.at_s("TEXT_SUCCESS")) / 2
        return "queuing" if is_queuing else _MARKET_STATES.get(status, status.lower())

    def param_text(self) -> str:
        """The request as JSON text, truncated if the switch ``param`` is ``broken``."""
        return '{"prompt": "' if self.switches.get("param") == "broken" else json.dumps(self.request)


def snake_case(track: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A track in the spelling of callbacks and of the market; both keep ``createTime``."""
    return {
        key if key == "createTime" else "".join(f"_{c.lower()}" if c.isupper() else c for c in key): value
        for key, value in track.items()
    }
