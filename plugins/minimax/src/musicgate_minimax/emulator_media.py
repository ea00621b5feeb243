"""The signed links of the emulated MiniMax and the songs behind them."""

import base64
import hashlib
from typing import Final
from urllib.parse import parse_qs, quote, unquote, urlsplit

import attrs

from musicgate.emulation import AudioFormat, Container, EmulatedAnswer, song
from musicgate.plugin import HttpResponse, lenient
from musicgate_minimax.emulator_checks import Encoding

#: Life of a link: a day. Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
LINK_LIFE_S: Final = 86_400.0

_FOLDER: Final = "music/prod/"
_MEDIA_TYPES: Final = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "application/octet-stream"}
#: Songs that are kept; older links answer NoSuchKey.
_MAX_SONGS: Final = 20_000


@attrs.frozen(kw_only=True)
class Song:
    """A song, not as bytes but as what they are made of."""

    encoding: Encoding
    duration_s: float
    seed: int
    fault: str = ""

    def audio(self) -> bytes:
        """Make the audio."""
        encoding = self.encoding
        audio_format = AudioFormat(
            container=Container(encoding.container),
            sample_rate_hz=encoding.sample_rate_hz,
            bitrate_bps=encoding.bitrate_bps,
            channels=encoding.channels,
        )
        return song(audio_format, self.duration_s, self.seed)


class Media:
    """The vendor's object store, at the emulator's own address; the seed is part of every signature."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._songs: dict[str, Song] = {}

    def signed_link(self, origin: str, trace_id: str, song: Song, now: float, life_s: float) -> str:
        """Keep a song and sign a link to it.

        Seen: object named by trace id, epoch milliseconds and four digits, slashes percent-encoded; Expires,
        OSSAccessKeyId and Signature in the query (a reseller's captured reply, 2026).
        """
        name = f"{_FOLDER}{trace_id}_{int(now * 1000)}_{song.seed % 10_000:04d}.{song.encoding.container}"
        self._songs[name] = song
        if len(self._songs) > _MAX_SONGS:
            del self._songs[next(iter(self._songs))]
        expires = str(int(now + life_s))
        signature = quote(self._signature(name, expires), safe="")
        return (
            f"{origin}/{quote(name, safe='')}?Expires={expires}&OSSAccessKeyId=emulated&Signature={signature}"
        )

    @staticmethod
    def serves(path: str) -> bool:
        """True for a path below the object store."""
        return unquote(path).startswith(f"/{_FOLDER}")

    def answer(self, url: str, now: float) -> EmulatedAnswer:
        """Serve a link: 403 with XML if it is expired or its signature is wrong."""
        parts = urlsplit(url)
        name = unquote(parts.path).removeprefix("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        expires = query.get("Expires", "")
        if query.get("Signature") != self._signature(name, expires):
            return EmulatedAnswer(response=_denied("SignatureDoesNotMatch"))
        # ASSUMED: the usual answer of an OSS for an expired link; MiniMax's own is not published.
        if (lenient.integer(expires) or 0) <= now:
            return EmulatedAnswer(response=_denied("AccessDenied"))
        song = self._songs.get(name)
        if song is None:
            return EmulatedAnswer(response=attrs.evolve(_denied("NoSuchKey"), status=404))
        return _served(song)

    def _signature(self, name: str, expires: str) -> str:
        digest = hashlib.sha256(f"{self._seed}|{name}|{expires}".encode()).digest()
        # A plus and a slash in every signature, so that a client that encodes the link again breaks it.
        return "+/" + base64.b64encode(digest[:18]).decode()


def _served(song: Song) -> EmulatedAnswer:
    content = song.audio()
    headers = {"Content-Type": _MEDIA_TYPES[song.encoding.container], "Content-Length": str(len(content))}
    whole = HttpResponse(status=200, headers=headers, body=content)
    match song.fault:
        case "empty":
            return EmulatedAnswer(
                response=attrs.evolve(whole, headers={**headers, "Content-Length": "0"}, body=b"")
            )
        case "cut":
            return EmulatedAnswer(response=whole, cut_after_bytes=len(content) // 2)
        case "slow":
            return EmulatedAnswer(response=whole, bytes_per_s=64_000.0)
        case "html":
            body = b"<html><body>maintenance</body></html>"
            headers = {"Content-Type": "text/html", "Content-Length": str(len(body))}
            return EmulatedAnswer(response=HttpResponse(status=200, headers=headers, body=body))
        case "forbidden" | "expired":
            return EmulatedAnswer(response=_denied("AccessDenied"))
        case "missing":
            return EmulatedAnswer(response=attrs.evolve(_denied("NoSuchKey"), status=404))
        case _:
            return EmulatedAnswer(response=whole)


def _denied(code: str) -> HttpResponse:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>\n'.encode()
    headers = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    return HttpResponse(status=403, headers=headers, body=body)
