"""Which open jobs this replica follows: shares of them, by the port `Shares`; in one process all.

The jobs of an installation are dealt out in `SHARES` shares, by a digest of their ids. At any moment one
replica at most holds a share, and follows its open jobs. Whenever a replica takes a share, the share's *term*
is counted up, and what a follower writes carries the term under which it began: a replica that was stalled,
and whose share is another's meanwhile, cannot write, whatever it believes.

A create call is not bound to a share. It belongs to the replica that makes it (`Job.sender`), and while that
one lives, the job's follower leaves the call alone.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from musicgate.errors import StorageError
from musicgate.model import SHARES, share_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

_ALL_SHARES: Final = frozenset(range(SHARES))
#: The replica that holds it runs the courier and the sweeper.
FIRST_SHARE: Final = 0
#: Seconds between two looks whether this replica is seen: another thread says so.
_LOOK_S: Final = 0.05
#: A replica with a single share finds an id of its own among so many, but for one in a million.
_MOST_IDS: Final = 900


class ShareLostError(Exception):
    """A follower's write was refused: another replica has taken the job's share, and nothing was stored.

    It is no error of a job, and no handler of those may take it for one.
    """


class ReplicaState(NamedTuple):
    """How a replica is among the others.

    Attributes:
        shares: how many shares it holds.
        replicas: how many replicas are alive, this one included.
        heartbeat_age_s: seconds since it was last confirmed by the database that it is alive.
    """

    shares: int
    replicas: int
    heartbeat_age_s: float


class Shares(Protocol):
    """The shares that this replica holds. All methods are for the event loop that called `start`."""

    @property
    def replica(self) -> str:
        """The id of this replica, another one at each start; empty where there is only one."""

    @property
    def held(self) -> Collection[int]:
        """The shares that it holds; none while that is not certain."""

    def term_of(self, share: int) -> int | None:
        """The term under which it holds a share; None where writes need none, or it is not held."""

    @property
    def is_first(self) -> bool:
        """True if no other replica was alive when it started: open jobs were not followed until then."""

    def silence_s(self, replica: str) -> float:
        """Seconds since a replica was last seen alive; infinite for one that has ended or is not known."""

    @property
    def is_seen(self) -> bool:
        """True if the others can see that this replica is alive.

        If it is not, they may be taking over what it is to send, and its places at vendors, and it must begin
        nothing.
        """

    def state(self) -> ReplicaState | None:
        """How this replica is among the others; None where there is only one."""

    async def start(
        self,
        taken: Callable[[Collection[int]], Awaitable[None]],
        lost: Callable[[Collection[int]], None],
    ) -> None:
        """Begin to take shares.

        Args:
            taken: called with shares that are held from now on: their open jobs are to be followed. A share
                that is lost and taken again is told as both. One call at a time.
            lost: called with shares that are not held any more.
        """

    async def hand_over(self) -> None:
        """Give every share to the other replicas, and take none any more. This one goes on being alive."""

    async def close(self) -> None:
        """Be a replica no longer: it makes no create call any more."""


class LocalShares:
    """All shares, from the start to the end: there is one process."""

    replica: Final = ""
    is_first: Final = True
    is_seen: Final = True

    def __init__(self) -> None:
        self.held: Collection[int] = ()

    def term_of(self, share: int) -> int | None:
        """No term: nothing else writes."""
        return None

    def silence_s(self, replica: str) -> float:
        """Infinite: a job of another process is of one that has ended."""
        return math.inf

    def state(self) -> None:
        """There are no others."""

    async def start(
        self,
        taken: Callable[[Collection[int]], Awaitable[None]],
        lost: Callable[[Collection[int]], None],
    ) -> None:
        """Take all shares, and return when their jobs have been recovered."""
        self.held = _ALL_SHARES
        await taken(_ALL_SHARES)

    async def hand_over(self) -> None:
        """Keep them: nothing else could follow the jobs."""

    async def close(self) -> None:
        """Nothing is left."""


async def until_seen(shares: Shares, limit_s: float = math.inf) -> None:
    """Wait until the others can see that this replica is alive.

    Raises:
        StorageError: they could not within the limit.
    """
    waited_s = 0.0
    while not shares.is_seen:
        if waited_s >= limit_s:
            raise StorageError("the other replicas cannot see that this one is alive", is_away=True)
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S


def own_id(shares: Shares, new_id: Callable[[], str]) -> str:
    """An id of a job whose share this replica holds, so that the job need not change hands.

    Any id, where it holds none, or while luck is that bad.
    """
    held = shares.held
    job_id = new_id()
    if held and len(held) < SHARES:
        for _ in range(_MOST_IDS):
            if share_of(job_id) in held:
                break
            job_id = new_id()
    return job_id
