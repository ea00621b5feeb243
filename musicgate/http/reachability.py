"""Ask servers whether they are there, and what time it is there; sends no key, and costs nothing."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import aiohttp
import attrs
from yarl import URL

from musicgate.http.client_errors import CLIENT_ERRORS, CONNECT_ERRORS, answer_reason, connect_reason

if TYPE_CHECKING:
    from collections.abc import Iterable

    from musicgate.http.proxies import Proxies

_TIMEOUT_S: Final = 10.0


@attrs.frozen(kw_only=True)
class Reached:
    """How a server answered a HEAD request.

    Attributes:
        trouble: why there was no answer; "" = there was one.
        status: of the answer; 0 without one. Any status but one of 5xx says that the server is there.
        took_s: seconds until the head of the answer was there.
        clock_ahead: how far the clock of this machine is ahead of the server's; None if it does not say.
    """

    trouble: str = ""
    status: int = 0
    took_s: float = 0.0
    clock_ahead: timedelta | None = None


async def reach(urls: Iterable[str], proxies: Proxies) -> dict[str, Reached]:
    """Send a HEAD request to each URL, all at a time; redirects are not followed."""
    wanted = list(dict.fromkeys(urls))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "musicgate"}) as session:
        found = await asyncio.gather(*(_reach(session, url, proxies) for url in wanted))
    return dict(zip(wanted, found, strict=True))


async def _reach(session: aiohttp.ClientSession, text: str, proxies: Proxies) -> Reached:
    began_s = time.perf_counter()
    try:
        url = URL(text)
        async with session.head(url, proxy=proxies.for_url(url), allow_redirects=False) as response:
            took_s = time.perf_counter() - began_s
            ahead = _ahead(response.headers.get("Date", ""), took_s)
            return Reached(status=response.status, took_s=took_s, clock_ahead=ahead)
    except CONNECT_ERRORS as exc:
        return Reached(trouble=connect_reason(exc, _TIMEOUT_S))
    except TimeoutError:
        return Reached(trouble=f"no answer within {_TIMEOUT_S:g} s")
    except CLIENT_ERRORS as exc:
        return Reached(trouble=answer_reason(exc))


def _ahead(date: str, took_s: float) -> timedelta | None:
    """Compare a ``Date`` header with the clock at the middle of the call; it has whole seconds only."""
    try:
        there = parsedate_to_datetime(date)
    except ValueError:
        return None
    if there.tzinfo is None:
        return None
    return datetime.now(UTC) - timedelta(seconds=took_s / 2) - there
