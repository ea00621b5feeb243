"""Moments, numbers and money as JSON shows them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from musicgate.planning import NANOS_PER_USD

if TYPE_CHECKING:
    from datetime import datetime


def time_text(moment: datetime | None) -> str | None:
    """Format a moment: ISO 8601 in UTC, milliseconds."""
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decimal_text(number: Decimal) -> str:
    """Format a number exactly, without an exponent or trailing zeros."""
    return f"{number.normalize():f}"


def usd_text(nanos: int) -> str:
    """Format billionths of a dollar exactly: ``"0.06"``."""
    return decimal_text(Decimal(nanos) / NANOS_PER_USD)
