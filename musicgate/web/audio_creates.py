"""``POST /v1/audio/music`` and ``/v1/audio/speech``: create calls that are answered with audio.

They are for clients of other APIs. Admission, limits, idempotency and errors are those of
``POST /v1/music/generate``, by the same code. Only what they take and what they answer differs.

**Source** of ``speech``: platform.openai.com/docs/api-reference/audio/createSpeech, November 2026: ``model``,
``input``, ``voice`` (required), ``response_format`` (mp3, opus, aac, flac, wav, pcm), ``instructions``,
``speed``, ``stream_format``; the answer is the audio.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.assets import KIND_OF_FORMAT
from musicgate.errors import RequestError
from musicgate.model import JobState
from musicgate.text import MAX_NAME_CHARS, cut_text
from musicgate.views import render_usage
from musicgate.web.audio import kept_audio
from musicgate.web.errors import refusal_response
from musicgate.web.kept_files import redirect
from musicgate.web.preferences import MAX_WAIT_S
from musicgate.web.request_state import STATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.gateway import Gateway
    from musicgate.model import Job
    from musicgate.settings import Account
    from musicgate.web.job_resource import JobResource
    from musicgate.web.kept_files import KeptFiles
    from musicgate.web.music import MusicRoutes, Submitted
    from musicgate.web.preferences import Preferences

#: Media types of ``Accept`` that name a format.
_FORMAT_OF_TYPE: Final = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/mp4": "aac",
    "audio/x-m4a": "aac",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
}
#: Types that leave the choice to us. JSON is what a 202 and an error have anyway.
_ANY: Final = frozenset({"*/*", "audio/*", "application/octet-stream", "application/json", "application/*"})
#: Names of a speech request -> names of a music request. The others stay, and are reported as unknown.
_SPEECH_NAMES: Final = {"input": "prompt", "response_format": "format"}


class AudioCreateRoutes:
    """Handlers of the two routes."""

    def __init__(
        self, gateway: Gateway, music: MusicRoutes, job_resource: JobResource, files: KeptFiles
    ) -> None:
        self._gateway = gateway
        self._music = music
        self._jobs = job_resource
        self._files = files

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.post("/v1/audio/music", self.music), web.post("/v1/audio/speech", self.speech)]

    async def music(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/audio/music``: the body of a create call."""
        return await self._answer(request, lambda body: body)

    async def speech(self, request: web.Request) -> web.StreamResponse:
        """``POST /v1/audio/speech``: the body of a speech request, whose ``input`` says what to make."""
        return await self._answer(request, as_music_request)

    async def _answer(self, request: web.Request, adapt: Callable[[object], object]) -> web.StreamResponse:
        async def answer(
            request: web.Request, account: Account, preferences: Preferences
        ) -> web.StreamResponse:
            wanted = accepted_format(request.headers.getall("Accept", []))
            submitted = await self._music.submit(
                request, account, preferences, lambda body: with_format(adapt(body), wanted), MAX_WAIT_S
            )
            limits = self._gateway.rate_limit_headers(account.name)
            return await self._show(request, submitted, wanted, limits)

        return await self._music.answer_create(request, answer, MAX_WAIT_S)

    async def _show(
        self, request: web.Request, submitted: Submitted, wanted: str | None, limits: dict[str, str]
    ) -> web.StreamResponse:
        """Answer with the audio of the first track, with the job, or with why there will be none.

        Args:
            limits: headers of an answer that is sent from here; the others get them from the middleware.
        """
        job, headers = submitted.job, {**submitted.headers, **_facts(submitted.job)}
        failure = submitted.refusal or job.failure
        if failure is not None:
            response = refusal_response(request[STATE].generation_id, failure, job)
            response.headers.update(headers)
            return response
        if job.state is not JobState.COMPLETED:
            links = self._jobs.links(request)
            answer = self._jobs.respond(job, links, self._jobs.render(job, links), headers).web_response()
            answer.set_status(202)
            return answer
        track = next((track for track in job.tracks if track.is_visible and track.has_audio), None)
        index = 0 if track is None else track.index
        audio = await kept_audio(self._gateway, job, index, wanted)
        if audio is None or track is None:
            if track is not None:
                self._files.note_download(request, job, track)
            found = redirect((track and track.audio_url) or "", "audio_not_found")
            found.set_status(303)
            found.headers.update(headers)
            return found
        self._files.note_download(request, job, track)
        return await self._files.send(request, job, track, audio, {**headers, **limits})


def _facts(job: Job) -> dict[str, str]:
    """What the answer says of the job beside the audio."""
    facts = {
        "X-Gateway-Music-Id": job.id,
        "X-Gateway-Warnings": str(len(job.warnings)),
        "X-Gateway-Tracks": str(len([track for track in job.tracks if track.is_visible])),
    }
    if job.usage is not None and job.state is JobState.COMPLETED:
        price = render_usage(job.usage).get("pricing_breakdown")
        if isinstance(price, dict):
            facts["X-Gateway-Cost-Usd"] = str(price["total_usd_str"])
    return facts


def as_music_request(body: object) -> object:
    """Make the body of a create call of that of a speech request; nothing else is checked here.

    Raises:
        RequestError: ``response_format`` is one that music is not made in.
    """
    if not isinstance(body, dict):
        return body
    adapted = {_SPEECH_NAMES.get(name, name): value for name, value in body.items()}
    wanted = adapted.get("format")
    if wanted == "opus":
        adapted["format"] = "ogg"
    elif isinstance(wanted, str) and "response_format" in body and wanted not in KIND_OF_FORMAT:
        shown, known = cut_text(wanted, MAX_NAME_CHARS), ", ".join((*KIND_OF_FORMAT, "opus"))
        message = f"response_format must be one of {known}, not {shown}"
        raise RequestError("validation_error", message, path=("response_format",))
    return adapted


def with_format(body: object, wanted: str | None) -> object:
    """Let ``Accept`` choose the format of a body that does not."""
    if wanted is None or not isinstance(body, dict) or "format" in body:
        return body
    return {**body, "format": wanted}


def accepted_format(lines: list[str]) -> str | None:
    """The format that an ``Accept`` header prefers; None = any.

    Raises:
        RequestError: 406, it names other things only.
    """
    ranges: list[tuple[float, str]] = []
    for item in ",".join(lines).split(","):
        media_type, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                with suppress(ValueError):
                    weight = float(parameter[2:])
        if media_type and weight > 0:
            ranges.append((weight, media_type))
    # Sorted by weight alone, so that of equal ones the first in the header counts.
    for _, media_type in sorted(ranges, key=lambda range_: -range_[0]):
        if media_type in _FORMAT_OF_TYPE:
            return _FORMAT_OF_TYPE[media_type]
        if media_type in _ANY:
            return None
    if not ranges:
        return None
    message = f"the answer is audio; Accept may name {', '.join(_FORMAT_OF_TYPE)} or */*"
    raise RequestError("not_supported", message, reason="not_acceptable", http_status=406)
