"""Resolve names on a thread pool of its own. It knows the system's resolver, and no address range.

A name server that does not answer blocks a thread for many seconds, and names come from callers and vendors.
On the event loop's default pool such look-ups would hold up everything else that runs there: files, audio,
other accounts' messages.
"""

import asyncio
import functools
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

#: ``getaddrinfo`` as it answers: family, type, protocol, canonical name, address.
AddressInfo = tuple[Any, ...]


class ThreadPoolResolver(AbstractResolver):
    """Resolves names with ``getaddrinfo`` on its own threads.

    Args:
        threads: look-ups at a time; as many as requests may be in flight, so that none waits for another.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="musicgate-names")

    async def look_up(
        self, host: str, port: int, family: int = socket.AF_UNSPEC, flags: int = 0
    ) -> list[AddressInfo]:
        """Return all addresses of a name, as ``getaddrinfo`` does.

        Raises:
            OSError: the name cannot be resolved.
        """
        find = functools.partial(
            socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM, flags=flags
        )
        return await asyncio.get_running_loop().run_in_executor(self._threads, find)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name, for aiohttp's connector."""
        # As aiohttp's own resolver does: no IPv6 address on a machine without IPv6.
        found = await self.look_up(host, port, family, getattr(socket, "AI_ADDRCONFIG", 0))
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Start no more look-ups. Those that hang end with the process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
