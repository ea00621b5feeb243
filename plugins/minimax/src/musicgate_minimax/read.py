"""Reading of MiniMax's answers: result code, audio in its three places, trace id, life of a link.

``base_resp.status_code`` decides: errors come with HTTP 200, and with a trace id. Success needs both code 0
and a 2xx status. There is nothing to poll, so an answer that is neither a song nor a readable refusal is an
error after which money may be spent, and the call is never repeated.

Streamed answers are not read: ``stream: true`` is refused before anything is sent.
"""

import binascii
import logging
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import attrs

from musicgate.plugin import (
    AudioKind,
    Failure,
    FailureClass,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    JsonValue,
    NativeTrack,
    ProviderError,
    Step,
    hookimpl,
    lenient,
    riff_wav,
    sniff,
)
from musicgate_minimax.codes import CODES, class_of_code, class_of_status
from musicgate_minimax.parts import BLOCK
from musicgate_minimax.translate import SAMPLE_RATE_HZ

_log = logging.getLogger(__name__)

#: The vendor's messages are truncated to this length.
MESSAGE_MAX_CHARS: Final = 500
#: Texts of ``data.status``. Seen: only the number 2; the texts are those of the documented contract.
STATE_OF_STATUS: Final[Mapping[str, JobState]] = {
    **dict.fromkeys(("success", "succeeded", "completed", "finished"), JobState.COMPLETED),
    **dict.fromkeys(("running", "processing", "in_progress"), JobState.IN_PROGRESS),
    **dict.fromkeys(("queued", "pending", "submitted"), JobState.QUEUED),
    **dict.fromkeys(("failed", "error", "cancelled", "canceled"), JobState.FAILED),
}
#: Seen: "..., resets at 2026-05-12T15:00:00Z" (MiniMax-AI/MiniMax-MCP issue 80, May 2026), elsewhere followed
#: by " (2056)".
_RESET: Final = re.compile(
    r"resets?\s+(?:at|on|in)?\s*:?\s*(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:?\d\d)?)",
    re.IGNORECASE,
)
_WINDOW_USED_UP: Final = "2056"
#: Wait after a 2056 whose text names no reset. ASSUMED: the windows last hours, so a short wait is useless.
_WINDOW_WAIT_S: Final = 300.0
_CODE_IN_TEXT: Final = re.compile(r"\((\d{4,5})\)\s*$")


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """Map a native status, a text or a number; 2 is done, and no other has been seen."""
    number = lenient.integer(native_status)
    if number is None:
        return STATE_OF_STATUS.get(native_status.strip().lower())
    if number >= 2:
        return JobState.COMPLETED
    if number < 0:
        return JobState.FAILED
    return JobState.IN_PROGRESS if number else JobState.QUEUED


@hookimpl
def parse_response(step: Step, response: HttpResponse, job: Job) -> JobUpdate:
    """Read the answer to the create call, the only call of this vendor.

    Raises:
        ProviderError: it is neither a song nor a readable refusal.
    """
    if step is not Step.CREATE:
        failure = Failure(
            reason=FailureClass.PROTOCOL, message="MiniMax has no call but the one that makes a song"
        )
        raise ProviderError(failure, status=response.status)
    body = _object(response)
    base = lenient.mapping(body.get("base_resp"))
    code = lenient.integer(base.get("status_code"))
    if code is not None and code != 0:
        return _refused(response, body, *class_of_code(code), code=str(code), text=base.get("status_msg"))
    if code == 0 and not response.is_success:
        raise _contradiction(response)
    if code is None and (not response.is_success or lenient.mapping(body.get("error"))):
        return _refused_without_code(response, body)
    return _song(response, body, job)


def _object(response: HttpResponse) -> Mapping[str, JsonValue]:
    """The body as an object; an empty one for a 4xx whose body cannot be read."""
    try:
        return response.json_object()
    except ProviderError:
        if 400 <= response.status < 500:
            return {}
        if response.status >= 500:
            raise _outage(response) from None
        raise


def _outage(response: HttpResponse) -> ProviderError:
    """The error of a 5xx whose body does not rule out that a song was made."""
    message = f"MiniMax answered with HTTP {response.status}"
    failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=message)
    return ProviderError(failure, status=response.status, maybe_accepted=True)


