from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import ConfigError, Provider
from musicgate.model import ProviderSettings, RateWindow, Secret
from musicgate.settings import (
    Account,
    AssetSettings,
    FollowSettings,
    NetworkSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    load_settings,
    resolve,
)
from musicgate.settings.limits import AccountLimits
from tests.fake_vendor import FakeVendor

KEY = "test-key-not-real"
DIGEST = "00ff" * 16


def load(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    path = tmp_path / "m.toml"
    path.write_text(text)
    return load_settings(path, environ)


FULL = f"""
[server]
host = "0.0.0.0"
port = 9000
public_url = "https://music.test"
create_wait_s = 3
max_body_bytes = 5000
pricing_required = true
[store]
url = "sqlite:///here.db"
[assets]
url = "file:///there"
archive = false
max_bytes = 7
[network]
allow_private_addresses = true
proxy = "http://proxy.test:3128"
downloads = 5
[follow]
speed = 20
concurrency = 3
deadline_s = 50.5
[[accounts]]
name = "alice"
key = "test-key-not-real"
beta = true
[[accounts]]
name = "bob"
key_hash = "sha256:{DIGEST}"
expires_at = 2027-01-01T00:00:00Z
[providers.suno_kie]
api_key = "test-key-not-real"
priority = 3
"""


def test_every_setting_is_read_from_the_file(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    assert settings.server == ServerSettings(
        host="0.0.0.0",  # noqa: S104 - a setting, not a socket
        port=9000,
        public_url="https://music.test",
        create_wait_s=3.0,
        max_body_bytes=5000,
        pricing_required=True,
    )
    assert settings.store == StoreSettings(url="sqlite:///here.db")
    assert settings.assets == AssetSettings(url="file:///there", archive=False, max_bytes=7)
    assert settings.network == NetworkSettings(
        allow_private_addresses=True, proxy="http://proxy.test:3128", downloads=5
    )
    assert settings.follow == FollowSettings(speed=20.0, concurrency=3, deadline_s=50.5)
    assert settings.accounts == (
        Account(name="alice", key=Secret(KEY), beta=True),
        Account(name="bob", key_hash=f"sha256:{DIGEST}", expires_at=datetime(2027, 1, 1, tzinfo=UTC)),
    )
    assert settings.providers == {"suno_kie": {"api_key": KEY, "priority": 3}}
    assert settings.source == str(tmp_path / "m.toml")
    assert isinstance(settings.server.create_wait_s, float)


def test_settings_have_these_defaults() -> None:
    settings = load_settings(None, {"MUSICGATE_DATA_DIR": "/data"})
    assert settings == Settings(data_dir=Path("/data"))
    assert (settings.server.host, settings.server.port, settings.server.public_url) == ("127.0.0.1", 8080, "")
    assert (settings.server.create_wait_s, settings.follow.speed) == (2.0, 1.0)
    assert (settings.assets.archive, settings.network.allow_private_addresses) == (True, False)
    assert settings.store_url == "sqlite:////data/musicgate.db"
    assert settings.assets_url == "file:///data/audio"
    assert settings.source is None


def test_store_and_assets_urls_override_the_data_folder(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    assert (settings.store_url, settings.assets_url) == ("sqlite:///here.db", "file:///there")


@pytest.mark.parametrize(
    ("variable", "value", "section", "name", "expected"),
    [
        ("MUSICGATE_SERVER__PORT", "9001", "server", "port", 9001),
        ("MUSICGATE_SERVER__PUBLIC_URL", "https://x.test", "server", "public_url", "https://x.test"),
        ("MUSICGATE_SERVER__CREATE_WAIT_S", "0.5", "server", "create_wait_s", 0.5),
        ("MUSICGATE_ASSETS__ARCHIVE", "off", "assets", "archive", False),
        ("MUSICGATE_ASSETS__ARCHIVE", " Yes ", "assets", "archive", True),
        ("MUSICGATE_NETWORK__ALLOW_PRIVATE_ADDRESSES", "1", "network", "allow_private_addresses", True),
        ("MUSICGATE_FOLLOW__SPEED", "100", "follow", "speed", 100.0),
        ("MUSICGATE_STORE__URL", "sqlite:///e.db", "store", "url", "sqlite:///e.db"),
    ],
)
def test_the_environment_overrides_the_file(
    tmp_path: Path, variable: str, value: str, section: str, name: str, expected: object
) -> None:
    settings = load(tmp_path, FULL, **{variable: value})
    assert getattr(getattr(settings, section), name) == expected


def test_the_file_is_named_by_a_variable_or_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ={}).source is None
    (tmp_path / "musicgate.toml").write_text("[server]\nport = 1\n")
    (tmp_path / "other.toml").write_text("[server]\nport = 2\n")
    assert load_settings(environ={}).server.port == 1
    assert load_settings(environ={"MUSICGATE_CONFIG": "other.toml"}).server.port == 2
    assert load_settings(tmp_path / "musicgate.toml", {"MUSICGATE_CONFIG": "other.toml"}).server.port == 1
    monkeypatch.setenv("MUSICGATE_SERVER__PORT", "3")
    assert load_settings().server.port == 3


BROKEN = [
    ("[server\n", {}, None, "is not TOML"),
    ("[sever]\nport = 1", {}, "sever", "no such section; did you mean server?"),
    ("[wobble]\nport = 1", {}, "wobble", "no such section"),
    ("[server]\nprot = 1", {}, "server.prot", "no such setting; did you mean port?"),
    ("[server]\nwobble = 1", {}, "server.wobble", "no such setting; there are host, port"),
    ("server = 1", {}, "server", "must be a table"),
    ("[server]\nport = '1x'", {}, "server.port", "must be a whole number"),
    ("[server]\nport = 1.5", {}, "server.port", "must be a whole number"),
    ("[server]\nport = true", {}, "server.port", "must be a whole number"),
    ("[network]\ndownloads = 0", {}, "network.downloads", "must be 1 to 1000"),
    ("[network]\ndownloads = 1001", {}, "network.downloads", "must be 1 to 1000"),
    ("[server]\nport = 65536", {}, "server.port", "must be 0 to 65535"),
    ("[server]\nport = -1", {}, "server.port", "must be 0 to 65535"),
    ("[server]\nhost = 5", {}, "server.host", "must be text"),
    ("[server]\ncreate_wait_s = 61", {}, "server.create_wait_s", "must be 0 to 60 seconds"),
    ("[server]\ncreate_wait_s = true", {}, "server.create_wait_s", "must be a number"),
    ("[server]\nmax_body_bytes = 0", {}, "server.max_body_bytes", "must be 1 to 1099511627776 bytes"),
    ("[server]\nheaders_timeout_s = 0", {}, "server.headers_timeout_s", "at most 3600 seconds"),
    ("[server]\nbody_timeout_s = 3601", {}, "server.body_timeout_s", "at most 3600 seconds"),
    ("[server]\nidle_timeout_s = -1", {}, "server.idle_timeout_s", "at most 3600 seconds"),
    ("[server]\nmax_connections = 0", {}, "server.max_connections", "must be 1 to 1000000"),
    (
        "[server]\nmax_event_streams_per_account = 1000001",
        {},
        "server.max_event_streams_per_account",
        "must be 1 to",
    ),
    ("[server]\nmax_waiting_requests = -1", {}, "server.max_waiting_requests", "must be 1 to 1000000"),
    ("[server]\npricing_required = 1", {}, "server.pricing_required", "must be true or false"),
    ("[follow]\nspeed = 0", {}, "follow.speed", "must be 0.001 to 1000000"),
    ("[follow]\nspeed = nan", {}, "follow.speed", "must be 0.001 to 1000000"),
    ("[follow]\nconcurrency = 0", {}, "follow.concurrency", "must be 1 to 100000"),
    ("[follow]\ndeadline_s = -1", {}, "follow.deadline_s", "must be 0 to 31536000 seconds"),
    ("[assets]\nmax_bytes = 0", {}, "assets.max_bytes", "must be 1 to"),
    ("[accounts]\nname = 'a'", {}, "accounts", "must be a list of tables"),
    ("accounts = [1]", {}, "accounts[0]", "must be a table"),
    ("[[accounts]]\nname = 'a'", {}, "accounts[0]", "needs a name, and either key or key_hash"),
    ("[[accounts]]\nkey = 'a'", {}, "accounts[0]", "needs a name"),
    (
        "[[accounts]]\nname='a'\nkey='k'\nkey_hash='sha256:" + DIGEST + "'",
        {},
        "accounts[0]",
        "either key or key_hash",
    ),
    (
        "[[accounts]]\nname='a'\nkey_hash='md5:0'",
        {},
        "accounts[0].key_hash",
        "must have the form sha256:<hex>",
    ),
    ("[[accounts]]\nname='a'\nkey='k'\nadmin=true", {}, "accounts[0].admin", "no such setting"),
    ("[[accounts]]\nname='a'\nkey='k'\nbeta='maybe'", {}, "accounts[0].beta", "must be true or false"),
    ("[providers]\nsuno_kie = 1", {}, "providers", "must be tables: [providers.<plugin>]"),
    ("", {"MUSICGATE_SERVER__PROT": "1"}, "server.prot", "no such setting; did you mean port?"),
    (
        "",
        {"MUSICGATE_SERVER_PORT": "1"},
        None,
        "; did you mean MUSICGATE_SERVER__PORT? The form is MUSICGATE_<SECTION>__<KEY>",
    ),
    ("", {"MUSICGATE_PORT": "1"}, None, "no such setting; the form is MUSICGATE_<SECTION>__<KEY>"),
    ("", {"MUSICGATE_CONFG": "1"}, None, "; did you mean MUSICGATE_CONFIG? The form is"),
    ("", {"MUSICGATE_WOBBLE": "1"}, None, "no such setting; the form is MUSICGATE_<SECTION>__<KEY>"),
    ("", {"MUSICGATE_ACCOUNTS__KEY": "1"}, None, "no such setting"),
    ("[limits]\nmax_open_jobs=-1", {}, "limits.max_open_jobs", "must be 0 to 1000000000 jobs"),
    ("[limits]\nmax_usd_per_day=nan", {}, "limits.max_usd_per_day", "must be 0 to 1000000000 US dollars"),
    ("[limits]\nrequests_per_minute=1.5", {}, "limits.requests_per_minute", "must be a whole number"),
    (
        "[[accounts]]\nname='a'\nkey='k'\nmax_usd_per_day=-0.5",
        *({}, "accounts[0].max_usd_per_day", "must be 0 to"),
    ),
    (
        "[[accounts]]\nname='a'\nkey='k'\nmax_open_jobs='two'",
        {},
        "accounts[0].max_open_jobs",
        "must be a whole",
    ),
    ("", {"MUSICGATE_SERVER__PORT": "many"}, "server.port", "must be a whole number"),
]


@pytest.mark.parametrize(("text", "environ", "key", "message"), BROKEN)
def test_a_wrong_setting_is_reported_with_its_source(
    tmp_path: Path, text: str, environ: dict[str, str], key: str | None, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environ)
    assert caught.value.key == key
    assert message in str(caught.value)
    assert caught.value.source == next(iter(environ), str(tmp_path / "m.toml"))


def test_limits_are_read_for_all_accounts_and_for_one(tmp_path: Path) -> None:
    text = """
[limits]
requests_per_minute = 60
max_usd_per_day = 5
[[accounts]]
name = "alice"
key = "test-key-not-real"
requests_per_minute = 0
max_open_jobs = 3
"""
    settings = load(tmp_path, text, MUSICGATE_LIMITS__MAX_OPEN_JOBS="9")
    assert settings.limits == AccountLimits(requests_per_minute=60, max_open_jobs=9, max_usd_per_day=5.0)
    assert settings.limits_of(settings.accounts) == AccountLimits(
        requests_per_minute=0, max_open_jobs=3, max_usd_per_day=5.0
    )


def test_max_parallel_creates_setting_overrides_the_declaration() -> None:
    assert resolved({"max_parallel_creates": 5}).provider.max_parallel_creates == 5
    assert resolved({}).provider.max_parallel_creates == DECLARED.max_parallel_creates


@pytest.mark.parametrize(
    ("table", "window"),
    [
        ({}, RateWindow(calls=20, per_s=10.0)),
        ({"create_window_calls": 50}, RateWindow(calls=50, per_s=10.0)),
        ({"create_window_calls": 0}, None),
    ],
)
def test_create_window_calls_setting_overrides_the_declaration(
    table: dict[str, Any], window: RateWindow | None
) -> None:
    settings = Settings(providers={"one": table})
    windowed = attrs.evolve(DECLARED, create_window=RateWindow(calls=20, per_s=10.0))
    assert resolve(settings, windowed).provider.create_window == window
    assert resolve(settings, DECLARED).provider.create_window is None


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_settings(tmp_path / "none.toml", {})


# --- of one provider ---

DECLARED: Provider = FakeVendor(
    "one",
    webhook_secret_env="ONE_SECRET",
    priority=50,
    settings_schema={
        "type": "object",
        "properties": {
            "model": {"type": "string", "default": "v2"},
            "retries": {"type": "integer", "default": 1},
            "strict": {"type": "boolean", "default": False},
            "weight": {"type": "number"},
        },
    },
).declared


def resolved(table: dict[str, Any] | None = None, **environ: str) -> Any:
    return resolve(Settings(providers={"one": table or {}}, environ=environ), DECLARED)


def test_a_provider_without_settings_has_its_declared_defaults() -> None:
    found = resolved()
    assert found.settings == ProviderSettings(
        base_url="https://one.test", options={"model": "v2", "retries": 1, "strict": False}
    )
    assert (found.key, found.enabled, found.provider) == (None, True, DECLARED)


def test_every_key_of_a_provider_is_read_from_its_table() -> None:
    found = resolved(
        {
            "api_key": f" {KEY} ",
            "base_url": "http://127.0.0.1:1/",
            "webhook_secret": "s",
            "priority": 1,
            "enabled": False,
            "model": "v3",
            "weight": 0.5,
        }
    )
    assert found.key == Secret(KEY)
    assert found.provider.priority == 1
    assert not found.enabled
    assert found.settings == ProviderSettings(
        base_url="http://127.0.0.1:1",
        options={"model": "v3", "retries": 1, "strict": False, "weight": 0.5},
        webhook_secret=Secret("s"),
    )


@pytest.mark.parametrize(
    ("text", "variable", "key"),
    [
        ("server = 1", "MUSICGATE_SERVER__PORT", "server"),
        ("providers = 1", "MUSICGATE_PROVIDERS__X__DIALECT", "providers.x"),
    ],
)
def test_a_variable_for_a_section_that_is_not_a_table_is_an_error(
    tmp_path: Path, text: str, variable: str, key: str
) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="must be a table") as caught:
        load_settings(path, {variable: "2"})
    assert (caught.value.key, caught.value.source) == (key, str(path))


def test_variables_of_the_vendor_override_the_file() -> None:
    table = {"api_key": "key-of-the-file", "base_url": "https://file.test", "webhook_secret": "file"}
    found = resolved(table, ONE_KEY=KEY, ONE_URL="https://env.test/", ONE_SECRET="s")
    assert (found.key, found.settings.base_url) == (Secret(KEY), "https://env.test")
    assert found.settings.webhook_secret == Secret("s")
    blank = resolved(table, ONE_KEY="", ONE_URL="", ONE_SECRET="")
    assert (blank.key, blank.settings.base_url) == (Secret("key-of-the-file"), "https://file.test")
    assert blank.settings.webhook_secret == Secret("file")


@pytest.mark.parametrize("key", ["", "   "])
def test_a_blank_key_counts_as_none(key: str) -> None:
    assert resolved({"api_key": key}).key is None


def test_options_of_a_plugin_from_the_environment_are_converted_by_its_schema() -> None:
    environ = {
        "MUSICGATE_PROVIDERS__ONE__RETRIES": "3",
        "MUSICGATE_PROVIDERS__ONE__STRICT": "true",
        "MUSICGATE_PROVIDERS__ONE__WEIGHT": "0.25",
        "MUSICGATE_PROVIDERS__ONE__PRIORITY": "7",
        "MUSICGATE_PROVIDERS__ONE__MODEL": "5",
        "MUSICGATE_PROVIDERS__ONE__API_KEY": KEY,
    }
    found = resolve(load_settings(None, environ), DECLARED)
    assert found.settings.options == {"model": "5", "retries": 3, "strict": True, "weight": 0.25}
    assert (found.provider.priority, found.key) == (7, Secret(KEY))


def test_a_value_that_cannot_be_converted_is_left_for_the_schema() -> None:
    assert resolved({"retries": "many"}).settings.options["retries"] == "many"


@pytest.mark.parametrize(
    ("table", "key", "message"),
    [
        ({"wobble": 1}, "providers.one.wobble", "no such setting of this plugin"),
        ({"api_kee": 1}, "providers.one.api_kee", "no such setting of this plugin; did you mean api_key?"),
        ({"retrys": 1}, "providers.one.retrys", "no such setting of this plugin; did you mean retries?"),
        ({"api_key": 5}, "providers.one.api_key", "must be text"),
        ({"priority": "high"}, "providers.one.priority", "must be a whole number"),
        ({"enabled": "perhaps"}, "providers.one.enabled", "must be true or false"),
        ({"base_url": "ftp://x.test"}, "providers.one.base_url", "must begin with http:// or https://"),
        ({"max_parallel_creates": 0}, "providers.one.max_parallel_creates", "must be 1 to 100000"),
        ({"create_window_calls": -1}, "providers.one.create_window_calls", "must be 0 to 1000000"),
        ({"max_parallel_creates": "all"}, "providers.one.max_parallel_creates", "must be a whole number"),
    ],
)
def test_a_wrong_setting_of_a_provider_is_reported(table: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(table)
    assert caught.value.key == key
    assert message in str(caught.value)
