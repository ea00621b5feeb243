"""Rules of settings: ranges, stripping, keys that fit into a header, variables of other programs."""

import math
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import ConfigError
from musicgate.model import Secret
from musicgate.settings import (
    SECTIONS,
    Account,
    AssetSettings,
    FollowSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    WebhookSettings,
    load_settings,
    resolve,
)
from musicgate.settings.limits import AccountLimits
from musicgate.settings.rules import Number, Whole, rule_of
from tests.fake_vendor import FakeVendor

KEY = "test-key-not-real"
DIGEST = "sha256:" + "5e" * 32
SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="
ONE = FakeVendor("one", webhook_secret_env="ONE_SECRET").declared


def load(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    path = tmp_path / "m.toml"
    path.write_bytes(text.encode())
    return load_settings(path, environ)


# --- ranges ---


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (FollowSettings, {"speed": 0}, "follow.speed: must be 0.001 to 1000000"),
        (FollowSettings, {"speed": math.inf}, "follow.speed: must be 0.001 to 1000000"),
        (FollowSettings, {"concurrency": 1.5}, "follow.concurrency: must be a whole number"),
        (ServerSettings, {"port": "80"}, "server.port: must be a whole number"),
        (ServerSettings, {"port": True}, "server.port: must be a whole number"),
        (ServerSettings, {"drain_s": math.nan}, "server.drain_s: must be 0 to 600 seconds"),
        (ServerSettings, {"public_url": "https://x.test/\r\n"}, "server.public_url: must have no control characters"),
        (ServerSettings, {"public_url": "music.test"}, "server.public_url: must be an http or https address"),
        (ServerSettings, {"pricing_required": "yes"}, "server.pricing_required: must be true or false"),
        (AssetSettings, {"max_bytes": 0}, "assets.max_bytes: must be 1 to"),
        (RetentionSettings, {"idempotency_hours": 23}, "retention.idempotency_hours: must be at least 24 hours"),
        (RetentionSettings, {"jobs_days": math.inf}, "retention.jobs_days: must be a finite number"),
        (WebhookSettings, {"timeout_s": 0}, "webhooks.timeout_s: must be more than 0 and at most 60 seconds"),
        (WebhookSettings, {"secret": "whsec_x"}, "webhooks.secret: must be text"),
        (AccountLimits, {"max_usd_per_day": -1}, "limits.max_usd_per_day: must be 0 to 1000000000 US dollars"),
        (Account, {"name": "a", "max_open_jobs": -1}, "accounts.max_open_jobs: must be 0 to 1000000000 jobs"),
        (Account, {"name": "a", "key": Secret("a b")}, "accounts.key: must have no blanks"),
        (Account, {"name": "a", "expires_at": "2027-01-01"}, "accounts.expires_at: must have its offset"),
        (Account, {"name": 7}, "accounts.name: must be text"),
    ],
)  # fmt: skip
def test_values_made_in_code_are_checked_too(kind: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(**values)
    assert str(caught.value).startswith(message)
    assert caught.value.key == message.partition(":")[0]


NUMBERS = [
    (name, attribute.name)
    for name, kind in {**SECTIONS, "accounts": Account}.items()
    for attribute in attrs.fields(kind)
    if isinstance(rule_of(attribute), Number)
]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e999", "-1"])
@pytest.mark.parametrize(("section", "key"), NUMBERS)
def test_every_number_must_be_finite_and_not_negative(
    section: str, key: str, value: str, tmp_path: Path
) -> None:
    if section == "accounts":
        text = f'[[accounts]]\nname = "a"\nkey = "{KEY}"\n{key} = {value}\n'
        with pytest.raises(ConfigError, match=key):
            load(tmp_path, text)
        return
    with pytest.raises(ConfigError, match=f"{section}.{key}"):
        load(tmp_path, f"[{section}]\n{key} = {value}\n")
    variable = f"MUSICGATE_{section}__{key}".upper()
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, **{variable: value})
    assert (caught.value.key, caught.value.source) == (f"{section}.{key}", variable)


@pytest.mark.parametrize(("section", "key"), NUMBERS)
def test_every_number_has_a_range(section: str, key: str) -> None:
    kind: Any = {**SECTIONS, "accounts": Account}[section]
    rule = rule_of(attrs.fields_dict(kind)[key])
    assert isinstance(rule, Number)
    assert rule.at_least >= 0 or rule.more_than == 0
    assert not isinstance(rule, Whole) or rule.at_most < math.inf


