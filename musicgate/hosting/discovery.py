"""Find plugins, load them one by one, and isolate the broken ones.

What a provider's hooks mean is not known here. pluggy's own entry-point loader stops at the first broken
distribution. Here each plugin is loaded, verified and registered by itself.
"""

from __future__ import annotations

import time
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import attrs
import pluggy

from musicgate.errors import MusicgateError, PluginError
from musicgate.hosting.declared import declaration_fault
from musicgate.hosting.provider_plugin import HOOKS, ProviderPlugin
from musicgate.model import Provider
from musicgate.plugin import HOOK_API, PROJECT, hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from musicgate.model import Job

ENTRY_POINT_GROUP = "musicgate"
#: ``map_status`` may be missing where the declaration has its table of statuses.
_REQUIRED_HOOKS = ("translate_request", "parse_response", "map_status")
#: What a plugin without a provider may implement. These are called one by one, so a wrapper around them would
#: never run.
_CROSS_CUTTING_HOOKS = frozenset({"revise_request", "job_changed"})


@attrs.frozen(kw_only=True)
class PluginRecord:
    """How one plugin was loaded, as ``musicgate plugins`` shows it.

    Attributes:
        name: the name of its entry point, or the one under which an application passed it.
        distribution: the distribution that it came in; None for one that an application passed.
        version: of the distribution.
        hook_api: version of the hooks that it was built for; None where it states none or could not be
            imported.
        provider: its declaration; None for a cross-cutting plugin and for one that is left out.
        load_ms: milliseconds that import and registration took.
        error: why it is left out, or None.
    """

    name: str
    distribution: str | None
    version: str | None
    hook_api: int | None
    provider: Provider | None
    load_ms: float
    error: str | None = None


class PluginHost:
    """All plugins of this process: the providers that work, and a record of every plugin."""

    def __init__(self, host: pluggy.PluginManager, records: Iterable[PluginRecord]) -> None:
        """Make one `ProviderPlugin` per provider."""
        self.records = tuple(records)
        self._observers = host.hook.job_changed.get_hookimpls()
        declared = {record.name: record.provider for record in self.records if record.provider is not None}
        plugins = [host.get_plugin(name) for name in declared]
        self.providers: Mapping[str, ProviderPlugin] = {
            name: ProviderPlugin(host, name, provider, plugins) for name, provider in declared.items()
        }

    def notify(self, before: Job | None, after: Job) -> list[str]:
        """Call every ``job_changed`` with a stored change.

        Returns:
            The names of the plugins whose hook raised; the others are called all the same.
        """
        failed = []
        for implementation in self._observers:
            arguments = {"before": before, "after": after}
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception:  # noqa: BLE001 - an observer must not break the work that it observes
                failed.append(implementation.plugin_name)
        return failed


def load_plugins(extra: Mapping[str, object] | None = None, *, installed: bool = True) -> PluginHost:
    """Load the installed plugins and those in ``extra``, one by one.

    A broken plugin is left out; its record says why.

    Args:
        extra: plugins by name that have no entry point (tests, embedding applications).
        installed: look for entry points at all.
    """
    host = pluggy.PluginManager(PROJECT)
    host.add_hookspecs(hooks)
    found = entry_points(group=ENTRY_POINT_GROUP) if installed else ()
    # By distribution as well: which of two plugins of one name comes first must not depend on how a folder is
    # listed.
    points = sorted(found, key=lambda point: (point.name, point.dist.name if point.dist else ""))
    sources: list[tuple[str, EntryPoint | object]] = [(point.name, point) for point in points]
    sources += (extra or {}).items()
    records: list[PluginRecord] = []
    for name, source in sources:
        record = _load(host, name, source, records)
        records.append(record)
    return PluginHost(host, records)


