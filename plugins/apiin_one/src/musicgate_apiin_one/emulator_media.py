"""Files behind the links of the emulated apiin.one: songs, covers, and download faults.

Audio is playable: until a song is done, its link gives the first third of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.emulation import AudioFormat, Container, EmulatedAnswer, cover_png, song
from musicgate.plugin import HttpResponse

if TYPE_CHECKING:
    from musicgate_apiin_one.emulator_task import Task

_SLOW_BYTES_PER_S = 40_000.0


def serve_audio(task: Task, index: int, *, is_done: bool, fetches: int) -> EmulatedAnswer:
    """Serve one fetch of a track's link.

    Args:
        task: the task of the track.
        index: index of the track.
        is_done: the song is complete; before that the link gives a part.
        fetches: number of earlier fetches of this link.
    """
    fault = task.switches["media"]
    if fault == "expired":
        return _file(410, "text/plain", b"gone")
    if fault == "forbidden" or (fault == "forbidden_once" and fetches == 0):
        return _file(403, "application/xml", b"<Error><Code>AccessDenied</Code></Error>")
    if fault == "html":
        return _file(200, "audio/mpeg", b"<!doctype html><title>one moment</title>")
    if fault == "empty":
        return _file(200, "audio/mpeg", b"")
    length_s = task.song_s(index) if is_done else task.song_s(index) / 3
    audio = song(AudioFormat(container=Container.MP3), length_s, seed=task.dice(index))
    answer = _file(200, "audio/mpeg", audio)
    if fault == "cut":
        return EmulatedAnswer(response=answer.response, cut_after_bytes=len(audio) // 2)
    if fault == "slow":
        return EmulatedAnswer(response=answer.response, bytes_per_s=_SLOW_BYTES_PER_S)
    return answer


def serve_cover(task: Task) -> EmulatedAnswer:
    """Serve the cover of a song."""
    return _file(200, "image/png", cover_png(task.title()))


def _file(status: int, content_type: str, content: bytes) -> EmulatedAnswer:
    headers = {"Content-Type": content_type, "Content-Length": str(len(content))}
    return EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=content))
