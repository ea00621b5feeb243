"""What a vendor says about the use of its songs, with the page and its date; nothing is concluded."""

from __future__ import annotations

import re
from typing import Final

import attrs

_DATE: Final = re.compile(r"20\d\d(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")


@attrs.frozen(kw_only=True)
class RightsStatement:
    """One thing that is known, and where it stands.

    Attributes:
        text: in a few words.
        source: public address of the page.
        as_of: date of the page or, if it has none, of the day it was read: ``2026``, ``2026-08`` or
            ``2026-08-31``, as exact as it is known.
    """

    text: str
    source: str
    as_of: str

    def fault(self) -> str | None:
        """What is wrong with it as a declaration, or None."""
        if not self.text.strip():
            return "says nothing"
        if not self.source.startswith("https://"):
            return f"has no public source: {self.source!r}"
        if not _DATE.fullmatch(self.as_of):
            return f"has no date such as 2026-08-31: {self.as_of!r}"
        return None


@attrs.frozen(kw_only=True)
class Rights:
    """What is known about the rights in a vendor's songs; None = not known.

    Attributes:
        commercial_use: whether, and on which terms.
        watermark: audible or hidden marks in the audio, and signed manifests.
        retention: how long the vendor keeps the audio.
    """

    commercial_use: RightsStatement | None = None
    watermark: RightsStatement | None = None
    retention: RightsStatement | None = None
