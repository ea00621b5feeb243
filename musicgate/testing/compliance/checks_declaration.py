"""What a plugin declares: names, offers, prices, schemas, schedules."""

from __future__ import annotations

import importlib
import inspect
import math
import pkgutil
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import attrs

from musicgate import plugin as author_api
from musicgate.codec import SchemaValidator, compose_request_schema
from musicgate.errors import PluginError
from musicgate.model import (
    Ability,
    HeaderAuth,
    Meter,
    Offer,
    PriceRule,
    Rights,
    RightsStatement,
    Stage,
)
from musicgate.planning import fold_name
from musicgate.plugin import PROJECT
from musicgate.testing.compliance.subject import Skipped
from musicgate.testing.rehearsal import settings_defaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.testing.compliance.subject import Subject

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_PLUGIN_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
#: RFC 9110, section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORMATS: Final = frozenset({"mp3", "wav", "ogg", "aac", "flac"})
#: No song costs more; a higher price is in another unit (cents, credits).
_DEAREST_USD: Final = 20
#: A vendor that runs on the operator's own machine may be called without TLS.
_OWN_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
#: What `hookimpl` leaves on a function.
_MARK: Final = f"{PROJECT}_impl"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def check_it_loads(subject: Subject) -> None:
    """The plugin can be imported, states its hook API, has the required hooks and a declaration."""
    assert subject.import_error is None, f"the plugin cannot be imported: {subject.import_error}"
    record = subject.record
    assert record.error is None, f"the plugin does not load: {record.error}"
    assert record.provider is not None, (
        "the plugin loads, yet declares no provider: it has no provider() hook"
    )


def check_hooks_are_exported(subject: Subject) -> None:
    """Every hook that a module of the package implements is exported by the plugin, and marked as a hook."""
    plugin = subject.module
    _ = subject.plugin
    for module in _modules_of(subject):
        for name, value in vars(module).items():
            if not inspect.isfunction(value) or value.__module__ != module.__name__:
                continue
            marked = hasattr(value, _MARK)
            assert not marked or getattr(getattr(plugin, name, None), _MARK, None) is not None, (
                f"{module.__name__}.{name} is marked with @hookimpl, and {subject.package} does not export it: "
                "the core never calls it"
            )
            spec = getattr(author_api.hooks, name, None)
            if marked or spec is None or getattr(getattr(plugin, name, None), _MARK, None) is not None:
                continue
            known = inspect.signature(spec).parameters.keys()
            assert not inspect.signature(value).parameters.keys() <= known, (
                f"{module.__name__}.{name} looks like the hook {name} and is not marked with @hookimpl: the core "
                "never calls it"
            )


def _modules_of(subject: Subject) -> list[ModuleType]:
    """Return the plugin's module and the modules inside its package, imported."""
    package = subject.package or ""
    top = sys.modules.get(package)
    for found in pkgutil.walk_packages(getattr(top, "__path__", ()), f"{package}."):
        if not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    inside = [module for name, module in sorted(sys.modules.items()) if name.startswith(f"{package}.")]
    return [*([subject.module] if isinstance(subject.module, ModuleType) else []), *inside]


def check_names_agree(subject: Subject) -> None:
    """Distribution, package, entry point and ``Provider.plugin`` are called after one name.

    They are ``musicgate-<x>``, ``musicgate_<x>``, ``<x>`` and ``<x>``.
    """
    provider = subject.provider
    name = provider.plugin
    assert _PLUGIN_NAME.fullmatch(name), f"Provider.plugin is {name!r}; it has to be a lower-case Python name"
    package = subject.package
    assert package == f"musicgate_{name}", (
        f"the plugin {name!r} lives in {package!r}, not in musicgate_{name}"
    )
    if subject.distribution is not None:
        wanted = f"musicgate-{fold_name(name)}"
        given = fold_name(subject.distribution)
        assert given == wanted, f"the distribution is {subject.distribution!r}, not {wanted!r}"
    assert provider.name.strip(), "Provider.name is blank"
    assert provider.label.strip(), "Provider.label is blank"
    assert provider.option_block.strip(), "Provider.option_block is blank"


