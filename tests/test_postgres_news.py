"""News between replicas over a real PostgreSQL: told to the others, lost with a connection, bounded."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import attrs
import pytest

from musicgate.store import postgres_news
from musicgate.store.postgres_news import CHANNEL, PostgresNews
from tests.loopback_vendors import Serve
from tests.postgres_servers import Postgres, execute
from tests.waiting import until

UNREACHABLE = "postgresql://user:secret-of-user@127.0.0.1:1/music"


@attrs.frozen
class Ear:
    """One end, and what it has heard."""

    news: PostgresNews
    heard: list[tuple[str, ...]] = attrs.field(factory=list)

    async def start(self) -> None:
        await self.news.start(
            lambda job_id: self.heard.append(("changed", job_id)),
            lambda job_id: self.heard.append(("due", job_id)),
            lambda: self.heard.append(("outbox",)),
            lambda: self.heard.append(("missed",)),
            lambda: self.heard.append(("keys",)),
        )

    async def hears(self, *wanted: tuple[str, ...]) -> None:
        """Wait until just this has been heard, and forget it."""
        await until(lambda: len(self.heard) >= len(wanted))
        assert sorted(self.heard) == sorted(wanted)
        self.heard.clear()


@asynccontextmanager
async def ears(url: str) -> AsyncIterator[tuple[Ear, Ear]]:
    async with AsyncExitStack() as stack:
        both = Ear(PostgresNews(url, "a")), Ear(PostgresNews(url, "b"))
        for ear in both:
            stack.push_async_callback(ear.news.close)
            await ear.start()
        yield both


async def test_news_are_heard_by_others_and_not_by_their_teller(postgres: Postgres) -> None:
    async with ears(postgres.url) as (a, b):
        a.news.changed("music_1")
        a.news.changed("music_1")
        a.news.due('music_"ü\0\ud800')
        a.news.outbox()
        a.news.keys()
        await b.hears(("changed", "music_1"), ("due", 'music_"ü\0\ud800'), ("outbox",), ("keys",))
        b.news.changed("music_2")
        await a.hears(("changed", "music_2"))
        assert b.heard == []


async def test_many_ids_fit_into_few_payloads(postgres: Postgres) -> None:
    async with ears(postgres.url) as (a, b):
        payloads: list[str] = []
        assert b.news._connection is not None
        await b.news._connection.add_listener(CHANNEL, lambda *told: payloads.append(str(told[3])))
        ids = [f"music_{number:032}" for number in range(5_000)]
        for job_id in ids:
            a.news.changed(job_id)
        a.news.due("x" * 9_000)
        a.news.due("ü" * 80)
        await until(lambda: ("due", "ü" * 80) in b.heard)
        assert {job_id for _, job_id in b.heard} == {*ids, "ü" * 80}
        assert max(map(len, payloads)) < 8_000
        assert len(payloads) == 28


async def test_news_of_a_moment_are_told_together(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ears(postgres.url) as (a, b):
        a.news.outbox()
        await b.hears(("outbox",))
        monkeypatch.setattr(postgres_news, "_GATHER_S", 0.3)
        payloads: list[object] = []
        assert b.news._connection is not None
        await b.news._connection.add_listener(CHANNEL, lambda *told: payloads.append(told))
        for number in range(9):
            a.news.changed(f"music_{number}")
            await asyncio.sleep(0.001)
        await b.hears(*(("changed", f"music_{number}") for number in range(9)))
        assert len(payloads) == 1


async def test_too_many_news_are_dropped_and_the_others_are_told_so(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_news, "MAX_WAITING", 100)
    async with ears(postgres.url) as (a, b):
        for number in range(250):
            a.news.changed(f"music_{number}")
        await b.hears(("missed",), *(("changed", f"music_{number}") for number in range(200, 250)))


async def test_a_lost_connection_is_made_again_and_tells_that_news_were_missed(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with ears(postgres.url) as (a, b):
        a.news.outbox()
        await b.hears(("outbox",))
        assert b.news._connection is not None
        pid = b.news._connection.get_server_pid()
        await execute(postgres.url, f"SELECT pg_terminate_backend({pid})")
        await until(lambda: "heard again" in caplog.text)
        a.news.changed("music_3")
        await b.hears(("missed",), ("changed", "music_3"))
        await a.hears(("missed",))
    assert caplog.text.count("not heard, retrying") == 1


async def test_what_could_not_be_told_is_told_as_missed(postgres: Postgres) -> None:
    async with ears(postgres.url) as (a, b):
        assert a.news._connection is not None
        a.news._connection.terminate()
        a.news.changed("music_1")
        await b.hears(("missed",))


async def test_a_replica_that_ends_tells_the_rest(postgres: Postgres) -> None:
    async with ears(postgres.url) as (a, b):
        a.news.outbox()
        await b.hears(("outbox",))
        a.news.due("music_1")
        await a.news.close()
        await b.hears(("due", "music_1"))


async def test_what_other_programs_tell_is_ignored(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    async with ears(postgres.url) as (a, b):
        for payload in ("", "hello", "[1]", "7", '{"changed":["music_9"]}', '{"replica":"c","changed":7}'):
            await execute(postgres.url, f"SELECT pg_notify('{CHANNEL}', '{payload}')")
        await execute(
            postgres.url, f"SELECT pg_notify('{CHANNEL}', '{json.dumps({'replica': 'c', 'new': 1})}')"
        )
        a.news.changed("music_1")
        await b.hears(("changed", "music_1"))
    assert caplog.text.count("of another program") == 10


async def test_without_postgresql_telling_costs_nothing_and_closing_is_quick(
    caplog: pytest.LogCaptureFixture,
) -> None:
    news = PostgresNews(UNREACHABLE, "a")
    ear = Ear(news)
    async with asyncio.timeout(5):
        await ear.start()
        for number in range(postgres_news.MAX_WAITING + 50):
            news.changed(str(number))
        assert len(news._changed) <= postgres_news.MAX_WAITING
        await until(lambda: news._failures >= 2)
        await news.close()
    assert ear.heard == []
    assert caplog.text.count("not heard, retrying") == 1
    assert "secret-of-user" not in caplog.text


async def test_closing_does_not_wait_for_a_server_that_is_silent(serve: Serve) -> None:
    began = asyncio.Event()

    async def be_silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        began.set()
        await reader.read()

    port = await serve(be_silent)
    ear = Ear(PostgresNews(f"postgresql://user@127.0.0.1:{port}/music?sslmode=disable", "a"))
    starting = asyncio.create_task(ear.start())
    async with asyncio.timeout(5):
        await began.wait()
        await ear.news.close()
    starting.cancel()


async def test_commits_that_tell_news_do_not_wait_for_the_disk(postgres: Postgres) -> None:
    async with ears(postgres.url) as (a, _):
        setting = None
        async with asyncio.timeout(5):
            while setting is None:
                assert a.news._connection is not None
                try:
                    setting = await a.news._connection.fetchval("SHOW synchronous_commit")
                except asyncpg.InterfaceError:  # it tells something just now
                    await asyncio.sleep(0.01)
        assert setting == "off"
