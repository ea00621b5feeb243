"""Runs jobs on a musicgate server through its public HTTP API: create, poll, cancel, download."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import click
from yarl import URL

from musicgate.cli import (
    FailedError,
    RefusedError,
    SettingsError,
    run,
)
from musicgate.cli.error_text import dotted
from musicgate.cli.progress import display
from musicgate.cli.terminal import print_json, say, visible
from musicgate.errors import ConfigError
from musicgate.model import Secret
from musicgate.settings import Hidden, WebAddress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.cli.progress import Display
    from musicgate.cli.run import Order

_BASE = "v1/music/generate"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
#: Failed polls in a row after which the server counts as gone.
_MAX_FAILED_POLLS = 20
_PIECE_BYTES = 65_536
#: Larger than any answer and any track of a musicgate server.
_MAX_ANSWER_BYTES = 16_777_216
_MAX_TRACK_BYTES = 1_073_741_824
_MASK = "***"
_NO_ADDRESS = "--url: must be an http or https address"
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10)
_DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)
_FINAL = frozenset({"completed", "failed"})
#: Statuses of a poll that say nothing about the job.
_RETRYABLE = frozenset({429, 500, 502, 503, 504})


async def generate_remotely(
    url: str, key: str | None, body: Mapping[str, Any], order: Order, *, strict: bool
) -> None:
    """Submit a request, wait for the job and write its audio.

    Raises:
        click.ClickException: The request was refused, the job failed or is not finished in time, or the
            server's answer cannot be read.
    """
    async with _Server.at(url, key) as server, display() as shown:
        answer = await server.create(body, strict=strict)
        run.note_warnings(shown, answer.get("warnings") or [])
        answer = await _follow(server, answer, order, shown)
    await _finish(server, answer, order)


async def fetch_remotely(url: str, key: str | None, job_id: str, order: Order) -> None:
    """Wait for a job of the server and write its audio.

    Raises:
        click.ClickException: The job is unknown, failed or is not finished in time, or the server's answer
            cannot be read.
    """
    async with _Server.at(url, key) as server, display() as shown:
        answer, _ = await server.poll(job_id)
        answer = await _follow(server, answer, order, shown)
    await _finish(server, answer, order)


async def cancel_remotely(url: str, key: str | None, job_id: str) -> dict[str, Any]:
    """Cancel a job of the server.

    Raises:
        click.ClickException: The job is unknown or has ended, or the server's answer cannot be read.
    """
    async with _Server.at(url, key) as server:
        return await server.cancel(job_id)


async def _follow(server: _Server, answer: dict[str, Any], order: Order, shown: Display) -> dict[str, Any]:
    """Poll until the job is final, after the server's ``Retry-After``, else with growing pauses."""
    pause_s, failed = _FIRST_PAUSE_S, 0
    hint = run.fetch_hint(answer, server.name)
    shown.show(answer)
    try:
        async with asyncio.timeout(order.timeout_s):
            while answer.get("status") not in _FINAL:
                await asyncio.sleep(pause_s)
                try:
                    answer, retry_after_s = await server.poll(str(answer.get("id")))
                except _UnreadableError as error:
                    failed += 1
                    if failed >= _MAX_FAILED_POLLS:
                        raise FailedError(f"{error}\nthe job continues there; {hint}") from error
                    retry_after_s = None
                else:
                    failed = 0
                    shown.show(answer)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.5 if retry_after_s is None else retry_after_s)
    except TimeoutError as exc:
        raise run.late(order, f"job {visible(answer.get('id'))} continues there; {hint}") from exc
    except asyncio.CancelledError:
        say(f"\ninterrupted: job {visible(answer.get('id'))} continues there; {hint}", err=True)
        raise
    return answer


async def _finish(server: _Server, answer: dict[str, Any], order: Order) -> None:
    if answer.get("status") == "failed" and order.as_json:
        print_json({**answer, "files": []})
    run.refuse_failed(answer)
    async with _Server.at(server.name, server.key) as again:
        with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
            audio = {}
            for number, item in enumerate(answer.get("output") or ()):
                if item.get("audio_url") and not item.get("error"):
                    audio[item["index"]] = await again.download(item["audio_url"], Path(folder) / str(number))
            run.deliver(answer, audio, order, in_sandbox=False)


class _UnreadableError(FailedError):
    """The server's answer is missing or says nothing about the job."""


