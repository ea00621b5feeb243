"""Accounts and keys as administrators see them: no key, no digest and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.accounts import ManagedAccount
from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.accounts import ApiKey
    from musicgate.settings import Account


def render_account(entry: ManagedAccount | Account) -> dict[str, object]:
    """Render an account. A limit that is null is the one of ``[limits]`` or ``[retention]``."""
    if not isinstance(entry, ManagedAccount):
        return {**_account(entry), "source": "settings", "disabled": False, "created_at": None}
    return {
        **_account(entry.account),
        "source": "store",
        "disabled": entry.disabled_at is not None,
        "created_at": time_text(entry.created_at),
    }


def render_key(key: ApiKey, now: datetime) -> dict[str, object]:
    """Render a key of the store."""
    status = "revoked" if key.revoked_at is not None else "active" if key.is_in_force(now) else "expired"
    return {
        "object": "api_key",
        "id": key.id,
        "account": key.account,
        "name": key.name,
        "is_admin": key.is_admin,
        "status": status,
        "created_at": time_text(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "replaced_by": key.replaced_by,
        "used_at": _time(key.used_at),
    }


def _account(account: Account) -> dict[str, object]:
    return {
        "object": "account",
        "name": account.name,
        "beta": account.beta,
        "requests_per_minute": account.requests_per_minute,
        "max_open_jobs": account.max_open_jobs,
        "max_usd_per_day": account.max_usd_per_day,
        "jobs_days": account.jobs_days,
        "audio_days": account.audio_days,
        "webhook_url": account.webhook_url or None,
        "has_webhook_secret": account.webhook_secret is not None,
        "has_webhook_secret_previous": account.webhook_secret_previous is not None,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)
