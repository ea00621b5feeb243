"""The two requests that nearly all others are: create a job, and read one by an id of plain letters.

They go to their handlers past aiohttp's router, which takes a tenth of a whole GET (5 us) for them. Every
other method, path and spelling goes through the router, which has these routes as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from aiohttp import web

    from musicgate.web.request_state import RequestState

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class QuickRoutes:
    """Finds the handlers of the two.

    Args:
        bases: the paths of the collection.
        create: handles a POST to one of them.
        status: handles a GET of a job below one of them; `RequestState.music_id` says which.
    """

    def __init__(self, bases: Collection[str], *, create: Handler, status: Handler) -> None:
        self._bases = frozenset(bases)
        self._job_path = re.compile(f"({'|'.join(map(re.escape, bases))})/([A-Za-z0-9_-]+)", re.ASCII)
        self._create = create
        self._status = status

    def find(self, request: web.BaseRequest, state: RequestState) -> Handler | None:
        """Return the handler, and note what the router would have; None leaves the request to the router."""
        path = request.rel_url.raw_path
        if request.method == "GET":
            found = self._job_path.fullmatch(path)
            if found is not None:
                state.music_id, state.route = found[2], f"{found[1]}/{{music_id}}"
                return self._status
        elif request.method == "POST" and path in self._bases:
            state.route = path
            return self._create
        return None
