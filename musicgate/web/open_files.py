"""The limit of open files: raised at the start, and the number of connections that fit into it."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

if sys.platform != "win32":
    import resource

if TYPE_CHECKING:
    from musicgate.settings import Settings

_log = logging.getLogger(__name__)
#: More connections than that are not sensible in one process.
_WANTED = 65_536
#: Reserved for the store, the log, standard streams, libraries, and files that are being read or written.
_OWN = 64


def raise_open_file_limit() -> None:
    """Raise the soft limit as far as the hard one allows, to at most 65,536."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED if hard == resource.RLIM_INFINITY else min(hard, _WANTED)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    for wanted in (most, 10_240):  # macOS reports infinity and refuses more than 10,240
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            continue
        return


def connections_that_fit(settings: Settings) -> int:
    """Return ``server.max_connections``, or what the soft limit leaves beside calls and webhooks.

    A poll or download takes a socket and may take a file.
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
