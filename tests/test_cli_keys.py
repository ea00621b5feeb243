"""``accounts`` and ``keys`` on a store: from nothing to a limited key, and what is refused."""

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from musicgate.accounts import Keyring, digest_of
from musicgate.cli import cli
from musicgate.store.sqlite import SqliteJobStore

KEY = re.compile(r"mg_([0-9a-z]{16})_[A-Za-z0-9_-]{43}")
WHSEC = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, words)


def answer(*words: str) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def made(*words: str) -> tuple[str, str]:
    """Id and text of a key that a command prints alone on standard output."""
    result = run("keys", *words)
    assert result.exit_code == 0, result.output
    found = KEY.fullmatch(result.stdout.strip())
    assert found is not None, result.stdout
    assert found[0] not in result.stderr
    assert "it is not shown again" in result.stderr
    return found[1], found[0]


def test_from_nothing_to_a_limited_key(folder: Path) -> None:
    admin, _ = made("create", "--admin", "--name", "laptop")
    limits = ("--requests-per-minute", "60", "--max-usd-per-day", "2.5", "--beta")
    assert run("accounts", "create", "studio", *limits).stdout == (
        "made: account studio (requests_per_minute 60, max_usd_per_day 2.5)\n"
    )
    key, text = made("create", "--account", "studio", "--expires", "90d")
    listed = run("keys", "list").stdout
    assert re.search(rf"^{admin} +admin +laptop +yes +active +- +-$", listed, re.MULTILINE)
    assert re.search(rf"^{key} +studio +- +- +active +20\d\d-", listed, re.MULTILINE)

    async def load() -> Keyring:
        async with SqliteJobStore.open(folder / "musicgate.db") as store:
            return await store.keys.load()

    ring = asyncio.run(load())
    assert ring.keys[key].digest == digest_of(text)
    assert ring.accounts["studio"].account.beta is True
    assert text.encode() not in (folder / "musicgate.db").read_bytes()


def test_a_key_is_rotated_and_revoked() -> None:
    made("create", "--admin")
    old, _ = made("create", "--admin", "--account", "ops")
    new, _ = made("rotate", old, "--grace", "2h")
    entries = {entry["id"]: entry for entry in answer("keys", "list", "--account", "ops")["data"]}
    assert (entries[old]["status"], entries[old]["replaced_by"], entries[new]["expires_at"]) == (
        "active",
        new,
        None,
    )
    assert entries[old]["expires_at"] is not None
    assert run("keys", "revoke", old).stdout == f"revoked: {old} of the account ops\n"
    assert answer("keys", "revoke", new)["status"] == "revoked"


def test_an_account_is_changed_disabled_and_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    made("create", "--admin")
    answer("accounts", "create", "studio", "--max-open-jobs", "3")
    monkeypatch.setenv("MUSICGATE_WEBHOOK_SECRET", WHSEC)
    hooks = ("--webhook-url", "https://hooks.test/")
    changed = answer("accounts", "set", "studio", "--unset", "max-open-jobs", "--audio-days", "7", *hooks)
    assert (changed["max_open_jobs"], changed["audio_days"], changed["has_webhook_secret"]) == (None, 7, True)
    assert "; disabled" in run("accounts", "set", "studio", "--disable").stdout
    listed = run("accounts", "list").stdout
    assert re.search(r"^studio +store +disabled", listed, re.MULTILINE)
    assert answer("accounts", "set", "studio", "--enable")["disabled"] is False
    assert run("accounts", "delete", "studio").exit_code == 0
    assert [entry["name"] for entry in answer("accounts", "list")["data"]] == ["admin"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("keys", "create", "--account", "x"), 2, "no such account"),
        (("keys", "create"), 2, "--account is missing"),
        (("accounts", "create", "x"), 2, "make an admin key first"),
        (("keys", "create", "--admin", "--expires", "soon"), 2, "--expires: must be an ISO 8601 time"),
        (("keys", "create", "--admin", "--expires", "999999999d"), 2, "--expires: is too far away"),
        (("keys", "create", "--admin", "--account", "a/b"), 2, "name: must be 1 to 64"),
        (("keys", "rotate", "x", "--grace", "long"), 2, "--grace: must be a time"),
        (("keys", "revoke", "mg_0123456789abcdef_secret"), 2, "there is no key with this id"),
        (("accounts", "set", "x"), 2, "nothing to change"),
        (("accounts", "set", "x", "--max-usd-per-day", "nan"), 2, "no such account"),
        (("keys", "list", "--url", "not-an-address"), 2, "--url"),
    ],
)
def test_a_mistake_says_what_to_do(words: tuple[str, ...], code: int, message: str) -> None:
    result = run(*words)
    assert (result.exit_code, message in result.output) == (code, True), result.output
    assert "mg_" not in result.output, "what may be a whole key is not repeated"


def test_without_a_key_the_lists_say_how_to_begin() -> None:
    for group in ("keys", "accounts"):
        result = run(group, "list")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "musicgate keys create --admin" in result.stderr


async def test_beside_a_server_on_sqlite_lists_work_and_changes_name_the_way(folder: Path) -> None:
    async with SqliteJobStore.open(folder / "musicgate.db"):
        listed = await asyncio.to_thread(run, "keys", "list")
        refused = await asyncio.to_thread(run, "keys", "create", "--admin")
    assert listed.exit_code == 0, listed.output
    assert refused.exit_code == 3
    assert "--url http://127.0.0.1:8080" in refused.output


@pytest.mark.parametrize("group", ["keys", "accounts"])
def test_help_says_where_the_accounts_and_keys_are(group: str) -> None:
    text = " ".join(run(group, "--help").output.split())
    assert "With --url the running server does it" in text
    assert "Without --url the store of the settings is used directly" in text