class _Server:
    """Client for the routes that a run needs."""

    def __init__(self, origin: URL, key: Secret | None, session: aiohttp.ClientSession) -> None:
        self.origin = origin
        self.name = str(origin).rstrip("/")
        self.key = key
        self._session = session

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, key: str | Secret | None) -> AsyncIterator[_Server]:
        """Open a client for the block.

        Raises:
            click.ClickException: The address or the key is malformed; neither is shown.
        """
        try:
            address = WebAddress().read(url, key="--url")
            origin = URL(f"{address.rstrip('/')}/" if address else "")
        except (ConfigError, ValueError) as exc:
            message = str(exc) if isinstance(exc, ConfigError) else _NO_ADDRESS
            raise click.UsageError(message) from None
        if not origin.host:
            raise click.UsageError(_NO_ADDRESS)
        try:
            secret: Secret | None = Hidden(is_word=True).read(key, key="--key (MUSICGATE_API_KEY)")
        except ConfigError as exc:
            raise SettingsError(str(exc)) from None
        async with aiohttp.ClientSession(timeout=_CALL_TIMEOUT) as session:
            yield cls(origin, secret, session)

    async def create(self, body: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
        headers = self._headers() | ({"Prefer": "handling=strict"} if strict else {})
        try:
            async with self._session.post(self.origin / _BASE, json=body, headers=headers) as response:
                return await self._read(response)
        except aiohttp.ClientConnectorError as exc:
            raise FailedError(f"{self.name} cannot be reached: {_reason(exc)}") from exc
        except (aiohttp.ClientError, TimeoutError, _UnreadableError) as exc:
            # Not retried: it may have been accepted, and would be paid twice.
            message = (
                f"{self.name} gave no readable answer ({_reason(exc)}); "
                "it is not known whether a job was created"
            )
            raise FailedError(message) from exc
        except asyncio.CancelledError:
            message = f"interrupted while waiting for {self.name}; it is not known whether a job was created"
            say(f"\n{message}", err=True)
            raise

    async def poll(self, job_id: str) -> tuple[dict[str, Any], float | None]:
        """The job, and the seconds of ``Retry-After``."""
        try:
            async with self._session.get(self.origin / _BASE / job_id, headers=self._headers()) as response:
                if response.status in _RETRYABLE:
                    raise _UnreadableError(f"{self.name} answers {response.status}")
                retry_after = response.headers.get("Retry-After", "")
                return await self._read(response), float(retry_after) if retry_after.isdecimal() else None
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise _UnreadableError(f"{self.name} does not answer: {_reason(exc)}") from exc

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job and return it."""
        try:
            async with self._session.post(
                self.origin / _BASE / job_id / "cancel", headers=self._headers()
            ) as response:
                return await self._read(response)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise FailedError(f"{self.name} does not answer: {_reason(exc)}") from exc

    async def download(self, link: str, sink: Path) -> Path:
        """Download a track. The key is sent to the server itself only, not to vendors."""
        try:
            address = self.origin.join(URL(link, encoded=True))
            is_own = address.origin() == self.origin.origin()
        except (TypeError, ValueError) as exc:
            raise FailedError("the audio cannot be fetched: its link is not valid") from exc
        headers = self._headers() if is_own else {}
        try:
            async with self._session.get(address, headers=headers, timeout=_DOWNLOAD_TIMEOUT) as response:
                if response.status != 200:
                    raise FailedError(
                        f"the audio cannot be fetched: {address.host} answers {response.status}"
                    )
                size_bytes = 0
                with sink.open("wb") as file:
                    async for piece in response.content.iter_chunked(_PIECE_BYTES):
                        size_bytes += file.write(piece)
                        if size_bytes > _MAX_TRACK_BYTES:
                            raise FailedError("the audio cannot be fetched: it is too large")
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise FailedError(f"the audio cannot be fetched: {_reason(exc)}") from exc
        return sink

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.reveal()}"} if self.key else {}

    async def _read(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """Read the job of an answer, with the key masked if the server quotes it.

        Raises:
            click.ClickException: The server refused; with its message and every field that it names.
            _UnreadableError: The answer is not a JSON object of a job.
        """
        body = bytearray()
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            body += piece
            if len(body) > _MAX_ANSWER_BYTES:
                raise _UnreadableError(f"HTTP {response.status} with an answer that is too large")
        text = body.decode("utf-8", "replace")
        if self.key is not None:
            text = text.replace(self.key.reveal(), _MASK)
        try:
            value = json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as exc:
            raise _UnreadableError(f"HTTP {response.status} without JSON") from exc
        if not isinstance(value, dict):
            raise _UnreadableError(f"HTTP {response.status} with JSON that is not an object")
        if response.status != 200:
            raise _refusal(response.status, value, self.name)
        if not _has_tracks(value):
            raise _UnreadableError(f"HTTP {response.status} with JSON that is not a job")
        return value


def _has_tracks(answer: Mapping[str, Any]) -> bool:
    """True if the fields of the tracks that a run reads have the documented types."""
    output = answer.get("output") or []
    return isinstance(output, list) and all(
        isinstance(item, dict)
        and type(item.get("index")) is int
        and isinstance(item.get("audio_url"), str | None)
        and isinstance(item.get("duration"), int | float | None)
        and isinstance(item.get("error"), dict | None)
        for item in output
    )


def _reason(error: Exception) -> str:
    """Why a call failed, without its address, which may contain a token."""
    if isinstance(error, _UnreadableError):
        return error.message
    if isinstance(error, TimeoutError):
        return "too slow"
    number = error.errno if isinstance(error, OSError) else None
    if number:
        return os.strerror(number)
    return "its address is not valid" if isinstance(error, ValueError) else visible(error)


def _refusal(status: int, envelope: Mapping[str, Any], origin: str) -> click.ClickException:
    """Convert an error answer to a message and an exit code."""
    message = (
        envelope.get("description") or envelope.get("message") or envelope.get("error") or "no reason given"
    )
    reason = f" ({envelope['reason']})" if envelope.get("reason") else ""
    listed = envelope.get("details")
    details = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    lines = ["the request is not valid:"] if details else [visible(f"{message}{reason}")]
    for item in details:
        path: Any = item.get("path")
        path = path if isinstance(path, list) else []
        field = dotted([part if isinstance(part, int) else str(part) for part in path])
        lines.append(visible(f"  {field or '(the whole)'}: {item.get('message')}"))
    if envelope.get("music_id") and status >= 500:
        lines.append(visible(f"job {envelope['music_id']}"))
    if status == 401:
        return SettingsError(f"{origin} refuses the key: {lines[0]}; set --key or MUSICGATE_API_KEY")
    is_request = status < 500 and envelope.get("error") not in {"upstream_error", "gateway_error"}
    return (RefusedError if is_request else FailedError)("\n".join(lines))
