"""The checks of the emulated MiniMax: parameters, lengths of texts, and the message of each refusal."""

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from musicgate.emulation import AudioFormat, Container
from musicgate.plugin import lenient
from musicgate_minimax.declaration import MAX_DURATION_S
from musicgate_minimax.models import RULES, ModelRules

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
#: Refusals that come after the time of the work, not at once.
LATE_CODES: Final = frozenset({1000, 1001, 1024, 1027, 1033})

_SAMPLE_RATES: Final = (16_000, 24_000, 32_000, 44_100)
_BITRATES: Final = (32_000, 64_000, 128_000, 256_000)
_FORMATS: Final = ("mp3", "wav", "pcm")
_MAX_RECORDING_BYTES: Final = 50 * 1024 * 1024

# ASSUMED: three seconds a line, at least 10 s; the vendor says only that length follows lyrics and prompt.
_SECONDS_PER_LINE: Final = 3.0
_MIN_DURATION_S: Final = 10.0


def refusal_of(
    body: Mapping[str, object], model: str, features: Mapping[str, float], now: float
) -> str | None:
    """Text of the first 2013 for a body, or None; ``features`` are cover ids and when they expire."""
    rules = RULES[model]
    texts = {key: body.get(key, "") for key in ("prompt", "lyrics")}
    for key, value in texts.items():
        if not isinstance(value, str):
            return f"invalid params, {key} must be string"
    prompt, lyrics = str(texts["prompt"]).strip(), str(texts["lyrics"]).strip()
    if len(prompt) > rules.prompt_max or len(lyrics) > rules.lyrics_max:
        return "invalid params, prompt or lyrics is too long"
    if len(prompt) < rules.prompt_min:
        return "invalid params, prompt is too short"
    if rules.is_cover:
        return _reference_refusal(body, lyrics, features, now) or _encoding_refusal(body)
    return _voice_refusal(body, rules, prompt, lyrics) or _encoding_refusal(body)


def _voice_refusal(body: Mapping[str, object], rules: ModelRules, prompt: str, lyrics: str) -> str | None:
    # ASSUMED: a model without the flag ignores it and then misses the lyrics.
    if rules.takes_instrumental and body.get("is_instrumental") is True:
        return None if prompt else "invalid params, prompt is required"
    written = rules.takes_optimizer and body.get("lyrics_optimizer") is True
    return None if lyrics or (written and prompt) else "invalid params, lyrics is required"


def _reference_refusal(
    body: Mapping[str, object], lyrics: str, features: Mapping[str, float], now: float
) -> str | None:
    given = [key for key in ("audio_url", "audio_base64", "cover_feature_id") if body.get(key)]
    if len(given) != 1:
        return "invalid params, exactly one of audio_url, audio_base64, cover_feature_id is required"
    if given == ["cover_feature_id"]:
        if features.get(str(body["cover_feature_id"]), 0.0) <= now:
            return "invalid params, cover_feature_id is invalid or expired"
        return None if len(lyrics) >= 10 else "invalid params, lyrics is too short"
    return recording_refusal(body)


def recording_refusal(body: Mapping[str, object]) -> str | None:
    """Text of the 2013 for a reference recording that is not base64 or too large; None if it is good."""
    try:
        recording = base64.b64decode(str(body.get("audio_base64", "")), validate=True)
    except (binascii.Error, ValueError):
        return "invalid params, audio_base64 is invalid"
    return "invalid params, audio is too large" if len(recording) > _MAX_RECORDING_BYTES else None


def _encoding_refusal(body: Mapping[str, object]) -> str | None:
    if body.get("output_format", "hex") not in {"hex", "url"}:
        return "invalid params, output_format"
    if body.get("stream") is True and body.get("output_format", "hex") != "hex":
        return "invalid params, stream only supports hex"
    setting = lenient.mapping(body.get("audio_setting"))
    allowed = {"sample_rate": _SAMPLE_RATES, "bitrate": _BITRATES, "format": _FORMATS, "channel": (1, 2)}
    wrong = [key for key, values in allowed.items() if key in setting and setting[key] not in values]
    return f"invalid params, audio_setting.{wrong[0]}" if wrong else None


def sound_of(body: Mapping[str, object]) -> AudioFormat:
    """The format of an accepted body; the defaults are what the vendor's own tools send."""
    setting = lenient.mapping(body.get("audio_setting"))
    return AudioFormat(
        container=Container(str(setting.get("format", "mp3"))),
        sample_rate_hz=lenient.integer(setting.get("sample_rate")) or 44_100,
        bitrate_bps=lenient.integer(setting.get("bitrate")) or 256_000,
        channels=lenient.integer(setting.get("channel")) or 2,
    )


def length_s_of(body: Mapping[str, object]) -> float:
    """Length of the song in seconds, from the sung lines."""
    lines = [line.strip() for line in str(body.get("lyrics", "")).splitlines()]
    sung = [line for line in lines if line and not line.startswith("[")]
    return min(MAX_DURATION_S, max(_MIN_DURATION_S, _SECONDS_PER_LINE * len(sung)))
