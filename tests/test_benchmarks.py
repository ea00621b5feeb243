"""The benchmarks' own code: the wire, the figures, the tables, and the page with the recorded run."""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import gc
import json
import sys
from array import array
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import attrs
import pytest

import benchmarks.__main__ as command
from benchmarks import growth, profiling, results, start, tables
from benchmarks.bench import Bench
from benchmarks.gateway import settings_text
from benchmarks.load import AnswerReader, Latencies, ask, request_bytes, run_load
from benchmarks.measurements import CHECKED, MEASUREMENTS, USUAL
from benchmarks.polls import lateness
from benchmarks.readers import Readers
from benchmarks.vendor import CREATE, POLL, PollGaps, Stage, Vendor, VendorConnection
from musicgate.model import JobQuery, JobState
from musicgate.settings import load_settings
from musicgate.store.sqlite import SqliteJobStore
from tests.job_samples import make_event
from tests.sample_jobs import at, job

#: A run in which only create was measured: 64 connections, a third of the limit.
RUN: dict[str, Any] = {
    "at": "2026-11-20T10:00:00+00:00",
    "revision": "abc",
    "quick": False,
    "machine": {"cores": 2, "processor": "X", "memory_mb": 1000, "system": "Linux", "python": "3.11.7"},
    "versions": {"aiohttp": "3.14.5"},
    "measurements": {"create": {"64": {"musicgate": {"ratio": 0.33}}}},
}


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.written += b"ABORTED"

    @property
    def transport(self) -> asyncio.Transport:
        return cast("asyncio.Transport", self)


