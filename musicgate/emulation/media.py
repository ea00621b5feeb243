"""The media host of an emulated vendor: files behind links, with expiry, ranges and faults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

import attrs

from musicgate.emulation.answers import Call, answer_bytes, digest, with_headers
from musicgate.emulation.switches import Switches
from musicgate.emulation.tones import AudioFormat, Container, song
from musicgate.plugin import EmulatedAnswer

#: Files that are kept; older ones answer like unknown ones.
MAX_FILES: Final = 100_000
MEDIA_TYPES: Final[Mapping[Container, str]] = MappingProxyType(
    {
        Container.MP3: "audio/mpeg",
        Container.WAV: "audio/wav",
        Container.OPUS: "audio/ogg",
        Container.BARE_OPUS: "audio/ogg",
        Container.FLAC: "audio/flac",
        Container.M4A: "audio/mp4",
        Container.PCM: "application/octet-stream",
        Container.ULAW: "audio/basic",
        Container.ALAW: "audio/basic",
    }
)
_HTML: Final = b"<html><body>maintenance</body></html>"


@attrs.frozen(kw_only=True)
class MediaFile:
    """A file of the media host: a song, not as bytes but as what it is made of, or other content.

    Attributes:
        sound: format of the song.
        length_s: its length in seconds.
        seed: chooses its sound.
        switches: of its task, for faults; None = it has none.
        is_ready: False as long as the file is not there yet; None = at once.
        expires_s: epoch seconds after which the link is refused; None = never.
        content: of a file that is no song.
        content_type: None = that of the format.
    """

    sound: AudioFormat = attrs.field(factory=AudioFormat)
    length_s: float = 10.0
    seed: int = 0
    switches: Switches | None = None
    is_ready: Callable[[float], bool] | None = None
    expires_s: float | None = None
    content: bytes | None = None
    content_type: str | None = None

    def read(self) -> bytes:
        """Make the content."""
        return song(self.sound, self.length_s, self.seed) if self.content is None else self.content

    @property
    def media_type(self) -> str:
        """The content type."""
        return self.content_type or MEDIA_TYPES[self.sound.container]


class MediaHost:
    """Files by path, at the emulator's own address.

    Args:
        denied: makes the vendor's answer for a link: ``(status, why)``; why is
            ``missing``, ``expired`` or ``forbidden``.
        seed: part of every signature.
        speed: multiplies ``slow_bytes_per_s``.
        slow_bytes_per_s: speed of a download with the fault ``slow``.
    """

    def __init__(
        self,
        denied: Callable[[int, str], EmulatedAnswer],
        *,
        seed: int = 0,
        speed: float = 1.0,
        slow_bytes_per_s: float = 20_000.0,
    ) -> None:
        self._denied = denied
        self._seed = seed
        self._slow_bytes_per_s = slow_bytes_per_s * speed
        self._files: dict[str, MediaFile] = {}
        self._reads: dict[str, int] = {}

    def add(self, path: str, file: MediaFile) -> str:
        """Serve a file from now on, and return its path. Slashes and the like may be percent-encoded."""
        self._files[unquote(path)] = file
        if len(self._files) > MAX_FILES:
            del self._files[next(iter(self._files))]
        return path

    def find(self, path: str) -> MediaFile | None:
        """Return the file at a path, whatever its link says."""
        return self._files.get(unquote(path))

    def signature(self, path: str, expires: str) -> str:
        """The signature of a link.

        It has a plus and a slash, so that a client that encodes the link again breaks it.
        """
        return f"+/{digest(self._seed, unquote(path), expires)[:24]}"

    def signed(
        self,
        path: str,
        expires_s: float,
        *,
        expires: str = "expires",
        signature: str = "signature",
        **more: str,
    ) -> str:
        """Return the path with an expiry and a signature in its query, under the vendor's names."""
        until = str(int(expires_s))
        query = {expires: until, **more, signature: self.signature(path, until)}
        pairs = (f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"{path}?{'&'.join(pairs)}"

    def is_signed(self, call: Call, *, expires: str = "expires", signature: str = "signature") -> bool:
        """True if the link of a call was signed by `signed`, whether it is expired or not."""
        query = dict(parse_qsl(call.url.partition("?")[2], keep_blank_values=True))
        return query.get(signature) == self.signature(call.path, query.get(expires, ""))

    def answer(self, call: Call) -> EmulatedAnswer:
        """Serve the file at the path of a call."""
        file = self.find(call.path)
        return self._denied(404, "missing") if file is None else self.serve(call, file)

    def serve(self, call: Call, file: MediaFile) -> EmulatedAnswer:
        """Serve a file, whole or a range of it, or the fault of its switches."""
        if file.expires_s is not None and call.now > file.expires_s:
            return self._denied(403, "expired")
        if file.is_ready is not None and not file.is_ready(call.now):
            return self._denied(404, "missing")
        number = self._reads.get(call.path, 0)
        # HEAD tells what a link has, and uses up no fault.
        self._reads[call.path] = number + (call.method != "HEAD")
        fault = file.switches.step("media", number) if file.switches else ""
        whole = _ranged(call, answer_bytes(200, file.media_type, file.read(), {"Accept-Ranges": "bytes"}))
        return self._broken(fault, whole, file) if fault else whole

    def _broken(self, fault: str, whole: EmulatedAnswer, file: MediaFile) -> EmulatedAnswer:
        match fault:
            case "expired":
                return self._denied(403, "expired")
            case "empty":
                return answer_bytes(200, file.media_type, b"")
            case "html":
                return answer_bytes(200, "text/html", _HTML)
            case "cut":
                return attrs.evolve(whole, cut_after_bytes=len(whole.response.body) // 2)
            case "slow":
                return attrs.evolve(whole, bytes_per_s=self._slow_bytes_per_s)
            case "drop":
                return attrs.evolve(whole, drop=True)
        return self._denied(int(fault), "missing" if fault == "404" else "forbidden")


def _ranged(call: Call, whole: EmulatedAnswer) -> EmulatedAnswer:
    """Answer ``Range: bytes=a-b`` with 206, or 416 beyond the end; any other form gets the whole file."""
    unit, _, bounds = call.headers.get("range", "").partition("=")
    first, dash, last = bounds.partition("-")
    size = len(whole.response.body)
    if unit != "bytes" or not dash or not (first or last) or not (first + last).isdecimal():
        return whole
    start = int(first) if first else max(0, size - int(last))
    end = min(size - 1, int(last)) if first and last else size - 1
    if start > end:
        denied = answer_bytes(416, "text/plain", b"")
        return with_headers(denied, {"Content-Range": f"bytes */{size}"})
    part = answer_bytes(206, str(whole.response.header("content-type")), whole.response.body[start : end + 1])
    return with_headers(part, {"Content-Range": f"bytes {start}-{end}/{size}", "Accept-Ranges": "bytes"})
