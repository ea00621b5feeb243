"""The songs of the emulated vendor: audio, facts, plans, and the bodies that carry them; no decisions."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

import attrs

import musicgate.emulation as em
from musicgate.emulation import Call
from musicgate.plugin import JsonObject, JsonValue
from musicgate_elevenlabs import formats, plans
from musicgate_elevenlabs.emulator_checks import plan_of

#: Seconds of music and seconds of work. Seen: for music_v2, 2026. ASSUMED: the ends of the curve.
_WORK_S: Final = ((0.0, 4.0), (30.0, 8.0), (60.0, 12.0), (120.0, 20.0), (180.0, 22.0), (600.0, 60.0))
#: Short, so that a sandbox is quick. ASSUMED: the vendor takes about 30 s (switch song_s=30).
_DEFAULT_LENGTH_S: Final = 8.0
_TITLES: Final = ("Paper Lanterns", "Harbour Light", "Slow Copper", "Ninth Street Rain")
_GENRES: Final[tuple[list[JsonValue], ...]] = (["jazz", "soul"], ["folk"], ["electronic"], ["rock"])
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#: The rest of a piece of each kind of plan. Seen: without source_from, 2026-06-29.
_SECTION: Final[JsonObject] = {"positive_local_styles": [], "negative_local_styles": [], "lines": []}
_CHUNK: Final[JsonObject] = {
    "negative_styles": [],
    "context_adherence": "high",
    "conditioning_ref": None,
    "condition_strength": None,
}
#: Audio chunks of an event stream.
_CHUNKS: Final = 4


@attrs.frozen(kw_only=True)
class Song:
    """A song of a call; its id has twenty letters and digits (seen 2026-06-29)."""

    call: Call
    id: str
    file: em.MediaFile

    @property
    def boundary(self) -> str:
        """Of a detailed answer. Seen: this form, 2026-06-29."""
        return f"----boundary{self.call.trace[:32]}"


def song_of(call: Call) -> Song:
    """The song that a call asks for."""
    output, seed = formats.parse(output_format(call)), call.body.get("seed")
    codec, faults = output.codec or formats.Codec.MP3, call.switches.get_all("audio")
    sound = em.AudioFormat(
        container="bare_opus" if codec == "opus" and "bare_opus" in faults else codec,
        sample_rate_hz=output.sample_rate_hz,
        bitrate_bps=output.bitrate_bps,
        channels=1 if "law" in codec or ("mono" in faults and output.is_headerless) else 2,
    )
    letters = (_ALPHABET[int(pair, 16) % len(_ALPHABET)] for pair in re.findall("..", call.trace[:40]))
    seed = seed if isinstance(seed, int) else int(call.trace[:6], 16)
    return Song(
        call=call, id="".join(letters), file=em.MediaFile(sound=sound, length_s=length_s(call), seed=seed)
    )


def output_format(call: Call) -> str:
    """The output format of the query, with ``auto`` resolved; the oldest model is the vendor's default."""
    name = call.query.get("output_format", "auto")
    is_first = call.body.get("model_id") in {None, "music_v1"}
    return name if name != "auto" else "mp3_44100_128" if is_first else "mp3_48000_192"


def length_s(call: Call) -> float:
    """Seconds of music that a call asks for."""
    forced, wanted_ms = call.switches.numbers("song_s"), call.body.get("music_length_ms")
    if forced:
        return max(0.1, forced[0])
    if isinstance(wanted_ms, int):
        return wanted_ms / 1000
    plan = plan_of(call) or call.body.get("source_composition_plan")
    return (plans.length_ms(plan) or 0) / 1000 or _DEFAULT_LENGTH_S


def work_s(music_s: float) -> float:
    """Seconds that the vendor needs for a length of music."""
    points = list(pairwise(_WORK_S))
    (x0, y0), (x1, y1) = next((pair for pair in points if music_s <= pair[1][0]), points[-1])
    return y0 + (music_s - x0) / (x1 - x0) * (y1 - y0)


def audio(song: Song, part: int = 0) -> bytes:
    """Make the audio of a song, or of one of its stems."""
    content = attrs.evolve(song.file, seed=song.file.seed + part).read()
    has_bait = "boundary" in song.call.switches.get_all("audio")
    return em.with_boundary_inside(content, song.boundary) if has_bait else content


