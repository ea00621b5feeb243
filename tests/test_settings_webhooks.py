"""Webhook addresses and secrets in the settings are checked at start and never shown."""

from pathlib import Path

import pytest

from musicgate import ConfigError, Gateway
from musicgate.accounts import AccountBook
from musicgate.hosting.discovery import load_plugins
from musicgate.model import Secret
from musicgate.settings import Settings, WebhookSettings, load_settings
from musicgate.webhooks.targets import target_of

SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
EARLIER = "whsec_ZWFybGllci1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
ACCOUNT = '[[accounts]]\nname = "alice"\nkey = "test-key-not-real"\n'


def load(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    path = tmp_path / "m.toml"
    path.write_text(text)
    return load_settings(path, environ)


def test_a_server_without_accounts_has_one_webhook_address(tmp_path: Path) -> None:
    text = f'[webhooks]\nurl = "https://h.test/x"\nsecret = "{SECRET}"\nsecret_previous = "{EARLIER}"\ntimeout_s = 3'
    settings = load(tmp_path, text)
    assert (settings.webhooks.url, settings.webhooks.timeout_s) == ("https://h.test/x", 3.0)
    target = target_of(AccountBook(settings), "local")
    assert (target.url, target.secrets) == ("https://h.test/x", (Secret(SECRET), Secret(EARLIER)))
    assert SECRET not in repr(settings)
    assert EARLIER not in repr(settings)


def test_the_signing_secret_may_come_from_the_environment(tmp_path: Path) -> None:
    settings = load(tmp_path, MUSICGATE_WEBHOOKS__SECRET=SECRET, MUSICGATE_WEBHOOKS__URL="https://h.test/")
    assert settings.webhooks.secret == Secret(SECRET)
    assert load(tmp_path, MUSICGATE_WEBHOOKS__SECRET="").webhooks.secret is None


async def test_settings_made_in_code_are_checked_when_the_gateway_opens(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, webhooks=WebhookSettings(secret=Secret("not-a-secret")))
    with pytest.raises(ConfigError, match=r"webhooks\.secret: must be whsec_"):
        async with Gateway.open(settings, plugins=load_plugins(installed=False)):
            pass


def test_each_account_has_its_own_address_and_secret(tmp_path: Path) -> None:
    text = (
        f'{ACCOUNT}webhook_url = "https://a.test/"\nwebhook_secret = "{SECRET}"\n'
        f'[[accounts]]\nname = "bob"\nkey = "other-key-not-real"\nwebhook_secret = "{EARLIER}"\n'
        '[[accounts]]\nname = "carol"\nkey = "third-key-not-real"\n'
    )
    settings = load(tmp_path, text)
    assert target_of(AccountBook(settings), "alice").url == "https://a.test/"
    assert target_of(AccountBook(settings), "alice").secrets == (Secret(SECRET),)
    assert (target_of(AccountBook(settings), "bob").url, target_of(AccountBook(settings), "bob").secrets) == (
        None,
        (Secret(EARLIER),),
    )
    assert target_of(AccountBook(settings), "carol").secrets == ()
    assert SECRET not in repr(settings)


def test_an_account_with_two_keys_has_one_address(tmp_path: Path) -> None:
    again = f'[[accounts]]\nname = "alice"\nkey = "new-key-not-real"\nwebhook_url = "https://a.test/"\nwebhook_secret = "{SECRET}"'
    target = target_of(AccountBook(load(tmp_path, f"{ACCOUNT}{again}")), "alice")
    assert (target.url, target.secrets) == ("https://a.test/", (Secret(SECRET),))


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ('[webhooks]\nsecret = "not-a-secret"', "webhooks.secret", "must be whsec_"),
        ("[webhooks]\nsecret = 7", "webhooks.secret", "must be text"),
        ('[webhooks]\nurl = "https://h.test/"', "webhooks.secret", "is missing; webhooks.url needs it"),
        (
            f'[webhooks]\nsecret_previous = "{EARLIER}"',
            "webhooks.secret",
            "webhooks.secret_previous needs it",
        ),
        (
            f'[webhooks]\nurl = "h.test"\nsecret = "{SECRET}"',
            "webhooks.url",
            "must be an http or https address",
        ),
        (f'{ACCOUNT}webhook_secret = "not-a-secret"', "accounts[0].webhook_secret", "must be whsec_"),
        (f'{ACCOUNT}webhook_url = "https://h.test/"', "accounts[0].webhook_secret", "webhook_url needs it"),
        (f'{ACCOUNT}[webhooks]\nsecret = "{SECRET}"', "webhooks", "for a server without accounts"),
        ("[webhooks]\ntimeout_s = 0", "webhooks.timeout_s", "must be more than 0 and at most 60 seconds"),
        ("[webhooks]\ntimeout_s = 61", "webhooks.timeout_s", "at most 60"),
        ("[webhooks]\nconcurrency = 0", "webhooks.concurrency", "must be 1 to"),
        ("[webhooks]\nconcurrency_per_server = 0", "webhooks.concurrency_per_server", "must be 1 to"),
    ],
)
def test_a_wrong_webhook_setting_is_reported_and_not_shown(
    tmp_path: Path, text: str, key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert caught.value.key == key
    assert caught.value.source == str(tmp_path / "m.toml")
    assert "not-a-secret" not in str(caught.value)
