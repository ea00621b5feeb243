"""Reads settings once, at start. Later sources win: defaults, the TOML file, the environment.

No message shows a value, which may be a key under the wrong name. For the same reason an error is raised
``from None`` where the original one quotes its input.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from musicgate.errors import ConfigError
from musicgate.settings.decode import NotTextError, decoded
from musicgate.settings.environment import Environment
from musicgate.settings.rules import Text, rule_of
from musicgate.settings.values import SECTIONS, Account, Settings
from musicgate.settings.webhooks import check_webhooks
from musicgate.text import closest, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX = "MUSICGATE_"
#: Variables with the prefix that are not keys of a section, with their sentences for the documentation.
OTHER_VARIABLES: Mapping[str, str] = {
    "MUSICGATE_CONFIG": "The settings file.",
    "MUSICGATE_DATA_DIR": "The data folder, instead of the system's usual one. Required for commands that "
    "keep jobs if the user has no home folder, as in many containers.",
    "MUSICGATE_URL": "Clients and command line only: the server to use, like `--url`.",
    "MUSICGATE_API_KEY": "Clients and command line only: the key for that server, like `--key`.",
    "MUSICGATE_CA_FILE": "Clients and command line only: PEM file of the authorities of that server.",
    "MUSICGATE_WEBHOOK_SECRET": "Command line only: the webhook secret of an account, like `--webhook-secret`.",
    "MUSICGATE_TRACEBACK": "Command line only: any value shows tracebacks, like `--debug`.",
}
_DEFAULT_FILE = "musicgate.toml"
_SECTIONS = frozenset({*SECTIONS, "accounts", "providers"})

#: Kubernetes sets these in every container for a Service whose name begins with "musicgate".
#: Source: kubernetes.io/docs/concepts/services-networking/service, "Environment variables", read 2026-11-28.
_SERVICE = re.compile(
    r"MUSICGATE_(?:[A-Z0-9]+_)*?"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9]+)*|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
#: ``MUSICGATE_PORT`` may also be a misspelt setting; it is a Service's only if it holds such an address.
_SERVICE_PORT = re.compile(r"MUSICGATE_(?:[A-Z0-9]+_)*?PORT")
_SERVICE_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+")


def variable_of(section: str, key: str) -> str:
    """The environment variable of a setting: ``MUSICGATE_<SECTION>__<KEY>``."""
    return f"{_PREFIX}{section}__{key}".upper()


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the file and the environment.

    Args:
        path: The file; None = ``MUSICGATE_CONFIG``, else ``musicgate.toml`` in the current folder if any.
        environ: The environment; None = that of the process.

    Raises:
        ConfigError: The file cannot be read, a key is unknown, or a value has the wrong type, range or form.
    """
    environ = os.environ if environ is None else environ
    chosen = path or _path(environ, "MUSICGATE_CONFIG")
    if chosen is None and Path(_DEFAULT_FILE).is_file():
        chosen = Path(_DEFAULT_FILE)
    source = str(chosen) if chosen else None
    tables = _read_file(chosen) if chosen else {}
    variables = _overlay_environment(tables, environ, source)
    for name in tables:
        if name not in _SECTIONS:
            message = f"no such section{did_you_mean(name, _SECTIONS)}"
            raise ConfigError(message, key=name, source=source)
    sections = {
        name: kind(**_values(kind, name, tables[name], source, variables))
        for name, kind in SECTIONS.items()
        if name in tables
    }
    settings = Settings(
        **sections,
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
    text: str = Text().read(environ.get(variable, ""), key=variable)
    return Path(text) if text else None


def _read_file(path: Path) -> dict[str, Any]:
    source = str(path)
    try:
        return tomllib.loads(decoded(path.read_bytes()))
    except OSError as exc:
        raise ConfigError(f"cannot be read: {exc.strerror}", source=source) from exc
    except NotTextError as exc:
        raise ConfigError(f"is not TOML: {exc}", source=source) from None
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"is not TOML{_position(exc)}", source=source) from None


