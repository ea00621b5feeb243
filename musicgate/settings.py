"""The operator's settings: one TOML file and the environment into frozen values, once, at start; nothing else reads either.

Unknown keys are errors that name the key and where it stands. Later sources win: defaults, the file, the environment.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

import attrs
import platformdirs

from musicgate.errors import ConfigError
from musicgate.model import ProviderSettings, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import Provider

PREFIX = "MUSICGATE_"
#: Variables with the prefix that are no settings of a section.
_SPECIAL = frozenset(f"MUSICGATE_{name}" for name in ("CONFIG", "DATA_DIR", "URL", "API_KEY", "TRACEBACK"))
_DEFAULT_FILE = "musicgate.toml"
#: Keys that every ``[providers.<plugin>]`` table may have; the rest is the plugin's own.
_PROVIDER_KEYS = {"api_key": str, "base_url": str, "webhook_secret": str, "priority": int, "enabled": bool}
_WORDS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
_Section = TypeVar("_Section")


@attrs.frozen(kw_only=True)
class ServerSettings:
    """``[server]``. ``create_wait_s``: how long a create call waits for a blocking vendor before it answers ``in_progress``."""

    host: str = "127.0.0.1"
    port: int = 8080
    #: Where vendors and callers reach this server from outside, without a trailing slash; "" = they cannot.
    public_url: str = ""
    create_wait_s: float = 2.0
    #: Largest request body that is read.
    max_body_bytes: int = 1_048_576
    #: Refuse models whose price is not known.
    pricing_required: bool = False


@attrs.frozen(kw_only=True)
class StoreSettings:
    """``[store]``: where jobs are kept; "" = ``musicgate.db`` in the data folder."""

    url: str = ""


@attrs.frozen(kw_only=True)
class AssetSettings:
    """``[assets]``: where audio is kept ("" = ``audio`` in the data folder), and whether vendors' links are copied."""

    url: str = ""
    archive: bool = True
    #: Largest track that is fetched.
    max_bytes: int = 268_435_456


@attrs.frozen(kw_only=True)
class NetworkSettings:
    """``[network]``: whether vendor media and callbacks may lie on loopback and private networks."""

    allow_private_addresses: bool = False


@attrs.frozen(kw_only=True)
class FollowSettings:
    """``[follow]``: ``speed`` divides every poll interval and grace period, for tests and demonstrations."""

    speed: float = 1.0
    #: How many looks and downloads may run at a time.
    concurrency: int = 64
    #: Seconds after which an open job is given up; 0 = each provider's own.
    deadline_s: float = 0.0


@attrs.frozen(kw_only=True)
class RetentionSettings:
    """``[retention]``: how long what has ended is kept; 0 = for ever. Open jobs are never swept."""

    #: Days after its end that a job is kept, with its events and audio.
    jobs_days: float = 0.0
    #: Days after its end that a job's audio is kept.
    audio_days: float = 0.0
    #: Hours that an Idempotency-Key is remembered.
    idempotency_hours: float = 48.0
    #: Seconds between two rounds of the sweeper.
    sweep_s: float = 600.0


@attrs.frozen(kw_only=True)
class Account:
    """One of ``[[accounts]]``: who may call. Exactly one of ``key`` and ``key_hash`` (``sha256:<hex>``) is set."""

    name: str
    key: Secret | None = None
    key_hash: str = ""
    #: ISO time with offset after which the key is refused; "" = never.
    expires_at: str = ""
    #: May use providers in stage beta.
    beta: bool = False


@attrs.frozen(kw_only=True)
class Settings:
    """Everything the operator can say.

    Attributes:
        data_dir: folder for the default store and audio.
        providers: the raw ``[providers.<plugin>]`` tables; `resolve` reads them once the plugins are known.
        source: the file that was read, or None.
    """

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    assets: AssetSettings = AssetSettings()
    network: NetworkSettings = NetworkSettings()
    follow: FollowSettings = FollowSettings()
    retention: RetentionSettings = RetentionSettings()
    accounts: tuple[Account, ...] = ()
    providers: Mapping[str, Mapping[str, Any]] = attrs.field(
        factory=dict, repr=lambda tables: repr(sorted(tables))
    )
    environ: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    data_dir: Path = attrs.field(
        factory=lambda: Path(platformdirs.user_data_dir("musicgate", appauthor=False))
    )
    source: str | None = None

    @property
    def store_url(self) -> str:
        """``[store] url`` with its default filled in."""
        return self.store.url or f"sqlite:///{self.data_dir / 'musicgate.db'}"

    @property
    def assets_url(self) -> str:
        """``[assets] url`` with its default filled in."""
        return self.assets.url or (self.data_dir / "audio").absolute().as_uri()


