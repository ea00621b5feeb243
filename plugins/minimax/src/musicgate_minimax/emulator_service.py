"""The emulator of MiniMax: its routes, order of checks, codes, songs and links.

A key that begins with ``free-plan`` has no paid model (2061), one with ``window-used`` a used-up plan window
(2056).
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import attrs

import musicgate.emulation as emu
from musicgate.emulation import Call, EmulatedAnswer, No
from musicgate.plugin import JsonObject, lenient
from musicgate_minimax import emulator_answers as answers
from musicgate_minimax.declaration import COVER, MAX_DURATION_S, MODELS, PROVIDER
from musicgate_minimax.errors import CODES
from musicgate_minimax.translate import BITRATE_BPS, ROUTE, SAMPLE_RATE_HZ

#: Life of a link: a day. Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
LINK_LIFE_S: Final = 86_400.0
#: What a cover preparation takes.
_RECORDING: Final = tuple(field for field in COVER if field.name.startswith("audio_"))
#: Refusals that come after the time of the work, not at once.
_LATE_CODES: Final = frozenset({1000, 1001, 1024, 1027, 1033})
#: Seen: 30 to over 120 s (openclaw/openclaw, 2026).
_BASE_DELAY_S: Final = 30.0


class MiniMaxEmulator(emu.EmulatedVendor[emu.Task]):
    """An emulated MiniMax."""

    provider = PROVIDER
    price = 0.15
    # ASSUMED: this order.
    checks = ("key", "model", "credits", "account", "rate", "concurrent", "fault", "limits", "request")
    media_paths = ("/music%2Fprod%2F", "/music/prod/")
    slow_bytes_per_s = 64_000.0
    texts = MappingProxyType({code: text for code, (_, text) in CODES.items() if text})
    refusals = MappingProxyType(
        {
            No.NO_KEY: (1004, ""),
            No.BAD_KEY: (2049, ""),
            No.NO_CREDITS: (1008, ""),
            No.TOO_OFTEN: (1002, ""),
            No.TOO_MANY: (1041, ""),
            No.INVALID: (2013, ""),
        }
    )
    refused_keys = MappingProxyType({"window-used": (2056, "")})
    switches = answers.SWITCHES

    def __init__(self, options: emu.EmulatorOptions) -> None:
        super().__init__(options)
        #: Cover id -> when it expires.
        self._features: dict[str, float] = {}

    def headers_of(self, call: Call) -> Mapping[str, str]:
        """The trace id, which is in the body as well."""
        return {} if call.switches.get("trace") == "missing" else {"Trace-Id": call.trace[:32]}

    def refuse(self, call: Call, code: int, text: str) -> EmulatedAnswer:
        """Make a refusal; some come only after the time of the work."""
        if code == 2056:
            text = _window_text(call.now)
        elif code == 2013 and text != self.texts[code]:
            text = f"{self.texts[code]}, {text}"
        late_s = call.switches.number("done_s", _BASE_DELAY_S) / self.options.speed
        answer = answers.refusal(call, code, text)
        return attrs.evolve(answer, delay_s=late_s if code in _LATE_CODES else 0.0)

    def no_route(self, call: Call) -> EmulatedAnswer:
        """Make the 404 of an unknown route."""
        # ASSUMED: the text of the vendor's framework; MiniMax's own is not published.
        return emu.answer_bytes(404, "text/plain", b"404 page not found")

    def denied(self, status: int, why: str) -> EmulatedAnswer:
        """Make the error of the object store."""
        # ASSUMED: the usual answer of an OSS for an expired link; MiniMax's own is not published.
        code = {"missing": "NoSuchKey", "unsigned": "SignatureDoesNotMatch"}.get(why, "AccessDenied")
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>\n'
        return emu.answer_bytes(status, "application/xml", body.encode())

    def rate_of(self, call: Call) -> emu.Rate | None:
        """Return the window of the model."""
        return emu.Rate(3, 60.0) if _is_free(call) else self.rate

    def concurrent_of(self, call: Call) -> int | None:
        """Return the concurrent calls of the model."""
        return 3 if _is_free(call) else self.concurrent

    def check_model(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a model that is unknown, has ended, or is outside the plan."""
        model = _model(call)
        if model not in MODELS:
            # ASSUMED: 2013 for an unknown model.
            return self.refused(call, No.INVALID, f"unknown model {model}")
        # ASSUMED: the ended models answer like models outside the plan; their real answer is not known.
        has_ended = call.switches.get("free") != "alive"
        is_outside = has_ended if _is_free(call) else call.key.startswith("free-plan")
        return self.refuse(call, 2061, f"{self.texts[2061]}, {model}") if is_outside else None

    def check_request(self, call: Call) -> EmulatedAnswer | None:
        """Refuse fields of a song that do not go together, and a cover without its one recording."""
        fault = self._cover_fault(call) if _is_cover(call) else _voice_fault(call)
        if call.body.get("stream") is True and call.body.get("output_format") == "url":
            fault = fault or "stream only supports hex"
        return self.refused(call, No.INVALID, fault) if fault else None

    def check_recording(self, call: Call) -> EmulatedAnswer | None:
        """Refuse a cover preparation without exactly one readable recording."""
        fault = _recording_fault(call, "audio_url", "audio_base64") if _is_cover(call) else "model"
        return self.refused(call, No.INVALID, fault) if fault else None

    def _cover_fault(self, call: Call) -> str | None:
        fault = _recording_fault(call, "audio_url", "audio_base64", "cover_feature_id")
        feature_id = call.body.get("cover_feature_id")
        if fault or not feature_id:
            return fault
        if self._features.get(str(feature_id), 0.0) <= call.now:
            return "cover_feature_id is invalid or expired"
        return None if len(str(call.body.get("lyrics", "")).strip()) >= 10 else "lyrics is too short"

    @emu.route(f"POST {ROUTE}", emu.Kind.CREATE)
    def create(self, call: Call) -> EmulatedAnswer:
        """Make a song, and answer with it when it is done."""
        asked_s, *_ = call.switches.numbers("song_s") or (_length_s(call),)
        length_s = min(MAX_DURATION_S, asked_s)
        task = self.accept(call, task_id=call.trace[:32], done_s=_BASE_DELAY_S + 0.3 * length_s)
        expires_s = float(int(call.now + call.switches.number("link_s", LINK_LIFE_S)))
        file = emu.MediaFile(
            sound=_sound(call),
            length_s=length_s,
            seed=int(task.id[:8], 16),
            switches=call.switches,
            expires_s=expires_s,
        )
        return attrs.evolve(self._song(call, file, expires_s), delay_s=task.ends_at_s - call.now)

    def _song(self, call: Call, file: emu.MediaFile, expires_s: float) -> EmulatedAnswer:
        content = file.read()
        extra: JsonObject = {
            "music_duration": round(file.length_s * 1000),
            "music_sample_rate": file.sound.sample_rate_hz,
            "music_channel": file.sound.channels,
            "bitrate": file.sound.bitrate_bps,
            "music_size": len(content),
        }
        if call.body.get("stream") is True and call.switches.get("sse") != "json":
            return answers.stream(call, content, extra)
        if call.body.get("output_format") != "url":
            return answers.song(call, content.hex(), extra)
        # Seen: object named by trace id, milliseconds and four digits, slashes percent-encoded; Expires,
        # OSSAccessKeyId and Signature in the query (a reseller's captured reply, 2026).
        numbers = f"{int(call.now * 1000)}_{file.seed % 10_000:04d}"
        name = f"music/prod/{call.trace[:32]}_{numbers}.{file.sound.container}"
        path = self.media.add(f"/{quote(name, safe='')}", file)
        signed = self.media.signed(
            path, expires_s, expires="Expires", signature="Signature", OSSAccessKeyId="emulated"
        )
        return answers.song(call, call.origin + signed, extra)

    def serve_media(self, call: Call) -> EmulatedAnswer:
        """Serve a link: 403 with XML if it is expired or its signature is wrong."""
        is_signed = self.media.is_signed(call, expires="Expires", signature="Signature")
        return super().serve_media(call) if is_signed else self.denied(403, "unsigned")

    @emu.route(
        "POST /v1/music_cover_preprocess",
        checks=("key", "model", "limits", "recording"),
        fields=_RECORDING,
    )
    def preprocess(self, call: Call) -> EmulatedAnswer:
        """Prepare a reference recording: its id comes from its content and is valid for a day."""
        recording = call.body.get("audio_url") or call.body.get("audio_base64")
        feature_id = emu.digest(recording)[:32]
        self._features[feature_id] = call.now + LINK_LIFE_S
        return answers.preprocessed(call, feature_id, 30.0)