def _position(error: Exception) -> str:
    """Where the parser stopped; the rest of its message may quote the file."""
    found = re.search(r"\((at (?:line \d+, column \d+|end of document))\)$", str(error))
    return f" {found[1]}" if found else ""


def _overlay_environment(
    tables: dict[str, Any], environ: Mapping[str, str], source: str | None
) -> dict[str, str]:
    """Put values of ``MUSICGATE_<SECTION>__<KEY>`` over those of the file.

    A provider's variables have one more part: ``MUSICGATE_PROVIDERS__<PLUGIN>__<KEY>``.

    Returns:
        Dotted name -> variable, for every value that was put there.
    """
    variables: dict[str, str] = {}
    for variable in sorted(environ):
        if not variable.startswith(_PREFIX) or variable in OTHER_VARIABLES or _is_service(variable, environ):
            continue
        section, *keys = variable.removeprefix(_PREFIX).lower().split("__")
        known = section in SECTIONS and len(keys) == 1
        if not known and not (section == "providers" and len(keys) == 2):
            # Without the prefix, which makes all of them close to each other.
            meant = closest(variable.removeprefix(_PREFIX), _names_of_variables())
            hint = f"did you mean {_PREFIX}{meant}? The" if meant else "the"
            message = f"no such setting; {hint} form is MUSICGATE_<SECTION>__<KEY>"
            raise ConfigError(message, source=variable)
        table = tables.setdefault(section, {})
        for key in keys[:-1]:
            table = table.setdefault(key, {}) if isinstance(table, dict) else table
        if not isinstance(table, dict):
            raise ConfigError("must be a table", key=".".join([section, *keys[:-1]]), source=source)
        table[keys[-1]] = environ[variable]
        variables[".".join([section, *keys])] = variable
    return variables


def _names_of_variables() -> list[str]:
    """The variables of all settings, without their prefix."""
    named = (variable_of(name, key) for name, kind in SECTIONS.items() for key in attrs.fields_dict(kind))
    return [variable.removeprefix(_PREFIX) for variable in (*OTHER_VARIABLES, *named)]


def _is_service(variable: str, environ: Mapping[str, str]) -> bool:
    if _SERVICE.fullmatch(variable):
        return True
    has_address = _SERVICE_ADDRESS.fullmatch(environ[variable].strip()) is not None
    return has_address and _SERVICE_PORT.fullmatch(variable) is not None


def _values(
    kind: type[Any], name: str, table: object, source: str | None, variables: Mapping[str, str]
) -> dict[str, Any]:
    """Read the values of a section or an account, each by the rule of its field."""
    if not isinstance(table, dict):
        raise ConfigError("must be a table", key=name, source=source)
    fields = attrs.fields_dict(kind)
    values = {}
    for key, value in table.items():
        dotted = f"{name}.{key}"
        origin = variables.get(dotted, source)
        if key not in fields:
            hint = did_you_mean(key, fields) or f"; there are {', '.join(fields)}"
            raise ConfigError(f"no such setting{hint}", key=dotted, source=origin)
        values[key] = rule_of(fields[key]).read(value, key=dotted, source=origin)
    return values


def _accounts(tables: object, source: str | None) -> tuple[Account, ...]:
    if not isinstance(tables, list):
        raise ConfigError("must be a list of tables: [[accounts]]", key="accounts", source=source)
    accounts = []
    for index, table in enumerate(tables):
        name = f"accounts[{index}]"
        values = _values(Account, name, table, source, {})
        if not values.get("name") or bool(values.get("key")) == bool(values.get("key_hash")):
            raise ConfigError("needs a name, and either key or key_hash", key=name, source=source)
        accounts.append(Account(**values))
    return tuple(accounts)


def _provider_tables(tables: object, source: str | None) -> dict[str, dict[str, Any]]:
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigError("must be tables: [providers.<plugin>]", key="providers", source=source)
    return tables