class Seen(AnswerReader):
    """Keeps what it reads."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[int, bytes]] = []
        self.failures: list[str] = []

    def received(self, status: int, body: bytes) -> None:
        self.answers.append((status, body))

    def failed(self, why: str) -> None:
        self.failures.append(why)


def with_ratio(ratio: float) -> dict[str, Any]:
    """The run with another ratio of creates."""
    return {**RUN, "measurements": {"create": {"64": {"musicgate": {"ratio": ratio}}}}}


# ------------------------------------------------------------------------------------------- the two ends


def test_answer_is_read_wherever_the_stream_is_cut() -> None:
    wire = b"HTTP/1.1 201 Created\r\nX: y\r\ncontent-LENGTH: 5\r\n\r\nhello"
    for cut in range(1, len(wire)):
        reader = Seen()
        reader.connection_made(Wire().transport)
        reader.data_received(wire[:cut])
        reader.data_received(wire[cut:])
        assert (reader.answers, reader.failures) == ([(201, b"hello")], []), cut


def test_answer_without_length_is_a_failure_unless_it_has_no_body() -> None:
    reader, wire = Seen(), Wire()
    reader.connection_made(wire.transport)
    reader.data_received(b"HTTP/1.1 204 No Content\r\nA: b\r\n\r\n")
    reader.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    assert reader.answers == [(204, b"")]
    assert reader.failures == ["HTTP 200 without Content-Length"]
    assert wire.written == b"ABORTED"


def test_vendor_answers_each_request_wherever_the_stream_is_cut() -> None:
    requests = request_bytes("POST", CREATE.decode(), body=b'{"callBackUrl": "http://x/y"}')
    requests += request_bytes("GET", "/nowhere")
    for cut in range(1, len(requests)):
        vendor, wire = Vendor(1), Wire()
        connection = VendorConnection(vendor)
        connection.connection_made(wire.transport)
        connection.data_received(requests[:cut])
        connection.data_received(requests[cut:])
        assert wire.written.count(b"HTTP/1.1 200 OK") == 1, cut
        assert wire.written.count(b"HTTP/1.1 404 Not Found") == 1, cut
        assert vendor.calls == {"create": 1, "unknown": 1}, cut


async def test_load_sends_each_request_once_and_counts_the_answers() -> None:
    async with Vendor.serving() as vendor:
        requests = [request_bytes("POST", CREATE.decode(), body=b"{}")]
        seen = await run_load(vendor.port, requests, connections=3, count=20, keep_bodies=True)
    assert (seen.answers, seen.sent, seen.errors, vendor.calls["create"]) == (20, 20, 0, 20)
    assert len({json.loads(body)["data"]["taskId"] for body in seen.bodies}) == 20
    assert len(seen.latencies.sorted_s) == 20


async def test_load_counts_an_error_and_tells_the_first() -> None:
    async with Vendor.serving() as vendor:
        seen = await run_load(vendor.port, [request_bytes("GET", "/nowhere")], connections=1, count=2)
    assert (seen.answers, seen.sent, seen.errors) == (0, 2, 2)
    assert seen.first_error.startswith("HTTP 404")


async def test_load_ends_by_the_clock_with_nothing_in_flight() -> None:
    async with Vendor.serving() as vendor:
        requests = [request_bytes("POST", CREATE.decode(), body=b"{}")]
        seen = await run_load(vendor.port, requests, connections=4, seconds=0.05)
        assert seen.sent == vendor.calls["create"] > 0


async def test_connection_that_breaks_is_an_error_and_does_not_hang_the_load() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    seen = await run_load(port, [request_bytes("GET", "/")], connections=2, count=5)
    server.close()
    assert seen.errors == 2
    assert seen.answers == 0


def test_quantiles_are_in_milliseconds() -> None:
    latencies = Latencies(sorted_s=[number / 1000 for number in range(100)])
    assert (latencies.quantile_ms(0.5), latencies.quantile_ms(0.99)) == (50.0, 99.0)
    assert Latencies(sorted_s=[]).quantile_ms(0.5) == 0.0


async def test_vendor_shows_the_stage_of_a_task() -> None:
    async with Vendor.serving() as vendor:
        created = await ask(vendor.port, request_bytes("POST", CREATE.decode(), body=b"{}"))
        path = POLL.decode() + created.json()["data"]["taskId"]
        stages = []
        for vendor.stage in Stage:
            record = (await ask(vendor.port, request_bytes("GET", path))).json()["data"]
            tracks = record["response"]["sunoData"] if record["response"] else []
            stages.append((record["status"], [bool(track["audioUrl"]) for track in tracks]))
    assert stages == [
        ("PENDING", []),
        ("FIRST_SUCCESS", [False]),
        ("SUCCESS", [True, True]),
        ("SENSITIVE_WORD_ERROR", []),
    ]


async def test_readers_count_an_event_in_two_pieces_once() -> None:
    async def stream(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (
            b"HTTP/1.1 200 OK\r\n\r\nid: 1\neve",
            b"nt: created\ndata: {}\n\n: still here\n\nid: 2\nevent: state\n",
        ):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", 0)
    async with Readers.reading(server.sockets[0].getsockname()[1], [b"GET", b"GET"]) as readers:
        await readers.received(4)
        await asyncio.sleep(0.02)
        assert readers.events == 4
    server.close()


async def test_refused_stream_ends_the_measurement() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with Readers.reading(server.sockets[0].getsockname()[1], [b"GET"]) as readers:
        with pytest.raises(ConnectionError, match="429"):
            await readers.received(1)
    server.close()


# ------------------------------------------------------------------------------------------- measurements


def test_lateness_is_the_gap_beyond_the_schedule_at_that_age() -> None:
    # First poll after 5 s; younger than the first interval by the vendor's clock; at 0.15 of its age.
    gaps = PollGaps(array("d", [0.0, 4.98, 40.0]), array("d", [5.1, 5.2, 6.3]))
    assert [round(late, 6) for late in lateness(gaps).sorted_s] == [0.1, 0.2, 0.3]


def test_settings_of_the_measured_gateway_are_valid(tmp_path: Path) -> None:
    file = tmp_path / "musicgate.toml"
    text = settings_text(
        8080, tmp_path, "http://127.0.0.1:1", ["one", "two"], speed=2, webhook_url="http://127.0.0.1:2/hook"
    )
    file.write_text(text, "utf-8")
    settings = load_settings(file, environ={})
    assert [account.key.reveal() for account in settings.accounts if account.key] == ["one", "two"]
    assert settings.follow.speed == 2
    assert settings.providers["suno_kie"]["create_window_calls"] == 0


async def test_bulk_made_jobs_are_read_by_the_store_like_any_other(tmp_path: Path) -> None:
    database = tmp_path / "musicgate.db"
    template = job(JobState.COMPLETED, completed_at=at(60))
    async with SqliteJobStore.open(database):
        pass
    sample = growth.fill(database, template, [make_event("first"), make_event("second")], 30)
    assert len(sample) == 30
    async with SqliteJobStore.open(database) as store:
        listed = await store.list_jobs("local", JobQuery(limit=100))
        assert [found.id for found in listed] == [found.id for found in reversed(sample)]
        assert [found.state for found in listed] == [JobState.COMPLETED] * 29 + [JobState.FAILED]
        assert await store.get(sample[7].id) == sample[7]
        assert [number for number, _ in await store.events(sample[7].id)] == [1, 2]
        assert await store.count_open() == 0


def test_copies_end_before_their_template_the_oldest_first() -> None:
    template = job(JobState.COMPLETED, completed_at=at(60))
    ages = [template.created_at - growth.copy_of(template, number, 3).created_at for number in range(3)]
    assert ages == [timedelta(seconds=6), timedelta(seconds=4), timedelta(seconds=2)]


def test_size_counts_dependencies_of_dependencies_and_no_tools() -> None:
    names = {name for name, _ in start.installed_closure(["aiohttp>=3"])}
    assert {"aiohttp", "yarl", "multidict"} <= names
    assert "pytest" not in names


def test_commands_measure_what_exists() -> None:
    assert set(USUAL) | set(CHECKED) <= set(MEASUREMENTS)


# ------------------------------------------------------------------------------------------- the profile


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("/src/musicgate/store/sqlite.py", "musicgate.store"),
        ("/src/musicgate/errors.py", "musicgate.errors"),
        ("/musicgate/src/musicgate/views/job.py", "musicgate.views"),
        ("/x/plugins/suno_kie/src/musicgate_suno_kie/read.py", "plugin suno_kie"),
        ("/v/lib/python3.11/site-packages/aiohttp/client.py", "aiohttp"),
        ("/v/lib/python3.11/site-packages/uvloop/loop.cpython-311-x86_64-linux-gnu.so", "asyncio, uvloop"),
        ("/usr/lib/x86_64-linux-gnu/libsqlite3.so.0.8.6", "sqlite3"),
        ("/usr/lib/python3.11/asyncio/events.py", "asyncio, uvloop"),
        ("/usr/lib/python3.11/heapq.py", "stdlib"),
        ("/usr/lib/libc.so.6", ""),
    ],
)
def test_part_of_a_function(file: str, part: str) -> None:
    assert profiling.part_of(profiling.Frame(function="f", file=file)) == part


def test_samples_are_weighed_by_the_cpu_time_of_their_thread() -> None:
    lines = [
        "thread (7): MainThread;run (/p/musicgate/gateway/runner.py);dump (/p/musicgate/codec/json.py) 30",
        "thread (7): MainThread;run (/p/musicgate/gateway/runner.py);write (/usr/lib/libc.so.6) 10",
        "thread (8): writer;_commit (/p/musicgate/store/group_commit.py:12) 400",
        "thread (9): pool;_worker (/usr/lib/python3.11/concurrent/futures/thread.py:81) 400",
    ]
    found = profiling.read_stacks(lines, {7: 4.0, 8: 1.0, 9: 0.0})
    assert found.threads == {"MainThread": 4.0, "writer": 1.0}
    # C code without a part of its own is the work of its caller.
    assert found.parts == {"musicgate.codec": 3.0, "musicgate.gateway": 1.0, "musicgate.store": 1.0}
    assert found.with_callees["run  musicgate/gateway/runner.py"] == 4.0


def test_cprofile_counts_built_in_functions_as_work_of_their_callers(tmp_path: Path) -> None:
    profiler, file = cProfile.Profile(), tmp_path / "stats"
    gc.disable()  # a collection calls back: Hypothesis counts them
    try:
        profiler.runcall(json.dumps, list(range(1000)), indent=1)
    finally:
        gc.enable()
    profiler.dump_stats(file)
    found = profiling.read_pstats(file)
    assert set(found.parts) == {"stdlib json"}


# ------------------------------------------------------------------------------------------- the results


def test_ratio_a_third_below_the_recorded_one_is_a_regression() -> None:
    recorded = with_ratio(0.3)
    assert results.regressions(recorded, with_ratio(0.201)) == []
    assert results.regressions(recorded, with_ratio(0.199)) == [
        "create, connections: 64, to the limit: 0.199, recorded 0.300"
    ]
    assert results.regressions(recorded, {**RUN, "measurements": {}}) == [
        "create, connections: 64, to the limit: not measured, recorded 0.300"
    ]


@pytest.mark.parametrize(("ratio", "code"), [(0.30, 0), (0.05, 1)])
def test_check_fails_and_names_the_figure(
    ratio: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RECORDED", results.write(with_ratio(0.33), tmp_path / "recorded.json"))
    file = results.write(with_ratio(ratio), tmp_path / "run.json")
    monkeypatch.setattr(sys, "argv", ["benchmarks", "check", "--result", str(file)])
    if not code:
        command.main()
        return
    with pytest.raises(SystemExit, match=r"create, connections: 64, to the limit: 0\.050") as stopped:
        command.main()
    assert stopped.value.code != 0


def test_file_of_results_is_named_by_time_and_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    file = results.write(RUN)
    assert file.name == "20261120T100000Z-abc.json"
    assert results.read(file) == RUN


def test_a_kept_file_is_recorded_and_of_it_only_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[dict[str, Any]] = []
    monkeypatch.setattr(tables, "write_page", pages.append)
    monkeypatch.setattr(
        results, "RECORDED", results.write({**RUN, "measurements": {}}, tmp_path / "now.json")
    )
    more = {
        **RUN,
        "revision": "def",
        "quick": True,
        "measurements": {**RUN["measurements"], "get": {"1": {}}},
    }
    words = ["record", "--result", str(results.write(more, tmp_path / "run.json"))]
    again = {"create": {"at": RUN["at"], "revision": "def", "quick": True}}
    for names, recorded in ((["create"], {**RUN, "again": again}), ([], more)):
        monkeypatch.setattr(sys, "argv", ["benchmarks", *words, *names])
        command.main()
        assert results.read(results.RECORDED) == recorded == pages.pop(), names
        said = "| create, measured again | 2026-11-20, revision def, **short run**"
        assert (said in tables.page({**recorded, "measurements": {}})) is bool(names)


def test_measurements_of_two_machines_are_not_mixed() -> None:
    with pytest.raises(SystemExit, match="another machine"):
        results.renewed({**RUN, "machine": {"cores": 64}}, RUN, ["create"])


def test_what_was_measured_before_a_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def measured(_: object) -> dict[str, object]:
        """Measure."""
        return {}

    async def broken(_: object) -> dict[str, object]:
        """Measure in vain."""
        raise OSError("no space left")

    monkeypatch.setattr(results, "UNFINISHED", tmp_path / "unfinished.json")
    monkeypatch.setattr(results, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(command, "MEASUREMENTS", {"get": measured, "create": broken})
    monkeypatch.setattr(command, "_with_bench", lambda run, _: asyncio.run(run(cast("Bench", _Bench()))))
    for names, kept in ((["get", "create"], {"get": {}}), (["get"], None)):
        monkeypatch.setattr(sys, "argv", ["benchmarks", "run", *names])
        with contextlib.suppress(OSError):
            command.main()
        assert (results.read(results.UNFINISHED)["measurements"] if kept else None) == kept
    assert not results.UNFINISHED.exists()


class _Bench:
    """As much of a benchmark as the command line uses."""

    vendor = Vendor(0)

    def say(self, text: str) -> None:
        """Say nothing."""


def test_every_ratio_of_the_recorded_run_is_checked() -> None:
    recorded = results.read(results.RECORDED)
    names = {name.partition(",")[0] for name in results.ratios(recorded)}
    assert names == {"create", "get", "polls"}
    assert set(CHECKED) <= set(recorded["measurements"])


def test_recorded_run_has_every_measurement() -> None:
    assert set(results.read(results.RECORDED)["measurements"]) == set(MEASUREMENTS)


def test_page_shows_the_recorded_run() -> None:
    text = tables.PAGE.read_text("utf-8")
    assert tables.filled(text, results.read(results.RECORDED)) == text, "run `make bench-record`"
    shown = set(tables.shown_blocks(text))
    assert shown == set(tables.blocks(results.read(results.RECORDED)))


def test_page_gets_the_tables_of_another_run() -> None:
    page = "above\n<!-- bench:machine -->\nold\n<!-- /bench -->\nbelow"
    filled = tables.filled(page, {**RUN, "measurements": {}})
    assert filled.startswith("above\n<!-- bench:machine -->\n")
    assert "old" not in filled
    assert "2 cores of X, 1,000 MB" in filled
    assert filled.endswith("<!-- /bench -->\nbelow")


def test_names_alone_mean_run() -> None:
    parsed = command.parse(["growth", "curve", "--quick"])
    assert (parsed.names, parsed.quick, parsed.jobs) == (["growth", "curve"], True, 20_000)
    assert command.parse([]).names == []
    with pytest.raises(SystemExit):
        command.parse(["nothing"])


def test_figures_of_a_round_become_medians() -> None:
    from benchmarks.compare import Figures, median

    one = Figures(
        rate=10,
        rate_min=10,
        rate_max=10,
        ratio=0.5,
        p50_ms=1,
        p99_ms=2,
        cpu_share=1,
        load_cpu_share=0,
        rss_mb=5,
    )
    found = median([one, attrs.evolve(one, rate=30, ratio=0.7), attrs.evolve(one, rate=20, ratio=0.6)])
    assert (found.rate, found.rate_min, found.rate_max, found.ratio) == (20, 10, 30, 0.6)
