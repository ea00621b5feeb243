"""Makes and fetches music through a musicgate server: create, poll, download; it speaks the documented contract and nothing else."""

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
#: Looks in a row that may come to nothing before the server counts as gone.
_MAX_SILENT_LOOKS = 20
_PIECE_BYTES = 65_536
#: Larger than any answer and any track of a musicgate server.
_MAX_ANSWER_BYTES = 16_777_216
_MAX_TRACK_BYTES = 1_073_741_824
_MASK = "***"
_NO_ADDRESS = "--url: must be an http or https address"
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=10)
_DOWNLOAD_TIMEOUT = aiohttp.ClientTimeout(total=600, sock_connect=10, sock_read=60)
_FINAL = frozenset({"completed", "failed"})
#: Statuses of a look that say nothing about the job.
_TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


async def generate_remotely(
    url: str, key: str | None, body: Mapping[str, Any], order: Order, *, strict: bool
) -> None:
    """Have a song made and write it.

    Raises:
        click.ClickException: refused, failed, not finished in time, or the server cannot be understood.
    """
    async with _Server.at(url, key) as server, display() as shown:
        answer = await server.create(body, strict=strict)
        run.note_warnings(shown, answer.get("warnings") or [])
        answer = await _follow(server, answer, order, shown)
    await _finish(server, answer, order)


async def fetch_remotely(url: str, key: str | None, job_id: str, order: Order) -> None:
    """Wait for a job of the server if need be, and write its audio.

    Raises:
        click.ClickException: unknown, failed, not finished in time, or the server cannot be understood.
    """
    async with _Server.at(url, key) as server, display() as shown:
        answer, _ = await server.look(job_id)
        answer = await _follow(server, answer, order, shown)
    await _finish(server, answer, order)


async def cancel_remotely(url: str, key: str | None, job_id: str) -> dict[str, Any]:
    """Stop a job of the server.

    Raises:
        click.ClickException: unknown, or it has ended, or the server cannot be understood.
    """
    async with _Server.at(url, key) as server:
        return await server.cancel(job_id)


async def _follow(server: _Server, answer: dict[str, Any], order: Order, shown: Display) -> dict[str, Any]:
    """Poll until the job is final, as often as the server asks for, else with growing pauses."""
    pause_s, silent = _FIRST_PAUSE_S, 0
    hint = run.fetch_hint(answer, server.name)
    shown.show(answer)
    try:
        async with asyncio.timeout(order.timeout_s):
            while answer.get("status") not in _FINAL:
                await asyncio.sleep(pause_s)
                try:
                    answer, asked_s = await server.look(str(answer.get("id")))
                except _SilentError as error:
                    silent += 1
                    if silent >= _MAX_SILENT_LOOKS:
                        raise FailedError(f"{error}\nthe job goes on there; {hint}") from error
                    asked_s = None
                else:
                    silent = 0
                    shown.show(answer)
                pause_s = min(_LONGEST_PAUSE_S, asked_s if asked_s is not None else pause_s * 1.5)
    except TimeoutError as exc:
        raise run.late(order, f"job {visible(answer.get('id'))} goes on there; {hint}") from exc
    except asyncio.CancelledError:
        say(f"\ninterrupted: job {visible(answer.get('id'))} goes on there; {hint}", err=True)
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
            run.deliver(answer, audio, order, is_play=False)


class _SilentError(FailedError):
    """A look that says nothing about the job."""


