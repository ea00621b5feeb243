"""The jobs of an account: listed in pages, cancelled, deleted; nobody else's can be touched or seen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from musicgate.model import Secret
from musicgate.settings import Account

if TYPE_CHECKING:
    from tests.e2e.house import House, OpenHouse

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCOUNTS = [Account(name=name, key=Secret(f"test-key-of-{name}")) for name in ("one", "two")]
KEY, OTHER_KEY = "test-key-of-one", "test-key-of-two"
JOBS = "/v1/music/generate"


def wish(switches: str = "lengths=3,3", vendor: str = "suno_kie", **more: object) -> dict[str, Any]:
    """A wish for one vendor with magic words."""
    model = {"minimax": "minimax/music-2.6", "elevenlabs": "elevenlabs/music"}.get(vendor, "suno/v5")
    return {"model": model, "prompt": f"rain [emulate {switches}]", "provider": {"only": [vendor]}, **more}


OPEN = wish("stop=TEXT_SUCCESS callbacks=off")


# ----------------------------------------------------------------------------------------------------------- list


async def test_jobs_are_listed_in_pages_the_newest_first(open_house: OpenHouse) -> None:
    async with open_house(accounts=ACCOUNTS) as house:
        made = []
        for number in range(5):
            reply = await house.call("POST", JOBS, body=wish(title=f"Number {number}"), key=KEY)
            made.append(reply.body["id"])
        foreign = await house.call("POST", JOBS, body=wish(), key=OTHER_KEY)
        seen: list[str] = []
        path, sizes = f"{JOBS}?limit=2", []
        while True:
            page = (await house.call("GET", path, key=KEY)).body
            assert page["object"] == "list"
            seen += [job["id"] for job in page["data"]]
            sizes.append(len(page["data"]))
            if page["next_cursor"] is None:
                break
            # A job that comes meanwhile moves no page.
            await house.call("POST", JOBS, body=wish(), key=KEY)
            path = f"/v1/music/generations?limit=2&cursor={page['next_cursor']}"
        assert seen == made[::-1]
        assert sizes == [2, 2, 1]
        theirs = (await house.call("GET", JOBS, key=OTHER_KEY)).body
        assert [job["id"] for job in theirs["data"]] == [foreign.body["id"]]
        assert theirs["next_cursor"] is None


async def test_a_page_of_large_jobs_is_short_and_its_cursor_leads_on(
    open_house: OpenHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.web.jobs.MAX_PAGE_BYTES", 1)
    async with open_house(accounts=ACCOUNTS) as house:
        made = [(await house.call("POST", JOBS, body=wish(), key=KEY)).body["id"] for _ in range(3)]
        pages: list[list[str]] = []
        path: str | None = f"{JOBS}?limit=100"
        while path:
            page = (await house.call("GET", path, key=KEY)).body
            pages.append([job["id"] for job in page["data"]])
            path = f"{JOBS}?limit=100&cursor={page['next_cursor']}" if page["next_cursor"] else None
        assert pages == [[job_id] for job_id in made[::-1]]


async def test_a_listed_job_is_the_job_of_get(open_house: OpenHouse) -> None:
    async with open_house() as house:
        job = await house.make(wish())
        failed = await house.create(wish("create=402"))
        listed = (await house.call("GET", JOBS)).body["data"]
        assert [item["id"] for item in listed] == [failed.body["music_id"], job["id"]]
        assert listed[1] == job
        assert listed[0]["status"] == "failed"


async def test_lists_are_filtered_by_state_and_model(open_house: OpenHouse) -> None:
    async with open_house() as house:
        done = (await house.make(wish()))["id"]
        running = (await house.create(OPEN)).body["id"]
        refused = (await house.create(wish("code=1026", "minimax"))).body["music_id"]
        cases = {
            "state=completed": [done],
            "state=in_progress,failed": [refused, running],
            "state=in_progress&state=failed": [refused, running],
            "state=queued": [],
            "model=suno/v5": [running, done],
            "model=suno%2Fv5&state=completed": [done],
            "model=v5": [],
            "limit=1&state=completed": [done],
        }
        for query, ids in cases.items():
            page = (await house.call("GET", f"{JOBS}?{query}")).body
            assert [job["id"] for job in page["data"]] == ids, query
            assert page["next_cursor"] is None, query


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        *((f"limit={value}", "invalid_limit") for value in ("0", "101", "-1", "1.5", "x", "", "9" * 5000, "%C2%B2")),
        *((f"state={value}", "invalid_state") for value in ("done", "", "completed,", "COMPLETED")),
        *((f"cursor={value}", "invalid_cursor") for value in ("", "x", "abcd", "%00", "%C3%BC", "MjAyNg", "9" * 999)),
    ],
)  # fmt: skip
async def test_a_question_that_makes_no_sense_is_refused(house: House, query: str, reason: str) -> None:
    reply = await house.call("GET", f"{JOBS}?{query}")
    assert (reply.status, reply.body["error"], reply.body["reason"]) == (400, "validation_error", reason)


@pytest.mark.parametrize("query", ["limit=100", "limit=1", "colour=blue", "model=%ED%A0%80", "model="])
async def test_odd_questions_get_an_answer(house: House, query: str) -> None:
    assert (await house.call("GET", f"{JOBS}?{query}")).status == 200


# --------------------------------------------------------------------------------------------------------- cancel


@pytest.mark.parametrize("base", [JOBS, "/v1/music/generations"])
async def test_an_open_job_is_stopped_and_followed_no_longer(house: House, base: str) -> None:
    job = (await house.create(OPEN)).body
    reply = await house.call("POST", f"{base}/{job['id']}/cancel")
    assert reply.status == 200
    assert (reply.body["status"], reply.body["error"]["reason"]) == ("failed", "cancelled")
    assert reply.body["error"]["may_have_cost"] is True
    assert (await house.get(job["id"])).body == reply.body
    assert (await house.call("POST", f"{base}/{job['nativeResponseId']}/cancel")).body == reply.body
    with house.watch("suno_kie") as seen:
        await asyncio.sleep(0.1)
    assert [read for read in seen.reads if job["nativeResponseId"] in read.url] == []


async def test_a_job_that_waits_for_its_turn_is_stopped_before_it_costs(open_house: OpenHouse) -> None:
    async with open_house() as house:
        slow = wish("latency_s=600 default_length_s=3 max_concurrent=9", "elevenlabs")
        with house.watch("elevenlabs") as seen:
            jobs = [(await house.create(slow, Idempotency_Key=f"turn-{turn}")).body for turn in range(3)]
            assert [job["attempts"][0]["outcome"] for job in jobs] == ["sent", "sent", "planned"]
            reply = await house.call("POST", f"{JOBS}/{jobs[2]['id']}/cancel")
            assert reply.body["error"]["reason"] == "cancelled"
            assert reply.body["error"]["may_have_cost"] is False
            again = await house.create(slow, Idempotency_Key="turn-2")
            assert (again.status, again.body["id"]) == (200, jobs[2]["id"])
            for job in jobs[:2]:
                assert (await house.finish(job["id"]))["status"] == "completed"
            await asyncio.sleep(0.1)
        assert (len(seen.creates), seen.billed) == (2, 2)


async def test_a_call_that_lasts_as_long_as_the_song_is_let_go(open_house: OpenHouse) -> None:
    async with open_house() as house:
        job = (await house.create(wish("delay_s=300 length_s=3", "minimax"))).body
        assert job["status"] == "in_progress"
        stopped = (await house.call("POST", f"{JOBS}/{job['id']}/cancel")).body
        assert (stopped["status"], stopped["error"]["may_have_cost"]) == ("failed", True)
        await asyncio.sleep(0.8)  # the song comes all the same
        assert len(house.vendors["minimax"].books.creates) == 1
        later = (await house.get(job["id"])).body
        assert {key: later[key] for key in ("status", "error")} == {
            key: stopped[key] for key in ("status", "error")
        }
        assert later["attempts"][0]["outcome"] == "accepted"  # what the bill will say
        assert "output" not in later


async def test_a_job_that_has_ended_cannot_be_stopped(house: House) -> None:
    for job in (await house.make(wish()), (await house.create(wish("create=402"))).body):
        reply = await house.call("POST", f"{JOBS}/{job.get('id') or job['music_id']}/cancel")
        assert (reply.status, reply.body["error"], reply.body["reason"]) == (
            409,
            "not_supported",
            "already_final",
        )


async def test_a_create_call_with_the_key_of_a_stopped_job_answers_with_that_job(house: House) -> None:
    job = (await house.create(OPEN, Idempotency_Key="stopped")).body
    await house.call("POST", f"{JOBS}/{job['id']}/cancel")
    again = await house.create(OPEN, Idempotency_Key="stopped")
    assert (again.status, again.body["id"], again.body["error"]["reason"]) == (200, job["id"], "cancelled")


# --------------------------------------------------------------------------------------------------------- delete


@pytest.mark.parametrize("base", [JOBS, "/v1/music/generations"])
async def test_a_deleted_job_is_gone_with_its_audio_and_its_events(open_house: OpenHouse, base: str) -> None:
    async with open_house() as house:
        job = await house.make(wish())
        audio = job["output"][0]["audio_url"]
        assert (await house.call("GET", audio)).status == 200
        reply = await house.call("DELETE", f"{base}/{job['id']}")
        assert (reply.status, reply.raw) == (204, b"")
        for method, path in (
            ("GET", f"{JOBS}/{job['id']}"),
            ("GET", f"{JOBS}/{job['nativeResponseId']}"),
            ("GET", f"{JOBS}/{job['id']}/events"),
            ("GET", audio),
            ("POST", f"{JOBS}/{job['id']}/cancel"),
            ("DELETE", f"{JOBS}/{job['id']}"),
        ):
            assert (await house.call(method, path)).status == 404, path
        assert (await house.call("GET", JOBS)).body["data"] == []


@pytest.mark.parametrize(
    "running",
    [OPEN, wish("delay_s=60 length_s=3", "minimax"), wish("lengths=3,3 media=503:9 skip=text,first")],
    ids=["at the vendor", "in the call", "being fetched"],
)
async def test_an_open_job_may_be_deleted(open_house: OpenHouse, running: dict[str, Any]) -> None:
    async with open_house() as house:
        job = (await house.create(running, Prefer="wait=0")).body
        if "media" in running["prompt"]:
            await house.until(job["id"], lambda shown: shown["native_status"] == "SUCCESS")
        assert (await house.call("DELETE", f"{JOBS}/{job['id']}")).status == 204
        await asyncio.sleep(0.5)
        assert (await house.get(job["id"])).status == 404
        folder = house.gateway._context.settings.data_dir / "audio"
        assert list(folder.glob("music_*")) == []


# --------------------------------------------------------------------------------------------------- other accounts


async def test_another_accounts_job_is_not_found_whatever_is_asked(open_house: OpenHouse) -> None:
    async with open_house(accounts=ACCOUNTS) as house:
        job = (await house.call("POST", JOBS, body=OPEN, key=KEY)).body
        for name in (job["id"], job["nativeResponseId"], "music_01ZZZZZZZZZZZZZZZZZZZZZZZZ", "x" * 600):
            for method, path in (
                ("GET", f"{JOBS}/{name}"),
                ("GET", f"{JOBS}/{name}/events"),
                ("GET", f"{JOBS}/{name}/audio/0"),
                ("POST", f"{JOBS}/{name}/cancel"),
                ("DELETE", f"{JOBS}/{name}"),
            ):
                reply = await house.call(method, path, key=OTHER_KEY, headers={"Prefer": "wait=5"})
                assert (reply.status, reply.body["error"], reply.body["reason"]) == (
                    404,
                    "not_found",
                    "music_not_found_or_not_owned",
                )
        assert (await house.get(job["id"], key=KEY)).body["status"] == "in_progress"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", JOBS),
        ("GET", f"{JOBS}/music_x/events"),
        ("POST", f"{JOBS}/music_x/cancel"),
        ("DELETE", f"{JOBS}/music_x"),
    ],
)
async def test_without_a_key_nothing_is_told_or_done(house: House, method: str, path: str) -> None:
    reply = await house.call(method, path, key=None)
    assert (reply.status, reply.body["error"]) == (401, "unauthorised")


@pytest.mark.parametrize("path", [f"{JOBS}/%20/cancel", f"{JOBS}/%20"])
async def test_a_blank_id_is_told_so(house: House, path: str) -> None:
    reply = await house.call("POST" if path.endswith("cancel") else "DELETE", path)
    assert (reply.status, reply.body["reason"]) == (400, "missing_music_id")
