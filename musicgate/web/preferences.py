"""What a caller prefers (RFC 7240, the ``Prefer`` header): read, and told back where it was applied; it waits for nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from aiohttp import web

#: Longest time that a caller may ask to wait; proxies and clients begin to give up at about a minute.
MAX_WAIT_S = 60


@attrs.frozen(kw_only=True)
class Preferences:
    """The preferences that we know.

    Attributes:
        strict: every warning is an error.
        wait_s: answer when the job is final, or after so many seconds; None = at once.
    """

    strict: bool = False
    wait_s: int | None = None

    @property
    def applied(self) -> dict[str, str]:
        """The header that says which ones were followed."""
        words = ["handling=strict"] if self.strict else []
        words += [] if self.wait_s is None else [f"wait={self.wait_s}"]
        return {"Preference-Applied": ", ".join(words)} if words else {}


def read_preferences(request: web.Request) -> Preferences:
    """The preferences of a request. Of one that is said twice the first counts; one that we do not know or cannot read is passed over.

    Source: RFC 7240, section 2.
    """
    said: dict[str, str] = {}
    for item in ",".join(request.headers.getall("Prefer", [])).split(","):
        name, _, value = item.split(";")[0].partition("=")
        said.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    wait = said.get("wait", "")
    is_number = wait.isascii() and wait.isdecimal()
    return Preferences(
        strict=said.get("handling") == "strict",
        wait_s=min(MAX_WAIT_S, int(wait[:9])) if is_number else None,
    )
