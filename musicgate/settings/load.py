"""Reads the TOML file and the environment into settings, once, at start; later sources win: defaults, the file, the environment."""

from __future__ import annotations

import math
import os
import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import attrs

from musicgate.errors import ConfigError
from musicgate.limits import AccountLimits
from musicgate.model import Secret
from musicgate.settings.convert import signing_secret, typed_value
from musicgate.settings.values import (
    Account,
    AssetSettings,
    FollowSettings,
    NetworkSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
    data_dir_of,
)
from musicgate.settings.webhooks import check_webhooks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX = "MUSICGATE_"
#: Variables with the prefix that are no settings of a section.
_SPECIAL = frozenset(f"MUSICGATE_{name}" for name in ("CONFIG", "DATA_DIR", "URL", "API_KEY", "TRACEBACK"))
_DEFAULT_FILE = "musicgate.toml"
_Section = TypeVar("_Section")

_SECTIONS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "assets": AssetSettings,
    "network": NetworkSettings,
    "follow": FollowSettings,
    "retention": RetentionSettings,
    "limits": AccountLimits,
    "webhooks": WebhookSettings,
}

#: Keys of one of ``[[accounts]]`` and what stands there.
_ACCOUNT_KEYS: dict[str, Any] = {
    "name": str,
    "key": str,
    "key_hash": str,
    "expires_at": str,
    "beta": bool,
    **get_type_hints(AccountLimits),
    "webhook_url": str,
    "webhook_secret": Secret | None,
    "webhook_secret_previous": Secret | None,
}


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment.

    Args:
        path: the file; None = ``MUSICGATE_CONFIG``, else ``musicgate.toml`` in the current folder where it exists.
        environ: the environment; None = the process's own.

    Raises:
        ConfigError: the file is missing or broken, a key is unknown, or a value has the wrong type or range.
    """
    environ = os.environ if environ is None else environ
    chosen = path or (Path(environ["MUSICGATE_CONFIG"]) if environ.get("MUSICGATE_CONFIG") else None)
    if chosen is None and Path(_DEFAULT_FILE).is_file():
        chosen = Path(_DEFAULT_FILE)
    tables = _read_file(chosen) if chosen else {}
    sources = dict.fromkeys(tables, str(chosen))
    sections = {field.name: field.default for field in attrs.fields(Settings) if field.name in _SECTIONS}
    _overlay_environment(tables, environ, sources)
    for name in tables:
        if name not in {*sections, "accounts", "providers"}:
            raise ConfigError("no such section", key=name, source=sources.get(name))
    read = {
        name: _section(_SECTIONS[name], name, tables.get(name, {}), sources.get(name)) for name in sections
    }
    settings = Settings(
        **read,
        data_dir=data_dir_of(environ),
        accounts=_accounts(tables.get("accounts", []), sources.get("accounts")),
        providers=_provider_tables(tables.get("providers", {}), sources.get("providers")),
        environ=dict(environ),
        source=str(chosen) if chosen else None,
    )
    _check_ranges(settings)
    check_webhooks(settings)
    return settings


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", source=str(path)) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"is not TOML: {exc}", source=str(path)) from exc


def _overlay_environment(tables: dict[str, Any], environ: Mapping[str, str], sources: dict[str, str]) -> None:
    """Put ``MUSICGATE_SECTION__KEY`` values over the file's; a plugin's own settings have one ``__`` more."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in _SPECIAL:
            continue
        section, *keys = variable.removeprefix(PREFIX).lower().split("__")
        known = section in _SECTIONS and len(keys) == 1
        if not known and not (section == "providers" and len(keys) == 2):
            raise ConfigError("no such setting; the form is MUSICGATE_<SECTION>__<KEY>", source=variable)
        table = tables.setdefault(section, {})
        for key in keys[:-1]:
            table = table.setdefault(key, {}) if isinstance(table, dict) else table
        if not isinstance(table, dict):
            raise ConfigError(
                "must be a table", key=".".join([section, *keys[:-1]]), source=sources.get(section)
            )
        table[keys[-1]] = environ[variable]
        sources[section] = variable


def _section(kind: type[_Section], name: str, table: object, source: str | None) -> _Section:
    if not isinstance(table, dict):
        raise ConfigError("must be a table", key=name, source=source)
    hints = get_type_hints(kind)
    for key in table:
        if key not in hints:
            raise ConfigError(
                f"no such setting; there are {', '.join(hints)}", key=f"{name}.{key}", source=source
            )
    return kind(**{key: _read(hints[key], value, f"{name}.{key}", source) for key, value in table.items()})


