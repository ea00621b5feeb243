"""The songs of the emulated vendor: audio, facts and their multipart body; no counters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from musicgate.emulation import AudioFormat, Container, song
from musicgate.plugin.lenient import mapping
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.emulator_call import Call

BOUNDARY: Final = "musicgate-emulator-7f3a"
#: Seconds of music and seconds of work. Seen: for music_v2, 2026. ASSUMED: the ends of the curve.
_WORK_S: Final = ((0.0, 4.0), (30.0, 8.0), (60.0, 12.0), (120.0, 20.0), (180.0, 22.0), (600.0, 60.0))
#: Short, so that a sandbox is quick. ASSUMED: the vendor takes about 30 s (switch default_length_s=30).
_DEFAULT_LENGTH_S: Final = 8.0
#: Seen: audio/mpeg. ASSUMED: the others.
_CONTENT_TYPES: Final = {
    formats.Codec.MP3: "audio/mpeg",
    formats.Codec.PCM: "audio/pcm",
    formats.Codec.OPUS: "audio/ogg",
    formats.Codec.ULAW: "audio/basic",
    formats.Codec.ALAW: "audio/basic",
}
_TITLES: Final = ("Paper Lanterns", "Harbour Light", "Slow Copper", "Ninth Street Rain")
_GENRES: Final = (["jazz", "soul"], ["folk"], ["electronic", "ambient"], ["rock"])


def length_s(call: Call) -> float:
    """Seconds of music that a call asks for."""
    wanted_ms = call.given("music_length_ms")
    if isinstance(wanted_ms, int):
        return wanted_ms / 1000
    planned_ms = plans.length_ms(call.plan) if call.plan is not None else None
    return planned_ms / 1000 if planned_ms else max(0.1, call.number("default_length_s", _DEFAULT_LENGTH_S))


def work_s(call: Call, music_s: float) -> float:
    """Seconds that the vendor needs for a length of music."""
    points = list(pairwise(_WORK_S))
    (x0, y0), (x1, y1) = next((pair for pair in points if music_s <= pair[1][0]), points[-1])
    return max(0.0, call.number("latency_s", y0 + (music_s - x0) / (x1 - x0) * (y1 - y0)))


def content_type(call: Call) -> str:
    """Media type of the audio."""
    codec = formats.parse(call.output_format).codec
    return _CONTENT_TYPES[codec or formats.Codec.MP3]


def audio(call: Call, music_s: float, seed: int) -> bytes:
    """Make the audio in the requested format."""
    output = formats.parse(call.output_format)
    codec = output.codec or formats.Codec.MP3
    channels = formats.ASSUMED_CHANNELS.get(codec, 2)
    if codec in formats.ASSUMED_CHANNELS:
        channels = int(call.number("pcm_channels", channels))
    requested = AudioFormat(
        container=Container(codec.value),
        sample_rate_hz=output.sample_rate_hz,
        bitrate_bps=output.bitrate_bps,
        channels=channels,
    )
    content = song(requested, music_s, seed)
    if call.is_on("bare_opus") and codec is formats.Codec.OPUS:
        content = _packets(content)
    if call.is_on("boundary_in_audio"):
        content = _with_boundary_bytes(content, codec)
    return content


def facts(call: Call, music_s: float, seed: int) -> dict[str, object]:
    """The JSON part of a detailed answer."""
    is_null = call.is_on("nulls")
    found: dict[str, object] = {
        "composition_plan": call.plan or plan_for(call, music_s),
        "song_metadata": {
            "title": None if is_null else _TITLES[seed % len(_TITLES)],
            "description": None if is_null else "A short piece made by an emulator.",
            "genres": None if is_null else _GENRES[seed % len(_GENRES)],
            "languages": None if is_null else ["en"],
            "is_explicit": None if is_null else False,
        },
        "words_timestamps": _words(call, music_s) if call.given("with_timestamps") is True else None,
    }
    if call.given("with_waveform_visual") is True:
        # ASSUMED: a flat list of four numbers a second.
        found["waveform_visual"] = [(seed + step * 37) % 2001 - 1000 for step in range(int(music_s * 4))]
    return dict(mapping(_camel_case(found))) if call.is_on("camel") else found


def multipart_body(call: Call, facts: Mapping[str, object], audio: bytes) -> bytes:
    """JSON, then audio, in the vendor's exact layout. Source: .../music/compose-detailed, 2026-08."""
    line_end = b"\n" if call.is_on("lf") else b"\r\n"
    mark = f"--{BOUNDARY}".encode()
    name = f"song.{formats.parse(call.output_format).codec}"
    head = [
        mark,
        b"Content-Type: application/json",
        b"",
        json.dumps(facts).encode(),
        mark,
        b"Content-Type: " + content_type(call).encode(),
        f'Content-Disposition: attachment; filename="{name}"'.encode(),
        b"",
        b"",
    ]
    before = b"made by an emulator" if call.is_on("preamble") else b""
    closing = (b"" if call.is_on("glued") else line_end) + mark + b"--" + line_end
    return before + line_end.join(head) + audio + (b"" if call.is_on("no_closing") else closing)


