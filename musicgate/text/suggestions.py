"""Suggest the known name that a misspelt one is close to; knows letters, not what a name means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Share of common letters from which two names count as close: "prot" is close to "port", "sing" to nothing.
_CLOSE: Final = 0.7
#: A longer name is no misspelling. The comparison takes time with the square of the length.
_LONGEST: Final = 60


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that is closest to a word, whatever the case; None if none is close.

    Args:
        known: names that may be told to the person who wrote the word.
    """
    # Imported here: only a mistake needs it.
    from difflib import get_close_matches

    if len(word) > _LONGEST:
        return None
    spelled = {name.casefold(): name for name in known}
    found = get_close_matches(word.strip().casefold(), spelled, n=1, cutoff=_CLOSE)
    return spelled[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean NAME?``, to be put after a message; "" if no name is close."""
    found = closest(word, known)
    return f"; did you mean {found}?" if found else ""
