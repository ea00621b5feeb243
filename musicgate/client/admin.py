"""`AdminClient`: accounts, keys, usage and the audit log of a server, for administrators.

It returns the JSON objects of the routes below ``/v1/admin``, as docs/http.md shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from musicgate.client.async_client import AsyncClient
from musicgate.client.calls import Call
from musicgate.plugin import write_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from musicgate.model import UsageQuery

_ACCOUNTS: Final = "v1/admin/accounts"
_KEYS: Final = "v1/admin/keys"
#: As many entries of the audit log as a server gives at a time.
_PAGE: Final = "1000"


class AdminClient(AsyncClient):
    """A client whose key is an administrator's.

    Each method raises UnauthorisedError if it is not, RequestError for what the caller can fix, and
    ServerError if there is no answer. What makes an account or a key is sent again only where nothing of it
    can have arrived: a second key would be one that is not known.
    """

    async def accounts(self) -> list[dict[str, Any]]:
        """The accounts of the settings and of the store."""
        return await self._list(Call(path=_ACCOUNTS))

    async def create_account(self, name: str, fields: Mapping[str, object]) -> dict[str, Any]:
        """Make an account."""
        return await self._send("POST", _ACCOUNTS, {"name": name, **fields}, makes="an account")

    async def change_account(
        self, name: str, fields: Mapping[str, object], *, is_disabled: bool | None = None
    ) -> dict[str, Any]:
        """Change an account: what is not given stays, and what is None is not set any more."""
        body = {**fields} if is_disabled is None else {**fields, "disabled": is_disabled}
        return await self._send("PATCH", _below(_ACCOUNTS, name), body)

    async def delete_account(self, name: str) -> None:
        """Delete an account, and revoke its keys."""
        await self._delete(_below(_ACCOUNTS, name))

    async def keys(self, account: str | None = None) -> list[dict[str, Any]]:
        """The keys of the store, of one account or all, the newest first."""
        return await self._list(Call(path=_KEYS, query={} if account is None else {"account": account}))

    async def create_key(
        self, account: str, name: str = "", *, is_admin: bool = False, expires_at: datetime | None = None
    ) -> dict[str, Any]:
        """Make a key; only this answer has it, as ``key``."""
        body: dict[str, object] = {"account": account, "name": name, "is_admin": is_admin}
        if expires_at is not None:
            body["expires_at"] = expires_at.isoformat()
        return await self._send("POST", _KEYS, body, makes="a key")

    async def rotate_key(self, key_id: str, grace: timedelta) -> dict[str, Any]:
        """Make the successor of a key, which itself works for ``grace`` more; only this answer has it."""
        path = f"{_below(_KEYS, key_id)}/rotate"
        return await self._send("POST", path, {"grace_s": grace.total_seconds()}, makes="a key")

    async def revoke_key(self, key_id: str) -> dict[str, Any]:
        """End a key. To revoke one again changes nothing."""
        return await self._send("POST", f"{_below(_KEYS, key_id)}/revoke")

    async def usage(self, query: UsageQuery) -> dict[str, Any]:
        """What ended jobs used. Its ``limit`` is the server's: more sums than 10,000 are refused."""
        wanted = {"from": query.first.isoformat(), "to": query.last.isoformat()}
        wanted |= {"group_by": ",".join(query.group_by)}
        wanted |= {} if query.account is None else {"account": query.account}
        wanted |= {} if query.key_id is None else {"key": query.key_id}
        call = Call(path="v1/admin/usage", query=wanted)
        answer = await self._calls.send(call)
        return {**answer.body, "data": self._items(answer, call)}

    async def audit(self, after: int = 0) -> list[dict[str, Any]]:
        """The next entries of the audit log after number ``after``, the oldest first; empty at its end."""
        return await self._list(Call(path="v1/admin/audit", query={"after": str(after), "limit": _PAGE}))

    async def _send(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, makes: str | None = None
    ) -> dict[str, Any]:
        content = None if body is None else write_json(body)
        call = Call(method=method, path=path, body=content, repeats=makes is None, makes=makes)
        return dict((await self._calls.send(call)).body)


def _below(path: str, name: str) -> str:
    return f"{path}/{quote(name, safe='')}"