def plan_for(call: Call, music_s: float) -> dict[str, object]:
    """A plan of the kind of the model; later models have nulls in the condition keys (seen 2026-09-18)."""
    lengths_ms = _pieces_ms(round(music_s * 1000))
    prompt = str(call.given("prompt") or "")[:100] or "music"
    if plans.KIND_OF_MODEL.get(call.model) is plans.PlanKind.SECTIONS:
        sections: list[dict[str, object]] = [
            {
                "section_name": f"Part {number}",
                "positive_local_styles": [],
                "negative_local_styles": [],
                "duration_ms": duration_ms,
                "lines": [],
                "source_from": None,
            }
            for number, duration_ms in enumerate(lengths_ms, 1)
        ]
        return {"positive_global_styles": [prompt], "negative_global_styles": [], "sections": sections}
    chunks = [
        {
            "text": f"[Part {number}]",
            "duration_ms": duration_ms,
            "positive_styles": [prompt],
            "negative_styles": [],
            "context_adherence": "high",
            "conditioning_ref": None,
            "condition_strength": None,
        }
        for number, duration_ms in enumerate(lengths_ms, 1)
    ]
    return {"chunks": chunks}


def _pieces_ms(total_ms: int) -> list[int]:
    """Divide a length into nearly equal parts of 3 to 120 s."""
    count = max(1, -(-total_ms // 60_000))
    return [
        max(3_000, total_ms // count + (1 if number < total_ms % count else 0)) for number in range(count)
    ]


def _words(call: Call, music_s: float) -> list[dict[str, object]]:
    """The words of the lyrics, spread evenly over the song."""
    prompt = str(call.given("prompt") or "")
    lyrics = prompt.partition("Lyrics:")[2] or "la la la"
    words = [] if call.given("force_instrumental") is True else lyrics.split()
    step_ms = round(music_s * 1000) // max(1, len(words))
    return [
        {"word": word, "start_ms": index * step_ms, "end_ms": (index + 1) * step_ms}
        for index, word in enumerate(words)
    ]


def _camel_case(value: object) -> object:
    """The same value with keys in camelCase, as in the fixtures of an SDK."""
    if isinstance(value, dict):
        return {
            re.sub(r"_(.)", lambda match: match[1].upper(), key): _camel_case(item)
            for key, item in value.items()
        }
    return [_camel_case(item) for item in value] if isinstance(value, list) else value


def _packets(ogg: bytes) -> bytes:
    """The contents of the pages of an Ogg file, without the container."""
    found, at = [], 0
    while at < len(ogg):
        segments = ogg[at + 26]
        size = sum(ogg[at + 27 : at + 27 + segments])
        at += 27 + segments
        found.append(ogg[at : at + size])
        at += size
    return b"".join(found)


def _with_boundary_bytes(audio: bytes, codec: formats.Codec) -> bytes:
    """Put bytes into playable audio that look like a boundary but are no full delimiter."""
    mark = BOUNDARY.encode()
    bait = b"\r\n--\r\n--" + mark + b"x\r\n\n--" + mark[:-1] + b"\r\n--" + mark + b"--x\r\n" + b"\n\r\n"
    if codec is formats.Codec.MP3:
        tag = b"PRIV" + len(bait).to_bytes(4, "big") + b"\0\0" + bait
        size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
        return b"ID3\x03\0\0" + size + tag + audio
    if codec in formats.ASSUMED_CHANNELS:
        bait = bait[: len(bait) // 4 * 4]
        return bait + audio[len(bait) :] if len(audio) > len(bait) else audio
    return audio
