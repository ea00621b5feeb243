"""The stage of the plays: a real gateway on a real store and folder, its ports counted, its time virtual; and what must hold at the end.

What must hold, whatever was raised:

(a) every open job has exactly one owner, and is final by its deadline;
(b) at most one song is paid for one request;
(c) what the caller was told does not contradict the store;
(d) no slot, reservation, connection, file, task or staged audio is left.
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
from musicgate.assets.files import FileAssetStore
from musicgate.errors import JobNotFoundError, MusicgateError
from musicgate.gateway import Gateway, facade
from musicgate.hosting.discovery import PluginHost
from musicgate.model import AttemptOutcome, JobQuery
from musicgate.settings import FollowSettings, ServerSettings
from musicgate.store.sqlite import SqliteJobStore
from tests.fake_vendor import MODEL, START, ScriptedWebhooks, context_of, host_of, settings_for
from tests.faults.injection import Fault, Faulty, Injector, Kind
from tests.faults.studio import InjectedVendor, Studio, Task
from tests.virtual_loop import NothingLeftToDoError, VirtualLoop

DEADLINE_S = 600.0
#: Seconds after its deadline in which an open job must have ended: a last poll, and retries of a disk that failed once.
MARGIN_S = 120.0
#: A song that was delivered may be tried to be fetched for so long.
ARCHIVE_S = 700.0
#: Odd, so that it falls on no timer of the gateway: the moments in between are quiet.
_QUIET_STEP_S = 7.313

_STORE = frozenset(
    {
        *("add", "replace", "get", "find_native", "open_jobs", "list_jobs", "find_claim", "spent_usd_nanos"),
        *("delete", "events", "ping"),
    }
)
_TRANSPORT = frozenset({"send", "download"})
_CLOCK = frozenset({"now", "steady", "sleep"})
_ASSETS = frozenset({"keep", "fill", "local_path", "delete"})


class InjectedAssets(FileAssetStore):
    """The real folder, in which making a staged file may fail; that it cannot be removed is its own business, and raises nothing."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.folder / "audio")
        self._injector = stage.injector

    def stage(self, job_id: str, index: int) -> Any:
        """Make a staged file."""
        self._injector.sync("assets.stage")
        return super().stage(job_id, index)


class VirtualClock:
    """The loop's time as a clock: both the steady and the wall one."""

    def now(self) -> datetime:
        """Wall time."""
        return START + timedelta(seconds=asyncio.get_running_loop().time())

    def steady(self) -> datetime:
        """Steady time."""
        return self.now()

    async def sleep(self, delay_s: float) -> None:
        """Wait."""
        await asyncio.sleep(delay_s)


@attrs.define
class Told:
    """What one caller was told about its request."""

    prompt: str
    job: Job | None = None
    error: BaseException | None = None


#: The vendors of a script, and the plugin host that they are loaded into.
Plugins = tuple[tuple[InjectedVendor, ...], PluginHost]


@functools.cache
def plugins_of(script: Script) -> Plugins:
    """Loaded once for all plays of a script: loading costs more than a play."""
    declared = tuple(InjectedVendor(name, **more) for name, more in script.vendors.items())
    return declared, host_of(*declared)


