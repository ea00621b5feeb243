"""The ``Prefer`` header (RFC 7240), and ``Preference-Applied`` in the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs
from multidict import istr

if TYPE_CHECKING:
    from aiohttp import web

#: Longest wait; proxies and clients begin to time out at about a minute.
MAX_WAIT_S = 60
#: In the spelling of aiohttp, which it need not fold each time.
_PREFER: Final = istr("Prefer")


@attrs.frozen(kw_only=True)
class Preferences:
    """The preferences that this server supports.

    Attributes:
        strict: treat every warning as an error.
        wait_s: answer when the job is final, or after so many seconds; None = at once.
    """

    strict: bool = False
    wait_s: int | None = None

    @property
    def applied(self) -> dict[str, str]:
        """The ``Preference-Applied`` header, or nothing."""
        if self is _NONE:
            return {}
        applied = ["handling=strict"] if self.strict else []
        applied += [] if self.wait_s is None else [f"wait={self.wait_s}"]
        return {"Preference-Applied": ", ".join(applied)} if applied else {}


_NONE = Preferences()


def read_preferences(request: web.Request) -> Preferences:
    """Read the preferences. The first occurrence wins; unknown or malformed ones are ignored.

    **Source**: RFC 7240, section 2.
    """
    if _PREFER not in request.headers:
        return _NONE
    given: dict[str, str] = {}
    for item in ",".join(request.headers.getall(_PREFER, [])).split(","):
        name, _, value = item.split(";")[0].partition("=")
        given.setdefault(name.strip().lower(), value.strip().strip('"').lower())
    wait = given.get("wait", "")
    is_number = wait.isascii() and wait.isdecimal()
    return Preferences(
        strict=given.get("handling") == "strict",
        wait_s=min(MAX_WAIT_S, int(wait[:9])) if is_number else None,
    )