def check_address_and_variables(subject: Subject) -> None:
    """The base URL is https without a trailing slash; variables and the key header are valid names."""
    provider = subject.provider
    parts = urlsplit(provider.base_url)
    own = parts.scheme == "http" and parts.hostname in _OWN_MACHINE
    assert parts.scheme == "https" or own, (
        f"Provider.base_url is {provider.base_url!r}: it has to begin with https://"
    )
    assert parts.netloc, f"Provider.base_url {provider.base_url!r} names no host"
    assert not provider.base_url.endswith("/"), f"Provider.base_url {provider.base_url!r} ends with a slash"
    assert not parts.query, f"Provider.base_url {provider.base_url!r} holds a query"
    assert not parts.fragment, f"Provider.base_url {provider.base_url!r} holds a fragment"
    variables = {"key_env": provider.key_env, "base_url_env": provider.base_url_env}
    if provider.webhook_secret_env is not None:
        variables["webhook_secret_env"] = provider.webhook_secret_env
    for field, name in variables.items():
        assert _VARIABLE.fullmatch(name), f"Provider.{field} is {name!r}, no name of an environment variable"
    shared = len(set(variables.values())) < len(variables)
    assert not shared, f"two settings share an environment variable: {variables}"
    auth = provider.auth
    assert isinstance(auth, HeaderAuth), f"Provider.auth is a {type(auth).__name__}, not a HeaderAuth"
    assert _TOKEN.fullmatch(auth.header), (
        f"Provider.auth.header is {auth.header!r}, no name of an HTTP header"
    )
    known = not auth.scheme or _TOKEN.fullmatch(auth.scheme)
    assert known, f"Provider.auth.scheme is {auth.scheme!r}; it has to be one word, or empty for the bare key"


def check_offers(subject: Subject) -> None:
    """Public ids are lower case and unique; abilities, formats, limits, prices and rights agree."""
    provider = subject.provider
    owners: dict[str, str] = {}
    for offer in provider.offers:
        where = f"offer {offer.model!r}"
        assert offer.model == offer.model.strip().lower(), (
            f"{where}: a canonical id is lower case and has no blanks"
        )
        assert offer.model, f"{where}: the id is blank"
        for public in {name.strip().lower() for name in (offer.model, *offer.aliases)}:
            taken = owners.setdefault(public, offer.model)
            assert taken == offer.model, f"{public!r} names two offers: {taken!r} and {offer.model!r}"
        for problem in (*_problems_of(offer), *_problems_of_rights(offer.rights or provider.rights)):
            raise AssertionError(f"{where}: {problem}")


def _problems_of(offer: Offer) -> Iterator[str]:
    limits = offer.limits
    abilities: frozenset[object] = offer.abilities
    strange = [ability for ability in abilities if not isinstance(ability, Ability)]
    if strange:
        yield f"abilities holds {strange[0]!r}, which is no Ability"
    if not set(offer.formats) <= _FORMATS:
        yield f"formats {offer.formats} are not all among {sorted(_FORMATS)}"
    if Ability.FORMAT in offer.abilities and not offer.formats:
        yield "declares the ability `format` and no format to choose from"
    if offer.tracks < 1:
        yield f"gives {offer.tracks} tracks"
    stated = {
        "prompt_chars": limits.prompt_chars,
        "lyrics_chars": limits.lyrics_chars,
        "style_chars": limits.style_chars,
        "title_chars": limits.title_chars,
        "max_duration_s": limits.max_duration_s,
    }
    for name, value in stated.items():
        if value is not None and not 0 < value < math.inf:
            yield f"limits.{name} is {value}"
        ability = name.removesuffix("_chars")
        if (
            value is not None
            and ability in {"lyrics", "style", "title"}
            and Ability(ability) not in offer.abilities
        ):
            yield f"limits.{name} is stated, yet the ability `{ability}` is not declared"
    yield from _problems_of_prices(offer.prices)


def _problems_of_rights(rights: Rights) -> Iterator[str]:
    """Statements without a text, a public source or a date."""
    for name in ("commercial_use", "watermark", "retention"):
        statement: RightsStatement | None = getattr(rights, name)
        if statement is not None and (fault := statement.fault()) is not None:
            yield f"rights.{name} {fault}"


def _problems_of_prices(prices: tuple[PriceRule, ...]) -> Iterator[str]:
    for rule in prices:
        meter: object = rule.meter
        if not isinstance(meter, Meter):
            yield f"a price counts {meter!r}, which is no Meter"
        if not (rule.price_usd.is_finite() and 0 <= rule.price_usd <= _DEAREST_USD):
            yield f"a price of {rule.price_usd} per {rule.unit_size} {rule.meter} is in no US dollars"
        if not (rule.unit_size.is_finite() and rule.unit_size > 0):
            yield f"a price counts {rule.meter} in units of {rule.unit_size}"
    if len({rule.meter for rule in prices}) < len(prices):
        yield "two prices count the same meter"


