"""Keeps only those environment variables that plugins declare, and those of proxies and object stores.

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
#: The variables of the clouds' own tools with which an object store is opened; `musicgate.assets` reads them.
STORE_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ALLOW_HTTP",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_TENANT_ID",
    "AZURE_STORAGE_ENDPOINT",
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
    """Drop all variables but those that these providers declare, and those of proxies and object stores."""
    names = {*PROXY_VARIABLES, *STORE_VARIABLES}
    for provider in providers:
        declared = (provider.key_env, provider.base_url_env, provider.webhook_secret_env)
        names |= {name for name in declared if name}
    found = {name: settings.environ[name] for name in sorted(names) if name in settings.environ}
    return attrs.evolve(settings, environ=found)
