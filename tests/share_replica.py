"""A replica of its own process, which holds shares of a database and prints what happens.

Arguments: the URL of the database, the replica's id, its heartbeat in seconds. Prints a JSON line whenever
shares are taken or lost, and one every 50 ms with those that it holds. SIGTERM ends it.
"""

import asyncio
import json
import signal
import sys
from collections.abc import Collection

from musicgate.engine.pgqueuer_shares import PgqueuerShares


def tell(**facts: object) -> None:
    """Print a line; the reader may be gone."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def run(url: str, replica: str, heartbeat_s: float) -> None:
    """Hold shares until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    shares = PgqueuerShares(url, software="test", schema_version=2, heartbeat_s=heartbeat_s, replica=replica)

    async def taken(found: Collection[int]) -> None:
        tell(taken={share: shares.term_of(share) for share in found})

    await shares.start(taken, lambda found: tell(lost=sorted(found)))
    while not ending.is_set():
        tell(held=sorted(shares.held), seen=shares.is_seen)
        await asyncio.sleep(0.05)
    await shares.close()
    tell(closed=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3])))
