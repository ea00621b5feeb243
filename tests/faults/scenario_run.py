"""One run of a scenario: a gateway on a real store and folder, with counted ports and virtual time.

These invariants hold whatever was raised; a finding begins with the letter of the one that it violates:

(a) every open job has exactly one owner, and is final by its deadline;
(b) at most one song is paid for one request, and the store knows each song that was paid for;
(c) the answers that callers got do not contradict the store;
(d) no slot, reservation, connection, file, task or staged audio is left;
(e) when only our disk fails, and only once, no paid song is lost.
"""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import Job, JobState
from musicgate.errors import JobNotFoundError, MusicgateError
from musicgate.gateway import Gateway, audio_files, facade
from musicgate.hosting.discovery import PluginHost
from musicgate.model import Asset, AttemptOutcome, JobQuery
from musicgate.settings import FollowSettings, ServerSettings
from musicgate.store.sqlite import SqliteJobStore
from tests.fake_vendor import (
    MODEL,
    START,
    FolderAssets,
    ScriptedWebhooks,
    context_of,
    host_of,
    quota_of,
    settings_for,
)
from tests.faults.injection import Fault, Faulty, Injector, Kind
from tests.faults.vendors import FaultyVendor, Task, Vendors
from tests.virtual_loop import NothingLeftToDoError, VirtualLoop

DEADLINE_S = 600.0
#: Seconds after its deadline by which a job must be final: for a last poll, and retries after one disk error.
MARGIN_S = 120.0
#: How long the gateway may try to fetch a song that was delivered.
ARCHIVE_S = 700.0
#: Odd, so that it coincides with no timer of the gateway: nothing happens at these moments.
_QUIET_STEP_S = 7.313

_STORE = frozenset(
    {
        *("add", "replace", "get", "find_native", "open_jobs", "list_jobs", "find_claim", "spent_usd_nanos"),
        *("delete", "events", "ping"),
    }
)
_TRANSPORT = frozenset({"send", "download"})
_CLOCK = frozenset({"now", "steady", "sleep"})
_ASSETS = frozenset({"put", "size", "fetch", "delete", "local_path"})
_REFERENCES = frozenset({"claim", "of_job", "release", "unused", "begin_removal", "end_removal"})


class InlineWorkers:
    """Does audio work at once: virtual time must not pass while a thread is at work."""

    def __init__(self, injector: Injector) -> None:
        self._injector = injector

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        self._injector.sync("workers.run")
        return _measure(*args) if function is audio_files.measure else function(*args)


#: Bytes of a song -> what was measured. All vendors deliver one song, and decoding it is a fifth of a run.
_MEASURED: dict[bytes, Asset] = {}


def _measure(path: Path) -> Asset:
    """Measure audio that has not been measured in another run; the header of the song needs no repair."""
    content = path.read_bytes() if path.is_file() else b""
    if content not in _MEASURED:
        _MEASURED[content] = audio_files.measure(path)
    return _MEASURED[content]


class VirtualClock:
    """A clock, steady and wall, that shows the time of the loop."""

    def now(self) -> datetime:
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def steady(self) -> datetime:
        return self.now()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


@attrs.define
class CallerAnswer:
    """What one caller got for its request."""

    prompt: str
    job: Job | None = None
    error: BaseException | None = None


#: The vendors of a scenario, and the plugin host that they are loaded into.
Plugins = tuple[tuple[FaultyVendor, ...], PluginHost]


@functools.cache
def plugins_of(scenario: Scenario) -> Plugins:
    """The plugins of a scenario, loaded once: loading costs more than a run."""
    declared = tuple(FaultyVendor(name, **more) for name, more in scenario.vendors.items())
    return declared, host_of(*declared)


