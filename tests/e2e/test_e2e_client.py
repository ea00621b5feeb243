"""`AsyncClient` at a real server, also behind a proxy that loses, cuts and garbles answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from musicgate import (
    AllCandidatesFailedError,
    AsyncClient,
    EventKind,
    FailureClass,
    InvalidRequestError,
    JobFailedError,
    JobNotFoundError,
    JobState,
    JobTimeoutError,
    LimitReachedError,
    MusicgateError,
    RemoteJob,
    RequestError,
    Secret,
    ServerError,
    UnauthorisedError,
    UnsupportedOptionError,
)
from musicgate.client import async_client, retries
from musicgate.settings import Account
from tests.e2e.running_server import ACCOUNT_KEY, MODELS, UNFINISHED, song, violations
from tests.faulty_proxy import GARBAGE, UNAVAILABLE, Fault, FaultyProxy, faulty_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from musicgate import Job
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(async_client, "_FIRST_POLL_S", 0.05)


JOBS = "/v1/music/generate"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def client_of(url: str, **options: Any) -> AsyncClient:
    return AsyncClient(url, api_key=ACCOUNT_KEY, **options)


@asynccontextmanager
async def behind(server: RunningServer, *faults: Fault) -> AsyncIterator[tuple[FaultyProxy, AsyncClient]]:
    async with faulty_proxy(server.url, *faults) as proxy, client_of(proxy.url) as client:
        yield proxy, client


async def test_a_job_of_the_client_is_that_of_the_gateway(server: RunningServer) -> None:
    request = song(metadata={"customer": "7"})
    async with client_of(server.url) as client:
        job = await client.generate(**request)
        assert job.state is JobState.COMPLETED
        again = await client.get(job.native_id or "")
        assert violations("job", again.answer) == []
    known = await server.gateway.get(job.id)
    assert known is not None
    assert shown(again) == shown(known)
    lengths = [round(track.asset.duration_s, 3) for track in known.tracks if track.asset]
    assert [track.duration_s for track in again.tracks] == lengths
    assert [track.asset.duration_s for track in again.tracks if track.asset] == lengths
    assert again.tracks[0].extra["waveform_url"]


#: Fields of a job, a track, an attempt that a server does not show, or shows as a link of its own.
HIDDEN = {
    *("account", "answer", "callback_token", "deadline_at", "delivered_at", "is_clean", "request", "version"),
    *("name", "fallback_urls", "audio_url", "stream_audio_url", "image_url", "image", "extra", "calls_back"),
    *("sender", "trace", "key_id", "expires_at"),
    "duration_s",  # of a track with kept audio it is that of the audio
}


def shown(job: Job) -> object:
    """What a server shows of a job, with times and lengths as exact as it shows them."""

    def plain(value: Any) -> Any:
        if attrs.has(type(value)):
            fields = attrs.fields_dict(type(value))
            return {name: plain(getattr(value, name)) for name in fields if name not in HIDDEN}
        if isinstance(value, tuple):
            return [plain(item) for item in value]
        if hasattr(value, "microsecond"):
            return value.replace(microsecond=value.microsecond // 1000 * 1000)
        return round(value, 3) if isinstance(value, float) else value

    return plain(job)


# --- no second song ---


async def test_a_create_call_whose_answer_is_lost_makes_one_song(server: RunningServer) -> None:
    with server.vendor_calls() as calls:
        async with behind(server, Fault(path=JOBS, method="POST")) as (proxy, client):
            job = await client.generate(**song())
    assert job.state is JobState.COMPLETED
    keys = proxy.headers("Idempotency-Key", "POST")
    assert (len(keys), len(set(keys)), calls.billed) == (2, 1, 1)


async def test_a_create_call_is_made_again_after_a_503_of_a_proxy(server: RunningServer) -> None:
    with server.vendor_calls() as calls:
        async with behind(server, Fault(path=JOBS, method="POST", answer=UNAVAILABLE)) as (proxy, client):
            job = await client.submit(song(), wait_s=20)
    assert (job.state, calls.billed, len(proxy.headers("Host", "POST"))) == (JobState.COMPLETED, 1, 2)


async def test_two_calls_make_two_songs_unless_they_have_the_same_key(server: RunningServer) -> None:
    async with client_of(server.url) as client:
        first, second = await client.submit(song()), await client.submit(song())
        with_key = [await client.submit(song(), idempotency_key='of "mine" \\') for _ in range(2)]
        with pytest.raises(RequestError, match="printable"):
            await client.submit(song(), idempotency_key="a\nb")
    assert first.id != second.id
    assert with_key[0].id == with_key[1].id


async def test_a_replay_of_a_webhook_is_not_repeated_when_its_answer_is_lost(server: RunningServer) -> None:
    async with behind(server, Fault(path="/replay", method="POST")) as (proxy, client):
        with pytest.raises(ServerError, match="does not answer"):
            await client.replay_webhook("music_1", "msg_1")
    assert len(proxy.headers("Host", "POST")) == 1


async def test_a_deletion_whose_answer_is_lost_is_done(server: RunningServer) -> None:
    async with behind(server, Fault(path=JOBS, method="DELETE")) as (proxy, client):
        job = await client.generate(**song())
        await client.delete(job)
        assert len(proxy.headers("Host", "DELETE")) == 2
        with pytest.raises(JobNotFoundError, match=job.id):
            await client.delete(job)


# --- downloads ---


async def test_a_download_that_is_cut_continues_where_it_was(server: RunningServer, tmp_path: Path) -> None:
    job_id = (await server.generate(song(format="wav")))["id"]
    kept = await server.call("GET", f"{JOBS}/{job_id}/audio/0")
    faults = [Fault(path="/audio/0", keep_bytes=200_000), Fault(path="/audio/0", keep_bytes=100_000)]
    async with behind(server, *faults) as (proxy, client):
        path = await client.download(job_id, tmp_path / "song.wav")
        assert path.read_bytes() == kept.raw
        assert names_in(tmp_path) == ["song.wav"]
        assert proxy.headers("Range") == [None, "bytes=200000-", "bytes=300000-"]
        assert (await client.audio(job_id, wanted="flac")).startswith(b"fLaC")


async def test_a_download_of_nothing_leaves_no_file(server: RunningServer, tmp_path: Path) -> None:
    async with client_of(server.url) as client:
        job = await client.generate(**song())
        with pytest.raises(RequestError, match="no audio 7") as caught:
            await client.download(job, tmp_path / "song.mp3", 7)
    assert (caught.value.reason, names_in(tmp_path)) == ("audio_not_found", [])


async def test_audio_that_the_vendor_keeps_is_downloaded_without_the_key(
    open_server: OpenServer, tmp_path: Path
) -> None:
    async with open_server(archive=False) as server, client_of(server.url) as client:
        job = await client.generate(**song("fal"))
        path = await client.download(job, tmp_path / "song")
        assert path.read_bytes()
        media = [
            request
            for request in server.vendors["fal"].requests
            if "/files/" in request.url or ".mp3" in request.url
        ]
        assert all("Authorization" not in request.headers for request in media)


# --- events and waiting ---


async def test_an_event_stream_that_is_cut_goes_on_where_it_was(server: RunningServer) -> None:
    job_id = (await server.generate(song()))["id"]
    whole = await server.call("GET", f"{JOBS}/{job_id}/events")
    second = whole.raw.index(b"id: 3")
    async with behind(server, Fault(path="/events", keep_bytes=second + 20)) as (proxy, client):
        events = [(number, event.kind) async for number, event in client.events(job_id)]
        assert [item async for item in client.events(job_id, after=events[-1][0])] == []
    assert [number for number, _ in events] == list(range(1, len(events) + 1))
    assert (events[0][1], events[-1][1]) == (EventKind.CREATED, EventKind.SETTLED)
    assert proxy.headers("Last-Event-ID")[:2] == ["0", "2"]


async def test_waiting_ends_with_the_time_given(server: RunningServer) -> None:
    async with client_of(server.url) as client:
        job = await client.submit(UNFINISHED)
        with pytest.raises(JobTimeoutError, match="it goes on") as caught:
            await client.wait(job, timeout_s=0.3)
        assert caught.value.job_id == job.id
        with pytest.raises(JobTimeoutError):
            await client.generate(timeout_s=0.7, **UNFINISHED)
        cancelled = await client.cancel(job)
    assert cancelled.failure is not None
    assert cancelled.failure.reason is FailureClass.CANCELLED


async def test_where_no_request_may_wait_the_client_polls(open_server: OpenServer) -> None:
    async with (
        open_server(server={"max_waiting_requests": 1}) as server,
        faulty_proxy(server.url) as proxy,
        client_of(proxy.url) as client,
    ):
        held = await client.submit(UNFINISHED)
        waiting = asyncio.ensure_future(client.wait(held))
        while not proxy.headers("Prefer", path=held.id):  # noqa: ASYNC110 - the proxy has no event for it
            await asyncio.sleep(0.01)
        job = await client.generate(**song())
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert job.state is JobState.COMPLETED


async def test_watching_shows_every_state_and_the_end(server: RunningServer) -> None:
    async with client_of(server.url) as client:
        job = await client.submit(song())
        states = [version.state async for version in client.watch(job)]
    assert states[-1] is JobState.COMPLETED


# --- errors are those of the library ---


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (song(duration=0, seed="x"), InvalidRequestError),
        (song(webhook_url="http://10.0.0.1/x"), RequestError),
        ({"model": "no/model", "prompt": "x"}, RequestError),
        (song("minimax", title="a title"), UnsupportedOptionError),
    ],
)
async def test_an_error_is_the_one_that_the_gateway_raises(
    server: RunningServer, request_: dict[str, Any], kind: type[MusicgateError]
) -> None:
    with pytest.raises(MusicgateError) as known:
        await server.gateway.submit(server.gateway.read(request_), account="test", strict=True)
    async with client_of(server.url) as client:
        with pytest.raises(MusicgateError) as caught:
            await client.submit(request_, strict=True)
    assert type(caught.value) is type(known.value) is kind
    names = ("code", "reason", "http_status", "attribution", "retry_after_s", "description", "fields")
    assert [getattr(caught.value, name) for name in names] == [getattr(known.value, name) for name in names]
    assert caught.value.__notes__[0].startswith("request id: G-")


async def test_a_job_that_the_vendor_refuses_is_returned_or_raised(server: RunningServer) -> None:
    refused = song(switches="create=402")
    async with client_of(server.url) as client:
        job = await client.submit(refused)
        assert isinstance(job, RemoteJob)
        assert (job.state, job.failure is not None) == (JobState.FAILED, True)
        with pytest.raises(JobFailedError) as caught:
            await client.generate(**refused)
    assert job.failure is not None
    assert caught.value.failure.reason is job.failure.reason
    assert caught.value.job.id.startswith("music_")


async def test_limits_and_missing_keys_of_providers_are_errors_of_the_library(
    open_server: OpenServer,
) -> None:
    account = Account(name="test", key=Secret(ACCOUNT_KEY), max_open_jobs=1)
    async with (
        open_server(accounts=[account], providers={"fal": {"api_key": None}}) as server,
        client_of(server.url, retry_s=0.0) as client,
    ):
        with pytest.raises(AllCandidatesFailedError) as no_key:
            await client.submit(song("fal"))
        await client.submit(UNFINISHED)
        with pytest.raises(LimitReachedError) as limit:
            await client.submit(song())
    assert [plugin for plugin, _ in no_key.value.tries] == ["fal"]
    assert no_key.value.tries[0][1].reason is FailureClass.AUTH
    assert (limit.value.reason, limit.value.retry_after_s) == ("max_open_jobs", 10)


@pytest.mark.parametrize(
    ("key", "reason", "words"),
    [
        ("other-key-not-real", "key_not_found_or_revoked", "does not accept the API key"),
        ("", "missing_or_invalid_authorization_header", "wants an API key"),
    ],
)
async def test_a_wrong_key_is_named(server: RunningServer, key: str, reason: str, words: str) -> None:
    async with AsyncClient(server.url, api_key=key) as client:
        with pytest.raises(UnauthorisedError, match=words) as caught:
            await client.models()
    assert caught.value.reason == reason
    assert "look at api_key (MUSICGATE_API_KEY)" in str(caught.value)
    assert "not-real" not in str(caught.value)


async def test_a_page_in_place_of_an_answer_is_no_musicgate(server: RunningServer) -> None:
    async with behind(server, Fault(path=JOBS, method="POST", answer=GARBAGE)) as (proxy, client):
        with pytest.raises(ServerError, match="HTTP 200 without JSON; look at url") as caught:
            await client.submit(song())
    assert (caught.value.setting, caught.value.maybe_stored) == ("url", True)
    assert proxy.headers("Idempotency-Key", "POST") == [f'"{caught.value.idempotency_key}"']


# --- the other routes ---


async def test_the_jobs_of_an_account_are_listed_page_by_page(open_server: OpenServer) -> None:
    async with open_server() as server, client_of(server.url) as client:
        made = [(await client.submit(song())).id for _ in range(3)]
        listed = [job.id async for job in client.list_jobs(page_size=2)]
        assert listed == made[::-1]
        assert [job async for job in client.list_jobs(model="no/model")] == []
        done = [await client.wait(job) for job in made]
        assert {job.state for job in done} == {JobState.COMPLETED}
        assert len([job async for job in client.list_jobs(states=[JobState.COMPLETED])]) == 3


async def test_plan_and_catalogue_are_those_of_the_server(server: RunningServer) -> None:
    async with client_of(server.url) as client:
        plan = await client.plan(server.gateway.read(song("minimax")))
        assert [item["provider_plugin"] for item in plan["candidates"]] == ["minimax"]
        assert MODELS["fal"] in [model["id"] for model in await client.models()]
        assert "suno_kie" in [provider["provider_plugin"] for provider in await client.providers()]


async def test_the_log_of_webhooks_is_read_and_a_message_replayed(open_server: OpenServer) -> None:
    secret = Secret("whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ==")
    account = Account(name="test", key=Secret(ACCOUNT_KEY), webhook_secret=secret)
    async with open_server(accounts=[account]) as server, client_of(server.url) as client:
        job = await client.generate(**song(webhook_url="http://127.0.0.1:9/hook"))
        (message,) = await client.webhook_log(job)
        assert (message.job_id, message.type) == (job.id, "music.completed")
        replayed = await client.replay_webhook(job, message.id)
        assert replayed.id == message.id
