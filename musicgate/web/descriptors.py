"""How many descriptors the process may have, and how many connections fit into that; it opens none."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from musicgate.settings import Settings

_log = logging.getLogger(__name__)
#: Enough for every limit of connections that is sensible in one process.
_WANTED = 65_536
#: The store, the log, standard streams, libraries, and files that are being read or written.
_OWN = 64


def raise_limit() -> None:
    """Raise the soft limit of open files as far as the hard one allows, up to 65,536."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    for wanted in (most, 10_240):  # macOS says infinity and means its own limit
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return


def connections_that_fit(settings: Settings) -> int:
    """``server.max_connections``, or as many as the soft limit leaves beside calls to vendors and webhooks.

    A poll or download takes a socket and perhaps a file.
    """
    wanted = settings.server.max_connections
    if sys.platform == "win32":
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    others = _OWN + 2 * settings.follow.concurrency + settings.webhooks.concurrency
    fitting = max(soft - others, soft // 4)
    if fitting < wanted:
        _log.warning(
            "fewer connections than server.max_connections=%d fit: connections=%d open_files_limit=%d",
            wanted,
            fitting,
            soft,
        )
    return min(wanted, fitting)