@attrs.define
class Stage:
    """One play."""

    folder: Path
    injector: Injector
    studio: Studio
    vendors: Plugins
    public_url: str = ""
    deadline_s: float = DEADLINE_S
    gate: Gateway = attrs.field(init=False)
    store: SqliteJobStore = attrs.field(init=False)
    told: list[Told] = attrs.field(factory=list)
    deleted: set[str] = attrs.field(factory=set)
    background: list[asyncio.Task[Any]] = attrs.field(factory=list)
    findings: list[str] = attrs.field(factory=list)
    numbers: int = 0
    is_only_the_disk: bool = False
    is_stopped: bool = False

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Gateway]:
        """The gateway on what the last one left."""
        declared, host = self.vendors
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
        async def open_context(settings: Any, host: Any, changed: Any) -> AsyncIterator[Any]:
            async with SqliteJobStore.open(self.folder / "jobs.db") as store:
                self.store = store
                faulty: dict[str, Any] = {
                    "store": Faulty(store, "store", self.injector, _STORE, outside),
                    "transport": Faulty(self.studio, "transport", self.injector, _TRANSPORT),
                    "assets": Faulty(InjectedAssets(self), "assets", self.injector, _ASSETS),
                    "clock": Faulty(VirtualClock(), "clock", self.injector, _CLOCK),
                }
                context = context_of(settings, host, changed=changed, **faulty)

                def new_id(prefix: str) -> str:
                    self.numbers += 1
                    return f"{prefix}{self.numbers:05}"

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
                    except (
                        Exception,
                        asyncio.CancelledError,
                    ):  # told, and started again, as a service manager does
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

    async def request(self, prompt: str, **more: Any) -> Told:
        """Make a create call and note what its caller was told."""
        told = Told(prompt)
        self.told.append(told)
        options = {key: more.pop(key) for key in ("wait_s", "idempotency") if key in more}
        try:
            wanted = self.gate.read({"model": MODEL, "prompt": prompt, **more})
            told.job = await self.gate.submit(wanted, **options)
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - whatever is raised is what was told
            told.error = exc
        return told

    def call_back_later(self, after_s: float) -> None:
        """Let the vendors call back for every song once it is done."""

        async def call() -> None:
            await asyncio.sleep(after_s)
            for task in list(self.studio.tasks.values()):
                await self.call_back(task)

        self.background.append(asyncio.create_task(call()))

    async def call_back(self, task: Task) -> None:
        """One callback; a vendor whose call fails tries a few times more."""
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
        """Something that a caller does beside creating; its error is for the caller to see."""
        try:
            return await call()
        except (MusicgateError, TypeError, MemoryError, asyncio.CancelledError, TimeoutError) as exc:
            return exc

    async def stop(self, call: Callable[[], Awaitable[Any]]) -> None:
        """Cancel a job; what its caller is told must be so."""
        self.is_stopped = True
        told = await self.attempt(call)
        if isinstance(told, Job):
            self.told.append(Told(told.request.prompt or "", told))

    async def rest(self, seconds: float) -> None:
        """Let time pass; at each quiet moment every open job must have its owner."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_QUIET_STEP_S)
            if not await self.check_owners() and not self.is_busy:
                return

    @property
    def is_busy(self) -> bool:
        """Something is going on beside the open jobs: a call that hangs, a vendor that will call back."""
        return bool(self.gate.open_jobs or any(not task.done() for task in self.background))

    async def check_owners(self) -> int:
        """(a) Open jobs = jobs that someone owns, (d) = jobs that hold a reservation; their number."""
        stored = {job.id for job in await self.store.open_jobs("", 1_000)}
        in_flight, scheduler = self.gate._runner.in_flight, self.gate._runner.scheduler
        if orphans := [job_id for job_id in stored if job_id not in in_flight and job_id not in scheduler]:
            self.find(f"(a) {len(orphans)} of {len(stored)} open jobs without an owner")
        if [job_id for job_id in stored if job_id in in_flight and job_id in scheduler]:
            self.find("(a) a job with two owners")
        reserved = set(self.gate._context.quota._open)
        if not in_flight._calls and not self._has_steps and reserved != stored:
            self.find(f"(d) {len(reserved)} reservations for {len(stored)} open jobs")
        return len(stored)

    @property
    def _has_steps(self) -> bool:
        """A step runs, or one is due because the last one failed: what it will see is not yet in the books."""
        return any(
            entry.task is not None or entry.errors for entry in self.gate._runner.scheduler._entries.values()
        )

    def find(self, text: str) -> None:
        """Note what must not be."""
        if text not in self.findings:
            self.findings.append(text)

    async def check_end(self) -> None:
        """(a), (b), (c): every job final, no song twice, nothing told that is not so."""
        self.injector.is_on = False
        store = self.gate._context.store
        for job in await store.open_jobs("", 1_000):
            attempt = job.attempt.outcome.value if job.attempt else None
            self.find(f"(a) open after its deadline: {job.state.value}, {attempt}")
        for prompt, count in self.studio.creates.items():
            await self._check_paid(prompt, count)
        for told in self.told:
            await self._check_told(told)
        quota = self.gate._context.quota
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
        is_expected = self.is_only_the_disk and not (self.studio.loses or self.is_stopped)
        if is_expected and not any(job.state is JobState.COMPLETED for job in jobs):
            self.find("(e) a paid song lost although only our disk failed, and only once")

    async def _of_prompt(self, prompt: str) -> list[Job]:
        jobs = await self.gate._context.store.list_jobs(None, JobQuery(limit=100))
        return [job for job in jobs if job.request.prompt == prompt]

    async def _check_told(self, told: Told) -> None:
        stored = {job.id: job for job in await self._of_prompt(told.prompt)}
        if told.job is not None:
            newest = stored.get(told.job.id)
            if newest is None and told.job.id not in self.deleted:
                self.find("(c) told a job that is not stored")
            if newest is not None and told.job.state.is_final and newest.state is not told.job.state:
                self.find(f"(c) told {told.job.state.value}, stored {newest.state.value}")
            return
        of_others = {other.job.id for other in self.told if other.job is not None}
        uncertain = getattr(told.error, "maybe_stored", False) or isinstance(
            told.error, asyncio.CancelledError
        )
        if set(stored) - of_others and not uncertain:
            self.find(f"(c) told {type(told.error).__name__} although the job is stored")

    def check_left(self, loop: VirtualLoop) -> None:
        """(d) Nothing is left when the last gateway is closed."""
        staged = list((self.folder / "audio" / ".staging").glob("*"))
        if staged:
            self.find(f"(d) {len(staged)} staged files left")
        if self.studio.open_calls:
            self.find(f"(d) {self.studio.open_calls} vendor calls left open")
        tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
        if tasks:
            self.find(f"(d) tasks left: {', '.join(sorted(task.get_name() for task in tasks))}")


_MAYBE_TAKEN = frozenset({AttemptOutcome.SENT, AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN})

Life = Callable[[Stage], Awaitable[None]]


@attrs.frozen(eq=False)
class Script:
    """A life to play: what the caller does, and what the vendors are like."""

    name: str
    life: Life
    vendors: dict[str, dict[str, Any]]
    blocking: bool = False
    public_url: str = ""
    may_lose: bool = False
    deadline_s: float = DEADLINE_S


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def play(script: Script, folder: Path, template: Path, *faults: Fault) -> tuple[list[str], list[str]]:
    """Play a life with these faults.

    Returns:
        What was found, and the labels of all calls.
    """
    folder.mkdir()
    shutil.copy(template, folder / "jobs.db")
    injector = Injector(*faults)
    studio = Studio(script.blocking)
    stage = Stage(folder, injector, studio, plugins_of(script), script.public_url, script.deadline_s)
    stage.is_only_the_disk = not script.may_lose and all(fault.kind is Kind.STORAGE for fault in faults)
    loop = VirtualLoop()
    files = _open_files()

    async def whole() -> None:
        try:
            await script.life(stage)
            for task in stage.background:
                await task
            async with stage.opened():  # whatever is still open is recovered, and ends
                await stage.rest(DEADLINE_S + MARGIN_S + ARCHIVE_S)
                await stage.check_end()
        finally:
            for task in stage.background:
                task.cancel()
            await asyncio.gather(*stage.background, return_exceptions=True)
        await asyncio.sleep(0)
        stage.check_left(loop)

    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(whole())
    except NothingLeftToDoError as exc:
        stage.find(f"(a) hangs: {exc}")
    except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - a finding like any other
        stage.find(f"raised {type(exc).__name__}: {exc}")
    if stage.is_only_the_disk and not all(
        label.startswith(("store.", "assets.")) for label in injector.happened
    ):
        stage.findings = [text for text in stage.findings if not text.startswith("(e)")]
    for complaint in loop.complaints:
        stage.find(f"(d) nobody heard of: {complaint}")
    leaked = _open_files() - files
    if leaked > 0:
        stage.find(f"(d) {leaked} files left open")
    shutil.rmtree(folder)
    return stage.findings, injector.calls
