"""The audit log, the drain and the reports of a gateway, without a socket."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from musicgate import RequestError
from musicgate.gateway import operation_of
from musicgate.gateway.audit import Audit
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.gateway.sweep import Sweeper
from musicgate.metrics import Histograms
from musicgate.model import AuditEntry
from musicgate.settings import AuditSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, START, FakeVendor, Rig, rig_of

ON = AuditSettings(enabled=True, keep_days=3)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore(), audit=ON) as rig:
        yield rig


async def noted(rig: Rig) -> list[tuple[str, str]]:
    return [(entry.action, entry.key_id) for _, entry in await rig.store.audit_log.entries(0, 99)]


async def test_calls_are_noted_with_the_key_of_their_caller(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    request = rig.gate.read({"model": MODEL, "prompt": "jazz"})
    job = await rig.gate.submit(request, key_id="k1")
    await rig.gate.cancel(job.id, key_id="k2", request_id="G-2")
    await rig.gate.cancel(job.id, key_id="k3")  # it is cancelled already
    await rig.gate.delete(job.id, key_id="k4")
    key = IdempotencyKey(route="r", key="k", fingerprint="f")
    for key_id in ("k5", "k6"):
        await rig.gate.submit(request, key_id=key_id, idempotency=key)
    assert await noted(rig) == [
        *(("job.created", "k1"), ("job.cancelled", "k2"), ("job.deleted", "k4"), ("job.created", "k5")),
    ]


async def test_downloads_are_written_once_the_store_works_again(rig: Rig) -> None:
    job = await rig.submit()
    audit = rig.context.audit
    audit.downloaded(job, 1, key_id="k1", request_id="G-1")
    rig.store.trouble = "disk full"
    await audit.flush()
    rig.store.trouble = None
    audit.downloaded(job, 2, key_id="k2", request_id="G-2")
    await audit.flush()
    await audit.flush()
    assert (await noted(rig))[1:] == [("audio.downloaded", "k1"), ("audio.downloaded", "k2")]


async def test_gathered_entries_are_bounded_and_losses_are_logged(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("musicgate.gateway.audit._MOST_GATHERED", 2)
    for number in range(5):
        rig.context.audit.note(f"a{number}", "local")
    await rig.context.audit.flush()
    assert [action for action, _ in await noted(rig)] == ["a0", "a1"]
    assert "audit entries lost: entries=3" in caplog.text


@pytest.mark.parametrize("settings", [AuditSettings(), AuditSettings(enabled=True, downloads=False)])
async def test_what_is_switched_off_is_not_noted(rig: Rig, settings: AuditSettings) -> None:
    job = await rig.submit()
    before = await noted(rig)
    audit = Audit(rig.store.audit_log, rig.clock, settings)
    audit.downloaded(job, 0, key_id="k1", request_id="G-1")
    await audit.flush()
    assert await noted(rig) == before
    assert (audit.entry("x", "local") is None) is not settings.enabled


async def test_old_audit_entries_are_swept(rig: Rig) -> None:
    ages = (9, 4, 2)
    entries = [AuditEntry(START - timedelta(days=age), f"{age}", "local", "") for age in ages]
    await rig.store.audit_log.add(*entries)
    forever = attrs.evolve(rig.context.settings, audit=attrs.evolve(ON, keep_days=0))
    await Sweeper(attrs.evolve(rig.context, settings=forever)).sweep()
    assert len(await noted(rig)) == 3
    await Sweeper(rig.context).sweep()
    assert await noted(rig) == [("2", "")]


async def test_drain_refuses_what_is_new_only(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    request = rig.gate.read({"model": MODEL, "prompt": "jazz"})
    key = IdempotencyKey(route="r", key="k", fingerprint="f")
    job = await rig.gate.submit(request, idempotency=key)
    operation = operation_of(rig.gate)
    operation.begin_drain()
    rig.clock.pass_s(5)
    operation.begin_drain()
    assert (operation.drain().since, operation.drain().scheduled) == (START, 1)
    with pytest.raises(RequestError) as caught:
        await rig.gate.submit(request)
    assert (caught.value.http_status, caught.value.reason) == (503, "draining")
    assert (await rig.gate.submit(request, idempotency=key)).id == job.id
    operation.end_drain()
    assert (await rig.gate.submit(request)).native_id == "n-2"


async def test_latency_is_summed_over_outcomes_by_step(rig: Rig) -> None:
    calls: Histograms = rig.context.figures.vendor_calls
    for outcome, seconds in (("2xx", 0.02), ("2xx", 0.02), ("5xx", 2.0), ("no_answer", 500.0)):
        calls.observe(("one", "poll", outcome), seconds)
    (report,) = await operation_of(rig.gate).providers(rig.gate.providers())
    latency = report.latency["poll"]
    assert latency.calls == 4
    assert latency.mean_s == pytest.approx(125.51)
    assert (latency.p50_s, latency.p95_s) == (0.025, float("inf"))
