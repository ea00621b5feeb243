"""Reads the TOML file and the environment into settings, once, at start; later sources win: defaults, the file, the environment.

No message shows a value: it may be a key, put under the wrong name. And no error keeps the one that it came from where that one quotes.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.settings.convert import NotTextError, decoded
from musicgate.settings.environment import Environment
from musicgate.settings.limits import AccountLimits
from musicgate.settings.rules import Text, rule_of
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
)
from musicgate.settings.webhooks import check_webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "MUSICGATE_"
#: Variables with the prefix that are no settings of a section.
_SPECIAL = frozenset(f"MUSICGATE_{name}" for name in ("CONFIG", "DATA_DIR", "URL", "API_KEY", "TRACEBACK"))
_DEFAULT_FILE = "musicgate.toml"

#: What Kubernetes puts into every container for a Service whose name begins with "musicgate": not ours, and no mistake.
#: Source: kubernetes.io/docs/concepts/services-networking/service, "Environment variables", read 2026-11-28.
_SERVICE = re.compile(
    r"MUSICGATE_(?:[A-Z0-9]+_)*?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
#: ``MUSICGATE_PORT`` looks like a setting with a slip; only an address in it tells that it is none.
_SERVICE_PORT = re.compile(r"MUSICGATE_(?:[A-Z0-9]+_)*?PORT")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+")

_SECTIONS: dict[str, type[Any]] = {
    kind.SECTION: kind
    for kind in (
        ServerSettings,
        StoreSettings,
        AssetSettings,
        NetworkSettings,
        FollowSettings,
        RetentionSettings,
        AccountLimits,
        WebhookSettings,
    )
}


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment.

    Args:
        path: the file; None = ``MUSICGATE_CONFIG``, else ``musicgate.toml`` in the current folder where it exists.
        environ: the environment; None = the process's own.

    Raises:
        ConfigError: the file is missing or broken, a key is unknown, or a value has the wrong type, range or form.
    """
    environ = os.environ if environ is None else environ
    chosen = path or _path(environ, "MUSICGATE_CONFIG")
    if chosen is None and Path(_DEFAULT_FILE).is_file():
        chosen = Path(_DEFAULT_FILE)
    source = str(chosen) if chosen else None
    tables = _read_file(chosen) if chosen else {}
    variables = _overlay_environment(tables, environ, source)
    for name in tables:
        if name not in {*_SECTIONS, "accounts", "providers"}:
            raise ConfigError("no such section", key=name, source=source)
    read = {
        name: kind(**_values(kind, name, tables[name], source, variables))
        for name, kind in _SECTIONS.items()
        if name in tables
    }
    settings = Settings(
        **read,
        data_dir=_path(environ, "MUSICGATE_DATA_DIR"),
        accounts=_accounts(tables.get("accounts", []), source),
        providers=_provider_tables(tables.get("providers", {}), source),
        environ=Environment(environ),
        source=source,
        variables=variables,
    )
    check_webhooks(settings)
    return settings


def _path(environ: Mapping[str, str], variable: str) -> Path | None:
    """The path in a variable; None where it is empty or not set."""
    text: str = Text().read(environ.get(variable, ""), key=variable)
    return Path(text) if text else None


def _read_file(path: Path) -> dict[str, Any]:
    source = str(path)
    try:
        text = decoded(path.read_bytes())
        return tomllib.loads(text)
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", source=source) from exc
    except NotTextError as exc:
        raise ConfigError(f"is not TOML: {exc}", source=source) from None
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"is not TOML{_place(exc)}", source=source) from None


def _place(error: Exception) -> str:
    """Where the parser stopped. Its own sentence may quote what stands there."""
    found = re.search(r"\((at (?:line \d+, column \d+|end of document))\)$", str(error))
    return f" {found[1]}" if found else ""


def _overlay_environment(
    tables: dict[str, Any], environ: Mapping[str, str], source: str | None
) -> dict[str, str]:
    """Put ``MUSICGATE_SECTION__KEY`` values over the file's; a plugin's own settings have one ``__`` more.

    Returns:
        dotted name -> variable, of what was put there.
    """
    variables: dict[str, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in _SPECIAL or _is_of_a_service(variable, environ):
            continue
        section, *keys = variable.removeprefix(PREFIX).lower().split("__")
        known = section in _SECTIONS and len(keys) == 1
        if not known and not (section == "providers" and len(keys) == 2):
            raise ConfigError("no such setting; the form is MUSICGATE_<SECTION>__<KEY>", source=variable)
        table = tables.setdefault(section, {})
        for key in keys[:-1]:
            table = table.setdefault(key, {}) if isinstance(table, dict) else table
        if not isinstance(table, dict):
            raise ConfigError("must be a table", key=".".join([section, *keys[:-1]]), source=source)
        table[keys[-1]] = environ[variable]
        variables[".".join([section, *keys])] = variable
    return variables


def _is_of_a_service(variable: str, environ: Mapping[str, str]) -> bool:
    if _SERVICE.fullmatch(variable):
        return True
    has_address = _SERVICE_ADDRESS.fullmatch(environ[variable].strip()) is not None
    return has_address and _SERVICE_PORT.fullmatch(variable) is not None


def _values(
    kind: type[Any], name: str, table: object, source: str | None, variables: Mapping[str, str]
) -> dict[str, Any]:
    """The values of a section or an account, each held to the rule of its field."""
    if not isinstance(table, dict):
        raise ConfigError("must be a table", key=name, source=source)
    fields = attrs.fields_dict(kind)
    read = {}
    for key, value in table.items():
        where = f"{name}.{key}"
        at = variables.get(where, source)
        if key not in fields:
            raise ConfigError(f"no such setting; there are {', '.join(fields)}", key=where, source=at)
        read[key] = rule_of(fields[key]).read(value, key=where, source=at)
    return read


def _accounts(tables: object, source: str | None) -> tuple[Account, ...]:
    if not isinstance(tables, list):
        raise ConfigError("must be a list of tables: [[accounts]]", key="accounts", source=source)
    accounts = []
    for index, table in enumerate(tables):
        where = f"accounts[{index}]"
        read = _values(Account, where, table, source, {})
        if not read.get("name") or bool(read.get("key")) == bool(read.get("key_hash")):
            raise ConfigError("needs a name, and either key or key_hash", key=where, source=source)
        accounts.append(Account(**read))
    return tuple(accounts)


def _provider_tables(tables: object, source: str | None) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError("must be tables: [providers.<plugin>]", key="providers", source=source)
    return tables