def _contradiction(response: HttpResponse) -> ProviderError:
    """The error of a success code under an HTTP error status: the lost song may have been paid for."""
    if response.status >= 500:
        return _outage(response)
    refused = 400 <= response.status < 500
    reason = class_of_status(response.status)[0] if refused else FailureClass.PROTOCOL
    failure = Failure(
        reason=reason,
        message=f"MiniMax answered with HTTP {response.status} around a body that says success",
        retry_after_s=lenient.retry_after_s(response),
    )
    return ProviderError(failure, status=response.status, maybe_accepted=True)


def _unreadable(response: HttpResponse, message: str) -> ProviderError:
    """The error of a success without a song: it may have been paid for."""
    failure = Failure(reason=FailureClass.PROTOCOL, message=message)
    return ProviderError(failure, status=response.status, maybe_accepted=True)


def _refused(
    response: HttpResponse,
    body: Mapping[str, JsonValue],
    reason: FailureClass,
    message: str,
    *,
    code: str | None,
    text: JsonValue,
) -> JobUpdate:
    """Read a refusal. The trace id does not become the native id: nothing was created."""
    native_message = _clean(text)
    if code == _WINDOW_USED_UP and "(0/0 used)" in (native_message or ""):
        # Seen: for models that the plan never includes (MiniMax-AI/MiniMax-MCP issue 80, May 2026).
        message = "the MiniMax plan has no allowance for this model"
    limited = reason is FailureClass.RATE_LIMITED
    failure = Failure(
        reason=reason,
        message=message,
        native_code=code,
        native_message=native_message,
        retry_after_s=_wait_s(code, native_message or "", response) if limited else None,
    )
    return JobUpdate(failure=failure, body=_without_hex(body))


def _refused_without_code(response: HttpResponse, body: Mapping[str, JsonValue]) -> JobUpdate:
    """Read a refusal without ``base_resp``: the shape of the text models, or the HTTP status alone.

    Raises:
        ProviderError: a 5xx without a known code, or a redirect.
    """
    error = lenient.mapping(body.get("error"))
    text = error.get("message")
    # Seen on the text models only: {"type": "error", "error": {type, message, http_code}, "request_id"}, the
    # code at the end of the message (MiniMax-AI/MiniMax-M2.7 issue 36, May 2026).
    found = _CODE_IN_TEXT.search(text) if isinstance(text, str) else None
    if found and int(found[1]) in CODES:
        return _refused(response, body, *class_of_code(int(found[1])), code=found[1], text=text)
    http_code = lenient.integer(error.get("http_code"))
    status = http_code if response.is_success and http_code is not None else response.status
    if 400 <= status < 500:
        return _refused(response, body, *class_of_status(status), code=None, text=text)
    if status >= 500:
        raise _outage(response)
    raise _unreadable(
        response, f"MiniMax answered with HTTP {response.status} and neither a song nor a reason"
    )


def _song(response: HttpResponse, body: Mapping[str, JsonValue], job: Job) -> JobUpdate:
    data, extra = lenient.mapping(body.get("data")), lenient.mapping(body.get("extra_info"))
    status = lenient.text(data.get("status"))
    if status is not None and map_status(status) is JobState.FAILED:
        failure = Failure(
            reason=FailureClass.UPSTREAM_FAILED,
            message="MiniMax reported that the song failed",
            native_code=status,
        )
        return JobUpdate(failure=failure, native_status=status, body=_without_hex(body))
    trace_id = _clean(lenient.text(body.get("trace_id")) or response.header("trace-id"))
    milliseconds = lenient.seconds(extra.get("music_duration"))
    track = attrs.evolve(
        _audio(response, data, extra, job),
        native_id=trace_id,
        duration_s=milliseconds / 1000 if milliseconds else None,
    )
    return JobUpdate(
        native_id=trace_id,
        native_status=_clean(status)
        or _clean(lenient.mapping(body.get("base_resp")).get("status_msg"))
        or "success",
        # The audio is here and there is nothing to poll, so the status decides nothing.
        state=JobState.COMPLETED,
        tracks=(track,),
        body=_without_hex(body),
    )


