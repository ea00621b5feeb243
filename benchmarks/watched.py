"""What is seen while replicas fail: by the vendor, by callers, and by triggers of the database."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import Any, Final

import attrs

from benchmarks.gateway import MeasuredGateway
from benchmarks.load import Answer, ask
from benchmarks.vendor import CREATE, POLL, Vendor

#: The roles of the replicas at PostgreSQL, and their names in the vendor's URLs.
NAMES: Final = ("a", "b")
_CALL_EVERY_S: Final = 0.25
_CALL_TIMEOUT_S: Final = 40.0
#: Made in the database of musicgate: who wrote which job, and who took which share.
WATCH: Final = """
CREATE SCHEMA watch;
CREATE TABLE watch.writes (at float8, who text, job text, state text, native text);
CREATE TABLE watch.takes (at float8, who text, share int);
CREATE FUNCTION watch.wrote() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO watch.writes VALUES (extract(epoch FROM clock_timestamp()), session_user, NEW.id, NEW.state, NEW.native_id);
    RETURN NULL; END $$;
CREATE FUNCTION watch.took() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO watch.takes VALUES (extract(epoch FROM clock_timestamp()), session_user, NEW.share); RETURN NULL; END $$;
CREATE TRIGGER wrote AFTER UPDATE ON musicgate.jobs FOR EACH ROW EXECUTE FUNCTION watch.wrote();
CREATE TRIGGER took AFTER INSERT OR UPDATE ON musicgate.shares FOR EACH ROW EXECUTE FUNCTION watch.took();
UPDATE musicgate.shares SET term = term WHERE replica IS NOT NULL;
UPDATE watch.takes SET who = 'a';
GRANT SELECT ON ALL TABLES IN SCHEMA watch TO a, b;
"""


@attrs.frozen
class Poll:
    """One poll of a job: when, and by which replica."""

    at_s: float
    who: str
    job: str


class WatchedVendor(Vendor):
    """A vendor that knows who asks: each replica has a path of its own. Times are those of `time.time`."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.polls: list[Poll] = []
        #: Task ids by job.
        self.songs: defaultdict[str, list[str]] = defaultdict(list)
        #: Seconds that answers are held back, by replica: of create calls, and of polls.
        self.create_s: dict[str, float] = {}
        self.poll_s: dict[str, float] = {}
        self._jobs: dict[str, str] = {}

    def url_for(self, who: str) -> str:
        """The address of the vendor for one replica."""
        return f"{self.url}/{who}"

    def serve(self, transport: asyncio.Transport, method: bytes, target: bytes, body: bytes) -> None:
        """Answer one request, perhaps later."""
        _, who, rest = target.decode().split("/", 2)
        path = f"/{rest}".encode()
        answer = self.answer(method, path, body)
        delay_s = 0.0
        if path.startswith(POLL):
            job = self._jobs.get(path[len(POLL) :].decode(), "")
            self.polls.append(Poll(time.time(), who, job))
            delay_s = self.poll_s.get(who, 0.0)
        elif path == CREATE:
            task_id, task = next(reversed(self.tasks.items()))
            job = task.callback_url.split("/")[-2]
            self._jobs[task_id] = job
            self.songs[job].append(task_id)
            delay_s = self.create_s.get(who, 0.0)
        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, transport.write, answer)
        else:
            transport.write(answer)

    def first_polls(self, jobs: Collection[str], since_s: float, who: str = "") -> dict[str, float]:
        """Seconds from then until each of these jobs was polled, those that were."""
        found: dict[str, float] = {}
        for poll in reversed(self.polls):
            if poll.at_s < since_s:
                break
            if poll.job in jobs and who in ("", poll.who):
                found[poll.job] = poll.at_s - since_s
        return found

    async def all_polled_s(
        self, jobs: Collection[str], since_s: float, who: str = "", timeout_s: float = 90.0
    ) -> float:
        """Seconds from then until each of these jobs was polled; waits for it. Infinite = not in time."""
        while len(found := self.first_polls(jobs, since_s, who)) < len(jobs):
            if time.time() - since_s > timeout_s:
                return float("inf")
            await asyncio.sleep(0.1)
        return max(found.values())


@attrs.frozen(kw_only=True)
class Call:
    """One call of a caller; status 0 = no answer.

    Attributes:
        job: of a create that was answered.
    """

    at_s: float
    took_s: float
    kind: str
    status: int
    message: str = ""
    job: str = ""


class Callers:
    """Callers that make a create and a GET every quarter of a second, as a load balancer spreads them."""

    def __init__(self, serving: Callable[[], Sequence[MeasuredGateway]], jobs: Sequence[str]) -> None:
        self._serving = serving
        self._jobs = jobs
        self._random = random.Random(12)  # noqa: S311 - a reproducible order, no secret
        self._tasks: set[asyncio.Task[None]] = set()
        self.calls: list[Call] = []

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[Callers]:
        """Call until the end, and wait for every answer."""
        caller = asyncio.create_task(self._call())
        try:
            yield self
        finally:
            caller.cancel()
            await asyncio.gather(caller, *self._tasks, return_exceptions=True)

    def created(self) -> list[str]:
        """The jobs of the creates that were answered."""
        return [call.job for call in self.calls if call.job]

    def refused(self, kind: str) -> Counter[tuple[int, str]]:
        """Answers that were not good, by status and message."""
        return Counter(
            (call.status, call.message)
            for call in self.calls
            if call.kind == kind and not 200 <= call.status < 300
        )

    def works_again_s(self, kind: str, since_s: float) -> float:
        """Seconds from then until the first call was begun after which none was refused any more."""
        bad = [call.at_s for call in self.calls if call.kind == kind and not 200 <= call.status < 300]
        last = max(bad, default=-1.0)
        good = [call.at_s for call in self.calls if call.kind == kind and call.at_s > last]
        return max(0.0, min(good, default=float("inf")) - since_s) if bad else 0.0

    def slowest_s(self, kind: str) -> float:
        """The longest time until an answer."""
        return max((call.took_s for call in self.calls if call.kind == kind), default=0.0)

    async def _call(self) -> None:
        while True:
            gateway = self._random.choice(self._serving())
            job_id = self._random.choice(self._jobs)
            for kind, request in (
                ("create", gateway.create_request()),
                ("GET", gateway.get_request(job_id)),
            ):
                task = asyncio.create_task(self._ask(kind, gateway.port, request))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_CALL_EVERY_S)

    async def _ask(self, kind: str, port: int, request: bytes) -> None:
        at_s = time.time()
        status, message, job = 0, "", ""
        try:
            async with asyncio.timeout(_CALL_TIMEOUT_S):
                answer = await ask(port, request)
            status = answer.status
            if 200 <= status < 300:
                job = str(answer.json()["id"]) if kind == "create" else ""
            else:
                message = _message(answer)
        except TimeoutError:
            message = f"no answer within {_CALL_TIMEOUT_S:g} s"
        except OSError as exc:
            message = f"connection broke: {type(exc).__name__}"
        self.calls.append(
            Call(at_s=at_s, took_s=time.time() - at_s, kind=kind, status=status, message=message, job=job)
        )


def _message(answer: Answer) -> str:
    try:
        found: Any = answer.json()
        return str(found["description"])
    except (ValueError, KeyError, TypeError):
        return repr(answer.body[:200])
