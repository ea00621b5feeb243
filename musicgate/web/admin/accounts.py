"""Routes ``/v1/admin/accounts``: who may call, and within which limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.accounts import ACCOUNT_FIELDS
from musicgate.errors import RequestError
from musicgate.views import render_account
from musicgate.web.admin.bodies import read_fields, respond, respond_list, switch_of, text_of

if TYPE_CHECKING:
    from musicgate.gateway import KeyAdmin
    from musicgate.web.admin.guard import Guard
    from musicgate.web.admin.notes import Notes

_PATH: Final = "/v1/admin/accounts"


class AccountRoutes:
    """Handlers of the routes around accounts."""

    def __init__(self, admin: KeyAdmin, guard: Guard, notes: Notes) -> None:
        self._admin = admin
        self._guard = guard
        self._notes = notes

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(_PATH, self.list),
            web.post(_PATH, self.create),
            web.get(f"{_PATH}/{{account}}", self.get),
            web.patch(f"{_PATH}/{{account}}", self.change),
            web.delete(f"{_PATH}/{{account}}", self.delete),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/accounts``: those of the settings, then those of the store."""
        self._guard.admin(request)
        return await respond_list(await self._admin.accounts(), render_account)

    async def get(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/accounts/{account}``."""
        self._guard.admin(request)
        name, book = request.match_info["account"], self._admin.book
        if name in book.in_settings:
            return respond(render_account(book.entries_of(name)[0]))
        entry = (await self._admin.load()).accounts.get(name)
        if entry is None:
            raise RequestError("not_found", "there is no such account", reason="account_not_found")
        return respond(render_account(entry))

    async def create(self, request: web.Request) -> web.Response:
        """``POST /v1/admin/accounts``."""
        caller = self._guard.admin(request)
        fields = await read_fields(request, ("name", *ACCOUNT_FIELDS))
        name = text_of(fields, "name")
        entry = await self._admin.add_account(name, {key: fields[key] for key in fields if key != "name"})
        self._notes.account("account.created", request, caller, entry.name)
        return respond(render_account(entry), status=201)

    async def change(self, request: web.Request) -> web.Response:
        """``PATCH /v1/admin/accounts/{account}``: what the body names; null = not set any more."""
        caller = self._guard.admin(request)
        fields = await read_fields(request, ("disabled", *ACCOUNT_FIELDS))
        changes = {key: fields[key] for key in fields if key != "disabled"}
        entry = await self._admin.change_account(
            request.match_info["account"], changes, switch_of(fields, "disabled")
        )
        self._notes.account("account.changed", request, caller, entry.name)
        return respond(render_account(entry))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /v1/admin/accounts/{account}``: its keys are revoked, its jobs stay."""
        caller = self._guard.admin(request)
        name = request.match_info["account"]
        await self._admin.remove_account(name)
        self._notes.account("account.deleted", request, caller, name)
        return web.Response(status=204)
