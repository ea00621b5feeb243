"""Plays a job of a musicgate server: its kept audio, or its stream while it is made."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import attrs
import click
from yarl import URL

from musicgate.cli import FailedError, RefusedError, SettingsError, run
from musicgate.cli.progress import display
from musicgate.cli.terminal import say, visible
from musicgate.errors import ConfigError, ProviderError
from musicgate.http import CLIENT_ERRORS
from musicgate.model import Failure, FailureClass
from musicgate.settings import Hidden, WebAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.cli.playback import Playback
    from musicgate.model import Secret

_JOBS: Final = "v1/music/generate"
_PIECE_BYTES: Final = 65_536
_MAX_ANSWER_BYTES: Final = 16_777_216
_MAX_TRACK_BYTES: Final = 1_073_741_824
_POLL_S: Final = 2.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)
_FINAL: Final = frozenset({"completed", "failed"})
_MASK: Final = "***"


async def play_remotely(url: str, key: str | None, job_id: str, index: int, playback: Playback) -> None:
    """Play a track of a job of a server, or write it to a file.

    Args:
        index: of the track, from 0.

    Raises:
        click.ClickException: the address, the key or the job is wrong; the job failed or has no such audio;
            the server or the player failed.
    """
    origin, secret = _read(url, key)
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        server = _Server(session, origin, secret)
        try:
            await _play(server, job_id, index, playback)
        except CLIENT_ERRORS as exc:
            raise FailedError(visible(f"{url} does not answer as a musicgate server: {exc}")) from exc


async def _play(server: _Server, job_id: str, index: int, playback: Playback) -> None:
    while True:
        async with display() as shown:
            answer = await server.job(job_id)
            while not _is_ready(answer, index, playback):
                shown.show(answer)
                await asyncio.sleep(_POLL_S)
                answer = await server.job(job_id)
        item = _item(answer, index)
        about = _about(answer, item, index)
        if answer.get("status") in _FINAL:
            break
        async with server.opened(item["stream_audio_url"]) as response:
            if response.status == 200:
                await playback.stream(_pieces(response), about=about)
                say(f"the job continues; {run.fetch_hint(answer, server.name)}", err=True)
                return
        await asyncio.sleep(_POLL_S)  # it has ended just now, or there is nothing to hear yet
    run.refuse_failed(answer)
    if not isinstance(item.get("audio_url"), str):
        raise FailedError(visible(f"job {job_id} has no track {index + 1} with audio"))
    with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
        path = await server.download(item["audio_url"], Path(folder) / "song")
        await playback.file(path, about=about, is_temporary=True)


def _is_ready(answer: Mapping[str, Any], index: int, playback: Playback) -> bool:
    """True if the job has ended, or has a stream that can be played."""
    link = _item(answer, index).get("stream_audio_url")
    return answer.get("status") in _FINAL or (playback.can_stream and isinstance(link, str))


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            yield piece
    except (aiohttp.ClientError, TimeoutError) as exc:
        message = "the stream was cut before its end"
        raise ProviderError(Failure(reason=FailureClass.UPSTREAM_FAILED, message=message)) from exc


@attrs.frozen
class _Server:
    session: aiohttp.ClientSession
    origin: URL
    key: Secret | None

    @property
    def name(self) -> str:
        """Its address, for people."""
        return str(self.origin).rstrip("/")

    async def job(self, job_id: str) -> dict[str, Any]:
        """A job in its current state."""
        async with self.session.get(self.origin / _JOBS / job_id, headers=self._headers()) as response:
            text = (await _read_upto(response, _MAX_ANSWER_BYTES)).decode("utf-8", "replace")
        if self.key is not None:
            text = text.replace(self.key.reveal(), _MASK)
        try:
            answer = json.loads(text, parse_constant=lambda _: None)
        except RecursionError as exc:
            raise ValueError("its JSON is nested too deeply") from exc
        if not isinstance(answer, dict):
            raise ValueError("its JSON is not an object")  # noqa: TRY004 - of the server, not of a caller
        if response.status != 200:
            message = visible(answer.get("description") or f"HTTP {response.status}")
            if response.status == 401:
                raise SettingsError(f"{message}; set --key or MUSICGATE_API_KEY")
            raise (RefusedError if response.status < 500 else FailedError)(message)
        return answer

    def opened(self, link: str) -> Any:
        """Open a link to audio. The key is sent to the server itself only, not to vendors."""
        address = self.origin.join(URL(link, encoded=True))
        is_own = address.origin() == self.origin.origin()
        return self.session.get(address, headers=self._headers() if is_own else {})

    async def download(self, link: str, path: Path) -> Path:
        """Download audio into a file."""
        async with self.opened(link) as response:
            if response.status != 200:
                raise FailedError(f"the audio cannot be fetched: HTTP {response.status}")
            size_bytes = 0
            with path.open("wb") as file:
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    size_bytes += file.write(piece)
                    if size_bytes > _MAX_TRACK_BYTES:
                        raise FailedError("the audio cannot be fetched: it is too large")
        return path

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.reveal()}"} if self.key else {}


def _read(url: str, key: str | None) -> tuple[URL, Secret | None]:
    try:
        address = WebAddress().read(url, key="--url")
        origin = URL(f"{address.rstrip('/')}/" if address else "")
    except (ConfigError, ValueError) as exc:
        message = str(exc) if isinstance(exc, ConfigError) else "--url: must be an http or https address"
        raise click.UsageError(message) from None
    if not origin.host:
        raise click.UsageError("--url: must be an http or https address")
    try:
        return origin, Hidden(is_word=True).read(key, key="--key (MUSICGATE_API_KEY)")
    except ConfigError as exc:
        raise SettingsError(str(exc)) from None


async def _read_upto(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > limit_bytes:
            raise ValueError("an answer that is too large")
    return bytes(body)


def _item(answer: Mapping[str, Any], index: int) -> Mapping[str, Any]:
    """The track of an answer; empty if it is not there."""
    output = answer.get("output")
    items = output if isinstance(output, list) else []
    return next((item for item in items if isinstance(item, dict) and item.get("index") == index), {})


def _about(answer: Mapping[str, Any], item: Mapping[str, Any], index: int) -> str:
    title = item.get("title")
    return visible(f'"{title}"' if title else f"track {index + 1} of {answer.get('id')}")