def _read(kind: Any, value: object, key: str, source: str | None) -> Any:
    """A value of the wanted kind; a `Secret` of a section or an account signs webhooks."""
    return (signing_secret if kind == Secret | None else partial(typed_value, kind))(value, key, source)


def _accounts(tables: object, source: str | None) -> tuple[Account, ...]:
    if not isinstance(tables, list):
        raise ConfigError("must be a list of tables: [[accounts]]", key="accounts", source=source)
    accounts = []
    for index, table in enumerate(tables):
        where = f"accounts[{index}]"
        if not isinstance(table, dict):
            raise ConfigError("must be a table", key=where, source=source)
        for key in table:
            if key not in _ACCOUNT_KEYS:
                message = f"no such setting; there are {', '.join(_ACCOUNT_KEYS)}"
                raise ConfigError(message, key=f"{where}.{key}", source=source)
        read = {
            key: _read(_ACCOUNT_KEYS[key], value, f"{where}.{key}", source) for key, value in table.items()
        }
        if not read.get("name") or bool(read.get("key")) == bool(read.get("key_hash")):
            raise ConfigError("needs a name, and either key or key_hash", key=where, source=source)
        if read.get("key_hash") and not read["key_hash"].startswith("sha256:"):
            raise ConfigError("must have the form sha256:<hex>", key=f"{where}.key_hash", source=source)
        key = Secret(read.pop("key")) if read.get("key") else None
        accounts.append(Account(**{**read, "key": key}))
    return tuple(accounts)


def _provider_tables(tables: object, source: str | None) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError("must be tables: [providers.<plugin>]", key="providers", source=source)
    return tables


def _check_ranges(settings: Settings) -> None:
    checks = (
        ("server.port", 0 <= settings.server.port <= 65535, "must be 0 to 65535"),
        ("server.drain_s", 0 <= settings.server.drain_s <= 600, "must be 0 to 600 seconds"),
        ("server.create_wait_s", 0 <= settings.server.create_wait_s <= 60, "must be 0 to 60 seconds"),
        ("server.max_body_bytes", settings.server.max_body_bytes > 0, "must be greater than 0"),
        *_server_ranges(settings.server),
        ("follow.speed", settings.follow.speed > 0, "must be greater than 0"),
        ("follow.concurrency", settings.follow.concurrency > 0, "must be greater than 0"),
        ("follow.deadline_s", settings.follow.deadline_s >= 0, "must not be negative"),
        ("retention.jobs_days", settings.retention.jobs_days >= 0, "must not be negative"),
        ("retention.audio_days", settings.retention.audio_days >= 0, "must not be negative"),
        (
            "retention.idempotency_hours",
            settings.retention.idempotency_hours >= 24,
            "must be at least 24 hours",
        ),
        ("retention.sweep_s", settings.retention.sweep_s > 0, "must be greater than 0"),
        ("webhooks.timeout_s", 0 < settings.webhooks.timeout_s <= 60, "must be more than 0, and at most 60"),
        ("webhooks.concurrency", settings.webhooks.concurrency > 0, "must be greater than 0"),
        (
            "webhooks.concurrency_per_server",
            settings.webhooks.concurrency_per_server > 0,
            "must be greater than 0",
        ),
        ("assets.max_bytes", settings.assets.max_bytes > 0, "must be greater than 0"),
        *_limit_ranges("limits", settings.limits),
        *(
            check
            for index, account in enumerate(settings.accounts)
            for check in _limit_ranges(f"accounts[{index}]", account)
        ),
    )
    for key, holds, message in checks:
        if not holds:
            raise ConfigError(message, key=key, source=settings.source)


def _server_ranges(server: ServerSettings) -> Iterator[tuple[str, bool, str]]:
    for name in ("headers_timeout_s", "body_timeout_s", "idle_timeout_s"):
        yield (
            f"server.{name}",
            0 < getattr(server, name) <= 3600,
            "must be more than 0, and at most 3600 seconds",
        )
    for name in attrs.fields_dict(ServerSettings):
        if name.startswith("max_") and name != "max_body_bytes":
            yield f"server.{name}", 0 < getattr(server, name) <= 1_000_000, "must be 1 to 1000000"


def _limit_ranges(where: str, said: AccountLimits | Account) -> Iterator[tuple[str, bool, str]]:
    for name in attrs.fields_dict(AccountLimits):
        value = getattr(said, name)
        yield f"{where}.{name}", value is None or 0 <= value < math.inf, "must be a number from 0 on"
