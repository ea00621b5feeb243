"""What this server notes about a request while it answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from musicgate.web.connection import new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.web.capacity import Capacity


@attrs.define(eq=False)
class RequestState:
    """Notes about one request.

    Attributes:
        body_timeout_s: seconds within which its body must arrive.
        music_id: the id in its path, if `musicgate.web.quick_routes` has read it.
        key_id: id of the API key that it was made with; empty without one.
        job_id: the id of the job that it made, for the log.
        route: the template of its route, if `musicgate.web.quick_routes` has found it.
        awaits_continue: its client waits for ``100 Continue`` before it sends the body.
        extra_headers: added to the answer, also to an error.
        held: capacity that it holds, with the name that it is counted under; released when it is answered.
    """

    body_timeout_s: float
    music_id: str | None = None
    key_id: str = ""
    job_id: str | None = None
    route: str | None = None
    awaits_continue: bool = False
    extra_headers: Mapping[str, str] | None = None
    held: list[tuple[Capacity, str]] = attrs.field(factory=list)
    _generation_id: str | None = None

    @property
    def generation_id(self) -> str:
        """The id of the request, which is made when it is first needed."""
        if self._generation_id is None:
            self._generation_id = new_id()
        return self._generation_id

    def hold(self, capacity: Capacity, name: str) -> None:
        """Count the request under a name until it is answered.

        Raises:
            LimitReachedError, RequestError: as `Capacity.acquire` does.
        """
        capacity.acquire(name)
        self.held.append((capacity, name))

    def release(self) -> None:
        """Give back what it holds."""
        for capacity, name in self.held:
            capacity.release(name)


#: The notes of a request; `musicgate.web.middleware` makes them.
STATE: Final = web.RequestKey("state", RequestState)
