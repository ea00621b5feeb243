"""Usage: an account's own, and that of all accounts for administrators."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.errors import RequestError
from musicgate.gateway import operation_of
from musicgate.model import UsageGroup, UsageQuery
from musicgate.views import render_usage_report, render_usage_sum, usage_columns
from musicgate.web.exports import read_format, respond_rows

if TYPE_CHECKING:
    from musicgate.gateway import Gateway, Operation
    from musicgate.web.auth import Accounts

#: Sums in one answer; a query with more is refused, since half of an invoice is worse than none.
MOST_SUMS: Final = 10_000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class UsageRoutes:
    """The route of an account's own usage."""

    def __init__(self, gateway: Gateway, accounts: Accounts) -> None:
        self._operation = operation_of(gateway)
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the route."""
        return [web.get("/v1/music/usage", self.show)]

    async def show(self, request: web.Request) -> web.Response:
        """``GET /v1/music/usage``: what the caller's account used."""
        account = self._accounts.identify(request)
        if "account" in request.query:
            message = "is always the account of the key here; administrators have /v1/admin/usage"
            raise RequestError("validation_error", message, reason="unknown_parameter", path=("account",))
        return await respond_usage(request, self._operation, account.name)


async def respond_usage(
    request: web.Request, operation: Operation, account: str | None = None
) -> web.Response:
    """Answer with the usage that a request asks for.

    Args:
        account: the only account that may be seen; None = the one of the query, or all.

    Raises:
        RequestError: 400, the query is not valid, or has too many sums.
        StorageError: the store cannot be read.
    """
    name = read_format(request, ("json", "csv"))
    query = _read_query(request, request.query.get("account") if account is None else account)
    sums = await operation.usage(query)
    if len(sums) > MOST_SUMS:
        message = f"this is more than {MOST_SUMS} sums: ask for fewer days, or for fewer groups"
        raise RequestError("validation_error", message, reason="too_many_sums", path=("group_by",))
    return await respond_rows(
        name,
        lambda: [render_usage_sum(query.group_by, found) for found in sums],
        usage_columns(query.group_by),
        len(sums),
        lambda: render_usage_report(query, sums),
    )


def _read_query(request: web.Request, account: str | None) -> UsageQuery:
    last = _day(request, "to") or datetime.now(UTC).date()
    first = _day(request, "from") or UsageQuery.usual_first(last)
    if first > last:
        message = "is later than `to`"
        raise RequestError("validation_error", message, reason="invalid_date", path=("from",))
    return UsageQuery(
        first=first,
        last=last,
        account=account,
        key_id=request.query.get("key"),
        group_by=_groups(request),
        limit=MOST_SUMS + 1,
    )


def _day(request: web.Request, name: str) -> date | None:
    text = request.query.get(name)
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    message = "must be a day like 2026-11-29 (UTC)"
    raise RequestError("validation_error", message, reason="invalid_date", path=(name,))


def _groups(request: web.Request) -> tuple[UsageGroup, ...]:
    """``group_by=day,model``, or the parameter several times; empty = one sum over all."""
    values = request.query.getall("group_by", [UsageGroup.DAY.value])
    try:
        return UsageGroup.read(values)
    except ValueError:
        message = f"must be of {', '.join(UsageGroup)}"
        raise RequestError("validation_error", message, reason="invalid_group", path=("group_by",)) from None