def _model(call: Call) -> str:
    return str(call.body.get("model") or "")


def _is_free(call: Call) -> bool:
    return _model(call).endswith("-free")


def _is_cover(call: Call) -> bool:
    return "cover" in _model(call)


def _voice_fault(call: Call) -> str | None:
    # ASSUMED: a model without a flag ignores it and then misses the lyrics.
    flags = {field.name for field in MODELS[_model(call)].fields if call.body.get(field.name) is True}
    prompt, lyrics = (str(call.body.get(name, "")).strip() for name in ("prompt", "lyrics"))
    is_sung = lyrics or "is_instrumental" in flags or ("lyrics_optimizer" in flags and prompt)
    return None if is_sung else "lyrics is required"


def _recording_fault(call: Call, *names: str) -> str | None:
    if len([name for name in names if call.body.get(name)]) != 1:
        return f"exactly one of {', '.join(names)} is required"
    try:
        base64.b64decode(str(call.body.get("audio_base64", "")), validate=True)
    except ValueError:
        return "audio_base64 is invalid"
    return None


def _sound(call: Call) -> emu.AudioFormat:
    """The format of an accepted body; the defaults are what the vendor's own tools send."""
    setting = lenient.mapping(call.body.get("audio_setting"))
    return emu.AudioFormat(
        container=emu.Container(str(setting.get("format", "mp3"))),
        sample_rate_hz=lenient.integer(setting.get("sample_rate")) or SAMPLE_RATE_HZ,
        bitrate_bps=lenient.integer(setting.get("bitrate")) or BITRATE_BPS,
        channels=lenient.integer(setting.get("channel")) or 2,
    )


def _length_s(call: Call) -> float:
    """Length of the song in seconds. ASSUMED: three a sung line, at least ten."""
    lines = [line.strip() for line in str(call.body.get("lyrics", "")).splitlines()]
    return max(10.0, 3.0 * len([line for line in lines if line and not line.startswith("[")]))


def _window_text(now: float) -> str:
    # Seen: a text of this form (MiniMax-AI/MiniMax-MCP issue 80, May 2026).
    reset = datetime.fromtimestamp(now + 7200.0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    window = "5-hour usage limit reached for Token Plan Starter (1500/1500 used)"
    return f"usage limit exceeded, {window}, resets at {reset}"