class _Server:
    """The routes of one server that a run needs."""

    def __init__(self, origin: URL, key: Secret | None, session: aiohttp.ClientSession) -> None:
        self.origin = origin
        self.name = str(origin).rstrip("/")
        self.key = key
        self._session = session

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, key: str | Secret | None) -> AsyncIterator[_Server]:
        """The server, as long as the block runs.

        Raises:
            click.ClickException: the address or the key cannot be one; neither is shown.
        """
        try:
            address = WebAddress().read(url, key="--url")
            origin = URL(f"{address.rstrip('/')}/" if address else "")
        except (ConfigError, ValueError) as exc:
            said = str(exc) if isinstance(exc, ConfigError) else _NO_ADDRESS
            raise click.UsageError(said) from None
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
        except (aiohttp.ClientError, TimeoutError, _SilentError) as exc:
            # Not sent again: it may have been taken, and would be paid for twice.
            message = (
                f"{self.name} gave no readable answer ({_reason(exc)}); whether a job was made is not known"
            )
            raise FailedError(message) from exc
        except asyncio.CancelledError:
            say(
                f"\ninterrupted while {self.name} was being asked; whether a job was made is not known",
                err=True,
            )
            raise

    async def look(self, job_id: str) -> tuple[dict[str, Any], float | None]:
        """The job as it is, and the seconds after which the server wants to be asked again."""
        try:
            async with self._session.get(self.origin / _BASE / job_id, headers=self._headers()) as response:
                if response.status in _TRY_AGAIN:
                    raise _SilentError(f"{self.name} answers {response.status}")
                asked = response.headers.get("Retry-After", "")
                return await self._read(response), float(asked) if asked.isdecimal() else None
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise _SilentError(f"{self.name} cannot be asked: {_reason(exc)}") from exc

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """The job, stopped."""
        try:
            async with self._session.post(
                self.origin / _BASE / job_id / "cancel", headers=self._headers()
            ) as response:
                return await self._read(response)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise FailedError(f"{self.name} cannot be asked: {_reason(exc)}") from exc

    async def download(self, link: str, sink: Path) -> Path:
        """A finished track; the key is shown to the server itself and to nobody else."""
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
        """The JSON object of an answer, without the key if the server quotes it.

        Raises:
            click.ClickException: the server said no; with its sentence and every field that it names.
            _SilentError: it is no JSON object of a job.
        """
        body = bytearray()
        async for piece in response.content.iter_chunked(_PIECE_BYTES):
            body += piece
            if len(body) > _MAX_ANSWER_BYTES:
                raise _SilentError(f"HTTP {response.status} with an answer that is too large")
        text = body.decode("utf-8", "replace")
        if self.key is not None:
            text = text.replace(self.key.reveal(), _MASK)
        try:
            value = json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as exc:
            raise _SilentError(f"HTTP {response.status} without JSON") from exc
        if not isinstance(value, dict):
            raise _SilentError(f"HTTP {response.status} with JSON that is no object")
        if response.status != 200:
            raise _refusal(response.status, value, self.name)
        if not _has_tracks(value):
            raise _SilentError(f"HTTP {response.status} with JSON that is no job")
        return value


def _has_tracks(answer: Mapping[str, Any]) -> bool:
    """True if what a run reads of the tracks has the documented types."""
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
    """Why a call failed, in words that quote no address: it may hold a token."""
    if isinstance(error, _SilentError):
        return error.message
    if isinstance(error, TimeoutError):
        return "too slow"
    number = error.errno if isinstance(error, OSError) else None
    if number:
        return os.strerror(number)
    return "its address is not valid" if isinstance(error, ValueError) else visible(error)


def _refusal(status: int, envelope: Mapping[str, Any], origin: str) -> click.ClickException:
    """The server's "no" in words."""
    said = (
        envelope.get("description") or envelope.get("message") or envelope.get("error") or "no reason given"
    )
    reason = f" ({envelope['reason']})" if envelope.get("reason") else ""
    listed = envelope.get("details")
    details = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    lines = ["the request is not valid:"] if details else [visible(f"{said}{reason}")]
    for item in details:
        path: Any = item.get("path")
        path = path if isinstance(path, list) else []
        where = dotted([part if isinstance(part, int) else str(part) for part in path])
        lines.append(visible(f"  {where or '(the whole)'}: {item.get('message')}"))
    if envelope.get("music_id") and status >= 500:
        lines.append(visible(f"job {envelope['music_id']}"))
    if status == 401:
        return SettingsError(f"{origin} refuses the key: {lines[0]}; set --key or MUSICGATE_API_KEY")
    is_request = status < 500 and envelope.get("error") not in {"upstream_error", "gateway_error"}
    return (RefusedError if is_request else FailedError)("\n".join(lines))
