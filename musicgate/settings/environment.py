"""What is kept of the process's environment: the variables that plugins declare and those of proxies; nothing else of it is a setting.

The environment is full of other programs' secrets. So no copy of it is made, and what a gateway keeps for its life is a dictionary of the
names that its plugins declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from musicgate.model import Provider
    from musicgate.settings.values import Settings

#: The usual variables of proxies; both cases are usual.
PROXY_VARIABLES = tuple(
    spelling
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    for spelling in (name, name.lower())
)


class Environment(Mapping[str, str]):
    """Variables by name, while it is not known yet which ones plugins declare. Only those of proxies are listed."""

    __slots__ = ("_source",)

    def __init__(self, source: Mapping[str, str]) -> None:
        """Look variables up in ``source``, of which nothing is copied."""
        self._source = source

    def __getitem__(self, name: str) -> str:
        return self._source[name].strip()

    def __iter__(self) -> Iterator[str]:
        return (name for name in PROXY_VARIABLES if name in self._source)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        """Show nothing."""
        return "Environment(...)"


def keep_declared(settings: Settings, providers: Iterable[Provider]) -> Settings:
    """The settings with those variables only that these providers declare, and those of proxies."""
    names = set(PROXY_VARIABLES)
    for provider in providers:
        declared = (provider.key_env, provider.base_url_env, provider.webhook_secret_env)
        names |= {name for name in declared if name}
    found = {name: settings.environ[name] for name in sorted(names) if name in settings.environ}
    return attrs.evolve(settings, environ=found)
