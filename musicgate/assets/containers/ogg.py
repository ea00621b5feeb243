"""Ogg: pages and packets. The packets are counted; a granule position is only a claim.

Source: RFC 3533 (pages), RFC 7845 (Opus in Ogg), RFC 6716 section 3.1 (table of contents byte).
"""

from collections.abc import Callable
from typing import Final

import attrs

from musicgate.assets.containers.flac import flac_frame
from musicgate.assets.containers.steps import Content, Length, Steps
from musicgate.assets.containers.vorbis import SETUP_TAIL_BYTES, VorbisPackets
from musicgate.errors import NotAudioError

_PacketSamples = Callable[[bytes], int]

#: Steps for a page; most pages are large.
_PAGE_STEPS: Final = 3
#: So many bytes of a packet are enough to know its samples.
_PACKET_HEAD_BYTES: Final = 16
_CONTINUED, _BEGINS, _ENDS = 0x01, 0x02, 0x04
#: Longest part of a last page that is not played: encoders pad a packet or two.
_MOST_TRIMMED_S: Final = 1
#: Chained streams in one file.
_MOST_STREAMS: Final = 1_000
_OPUS_HZ: Final = 48_000
_LONGEST_OPUS_PACKET: Final = 5_760
#: Samples of one Opus frame, by its configuration.
_OPUS_FRAMES: Final = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4


@attrs.define(kw_only=True)
class _Stream:
    """One logical stream of audio, as far as it has been read."""

    serial: int
    sample_rate_hz: int
    channels: int
    packet_samples: _PacketSamples
    #: Header packets that are still to come, and the end of the present one.
    headers: int
    header_tail: bytes = b""
    #: Samples that the decoder discards at the start.
    skipped: int = 0
    samples: int = 0
    page_samples: int = 0
    first_granule: int | None = None
    first_samples: int = 0
    last_granule: int = 0
    packet_head: bytes = b""
    is_ended: bool = False

    def end_page(self, granule: int, samples: int, *, is_last: bool) -> None:
        """Record the samples that end on a page, and the page's granule position."""
        self.is_ended = is_last
        if not samples:
            return
        self.samples += samples
        self.page_samples = samples
        self.last_granule = granule
        if self.first_granule is None:
            self.first_granule, self.first_samples = granule, self.samples

    def end_header(self) -> None:
        """Record the end of a header packet."""
        self.headers -= 1
        if not self.headers and isinstance(self.packet_samples, VorbisPackets):
            self.packet_samples.read_setup(self.header_tail)
        self.header_tail = b""

    @property
    def duration_s(self) -> float:
        """Seconds that the packets play."""
        begin = max(0, (self.first_granule or 0) - self.first_samples)
        surplus = begin + self.samples - self.last_granule
        # A stream may end inside its last page. Any other difference is a claim that the packets contradict.
        most = min(self.page_samples, self.sample_rate_hz * _MOST_TRIMMED_S)
        trimmed = surplus if 0 < surplus <= most else 0
        return max(0, self.samples - trimmed - self.skipped) / self.sample_rate_hz


def ogg(content: Content, steps: Steps) -> Length:
    """Measure Opus, Vorbis, Speex or FLAC in Ogg, also chained streams.

    Raises:
        NotAudioError: damaged, cut inside a page, or without such a stream.
    """
    at, streams = 0, list[_Stream]()
    while at < len(content):
        steps.take(_PAGE_STEPS)
        head = content[at : at + 27]
        if head[:4] != b"OggS" or len(head) < 27:
            if streams and streams[-1].is_ended:
                break  # something else follows the audio
            raise NotAudioError("the ogg file is damaged or cut between its pages")
        lacing = content[at + 27 : at + 27 + head[26]]
        body_at = at + 27 + head[26]
        at = body_at + sum(lacing)
        if at > len(content):
            raise NotAudioError(f"the ogg file is cut: its last page lacks {at - len(content)} bytes")
        serial = int.from_bytes(head[14:18], "little")
        if head[5] & _BEGINS and (not streams or streams[-1].is_ended):
            if len(streams) >= _MOST_STREAMS:
                raise NotAudioError("the ogg file is made of too many streams")
            streams += _begun(serial, content[body_at : min(at, body_at + 80)])
        if streams and streams[-1].serial == serial:
            samples = _page_samples(content, body_at, lacing, streams[-1], steps, head[5])
            granule = int.from_bytes(head[6:14], "little", signed=True)
            streams[-1].end_page(granule, samples, is_last=bool(head[5] & _ENDS))
    if not streams:
        raise NotAudioError("the ogg file holds no audio that we know")
    return Length(
        duration_s=sum(stream.duration_s for stream in streams),
        sample_rate_hz=streams[0].sample_rate_hz,
        channels=streams[0].channels,
    )


