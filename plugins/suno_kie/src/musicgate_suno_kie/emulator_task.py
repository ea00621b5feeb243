"""An emulated task at a moment: its stages, its tracks and its record in both dialects; no HTTP."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final

import attrs

from musicgate.emulation import Task, uuid4
from musicgate.plugin import JsonObject, JsonValue
from musicgate.plugin.lenient import integer, seconds
from musicgate_suno_kie.declaration import CREDITS_PER_REQUEST
from musicgate_suno_kie.translate import MARKET_MODEL, snake_case

#: Switches that set or skip a stage, by its status.
_STAGE_NAMES: Final = {"TEXT_SUCCESS": "text", "FIRST_SUCCESS": "first", "SUCCESS": "done"}
_MARKET_STATES: Final = {"PENDING": "waiting", "TEXT_SUCCESS": "generating", "FIRST_SUCCESS": "generating"}
#: Failures before any track was begun.
_EARLY_FAILURES: Final = frozenset({"CREATE_TASK_FAILED", "SENSITIVE_WORD_ERROR"})
#: Lengths in the example of the vendor's page.
_DOC_LENGTHS_S: Final = (198.44, 228.28)
_MODEL_NAMES: Final = {"V4": "chirp-v4", **dict.fromkeys(("V4_5", "V4_5PLUS", "V4_5ALL"), "chirp-auk-turbo")}
_CHINA_TIME: Final = timedelta(hours=8)


@attrs.define(kw_only=True)
class SunoTask(Task):
    """One accepted create call; ``song`` is the requested song in the legacy spelling."""

    #: Seen: 27 to 60 s for both tracks (V5), June 2026.
    stages: ClassVar = {"PENDING": 0.0, "TEXT_SUCCESS": 10.0, "FIRST_SUCCESS": 27.0, "SUCCESS": 45.0}
    failures: ClassVar[frozenset[str]] = _EARLY_FAILURES | {"GENERATE_AUDIO_FAILED", "FAILED", "ERROR"}

    is_market: bool
    song: JsonObject

    @property
    def keeps_first_track(self) -> bool:
        """True if the first track has audio although the task fails."""
        return self.switches.get("audio").startswith("some") and self.end not in _EARLY_FAILURES

    def failure(self) -> tuple[int | None, str]:
        """The code of the failure, if it has one, and its text."""
        text = self.switches.get("error_message", "Song_generation_failed").replace("_", " ")
        return integer(self.switches.get("error_code")), text

    def at_s(self, stage: str) -> float:
        """Epoch seconds at which a stage is reached; each has a switch of its own."""
        after_s = self.switches.number(f"{_STAGE_NAMES.get(stage)}_s", self.stages[stage])
        return self.created_s + after_s / self.speed

    def path(self) -> tuple[str, ...]:
        """The stages of this task; a failing one has no first track, unless ``audio=some``."""
        skipped = set(self.switches.get_all("skip"))
        if self.fails and not self.keeps_first_track:
            skipped |= {"first"} if self.end == "GENERATE_AUDIO_FAILED" else {"text", "first"}
        return tuple(stage for stage in self.stages if _STAGE_NAMES.get(stage) not in skipped)

    def lengths_s(self) -> tuple[float, float]:
        """Seconds of the two tracks. They differ, as they do at the vendor."""
        if self.switches.get("song_s") == "doc":
            return _DOC_LENGTHS_S
        requested_s = seconds(self.song.get("duration"))
        return self.length_s(0, requested_s), self.length_s(1, requested_s and requested_s + 2)

    def track_ids(self) -> tuple[str, str]:
        """Ids of the two tracks."""
        return uuid4(self.id, 0), uuid4(self.id, 1)

    def is_ready(self, index: int, now: float) -> bool:
        """True once a track has its audio."""
        ready_s = self.at_s("FIRST_SUCCESS") if index == 0 else self.ends_at_s
        return now >= ready_s and (not self.fails or self.keeps_first_track)

    def tracks(self, now: float) -> list[dict[str, JsonValue]]:
        """The tracks of a record, in camelCase; empty before the text stage."""
        is_over = self.is_over(now)
        fault = self.switches.step("audio", self.final_polls - 1) if is_over else ""
        begun = {"TEXT_SUCCESS": 0, "FIRST_SUCCESS": 1}.get(self.status(now), 2 if is_over else None)
        is_lost = self.fails and not (fault == "some" and self.keeps_first_track)
        if begun is None or fault == "none" or is_lost:
            return []
        ready = {"null": 0, "some": 1}.get(fault, begun)
        return [self._track(index, fault, is_ready=index < ready) for index in range(2)]

    def _track(self, index: int, fault: str, *, is_ready: bool) -> dict[str, JsonValue]:
        track_id, song, origin = self.track_ids()[index], self.song, self.origin
        sung = song.get("prompt") if song.get("customMode") is True else "[Verse]\nA song of its own"
        empty: JsonValue = None if fault == "null" else ""
        track: dict[str, JsonValue] = {
            "id": track_id,
            "audioUrl": f"{origin}/media/{track_id}.mp3" if is_ready else empty,
            "sourceAudioUrl": f"{origin}/source/{track_id}.mp3" if is_ready else empty,
            "streamAudioUrl": f"{origin}/stream/{track_id}",
            "sourceStreamAudioUrl": f"{origin}/stream/{track_id}",
            "imageUrl": f"{origin}/image/{track_id}.png",
            "sourceImageUrl": f"{origin}/image/{track_id}.png",
            "prompt": "[Instrumental]" if song.get("instrumental") is True else sung or "",
            "modelName": _MODEL_NAMES.get(str(song.get("model")), "chirp-fenix"),
            "title": song.get("title") or "Midnight Blue",
            "tags": song.get("style") or "jazz, piano",
            "createTime": self._time(self.created_s),
            "duration": self.lengths_s()[index] if is_ready else None,
        }
        if fault == "source":
            track["audioUrl"] = None
        if self.switches.get("shape") == "doc":
            return {key: value for key, value in track.items() if not key.startswith("source")}
        return track

    def legacy_record(self, now: float, false_status: str = "") -> dict[str, JsonValue]:
        """The record of the legacy dialect."""
        code, text = self.failure() if self.fails and self.is_over(now) else (None, None)
        tracks = [] if false_status else self.tracks(now)
        empty: JsonValue = {
            "suno_data_null": {"taskId": self.id, "sunoData": None},
            "suno_data_empty": {"taskId": self.id, "sunoData": []},
        }.get(self.switches.get("waiting"))
        return {
            "taskId": self.id,
            "parentMusicId": "",
            "param": self._param(),
            "response": {"taskId": self.id, "sunoData": tracks} if tracks else empty,
            "status": false_status or self.status(now),
            "type": "chirp-v4",
            "operationType": "generate",
            "errorCode": code,
            "errorMessage": text,
            "createTime": self._time(self.created_s),
        }

    def market_record(self, now: float, false_status: str = "") -> dict[str, JsonValue]:
        """The record of the market dialect."""
        is_over = self.is_over(now) and not false_status
        has_failed, is_done = is_over and self.fails, is_over and not self.fails
        code, text = self.failure()
        songs = [snake_case_keys(track) for track in self.tracks(now)] if is_done else []
        result: JsonValue = {"data": songs} if songs else None
        place = self.switches.get("result", "text")
        as_text = {"text": json.dumps(result), "broken": '{"data": [{', "response": None}
        return {
            "taskId": self.id,
            "model": MARKET_MODEL,
            "state": "fail" if has_failed else self._market_state(false_status or self.status(now), now),
            "param": self._param(),
            "resultJson": as_text.get(place, result) if songs else None,
            "response": result if place == "response" else None,
            "failCode": str(code or 501) if has_failed else None,
            "failMsg": text if has_failed else None,
            "costTime": int((self.ends_at_s - self.created_s) * 1000) if is_over else None,
            "createTime": self._time(self.created_s),
            "updateTime": self._time(now),
            "completeTime": self._time(self.ends_at_s) if is_over else None,
            "creditsConsumed": CREDITS_PER_REQUEST if is_done else 0,
        }

    def _market_state(self, status: str, now: float) -> str:
        is_queuing = status == "PENDING" and now >= (self.created_s + self.at_s("TEXT_SUCCESS")) / 2
        return "queuing" if is_queuing else _MARKET_STATES.get(status, status.lower())

    def _param(self) -> str:
        """The request as JSON text, truncated if the switch ``param`` is ``broken``."""
        return '{"prompt": "' if self.switches.get("param") == "broken" else json.dumps(self.request)

    def _time(self, epoch_s: float) -> JsonValue:
        """A time in the vendor's form: epoch milliseconds (seen), or the documented date text."""
        if self.switches.get("shape") != "doc":
            return int(epoch_s * 1000)
        return f"{datetime.fromtimestamp(epoch_s, UTC) + _CHINA_TIME:%Y-%m-%d %H:%M:%S}"


def snake_case_keys(track: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A track in the spelling of callbacks and of the market; both keep ``createTime``."""
    return {key if key == "createTime" else snake_case(key): value for key, value in track.items()}
