"""Kept answers of finished jobs: never an old one, and never that of another account."""

from __future__ import annotations

import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.views import render_job
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, UNFINISHED, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHER_KEY = "other-test-key-not-real"
BOTH = (
    Account(name="test", key=Secret(ACCOUNT_KEY)),
    Account(name="other", key=Secret(OTHER_KEY)),
)
#: Headers that differ from answer to answer.
VOLATILE = {"Date"}


class Reads:
    """Counts how often a job was read from the store, and jobs were rendered."""

    def __init__(self, server: RunningServer, monkeypatch: pytest.MonkeyPatch, watched_id: str) -> None:
        self.read = self.rendered = self.heads = 0
        store = server.gateway._context.store
        get, head = store.get, store.head

        async def counted_get(job_id: str) -> Any:
            self.read += job_id == watched_id  # the server may be at work on jobs of other tests
            return await get(job_id)

        async def counted_head(account: str, job_id: str) -> Any:
            self.heads += 1
            return await head(account, job_id)

        def counted_render(*args: Any, **more: Any) -> Any:
            self.rendered += 1
            return render_job(*args, **more)

        monkeypatch.setattr(store, "get", counted_get)
        monkeypatch.setattr(store, "head", counted_head)
        monkeypatch.setattr("musicgate.web.job_resource.render_job", counted_render)


def stable(headers: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers.items() if name not in VOLATILE]


async def test_a_finished_job_is_read_and_rendered_once(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await server.generate(song()))["id"]
    server.gateway._changes.notify(job_id)  # forget the answer
    reads = Reads(server, monkeypatch, job_id)
    replies = [await server.get(job_id) for _ in range(5)]
    assert (reads.read, reads.rendered) == (1, 1)
    assert len({reply.raw for reply in replies}) == 1
    assert [stable(reply.headers) for reply in replies] == [stable(replies[0].headers)] * 5
    assert reads.heads == 2  # the second of them compares the version


async def test_an_answer_is_found_by_the_native_id_as_well(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await server.generate(song())
    first = await server.get(job["id"])
    reads = Reads(server, monkeypatch, job["id"])
    second = await server.get(job["nativeResponseId"])
    assert (second.raw, stable(second.headers)) == (first.raw, stable(first.headers))
    assert reads.rendered == 0


async def test_a_known_version_is_answered_without_reading_the_job(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = (await server.generate(song()))["id"]
    unfinished = (await server.create({**UNFINISHED, "title": "open"})).body["id"]
    async with aclosing(server.gateway.watch(unfinished)) as versions:
        async for job in versions:
            if job.native_status == "TEXT_SUCCESS":
                break  # no later poll changes it
    for job_id in (finished, unfinished):
        tag = (await server.get(job_id)).headers["ETag"]
        with monkeypatch.context() as patch:
            reads = Reads(server, patch, job_id)
            for headers in ({"If-None-Match": tag}, {"If-None-Match": f'"x", {tag}', "Prefer": "wait=0"}):
                if job_id == unfinished and "Prefer" in headers:
                    continue
                reply = await server.call("GET", f"{JOBS}/{job_id}", headers=headers)
                assert (reply.status, reply.raw, reply.headers["ETag"]) == (304, b"", tag)
                assert ("Preference-Applied" in reply.headers) == ("Prefer" in headers)
            refused = await server.call("GET", f"{JOBS}/{job_id}", headers={"If-Match": '"x"'})
            assert refused.status == 412
            assert reads.rendered == 0
            assert reads.read == 0 or job_id == unfinished  # a poll may have read it


async def test_the_preference_that_was_applied_is_named_with_a_kept_answer(server: RunningServer) -> None:
    job_id = (await server.generate(song()))["id"]
    plain = [await server.get(job_id) for _ in range(2)]
    waited = await server.call("GET", f"{JOBS}/{job_id}", headers={"Prefer": "wait=5"})
    assert waited.raw == plain[1].raw
    assert waited.headers["Preference-Applied"] == "wait=5"
    assert {**dict(stable(plain[1].headers)), "Preference-Applied": "wait=5"} == dict(stable(waited.headers))


async def test_head_gets_the_headers_of_a_kept_answer_without_its_body(server: RunningServer) -> None:
    job_id = (await server.generate(song()))["id"]
    whole = [await server.get(job_id) for _ in range(2)][1]
    head = await server.session.head(
        f"{server.url}{JOBS}/{job_id}", headers={"Authorization": f"Bearer {ACCOUNT_KEY}"}
    )
    assert dict(stable(head.headers)) == dict(stable(whole.headers))
    assert await head.read() == b""


async def test_a_change_and_a_delete_are_seen_at_once(server: RunningServer) -> None:
    job_id = (await server.generate(song()))["id"]
    before = [await server.get(job_id) for _ in range(3)][-1]
    context = server.gateway._context
    job = await context.store.get(job_id)
    assert job is not None
    changed = await context.store.replace(job, attrs.evolve(job, native_status="LATE"), [])
    assert changed is not None
    context.changed(job, changed)
    after = await server.get(job_id)
    assert after.body == {**before.body, "native_status": "LATE"}
    assert after.headers["ETag"] != before.headers["ETag"]
    for _ in range(3):
        assert (await server.get(job_id)).raw == after.raw
    assert (await server.call("DELETE", f"{JOBS}/{job_id}")).status == 204
    assert (await server.get(job_id)).status == 404


async def test_a_deletion_by_the_sweeper_is_seen_at_once(server: RunningServer) -> None:
    job = await server.generate(song())
    for _ in range(3):
        assert (await server.get(job["id"])).status == 200
    await server.gateway._runner.sweeper._remove_job(job["id"])
    assert (await server.get(job["id"])).status == 404
    assert (await server.get(job["nativeResponseId"])).status == 404


async def test_a_write_that_nobody_reported_is_seen_after_a_second(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = (await server.generate(song()))["id"]
    for _ in range(3):
        assert (await server.get(job_id)).status == 200
    assert await server.gateway._context.store.delete(job_id)
    now = time.monotonic() + 1.5
    monkeypatch.setattr("musicgate.web.finished_answers.time.monotonic", lambda: now)
    assert (await server.get(job_id)).status == 404


async def test_links_lead_to_the_host_that_was_asked(open_server: OpenServer) -> None:
    async with open_server(has_public_url=False) as server:
        job_id = (await server.generate(song()))["id"]
        port = server.url.rpartition(":")[2]
        for _ in range(2):
            for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
                reply = await server.call("GET", f"{JOBS}/{job_id}", headers={"Host": host})
                assert reply.body["output"][0]["audio_url"].startswith(f"http://{host}/v1/")


async def test_no_account_gets_the_answer_of_another(open_server: OpenServer) -> None:
    async with open_server(accounts=BOTH) as server:
        job = await server.generate(song())
        for _ in range(3):
            assert (await server.get(job["id"])).status == 200
            assert (await server.get(job["id"], key=OTHER_KEY)).status == 404
            assert (await server.get(job["nativeResponseId"], key=OTHER_KEY)).status == 404