@attrs.define
class ScenarioRun:
    """What a scenario acts on, and its findings.

    Attributes:
        gate, store: of the gateway that was opened last.
        answers: what each caller got.
        deleted: ids of jobs that callers wanted to delete.
        background: tasks of vendors that call back.
        is_only_the_disk: only `StorageError` is injected, so invariant (e) applies.
        is_stopped: a caller cancelled a job.
    """

    folder: Path
    injector: Injector
    vendors: Vendors
    plugins: Plugins
    public_url: str = ""
    deadline_s: float = DEADLINE_S
    gate: Gateway = attrs.field(init=False)
    store: SqliteJobStore = attrs.field(init=False)
    answers: list[CallerAnswer] = attrs.field(factory=list)
    deleted: set[str] = attrs.field(factory=set)
    background: list[asyncio.Task[Any]] = attrs.field(factory=list)
    findings: list[str] = attrs.field(factory=list)
    ids: int = 0
    is_only_the_disk: bool = False
    is_stopped: bool = False

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[Gateway]:
        """Open a gateway on what the last one left."""
        declared, host = self.plugins
        for vendor in declared:
            vendor.injector = self.injector
        settings = settings_for(
            *declared,
            server=ServerSettings(drain_s=2.0, public_url=self.public_url),
            follow=FollowSettings(deadline_s=self.deadline_s),
        )
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)

        async def outside(call: Callable[[], Awaitable[Any]]) -> Any:
            loop.enter_outside()
            try:
                return await call()
            finally:
                loop.leave_outside()

        @asynccontextmanager
        async def open_context(settings: Any, host: Any, changed: Any, **_: Any) -> AsyncIterator[Any]:
            async with SqliteJobStore.open(self.folder / "jobs.db") as store:
                self.store = store
                faulty: dict[str, Any] = {
                    "store": Faulty(store, "store", self.injector, _STORE, outside),
                    "transport": Faulty(self.vendors, "transport", self.injector, _TRANSPORT),
                    "assets": Faulty(FolderAssets(self.folder / "audio"), "assets", self.injector, _ASSETS),
                    "clock": Faulty(VirtualClock(), "clock", self.injector, _CLOCK),
                }
                references = store.asset_references
                faulty["store"].asset_references = Faulty(
                    references, "references", self.injector, _REFERENCES, outside
                )
                context = context_of(
                    settings, host, changed=changed, workers=InlineWorkers(self.injector), **faulty
                )

                def new_id(prefix: str) -> str:
                    self.ids += 1
                    return f"{prefix}{self.ids:05}"

                yield attrs.evolve(
                    context,
                    new_id=new_id,
                    webhooks=Faulty(ScriptedWebhooks(), "webhooks", self.injector, frozenset()),
                )

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(facade, "open_context", open_context)
            async with AsyncExitStack() as stack:
                for attempts_left in (2, 1, 0):
                    try:
                        gateway = Gateway.open(settings, plugins=host)
                        self.gate = await stack.enter_async_context(gateway)
                        break
                    except (Exception, asyncio.CancelledError):  # started again, as a service manager does
                        if not attempts_left:
                            raise
                try:
                    yield self.gate
                finally:
                    gate = self.gate
                    stack.push_async_callback(self._check_closed, gate)
                    stack.push_async_callback(gate.close)  # closing again does nothing

    async def _check_closed(self, gate: Gateway) -> None:
        """(d) A closed gateway holds no slot."""
        for name, queue in gate._context.create_queues.items():
            if queue.running or queue.waiting:
                self.find(f"(d) {name}: {queue.running} slots taken, {queue.waiting} waiting")

    async def request(self, prompt: str, **more: Any) -> CallerAnswer:
        """Make a create call and record what its caller gets."""
        answer = CallerAnswer(prompt)
        self.answers.append(answer)
        options = {key: more.pop(key) for key in ("wait_s", "idempotency") if key in more}
        try:
            wanted = self.gate.read({"model": MODEL, "prompt": prompt, **more})
            answer.job = await self.gate.submit(wanted, **options)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - whatever is raised is the answer
            answer.error = exc
        return answer

    def call_back_later(self, after_s: float) -> None:
        """Let the vendors call back about every song after a while."""

        async def call() -> None:
            await asyncio.sleep(after_s)
            for task in list(self.vendors.tasks.values()):
                await self.call_back(task)

        self.background.append(asyncio.create_task(call()))

    async def call_back(self, task: Task) -> None:
        """Send one callback; a vendor repeats it a few times when it fails."""
        if not task.callback:
            return
        job_id, token = task.callback.rsplit("/", 2)[1:]
        for _ in range(3):
            try:
                await self.gate.callback(job_id, token, {}, b'{"id": "%s"}' % task.id.encode())
            except JobNotFoundError:
                return
            except (Exception, asyncio.CancelledError):  # noqa: BLE001 - the vendor sees a 500
                await asyncio.sleep(15)
            else:
                return

    async def attempt(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make another call of a caller; its result or its error."""
        try:
            return await call()
        except (MusicgateError, TypeError, MemoryError, asyncio.CancelledError, TimeoutError) as exc:
            return exc

    async def stop(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Cancel a job; the answer is checked at the end."""
        self.is_stopped = True
        job = await self.attempt(call)
        if isinstance(job, Job):
            self.answers.append(CallerAnswer(job.request.prompt or "", job))

    async def rest(self, seconds: float) -> None:
        """Let time pass, and check at quiet moments that every open job has its owner."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_QUIET_STEP_S)
            if not await self.check_owners() and not self.is_busy:
                return

    @property
    def is_busy(self) -> bool:
        """True while a call hangs or a vendor is still to call back."""
        return bool(self.gate.open_jobs or any(not task.done() for task in self.background))

    async def check_owners(self) -> int:
        """Check that each open job has one owner (a) and one reservation (d); the number of open jobs."""
        stored = {job.id for job in await self.store.open_jobs("", 1_000)}
        in_flight, scheduler = self.gate._runner.owners.in_flight, self.gate._runner.owners.scheduler
        if orphans := [job_id for job_id in stored if job_id not in in_flight and job_id not in scheduler]:
            self.find(f"(a) {len(orphans)} of {len(stored)} open jobs without an owner")
        if [job_id for job_id in stored if job_id in in_flight and job_id in scheduler]:
            self.find("(a) a job with two owners")
        reserved = set(quota_of(self.gate._context)._open)
        if not in_flight._calls and not self._has_steps and reserved != stored:
            self.find(f"(d) {len(reserved)} reservations for {len(stored)} open jobs")
        return len(stored)

    @property
    def _has_steps(self) -> bool:
        """True while a step runs, or one failed: the quota learns of the change only afterwards."""
        return any(
            entry.is_running or entry.errors for entry in self.gate._runner.owners.scheduler._entries.values()
        )

    def find(self, text: str) -> None:
        """Record a finding once."""
        if text not in self.findings:
            self.findings.append(text)

    async def check_end(self) -> None:
        """Check the invariants (a), (b) and (c) when everything has ended."""
        self.injector.is_on = False
        store = self.gate._context.store
        for job in await store.open_jobs("", 1_000):
            attempt = job.attempt.outcome.value if job.attempt else None
            self.find(f"(a) open after its deadline: {job.state.value}, {attempt}")
        for prompt, count in self.vendors.creates.items():
            await self._check_paid(prompt, count)
        for answer in self.answers:
            await self._check_answer(answer)
        quota = quota_of(self.gate._context)
        if quota.open_jobs:
            self.find(f"(d) {quota.open_jobs} reservations left")

    async def _check_paid(self, prompt: str, count: int) -> None:
        if count > 1:
            self.find(f"(b) {count} songs paid for one request")
        jobs = await self._of_prompt(prompt)
        if self.deleted:
            return
        if any(attempt.outcome is AttemptOutcome.PLANNED for job in jobs for attempt in job.attempts[:-1]):
            self.find("(b) an attempt that was planned twice")
        if not any(attempt.outcome in _MAYBE_TAKEN for job in jobs for attempt in job.attempts):
            self.find("(b) a song paid that the store does not know")
        is_expected = self.is_only_the_disk and not (self.vendors.loses or self.is_stopped)
        if is_expected and not any(job.state is JobState.COMPLETED for job in jobs):
            self.find("(e) a paid song lost although only our disk failed, and only once")

    async def _of_prompt(self, prompt: str) -> list[Job]:
        jobs = await self.gate._context.store.list_jobs(None, JobQuery(limit=100))
        return [job for job in jobs if job.request.prompt == prompt]

    async def _check_answer(self, answer: CallerAnswer) -> None:
        stored = {job.id: job for job in await self._of_prompt(answer.prompt)}
        if answer.job is not None:
            newest, state = stored.get(answer.job.id), answer.job.state
            if newest is None and answer.job.id not in self.deleted:
                self.find("(c) answered with a job that is not stored")
            if newest is not None and state.is_final and newest.state is not state:
                self.find(f"(c) answered {state.value}, stored {newest.state.value}")
            return
        of_others = {other.job.id for other in self.answers if other.job is not None}
        uncertain = getattr(answer.error, "maybe_stored", False) or isinstance(
            answer.error, asyncio.CancelledError
        )
        if set(stored) - of_others and not uncertain:
            self.find(f"(c) answered with {type(answer.error).__name__} although the job is stored")

    def check_left(self, loop: VirtualLoop) -> None:
        """Check invariant (d) after the last gateway was closed."""
        staged = [
            path for kind in (".staging", ".incoming") for path in (self.folder / "audio" / kind).glob("*")
        ]
        if staged:
            self.find(f"(d) {len(staged)} staged files left")
        if self.vendors.open_calls:
            self.find(f"(d) {self.vendors.open_calls} vendor calls left open")
        tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        if tasks:
            self.find(f"(d) tasks left: {', '.join(sorted(task.get_name() for task in tasks))}")


_MAYBE_TAKEN = frozenset({AttemptOutcome.SENT, AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN})


@attrs.frozen(eq=False)
class Scenario:
    """What callers do, and with which vendors.

    Attributes:
        act: makes the calls of the callers.
        vendors: declarations of the plugins, by name.
        blocking: create calls last as long as the song and return its audio.
        may_lose: the scenario loses songs even without a fault, so invariant (e) does not apply.
    """

    name: str
    act: Callable[[ScenarioRun], Awaitable[None]]
    vendors: dict[str, dict[str, Any]]
    blocking: bool = False
    public_url: str = ""
    may_lose: bool = False
    deadline_s: float = DEADLINE_S


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def run_scenario(
    scenario: Scenario, folder: Path, template: Path, *faults: Fault
) -> tuple[list[str], list[str]]:
    """Run a scenario with these faults.

    Returns:
        The findings, and the labels of all calls.
    """
    folder.mkdir()
    shutil.copy(template, folder / "jobs.db")
    injector = Injector(*faults)
    run = ScenarioRun(
        folder,
        injector,
        Vendors(scenario.blocking),
        plugins_of(scenario),
        scenario.public_url,
        scenario.deadline_s,
    )
    run.is_only_the_disk = not scenario.may_lose and all(fault.kind is Kind.STORAGE for fault in faults)
    loop = VirtualLoop()
    files = _open_files()

    async def whole() -> None:
        try:
            await scenario.act(run)
            for task in run.background:
                await task
            async with run.gateway():  # whatever is still open is recovered, and ends
                await run.rest(DEADLINE_S + MARGIN_S + ARCHIVE_S)
                await run.check_end()
        finally:
            for task in run.background:
                task.cancel()
            await asyncio.gather(*run.background, return_exceptions=True)
        await asyncio.sleep(0)
        run.check_left(loop)

    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(whole())
    except NothingLeftToDoError as exc:
        run.find(f"(a) hangs: {exc}")
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - a finding like any other
        run.find(f"raised {type(exc).__name__}: {exc}")
    if run.is_only_the_disk and not all(
        label.startswith(("store.", "assets.")) for label in injector.raised_at
    ):
        run.findings = [text for text in run.findings if not text.startswith("(e)")]
    for complaint in loop.complaints:
        run.find(f"(d) error without a handler: {complaint}")
    leaked = _open_files() - files
    if leaked > 0:
        run.find(f"(d) {leaked} files left open")
    shutil.rmtree(folder)
    return run.findings, injector.calls