def _load(
    host: pluggy.PluginManager, name: str, source: EntryPoint | object, earlier: Sequence[PluginRecord]
) -> PluginRecord:
    """Import, register and verify one plugin; ``earlier`` are the records of those before it."""
    started = time.perf_counter()
    distribution = source.dist if isinstance(source, EntryPoint) else None
    plugin: object = None
    provider: Provider | None = None
    error: str | None = None
    try:
        plugin = source.load() if isinstance(source, EntryPoint) else source
        provider = _register(host, name, plugin, earlier)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - a broken plugin must not keep the others from loading
        error = str(exc) if isinstance(exc, MusicgateError) else f"{type(exc).__name__}: {exc}"
    return PluginRecord(
        name=name,
        distribution=distribution.name if distribution else None,
        version=distribution.version if distribution else None,
        hook_api=getattr(plugin, "HOOK_API", None),
        provider=provider,
        load_ms=(time.perf_counter() - started) * 1000,
        error=error,
    )


def _register(
    host: pluggy.PluginManager, name: str, plugin: object, earlier: Sequence[PluginRecord]
) -> Provider | None:
    """Register a plugin that keeps the rules; return its declaration, None for a cross-cutting one."""
    built_for = getattr(plugin, "HOOK_API", None)
    if built_for != HOOK_API:
        fault = (
            "does not say which hook API it was built for"
            if built_for is None
            else f"was built for hook API {built_for}"
        )
        raise PluginError(name, f"{fault}; this musicgate has {HOOK_API} (module constant HOOK_API)")
    if host.has_plugin(name):
        raise PluginError(name, "another plugin has this name already")
    if host.is_registered(plugin):
        raise PluginError(name, f"it is loaded already, as {host.get_name(plugin)}")
    try:
        host.register(plugin, name)
        return _verified(host, name, plugin, earlier)
    except BaseException:
        if host.is_registered(plugin):  # pluggy 1.6 itself unregisters what breaks a specification
            host.unregister(plugin)
        raise


def _verified(
    host: pluggy.PluginManager, name: str, plugin: object, earlier: Sequence[PluginRecord]
) -> Provider | None:
    _refuse_unknown_hooks(host, name, plugin)
    callers = host.get_hookcallers(plugin) or ()
    implemented = {caller.name for caller in callers}
    wrapped = {
        caller.name
        for caller in callers
        for implementation in caller.get_hookimpls()
        if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper)
    }
    unwrappable = sorted(wrapped & _CROSS_CUTTING_HOOKS)
    if unwrappable:
        raise PluginError(name, f"wraps {', '.join(unwrappable)}, which cannot be wrapped")
    own = implemented - wrapped
    if "provider" in own:
        return _declared(host, name, plugin, own, earlier)
    stray = sorted(own - _CROSS_CUTTING_HOOKS)
    if stray:
        raise PluginError(name, f"implements {', '.join(stray)} but no provider() hook")
    return None


def _refuse_unknown_hooks(host: pluggy.PluginManager, name: str, plugin: object) -> None:
    """Refuse a hook with a misspelt name: it would never be called."""
    for attribute in dir(plugin):
        if host.parse_hookimpl_opts(plugin, attribute) is not None and attribute not in HOOKS:
            raise PluginError(name, f"{attribute} is no hook of hook API {HOOK_API}")


def _declared(
    host: pluggy.PluginManager,
    name: str,
    plugin: object,
    implemented: set[str],
    earlier: Sequence[PluginRecord],
) -> Provider:
    others = [other for other in host.get_plugins() if other is not plugin]
    provider = host.subset_hook_caller("provider", others)()
    if not isinstance(provider, Provider):
        raise PluginError(name, f"provider() returned a {type(provider).__name__}")
    missing = {hook for hook in _REQUIRED_HOOKS if hook not in implemented}
    if provider.statuses:
        missing.discard("map_status")
    if missing:
        names = ", ".join(hook for hook in _REQUIRED_HOOKS if hook in missing)
        raise PluginError(name, f"does not implement {names}")
    if provider.plugin != name:
        raise PluginError(name, f"provider() calls the plugin {provider.plugin!r}, the entry point {name!r}")
    if not provider.offers:
        raise PluginError(name, "offers no model")
    fault = declaration_fault(provider)
    if fault is not None:
        raise PluginError(name, fault)
    for record in earlier:
        other = record.provider
        if (
            other
            and other.option_block == provider.option_block
            and other.options_schema != provider.options_schema
        ):
            raise PluginError(
                name, f"its schema of the block {provider.option_block!r} differs from that of {record.name}"
            )
    return provider
