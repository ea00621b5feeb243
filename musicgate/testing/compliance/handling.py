"""How a translation handles one option: sent, reworded, reported, refused or silently dropped."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import attrs

from musicgate.errors import RequestError
from musicgate.model import MusicRequest, Offer, WarningCode
from musicgate.plugin import Translation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.testing.compliance.subject import Subject

#: Where a value may ask for the vendor's default, the opposite value shows whether the field has any effect.
_OPPOSITE: Final[Mapping[str, object]] = {"instrumental": False}


class Handling(Enum):
    """How one option was handled."""

    SENT = "sent"
    #: Sent in other words, and a warning says so (``changed``).
    REWORDED = "sent in other words"
    REPORTED = "reported as not applied"
    REFUSED = "refused by its own path"
    #: Refused with another path: two options that exclude each other.
    REFUSED_ELSEWHERE = "refused by another path"
    SILENT = "dropped in silence"


APPLIED: Final = frozenset({Handling.SENT, Handling.REWORDED})
#: The caller does not learn that the option was not applied.
UNREPORTED: Final = frozenset({Handling.SILENT, Handling.REFUSED_ELSEWHERE})


def handling_of(
    subject: Subject,
    offer: Offer,
    before: Translation,
    changed: MusicRequest,
    path: tuple[str, ...],
) -> Handling:
    """Translate a request that differs in one option, and say how that option was handled.

    Args:
        before: the translation of the request without the option.
        changed: the request with it.
        path: of the option.
    """
    try:
        after = subject.translate(changed, offer)
    except RequestError as error:
        return Handling.REFUSED if names(error.path, path) else Handling.REFUSED_ELSEWHERE
    new = [
        warning for warning in after.warnings if names(warning.path, path) and warning not in before.warnings
    ]
    if any(warning.code is WarningCode.NOT_APPLIED for warning in new):
        return Handling.REPORTED
    if new:
        return Handling.REWORDED
    if after.request != before.request:
        return Handling.SENT
    is_default = _is_the_default(subject, offer, before, changed, path[-1])
    return Handling.SENT if is_default else Handling.SILENT


def _is_the_default(
    subject: Subject, offer: Offer, before: Translation, changed: MusicRequest, field: str
) -> bool:
    """True if the option only asks for the vendor's default: its opposite changes something."""
    if field not in _OPPOSITE or getattr(changed, field, None) is None:
        return False
    try:
        opposite = subject.translate(with_field(changed, field, _OPPOSITE[field]), offer)
    except RequestError:
        return True
    return opposite.request != before.request or opposite.warnings != before.warnings


def names(given: tuple[str | int, ...], path: tuple[str, ...]) -> bool:
    """True if a path names the option, a part of it, or the object that holds it, except the block."""
    shared = min(len(given), len(path))
    return shared >= min(2, len(path)) and given[:shared] == path[:shared]


def neutral_base(subject: Subject) -> list[tuple[Offer, MusicRequest, Translation]]:
    """Return the base requests without a vendor's block: a block may override the neutral fields."""
    return [base for base in subject.base if not base[1].blocks]


def with_field(request: MusicRequest, field: str, value: object) -> MusicRequest:
    """Return the request with one neutral field set, or removed by None."""
    changes: dict[str, Any] = {field: value}
    return attrs.evolve(request, **changes)
