"""No value of a setting appears in a message, log record, ``repr`` or traceback."""

import json
import logging
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from musicgate import ConfigError, Gateway
from musicgate.cli import cli
from musicgate.hosting.discovery import load_plugins
from musicgate.hosting.installed import installed_providers
from musicgate.model import Secret
from musicgate.settings import (
    SECTIONS,
    Account,
    ProviderTable,
    Settings,
    WebhookSettings,
    load_settings,
)
from tests.fake_vendor import FakeVendor, host_of

TEXT = "sentinel-not-real"
NUMBER = 98_765_432_198_765_432
#: Wrong values in TOML: another type, range or form.
WRONG = {
    "text": f'"{TEXT}"',
    "a list": f'["{TEXT}"]',
    "a table": f'{{ x = "{TEXT}" }}',
    "a number": f"{NUMBER}",
    "a negative number": f"-{NUMBER}",
    "a fraction": f"{NUMBER}.5",
    "a control character": f'"{TEXT}\\u0007{TEXT}"',
    "a line break": f'"{TEXT}\\n{TEXT}"',
    "a letter outside Latin-1": f'"{TEXT}\\u65e5"',
    "an address with a password": f'"https://user:{TEXT}@host.test/"',
    "an address with a query": f'"https://host.test/?token={TEXT}"',
    "a time": f'"2027-01-01T00:00:00 {TEXT}"',
}
ACCOUNT = '[[accounts]]\nname = "ann"\nkey = "test-key-not-real"\n'
DIGEST = "sha256:" + "5e" * 32


