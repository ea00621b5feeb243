"""Where a server is, its key, whose certificates count: from arguments, else the environment."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

import attrs
from yarl import URL

from musicgate.errors import ConfigError
from musicgate.settings import Hidden, WebAddress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from musicgate.model import Secret

#: Setting of a client -> its environment variable.
VARIABLES: Final[Mapping[str, str]] = {
    "url": "MUSICGATE_URL",
    "api_key": "MUSICGATE_API_KEY",
    "ca_file": "MUSICGATE_CA_FILE",
}
_Given = TypeVar("_Given")
_NO_ADDRESS: Final = "must be an http or https address"


@attrs.frozen(kw_only=True)
class Server:
    """A musicgate server, and what a client of it needs.

    Attributes:
        url: ends with a slash.
        tls: the certificates that count; None = those of this machine.
    """

    url: URL
    key: Secret | None = None
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The URL as people write it."""
        return str(self.url).rstrip("/")


def find_server(
    url: str | None,
    api_key: str | Secret | None,
    ca_file: str | Path | None,
    environ: Mapping[str, str] = os.environ,
) -> Server:
    """Read the settings of a client.

    Raises:
        ConfigError: one is missing, malformed or cannot be read; no value is shown.
    """
    place, where = _given(url, "url", environ)
    try:
        address = WebAddress().read(place or "", key="url", source=where)
        parsed = URL(f"{address.rstrip('/')}/" if address else "")
    except ValueError:  # of a port beyond 65535
        raise ConfigError(_NO_ADDRESS, key="url", source=where) from None
    if not parsed.host:
        message = _NO_ADDRESS if place is not None else f"not given; set url or {VARIABLES['url']}"
        raise ConfigError(message, key="url", source=where)
    secret, where = _given(api_key, "api_key", environ)
    key: Secret | None = Hidden(is_word=True).read(secret, key="api_key", source=where)
    file, where = _given(None if ca_file is None else str(ca_file), "ca_file", environ)
    return Server(url=parsed, key=key, tls=_context(file, where) if file else None)


def look_at(setting: str) -> str:
    """Name a setting with its variable: ``url (MUSICGATE_URL)``."""
    return f"{setting} ({VARIABLES[setting]})"


def _given(
    argument: _Given | None, name: str, environ: Mapping[str, str]
) -> tuple[_Given | str | None, str | None]:
    """An argument, else the value of its variable, and that variable."""
    variable = VARIABLES[name]
    if argument is not None or variable not in environ:
        return argument, None
    return environ[variable], variable


def _context(file: str, where: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=file)
    except ssl.SSLError as exc:
        raise ConfigError("the file holds no certificate in PEM form", key="ca_file", source=where) from exc
    except OSError as exc:
        reason = os.strerror(exc.errno).lower() if exc.errno else "not readable"
        raise ConfigError(f"the file cannot be read: {reason}", key="ca_file", source=where) from exc
