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

from musicgate.cli import FailedError, RefusedError, SettingsError, run
from musicgate.cli.complaint import dotted
from musicgate.cli.progress import display

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from musicgate.cli.progress import Display
    from musicgate.cli.run import Order

_BASE = "v1/music/generate"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
#: Looks in a row that may come to nothing before the server counts as gone.
_MAX_SILENT_LOOKS = 20
_PIECE_BYTES = 65_536
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
        raise run.late(order, f"job {answer.get('id')} goes on there; {hint}") from exc
    except asyncio.CancelledError:
        click.echo(f"\ninterrupted: job {answer.get('id')} goes on there; {hint}", err=True)
        raise
    return answer


async def _finish(server: _Server, answer: dict[str, Any], order: Order) -> None:
    if answer.get("status") == "failed" and order.as_json:
        click.echo(json.dumps({**answer, "files": []}, ensure_ascii=False, indent=2))
    run.refuse_failed(answer)
    async with _Server.at(server.name, server.key) as again:
        with tempfile.TemporaryDirectory(prefix="musicgate-") as folder:
            audio = {}
            for item in answer.get("output") or ():
                if item.get("audio_url") and not item.get("error"):
                    audio[item["index"]] = await again.download(
                        item["audio_url"], Path(folder) / str(item["index"])
                    )
            run.deliver(answer, audio, order, is_play=False)


class _SilentError(FailedError):
    """A look that says nothing about the job."""


class _Server:
    """The routes of one server that a run needs."""

    def __init__(self, origin: URL, key: str | None, session: aiohttp.ClientSession) -> None:
        self.origin = origin
        self.name = str(origin).rstrip("/")
        self.key = key
        self._session = session

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, key: str | None) -> AsyncIterator[_Server]:
        origin = URL(url.rstrip("/") + "/")
        if origin.scheme not in {"http", "https"} or not origin.host:
            raise click.UsageError(f"--url {url}: must begin with http:// or https://.")
        async with aiohttp.ClientSession(timeout=_CALL_TIMEOUT) as session:
            yield cls(origin, key, session)

    async def create(self, body: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
        headers = self._headers() | ({"Prefer": "handling=strict"} if strict else {})
        try:
            async with self._session.post(self.origin / _BASE, json=body, headers=headers) as response:
                return await _read(response, self.name)
        except aiohttp.ClientConnectorError as exc:
            raise FailedError(
                f"{self.name} cannot be reached: {os.strerror(exc.errno) if exc.errno else exc}"
            ) from exc
        except (aiohttp.ClientError, TimeoutError, _SilentError) as exc:
            # Not sent again: it may have been taken, and would be paid for twice.
            message = f"{self.name} gave no readable answer ({str(exc) or 'too slow'}); whether a job was made is not known"
            raise FailedError(message) from exc
        except asyncio.CancelledError:
            click.echo(
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
                return await _read(response, self.name), float(asked) if asked.isdecimal() else None
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise _SilentError(f"{self.name} cannot be asked: {str(exc) or 'too slow'}") from exc

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """The job, stopped."""
        try:
            async with self._session.post(
                self.origin / _BASE / job_id / "cancel", headers=self._headers()
            ) as response:
                return await _read(response, self.name)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise FailedError(f"{self.name} cannot be asked: {str(exc) or 'too slow'}") from exc

    async def download(self, link: str, sink: Path) -> Path:
        """A finished track; the key is shown to the server itself and to nobody else."""
        address = self.origin.join(URL(link, encoded=True))
        headers = self._headers() if address.origin() == self.origin.origin() else {}
        try:
            async with self._session.get(address, headers=headers, timeout=_DOWNLOAD_TIMEOUT) as response:
                if response.status != 200:
                    raise FailedError(
                        f"the audio cannot be fetched: {address.host} answers {response.status}"
                    )
                with sink.open("wb") as file:
                    async for piece in response.content.iter_chunked(_PIECE_BYTES):
                        file.write(piece)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise FailedError(f"the audio cannot be fetched: {str(exc) or 'too slow'}") from exc
        return sink

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


async def _read(response: aiohttp.ClientResponse, origin: str) -> dict[str, Any]:
    """The JSON object of an answer.

    Raises:
        click.ClickException: the server said no; with its sentence and every field that it names.
        _SilentError: it is no JSON object.
    """
    try:
        value = json.loads(await response.read())
    except ValueError as exc:
        raise _SilentError(f"HTTP {response.status} without JSON") from exc
    if not isinstance(value, dict):
        raise _SilentError(f"HTTP {response.status} with JSON that is no object")
    if response.status == 200:
        return value
    raise _refusal(response.status, value, origin)


def _refusal(status: int, envelope: Mapping[str, Any], origin: str) -> click.ClickException:
    """The server's "no" in words."""
    said = (
        envelope.get("description") or envelope.get("message") or envelope.get("error") or "no reason given"
    )
    reason = f" ({envelope['reason']})" if envelope.get("reason") else ""
    details = envelope.get("details") or ()
    lines = ["the request is not valid:"] if details else [f"{said}{reason}"]
    lines += [
        f"  {dotted(item.get('path') or ()) or '(the whole)'}: {item.get('message')}" for item in details
    ]
    if envelope.get("music_id") and status >= 500:
        lines.append(f"job {envelope['music_id']}")
    if status == 401:
        return SettingsError(f"{origin} refuses the key: {lines[0]}; set --key or MUSICGATE_API_KEY")
    is_request = status < 500 and envelope.get("error") not in {"upstream_error", "gateway_error"}
    return (RefusedError if is_request else FailedError)("\n".join(lines))
