"""Reading of MiniMax's answers: audio in its three places, trace id, life of a link.

``base_resp.status_code`` decides, see `errors`. There is nothing to poll, so an answer that is neither a song
nor a readable refusal is an error after which money may be spent, and the call is never repeated.

Streamed answers are not read: ``stream: true`` is refused before anything is sent.
"""

import binascii
import logging
import re
from collections.abc import Mapping
from typing import Final

import attrs

import musicgate.plugin as mg
from musicgate.plugin import HttpResponse, JobUpdate, JsonValue, lenient
from musicgate_minimax.declaration import BLOCK, PROVIDER
from musicgate_minimax.errors import ERRORS
from musicgate_minimax.translate import SAMPLE_RATE_HZ

_log = logging.getLogger(__name__)

_TRACE_ID: Final = mg.At("trace_id")
_STATUS: Final = mg.At("data.status", "base_resp.status_msg")
#: When a signed link expires. The link itself is unchanged and never logged.
_EXPIRES: Final = re.compile(r"[?&]Expires=(\d+)")


@mg.hookimpl
def parse_response(step: mg.Step, response: HttpResponse, job: mg.Job) -> JobUpdate:
    """Read the answer to the create call, the only call of this vendor.

    Raises:
        ProviderError: it is neither a song nor a readable refusal.
    """
    if step is not mg.Step.CREATE:
        raise ERRORS.unreadable(response, "has no call but the one that makes a song")
    body = ERRORS.open(step, response)
    if isinstance(body, JobUpdate):
        return attrs.evolve(body, body=_without_hex(lenient.mapping(body.body)))
    return _song(response, body, job)


def _song(response: HttpResponse, body: Mapping[str, JsonValue], job: mg.Job) -> JobUpdate:
    data, extra = lenient.mapping(body.get("data")), lenient.mapping(body.get("extra_info"))
    status, shown = lenient.text(data.get("status")), _without_hex(body)
    if status is not None and PROVIDER.state_of(status) is mg.JobState.FAILED:
        return JobUpdate(failure=ERRORS.task_failure(status), native_status=status, body=shown)
    trace_id = _TRACE_ID.text(body) or mg.message_of(response.header("trace-id"))
    milliseconds = lenient.seconds(extra.get("music_duration"))
    track = attrs.evolve(
        _audio(response, data, extra, job),
        native_id=trace_id,
        duration_s=milliseconds / 1000 if milliseconds else None,
    )
    return JobUpdate(
        native_id=trace_id,
        native_status=_STATUS.text(body) or "success",
        # The audio is here and there is nothing to poll, so the status decides nothing.
        state=mg.JobState.COMPLETED,
        tracks=(track,),
        body=shown,
    )


def _audio(
    response: HttpResponse, data: Mapping[str, JsonValue], extra: Mapping[str, JsonValue], job: mg.Job
) -> mg.NativeTrack:
    """The audio in any of its places. ``data.audio`` is a link or hex, with no flag that says which.

    Seen: the link in ``data.audio`` (a reseller's captured reply, 2026); github.com/MiniMax-AI/cli expects
    ``data.audio_url``.
    """
    audio, link = (_text(data.get(key)) for key in ("audio", "audio_url"))
    if audio.lower().startswith("http"):
        link = audio
    elif audio:
        return mg.NativeTrack(audio=_playable(_bytes(response, audio, extra), extra, job))
    if not link:
        raise ERRORS.unreadable(response, "reported success without any audio")
    if lenient.url(link) is None or not link.isascii() or not link.isprintable() or " " in link:
        raise ERRORS.unreadable(response, "reported success with an invalid link")
    expires = _EXPIRES.search(link)
    return mg.NativeTrack(audio_url=link, expires_at=lenient.moment(expires[1]) if expires else None)


def _text(value: JsonValue) -> str:
    return value.strip() if isinstance(value, str) else ""


def _bytes(response: HttpResponse, text: str, extra: Mapping[str, JsonValue]) -> bytes:
    try:
        decoded = binascii.unhexlify(text)
    except ValueError as exc:
        raise ERRORS.unreadable(response, "reported success with audio that is no hex") from exc
    claimed = lenient.integer(extra.get("music_size"))
    # ASSUMED: a wrong music_size is the vendor's slip; the delivered bytes count.
    if claimed is not None and claimed != len(decoded):
        _log.info("music_size is wrong: claimed=%d delivered=%d", claimed, len(decoded))
    return decoded


def _playable(delivered: bytes, extra: Mapping[str, JsonValue], job: mg.Job) -> bytes:
    """The audio as a playable file: bare pcm gets a wav header, everything else is unchanged."""
    given = lenient.mapping(job.request.block(BLOCK).get("audio_setting"))
    if given.get("format") != "pcm":
        return delivered
    rate_hz = lenient.integer(extra.get("music_sample_rate")) or lenient.integer(given.get("sample_rate"))
    channels = lenient.integer(extra.get("music_channel")) or lenient.integer(given.get("channel"))
    # ASSUMED: 16 bit little-endian samples, two channels by default; the page names no sample format.
    return mg.wav_of_samples(
        delivered,
        "pcm",
        sample_rate_hz=rate_hz if rate_hz is not None and 0 < rate_hz <= 192_000 else SAMPLE_RATE_HZ,
        channels=channels if channels in {1, 2} else 2,
    )[0]


def _without_hex(body: Mapping[str, JsonValue]) -> JsonValue:
    """The body for ``upstream_response``, with a note instead of megabytes of hex."""
    data = lenient.mapping(body.get("data"))
    audio = data.get("audio")
    if not isinstance(audio, str) or audio.lower().startswith("http"):
        return body
    return {**body, "data": {**data, "audio": f"<{len(audio)} characters>"}}
