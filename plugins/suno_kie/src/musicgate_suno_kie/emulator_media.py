"""Files behind the links of the emulated kie.ai: songs, covers, streams, download faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from musicgate.emulation import AudioFormat, EmulatedAnswer, cover_png, song
from musicgate.plugin import HttpRequest, HttpResponse
from musicgate.plugin.lenient import integer
from musicgate_suno_kie.declaration import RETENTION_S
from musicgate_suno_kie.emulator_task import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate_suno_kie.emulator_task import Task

#: Life of a link from common/download-url. Source: docs.kie.ai/common-api/quickstart: 20 minutes.
SIGNED_LINK_S: Final = 1200
_FOLDERS = frozenset({"media", "source", "stream", "image"})
_SLOW_BYTES_PER_S = 20_000.0
_HTML = b"<html><body>sign in</body></html>"


class Media:
    """The vendor's file hosts, all at the emulator's own address."""

    def __init__(self, tasks: Mapping[str, Task], speed: float) -> None:
        self._tasks = tasks
        self._speed = speed
        #: Track id -> task id and index of the track.
        self._places: dict[str, tuple[str, int]] = {}

    @staticmethod
    def serves(path: str) -> bool:
        """True for a path below one of the file hosts."""
        return path.count("/") == 2 and path.split("/")[1] in _FOLDERS

    def add(self, task: Task) -> None:
        """Serve the tracks of a task from now on."""
        for index, track_id in enumerate(task.track_ids()):
            self._places[track_id] = (task.id, index)

    def signed_link(self, link: object, now: float) -> str | None:
        """The direct link for one of the vendor's own links; None for any other value."""
        parts = urlsplit(link) if isinstance(link, str) else None
        if parts is None or not self.serves(parts.path) or self._find(parts.path) is None:
            return None
        until = int(now) + SIGNED_LINK_S
        query = f"expires={until}&sig={digest(parts.path, until)[:16]}"
        return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}"

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        """Serve one file."""
        parts = urlsplit(request.url)
        found = self._find(parts.path)
        if found is None:
            return _plain(404)
        task, index = found
        folder = parts.path.split("/")[1]
        if now > task.created_s + RETENTION_S or _is_expired(parts.query, now):
            return _plain(403)
        if folder == "image":
            return _file("image/png", cover_png(task.track_ids()[index]))
        if not self._is_ready(task, index, now):
            # Seen: musicfile.kie.ai answers 200 with an empty body, 2026-08-28.
            return _file("audio/mpeg", b"") if folder == "stream" else _plain(404)
        content = song(AudioFormat(), task.lengths_s()[index], seed=int(digest(task.id, index)[:6], 16))
        whole = _file(task.switches.get("audio_type", "audio/mpeg"), content)
        return self._with_fault(whole, task, parts.path) if folder == "media" else whole

    def _find(self, path: str) -> tuple[Task, int] | None:
        place = self._places.get(path.split("/")[2].partition(".")[0])
        return (self._tasks[place[0]], place[1]) if place else None

    def _is_ready(self, task: Task, index: int, now: float) -> bool:
        stage = "first" if index == 0 else "done"
        return now >= task.at_s(stage) and not (task.fails and not task.keeps_first_track)

    def _with_fault(self, whole: EmulatedAnswer, task: Task, path: str) -> EmulatedAnswer:
        number = task.media_reads.get(path, 0)
        task.media_reads[path] = number + 1
        fault = task.switches.step("media", number)
        if fault.isdecimal():
            return _plain(int(fault))
        if fault == "empty":
            return _file("audio/mpeg", b"")
        if fault == "html":
            return _file("text/html", _HTML)
        cut = len(whole.response.body) // 2 if fault == "cut" else None
        slow = _SLOW_BYTES_PER_S * self._speed if fault == "slow" else None
        return EmulatedAnswer(response=whole.response, cut_after_bytes=cut, bytes_per_s=slow)


def _is_expired(query: str, now: float) -> bool:
    until = integer(parse_qs(query).get("expires", [""])[0])
    return until is not None and now > until


def _plain(status: int) -> EmulatedAnswer:
    return EmulatedAnswer(
        response=HttpResponse(status=status, headers={"Content-Type": "text/plain", "Content-Length": "0"})
    )


def _file(content_type: str, body: bytes) -> EmulatedAnswer:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return EmulatedAnswer(response=HttpResponse(status=200, headers=headers, body=body))
