"""HTTP answers of the emulated MiniMax, with the faulty ones behind switches; no decisions."""

import json
from collections.abc import Mapping
from typing import Final

import musicgate.emulation as emu
from musicgate.emulation import Call, EmulatedAnswer, Switch
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue, lenient

#: The vendor's own switches.
SWITCHES: Final = (
    Switch("shape", kinds.word("llm"), "refusals in the shape of the vendor's text models"),
    Switch("data", kinds.word("null", "absent"), "no data"),
    Switch(
        "audio",
        kinds.word("audio_url", "empty", "upper", "odd", "nohex"),
        "the audio: its link in that key, nothing, upper case, a digit short, no hex",
    ),
    Switch("status", kinds.text("a number or text"), "data.status; 1 leaves the audio out"),
    Switch(
        "extra",
        kinds.word("null", "no_duration", "text", "size"),
        "extra_info: nothing, without a length, numbers as text, a wrong music_size",
    ),
    Switch("base_resp", kinds.word("missing", "text"), "left out, or its number as text"),
    Switch("trace", kinds.word("missing"), "no trace id in body and header"),
    Switch("free", kinds.word("alive"), "the ended -free models make songs"),
    Switch("frame", kinds.word("none", "tail", "full"), "content of the last frame of a stream"),
    Switch("sse", kinds.word("json", "broken"), "one body instead of a stream, or no last frame"),
)

_FRAME_BYTES: Final = 4096


def refusal(call: Call, code: int, text: str) -> EmulatedAnswer:
    """Make a refusal: HTTP 200, with a trace id."""
    if call.switches.get("shape") == "llm":
        # Seen: on the text models (MiniMax-AI/MiniMax-M2.7 issue 36, May 2026).
        error = {"type": "api_error", "message": f"{text} ({code})", "http_code": "429"}
        return _answer(call, {"type": "error", "error": error, "request_id": call.trace[:32]}, 429)
    return _answer(call, {"data": None, **_ending(call, code, text)})


def song(call: Call, audio: str, extra: JsonObject) -> EmulatedAnswer:
    """Make the answer of a song, with the faults of the switches; ``audio`` is hex or a link."""
    shown = {"data": _data(call, audio), "extra_info": _extra(call, extra), "analysis_info": None}
    ending = _ending(call)
    if call.switches.get("base_resp") == "missing":
        del ending["base_resp"]
    return _answer(call, {**shown, **ending})


def preprocessed(call: Call, feature_id: str, length_s: float) -> EmulatedAnswer:
    """Make the answer to a cover preparation; ``structure_result`` is JSON in a text."""
    parts = [
        {"start": 0.0, "end": 2.0, "label": "intro"},
        {"start": 2.0, "end": length_s, "label": "verse"},
    ]
    found: JsonObject = {
        "cover_feature_id": feature_id,
        "formatted_lyrics": "[Intro]\n[Verse]\nThe river keeps the time for me\nRow on, row on",
        "structure_result": json.dumps({"num_segments": len(parts), "segments": parts}),
        "audio_duration": length_s,
    }
    return _answer(call, {**found, **_ending(call)})


def stream(call: Call, audio: bytes, extra: JsonObject) -> EmulatedAnswer:
    """Make a song as server-sent events: frames of hex with status 1, then one with status 2.

    Sources differ on the content of the last frame: nothing, the tail, or the whole song again.
    """
    pieces = [audio[start : start + _FRAME_BYTES] for start in range(0, len(audio), _FRAME_BYTES)]
    shown = call.switches.get("frame")
    last = pieces.pop() if shown == "tail" else audio if shown == "full" else b""
    frames = [_frame(call, piece, 1, None) for piece in pieces]
    if call.switches.get("sse") != "broken":
        frames.append(_frame(call, last, 2, extra))
    return emu.answer_bytes(200, "text/event-stream", "".join(frames).encode())


def _frame(call: Call, piece: bytes, status: int, extra: JsonValue) -> str:
    body = {"data": {"audio": piece.hex(), "status": status}, "extra_info": extra, **_ending(call)}
    return f"data: {json.dumps(body)}\n\n"


def _ending(call: Call, code: int = 0, text: str = "success") -> dict[str, JsonValue]:
    """What every body ends with; the code is zero for a success."""
    shown = str(code) if call.switches.get("base_resp") == "text" else code
    return {"trace_id": call.trace[:32], "base_resp": {"status_code": shown, "status_msg": text}}


def _data(call: Call, audio: str) -> JsonValue:
    status = call.switches.get("status", "2")
    places: Mapping[str, JsonObject] = {
        "audio_url": {"audio": "", "audio_url": audio},
        "empty": {"audio": ""},
        "upper": {"audio": audio.upper()},
        "odd": {"audio": audio[:-1]},
        "nohex": {"audio": f"zz{audio[2:]}"},
    }
    placed = places.get(call.switches.get("audio"), {"audio": audio})
    if call.switches.get("data") == "null":
        return None
    if status == "1":
        return {"status": 1}
    number = lenient.integer(status)
    return {**placed, "status": status if number is None else number}


def _extra(call: Call, extra: JsonObject) -> JsonValue:
    shapes: Mapping[str, JsonValue] = {
        "null": None,
        "no_duration": {key: value for key, value in extra.items() if key != "music_duration"},
        "text": {key: str(value) for key, value in extra.items()},
        "size": {**extra, "music_size": 1},
    }
    return shapes.get(call.switches.get("extra"), extra)


def _answer(call: Call, body: JsonObject, status: int = 200) -> EmulatedAnswer:
    absent = {
        "data": call.switches.get("data") == "absent",
        "trace_id": call.switches.get("trace") == "missing",
    }
    sent = {name: value for name, value in body.items() if not absent.get(name)}
    return emu.answer_json(status, sent, content_type="application/json; charset=utf-8")
