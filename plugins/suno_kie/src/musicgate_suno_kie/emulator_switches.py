"""The switches of the emulator: their names, their meaning, and the scripts of faults."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Every switch. A *script* is a list such as ``html:2,malformed``: the first two answers are HTML, the third
#: is broken JSON, later ones are correct; ``:ever`` never ends. A task's own switches (``[emulate
#: read=html:2]`` in any of its texts) beat the global ones.
SWITCHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "create": "script for create calls: a code (429, 455, 500 ...), http-500, html, empty, no_id, "
        "data_empty, drop (accepted, then the connection is cut), lost (502 HTML after accepting)",
        "read": "script for reads: a code (429, 455, 500, 408 ...), null_record, data_null, html, empty, "
        "malformed, drop, or a false status to report (PENDING)",
        "media": "script for each audio link: empty, cut, slow, html, or an HTTP status (403, 404)",
        "stop": "the task never gets past this status, known or not (PENDING, FIRST_SUCCESS, GRONKED)",
        "end": "last status (default SUCCESS): a failure, CALLBACK_EXCEPTION, or any other text",
        "error_code": "errorCode or failCode of a failed task (400, 408, 413, 531)",
        "error_message": "its text; underscores become spaces",
        "audio": "script for reads at the end: null (no links), some (only track one has links), "
        "source (only sourceAudioUrl), none (no tracks)",
        "skip": "stages that are skipped: text, first or text,first",
        "waiting": "shape of a record without tracks: response_null (default), suno_data_null, "
        "suno_data_empty",
        "text_s": "seconds until TEXT_SUCCESS (default 10)",
        "first_s": "seconds until FIRST_SUCCESS (default 27)",
        "done_s": "seconds until the end (default 45)",
        "null_s": "seconds after creation without a record (default: market 2, legacy 0)",
        "lengths": "seconds of the two tracks, like 48,217; doc = 198.44 and 228.28; default: the requested "
        "duration, else 6 to 12",
        "shape": "live (default) or doc: createTime as date text, no source links",
        "result": "market only, where the songs are: text (default), object, broken or response",
        "param": "broken: the echoed request is not JSON",
        "envelope": "message: the envelope's text is called message instead of msg",
        "http_status": "body_only (default): always 200; real: the code as HTTP status as well",
        "callbacks": "off, double, reverse, unsigned, badsign, stale, or several of them",
        "callback_shape": "suno (default), market or record",
        "credits": "credits of each account at the start (default 10000)",
        "rate": "creates per 10 s and account (default 20), or off",
        "refund": "off: failed tasks stay charged",
        "legacy_v6": "1: the legacy route takes the V6 family",
        "audio_type": "content type of audio (default audio/mpeg)",
        "echo_key": "1: the text of an auth error repeats the key",
    }
)


@attrs.frozen
class Switches:
    """The switches of one task or one call."""

    given: Mapping[str, str]

    def get(self, name: str, default: str = "") -> str:
        """The value of a switch."""
        return self.given.get(name, default)

    def get_all(self, name: str) -> frozenset[str]:
        """The values of a switch that takes a comma-separated list."""
        return frozenset(value for value in self.get(name).split(",") if value)

    def number(self, name: str, default: float) -> float:
        """The value of a numeric switch."""
        try:
            return float(self.given[name])
        except (KeyError, ValueError):
            return default

    def step(self, name: str, number: int) -> str:
        """The fault of a script for the call with this number (from 0); empty after the script's end."""
        for entry in self.get(name).split(","):
            fault, _, times = entry.partition(":")
            if times == "ever":
                return fault
            number -= int(times) if times.isdecimal() else 1
            if number < 0:
                return fault
        return ""