@pytest.mark.parametrize("value", [math.nan, math.inf, [1.0, math.nan], {"deep": [math.inf]}])
def test_options_of_plugins_must_be_finite(value: object) -> None:
    schema = {"type": "object", "properties": {"weight": {}}}
    declared = attrs.evolve(ONE, settings_schema=schema)
    with pytest.raises(ConfigError, match=r"providers\.one\.weight: must be a finite number"):
        resolve(Settings(providers={"one": {"weight": value}}), declared)


# --- blanks, byte order marks, sources ---


def test_blanks_around_values_are_removed_everywhere(tmp_path: Path) -> None:
    text = f"""
[server]
public_url = " https://file.test/\\r\\n"
[store]
url = "sqlite:///here.db\\n"
[webhooks]
secret = "{SECRET}\\n"
[[accounts]]
name = " ann\\n"
key = "{KEY}\\r\\n"
webhook_url = "https://ann.test/ "
webhook_secret = "\\t{SECRET}"
[[accounts]]
name = "bob"
key_hash = "{DIGEST}\\n"
[providers.one]
api_key = "{KEY}\\n"
base_url = " https://one.test/\\n"
webhook_secret = "secret\\n"
"""
    with pytest.raises(ConfigError, match="is for a server without accounts"):
        load(tmp_path, text)
    settings = load(tmp_path, text.replace("[webhooks]\nsecret", "[webhooks]\n#secret"))
    assert (settings.server.public_url, settings.store.url) == ("https://file.test/", "sqlite:///here.db")
    ann, bob = settings.accounts
    assert (ann.name, ann.key, ann.webhook_url) == ("ann", Secret(KEY), "https://ann.test/")
    assert (ann.webhook_secret, bob.key_hash) == (Secret(SECRET), DIGEST)
    found = resolve(settings, ONE)
    assert (found.key, found.settings.base_url) == (Secret(KEY), "https://one.test")
    assert found.settings.webhook_secret == Secret("secret")


def test_a_line_break_after_a_variables_value_is_removed() -> None:
    environ = {
        "ONE_KEY": f"{KEY}\n",
        "ONE_SECRET": "secret\n",
        "ONE_URL": "https://env.test/\r\n",
        "MUSICGATE_SERVER__PUBLIC_URL": "https://x.test/\r\n",
        "MUSICGATE_SERVER__PORT": " 9000\n",
        "MUSICGATE_ASSETS__ARCHIVE": "false\n",
        "MUSICGATE_FOLLOW__SPEED": "2.5\n",
        "MUSICGATE_WEBHOOKS__SECRET": f"{SECRET}\n",
        "MUSICGATE_DATA_DIR": "/data\n",
        "MUSICGATE_CONFIG": "\n",
        "MUSICGATE_PROVIDERS__ONE__MODEL": "v3\n",
    }
    settings = load_settings(None, environ)
    assert (settings.server.public_url, settings.server.port) == ("https://x.test/", 9000)
    assert (settings.assets.archive, settings.follow.speed) == (False, 2.5)
    assert settings.webhooks.secret == Secret(SECRET)
    assert settings.data_dir == Path("/data")
    schema = {"type": "object", "properties": {"model": {"type": "string"}}}
    found = resolve(settings, attrs.evolve(ONE, settings_schema=schema))
    assert (found.key, found.settings.webhook_secret) == (Secret(KEY), Secret("secret"))
    assert (found.settings.base_url, found.settings.options) == ("https://env.test", {"model": "v3"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xef\xbb\xbf[server]\nport = 9000\n", None),
        ("[server]\nport = 9000\n".encode("utf-16"), "is not TOML: UTF-16 text; save it as UTF-8"),
        (b"\xfe\xff\x00[", "is not TOML: UTF-16 text; save it as UTF-8"),
        ("[server]".encode("utf-32"), "is not TOML: UTF-32 text; save it as UTF-8"),
        (b'[server]\nhost = "\xff"\n', r"is not TOML: not UTF-8 text \(line 2\)"),
    ],
)
def test_a_byte_order_mark_is_skipped_and_other_encodings_are_refused(
    data: bytes, message: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(data)
    if message is None:
        assert load_settings(path, {}).server.port == 9000
        return
    with pytest.raises(ConfigError, match=message):
        load_settings(path, {})


def test_a_wrong_value_of_the_file_names_the_file_and_not_a_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "[server]\nport = -1\n", MUSICGATE_SERVER__HOST="127.0.0.1")
    assert caught.value.source == str(tmp_path / "m.toml")


def test_a_wrong_value_of_a_variable_names_the_variable() -> None:
    settings = load_settings(None, {"MUSICGATE_PROVIDERS__ONE__PRIORITY": "high"})
    with pytest.raises(ConfigError) as caught:
        resolve(settings, ONE)
    assert caught.value.source == "MUSICGATE_PROVIDERS__ONE__PRIORITY"


