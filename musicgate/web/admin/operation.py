"""Routes of operators: usage, the audit log, how providers do, and the drain of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.gateway import operation_of
from musicgate.views import AUDIT_FIELDS, render_audit_entry, render_drain, render_provider_report
from musicgate.web.admin.bodies import respond
from musicgate.web.exports import read_format, read_whole, respond_rows
from musicgate.web.request_state import STATE
from musicgate.web.usage import respond_usage

if TYPE_CHECKING:
    from musicgate.gateway import Gateway
    from musicgate.web.admin.guard import Guard

#: Entries of the audit log in one answer.
MOST_ENTRIES: Final = 1000
_USUAL_ENTRIES: Final = 100
_MOST_NUMBER: Final = 2**63 - 1


class OperationRoutes:
    """Handlers of the routes of operators."""

    def __init__(self, gateway: Gateway, guard: Guard) -> None:
        self._gateway = gateway
        self._operation = operation_of(gateway)
        self._guard = guard

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/v1/admin/usage", self.usage),
            web.get("/v1/admin/audit", self.audit),
            web.get("/v1/admin/providers", self.providers),
            web.get("/v1/admin/drain", self.drain),
            web.post("/v1/admin/drain", self.begin_drain),
            web.delete("/v1/admin/drain", self.end_drain),
        ]

    async def usage(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/usage``: what all accounts used."""
        self._guard.admin(request)
        return await respond_usage(request, self._operation)

    async def audit(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/audit``: a page of the audit log, the oldest entries first."""
        self._guard.admin(request)
        name = read_format(request, ("json", "csv", "jsonl"))
        after = read_whole(request, "after", 0, 0, _MOST_NUMBER)
        limit = read_whole(request, "limit", _USUAL_ENTRIES, 1, MOST_ENTRIES)
        page = await self._operation.audit_entries(after, limit)

        def rows() -> list[dict[str, object]]:
            return [render_audit_entry(number, entry) for number, entry in page]

        return await respond_rows(
            name,
            rows,
            AUDIT_FIELDS,
            len(page),
            lambda: {
                "object": "list",
                "enabled": self._operation.audit.is_on,
                "data": rows(),
                # Also behind the last entry there is: the next page begins with the next one.
                "next_after": page[-1][0] if page else after,
            },
        )

    async def providers(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/providers``: health, queues, latency and open jobs of each provider."""
        self._guard.admin(request)
        reports = await self._operation.providers(self._gateway.providers())
        return respond({"object": "list", "data": [render_provider_report(report) for report in reports]})

    async def drain(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/drain``: whether this process takes new jobs, and how many it still has."""
        self._guard.admin(request)
        return respond(render_drain(self._operation.drain()))

    async def begin_drain(self, request: web.Request) -> web.Response:
        """``POST /v1/admin/drain``: take no new jobs any more."""
        return await self._set_drain(request, is_on=True)

    async def end_drain(self, request: web.Request) -> web.Response:
        """``DELETE /v1/admin/drain``: take new jobs again."""
        return await self._set_drain(request, is_on=False)

    async def _set_drain(self, request: web.Request, *, is_on: bool) -> web.Response:
        caller = self._guard.admin(request)
        if is_on:
            self._operation.begin_drain()
        else:
            self._operation.end_drain()
        report = self._operation.drain()
        self._operation.audit.note(
            "drain.began" if is_on else "drain.ended",
            caller.account.name,
            key_id=caller.key_id,
            request_id=request[STATE].generation_id,
        )
        return respond(render_drain(report))
