"""Import the official SDK when it is needed: it is an extra, and takes half a second."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from musicgate.errors import ConfigError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from musicgate.mcp.api import MusicApi

Message: TypeAlias = MutableMapping[str, Any]
#: Answers one HTTP request as an ASGI application does: scope, receive, send.
HttpEndpoint: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


#: Where the scope of an HTTP request has the `MusicApi` of its account.
API_IN_SCOPE: Final = "musicgate.api"


class Sdk(Protocol):
    """What `musicgate.mcp.sdk` gives."""

    def http_endpoint(self, max_body_bytes: int) -> AbstractAsyncContextManager[HttpEndpoint]:
        """Serve the protocol over HTTP while the block runs; the scope of a request holds its `MusicApi`.

        Enter and leave it in the same task.
        """

    async def serve_stdio(self, api: MusicApi, folder: Path | None) -> None:
        """Serve one client on standard input and output until it goes away."""


def load_sdk() -> Sdk:
    """Import the SDK, which takes about half a second the first time.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from musicgate.mcp import sdk
    except ImportError as exc:
        message = "the Model Context Protocol needs another library: pip install 'musicgate[mcp]'"
        raise ConfigError(message) from exc
    return cast("Sdk", sdk)
