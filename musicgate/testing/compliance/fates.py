"""What became of one wish in a translation: sent, sent in other words, reported, refused, or dropped in silence."""

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

#: Where a wish may be what the vendor does anyway, the opposite value tells whether the field counts at all.
_OPPOSITE: Final[Mapping[str, object]] = {"instrumental": False}


class Fate(Enum):
    """What became of one option."""

    SENT = "sent"
    #: Sent in other words, and a warning says so (``changed``).
    REWORDED = "sent in other words"
    REPORTED = "reported as not applied"
    REFUSED = "refused by its own path"
    #: Refused, and another place is named: two wishes that exclude each other.
    REFUSED_ELSEWHERE = "refused by another path"
    SILENT = "dropped in silence"


APPLIED: Final = frozenset({Fate.SENT, Fate.REWORDED})
UNTOLD: Final = frozenset({Fate.SILENT, Fate.REFUSED_ELSEWHERE})


def fate_of(
    subject: Subject,
    offer: Offer,
    before: MusicRequest,
    made: Translation,
    after: MusicRequest,
    path: tuple[str, ...],
) -> Fate:
    """What became of the one thing in which two wishes differ."""
    try:
        changed = subject.translate(after, offer)
    except RequestError as error:
        return Fate.REFUSED if names(error.path, path) else Fate.REFUSED_ELSEWHERE
    told = [
        warning for warning in changed.warnings if names(warning.path, path) and warning not in made.warnings
    ]
    if any(warning.code is WarningCode.NOT_APPLIED for warning in told):
        return Fate.REPORTED
    if told:
        return Fate.REWORDED
    if changed.request != made.request:
        return Fate.SENT
    return Fate.SENT if _is_the_default(subject, offer, after, made, path[-1]) else Fate.SILENT


def _is_the_default(
    subject: Subject, offer: Offer, after: MusicRequest, made: Translation, field: str
) -> bool:
    """True if the wish changed nothing because the vendor does so anyway: its opposite changes something."""
    if field not in _OPPOSITE or getattr(after, field, None) is None:
        return False
    try:
        opposite = subject.translate(with_field(after, field, _OPPOSITE[field]), offer)
    except RequestError:
        return True
    return opposite.request != made.request or opposite.warnings != made.warnings


def names(said: tuple[str | int, ...], path: tuple[str, ...]) -> bool:
    """True if a path names the option, something inside it, or the object that it stands in (but not the whole block)."""
    shared = min(len(said), len(path))
    return shared >= min(2, len(path)) and said[:shared] == path[:shared]


def neutral_base(subject: Subject) -> list[tuple[Offer, MusicRequest, Translation]]:
    """Base wishes without a vendor's block: the block overrides the neutral fields, and that is no loss."""
    return [base for base in subject.base if not base[1].blocks]


def with_field(wish: MusicRequest, field: str, value: object) -> MusicRequest:
    """The wish with one neutral field set, or taken away by None."""
    changes: dict[str, Any] = {field: value}
    return attrs.evolve(wish, **changes)
