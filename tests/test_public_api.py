import importlib
import subprocess
import sys

import pytest

import musicgate

PUBLIC = [
    "HOOK_API",
    "CallbackClaim",
    "ConfigError",
    "Failure",
    "FailureClass",
    "Gateway",
    "HttpRequest",
    "HttpResponse",
    "InvalidRequestError",
    "Job",
    "JobNotFoundError",
    "JobState",
    "JobUpdate",
    "MusicRequest",
    "MusicgateError",
    "NativeTrack",
    "Offer",
    "OptionWarning",
    "PluginError",
    "Provider",
    "ProviderError",
    "RequestError",
    "Revision",
    "Settings",
    "Step",
    "StorageError",
    "Track",
    "Translation",
    "UnauthorisedError",
    "UnsupportedOptionError",
    "WarningCode",
    "hookimpl",
    "load_plugins",
    "verify_webhook",
]


def test_public_names_are_these() -> None:
    assert musicgate.__all__ == PUBLIC
    assert dir(musicgate) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_is_what_its_home_calls_so(name: str) -> None:
    home = importlib.import_module(musicgate._HOME_OF[name])
    assert getattr(musicgate, name) is getattr(home, name)


def test_every_public_name_has_one_home() -> None:
    assert sorted(musicgate._HOME_OF) == sorted(PUBLIC)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'musicgate' has no attribute 'Wobble'"):
        _ = musicgate.Wobble


def loaded_after(code: str) -> set[str]:
    script = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return set(done.stdout.split())


HEAVY = {"aiohttp", "alembic", "asyncio", "jsonschema", "pluggy", "rich", "sqlalchemy", "sqlite3"}


def test_importing_musicgate_loads_nothing_heavy() -> None:
    assert not HEAVY & loaded_after("import musicgate")


def test_what_a_plugin_imports_loads_no_http_and_no_database() -> None:
    names = "Failure, HttpRequest, JobUpdate, Provider, ProviderError, Step, Translation, hookimpl"
    loaded = loaded_after(f"from musicgate import {names}")
    assert not (HEAVY - {"pluggy"}) & loaded


def test_gateway_itself_loads_no_http_client_and_no_database() -> None:
    assert not {"aiohttp", "sqlalchemy", "alembic"} & loaded_after("from musicgate import Gateway")
