"""HTTP answers of the emulated MiniMax, with the faulty ones behind switches; no decisions."""

import json
from collections.abc import Mapping
from typing import Final

from musicgate.emulation import EmulatedAnswer, Switch, Switches, answer_bytes, answer_json
from musicgate.emulation import switches as kinds

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


def refusal(code: int, text: str, trace_id: str, switches: Switches) -> EmulatedAnswer:
    """Make a refusal: HTTP 200, with a trace id."""
    if switches.get("shape") == "llm":
        # Seen: on the text models (MiniMax-AI/MiniMax-M2.7 issue 36, May 2026).
        error = {"type": "api_error", "message": f"{text} ({code})", "http_code": "429"}
        return _json({"type": "error", "error": error, "request_id": trace_id}, trace_id, status=429)
    status_code: object = str(code) if switches.get("base_resp") == "text" else code
    body: dict[str, object] = {
        "data": None,
        "trace_id": trace_id,
        "base_resp": {"status_code": status_code, "status_msg": text},
    }
    if switches.get("data") == "absent":
        del body["data"]
    return _json(body, trace_id)


def song(audio: str, extra: Mapping[str, object], trace_id: str, switches: Switches) -> EmulatedAnswer:
    """Make the answer of a song, with the faults of the switches; ``audio`` is hex or a link."""
    body: dict[str, object] = {
        "data": _data(audio, switches),
        "trace_id": trace_id,
        "extra_info": _extra(extra, switches),
        "analysis_info": None,
        "base_resp": {
            "status_code": "0" if switches.get("base_resp") == "text" else 0,
            "status_msg": "success",
        },
    }
    if switches.get("data") == "absent":
        del body["data"]
    if switches.get("base_resp") == "missing":
        del body["base_resp"]
    if switches.get("trace") == "missing":
        del body["trace_id"]
        return _json(body, None)
    return _json(body, trace_id)


def preprocessed(feature_id: str, audio_duration_s: float, trace_id: str) -> EmulatedAnswer:
    """Make the answer to a cover preparation; ``structure_result`` is JSON in a text."""
    segments = [
        {"start": 0.0, "end": 2.0, "label": "intro"},
        {"start": 2.0, "end": audio_duration_s, "label": "verse"},
    ]
    body = {
        "cover_feature_id": feature_id,
        "formatted_lyrics": "[Intro]\n[Verse]\nThe river keeps the time for me\nRow on, row on",
        "structure_result": json.dumps({"num_segments": len(segments), "segments": segments}),
        "audio_duration": audio_duration_s,
        "trace_id": trace_id,
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }
    return _json(body, trace_id)


def stream(audio: bytes, extra: Mapping[str, object], trace_id: str, switches: Switches) -> EmulatedAnswer:
    """Make a song as server-sent events: frames of hex with status 1, then one with status 2.

    Sources differ on the content of the last frame: nothing, the tail, or the whole song again.
    """
    pieces = [audio[start : start + _FRAME_BYTES] for start in range(0, len(audio), _FRAME_BYTES)]
    last = {"none": b"", "full": audio}.get(switches.get("frame", "none"), pieces[-1])
    sent = pieces[:-1] if switches.get("frame") == "tail" else pieces
    frames = [_frame(piece, 1, None, trace_id) for piece in sent]
    if switches.get("sse") != "broken":
        frames.append(_frame(last, 2, extra, trace_id))
    return answer_bytes(200, "text/event-stream", "".join(frames).encode())


def _frame(piece: bytes, status: int, extra: Mapping[str, object] | None, trace_id: str) -> str:
    body = {
        "data": {"audio": piece.hex(), "status": status},
        "trace_id": trace_id,
        "extra_info": extra,
        "base_resp": {"status_code": 0, "status_msg": "success"},
    }
    return f"data: {json.dumps(body)}\n\n"


def _data(audio: str, switches: Switches) -> object:
    if switches.get("data") == "null":
        return None
    status: object = switches.get("status", "2")
    status = int(str(status)) if str(status).lstrip("-").isdigit() else status
    if status == 1:
        return {"status": 1}
    match switches.get("audio"):
        case "audio_url":
            return {"audio": "", "audio_url": audio, "status": status}
        case "empty":
            return {"audio": "", "status": status}
        case "upper":
            return {"audio": audio.upper(), "status": status}
        case "odd":
            return {"audio": audio[:-1], "status": status}
        case "nohex":
            return {"audio": f"zz{audio[2:]}", "status": status}
        case _:
            return {"audio": audio, "status": status}


def _extra(extra: Mapping[str, object], switches: Switches) -> object:
    match switches.get("extra"):
        case "null":
            return None
        case "no_duration":
            return {key: value for key, value in extra.items() if key != "music_duration"}
        case "text":
            return {key: str(value) for key, value in extra.items()}
        case "size":
            return {**extra, "music_size": 1}
        case _:
            return extra


def _json(body: Mapping[str, object], trace_id: str | None, *, status: int = 200) -> EmulatedAnswer:
    traced = {} if trace_id is None else {"Trace-Id": trace_id}
    return answer_json(status, body, traced, "application/json; charset=utf-8")
