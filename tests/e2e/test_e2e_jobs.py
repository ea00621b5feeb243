"""The jobs of an account: listed in pages, cancelled, deleted, and out of reach of other accounts.

What cancelling and deleting do to a job in each of its states is the subject of tests/test_cancel.py.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.web import jobs
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, UNFINISHED, song
from tests.waiting import until

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_KEY = "test-key-of-other"
ACCOUNTS = [Account(name="own", key=Secret(ACCOUNT_KEY)), Account(name="other", key=Secret(OTHER_KEY))]


async def listed_pages(server: RunningServer, query: str, key: str = ACCOUNT_KEY) -> list[list[str]]:
    """The ids of each page; a job is created after each of them, and moves none of the others."""
    pages: list[list[str]] = []
    path = f"{JOBS}?{query}"
    while True:
        page = (await server.call("GET", path, key=key)).body
        assert page["object"] == "list"
        pages.append([job["id"] for job in page["data"]])
        if page["next_cursor"] is None:
            return pages
        await server.call("POST", JOBS, body=song(), key=key)
        path = f"/v1/music/generations?{query}&cursor={page['next_cursor']}"


async def test_jobs_are_listed_in_pages_newest_first(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_server(accounts=ACCOUNTS) as server:
        made = [(await server.create(song())).body["id"] for _ in range(5)]
        foreign = await server.call("POST", JOBS, body=song(), key=OTHER_KEY)
        pages = await listed_pages(server, "limit=2")
        assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
        assert await listed_pages(server, "limit=100", key=OTHER_KEY) == [[foreign.body["id"]]]
        monkeypatch.setattr(jobs, "MAX_PAGE_BYTES", 1)  # a page of large jobs is shorter, and never empty
        assert (await listed_pages(server, "limit=100"))[-5:] == [[job_id] for job_id in made[::-1]]


async def test_jobs_are_listed_as_they_are_read_and_filtered_by_state_and_model(
    open_server: OpenServer,
) -> None:
    async with open_server() as server:
        done = await server.generate(song())
        running = (await server.create(UNFINISHED)).body["id"]
        refused = (await server.create(song("minimax", "create=1026"))).body["music_id"]
        cases = {
            "": [refused, running, done["id"]],
            "state=completed": [done["id"]],
            "state=in_progress,failed": [refused, running],
            "state=in_progress&state=failed": [refused, running],
            "state=queued": [],
            "model=suno%2Fv5&state=completed": [done["id"]],
            "model=v5": [],
            "limit=1&state=completed": [done["id"]],
        }
        for query, ids in cases.items():
            page = (await server.call("GET", f"{JOBS}?{query}")).body
            assert [job["id"] for job in page["data"]] == ids, query
            assert page["next_cursor"] is None, query
        assert (await server.call("GET", f"{JOBS}?state=completed")).body["data"] == [done]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        *((f"limit={value}", "invalid_limit") for value in ("0", "101", "-1", "1.5", "", "9" * 5000, "%C2%B2")),
        *((f"state={value}", "invalid_state") for value in ("done", "", "completed,", "COMPLETED")),
        *((f"cursor={value}", "invalid_cursor") for value in ("", "x", "abcd", "%C3%BC", "MjAyNg", "9" * 999)),
    ],
)  # fmt: skip
async def test_an_invalid_query_is_refused(server: RunningServer, query: str, reason: str) -> None:
    reply = await server.call("GET", f"{JOBS}?{query}")
    assert reply.error == (400, "validation_error", reason)


@pytest.mark.parametrize("query", ["limit=100", "colour=blue", "model=%ED%A0%80", "model="])
async def test_an_odd_query_is_answered(server: RunningServer, query: str) -> None:
    assert (await server.call("GET", f"{JOBS}?{query}")).status == 200


@pytest.mark.parametrize("base", [JOBS, "/v1/music/generations"])
async def test_an_open_job_is_cancelled_once_and_no_longer_polled(server: RunningServer, base: str) -> None:
    job = (await server.create(UNFINISHED, Idempotency_Key=f"cancel-{base[-1]}")).body
    reply = await server.call("POST", f"{base}/{job['id']}/cancel")
    assert reply.status == 200
    assert (reply.body["status"], reply.body["error"]["reason"]) == ("failed", "cancelled")
    assert reply.body["error"]["may_have_cost"] is True
    assert (await server.get(job["id"])).body == reply.body
    assert (await server.call("POST", f"{base}/{job['nativeResponseId']}/cancel")).body == reply.body
    with server.vendor_calls("suno_kie") as calls:
        again = await server.create(UNFINISHED, Idempotency_Key=f"cancel-{base[-1]}")
        await asyncio.sleep(0.1)
    assert (again.status, again.body["id"], again.body["error"]["reason"]) == (200, job["id"], "cancelled")
    assert calls.creates == []
    assert [read for read in calls.reads if job["nativeResponseId"] in read.url] == []


async def test_a_finished_job_cannot_be_cancelled(server: RunningServer) -> None:
    for job in (await server.generate(song()), (await server.create(song(switches="create=402"))).body):
        reply = await server.call("POST", f"{JOBS}/{job.get('id') or job['music_id']}/cancel")
        assert reply.error == (409, "not_supported", "already_final")


@pytest.mark.parametrize("base", [JOBS, "/v1/music/generations"])
async def test_a_deleted_job_is_gone_with_its_audio_and_its_events(
    open_server: OpenServer, base: str
) -> None:
    async with open_server() as server:
        job = await server.generate(song())
        audio = job["output"][0]["audio_url"]
        assert (await server.call("GET", audio)).status == 200
        reply = await server.call("DELETE", f"{base}/{job['id']}")
        assert (reply.status, reply.raw) == (204, b"")
        for method, path in (
            ("GET", f"{JOBS}/{job['id']}"),
            ("GET", f"{JOBS}/{job['nativeResponseId']}"),
            ("GET", f"{JOBS}/{job['id']}/events"),
            ("GET", audio),
            ("POST", f"{JOBS}/{job['id']}/cancel"),
            ("DELETE", f"{JOBS}/{job['id']}"),
        ):
            assert (await server.call(method, path)).status == 404, path
        assert (await server.call("GET", JOBS)).body["data"] == []
        assert list((server.gateway._context.settings.data_dir / "audio").glob("music_*")) == []


@pytest.mark.parametrize(
    "running",
    [UNFINISHED, song("minimax", "done_s=60 song_s=3"), song(switches="media=503:9 skip=text,first")],
    ids=["at the vendor", "in the create call", "being fetched"],
)
async def test_an_open_job_may_be_deleted(open_server: OpenServer, running: dict[str, Any]) -> None:
    async with open_server() as server:
        job = (await server.create(running, Prefer="wait=0")).body
        if "media" in running["prompt"]:
            await server.wait_until(job["id"], lambda shown: shown["native_status"] == "SUCCESS")
        assert (await server.call("DELETE", f"{JOBS}/{job['id']}")).status == 204
        await asyncio.sleep(0.3)  # what was on its way arrives
        audio = server.gateway._context.settings.data_dir / "audio"
        await until(lambda: not list(audio.glob("music_*")))  # and is removed
        assert (await server.get(job["id"])).status == 404


async def test_a_job_of_another_account_is_found_by_no_call(open_server: OpenServer) -> None:
    async with open_server(accounts=ACCOUNTS) as server:
        job = (await server.create(UNFINISHED)).body
        for name in (job["id"], job["nativeResponseId"], "x" * 600):
            for method, path in (
                ("GET", f"{JOBS}/{name}"),
                ("GET", f"{JOBS}/{name}/events"),
                ("GET", f"{JOBS}/{name}/audio/0"),
                ("POST", f"{JOBS}/{name}/cancel"),
                ("DELETE", f"{JOBS}/{name}"),
            ):
                reply = await server.call(method, path, key=OTHER_KEY, headers={"Prefer": "wait=5"})
                assert reply.error == (404, "not_found", "music_not_found_or_not_owned")
        assert (await server.get(job["id"])).body["status"] == "in_progress"