def _audio(
    response: HttpResponse, data: Mapping[str, JsonValue], extra: Mapping[str, JsonValue], job: Job
) -> NativeTrack:
    """The audio in any of its places. ``data.audio`` is a link or hex, with no flag that says which.

    Seen: the link in ``data.audio`` (a reseller's captured reply, 2026); github.com/MiniMax-AI/cli expects
    ``data.audio_url``.
    """
    audio, link = (_text(data.get(key)) for key in ("audio", "audio_url"))
    if audio.lower().startswith("http"):
        link = audio
    elif audio:
        return NativeTrack(audio=_playable(_bytes(response, audio, extra), extra, job))
    if not link:
        raise _unreadable(response, "MiniMax reported success without any audio")
    if lenient.url(link) is None or not link.isascii() or not link.isprintable() or " " in link:
        raise _unreadable(response, "MiniMax reported success with an invalid link")
    return NativeTrack(audio_url=link, expires_at=_expiry(link))


def _text(value: JsonValue) -> str:
    return value.strip() if isinstance(value, str) else ""


def _bytes(response: HttpResponse, text: str, extra: Mapping[str, JsonValue]) -> bytes:
    try:
        decoded = binascii.unhexlify(text)
    except ValueError as exc:
        raise _unreadable(response, "MiniMax reported success with audio that is no hex") from exc
    claimed = lenient.integer(extra.get("music_size"))
    # ASSUMED: a wrong music_size is the vendor's slip; the delivered bytes count.
    if claimed is not None and claimed != len(decoded):
        _log.info("music_size is wrong: claimed=%d delivered=%d", claimed, len(decoded))
    return decoded


def _playable(delivered: bytes, extra: Mapping[str, JsonValue], job: Job) -> bytes:
    """The audio as a playable file: bare pcm gets a wav header, everything else is unchanged."""
    given = lenient.mapping(job.request.block(BLOCK).get("audio_setting"))
    if given.get("format") != "pcm" or sniff(delivered[:64]) is AudioKind.WAV:
        return delivered
    rate_hz = lenient.integer(extra.get("music_sample_rate")) or lenient.integer(given.get("sample_rate"))
    channels = lenient.integer(extra.get("music_channel")) or lenient.integer(given.get("channel"))
    # ASSUMED: 16 bit little-endian samples, two channels by default; the page names no sample format.
    channels = channels if channels in {1, 2} else 2
    rate_hz = rate_hz if rate_hz is not None and 0 < rate_hz <= 192_000 else SAMPLE_RATE_HZ
    whole = delivered[: len(delivered) - len(delivered) % (2 * channels)]
    return riff_wav(whole, sample_rate_hz=rate_hz, channels=channels)


def _expiry(link: str) -> datetime | None:
    """When a signed link expires, by its own ``Expires``. The link itself is unchanged and never logged."""
    try:
        values = parse_qs(urlsplit(link).query, max_num_fields=50).get("Expires", [])
    except ValueError:
        return None
    return lenient.moment(values[0]) if values else None


def _wait_s(code: str | None, text: str, response: HttpResponse) -> float | None:
    """Seconds until a new call makes sense: from the header, else until the reset that the text names."""
    header = lenient.retry_after_s(response)
    if header is not None:
        return header
    named = _RESET.search(text)
    # ASSUMED: a time without a zone is UTC; the one that was seen had a Z.
    reset = lenient.moment(named[1]) if named else None
    if reset is not None and response.received_at is not None:
        return max(0.0, (reset - response.received_at).total_seconds())
    return _WINDOW_WAIT_S if code == _WINDOW_USED_UP else None


def _clean(value: JsonValue) -> str | None:
    """A text that can be stored: truncated, stripped, without the lone surrogates that JSON allows."""
    text = lenient.text(value)
    return text[:MESSAGE_MAX_CHARS].encode("utf-8", "replace").decode() if text else None


def _without_hex(body: Mapping[str, JsonValue]) -> JsonValue:
    """The body for ``upstream_response``, with a note instead of megabytes of hex."""
    data = lenient.mapping(body.get("data"))
    audio = data.get("audio")
    if not isinstance(audio, str) or audio.lower().startswith("http"):
        return body
    return {**body, "data": {**data, "audio": f"<{len(audio)} characters>"}}