def _page_samples(content: Content, at: int, lacing: bytes, stream: _Stream, steps: Steps, flags: int) -> int:
    """Count the samples of the packets that end on a page."""
    samples, begins = 0, not flags & _CONTINUED
    for size in lacing:
        if begins:
            stream.packet_head = content[at : at + min(size, _PACKET_HEAD_BYTES)]
        if stream.headers:
            stream.header_tail = (stream.header_tail + content[at : at + size])[-SETUP_TAIL_BYTES:]
        at += size
        begins = size < 255
        if not begins:
            continue
        steps.take()
        if stream.headers:
            stream.end_header()
        else:
            samples += stream.packet_samples(stream.packet_head)
    return samples


def _begun(serial: int, packet: bytes) -> tuple[_Stream, ...]:
    """The stream that begins with this packet; empty if it is not audio that we know."""
    if packet[:8] == b"OpusHead" and len(packet) >= 19:
        return (_stream(serial, _OPUS_HZ, packet[9], opus_samples, 2, skipped=_little(packet[10:12])),)
    if packet[:7] == b"\x01vorbis" and len(packet) >= 30:
        packets = VorbisPackets((1 << (packet[28] & 15), 1 << (packet[28] >> 4)))
        return (_stream(serial, _little(packet[12:16]), packet[11], packets, 3),)
    if packet[:8] == b"Speex   " and len(packet) >= 72:
        packet_samples = min(_little(packet[56:60]) * _little(packet[64:68]), 0xFFFF)
        headers = 2 + min(_little(packet[68:72]), 100)
        return (
            _stream(
                serial, _little(packet[36:40]), _little(packet[48:52]), lambda _: packet_samples, headers
            ),
        )
    if packet[:5] == b"\x7fFLAC" and len(packet) >= 51:
        fields = int.from_bytes(packet[27:35], "big")
        return (_stream(serial, fields >> 44, (fields >> 41 & 7) + 1, _flac_samples, 1),)
    return ()


def _stream(
    serial: int,
    sample_rate_hz: int,
    channels: int,
    packet_samples: _PacketSamples,
    headers: int,
    *,
    skipped: int = 0,
) -> _Stream:
    if not sample_rate_hz or not channels:
        raise NotAudioError("the ogg file does not say what its samples are")
    return _Stream(
        serial=serial,
        sample_rate_hz=sample_rate_hz,
        channels=channels,
        packet_samples=packet_samples,
        headers=headers,
        skipped=skipped,
    )


def _little(field: bytes) -> int:
    return int.from_bytes(field, "little")


def opus_samples(packet: bytes) -> int:
    """Samples at 48 kHz of an Opus packet, by its first two bytes; 0 if it is not valid."""
    if not packet:
        return 0
    code = packet[0] & 3
    frames = (1, 2, 2)[code] if code < 3 else packet[1] & 63 if len(packet) > 1 else 0
    samples = frames * _OPUS_FRAMES[packet[0] >> 3]
    return samples if samples <= _LONGEST_OPUS_PACKET else 0


def _flac_samples(packet: bytes) -> int:
    """Samples of a frame; 0 for a packet of metadata."""
    frame = flac_frame(packet)
    return frame.samples if frame else 0
