"""The port `Transport` to vendors' HTTP APIs. It knows no implementation and no library's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from musicgate.model import Timeouts
    from musicgate.plugin import HttpRequest, HttpResponse


class Transport(Protocol):
    """Sends every request to a vendor."""

    async def send(
        self, request: HttpRequest, *, timeouts: Timeouts, read_timeout_s: float, max_body_bytes: int
    ) -> HttpResponse:
        """Send one API call and read the whole response. Redirects are not followed.

        Raises:
            ProviderError: class ``unavailable`` when no byte of the request left (DNS, refused, TLS); class
                ``unknown_outcome`` with ``maybe_accepted`` when it may have left and no whole response came
                back; class ``protocol`` when the response is larger than ``max_body_bytes``.
        """

    async def download(
        self,
        url: str,
        sink: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        """Download a media URL into a file.

        A few redirects are followed; private addresses are refused unless allowed.

        Args:
            own_headers: of a link at an address that the operator has set, with the key: it may be private,
                and no redirect is followed. None = an ordinary link.

        Raises:
            ProviderError: class ``upstream_failed``: a status other than 200, an empty or cut body, too
                large, unreachable, or a private address.
        """

    def listen(
        self, url: str, *, max_bytes: int, own_headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[tuple[str, AsyncIterator[bytes]]]:
        """Open a URL of media that may still grow; give its media type and its bytes as they come.

        Args:
            own_headers: as of `download`.

        Raises:
            ProviderError: as of `download`, also while the bytes are read.
        """
