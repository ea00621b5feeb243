"""HTTP answers of the emulated MiniMax, with the faulty ones behind switches; no decisions."""

import json
from collections.abc import Mapping
from typing import Final

from musicgate.emulation import Call, EmulatedAnswer, Switch, answer_bytes, answer_json
from musicgate.emulation import switches as kinds
from musicgate.plugin import JsonObject, JsonValue, lenient

#: Text of each code, after the page; 2061 as it was seen (openclaw/openclaw issue 64870, April 2026).
#: Source: https://platform.minimax.io/docs/api-reference/errorcode, July 2026.
TEXTS: Final[Mapping[int, str]] = {
    1000: "unknown error",
    1001: "request timeout",
    1002: "rate limit",
    1004: "login fail: Please carry the API secret key in the 'Authorization' field of the request header",
    1008: "insufficient balance",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1033: "downstream service error",
    1039: "token limit",
    1041: "conn limit",
    1042: "invisible character ratio limit",
    2013: "invalid params",
    2044: "no permission to access this interface",
    2045: "rate growth limit",
    2049: "invalid api key",
    2061: "your current token plan not support model",
}

#: The vendor's own switches, and neutral ones with values of its own.
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
    ending = _ending(call)
    if call.switches.get("base_resp") == "missing":
        del ending["base_resp"]
    shown = {"data": _data(call, audio), "extra_info": _extra(call, extra), "analysis_info": None}
    return _answer(call, {**shown, **ending})


def preprocessed(call: Call, feature_id: str, audio_duration_s: float) -> EmulatedAnswer:
    """Make the answer to a cover preparation; ``structure_result`` is JSON in a text."""
    segments = [
        {"start": 0.0, "end": 2.0, "label": "intro"},
        {"start": 2.0, "end": audio_duration_s, "label": "verse"},
    ]
    found: JsonObject = {
        "cover_feature_id": feature_id,
        "formatted_lyrics": "[Intro]\n[Verse]\nThe river keeps the time for me\nRow on, row on",
        "structure_result": json.dumps({"num_segments": len(segments), "segments": segments}),
        "audio_duration": audio_duration_s,
    }
    return _answer(call, {**found, **_ending(call)})


def stream(call: Call, audio: bytes, extra: JsonObject) -> EmulatedAnswer:
    """Make a song as server-sent events: frames of hex with status 1, then one with status 2.

    Sources differ on the content of the last frame: nothing, the tail, or the whole song again.
    """
    pieces = [audio[start : start + _FRAME_BYTES] for start in range(0, len(audio), _FRAME_BYTES)]
    shown = call.switches.get("frame", "none")
    last = {"none": b"", "full": audio}.get(shown, pieces[-1])
    sent: list[tuple[bytes, int]] = [(piece, 1) for piece in (pieces[:-1] if shown == "tail" else pieces)]
    if call.switches.get("sse") != "broken":
        sent.append((last, 2))
    frames = (
        {
            "data": {"audio": piece.hex(), "status": status},
            "extra_info": extra if status == 2 else None,
            **_ending(call),
        }
        for piece, status in sent
    )
    events = "".join(f"data: {json.dumps(frame)}\n\n" for frame in frames)
    return answer_bytes(200, "text/event-stream", events.encode())


def _ending(call: Call, code: int = 0, text: str = "success") -> dict[str, JsonValue]:
    """What every body ends with; the code is zero for a success."""
    shown = str(code) if call.switches.get("base_resp") == "text" else code
    return {"trace_id": call.trace[:32], "base_resp": {"status_code": shown, "status_msg": text}}


def _data(call: Call, audio: str) -> JsonValue:
    if call.switches.get("data") == "null":
        return None
    status = call.switches.get("status", "2")
    number = lenient.integer(status)
    if number == 1:
        return {"status": 1}
    places: Mapping[str, JsonObject] = {
        "audio_url": {"audio": "", "audio_url": audio},
        "empty": {"audio": ""},
        "upper": {"audio": audio.upper()},
        "odd": {"audio": audio[:-1]},
        "nohex": {"audio": f"zz{audio[2:]}"},
    }
    placed = places.get(call.switches.get("audio"), {"audio": audio})
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
    absent = {"data"} if call.switches.get("data") == "absent" else set()
    headers = {"Trace-Id": call.trace[:32]}
    if call.switches.get("trace") == "missing":
        absent, headers = {*absent, "trace_id"}, {}
    sent = {name: value for name, value in body.items() if name not in absent}
    return answer_json(status, sent, headers, "application/json; charset=utf-8")
