"""Finds plugins, loads them one by one, and isolates what is broken; what a provider's hooks mean is not known here.

pluggy's own entry-point loader stops at the first broken distribution; here each one is loaded, verified and registered by
itself.
"""

from __future__ import annotations

import time
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import attrs
import pluggy

from musicgate.errors import MusicgateError, PluginError, ProviderError
from musicgate.hosting.provider_plugin import ProviderPlugin
from musicgate.model import Failure, FailureClass, Provider
from musicgate.plugin import HOOK_API, PROJECT, hooks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from musicgate.model import Job

ENTRY_POINT_GROUP = "musicgate"
_REQUIRED_HOOKS = ("translate_request", "parse_response", "map_status")
#: What a plugin without a provider may implement. These are called one by one, so a wrapper around them would never run.
_CROSS_CUTTING_HOOKS = frozenset({"revise_request", "job_changed"})


@attrs.frozen(kw_only=True)
class PluginRecord:
    """What became of one plugin: shown by ``musicgate plugins``.

    Attributes:
        hook_api: version of the hooks that it was built for, where it could be asked.
        load_ms: milliseconds that import and registration took.
        error: why it does not take part, or None.
    """

    name: str
    distribution: str | None
    version: str | None
    hook_api: int | None
    provider: Provider | None
    load_ms: float
    error: str | None = None


class PluginHost:
    """All plugins of this process: the providers that work, and a record of every plugin, working or not."""

    def __init__(self, host: pluggy.PluginManager, records: Iterable[PluginRecord]) -> None:
        """Make one typed face per provider."""
        self._host = host
        self.records = tuple(records)
        declared = {record.name: record.provider for record in self.records if record.provider is not None}
        plugins = [host.get_plugin(name) for name in declared]
        self.providers: Mapping[str, ProviderPlugin] = {
            name: ProviderPlugin(host, name, provider, plugins) for name, provider in declared.items()
        }

    def notify(self, before: Job | None, after: Job) -> list[str]:
        """Tell the observers about a stored change.

        Returns:
            The names of observers that raised; one that raises does not keep the others from hearing.
        """
        failed = []
        for implementation in self._host.hook.job_changed.get_hookimpls():
            arguments = {"before": before, "after": after}
            try:
                implementation.function(*(arguments[name] for name in implementation.argnames))
            except Exception:  # noqa: BLE001 - an observer must not break the work that it observes
                failed.append(implementation.plugin_name)
        return failed


def load_plugins(extra: Mapping[str, object] | None = None, *, installed: bool = True) -> PluginHost:
    """Load every plugin that is installed, and those given, one by one.

    Args:
        extra: plugins by name that have no entry point (tests, embedding applications).
        installed: look for entry points at all.
    """
    host = pluggy.PluginManager(PROJECT)
    host.add_hookspecs(hooks)
    records: list[PluginRecord] = []
    # By distribution as well: which of two plugins of one name comes first must not depend on how a folder is listed.
    found = entry_points(group=ENTRY_POINT_GROUP) if installed else ()
    for point in sorted(found, key=lambda point: (point.name, point.dist.name if point.dist else "")):
        records.append(_load(host, point.name, point, records))
    for name, plugin in (extra or {}).items():
        records.append(_load(host, name, plugin, records))
    return PluginHost(host, records)


def failure_of(error: MusicgateError) -> Failure:
    """The failure that a job ends with when a plugin or a vendor let us down."""
    if isinstance(error, ProviderError):
        return error.failure
    return Failure(reason=FailureClass.GATEWAY, message=str(error))


def _load(
    host: pluggy.PluginManager, name: str, source: EntryPoint | object, earlier: Iterable[PluginRecord]
) -> PluginRecord:
    started = time.perf_counter()
    distribution = source.dist if isinstance(source, EntryPoint) else None
    plugin: object = None
    provider: Provider | None = None
    error: str | None = None
    is_ours = False
    try:
        plugin = source.load() if isinstance(source, EntryPoint) else source
        # The same plugin may be working already, under an earlier name.
        is_ours = not host.is_registered(plugin)
        provider = _register(host, name, plugin, earlier)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - whatever a stranger's module does, the rest must run
        error = str(exc) if isinstance(exc, MusicgateError) else f"{type(exc).__name__}: {exc}"
        if is_ours and host.is_registered(plugin):
            host.unregister(plugin)
    return PluginRecord(
        name=name,
        distribution=distribution.name if distribution else None,
        version=distribution.version if distribution else None,
        hook_api=getattr(plugin, "HOOK_API", None),
        provider=None if error else provider,
        load_ms=(time.perf_counter() - started) * 1000,
        error=error,
    )


def _register(
    host: pluggy.PluginManager, name: str, plugin: object, earlier: Iterable[PluginRecord]
) -> Provider | None:
    built_for = getattr(plugin, "HOOK_API", None)
    if built_for != HOOK_API:
        said = (
            "does not say which hook API it was built for"
            if built_for is None
            else f"was built for hook API {built_for}"
        )
        raise PluginError(name, f"{said}; this musicgate has {HOOK_API} (module constant HOOK_API)")
    if host.has_plugin(name):
        raise PluginError(name, "another plugin has this name already")
    host.register(plugin, name)
    _refuse_unknown_hooks(host, name, plugin)
    implemented = {caller.name for caller in host.get_hookcallers(plugin) or ()}
    wrappers = {
        caller.name
        for caller in host.get_hookcallers(plugin) or ()
        for implementation in caller.get_hookimpls()
        if implementation.plugin is plugin and (implementation.wrapper or implementation.hookwrapper)
    }
    unwrappable = sorted(wrappers & _CROSS_CUTTING_HOOKS)
    if unwrappable:
        raise PluginError(name, f"wraps {', '.join(unwrappable)}, which cannot be wrapped")
    if "provider" not in implemented - wrappers:
        stray = sorted(implemented - wrappers - _CROSS_CUTTING_HOOKS)
        if stray:
            raise PluginError(name, f"implements {', '.join(stray)} but no provider() hook")
        return None
    return _declared(host, name, plugin, implemented - wrappers, earlier)


def _refuse_unknown_hooks(host: pluggy.PluginManager, name: str, plugin: object) -> None:
    """A marked function that no specification knows would never be called: a misspelt name is an error, not silence."""
    known = {hook for hook in vars(hooks) if hasattr(getattr(hooks, hook), f"{PROJECT}_spec")}
    for attribute in dir(plugin):
        if host.parse_hookimpl_opts(plugin, attribute) is not None and attribute not in known:
            raise PluginError(name, f"{attribute} is no hook of hook API {HOOK_API}")


def _declared(
    host: pluggy.PluginManager,
    name: str,
    plugin: object,
    implemented: set[str],
    earlier: Iterable[PluginRecord],
) -> Provider:
    missing = [hook for hook in _REQUIRED_HOOKS if hook not in implemented]
    if missing:
        raise PluginError(name, f"does not implement {', '.join(missing)}")
    others = [other for other in host.get_plugins() if other is not plugin]
    provider = host.subset_hook_caller("provider", others)()
    if not isinstance(provider, Provider):
        raise PluginError(name, f"provider() returned a {type(provider).__name__}")
    if provider.plugin != name:
        raise PluginError(name, f"provider() calls the plugin {provider.plugin!r}, the entry point {name!r}")
    if not provider.offers:
        raise PluginError(name, "offers no model")
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
