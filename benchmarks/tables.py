"""Tables of a file of results in Markdown, for a terminal and for docs/performance.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks import scale
from benchmarks.results import Json
from benchmarks.vendor import TRACKS_S
from docs.markdown import table

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "performance.md"
_BLOCK: Final = re.compile(r"<!-- bench:(\w+) -->\n.*?<!-- /bench -->", re.DOTALL)
#: How often a vendor is polled about a song of typical length: every 5 s of 45 s.
_POLLS_PER_SONG: Final = 9
#: Seconds of the two tracks of such a song together.
_LONG_SONG_S: Final = 360.0


def page(found: Json) -> str:
    """Every block of a run, under its name."""
    return "\n\n".join(f"### {name}\n\n{block}" for name, block in blocks(found).items())


def write_page(found: Json, file: Path = PAGE) -> None:
    """Write the blocks of a run between the marks of the page."""
    file.write_text(filled(file.read_text("utf-8"), found), "utf-8")


def filled(text: str, found: Json) -> str:
    """A page with the blocks of a run between ``<!-- bench:NAME -->`` and ``<!-- /bench -->``.

    Raises:
        KeyError: the page names a block that the run does not have.
    """
    made = blocks(found)
    return _BLOCK.sub(lambda mark: f"<!-- bench:{mark[1]} -->\n{made[mark[1]]}\n<!-- /bench -->", text)


def shown_blocks(text: str) -> list[str]:
    """Names of the blocks that a page shows."""
    return _BLOCK.findall(text)


def blocks(found: Json) -> dict[str, str]:
    """The blocks of a run by name, in Markdown: one for each measurement, and two about the whole run."""
    measurements = found["measurements"]
    made = {"machine": _machine(found)}
    made |= {name: render(measurements[name]) for name, render in _RENDERERS.items() if name in measurements}
    if {"songs", "polls", "create", "audio"} <= set(measurements):
        made["summary"] = _summary(measurements)
    if {"replicas", "postgres", "many"} <= set(measurements):
        made["scale"] = scale.shown(measurements)
    return made


def _machine(found: Json) -> str:
    facts = found["machine"]
    rows = [
        ("measured", _run(found)),
        *((f"{name}, measured again", _run(run)) for name, run in found.get("again", {}).items()),
        ("machine", f"{facts['cores']} cores of {facts['processor']}, {facts['memory_mb']:,} MB"),
        ("system", facts["system"]),
        ("Python", facts["python"]),
        ("libraries", ", ".join(f"{name} {version}" for name, version in found["versions"].items())),
    ]
    return table(("", ""), rows)


def _run(run: Json) -> str:
    """When it was, and of which revision."""
    text = f"{run['at'][:10]}, revision {run['revision']}"
    return (
        f"{text}, **short run** with `--quick`: believe nothing finer than a third" if run["quick"] else text
    )


def _by_target(measured: Json) -> str:
    """Figures by connections and target."""
    head = ("connections", "server", "requests/s", "range", "ratio", "p50 ms", "p99 ms", "CPU", "MB")
    return table(head, (row for count, targets in measured.items() for row in _targets(count, targets)))


def _targets(connections: str, targets: Json) -> Iterator[Sequence[str]]:
    for name, figures in targets.items():
        yield (
            f"{int(connections):,}",
            name,
            f"{figures['rate']:,.0f}",
            f"{figures['rate_min']:,.0f} to {figures['rate_max']:,.0f}",
            f"{figures['ratio']:.2f}",
            f"{figures['p50_ms']:.2f}",
            f"{figures['p99_ms']:.2f}",
            f"{figures['cpu_share']:.0%}",
            f"{figures['rss_mb']:.0f}",
        )


def _curve(measured: Json) -> str:
    head = ("connections", *(f"{what} {unit}" for what in ("create", "GET") for unit in _CURVE_UNITS))
    rows = []
    for connections, creates in measured["create"].items():
        cells = [f"{int(connections):,}"]
        for targets in (creates, measured["get"][connections]):
            ours = targets["musicgate"]
            cells += [f"{ours['rate']:,.0f}", f"{ours['ratio']:.2f}"]
            cells += [f"{ours['p50_ms']:.2f}", f"{ours['p99_ms']:.2f}"]
        rows.append(cells)
    return table(head, rows)


_CURVE_UNITS: Final = ("/s", "ratio", "p50 ms", "p99 ms")


def _two_kinds(measured: Json) -> str:
    head = ("", "accounts", "requests/s", "ratio", "p50 ms", "p99 ms")
    rows = [
        (
            {"create": "create", "get": "GET"}[what],
            name,
            f"{figures['rate']:,.0f}",
            f"{figures['ratio']:.2f}",
            f"{figures['p50_ms']:.2f}",
            f"{figures['p99_ms']:.2f}",
        )
        for what, by_connections in measured.items()
        for targets in by_connections.values()
        for name, figures in targets.items()
    ]
    return table(head, rows)


def _polls(measured: Json) -> str:
    rows = (
        ("open jobs", f"{measured['jobs']:,}"),
        ("polls/s that their schedule asks for and get", f"{measured['polls_per_s']:,.0f}"),
        ("CPU of the gateway", f"{measured['cpu_share']:.0%} of a core"),
        ("polls per CPU second", f"{measured['polls_per_cpu_s']:,}"),
        ("the same, a bare aiohttp client", f"{measured['limit_polls_per_cpu_s']:,}"),
        ("**ratio**", f"**{measured['ratio']:.2f}**"),
        (
            "lateness of a poll, p50 and p99",
            f"{measured['late_p50_s']:.3f} s, {measured['late_p99_s']:.3f} s",
        ),
        ("memory per open job", f"{measured['rss_kb_per_job']:.2f} kB"),
        ("memory of the process", f"{measured['rss_mb']:.0f} MB"),
        ("creates/s while they were made and polled", f"{measured['creates_per_s']:,}"),
        ("killed and started: first answer after", f"{measured['restart_first_answer_s']:.1f} s"),
        ("killed and started: every job polled after", f"{measured['restart_all_polled_s']:.1f} s"),
        ("jobs never polled again", str(measured["restart_never_polled"])),
        ("songs created twice", str(measured["restart_created_twice"])),
    )
    return table(("", ""), rows)


def _songs(measured: Json) -> str:
    rows = (
        ("CPU time of a song", f"{measured['cpu_ms_per_song']:.1f} ms"),
        ("songs/s on one core, create to audio on the disk", f"{measured['songs_per_s']:,.0f}"),
    )
    return table(("", ""), rows)


def _growth(measured: Json) -> str:
    names = {
        "create": "create",
        "get": "GET of any job",
        "list": "list, first page",
        "list_cursor": "list, from the middle",
        "list_completed": "list, a filter that most jobs match",
        "list_failed": "list, a filter that one in 1,000 matches",
        "list_none": "list, a filter that none matches",
    }
    head = ("p50 / p99 ms", *(f"{int(size):,} finished jobs" for size in measured))
    rows: list[Sequence[str]] = []
    for key, name in names.items():
        cells = [(found[key]["p50_ms"], found[key]["p99_ms"]) for found in measured.values()]
        rows.append((name, *(f"{p50:.2f} / {p99:.2f}" for p50, p99 in cells)))
    rows += [
        ("one sweep, ms", *(f"{found['sweep_ms']:.2f}" for found in measured.values())),
        ("start, s", *(f"{found['start_s']:.2f}" for found in measured.values())),
        ("memory, MB", *(f"{found['rss_mb']:.0f}" for found in measured.values())),
        ("disk per job, kB", *(f"{found['disk_kb_per_job'] or 0:.1f}" for found in measured.values())),
    ]
    return table(head, rows)


def _events(measured: Json) -> str:
    rows = (
        ("readers", f"{measured['readers']:,}"),
        ("memory per reader", f"{measured['rss_kb_per_reader']:.1f} kB"),
        ("CPU of a change without a reader", f"{measured['cpu_ms_per_change']:.2f} ms"),
        ("CPU of a change with one", f"{measured['cpu_ms_per_change_with_reader']:.2f} ms"),
        ("from a change to all readers of one job told", f"{measured['all_told_ms']:.0f} ms"),
    )
    return table(("", ""), rows)


def _start(measured: Json) -> str:
    rows = (
        ("`python -c pass`, for comparison", f"{measured['python_s']:.2f} s"),
        ("`import musicgate`", f"{measured['import_musicgate_s']:.2f} s"),
        ("`musicgate --help`", f"{measured['help_s']:.2f} s"),
        ("`musicgate serve` to its first answer", f"{measured['serve_s']:.2f} s"),
        ("memory of an idle server", f"{measured['serve_rss_mb']:.0f} MB"),
    )
    return table(("", ""), rows)


def _audio(measured: Json) -> str:
    head = ("work", "CPU s", "took s", "peak MB", "event loop late, p99 ms", "most ms")
    rows = [
        (
            {"measure": "measure", "songs_at_once": "200 songs of 5 s at once, to mp3"}.get(
                name, f"to {name}"
            ),
            f"{figures['cpu_s']:.2f}",
            f"{figures['took_s']:.2f}",
            f"{figures['peak_mb']:.0f}",
            f"{figures['late_p99_ms']:.1f}",
            f"{figures['late_max_ms']:.1f}",
        )
        for name, figures in measured.items()
    ]
    return table(head, rows)


def _listeners(measured: Json) -> str:
    count = measured["listeners"]
    rows = [
        (f"{count} slow listeners, MiB together", f"{measured['slow_mib']:.1f}"),
        (f"{count} fast listeners, MiB together", f"{measured['fast_mib']:.1f}"),
        ("CPU time of a gigabyte, s", f"{measured['cpu_s_per_gb']:.1f}"),
    ]
    return table(("", ""), rows)


def _size(measured: Json) -> str:
    large = {name: mb for name, mb in measured["packages_mb"].items() if mb >= 0.5}
    rest = [mb for name, mb in measured["packages_mb"].items() if name not in large]
    rows = [(name, f"{mb:.1f}") for name, mb in large.items()]
    rows += [(f"{len(rest)} others", f"{sum(rest):.1f}"), ("**together**", f"**{measured['total_mb']:.1f}**")]
    return table(("distribution", "MB"), rows)


def _load(measured: Json) -> str:
    figures = {count: targets["nothing"] for count, targets in measured.items()}
    head = ("connections", "requests/s", "p50 ms", "p99 ms")
    return table(
        head,
        (
            (f"{int(count):,}", f"{one['rate']:,.0f}", f"{one['p50_ms']:.2f}", f"{one['p99_ms']:.2f}")
            for count, one in figures.items()
        ),
    )


def _replicas(measured: Json) -> str:
    create, polls, share = measured["create"], measured["polls"], measured["share_of_core"]
    names = ("1", "2", "2, half each")

    def row(label: str, runs: Json, field: str, form: str) -> Sequence[str]:
        return (label, *(format(runs[name][field], form) if name in runs else "" for name in names))

    def ratios(label: str, runs: Json) -> Sequence[str]:
        found = [runs.get(name) for name in names]
        text = "**{ratio:.2f}** ({ratio_min:.2f} to {ratio_max:.2f})"
        return (label, *(text.format(**one) if one else "" for one in found))

    rows = [
        row("creates/s", create, "per_s", ",.0f"),
        ratios("ratio", create),
        row("create, p50 ms", create, "p50_ms", ".0f"),
        row("create, p99 ms", create, "p99_ms", ".0f"),
        row("CPU of the replicas per create, ms", create, "cpu_ms", ".3f"),
        row("CPU of PostgreSQL per create, ms", create, "postgres_cpu_ms", ".3f"),
        row(f"polls/s, {polls['jobs']:,} open jobs", polls, "per_s", ",.0f"),
        ratios("ratio", polls),
        row("CPU of the replicas per poll, ms", polls, "cpu_ms", ".3f"),
        row("CPU of PostgreSQL per poll, ms", polls, "postgres_cpu_ms", ".3f"),
    ]
    quota = "no quota: compare the CPU times" if share is None else f"{share:.0%} of a core for each replica"
    return table((quota, "1 replica", "2 replicas", "2 replicas, 64 connections in all"), rows)


def _postgres(measured: Json) -> str:
    trips, song, webhook = measured["round_trips"], measured["song"], measured["webhook"]
    rows = [
        ("round trips of a create", f"{trips['one_at_a_time']:.2f}"),
        ("the same, 64 connections in batches", f"{trips['at_64_connections']:.2f}"),
        ("round trips of an idle replica, per second", f"{trips['idle_per_s']:.1f}"),
        ("write-ahead log of a create", f"{trips['wal_bytes_at_64_connections'] / 1000:.1f} kB"),
        ("a whole song with webhook: CPU of the replica", f"{song['cpu_ms']:.1f} ms"),
        ("a whole song with webhook: CPU of PostgreSQL", f"{song['postgres_cpu_ms']:.1f} ms"),
        ("a whole song with webhook: write-ahead log", f"{song['wal_bytes'] / 1000:.1f} kB"),
        ("a whole song with webhook: round trips, in batches", f"{song['round_trips']:.1f}"),
        ("of it the webhook: CPU of the replica", f"{webhook['cpu_ms']:.1f} ms"),
        ("of it the webhook: CPU of PostgreSQL", f"{webhook['postgres_cpu_ms']:.1f} ms"),
    ]
    return table(("", ""), rows)


def _many(measured: Json) -> str:
    rows = (
        ("open jobs over two replicas", f"{measured['jobs']:,}"),
        ("creates/s while they were made", f"{measured['creates_per_s']:,}"),
        ("memory per open job, before its first poll", f"{measured['rss_kb_per_job']:.2f} kB"),
        ("memory of both processes", f"{measured['rss_mb']:,} MB"),
        (f"polls/s, at {measured['speed']:g} of the vendor's pace", f"{measured['polls_per_s']:,}"),
        ("CPU of the replicas per first poll of a job", f"{measured['poll_cpu_ms']:.2f} ms"),
        ("CPU of PostgreSQL meanwhile", f"{measured['postgres_cpu_share']:.0%} of a core"),
        (
            "lateness of a poll, p50 and p99",
            f"{measured['late_p50_s']:.3f} s, {measured['late_p99_s']:.3f} s",
        ),
        ("SIGKILL of one replica: jobs without a follower", f"{measured['orphans']:,}"),
        ("all of them known to the other one after", f"{measured['all_followed_s']:.1f} s"),
        ("all of them polled by the other one after", f"{measured['all_polled_s']:.1f} s"),
        ("jobs never polled again", str(measured["never_polled"])),
        ("jobs lost", str(measured["lost"])),
        ("songs created twice", str(measured["created_twice"])),
    )
    return table(("", ""), rows)


def _failover(measured: Json) -> str:
    head = (
        *("fault", "all polled again after", "creates again after", "creates refused", "GETs refused"),
        "longest wait for an answer",
    )
    rows = []
    for found in measured["faults"]:
        name = str(found["fault"])
        if name == "SIGKILL":
            name += f", heartbeat {found['heartbeat_s']:g} s"
        answers = [_statuses(found[key]) for key in ("creates_refused", "gets_refused")]
        slowest_s = max(found["slowest_create_s"], found["slowest_get_s"])
        times = (f"{found['again_s']:.1f} s", f"{found['creates_again_s']:.1f} s")
        rows.append((name, *times, *answers, f"{slowest_s:.1f} s"))
    books = {
        key: sum(found.get(key, 0) for found in measured["faults"])
        for key in ("creates", "lost", "twice", "unknown", *_STALE)
    }
    return (
        f"{table(head, rows)}\n\nOf {books['creates']:,} creates in all rows {books['lost']} were lost, and"
        f" {books['twice']} were made twice; the outcome of {books['unknown']} stayed unknown.\nThe replica that"
        f" went on after SIGSTOP: {books['late_answers_adopted']} of {books['late_answers']} late create answers"
        f" adopted, {books['stale_polls']} polls and\n{books['stale_writes']} writes of jobs that were another's."
    )


_STALE: Final = ("late_answers", "late_answers_adopted", "stale_polls", "stale_writes")


def _statuses(refused: Sequence[Json]) -> str:
    """How many answers had which status; 0 is no answer."""
    counts: Counter[str] = Counter()
    for one in refused:
        counts[str(one["status"] or "no answer")] += one["count"]
    return ", ".join(f"{count} x {status}" for status, count in counts.items()) or "-"


def _summary(measurements: Json) -> str:
    """What the figures mean, in a few sentences."""
    create = measurements["create"]
    polls_ms = _POLLS_PER_SONG * 1000 / measurements["polls"]["polls_per_cpu_s"]
    measure = measurements["audio"]["measure"]
    longer_s = (_LONG_SONG_S - sum(TRACKS_S)) / measure["song_s"] * measure["cpu_s"]
    song_s = measurements["songs"]["cpu_ms_per_song"] / 1000 + longer_s
    p50_ms = {name: figures["p50_ms"] for name, figures in create["1"].items()}
    ours_ms, writes_ms = (
        p50_ms[name] - p50_ms["limit"] for name in ("musicgate", "limit, two durable writes")
    )
    lines = (
        f"A song of two tracks of three minutes costs {song_s:.1f} s of CPU, nearly all of it to decode and measure its",
        f"audio beside the event loop: {60 / song_s:,.0f} songs a minute on one core. A vendor that does not call back is",
        f"polled {_POLLS_PER_SONG} times, for {polls_ms:.1f} ms in all.",
        f"A burst is taken in at {create['64']['musicgate']['rate']:,.0f} creates a second. One that comes alone takes",
        f"{ours_ms:.1f} ms longer than through the least handler; {writes_ms:.1f} ms of them are two durable writes on this disk.",
    )
    return "\n".join(lines)


_RENDERERS: Final[dict[str, Callable[[Json], str]]] = {
    "load": _load,
    "create": _by_target,
    "get": _by_target,
    "polls": _polls,
    "replicas": _replicas,
    "postgres": _postgres,
    "many": _many,
    "failover": _failover,
    "songs": _songs,
    "audio": _audio,
    "listeners": _listeners,
    "accounts": _two_kinds,
    "start": _start,
    "size": _size,
    "curve": _curve,
    "growth": _growth,
    "events": _events,
}