class Recorder(logging.Handler):
    """Keeps the text of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Iterator[list[str]]:
    recorder = Recorder()
    logging.getLogger().addHandler(recorder)
    yield recorder.lines
    logging.getLogger().removeHandler(recorder)


def vendor() -> FakeVendor:
    schema = {
        "type": "object",
        "properties": {
            "word": {"type": "string", "enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 1, "maximum": 3},
            "nested": {"type": "object", "additionalProperties": False, "properties": {"x": {"type": "integer"}}},
        },
    }  # fmt: skip
    return FakeVendor("one", webhook_secret_env="ONE_SECRET", settings_schema=schema)


def places() -> Iterator[tuple[str, str, str]]:
    """Every setting: name, file text with VALUE as a placeholder, and variable."""
    for name, kind in SECTIONS.items():
        for key in attrs.fields_dict(kind):
            variable = f"MUSICGATE_{name}__{key}".upper()
            yield f"{name}.{key}", f"[{name}]\n{key} = VALUE\n", variable
    for key in attrs.fields_dict(Account):
        rest = [line for line in ACCOUNT.splitlines() if not line.startswith(f"{key} =")]
        yield f"accounts.{key}", "\n".join([*rest, f"{key} = VALUE\n"]), ""
    vendors = {"api_key": "ONE_KEY", "base_url": "ONE_URL", "webhook_secret": "ONE_SECRET"}
    for key in [*attrs.fields_dict(ProviderTable), "word", "count", "nested"]:
        text = f"[providers.one]\n{key} = VALUE\n"
        yield f"providers.one.{key}", text, vendors.get(key) or f"MUSICGATE_PROVIDERS__ONE__{key}".upper()


PLACES = {name: (text, variable) for name, text, variable in places()}


def shown_by(text: str, environ: dict[str, str], folder: Path) -> list[str]:
    """Every message and repr that comes from reading settings and installing providers with them."""
    file = folder / "m.toml"
    file.write_text(text)
    try:
        settings = load_settings(file, environ)
        shown = [repr(settings), str(settings), repr(settings.environ)]
        shown += [
            repr(installed.settings)
            for installed in installed_providers(settings, host_of(vendor())).values()
        ]
    except ConfigError as error:
        return [str(error), repr(error), *traceback.format_exception(error)]
    return shown


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", PLACES)
def test_no_message_shows_a_value(name: str, wrong: str, tmp_path: Path, logged: list[str]) -> None:
    text, variable = PLACES[name]
    shown = shown_by(text.replace("VALUE", WRONG[wrong]), {}, tmp_path)
    if variable:
        value = json.loads(WRONG[wrong]) if WRONG[wrong].startswith('"') else WRONG[wrong]
        shown += shown_by("", {variable: value}, tmp_path)
    is_shown_on_purpose = name in {"accounts.name", "providers.one.base_url", "providers.one.word"}
    for line in [*shown, *logged]:
        has_settings = line.startswith(("Settings(", "ProviderSettings("))
        assert TEXT not in line or (is_shown_on_purpose and has_settings)
        assert str(NUMBER) not in line or (has_settings and "=98765432198765432" in line)


@pytest.mark.parametrize("name", ["server.port", "limits.max_open_jobs", "providers.minimax.api_key"])
@pytest.mark.parametrize(
    "arguments", [["providers"], ["--debug", "providers"], ["generate", "x", "--sandbox"]]
)
def test_the_command_line_shows_no_value(
    name: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    section, _, key = name.rpartition(".")
    (tmp_path / "musicgate.toml").write_text(f'[{section}]\n{key} = ["{TEXT}"]\n')
    done = CliRunner().invoke(cli, arguments)
    shown = [done.output]
    if done.exception is not None:
        shown += traceback.format_exception(done.exception)
    assert TEXT not in "".join(shown)
    assert name in "".join(shown) or "--sandbox" in arguments


@pytest.mark.parametrize(
    "text",
    [
        f'[server]\nhost = "{TEXT}',
        f"[server]\nhost = {TEXT}",
        f'[server]\nhost = "{TEXT}" "{TEXT}"',
        f'{{"{TEXT}": 1}}',
        f'[providers.one]\napi_key = "\\{TEXT}"',
        f'x = {{ "{TEXT}" = 1, "{TEXT}" = 2 }}',
        f'x = {"[" * 3000}"{TEXT}"',
        f"x = {'9' * 5000}",
    ],
)
def test_toml_that_cannot_be_parsed_is_not_quoted(text: str, tmp_path: Path) -> None:
    shown = "".join(shown_by(text, {}, tmp_path))
    assert "is not TOML" in shown
    assert TEXT not in shown
    assert "99999" not in shown


def test_toml_that_cannot_be_parsed_is_reported_with_its_position(tmp_path: Path) -> None:
    assert "is not TOML at line 2, column 8" in shown_by("[server]\nhost = \n", {}, tmp_path)[0]


def test_values_made_in_code_are_not_shown() -> None:
    for make in (
        lambda: Account(name="ann", key=TEXT),  # type: ignore[arg-type]  # on purpose
        lambda: Account(name="ann", key=Secret(f"{TEXT}\n")),
        lambda: Account(name="ann", key_hash=TEXT),
        lambda: Account(name="ann", expires_at=TEXT),
        lambda: WebhookSettings(secret=TEXT),  # type: ignore[arg-type]  # the same
    ):
        with pytest.raises(ConfigError) as caught:
            make()
        assert TEXT not in "".join(traceback.format_exception(caught.value))
    account = Account(name="ann", key=Secret(TEXT), key_hash=DIGEST, webhook_url=f"https://x.test/{TEXT}")
    shown = repr(Settings(accounts=(account,)))
    assert TEXT not in shown
    assert DIGEST not in shown
    assert "'ann'" in shown


# --- the environment ---


def test_only_variables_that_plugins_declare_are_kept(tmp_path: Path) -> None:
    environ = {
        "ONE_KEY": "test-key-not-real",
        "ONE_SECRET": "secret-not-real",
        "OTHER_API_KEY": TEXT,
        "AWS_SECRET_ACCESS_KEY": TEXT,
        "HTTPS_PROXY": "http://proxy.test:1",
        "no_proxy": "localhost",
        "MUSICGATE_API_KEY": TEXT,
    }
    settings = load_settings(None, environ)
    assert dict(settings.environ) == {"HTTPS_PROXY": "http://proxy.test:1", "no_proxy": "localhost"}
    assert TEXT not in f"{settings!r}{attrs.asdict(settings)}"
    assert installed_providers(settings, host_of(vendor()))["one"].key == Secret("test-key-not-real")


async def test_an_open_gateway_keeps_the_variables_of_its_plugins(tmp_path: Path) -> None:
    environ = {"ONE_KEY": "test-key-not-real", "OTHER_API_KEY": TEXT, "MUSICGATE_DATA_DIR": str(tmp_path)}
    async with Gateway.open(load_settings(None, environ), plugins=host_of(vendor())) as gateway:
        assert gateway._context.settings.environ == {"ONE_KEY": "test-key-not-real"}


def test_a_real_plugins_settings_are_not_shown(tmp_path: Path) -> None:
    host = load_plugins()
    for plugin in host.providers.values():
        for key in plugin.provider.settings_schema["properties"]:  # type: ignore[attr-defined]  # checked when it is loaded
            shown: Any = load_settings(None, {f"MUSICGATE_PROVIDERS__{plugin.name}__{key}".upper(): TEXT})
            try:
                installed_providers(shown, host)
            except ConfigError as error:
                assert TEXT not in "".join(traceback.format_exception(error))


def test_times_are_parsed_when_settings_are_read(tmp_path: Path) -> None:
    moment = datetime(2027, 1, 1, tzinfo=UTC)
    file = tmp_path / "m.toml"
    for shown in ("2027-01-01T00:00:00Z", '"2027-01-01T00:00:00Z"', '" 2027-01-01T01:00:00+01:00\\n"'):
        file.write_text(f"{ACCOUNT}expires_at = {shown}\n")
        assert load_settings(file, {}).accounts[0].expires_at == moment
    for shown in ("2027-01-01T00:00:00", '"2027-01-01T00:00:00"'):
        file.write_text(f"{ACCOUNT}expires_at = {shown}\n")
        with pytest.raises(ConfigError, match=r"accounts\[0\]\.expires_at.*offset from UTC"):
            load_settings(file, {})
    for shown in ("2027-01-01", "00:00:00", '"soon"', "7"):
        file.write_text(f"{ACCOUNT}expires_at = {shown}\n")
        with pytest.raises(ConfigError, match=r"accounts\[0\]\.expires_at"):
            load_settings(file, {})
