"""`AsyncClient`: a musicgate server, used as a `Gateway` is. `Client` is the same without asyncio."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self, TypeVar, cast
from urllib.parse import quote

from musicgate.aio import new_token, run_to_end
from musicgate.client.calls import Answer, Call, Calls
from musicgate.client.download import MAX_AUDIO_BYTES, Download
from musicgate.client.event_stream import EventReader
from musicgate.client.retries import FailedTryError
from musicgate.client.routes import create_call, held_call, id_of, job_path, page_call
from musicgate.client.server import find_server
from musicgate.codec import write_request
from musicgate.errors import (
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    RequestError,
    ServerError,
)
from musicgate.model import EventKind, JobState, MusicRequest
from musicgate.plugin import write_json
from musicgate.views import RemoteJob, read_delivery, read_job

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping
    from types import TracebackType

    from musicgate.client.answers import RemoteModel, RemotePlan, RemoteProvider
    from musicgate.model import Delivery, Job, JobEvent, Secret

_Value = TypeVar("_Value")
#: How long a server is asked to hold the answer about an open job; proxies begin to give up at a minute.
_HOLD_S: Final = 30
#: Pauses between polls where the server names none.
_FIRST_POLL_S: Final = 1.0
_LONGEST_POLL_S: Final = 10.0
#: Longer than any job of a musicgate may wait and work; no method waits without an end.
MAX_WAIT_S: Final = 6 * 3600.0
#: A server sends a comment every 15 seconds, so a silent stream is a broken one.
_STREAM_STALL_S: Final = 45.0
_DOWNLOAD_STALL_S: Final = 60.0
_NO_MORE_EVENTS: Final = 204
#: An answer to a create call from here on is an error.
REFUSED: Final = 400
_NOT_FOUND: Final = 404


class AsyncClient:
    """A musicgate server, for asyncio: ``async with AsyncClient() as client: ...``.

    A client belongs to one event loop, and may make any number of calls at the same time. Calls that a server
    or a connection fails are made again for a while, if that is harmless: a create call always has an
    ``Idempotency-Key``, so no song is made twice.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | Secret | None = None,
        ca_file: str | Path | None = None,
        retry_s: float = 60.0,
    ) -> None:
        """Read the settings; nothing is sent yet.

        Args:
            url: of the server, with the path prefix of a proxy if there is one; None = ``MUSICGATE_URL``.
            api_key: None = ``MUSICGATE_API_KEY``; a server on loopback without accounts needs none.
            ca_file: PEM file of the authorities whose certificates count, instead of those of this machine;
                None = ``MUSICGATE_CA_FILE``.
            retry_s: for how long a failed call is made again; 0 = once only.

        Raises:
            ConfigError: a setting is missing, malformed or cannot be read.
        """
        self._calls = Calls(find_server(url, api_key, ca_file), retry_s=retry_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. No call can be made any more."""
        await self._calls.close()

    async def submit(
        self,
        request: MusicRequest | Mapping[str, object],
        *,
        strict: bool = False,
        explain: bool = False,
        wait_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> RemoteJob:
        """Create a job, and return it as soon as its provider has answered.

        Args:
            request: a request, or its JSON: ``{"model": "suno/v4.5plus", "prompt": "Warm jazz trio"}``.
            strict: every warning is an error.
            explain: the job has ``routing``: which providers were considered, and why others were not.
            wait_s: return after so many seconds at the latest, or as soon as the job is final. In whole
                seconds, at most 60; None = the server decides.
            idempotency_key: 1 to 255 printable characters. A key that was used for the same request gives the
                job of that time. None makes one, for this call and its repetitions.

        Returns:
            The job. A stored job is always returned, a failed one as well.

        Raises:
            RequestError: the caller can fix it; nothing was stored or sent.
            LimitReachedError: the account may not have one more job yet; nothing was stored or sent.
            AllCandidatesFailedError: no provider of this model has an API key; nothing was stored or sent.
            ProviderError: too many jobs wait for the providers of this model; nothing was stored or sent.
            ServerError: there is no answer; ``maybe_stored`` if the job may exist all the same.
        """
        body = write_request(request) if isinstance(request, MusicRequest) else dict(request)
        key = new_token() if idempotency_key is None else idempotency_key
        call = create_call(body, key, strict=strict, explain=explain, wait_s=wait_s)
        answer = await self._calls.send(call)
        if answer.status >= REFUSED:  # by the vendor; the job has failed, and its id is in the error
            return await self.get(answer.body["music_id"])
        return self._value(read_job, answer.body, call)

    async def generate(
        self, /, prompt: str | None = None, *, timeout_s: float | None = None, **fields: object
    ) -> RemoteJob:
        """Make music and wait for it: ``await client.generate("Warm jazz trio", model="suno/v4.5plus")``.

        Args:
            prompt: what to make.
            timeout_s: how long to wait; None = until the job ends, at most six hours.
            **fields: the other fields of a request, spelled as in JSON (``model``, ``suno``, ...).

        Returns:
            The completed job.

        Raises:
            RequestError: the request is wrong; nothing was sent.
            JobTimeoutError: it is not finished in time; it goes on, and the error carries its id.
            JobFailedError: the vendor refused or failed; ``.failure`` says why, ``.job`` is the job.
            ProviderError: no provider could be asked; nothing was sent.
            ServerError: there is no answer; ``maybe_stored`` if the job may exist all the same.
        """
        key = new_token()
        stored: list[str] = []
        try:
            async with asyncio.timeout(timeout_s):
                job = await self.submit(
                    fields if prompt is None else {"prompt": prompt, **fields}, idempotency_key=key
                )
                stored.append(job.id)
                if not job.state.is_final:
                    job = await self.wait(job)
        except JobTimeoutError:
            raise
        except TimeoutError:
            if stored:
                raise JobTimeoutError(stored[0], timeout_s or 0.0) from None
            message = "the job was not stored in the time given, and may be stored later"
            raise ServerError("no_answer", message, maybe_stored=True, idempotency_key=key) from None
        if job.failure is not None:
            raise JobFailedError(job, job.failure)
        return job

    async def wait(self, job: Job | str, timeout_s: float | None = None) -> RemoteJob:
        """Wait until a job is final, completed or failed.

        Args:
            job: the job or its id.
            timeout_s: how long to wait; None = until it ends, at most six hours.

        Raises:
            JobTimeoutError: it is not final in time; it goes on.
            JobNotFoundError: there is no such job, or no longer.
            ServerError: the server has not answered for ``retry_s``.
        """
        limit_s = MAX_WAIT_S if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s), aclosing(self._versions(id_of(job), _HOLD_S)) as versions:
                async for found in versions:
                    if found.state.is_final:
                        return found
        except TimeoutError:
            raise JobTimeoutError(id_of(job), limit_s) from None
        raise JobNotFoundError(id_of(job))  # not reached: the versions end with a final one

    async def watch(self, job: Job | str) -> AsyncGenerator[RemoteJob, None]:
        """Yield a job as it is, then after each change, until it is final. Fast changes are merged.

        Raises:
            JobTimeoutError: it is not final after six hours.
            JobNotFoundError: there is no such job, or no longer.
            ServerError: the server has not answered for ``retry_s``.
        """
        ends = time.monotonic() + MAX_WAIT_S
        last: RemoteJob | None = None
        async with aclosing(self._versions(id_of(job), 0)) as versions:
            async for found in versions:
                if last is None or found.answer != last.answer:
                    yield found
                last = found
                if time.monotonic() > ends and not found.state.is_final:
                    raise JobTimeoutError(found.id, MAX_WAIT_S)

    async def get(self, job: Job | str) -> RemoteJob:
        """A job in its current state, by our id or the vendor's.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        return await self._job(Call(path=job_path(job)))

    async def list_jobs(
        self, *, states: Collection[JobState | str] = (), model: str | None = None, page_size: int = 100
    ) -> AsyncGenerator[RemoteJob, None]:
        """Yield the account's jobs, newest first, page by page as they are read.

        Args:
            states: only jobs in these states; empty = all.
            model: only jobs that asked for this model, as the caller spelled it.
            page_size: number of jobs that are asked for at a time, 1 to 100.
        """
        seen: set[str | None] = {None}
        cursor = None
        while True:
            call = page_call(states, model, page_size, cursor)
            answer = await self._calls.send(call)
            for item in self._items(answer, call):
                yield self._value(read_job, item, call)
            cursor = answer.body.get("next_cursor")
            if not isinstance(cursor, str) or cursor in seen:
                return
            seen.add(cursor)

    async def events(self, job: Job | str, *, after: int = 0) -> AsyncGenerator[tuple[int, JobEvent], None]:
        """Yield a job's numbered events after number ``after``, then new ones, up to the one that ends it.

        A stream that is cut is opened again, and goes on where it was. Kinds of events that this version does
        not know are passed over.

        Raises:
            JobTimeoutError: it has not ended after six hours.
            JobNotFoundError: there is no such job, or no longer.
            ServerError: the server has not answered for ``retry_s``.
        """
        ends, retries = time.monotonic() + MAX_WAIT_S, self._calls.retries()
        while time.monotonic() < ends:
            call = Call(
                path=f"{job_path(job)}/events",
                headers={"Last-Event-ID": str(after), "Accept": "text/event-stream"},
                stall_s=_STREAM_STALL_S,
            )
            reader = EventReader(after)
            try:
                async with self._calls.opened(call) as response:
                    if response.status == _NO_MORE_EVENTS:
                        return
                    if response.content_type != "text/event-stream":
                        raise self._calls.stranger(call, "answers with something else than events")
                    async for piece in self._calls.pieces(call, response):
                        retries.note_progress()
                        for number, event in reader.feed(piece):
                            after = number
                            yield number, event
                            if event.kind is EventKind.SETTLED:
                                return
                message = "the stream of events ended before the job"
                cut = ServerError("no_answer", message, retry_after_s=reader.pause_s)
                raise FailedTryError(cut)  # noqa: TRY301 - as a cut that the connection shows
            except FailedTryError as failed:
                await retries.wait_after(failed)
            except ValueError as exc:
                raise self._calls.stranger(call, "answers with events that do not end").error from exc
        raise JobTimeoutError(id_of(job), MAX_WAIT_S)

    async def cancel(self, job: Job | str) -> RemoteJob:
        """Cancel a job here, and at the vendor where its plugin knows how.

        Raises:
            JobNotFoundError: the account has no such job.
            RequestError: 409, it has ended, or its audio has been delivered.
        """
        # Cancelling again changes nothing.
        return await self._job(Call(method="POST", path=f"{job_path(job)}/cancel"))

    async def delete(self, job: Job | str) -> None:
        """Delete a job with its history and its audio; an open one is cancelled first.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        await self._delete(job_path(job))

    async def plan(self, request: MusicRequest | Mapping[str, object], *, strict: bool = False) -> RemotePlan:
        """Plan a request: which providers would be asked, with which native requests, at what price.

        Spends nothing and stores nothing.

        Returns:
            The published schema ``plan``.

        Raises:
            RequestError: no provider could be asked, with the first reason.
        """
        body = write_request(request) if isinstance(request, MusicRequest) else dict(request)
        headers = {"Prefer": "handling=strict"} if strict else {}
        call = Call(method="POST", path="v1/music/plan", headers=headers, body=write_json(body))
        answer = await self._calls.send(call)
        self._items(answer, call, "candidates")
        return cast("RemotePlan", dict(answer.body))

    async def models(self) -> list[RemoteModel]:
        """The public models, each with its ``offers``: providers, limits, prices and rights."""
        return cast("list[RemoteModel]", await self._list(Call(path="v1/music/models")))

    async def providers(self) -> list[RemoteProvider]:
        """The providers by priority, each with whether it has a key, and its health."""
        return cast("list[RemoteProvider]", await self._list(Call(path="v1/music/providers")))

    async def webhook_log(self, job: Job | str) -> list[Delivery]:
        """The webhook messages about a job, with their last tries.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        call = Call(path=f"{job_path(job)}/webhooks")
        return [self._value(read_delivery, item, call) for item in await self._list(call)]

    async def replay_webhook(self, job: Job | str, message_id: str) -> Delivery:
        """Send a webhook message once more, with the same id; the answer does not wait for that.

        Raises:
            RequestError: there is no such job or message.
        """
        path = f"{job_path(job)}/webhooks/{quote(message_id, safe='')}/replay"
        call = Call(method="POST", path=path, repeats=False)
        return self._value(read_delivery, (await self._calls.send(call)).body, call)

    async def listen(
        self, job: Job | str, index: int = 0, *, timeout_s: float = 600.0
    ) -> AsyncGenerator[bytes, None]:
        """Yield a track's audio while it is made, at providers that have streams; later the kept audio.

        Args:
            job: the job or its id.
            index: of the track.
            timeout_s: how long to wait for the first bytes.

        Raises:
            RequestError: there is no such stream, or nothing in it in time.
            ServerError: it cannot be opened, or breaks off; what has come is not sent again.
        """
        call = Call(path=f"{job_path(job)}/stream/{index:d}", stall_s=_DOWNLOAD_STALL_S, follows=True)
        retries, has_begun = self._calls.retries(timeout_s), False
        while True:
            try:
                async with self._calls.opened(call) as response:
                    async for piece in self._calls.pieces(call, response):
                        has_begun = True
                        yield piece
                    return
            except FailedTryError as failed:
                if has_begun:
                    raise failed.error from failed.__cause__
                await retries.wait_after(failed)

    async def audio(
        self, job: Job | str, index: int = 0, *, wanted: str | None = None, timeout_s: float = 600.0
    ) -> bytes:
        """A track's audio, whole.

        Args:
            job: the job or its id.
            index: of the track.
            wanted: ``mp3``, ``wav``, ``ogg``, ``aac`` or ``flac``; None = as it was asked for when it was
                made.
            timeout_s: how long it may take in all.

        Raises:
            JobNotFoundError: the account has no such job.
            RequestError: it has no such audio, or not any more, or it cannot be converted.
            ServerError: the audio has not come in time, whole and unchanged.
        """
        with io.BytesIO() as memory:
            await self._download(job, memory, index, wanted).run(timeout_s)
            return memory.getvalue()

    async def download(
        self,
        job: Job | str,
        target: str | Path,
        index: int = 0,
        *,
        wanted: str | None = None,
        timeout_s: float = 600.0,
    ) -> Path:
        """Download a track's audio into a file, which is there only when it is whole.

        A download that is cut continues where it was. Length and SHA-256 are checked where the server gives
        them. An existing file is replaced.

        Args:
            job: the job or its id.
            target: the file; its folder exists.
            index: of the track.
            wanted: as of `audio`.
            timeout_s: how long it may take in all.

        Returns:
            The path of the file.

        Raises:
            OSError: the file cannot be written.
            JobNotFoundError: the account has no such job.
            RequestError: it has no such audio, or not any more, or it cannot be converted.
            ServerError: the audio has not come in time, whole and unchanged.
        """
        target = Path(target)
        part = target.with_name(f".{target.name}.{new_token()[:8]}.part")
        try:
            with part.open("xb") as file:
                await self._download(job, file, index, wanted).run(timeout_s)
            await run_to_end(part.replace, target)
        finally:
            with suppress(OSError):
                part.unlink()
        return target

    async def _versions(self, job_id: str, hold_s: int) -> AsyncGenerator[RemoteJob, None]:
        """Yield a job again and again, up to its final state.

        Args:
            hold_s: ask the server to hold its answer so long. Where it does not, or something between cuts
                held answers, the job is polled instead. 0 = polled from the first.
        """
        loop = asyncio.get_running_loop()
        pause_s = _FIRST_POLL_S
        while True:
            started = loop.time()
            call = held_call(job_id, hold_s)
            answer = await (self._calls.try_to_hold(call) if hold_s else self._calls.send(call))
            if answer is None:
                hold_s = 0
                await asyncio.sleep(pause_s)
                continue
            job = self._value(read_job, answer.body, call)
            yield job
            if job.state.is_final:
                return
            if hold_s and loop.time() - started > hold_s / 2:
                continue  # it was held
            await asyncio.sleep(pause_s if answer.retry_after_s is None else answer.retry_after_s)
            pause_s = min(_LONGEST_POLL_S, pause_s * 1.5)

    def _download(
        self,
        job: Job | str,
        file: IO[bytes],
        index: int,
        wanted: str | None,
        max_bytes: int = MAX_AUDIO_BYTES,
    ) -> Download:
        call = Call(
            path=f"{job_path(job)}/audio/{index:d}",
            query={} if wanted is None else {"format": wanted},
            stall_s=_DOWNLOAD_STALL_S,
            follows=True,
        )
        assets = () if isinstance(job, str) else [track.asset for track in job.tracks if track.index == index]
        known = next((asset.sha256 for asset in assets if asset is not None), None)
        sha256 = known if wanted is None else None
        return Download(self._calls, call, file, sha256=sha256, max_bytes=max_bytes)

    async def _job(self, call: Call) -> RemoteJob:
        return self._value(read_job, (await self._calls.send(call)).body, call)

    async def _delete(self, path: str) -> None:
        retries = self._calls.retries()
        try:
            await self._calls.send(Call(method="DELETE", path=path), retries)
        except RequestError as error:
            if error.http_status != _NOT_FOUND or not retries.count:  # else the try before it has deleted it
                raise

    async def _list(self, call: Call) -> list[dict[str, Any]]:
        return self._items(await self._calls.send(call), call)

    def _items(self, answer: Answer, call: Call, name: str = "data") -> list[dict[str, Any]]:
        """The objects of a list."""
        items = answer.body.get(name)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self._calls.stranger(call, "answers with JSON that is not a list").error
        return items

    def _value(
        self, read: Callable[[Mapping[str, object]], _Value], body: Mapping[str, object], call: Call
    ) -> _Value:
        """Read a value of an answer.

        Raises:
            ServerError: it is not what the route answers with.
        """
        try:
            return read(body)
        except ValueError as exc:
            raise self._calls.stranger(call, f"answers with JSON that is {exc}").error from exc
