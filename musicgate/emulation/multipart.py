"""Multipart answers with the oddities that are seen in them; no vendor is known here.

What they are read with is `musicgate.plugin.read_multipart`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

#: Words of a switch: what is odd about a multipart answer.
MULTIPART_FAULTS: Final[Mapping[str, str]] = {
    "lf": "LF as line ends",
    "no_closing": "no closing boundary",
    "glued": "no line end before the closing boundary",
    "preamble": "bytes before the first boundary",
}


def write_multipart(
    boundary: str, *parts: tuple[Mapping[str, str], bytes], faults: Collection[str] = ()
) -> bytes:
    """Write parts, each with its headers, in the layout of RFC 2046.

    Args:
        faults: of `MULTIPART_FAULTS`; other words are ignored.
    """
    mark, line_end = f"--{boundary}".encode(), b"\n" if "lf" in faults else b"\r\n"
    written = b"made by an emulator" if "preamble" in faults else b""
    for number, (headers, body) in enumerate(parts):
        lines = (f"{name}: {value}".encode() + line_end for name, value in headers.items())
        written += (line_end if number else b"") + mark + line_end + b"".join(lines) + line_end + body
    closing = (b"" if "glued" in faults else line_end) + mark + b"--" + line_end
    return written if "no_closing" in faults else written + closing


def with_boundary_inside(audio: bytes, boundary: str) -> bytes:
    """Put bytes into playable audio that look like a boundary but are no full delimiter.

    MP3 gets them in a tag, headerless samples as their first ones; Ogg, which has checksums, stays as it is.
    """
    mark = boundary.encode()
    bait = b"\r\n--\r\n--" + mark + b"x\r\n\n--" + mark[:-1] + b"\r\n--" + mark + b"--x\r\n" + b"\n\r\n"
    if audio[:1] == b"\xff":
        tag = b"PRIV" + len(bait).to_bytes(4, "big") + b"\0\0" + bait
        size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
        return b"ID3\x03\0\0" + size + tag + audio
    bait = bait[: len(bait) // 4 * 4]
    return audio if audio.startswith(b"OggS") or len(audio) <= len(bait) else bait + audio[len(bait) :]
