"""Accounts and keys over HTTP: from nothing to a limited key, and what an administrator is refused."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import pytest_asyncio
from click.testing import CliRunner

from musicgate.accounts import AccountBook, KeyringChange
from musicgate.cli import FailedError, SettingsError, cli, remote
from musicgate.cli.admin import open_admin
from musicgate.errors import RequestError
from musicgate.gateway import KeyAdmin
from musicgate.model import Secret
from musicgate.settings import Settings
from musicgate.store.sqlite import SqliteJobStore
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLAN, TIMEOUT_S, running_server, song
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from musicgate.hosting import PluginHost
    from tests.e2e.running_server import OpenServer, Reply, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN_KEY = "bootstrap-key-not-real"
ACCOUNTS, KEYS = "/v1/admin/accounts", "/v1/admin/keys"
WHSEC = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
NOT_FOUND = (401, "unauthorised", "key_not_found_or_revoked")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """A server with one account in its settings, and an admin key."""
    folder = tmp_path_factory.mktemp("admin")
    options = {"admin_key": Secret(ADMIN_KEY), "access_log": True}
    async with running_server(folder, plugins, server=options) as started:
        yield started


async def call(server: RunningServer, method: str, path: str, body: object = None, **more: Any) -> Reply:
    return await server.call(method, path, body=body, **{"key": ADMIN_KEY, **more})


async def made_key(server: RunningServer, account: str, **fields: object) -> dict[str, Any]:
    reply = await call(server, "POST", KEYS, {"account": account, **fields})
    assert reply.status == 201, reply.raw
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.body


async def works(server: RunningServer, key: str) -> tuple[int, str | None, str | None]:
    reply = await server.call("GET", JOBS, key=key)
    return (200, None, None) if reply.status == 200 else reply.error


async def test_from_nothing_to_a_limited_key(server: RunningServer) -> None:
    made = await call(server, "POST", ACCOUNTS, {"name": "limited", "requests_per_minute": 1})
    assert (made.status, made.body["source"], made.body["requests_per_minute"]) == (201, "store", 1)
    key = (await made_key(server, "limited", name="laptop"))["key"]

    async def create() -> Reply:
        return await server.call("POST", JOBS, body=song(), key=key)

    first = await create()
    assert first.status == 200, first.raw
    assert (await create()).error == (429, "key_limit_exceeded", "requests_per_minute")
    path = f"{ACCOUNTS}/limited"
    raised = await call(server, "PATCH", path, {"requests_per_minute": 2})
    assert raised.body["requests_per_minute"] == 2
    second = await create()
    assert (second.status, second.headers["RateLimit"]) == (200, second.headers["RateLimit"])
    assert second.headers["RateLimit"].startswith('"requests-per-minute";r=0')
    assert (await create()).status == 429, "what was counted before stays counted"
    assert (
        await call(server, "PATCH", path, {"requests_per_minute": None, "max_open_jobs": 0})
    ).status == 200
    assert "RateLimit" not in (await create()).headers
    shown = await server.call("GET", f"{JOBS}/{first.body['id']}", key=key)
    assert shown.status == 200
    assert (await server.get(first.body["id"])).status == 404, "another account does not see it"


async def test_a_finished_job_says_until_when_its_audio_is_kept_now(server: RunningServer) -> None:
    await call(server, "POST", ACCOUNTS, {"name": "keeping"})
    key = (await made_key(server, "keeping"))["key"]
    job = (await server.call("POST", JOBS, body=song(), key=key)).body["id"]
    await server.gateway.wait(job, TIMEOUT_S)

    async def ends() -> list[bool]:
        shown = await server.call("GET", f"{JOBS}/{job}", key=key)
        return ["expires_at" in item for item in shown.body["output"]]

    assert [await ends() for _ in range(2)] == [[False, False]] * 2, "the second answer is the kept one"
    await call(server, "PATCH", f"{ACCOUNTS}/keeping", {"audio_days": 30})
    assert await ends() == [True, True]


async def test_a_rotated_key_works_beside_the_new_one(server: RunningServer) -> None:
    await call(server, "POST", ACCOUNTS, {"name": "turning"})
    old = await made_key(server, "turning")
    new = (await call(server, "POST", f"{KEYS}/{old['id']}/rotate")).body
    assert [await works(server, key) for key in (old["key"], new["key"])] == [(200, None, None)] * 2
    await server.gateway._runner.keyring.note_uses()
    shown = (await call(server, "GET", f"{KEYS}/{old['id']}")).body
    assert (shown["status"], shown["replaced_by"]) == ("active", new["id"])
    assert shown["used_at"] is not None
    last = (await call(server, "POST", f"{KEYS}/{new['id']}/rotate", {"grace_s": 0})).body
    assert [await works(server, key) for key in (new["key"], last["key"])] == [NOT_FOUND, (200, None, None)]


async def test_every_reason_of_a_refusal_is_told(server: RunningServer) -> None:
    await call(server, "POST", ACCOUNTS, {"name": "refused"})
    made = await made_key(server, "refused")
    key = made["key"]
    assert await works(server, key[:-4] + "AAAA") == (401, "unauthorised", "invalid_secret")
    assert await works(server, key[:-4]) == NOT_FOUND
    # As another process would store it, so that no time has to pass.
    keys = server.gateway._context.store.keys
    ring = await keys.load()
    expired = attrs.evolve(ring.keys[made["id"]], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert await keys.change(ring.version, KeyringChange(keys=(expired,)))
    await server.gateway._runner.keyring.refresh()
    refused = await works(server, key)
    assert refused == (401, "unauthorised", "key_expired")
    other = await made_key(server, "refused")
    assert (await call(server, "PATCH", f"{ACCOUNTS}/refused", {"disabled": True})).body["disabled"] is True
    assert await works(server, other["key"]) == NOT_FOUND
    await call(server, "PATCH", f"{ACCOUNTS}/refused", {"disabled": False})
    assert (await works(server, other["key"]))[0] == 200
    revoked = await call(server, "POST", f"{KEYS}/{other['id']}/revoke")
    assert (revoked.body["status"], await works(server, other["key"])) == ("revoked", NOT_FOUND)
    assert await works(server, other["key"][:-4] + "AAAA") == NOT_FOUND
    assert (await call(server, "POST", f"{KEYS}/{other['id']}/rotate")).error == (
        409,
        "not_supported",
        "key_has_ended",
    )


async def test_a_deleted_account_is_gone_with_its_keys_and_its_jobs_stay(server: RunningServer) -> None:
    await call(server, "POST", ACCOUNTS, {"name": "leaving"})
    made = await made_key(server, "leaving")
    job = (await server.call("POST", JOBS, body=song(), key=made["key"])).body
    assert (await call(server, "DELETE", f"{ACCOUNTS}/leaving")).status == 204
    assert await works(server, made["key"]) == NOT_FOUND
    assert (await call(server, "GET", f"{ACCOUNTS}/leaving")).error == (404, "not_found", "account_not_found")
    assert (await call(server, "DELETE", f"{ACCOUNTS}/leaving")).status == 404
    assert await server.gateway.get(job["id"]) is not None


async def test_only_administrators_are_answered(server: RunningServer) -> None:
    await call(server, "POST", ACCOUNTS, {"name": "plain"})
    plain = (await made_key(server, "plain"))["key"]
    admin = (await made_key(server, "operators", is_admin=True))["key"]
    for method, path in (
        ("GET", ACCOUNTS),
        ("POST", KEYS),
        ("POST", f"{KEYS}/x/revoke"),
        ("DELETE", f"{ACCOUNTS}/x"),
    ):
        assert (await call(server, method, path, key=None)).status == 401
        for key in (plain, ACCOUNT_KEY):
            assert (await call(server, method, path, key=key)).error == (403, "unauthorised", "not_an_admin")
    listed = await call(server, "GET", ACCOUNTS, key=admin)
    entries = {entry["name"]: entry for entry in listed.body["data"]}
    assert (entries["test"]["source"], entries["operators"]["source"]) == ("settings", "store")
    assert (await works(server, admin))[0] == 200, "an administrator's key makes music, too"
    for method, path in (("GET", JOBS), ("POST", PLAN)):
        assert (await call(server, method, path, song())).error == (403, "unauthorised", "admin_key_only")


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("POST", ACCOUNTS, {"name": "test"}, (409, "not_supported", "account_in_settings")),
        ("PATCH", f"{ACCOUNTS}/test", {"beta": True}, (409, "not_supported", "account_in_settings")),
        ("DELETE", f"{ACCOUNTS}/test", None, (409, "not_supported", "account_in_settings")),
        ("POST", ACCOUNTS, {}, (400, "validation_error", "invalid_type")),
        ("POST", ACCOUNTS, [], (400, "validation_error", "invalid_type")),
        ("POST", ACCOUNTS, {"name": "a b"}, (400, "validation_error", "invalid_value")),
        ("POST", ACCOUNTS, {"name": "a", "max_open_job": 1}, (400, "validation_error", "unknown_field")),
        ("POST", ACCOUNTS, {"name": "a", "max_open_jobs": "1"}, (400, "validation_error", "invalid_value")),
        ("POST", KEYS, {"account": "unknown"}, (404, "not_found", "account_not_found")),
        ("POST", KEYS, {"account": "test"}, (409, "not_supported", "account_in_settings")),
        ("POST", KEYS, {"account": 1}, (400, "validation_error", "invalid_type")),
        ("POST", KEYS, {"account": "x", "is_admin": "yes"}, (400, "validation_error", "invalid_type")),
        ("POST", KEYS, {"account": "x", "expires_at": "soon"}, (400, "validation_error", "invalid_value")),
        (
            "POST",
            KEYS,
            {"account": "x", "expires_at": "2999-01-01"},
            (400, "validation_error", "invalid_value"),
        ),
        ("GET", f"{KEYS}/mg_whole_key", None, (404, "not_found", "key_not_found")),
        ("POST", f"{KEYS}/x/rotate", {"grace_s": 1e300}, (400, "validation_error", "invalid_value")),
        ("POST", f"{KEYS}/x/rotate", {"grace_s": True}, (400, "validation_error", "invalid_type")),
        ("POST", f"{KEYS}/x/revoke", {"x": 1}, (400, "validation_error", "unknown_field")),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(
    server: RunningServer, method: str, path: str, body: object, expected: tuple[int, str, str]
) -> None:
    reply = await call(server, method, path, body)
    assert reply.error == expected
    assert "mg_whole_key" not in str(reply.body["description"])


async def test_a_key_is_shown_once_and_logged_never(
    server: RunningServer, caplog: pytest.LogCaptureFixture
) -> None:
    # By name: the command line sets the levels of some, in tests of this process, too.
    for name in (None, "musicgate", "musicgate.web.request_log", "musicgate.gateway.counting"):
        caplog.set_level(logging.DEBUG, logger=name)
    await call(
        server, "POST", ACCOUNTS, {"name": "quiet", "webhook_url": "https://h.test/", "webhook_secret": WHSEC}
    )
    again = {"headers": {"Idempotency-Key": "k"}}
    first = await call(server, "POST", KEYS, {"account": "quiet"}, **again)
    second = await call(server, "POST", KEYS, {"account": "quiet"}, **again)
    assert first.body["key"] != second.body["key"], "a replay would show the first one again"
    key, path = first.body["key"], f"{KEYS}/{first.body['id']}"
    job = (await server.call("POST", JOBS, body=song(), key=key)).body["id"]
    replies = [
        await call(server, "GET", KEYS),
        await call(server, "GET", f"{KEYS}?account=quiet"),
        await call(server, "GET", path),
        await call(server, "PATCH", path, {"name": "renamed"}),
        await call(server, "GET", f"{ACCOUNTS}/quiet"),
        await server.call("GET", f"{JOBS}/{job}", key=key),
        await server.call("GET", f"{JOBS}/{job}", key=f"{key[:-2]}xx"),
        await call(server, "POST", f"{path}/revoke"),
        await server.call("GET", f"{JOBS}/{job}", key=key),
    ]
    secret = key.rpartition("_")[2][:20]
    ring = await server.gateway._context.store.keys.load()
    texts = [
        *(reply.raw.decode() for reply in replies),
        caplog.text,
        repr(ring),
        repr(server.gateway._context.accounts),
    ]
    assert [text for text in texts if key in text or secret in text or WHSEC in text] == []
    assert "/v1/admin/keys/{key_id}/revoke" in caplog.text


async def test_the_last_administrator_cannot_be_removed(tmp_path: Path, open_server: OpenServer) -> None:
    async with SqliteJobStore.open(tmp_path / "jobs.db") as store:
        made = await KeyAdmin(store.keys, AccountBook(Settings())).add_key("ops", is_admin=True)
    key, path = made.secret.reveal(), f"{KEYS}/{made.key.id}"
    async with open_server(accounts=()) as server:
        for method, where, body in (
            ("POST", f"{path}/revoke", None),
            ("PATCH", path, {"expires_at": "2099-01-01T00:00:00Z"}),
            ("PATCH", f"{ACCOUNTS}/ops", {"disabled": True}),
            ("DELETE", f"{ACCOUNTS}/ops", None),
        ):
            refused = await call(server, method, where, body, key=key)
            assert refused.error == (409, "not_supported", "last_admin_key")
        other = await call(server, "POST", KEYS, {"account": "ops", "is_admin": True}, key=key)
        assert (await call(server, "POST", f"{path}/revoke", key=other.body["key"])).status == 200
        assert (await works(server, key)) == NOT_FOUND
        assert (await server.call("GET", JOBS, key=None)).status == 401


async def test_an_open_server_has_no_administrator_and_stays_open(
    server_without_accounts: RunningServer,
) -> None:
    refused = await call(
        server_without_accounts, "POST", KEYS, {"account": "ops", "is_admin": True}, key=None
    )
    assert refused.error == (403, "unauthorised", "not_an_admin")
    assert "musicgate keys create --admin" in refused.body["description"]
    assert (await server_without_accounts.call("GET", JOBS, key=None)).status == 200


async def test_the_command_line_does_the_same_through_the_server(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RETRY_S", 0.0)
    async with open_admin(None, server.url, ADMIN_KEY) as admin:
        account = await admin.create_account("remote", {"max_open_jobs": 2})
        changed = await admin.change_account("remote", {"max_open_jobs": None}, is_disabled=True)
        assert (account["max_open_jobs"], changed["max_open_jobs"], changed["disabled"]) == (2, None, True)
        await admin.change_account("remote", {}, is_disabled=False)
        ends = datetime.now(UTC) + timedelta(days=1)
        made = await admin.create_key("remote", "laptop", is_admin=False, expires_at=ends)
        new = await admin.rotate_key(made["id"], timedelta(0))
        assert (await works(server, new["key"]))[0] == 200
        assert [entry["id"] for entry in await admin.keys("remote")] == [new["id"], made["id"]]
        assert (await admin.revoke_key(new["id"]))["status"] == "revoked"
        assert {"test", "remote"} <= {entry["name"] for entry in await admin.accounts()}
        await admin.delete_account("remote")
        with pytest.raises(RequestError, match="there is no such account"):
            await admin.delete_account("remote")

    async def usage() -> object:
        return (await call(server, "GET", "/v1/admin/usage?group_by=account")).body

    argv = ["usage", *("--url", server.url, "--key", ADMIN_KEY, "--json", "--by", "account")]

    async def the_same_is_printed() -> bool:
        before = await usage()
        report = await asyncio.to_thread(CliRunner().invoke, cli, argv)
        after = await usage()
        assert before != after or json.loads(report.stdout) == after
        return before == after  # else a job of another test was settled meanwhile

    await until(the_same_is_printed)
    with pytest.raises(SettingsError, match=r"not accept the API key: .*administrator.*--key") as caught:
        async with open_admin(None, server.url, ACCOUNT_KEY) as admin:
            await admin.keys(None)
    assert ACCOUNT_KEY not in str(caught.value)
    with pytest.raises(FailedError, match="cannot be reached: connection refused; look at --url"):
        async with open_admin(None, "http://127.0.0.1:1", None) as admin:
            await admin.accounts()
