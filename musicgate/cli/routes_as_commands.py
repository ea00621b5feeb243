"""Names commands instead of routes in messages that were written for callers over HTTP.

The gateway and servers say ``GET /v1/music/models lists what there is``; on the command line that is
``musicgate models``. All messages pass here once, on their way out.
"""

from __future__ import annotations

import re
from typing import Final

#: Possessive: "{id}/events" does not match as "{id" with something behind it.
_ID: Final = r"[\w{}-]++"
#: Route -> the command that does the same, the longest path first.
COMMANDS_OF_ROUTES: Final = {
    rf"GET /v1/music/generat(?:e|ions)/{_ID}/stream/{_ID}": "musicgate play JOB",
    rf"GET /v1/music/generat(?:e|ions)/{_ID}/audio/{_ID}": "musicgate fetch JOB",
    rf"POST /v1/music/generat(?:e|ions)/{_ID}/cancel": "musicgate cancel JOB",
    rf"GET /v1/music/generat(?:e|ions)/{_ID}": "musicgate fetch JOB",
    r"GET /v1/music/generat(?:e|ions)": "musicgate jobs",
    r"POST /v1/music/generat(?:e|ions)": "musicgate generate",
    r"POST /v1/music/plan": "musicgate plan",
    r"GET /v1/music/models": "musicgate models",
    r"GET /v1/music/providers": "musicgate providers",
    r"GET /v1/schemas(?:/\S+)?": "musicgate schema",
    r"GET /readyz": "musicgate doctor",
}
_ROUTE: Final = re.compile(rf"(?:{'|'.join(f'({route})' for route in COMMANDS_OF_ROUTES)})(?![\w/])")
_COMMANDS: Final = tuple(COMMANDS_OF_ROUTES.values())


def with_commands(message: str) -> str:
    """Replace each route by the command that does the same; a route without one stays."""
    return _ROUTE.sub(lambda found: _COMMANDS[(found.lastindex or 1) - 1], message)