def check_times(subject: Subject) -> None:
    """Poll schedule, time-outs, deadline and retention are positive and agree."""
    provider = subject.provider
    poll, timeouts = provider.poll, provider.timeouts
    positive = {
        "poll.first_s": poll.first_s,
        "poll.min_s": poll.min_s,
        "poll.max_s": poll.max_s,
        "timeouts.connect_s": timeouts.connect_s,
        "timeouts.create_s": timeouts.create_s,
        "timeouts.read_s": timeouts.read_s,
        "typical_s": provider.typical_s,
        "deadline_s": provider.deadline_s,
        "max_answer_bytes": provider.max_answer_bytes,
        "retention_s": 1.0 if provider.retention_s is None else provider.retention_s,
        "max_parallel_creates": 1 if provider.max_parallel_creates is None else provider.max_parallel_creates,
        "create_window.calls": 1 if provider.create_window is None else provider.create_window.calls,
        "create_window.per_s": 1.0 if provider.create_window is None else provider.create_window.per_s,
    }
    for name, value in positive.items():
        assert 0 < value < math.inf, f"Provider.{name} is {value}"
    assert poll.min_s <= poll.max_s, f"Provider.poll: min_s {poll.min_s} is above max_s {poll.max_s}"
    assert poll.min_s >= 0.5, f"Provider.poll.min_s is {poll.min_s}: that would be a flood"
    deadline_s = provider.deadline_s
    assert provider.typical_s < deadline_s, (
        f"typical_s {provider.typical_s} is not below deadline_s {deadline_s}"
    )
    assert timeouts.create_s <= deadline_s, (
        f"timeouts.create_s {timeouts.create_s} is above deadline_s {deadline_s}"
    )
    if provider.blocking:
        fits = provider.typical_s < timeouts.create_s
        assert fits, (
            f"the create call lasts as long as the song (blocking), yet times out after {timeouts.create_s} s "
            f"while a song usually takes {provider.typical_s} s"
        )
    assert isinstance(provider.stage, Stage), f"Provider.stage is {provider.stage!r}, which is no Stage"


def check_option_schema(subject: Subject) -> None:
    """The options are a JSON Schema 2020-12 of an object, each described, and the examples validate."""
    schema = dict(subject.provider.options_schema)
    validator = _compiled(subject, "Provider.options_schema", schema)
    assert schema.get("type") == "object", (
        "Provider.options_schema: an option block is an object, `type` has to say so"
    )
    assert schema.get("$schema", _DIALECT) == _DIALECT, (
        f"Provider.options_schema is written in {schema['$schema']}"
    )
    for name, option in subject.block_properties.items():
        described = isinstance(option, dict) and str(option.get("description", "")).strip()
        assert described, f"the option {name!r} has no description"
    examples: Any = schema.get("examples", [])
    if subject.block_properties:
        assert examples, "Provider.options_schema has no examples: they document the block and feed this kit"
    for index, example in enumerate(examples):
        broken = validator.violations(example)
        assert not broken, (
            f"example {index} of the option schema breaks it: {broken[0].message} at {broken[0].path}"
        )


def check_settings_schema(subject: Subject) -> None:
    """The plugin's own settings are a valid schema; each has a default, and the defaults validate."""
    schema = dict(subject.provider.settings_schema)
    if not schema:
        raise Skipped("the plugin has no settings of its own")
    validator = _compiled(subject, "Provider.settings_schema", schema)
    properties: Any = schema.get("properties", {})
    for name, setting in properties.items():
        assert "default" in setting, f"the setting {name!r} has no default"
        assert str(setting.get("description", "")).strip(), f"the setting {name!r} has no description"
    broken = validator.violations(settings_defaults(subject.provider))
    assert not broken, (
        f"the defaults of the settings break their schema: {broken[0].message} at {broken[0].path}"
    )
    stray = validator.violations({"kit_unknown_setting": 1})
    assert stray, (
        "the settings schema takes any key: a misspelt setting would be ignored (additionalProperties: false)"
    )


def _compiled(subject: Subject, what: str, schema: Mapping[str, object]) -> SchemaValidator:
    try:
        compose_request_schema([attrs.evolve(subject.provider, options_schema=schema)])
    except PluginError as exc:
        raise AssertionError(f"{what} is no JSON Schema 2020-12 ({exc})") from exc
    return SchemaValidator(dict(schema))
