"""Accounts and keys as values: every change, who is refused, and what is in force."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest

from musicgate import ConfigError
from musicgate.accounts import (
    AccountBook,
    ApiKey,
    Keyring,
    KeyringChange,
    ManagedAccount,
    account_from_text,
    account_text,
    add_account,
    add_key,
    change_account,
    change_key,
    check_way_in,
    digest_of,
    id_of,
    make_key,
    remove_account,
    revoke_key,
    rotate_key,
)
from musicgate.errors import RequestError
from musicgate.model import Secret
from musicgate.settings import Account, AccountLimits, RetentionSettings, ServerSettings, Settings
from musicgate.store.keyring_rows import account_row, key_row, read_keyring

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
DAY = timedelta(days=1)
WHSEC = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
FILE = Account(name="filed", key=Secret("test-key-of-filed"), max_open_jobs=7)


def account(name: str, **more: Any) -> ManagedAccount:
    disabled_at = more.pop("disabled_at", None)
    return ManagedAccount(account=Account(name=name, **more), created_at=NOW, disabled_at=disabled_at)


def key(key_id: str, owner: str = "ops", **more: Any) -> ApiKey:
    values = {"digest": digest_of(key_id), "created_at": NOW, **more}
    return ApiKey(id=key_id, account=owner, **values)


def ring_of(*entries: ManagedAccount | ApiKey) -> Keyring:
    accounts = tuple(entry for entry in entries if isinstance(entry, ManagedAccount))
    keys = tuple(entry for entry in entries if isinstance(entry, ApiKey))
    return Keyring().after(KeyringChange(accounts=accounts, keys=keys))


RING = ring_of(
    account("ops"), account("studio"), key("a", is_admin=True), key("s", "studio", expires_at=NOW + DAY)
)


def refusal(work: Callable[[], object]) -> tuple[int, str | None]:
    with pytest.raises(RequestError) as caught:
        work()
    return caught.value.http_status, caught.value.reason


def test_a_key_has_an_id_that_may_be_shown_and_a_secret_that_is_not() -> None:
    made = make_key(os.urandom)
    text = made.key.reveal()
    assert text.startswith(f"mg_{made.id}_")
    assert (len(made.id), len(text)) == (16, 63)
    assert id_of(text) == made.id
    assert text not in repr(made)
    assert {id_of(other) for other in ("", "mg_x_y", text[:-1], f"{text}x", text.upper(), "sk-1")} == {None}
    assert make_key(os.urandom).id != made.id


def test_a_stored_account_comes_back_from_its_document() -> None:
    full = Account(
        name="a", beta=True, max_usd_per_day=0.5, webhook_url="https://h.test/", webhook_secret=Secret(WHSEC)
    )
    assert account_from_text("a", account_text(full)) == full
    assert account_text(Account(name="a")) == "{}"
    assert account_from_text("a", '{"of_a_later_version": 1, "beta": true}') == Account(name="a", beta=True)
    with pytest.raises(ConfigError):
        account_from_text("a", '{"max_open_jobs": "3"}')


def test_an_account_is_made_with_checked_limits() -> None:
    fields = {
        "requests_per_minute": 5,
        "audio_days": 2,
        "webhook_url": "https://h.test/",
        "webhook_secret": WHSEC,
    }
    (made,) = add_account(RING, "new", fields, now=NOW, in_settings=()).accounts
    assert (made.account.requests_per_minute, made.account.webhook_secret) == (5, Secret(WHSEC))
    assert WHSEC not in repr(made)


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("studio", {}, (409, "account_exists")),
        ("filed", {}, (409, "account_in_settings")),
        ("", {}, (400, "invalid_value")),
        ("a/b", {}, (400, "invalid_value")),
        ("x" * 65, {}, (400, "invalid_value")),
        ("new", {"requests_per_minute": -1}, (400, "invalid_value")),
        ("new", {"requests_per_minute": True}, (400, "invalid_value")),
        ("new", {"max_open_jobs": 1.5}, (400, "invalid_value")),
        ("new", {"max_usd_per_day": "5"}, (400, "invalid_value")),
        ("new", {"max_usd_per_day": float("nan")}, (400, "invalid_value")),
        ("new", {"beta": 1}, (400, "invalid_value")),
        ("new", {"key": "secret"}, (400, "invalid_value")),
        ("new", {"webhook_url": "https://h.test/"}, (400, "invalid_value")),
        ("new", {"webhook_url": "ftp://h.test/", "webhook_secret": WHSEC}, (400, "invalid_value")),
        ("new", {"webhook_secret": "whsec_short"}, (400, "invalid_value")),
        ("new", {"webhook_secret_previous": WHSEC}, (400, "invalid_value")),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    name: str, fields: dict[str, object], expected: tuple[int, str]
) -> None:
    assert refusal(lambda: add_account(RING, name, fields, now=NOW, in_settings=("filed",))) == expected


def test_a_value_is_never_in_the_message_that_refuses_it() -> None:
    with pytest.raises(RequestError) as caught:
        add_account(RING, "new", {"webhook_secret": "whsec_not-a-secret"}, now=NOW, in_settings=())
    assert "not-a-secret" not in str(caught.value)
    assert caught.value.path == ("webhook_secret",)


def test_a_change_keeps_what_it_does_not_name_and_null_unsets() -> None:
    ring = ring_of(account("studio", max_open_jobs=3, beta=True))
    change = change_account(
        ring, "studio", {"max_open_jobs": None, "jobs_days": 1.0}, now=NOW, in_settings=()
    )
    (changed,) = change.accounts
    assert changed.account == Account(name="studio", beta=True, jobs_days=1.0)
    (disabled,) = change_account(ring, "studio", {}, now=NOW, in_settings=(), is_disabled=True).accounts
    assert disabled.disabled_at == NOW
    ring = ring_of(attrs.evolve(disabled, disabled_at=NOW - DAY))
    (again,) = change_account(ring, "studio", {}, now=NOW, in_settings=(), is_disabled=True).accounts
    (enabled,) = change_account(ring, "studio", {}, now=NOW, in_settings=(), is_disabled=False).accounts
    assert (again.disabled_at, enabled.disabled_at) == (NOW - DAY, None)


def test_a_removed_account_leaves_no_key_that_works() -> None:
    after = RING.after(remove_account(RING, "studio", now=NOW, in_settings=()))
    assert (set(after.accounts), after.keys["s"].revoked_at, after.version) == (
        {"ops"},
        NOW,
        RING.version + 1,
    )
    assert after.keys["a"].revoked_at is None


def test_an_account_that_the_settings_hide_can_be_removed() -> None:
    change = remove_account(RING, "studio", now=NOW, in_settings=("studio", "filed"))
    assert change.removed_accounts == ("studio",)
    assert refusal(lambda: remove_account(RING, "filed", now=NOW, in_settings=("filed",))) == (
        *(409, "account_in_settings"),
    )


def test_the_first_admin_key_makes_its_account_and_another_key_does_not() -> None:
    def make(ring: Keyring, owner: str, *, is_admin: bool) -> KeyringChange:
        return add_key(
            ring,
            "n",
            b"",
            account=owner,
            name="",
            is_admin=is_admin,
            expires_at=None,
            now=NOW,
            in_settings=("filed",),
        )[0]

    after = Keyring().after(make(Keyring(), "ops", is_admin=True))
    assert (set(after.accounts), after.keys["n"].is_admin) == ({"ops"}, True)
    assert refusal(lambda: make(RING, "nope", is_admin=False)) == (404, "account_not_found")
    assert refusal(lambda: make(RING, "filed", is_admin=True)) == (409, "account_in_settings")


def test_keys_that_ended_long_ago_are_forgotten_when_another_is_made() -> None:
    old = key("old", expires_at=NOW - 91 * DAY), key("gone", revoked_at=NOW - 91 * DAY, expires_at=NOW + DAY)
    ring = ring_of(account("ops"), *old, key("late", revoked_at=NOW - 89 * DAY))
    change, _ = add_key(
        ring,
        "n",
        b"",
        account="ops",
        name="",
        is_admin=False,
        expires_at=None,
        now=NOW,
        in_settings=(),
    )
    assert set(ring.after(change).keys) == {"late", "n"}


def test_a_rotated_key_works_until_its_grace_time_is_over() -> None:
    change, new = rotate_key(RING, "s", "s2", b"2", grace=timedelta(hours=1), now=NOW)
    old = RING.after(change).keys["s"]
    assert (new.id, new.account, new.expires_at, new.digest) == ("s2", "studio", NOW + DAY, b"2")
    assert (old.replaced_by, old.expires_at, old.revoked_at) == ("s2", NOW + timedelta(hours=1), None)
    assert old.is_in_force(NOW + timedelta(minutes=59))
    assert not old.is_in_force(NOW + timedelta(hours=1))
    after = RING.after(change)
    assert refusal(lambda: rotate_key(after, "s", "s3", b"3", grace=DAY, now=NOW)) == (409, "key_was_rotated")
    longer, _ = rotate_key(RING, "s", "s2", b"2", grace=2 * DAY, now=NOW)
    assert RING.after(longer).keys["s"].expires_at == NOW + DAY, "it does not work for longer than it did"
    at_once, _ = rotate_key(RING, "s", "s2", b"2", grace=timedelta(0), now=NOW)
    assert RING.after(at_once).keys["s"].revoked_at == NOW
    for grace in (timedelta(seconds=-1), 91 * DAY):
        assert refusal(lambda grace=grace: rotate_key(RING, "s", "n", b"", grace=grace, now=NOW)) == (  # type: ignore[misc]
            400,
            "invalid_value",
        )


def test_what_has_ended_is_neither_changed_nor_rotated_and_may_be_revoked_again() -> None:
    later = NOW + 2 * DAY
    assert refusal(lambda: rotate_key(RING, "s", "n", b"", grace=DAY, now=later)) == (409, "key_has_ended")
    assert refusal(lambda: change_key(RING, "s", name="", expires_at=None, now=later)) == (
        409,
        "key_has_ended",
    )
    assert refusal(lambda: change_key(RING, "s", name="x" * 101, expires_at=None, now=NOW)) == (
        400,
        "invalid_value",
    )
    for end in (NOW, datetime.max.replace(tzinfo=UTC)):
        assert refusal(lambda end=end: change_key(RING, "s", name="", expires_at=end, now=NOW)) == (  # type: ignore[misc]
            400,
            "invalid_value",
        )
    assert refusal(lambda: revoke_key(RING, "mg_a_secret", now=NOW)) == (404, "key_not_found")
    once = RING.after(revoke_key(RING, "s", now=NOW)[0])
    assert once.after(revoke_key(once, "s", now=later)[0]).keys["s"].revoked_at == NOW


@pytest.mark.parametrize(
    ("before", "change", "reason"),
    [
        (Keyring(), KeyringChange(accounts=(account("studio"),)), "admin_key_needed"),
        (Keyring(), KeyringChange(accounts=(account("ops"),), keys=(key("a"),)), "admin_key_needed"),
        (Keyring(), KeyringChange(accounts=(account("ops"),), keys=(key("a", is_admin=True),)), None),
        (RING, KeyringChange(keys=(key("a", is_admin=True, revoked_at=NOW),)), "last_admin_key"),
        (RING, KeyringChange(keys=(key("a", is_admin=True, expires_at=NOW + DAY),)), "last_admin_key"),
        (RING, KeyringChange(removed_keys=("a",)), "last_admin_key"),
        (RING, KeyringChange(removed_accounts=("ops",)), "last_admin_key"),
        (RING, KeyringChange(accounts=(account("ops", disabled_at=NOW),)), "last_admin_key"),
        (RING, KeyringChange(keys=(key("a", is_admin=True, revoked_at=NOW), key("b", is_admin=True))), None),
        (RING, KeyringChange(keys=(key("s", "studio", revoked_at=NOW),)), None),
    ],
)
def test_a_change_that_leaves_no_administrator_is_refused(
    before: Keyring, change: KeyringChange, reason: str | None
) -> None:
    after = before.after(change)
    check_way_in(before, after, NOW, has_admin_key=True)
    if reason is None:
        check_way_in(before, after, NOW, has_admin_key=False)
    else:
        assert refusal(lambda: check_way_in(before, after, NOW, has_admin_key=False)) == (409, reason)


def test_a_book_merges_the_settings_and_the_store() -> None:
    usual = AccountLimits(requests_per_minute=60)
    settings = Settings(accounts=(FILE,), limits=usual, retention=RetentionSettings(jobs_days=9.0))
    book = AccountBook(settings)
    assert (book.is_open, book.names) == (False, {"filed"})
    book.update(
        ring_of(account("studio", max_open_jobs=2, audio_days=1.0), key("s", "studio", is_admin=True))
    )
    assert book.limits_of("studio") == AccountLimits(requests_per_minute=60, max_open_jobs=2)
    assert book.limits_of("filed").max_open_jobs == 7
    assert book.limits_of("unknown") == usual
    assert (book.retention_of("studio").audio_days, book.retention_of("studio").jobs_days) == (1.0, 9.0)
    found = book.find(digest_of("s"))
    assert found is not None
    assert (found.caller.key_id, found.caller.account.name, found.caller.is_admin) == ("s", "studio", True)
    filed = book.find(digest_of("test-key-of-filed"))
    assert filed is not None
    assert (filed.caller.key_id, filed.caller.account, filed.caller.is_admin) == ("file:filed", FILE, False)


def test_a_book_knows_no_key_that_was_revoked_or_is_of_a_disabled_account() -> None:
    book = AccountBook(Settings())
    book.update(
        ring_of(
            account("ops"),
            account("off", disabled_at=NOW),
            key("r", revoked_at=NOW),
            key("d", "off"),
            key("o", "x"),
        )
    )
    assert [book.find(digest_of(name)) for name in ("r", "d", "o")] == [None, None, None]
    assert not any(book.knows_id(name) for name in ("r", "d", "o"))


def test_an_account_of_the_settings_goes_before_one_of_the_store(caplog: pytest.LogCaptureFixture) -> None:
    book = AccountBook(Settings(accounts=(FILE,)))
    clash = ring_of(account("filed", max_open_jobs=1000), key("f", "filed", is_admin=True))
    book.update(clash)
    book.update(attrs.evolve(clash, version=7))
    assert (book.limits_of("filed").max_open_jobs, book.find(digest_of("f"))) == (7, None)
    assert [record.message for record in caplog.records] == [
        "account of the store left out, the settings have one of its name: account=filed"
    ]


def test_a_server_is_open_until_the_first_key_and_never_again() -> None:
    book = AccountBook(Settings())
    states = [book.is_open]
    for ring in (RING, Keyring(version=9)):  # a key that is revoked must not open the server again
        book.update(ring)
        states.append(book.is_open)
    assert states == [True, False, False]
    assert not AccountBook(Settings(server=ServerSettings(admin_key=Secret("a" * 20)))).is_open


def test_a_book_tells_which_accounts_changed() -> None:
    book, told = AccountBook(Settings()), []
    book.update(RING)
    book.listeners.append(lambda changed: told.append(set(changed)))
    book.update(RING.after(change_account(RING, "studio", {"max_open_jobs": 1}, now=NOW, in_settings=())))
    book.update(RING.after(revoke_key(RING, "s", now=NOW)[0]))
    book.update(RING.after(remove_account(RING, "ops", now=NOW, in_settings=())))
    assert told == [{"studio"}, {"studio"}, {"ops"}]


def test_the_admin_key_is_not_an_accounts_key() -> None:
    same = ServerSettings(admin_key=Secret("test-key-of-filed-20"))
    with pytest.raises(ConfigError, match=r"server\.admin_key: is the key of an account"):
        AccountBook(Settings(server=same, accounts=(attrs.evolve(FILE, key=Secret("test-key-of-filed-20")),)))
    with pytest.raises(ConfigError, match="at least 20 characters"):
        ServerSettings(admin_key=Secret("short"))


def test_a_row_that_cannot_be_read_is_left_out_and_the_others_work(caplog: pytest.LogCaptureFixture) -> None:
    row = account_row(account("studio", max_open_jobs=2))
    good = (*key_row(key("s", "studio")), None)
    ring = read_keyring(
        3,
        [row, ("odd", *row[1:3], "{"), ("wrong", *row[1:3], '{"webhook_secret": "whsec_secret", "beta": 1}')],
        [good, ("bad", *good[1:3], "no hex", *good[4:]), ("late", *good[1:6], 2**62, *good[7:])],
    )
    assert (ring.version, set(ring.accounts), set(ring.keys)) == (3, {"studio"}, {"s"})
    assert len(caplog.records) == 4
    assert "secret" not in caplog.text.replace("test_", "")
