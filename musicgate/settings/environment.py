"""Keeps only those environment variables that plugins declare, and those of proxies.

The environment holds other programs' secrets, so it is never copied as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from musicgate.model import Provider
    from musicgate.settings.values import Settings

#: The usual proxy variables; both cases are in use.
PROXY_VARIABLES = tuple(
    spelling
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")
    for spelling in (name, name.lower())
)


class Environment(Mapping[str, str]):
    """Read-through view of the environment, used until plugins have declared their variables.

    Any variable can be looked up, without blanks around it; only those of proxies are listed.
    """

    __slots__ = ("_source",)

    def __init__(self, source: Mapping[str, str]) -> None:
        self._source = source

    def __getitem__(self, name: str) -> str:
        return self._source[name].strip()

    def __iter__(self) -> Iterator[str]:
        return (name for name in PROXY_VARIABLES if name in self._source)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return "Environment(...)"


def keep_declared(settings: Settings, providers: Iterable[Provider]) -> Settings:
    """Drop every environment variable but those that these providers declare, and those of proxies."""
    names = set(PROXY_VARIABLES)
    for provider in providers:
        declared = (provider.key_env, provider.base_url_env, provider.webhook_secret_env)
        names |= {name for name in declared if name}
    found = {name: settings.environ[name] for name in sorted(names) if name in settings.environ}
    return attrs.evolve(settings, environ=found)
