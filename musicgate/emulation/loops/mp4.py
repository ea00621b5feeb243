"""Put MP3 frames into an MP4 file (M4A), one sample each, the index in front.

Source: ISO/IEC 14496-12 (boxes), 14496-14 section 5.6 and 14496-1 section 7.2.6 (``esds``; object type 0x6B
is MPEG-1 layer III).
"""

import struct

from musicgate.assets import mp3_header

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000)
_FTYP = struct.pack(">4s4sI8s", b"ftyp", b"M4A ", 0, b"M4A isom")


def m4a(mp3: bytes) -> bytes:
    """Wrap a constant bit rate MP3 file; its "Info" frame is left out."""
    frames = _frames(mp3)[1:]
    header = mp3_header(frames[0][:4])
    if header is None:
        raise ValueError("an MP3 file begins with a frame header")
    rate_hz, channels, samples = header.sample_rate_hz, header.channels, header.samples
    duration, body = samples * len(frames), b"".join(frames)
    config = (
        bytes((4, 13, 0x6B, 0x15)) + bytes(3) + struct.pack(">II", header.bitrate_bps, header.bitrate_bps)
    )
    descriptor = struct.pack(">BBHB", 3, 3 + len(config) + 3, 1, 0) + config + bytes((6, 1, 2))
    entry = struct.pack(">6xH8xHHHHI", 1, channels, 16, 0, 0, rate_hz << 16) + _full(b"esds", descriptor)

    def moov(offset: int) -> bytes:
        sizes = struct.pack(f">II{len(frames)}I", 0, len(frames), *map(len, frames))
        stbl = _box(
            b"stbl",
            _full(b"stsd", struct.pack(">I", 1) + _box(b"mp4a", entry)),
            _full(b"stts", struct.pack(">III", 1, len(frames), samples)),
            _full(b"stsc", struct.pack(">IIII", 1, 1, len(frames), 1)),
            _full(b"stsz", sizes),
            _full(b"stco", struct.pack(">II", 1, offset)),
        )
        dref = _full(b"dref", struct.pack(">I", 1) + _full(b"url ", b"", flags=1))
        minf = _box(b"minf", _full(b"smhd", bytes(4)), _box(b"dinf", dref), stbl)
        times = struct.pack(">IIII", 0, 0, rate_hz, duration)
        mdia = _box(
            b"mdia",
            _full(b"mdhd", times + struct.pack(">HH", 0x55C4, 0)),
            _full(b"hdlr", struct.pack(">I4s12xB", 0, b"soun", 0)),
            minf,
        )
        place = struct.pack(">IIIII8xHHHH", 0, 0, 1, 0, duration, 0, 0, 0x0100, 0) + _MATRIX + bytes(8)
        movie = times + struct.pack(">IH10x", 0x10000, 0x0100) + _MATRIX + bytes(24) + struct.pack(">I", 2)
        return _box(b"moov", _full(b"mvhd", movie), _box(b"trak", _full(b"tkhd", place, flags=7), mdia))

    ftyp = struct.pack(">I", 4 + len(_FTYP)) + _FTYP
    offset = len(ftyp) + len(moov(0)) + 8
    return ftyp + moov(offset) + _box(b"mdat", body)


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), name) + content


def _full(name: bytes, content: bytes, *, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), content)


def _frames(mp3: bytes) -> list[bytes]:
    frames, at = [], 0
    while (header := mp3_header(mp3[at : at + 4])) is not None:
        frames.append(mp3[at : at + header.size_bytes])
        at += header.size_bytes
    return frames
