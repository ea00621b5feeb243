"""Routes ``/v1/admin/keys``. A key is in the answer that makes it, and nowhere else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import attrs
from aiohttp import web

from musicgate.errors import RequestError
from musicgate.views import render_key
from musicgate.web.admin.bodies import (
    moment_of,
    number_of,
    read_fields,
    respond,
    respond_list,
    switch_of,
    text_of,
)

if TYPE_CHECKING:
    from musicgate.accounts import ApiKey
    from musicgate.gateway import KeyAdmin
    from musicgate.web.admin.guard import Guard
    from musicgate.web.admin.notes import Notes

_PATH: Final = "/v1/admin/keys"
#: How long a rotated key goes on working, unless the body says otherwise.
_GRACE_S: Final = 86_400.0
#: Beyond any grace time that is allowed, and what a `timedelta` can hold.
_MOST_S: Final = 1e12


class KeyRoutes:
    """Handlers of the routes around keys."""

    def __init__(self, admin: KeyAdmin, guard: Guard, notes: Notes) -> None:
        self._admin = admin
        self._guard = guard
        self._notes = notes

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get(_PATH, self.list),
            web.post(_PATH, self.create),
            web.get(f"{_PATH}/{{key_id}}", self.get),
            web.patch(f"{_PATH}/{{key_id}}", self.change),
            web.post(f"{_PATH}/{{key_id}}/rotate", self.rotate),
            web.post(f"{_PATH}/{{key_id}}/revoke", self.revoke),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/keys``: of all accounts, or of ``?account=``, the newest first."""
        self._guard.admin(request)
        return await respond_list(await self._admin.keys(request.query.get("account")), _render)

    async def get(self, request: web.Request) -> web.Response:
        """``GET /v1/admin/keys/{key_id}``."""
        self._guard.admin(request)
        key = (await self._admin.load()).keys.get(request.match_info["key_id"])
        if key is None:
            raise RequestError("not_found", "there is no key with this id", reason="key_not_found")
        return respond(_render(key))

    async def create(self, request: web.Request) -> web.Response:
        """``POST /v1/admin/keys``: the only answer that shows the key."""
        caller = self._guard.admin(request)
        fields = await read_fields(request, ("account", "name", "is_admin", "expires_at"))
        made = await self._admin.add_key(
            text_of(fields, "account"),
            name=text_of(fields, "name", ""),
            is_admin=bool(switch_of(fields, "is_admin")),
            expires_at=moment_of(fields, "expires_at"),
        )
        self._notes.key("key.created", request, caller, made.key.account, made.key.id)
        return respond({**_render(made.key), "key": made.secret.reveal()}, status=201)

    async def change(self, request: web.Request) -> web.Response:
        """``PATCH /v1/admin/keys/{key_id}``: its name, and when it expires; null = never."""
        caller = self._guard.admin(request)
        fields = await read_fields(request, ("name", "expires_at"))
        name, expires_at = text_of(fields, "name", ""), moment_of(fields, "expires_at")

        def edit(key: ApiKey) -> ApiKey:
            named = attrs.evolve(key, name=name) if "name" in fields else key
            return attrs.evolve(named, expires_at=expires_at) if "expires_at" in fields else named

        key = await self._admin.change_key(request.match_info["key_id"], edit)
        self._notes.key("key.changed", request, caller, key.account, key.id)
        return respond(_render(key))

    async def rotate(self, request: web.Request) -> web.Response:
        """``POST /v1/admin/keys/{key_id}/rotate``: make its successor; the old one ends after ``grace_s``."""
        caller = self._guard.admin(request)
        grace_s = number_of(await read_fields(request, ("grace_s",)), "grace_s", _GRACE_S)
        grace = timedelta(seconds=max(-1.0, min(grace_s, _MOST_S)))
        made = await self._admin.rotate_key(request.match_info["key_id"], grace)
        self._notes.key("key.rotated", request, caller, made.key.account, request.match_info["key_id"])
        return respond({**_render(made.key), "key": made.secret.reveal()}, status=201)

    async def revoke(self, request: web.Request) -> web.Response:
        """``POST /v1/admin/keys/{key_id}/revoke``: end it at once."""
        caller = self._guard.admin(request)
        await read_fields(request, ())
        key = await self._admin.revoke_key(request.match_info["key_id"])
        self._notes.key("key.revoked", request, caller, key.account, key.id)
        return respond(_render(key))


def _render(key: ApiKey) -> dict[str, object]:
    return render_key(key, datetime.now(UTC))