def facts(song: Song) -> JsonObject:
    """The JSON part of a detailed answer."""
    faults, body = song.call.switches.get_all("detailed"), song.call.body
    metadata: dict[str, JsonValue] = {
        "title": _TITLES[song.file.seed % len(_TITLES)],
        "description": "A short piece made by an emulator.",
        "genres": _GENRES[song.file.seed % len(_GENRES)],
        "languages": ["English"],
        "is_explicit": False,
    }
    found: dict[str, JsonValue] = {
        "composition_plan": plan_of(song.call) or plan_for(song.call, song.file.length_s),
        "song_metadata": dict.fromkeys(metadata) if "nulls" in faults else metadata,
        "words_timestamps": _words(song) if body.get("with_timestamps") is True else None,
    }
    if body.get("with_waveform_visual") is True:
        # Four numbers a second. Source: elevenlabs-python 2.78.0.
        steps = range(int(song.file.length_s * 4))
        found["waveform_visual"] = [(song.file.seed + step * 37) % 2001 - 1000 for step in steps]
    return found


def carried(song: Song) -> tuple[str, bytes]:
    """The media type and the body of an answer, by its route."""
    if song.call.path.endswith("/detailed"):
        return f"multipart/mixed; boundary={song.boundary}", _multipart(song)
    if song.call.path.endswith("/detailed/stream"):
        return "text/event-stream", _event_stream(song)
    return song.file.media_type, audio(song)


def _multipart(song: Song) -> bytes:
    """JSON, then audio, in the vendor's exact layout. Seen: 2026-06-29."""
    faults, found, kind = song.call.switches.get_all("detailed"), facts(song), song.file.media_type
    name = f'attachment; filename="music.{song.file.sound.container}"'
    told = json.dumps(em.camel_case(found) if "camel" in faults else found).encode()
    return em.write_multipart(
        song.boundary,
        ({"Content-Type": "application/json"}, told),
        ({"Content-Type": kind, "Content-Disposition": name}, audio(song)),
        faults=faults,
    )


def _event_stream(song: Song) -> bytes:
    """The events of a detailed stream.

    ASSUMED: this shape and the key of the audio; the vendor's pages only name the events, and disagree on
    where the words are. The SDKs (2.78.0, 2.73.0) read a JSON string per line and no server-sent events.
    """
    frames = (json.dumps({"event": name, "data": data}) for name, data in _events(song))
    if song.call.switches.get("events") == "strings":
        return "".join(f"{json.dumps(frame)}\n" for frame in frames).encode()
    return "".join(f"data: {frame}\n\n" for frame in frames).encode()


def _events(song: Song) -> Iterator[tuple[str, JsonObject]]:
    found, content = facts(song), audio(song)
    yield "composition_plan", {"composition_plan": found["composition_plan"]}
    yield "song_metadata", {"song_metadata": found["song_metadata"]}
    for number in range(_CHUNKS):
        chunk = content[number * len(content) // _CHUNKS : (number + 1) * len(content) // _CHUNKS]
        parts = {
            name: listed[number * len(listed) // _CHUNKS : (number + 1) * len(listed) // _CHUNKS]
            for name, listed in found.items()
            if isinstance(listed, list)
        }
        yield "audio_chunk", {"audio_base64": base64.b64encode(chunk).decode(), **parts}
    yield "completion", {"song_id": song.id}


def archive(files: Mapping[str, bytes]) -> bytes:
    """A zip file, uncompressed. Seen: 2026-06-29."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def plan_for(call: Call, music_s: float, model: str = "") -> JsonObject:
    """A plan of the kind of the model; later models have nulls in the condition keys (seen 2026-09-18)."""
    prompt = str(call.body.get("prompt") or "")[:100] or "music"
    numbered = enumerate(_pieces_ms(round(music_s * 1000)), 1)
    kind = plans.KIND_OF_MODEL.get(model or str(call.body.get("model_id") or "music_v1"))
    if kind is plans.PlanKind.SECTIONS:
        sections: list[JsonValue] = [
            {"section_name": f"Part {number}", "duration_ms": duration_ms, **_SECTION}
            for number, duration_ms in numbered
        ]
        return {"positive_global_styles": [prompt], "negative_global_styles": [], "sections": sections}
    chunks: list[JsonValue] = [
        {"text": f"[Part {number}]", "duration_ms": duration_ms, "positive_styles": [prompt], **_CHUNK}
        for number, duration_ms in numbered
    ]
    return {"chunks": chunks}


def _pieces_ms(total_ms: int) -> list[int]:
    """Divide a length into nearly equal parts of 3 to 120 s."""
    count = max(1, -(-total_ms // 60_000))
    return [
        max(3_000, total_ms // count + (1 if number < total_ms % count else 0)) for number in range(count)
    ]


def _words(song: Song) -> list[JsonValue]:
    """The words of the lyrics, spread evenly over the song."""
    body = song.call.body
    lyrics = str(body.get("prompt") or "").partition("Lyrics:")[2] or "la la la"
    words = [] if body.get("force_instrumental") is True else lyrics.split()
    step_ms = round(song.file.length_s * 1000) // max(1, len(words))
    return [
        {"word": word, "start_ms": index * step_ms, "end_ms": (index + 1) * step_ms}
        for index, word in enumerate(words)
    ]
