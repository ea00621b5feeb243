"""A change of an account is obeyed by the next call, with SQLite and by every replica on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from musicgate import Gateway, RequestError, StorageError
from musicgate.accounts import AccountBook
from musicgate.errors import LimitReachedError
from musicgate.gateway import KeyAdmin, account_book, key_admin
from musicgate.gateway.compose import open_context
from musicgate.gateway.keyring import KeyringReader
from musicgate.gateway.sweep import Sweeper
from musicgate.hosting.discovery import load_plugins
from musicgate.settings import ServerSettings, Settings, StoreSettings
from musicgate.store import JobStore
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_ledger import MemoryLedger
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.web.serve import serve
from tests.fake_vendor import MODEL, FakeVendor, Rig, rig_of
from tests.free_port import free_port
from tests.postgres_servers import Postgres, emptied
from tests.waiting import until

VENDOR = FakeVendor("one")
WHSEC = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
JOBS = "/v1/music/generate"


@pytest.fixture(params=["memory", "ledger"])
async def rig(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Rig]:
    """A gateway whose limits are counted in memory, and one that counts as replicas do."""
    if request.param == "ledger":
        monkeypatch.setattr("tests.fake_vendor.ledger_of", MemoryLedger)
    async with rig_of(tmp_path, VENDOR, store=MemoryJobStore()) as made:
        yield made


async def admin_of(rig: Rig) -> KeyAdmin:
    """An administrator's key is there, and the account studio."""
    admin = key_admin(rig.gate)
    await admin.add_key("ops", is_admin=True)
    await admin.add_account("studio", {})
    return admin


async def create(rig: Rig, **more: Any) -> Any:
    rig.transport.script("one", {"id": f"n-{len(rig.transport.sent)}"})
    return await rig.gate.submit(rig.gate.read({"model": MODEL, "prompt": "x", **more}), account="studio")


async def test_limits_that_are_set_hold_for_the_next_call(rig: Rig) -> None:
    admin = await admin_of(rig)
    await create(rig)
    await create(rig)
    assert rig.gate.rate_limit_headers("studio") == {}
    await admin.change_account("studio", {"max_open_jobs": 2})
    await rig.gate._runner.keyring.refresh()
    with pytest.raises(LimitReachedError, match="2 jobs are open, 2 may be"):
        await create(rig)
    await admin.change_account("studio", {"max_open_jobs": 3, "requests_per_minute": 1})
    await create(rig)
    with pytest.raises(LimitReachedError, match="more than 1 create calls"):
        await create(rig)
    await admin.change_account("studio", {"max_open_jobs": None, "requests_per_minute": 2})
    await create(rig)
    with pytest.raises(LimitReachedError, match="more than 2 create calls"):
        await create(rig)


async def test_webhooks_go_where_the_account_says_when_its_job_ends(rig: Rig) -> None:
    admin = await admin_of(rig)
    with pytest.raises(RequestError, match="no secret to sign"):
        await create(rig, webhook_url="https://other.test/")
    job = await create(rig)
    await admin.change_account("studio", {"webhook_url": "https://hooks.test/", "webhook_secret": WHSEC})
    await rig.gate.cancel(job.id, account="studio")
    (message,) = await rig.store.outbox.of_job(job.id)
    assert message.url == "https://hooks.test/"
    courier = rig.gate.webhooks._courier
    await courier._start_due()
    assert courier._share.is_shared, "with a second account the connections are shared"


async def test_jobs_are_kept_for_as_long_as_the_account_says_now(rig: Rig) -> None:
    admin = await admin_of(rig)
    job = await create(rig)
    await rig.gate.cancel(job.id, account="studio")
    rig.clock.pass_s(5 * 86_400)
    sweeper = Sweeper(rig.context)
    await sweeper.sweep()
    assert await rig.gate.get(job.id) is not None
    await admin.change_account("studio", {"jobs_days": 3})
    await sweeper.sweep()
    assert await rig.gate.get(job.id) is None


