"""Background tasks: a failure is logged once and counted, and a service is restarted."""

import asyncio

import pytest

from musicgate.engine.supervisor import StrayCancellationError, Supervisor, no_stray_cancellation
from tests.waiting import until


@pytest.mark.parametrize(
    "failure", [RuntimeError("broke"), MemoryError(), asyncio.CancelledError(), None], ids=repr
)
async def test_service_that_ends_is_restarted_logged_and_counted(
    failure: BaseException | None, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor, starts = Supervisor(restart_s=(0.02,)), 0

    async def serve() -> None:
        nonlocal starts
        starts += 1
        if starts > 1:
            await asyncio.Event().wait()
        if failure is not None:
            raise failure

    supervisor.start("courier", serve)
    assert supervisor.is_well
    await until(lambda: not supervisor.is_well)
    report = supervisor.services["courier"]
    assert (report.is_running, report.restarts) == (False, 1)
    await until(lambda: starts == 2)
    assert supervisor.is_well
    assert len([record for record in caplog.records if "courier" in record.message]) == 1
    await supervisor.stop_services()


async def test_pause_before_a_restart_grows() -> None:
    supervisor, starts = Supervisor(restart_s=(0.0, 0.01, 60.0)), 0

    async def serve() -> None:
        nonlocal starts
        starts += 1
        raise RuntimeError

    supervisor.start("sweeper", serve)
    await until(lambda: starts == 3)
    await asyncio.sleep(0.03)
    assert (starts, supervisor.services["sweeper"].restarts) == (3, 3)
    await supervisor.stop_services()


async def test_stopped_service_has_ended_and_is_not_restarted() -> None:
    supervisor, has_let_go = Supervisor(restart_s=(0.0,)), False

    async def serve() -> None:
        nonlocal has_let_go
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            has_let_go = True

    supervisor.start("scheduler", serve)
    await asyncio.sleep(0)
    await supervisor.stop_services()
    assert has_let_go


async def test_failure_of_a_one_off_is_logged_and_counted_without_an_awaiting_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor = Supervisor()

    async def work() -> None:
        raise RuntimeError("broke")

    supervisor.spawn("create music_1", work())
    await until(lambda: supervisor.failures)
    assert supervisor.failures == {"create": 1}
    assert "background task failed: task=create music_1" in caplog.text


async def test_end_of_a_one_off_is_told_although_it_never_began() -> None:
    supervisor, ended = Supervisor(), list[bool]()

    async def work() -> None:
        raise AssertionError("it was cancelled before")

    supervisor.spawn("create music_1", work(), lambda task: ended.append(task.cancelled())).cancel()
    await until(lambda: ended)
    assert ended == [True]
    assert not supervisor.failures


async def test_one_offs_get_some_time_and_are_stopped_then() -> None:
    supervisor, ends = Supervisor(), list[str]()

    async def work(name: str, lasts_s: float) -> None:
        try:
            await asyncio.sleep(lasts_s)
            ends.append(f"{name} done")
        except asyncio.CancelledError:
            ends.append(f"{name} stopped")
            raise

    supervisor.spawn("quick", work("quick", 0.005))
    supervisor.spawn("slow", work("slow", 60))
    await supervisor.finish(0.05)
    assert ends == ["quick done", "slow stopped"]


async def test_cancellation_of_the_task_passes() -> None:
    async def work() -> None:
        with no_stray_cancellation():
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_other_errors_pass_through_blocks_within_each_other() -> None:
    def fail() -> None:
        with no_stray_cancellation():
            with pytest.raises(StrayCancellationError), no_stray_cancellation():
                raise asyncio.CancelledError
            raise KeyError

    with pytest.raises(KeyError):
        fail()


async def test_stray_cancellation_is_an_error() -> None:
    with pytest.raises(StrayCancellationError), no_stray_cancellation():
        raise asyncio.CancelledError
