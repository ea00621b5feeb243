"""One line of ``musicgate doctor``: what was checked, how it is, and how to mend it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs

from musicgate.cli.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Sequence


class Verdict(StrEnum):
    """How something is. Only `FAILED` makes the exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@attrs.frozen
class Check:
    """What was found.

    Attributes:
        name: of the check: ``store``. Several checks may have the same one.
        message: what was found; without a secret.
        mend: what to do; "" where nothing has to be done.
    """

    name: str
    verdict: Verdict
    message: str
    mend: str = ""


def ok(name: str, message: str) -> Check:
    """Something is as it should be."""
    return Check(name, Verdict.OK, message)


def warning(name: str, message: str, mend: str) -> Check:
    """Something may become a trouble, or is one for a part only."""
    return Check(name, Verdict.WARNING, message, mend)


def failed(name: str, message: str, mend: str) -> Check:
    """Something does not work."""
    return Check(name, Verdict.FAILED, message, mend)


def render_checks(checks: Sequence[Check]) -> dict[str, object]:
    """Render checks as JSON."""
    data = [
        {
            "name": check.name,
            "verdict": check.verdict.value,
            "message": check.message,
            "mend": check.mend or None,
        }
        for check in checks
    ]
    return {"object": "doctor", "ok": is_well(checks), "checks": data}


def check_lines(checks: Sequence[Check]) -> list[str]:
    """Format checks for people, one line each."""
    width = max((len(check.name) for check in checks), default=0)
    return [
        visible(
            f"{check.verdict.value:<7}  {check.name:<{width}}  {check.message}"
            + (f"; {check.mend}" if check.mend else "")
        )
        for check in checks
    ]


def is_well(checks: Sequence[Check]) -> bool:
    """True if nothing failed."""
    return all(check.verdict is not Verdict.FAILED for check in checks)
