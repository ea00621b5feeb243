"""Routes for administrators, below ``/v1/admin``. Start with `guard`, which says who may call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.web.admin.guard import Guard
from musicgate.web.admin.operation import OperationRoutes

if TYPE_CHECKING:
    from aiohttp import web

    from musicgate.gateway import Gateway
    from musicgate.web.auth import Accounts

__all__ = ["Guard", "admin_routes"]


def admin_routes(gateway: Gateway, accounts: Accounts) -> list[web.RouteDef]:
    """Return the routes of one gateway."""
    return OperationRoutes(gateway, Guard(accounts)).routes()
