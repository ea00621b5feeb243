"""Check the name of a new plugin, and derive every other name from it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection

    from musicgate.hosting import PluginRecord

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PROVIDER = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 30


@attrs.frozen(kw_only=True)
class Names:
    """All names that are derived from a plugin's.

    Attributes:
        name: of the plugin, its entry point and its option block.
        provider: the provider as callers know it.
    """

    name: str
    provider: str

    @property
    def distribution(self) -> str:
        """The name of the distribution, for pip."""
        return f"musicgate-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """The name of the Python package."""
        return f"musicgate_{self.name}"

    @property
    def label(self) -> str:
        """The name for people."""
        return " ".join(word.capitalize() for word in self.name.split("_"))

    @property
    def camel(self) -> str:
        """The prefix of class names."""
        return self.label.replace(" ", "")

    @property
    def env(self) -> str:
        """The prefix of environment variables."""
        return self.name.upper()


def objection(
    names: Names,
    records: Collection[PluginRecord],
    request_fields: Collection[str],
    packages: Collection[str],
) -> str | None:
    """Say why a new plugin cannot have these names; None if it can.

    Args:
        records: the installed plugins, broken ones included.
        request_fields: top-level fields of a request; the option block becomes one of them.
        packages: names of the installed top-level modules.
    """
    name = names.name
    if not _NAME.fullmatch(name):
        likely = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        hint = f"; {likely} would do" if likely != name and _NAME.fullmatch(likely) else ""
        return (
            f"{name!r} is no plugin name: small letters, digits and single underscores, a letter first{hint}"
        )
    if len(name) > _LONGEST:
        return f"a plugin name has at most {_LONGEST} characters"
    if not _PROVIDER.fullmatch(names.provider) or len(names.provider) > _LONGEST:
        return (
            f"{names.provider!r} is no provider name: small letters, digits, and single dashes or underscores"
        )
    owner = _owners(records).get(name)
    if owner:
        return f"{name!r} is taken by the installed plugin {owner}"
    if names.provider != name and names.provider in {record.name for record in records} - _families(records):
        return f"{names.provider!r} is an installed plugin, not a provider"
    if name in request_fields:
        return f"{name!r} is a field of every request, so it cannot name the vendor's options"
    if names.package in packages:
        return f"a module {names.package} is installed already"
    return None


def _owners(records: Collection[PluginRecord]) -> dict[str, str]:
    """Map each name that means an installed plugin or its provider to the plugin."""
    owners: dict[str, str] = {}
    for record in records:
        declared = record.provider
        names = (declared.name, declared.option_block, *declared.aliases) if declared else ()
        owners |= dict.fromkeys((record.name, *names), record.name)
    return owners


def _families(records: Collection[PluginRecord]) -> set[str]:
    return {record.provider.name for record in records if record.provider}
