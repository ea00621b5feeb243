"""HTTP answers of the emulated MiniMax, with the faulty ones behind switches; no decisions."""

import json
from collections.abc import Mapping
from typing import Final

from musicgate.plugin import HttpResponse

Switches = Mapping[str, str]

#: Every switch, its values and its meaning. Numbers are given as text.
SWITCHES: Final[Mapping[str, str]] = {
    "code": "a number: that refusal, in base_resp",
    "echo_key": "1: the text of a refusal repeats the caller's key",
    "shape": "llm: refusals in the shape of the vendor's text models",
    "http": "a status: an HTML page with it; from 500 on the song is made and billed",
    "body": "text, html, cut, empty: status 200 without readable JSON; the song is made and billed",
    "drop": "1: close the connection before the answer; the song is made and billed",
    "cut": "a number of bytes: close the connection after them; the song is made and billed",
    "data": "null, absent: no data",
    "audio": "audio_url (the link in that key), empty, upper, odd, nohex",
    "status": "number or text of data.status; 1 leaves the audio out",
    "extra": "null, no_duration, text (numbers as text), size (music_size is wrong)",
    "base_resp": "missing, text (the number as text)",
    "trace": "missing: no trace id in body and header",
    "media": "empty, cut, slow, html, forbidden, expired, missing: answer of the link",
    "link_s": "seconds until links expire (default a day)",
    "length_s": "seconds of every song",
    "delay_s": "seconds until the answer, before speed",
    "rpm": "calls per minute and key (default 120; free models 3)",
    "connections": "concurrent calls per key (default 20; free models 3)",
    "balance_usd": "balance of each key (default unlimited)",
    "free": "alive: the ended -free models make songs",
    "frame": "none, tail, full: content of the last frame of a stream",
    "sse": "json (one body instead of a stream), broken (no last frame)",
}

_FRAME_BYTES: Final = 4096


def refusal(code: int, text: str, trace_id: str, switches: Switches) -> HttpResponse:
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


def song(audio: str, extra: Mapping[str, object], trace_id: str, switches: Switches) -> HttpResponse:
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


def preprocessed(feature_id: str, audio_duration_s: float, trace_id: str) -> HttpResponse:
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


def unreadable(kind: str, answer: HttpResponse) -> HttpResponse:
    """Replace a good answer by one with status 200 that is not JSON."""
    bodies = {
        "text": b"upstream connect error",
        "html": b"<html><body>502 Bad Gateway</body></html>",
        "cut": answer.body[: len(answer.body) // 2],
        "empty": b"",
    }
    return _plain(200, bodies.get(kind, b""), "text/html" if kind == "html" else "application/json")


def page(status: int) -> HttpResponse:
    """Make the HTML page of a load balancer."""
    return _plain(status, f"<html><body><h1>{status}</h1></body></html>".encode(), "text/html")


def not_found() -> HttpResponse:
    """Make the answer of an unknown route."""
    # ASSUMED: the text of the vendor's framework; MiniMax's own is not published.
    return _plain(404, b"404 page not found", "text/plain")


def stream(audio: bytes, extra: Mapping[str, object], trace_id: str, switches: Switches) -> HttpResponse:
    """Make a song as server-sent events: frames of hex with status 1, then one with status 2.

    Sources differ on the content of the last frame: nothing, the tail, or the whole song again.
    """
    pieces = [audio[start : start + _FRAME_BYTES] for start in range(0, len(audio), _FRAME_BYTES)]
    last = {"none": b"", "full": audio}.get(switches.get("frame", "none"), pieces[-1])
    sent = pieces[:-1] if switches.get("frame") == "tail" else pieces
    frames = [_frame(piece, 1, None, trace_id) for piece in sent]
    if switches.get("sse") != "broken":
        frames.append(_frame(last, 2, extra, trace_id))
    return _plain(200, "".join(frames).encode(), "text/event-stream")


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


def _json(body: Mapping[str, object], trace_id: str | None, *, status: int = 200) -> HttpResponse:
    traced = {} if trace_id is None else {"Trace-Id": trace_id}
    answer = _plain(status, json.dumps(body).encode(), "application/json; charset=utf-8")
    return HttpResponse(status=status, headers={**answer.headers, **traced}, body=answer.body)


def _plain(status: int, body: bytes, content_type: str) -> HttpResponse:
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    return HttpResponse(status=status, headers=headers, body=body)
