"""Bound the work that one file may cost, whatever its bytes are. It knows no container."""

import mmap
import re
import time
from typing import Final

import attrs

from musicgate.assets.audio import Repair
from musicgate.errors import NotAudioError

Content = bytes | mmap.mmap

#: A file may cost so many steps, and one more for each so many bytes. The smallest frames of a song have 24
#: bytes (MP3 at 8 kbit/s); a step takes about half a microsecond, so a hostile file costs some 25 ns per
#: byte.
_FREE_STEPS: Final = 50_000
_BYTES_PER_STEP: Final = 20
#: After so many steps (about a millisecond) other threads get the interpreter's lock for a moment.
_STEPS_WITHOUT_REST: Final = 2_000
_REST_S: Final = 0.0001
#: A search holds the interpreter's lock for so many bytes, and so many bytes of it cost as much as a step.
_WINDOW_BYTES: Final = 65_536
_SEARCHED_BYTES_PER_STEP: Final = 64
#: Longest pattern that is searched for, less one byte.
_OVERLAP_BYTES: Final = 3


@attrs.frozen(kw_only=True)
class Length:
    """What a reader found in a file's body."""

    duration_s: float
    sample_rate_hz: int
    channels: int
    repairs: tuple[Repair, ...] = ()


class Steps:
    """The budget of steps of one file."""

    def __init__(self, size_bytes: int) -> None:
        self.left = _FREE_STEPS + size_bytes // _BYTES_PER_STEP
        self._until_rest = _STEPS_WITHOUT_REST

    def take(self, count: int = 1) -> None:
        """Spend steps on work that is about to be done.

        Raises:
            NotAudioError: the file costs more than audio of its size can.
        """
        self.left -= count
        self._until_rest -= count
        if self.left < 0:
            raise NotAudioError("the file is made of pieces too small to be audio that plays")
        if self._until_rest < 0:
            self._until_rest = _STEPS_WITHOUT_REST
            time.sleep(_REST_S)


def find(pattern: re.Pattern[bytes], content: Content, at: int, steps: Steps) -> int:
    """Offset of the next match of a pattern of at most four bytes, or -1."""
    while at < len(content):
        hit = pattern.search(content, at, at + _WINDOW_BYTES + _OVERLAP_BYTES)
        found = hit.start() if hit else -1
        del hit  # it would keep a mapped file from being closed
        steps.take(1 + ((found if found >= 0 else at + _WINDOW_BYTES) - at) // _SEARCHED_BYTES_PER_STEP)
        if found >= 0:
            return found
        at += _WINDOW_BYTES
    return -1