@attrs.frozen(kw_only=True)
class ResolvedProvider:
    """What the operator said of one provider, complete. ``key`` is None where none is set."""

    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    enabled: bool


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
        data_dir=_data_dir(environ),
        accounts=_accounts(tables.get("accounts", []), sources.get("accounts")),
        providers=_provider_tables(tables.get("providers", {}), sources.get("providers")),
        environ=dict(environ),
        source=str(chosen) if chosen else None,
    )
    _check_ranges(settings)
    return settings


def resolve(settings: Settings, provider: Provider) -> ResolvedProvider:
    """What the operator said of a provider: file, environment and defaults together. The plugin's options are not validated here.

    Raises:
        ConfigError: a value has the wrong type.
    """
    where = f"providers.{provider.plugin}"
    table = dict(settings.providers.get(provider.plugin, {}))
    common: dict[str, Any] = {}
    for name, kind in _PROVIDER_KEYS.items():
        if name in table:
            common[name] = _value(kind, table.pop(name), f"{where}.{name}", settings.source)
    environ = settings.environ
    key = environ.get(provider.key_env) or common.get("api_key")
    secret = (
        environ.get(provider.webhook_secret_env) if provider.webhook_secret_env else None
    ) or common.get("webhook_secret")
    base_url: str = environ.get(provider.base_url_env) or common.get("base_url") or provider.base_url
    if not base_url.startswith(("http://", "https://")):
        raise ConfigError(
            "must begin with http:// or https://", key=f"{where}.base_url", source=settings.source
        )
    declared = provider.settings_schema.get("properties", {})
    properties: Mapping[str, Any] = declared if isinstance(declared, dict) else {}
    for name in table:
        if name not in properties:
            raise ConfigError("no such setting of this plugin", key=f"{where}.{name}", source=settings.source)
    defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    typed = {name: _by_schema(properties[name], value) for name, value in table.items()}
    return ResolvedProvider(
        provider=attrs.evolve(provider, priority=common.get("priority", provider.priority)),
        settings=ProviderSettings(
            base_url=base_url.rstrip("/"),
            options={**defaults, **typed},
            webhook_secret=Secret(secret) if secret else None,
        ),
        key=Secret(key.strip()) if key and key.strip() else None,
        enabled=common.get("enabled", True),
    )


_SECTIONS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "store": StoreSettings,
    "assets": AssetSettings,
    "network": NetworkSettings,
    "follow": FollowSettings,
    "retention": RetentionSettings,
}


def _data_dir(environ: Mapping[str, str]) -> Path:
    said = environ.get("MUSICGATE_DATA_DIR")
    return Path(said) if said else Path(platformdirs.user_data_dir("musicgate", appauthor=False))


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
            table = table.setdefault(key, {})
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
    return kind(**{key: _value(hints[key], value, f"{name}.{key}", source) for key, value in table.items()})


def _value(kind: type, value: object, key: str, source: str | None) -> Any:
    """A value of the wanted type. Text from the environment is read as a number or a switch; nothing else is converted."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    if isinstance(value, str) and kind is bool and value.strip().lower() in _WORDS:
        return _WORDS[value.strip().lower()]
    if isinstance(value, str) and kind in {int, float}:
        try:
            return kind(value)
        except ValueError:
            pass
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise ConfigError(f"must be {names.get(kind, kind.__name__)}, not {value!r}", key=key, source=source)


def _by_schema(schema: Mapping[str, Any], value: object) -> object:
    """A plugin's setting from the environment, as the type that its schema names; anything else is left for the schema to judge."""
    kinds = {"integer": int, "number": float, "boolean": bool}
    kind = kinds.get(str(schema.get("type")))
    try:
        return _value(kind, value, "", None) if kind and isinstance(value, str) else value
    except ConfigError:
        return value


def _accounts(tables: object, source: str | None) -> tuple[Account, ...]:
    if not isinstance(tables, list):
        raise ConfigError("must be a list of tables: [[accounts]]", key="accounts", source=source)
    accounts = []
    for index, table in enumerate(tables):
        where = f"accounts[{index}]"
        if not isinstance(table, dict):
            raise ConfigError("must be a table", key=where, source=source)
        allowed = {"name": str, "key": str, "key_hash": str, "expires_at": str, "beta": bool}
        for key in table:
            if key not in allowed:
                raise ConfigError(
                    f"no such setting; there are {', '.join(allowed)}", key=f"{where}.{key}", source=source
                )
        read = {key: _value(allowed[key], value, f"{where}.{key}", source) for key, value in table.items()}
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
        ("server.create_wait_s", 0 <= settings.server.create_wait_s <= 60, "must be 0 to 60 seconds"),
        ("server.max_body_bytes", settings.server.max_body_bytes > 0, "must be greater than 0"),
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
        ("assets.max_bytes", settings.assets.max_bytes > 0, "must be greater than 0"),
    )
    for key, holds, message in checks:
        if not holds:
            raise ConfigError(message, key=key, source=settings.source)