# --- keys ---


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("test", "must have at least 8 characters"),
        ("k", "must have at least 8 characters"),
        ("seven-7", "must have at least 8 characters"),
        ("one\ntwo-not-real", "must have no control characters and no line breaks"),
        ("one\x00two-not-real", "must have no control characters and no line breaks"),
        ("one\x85two-not-real", "must have no control characters and no line breaks"),
        ("key-\u65e5-not-real", "must have only characters that fit into an HTTP header"),
        ("key-\udc80-not-real", "must have no control characters and no line breaks"),
        ("two words-not-real", "must have no blanks"),
    ],
)
def test_a_malformed_key_is_refused_with_its_source(key: str, message: str) -> None:
    for settings, source in (
        (load_settings(None, {"ONE_KEY": key}), "ONE_KEY"),
        (Settings(providers={"one": {"api_key": key}}, source="m.toml"), "m.toml"),
        (
            load_settings(None, {"MUSICGATE_PROVIDERS__ONE__API_KEY": key}),
            "MUSICGATE_PROVIDERS__ONE__API_KEY",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            resolve(settings, ONE)
        assert (caught.value.key, caught.value.source) == ("providers.one.api_key", source)
        assert str(caught.value).endswith(message + (" (Latin-1)" if message.endswith("header") else ""))
        assert f"{key} " not in f"{caught.value} "


def test_a_key_may_have_eight_latin_1_characters() -> None:
    assert resolve(load_settings(None, {"ONE_KEY": "k\xe4y-4567"}), ONE).key == Secret("k\xe4y-4567")


@pytest.mark.parametrize("secret", ["one\ntwo", "one\x7ftwo", "\u65e5"])
def test_a_callback_secret_with_a_line_break_is_refused(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.one\.webhook_secret in ONE_SECRET: must have"):
        resolve(load_settings(None, {"ONE_SECRET": secret}), ONE)


@pytest.mark.parametrize(
    "url", ["https://a:b@x.test", "https://x.test/?a=b", "https://x.test/#a", "x", "http://"]
)
def test_an_address_carries_no_credentials_and_no_query(url: str) -> None:
    with pytest.raises(ConfigError, match=r"providers\.one\.base_url in ONE_URL: must"):
        resolve(load_settings(None, {"ONE_URL": url}), ONE)


# --- variables of other programs ---

SERVICE = {
    "MUSICGATE_PORT": "tcp://10.0.0.1:8080",
    "MUSICGATE_SERVICE_HOST": "10.0.0.1",
    "MUSICGATE_SERVICE_PORT": "8080",
    "MUSICGATE_SERVICE_PORT_HTTP": "8080",
    "MUSICGATE_SERVICE_PORT_HTTP_METRICS": "8081",
    "MUSICGATE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "MUSICGATE_PORT_8080_TCP_PROTO": "tcp",
    "MUSICGATE_PORT_8080_TCP_PORT": "8080",
    "MUSICGATE_PORT_8080_TCP_ADDR": "10.0.0.1",
    "MUSICGATE_PORT_53_UDP": "udp://10.0.0.1:53",
    "MUSICGATE_PORT_1_SCTP_ADDR": "10.0.0.1",
    "MUSICGATE_API_PORT": "tcp://[fd00::1]:8080",
    "MUSICGATE_API_V2_SERVICE_HOST": "fd00::1",
    "MUSICGATE_API_PORT_8080_TCP_ADDR": "fd00::1",
}


def test_variables_of_a_kubernetes_service_are_ignored() -> None:
    assert load_settings(None, SERVICE) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MUSICGATE_PORT", "8080"),
        ("MUSICGATE_SERVER_PORT", "8080"),
        ("MUSICGATE_PORT", "http://10.0.0.1:8080"),
        ("MUSICGATE_HOST", "10.0.0.1"),
        ("MUSICGATE_SERVICE", "10.0.0.1"),
        ("MUSICGATE_PORT_8080_HTTP", "10.0.0.1"),
        ("MUSICGATE_PORT_TCP", "tcp://10.0.0.1:8080"),
        ("MUSICGATE_SERVICE__HOST", "10.0.0.1"),
        ("MUSICGATE_SERVER__SERVICE_HOST", "10.0.0.1"),
        ("MUSICGATE_service_host", "10.0.0.1"),
    ],
)
def test_every_other_unknown_variable_is_an_error(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match="no such setting") as caught:
        load_settings(None, {**SERVICE, variable: value})
    assert caught.value.source == variable