async def test_the_use_of_keys_is_noted_by_the_minute_and_not_by_request(rig: Rig) -> None:
    admin = await admin_of(rig)
    key = (await admin.add_key("studio")).key
    book, reader = account_book(rig.gate), KeyringReader(rig.context)
    book.used.update({key.id})
    await reader.note_uses()
    now = rig.clock.now()
    assert (await admin.load()).keys[key.id].used_at == now.replace(second=0, microsecond=0)
    rig.store.trouble = "the disk is full"
    book.used.add(key.id)
    await reader.note_uses()


async def test_a_store_that_cannot_be_read_leaves_the_keys_as_they_were(
    rig: Rig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    admin = await admin_of(rig)
    made = await admin.add_key("studio")
    reader = KeyringReader(rig.context)

    async def fail() -> int:
        raise StorageError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(rig.context.store.keys, "version", fail)
        await reader._step()
        await reader._step()
    await reader._step()
    assert account_book(rig.gate).knows_id(made.key.id)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "keys not read again, retrying",
        "keys read again",
    ]


async def test_of_two_administrators_one_stays(store: JobStore) -> None:
    """Each revokes the other's key at the same moment: both would be right alone."""
    admins = [KeyAdmin(store.keys, AccountBook(Settings())) for _ in range(2)]
    first = (await admins[0].add_key("ops", is_admin=True)).key
    second = (await admins[1].add_key("ops", is_admin=True)).key
    done = await asyncio.gather(
        admins[0].revoke_key(second.id), admins[1].revoke_key(first.id), return_exceptions=True
    )
    refused = [error for error in done if isinstance(error, RequestError)]
    assert [error.reason for error in refused] == ["last_admin_key"]
    assert sum(key.revoked_at is None for key in (await store.keys.load()).keys.values()) == 1


async def test_every_replica_obeys_a_change_whoever_made_it(postgres: Postgres, tmp_path: Path) -> None:
    url = await emptied(postgres.url)
    settings = Settings(data_dir=tmp_path, store=StoreSettings(url=url), server=ServerSettings(drain_s=0.0))
    async with AsyncExitStack() as stack:
        urls = []
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for _ in range(2):
            gateway = await stack.enter_async_context(
                Gateway.open(settings, plugins=load_plugins(installed=False))
            )
            port = free_port()
            await stack.enter_async_context(serve(gateway, "127.0.0.1", port))
            urls.append(f"http://127.0.0.1:{port}")

        async def asked(place: int, key: str | None, path: str = JOBS) -> int:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            async with session.get(urls[place] + path, headers=headers) as answer:
                return answer.status

        async def called(place: int, path: str, key: str, body: object = None) -> Any:
            headers = {"Authorization": f"Bearer {key}"}
            async with session.post(urls[place] + path, headers=headers, json=body) as answer:
                return await answer.json()

        assert [await asked(place, None) for place in (0, 1)] == [200, 200]
        # As the command line does beside running servers: nothing is told to them.
        beside = await stack.enter_async_context(PostgresJobStore.open(url))
        made = await KeyAdmin(beside.keys, AccountBook(settings)).add_key("ops", is_admin=True)
        admin = made.secret.reveal()

        async def both_answer(key: str | None, status: int) -> bool:
            return [await asked(place, key) for place in (0, 1)] == [status, status]

        # The first key closes the servers to callers without one.
        await until(lambda: both_answer(None, 401))
        key = (await called(0, "/v1/admin/keys", admin, {"account": "ops"}))["key"]
        await until(lambda: both_answer(key, 200))
        await called(1, f"/v1/admin/keys/{key.split('_')[1]}/revoke", admin)
        await until(lambda: both_answer(key, 401))


async def test_a_gateway_knows_the_keys_of_its_store_before_it_serves(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    async with SqliteJobStore.open(tmp_path / "musicgate.db") as store:
        made = await KeyAdmin(store.keys, AccountBook(settings)).add_key("ops", is_admin=True)
    host = load_plugins(installed=False)
    async with open_context(settings, host, lambda *_: None) as context:
        assert (context.accounts.is_open, context.accounts.knows_id(made.key.id)) == (False, True)
