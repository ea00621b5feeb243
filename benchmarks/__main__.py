"""The command line: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import results, tables
from benchmarks.bench import Bench
from benchmarks.measurements import CHECKED, MEASUREMENTS, USUAL
from benchmarks.profiling import profile
from benchmarks.workloads import WORKLOADS

_DESCRIPTION: Final = """\
Measure musicgate on this machine, on loopback, against the limits of its own stack.

  python -m benchmarks                   what `make bench` measures, in about ten minutes
  python -m benchmarks growth curve      what you name
  python -m benchmarks profile create    where the CPU time of a create goes

The server has the first core, load and vendor have the second one: let nothing else run meanwhile."""


def main() -> None:
    """Parse the command line, and do what it says."""
    arguments = parse(sys.argv[1:])
    try:
        arguments.run(arguments)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped")


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; names of measurements alone mean ``run NAMES``."""
    commands = {"run", "record", "check", "table", "profile", "-h", "--help"}
    is_command = bool(words) and words[0] in commands
    return _parser().parse_args(words if is_command else ["run", *words])


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m benchmarks", description=_DESCRIPTION, formatter_class=raw)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    names = "\n".join(f"  {name:<10}{_about(measure)}" for name, measure in MEASUREMENTS.items())
    run = commands.add_parser(
        "run",
        help="measure, print tables, keep a file of results (the word may be left out)",
        description=f"Measurements:\n{names}\n\nWithout names: {', '.join(USUAL)}.",
        formatter_class=raw,
    )
    run.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], metavar="NAME")
    run.add_argument("--output", type=Path, metavar="FILE", help="where the results are written")
    run.set_defaults(run=_run)

    record = commands.add_parser(
        "record", help="measure everything, or what is named; write recorded.json and the page's tables"
    )
    record.add_argument("names", nargs="*", choices=[*MEASUREMENTS, []], metavar="NAME")
    record.add_argument("--result", type=Path, metavar="FILE", help="record this file, measure nothing")
    record.set_defaults(run=_record)

    check = commands.add_parser("check", help="fail if a ratio is a third below the recorded one")
    check.add_argument("--result", type=Path, metavar="FILE", help="judge this file, measure nothing")
    check.set_defaults(run=_check)
    for command in (run, record, check):
        command.add_argument("--quick", action="store_true", help="short runs, for a first look")
        command.add_argument("--jobs", type=int, default=20_000, metavar="N", help="open jobs of `polls`")

    table = commands.add_parser("table", help="print the tables of a file of results")
    table.add_argument("file", type=Path)
    table.set_defaults(run=lambda arguments: print(tables.page(results.read(arguments.file))))

    one = commands.add_parser("profile", help="where the CPU time of one kind of work goes")
    one.add_argument("work", choices=WORKLOADS)
    one.add_argument("--seconds", type=float, default=10.0, help="how long to profile; default: 10")
    one.add_argument("--connections", type=int, default=64, help="of the load; default: 64")
    one.add_argument("--top", type=int, default=25, metavar="N", help="functions to show; default: 25")
    one.add_argument("--raw", type=Path, metavar="FILE", help="keep the stacks, for speedscope or flamegraph")
    one.add_argument("--native", action="store_true", help="show C libraries apart (py-spy on Linux); slower")
    one.set_defaults(run=_profile, quick=False, jobs=0)
    return parser


def _run(arguments: argparse.Namespace) -> None:
    found = _measure(arguments.names or USUAL, arguments)
    file = results.write(found, arguments.output)
    print(tables.page(found))
    print(f"results: {file}", file=sys.stderr)


def _record(arguments: argparse.Namespace) -> None:
    if arguments.result is None:
        found = _measure(arguments.names or tuple(MEASUREMENTS), arguments)
    else:
        found = results.read(arguments.result)
    if arguments.names:
        found = results.renewed(results.read(results.RECORDED), found, arguments.names)
    results.write(found, results.RECORDED)
    tables.write_page(found)
    print(f"recorded: {results.RECORDED} and the tables of {tables.PAGE}", file=sys.stderr)


def _check(arguments: argparse.Namespace) -> None:
    recorded = results.read(results.RECORDED)
    if arguments.result is None:
        found = _measure(CHECKED, arguments)
        results.write(found)
    else:
        found = results.read(arguments.result)
    was = results.ratios(recorded)
    for name, ratio in results.ratios(found).items():
        print(f"{ratio:7.3f}  recorded {was.get(name, 0.0):7.3f}  {name}")
    worse = results.regressions(recorded, found)
    if worse:
        sys.exit("\n".join(["", "more than a third below the recorded run, or missing:", *worse]))


def _profile(arguments: argparse.Namespace) -> None:
    async def run(bench: Bench) -> None:
        await profile(
            bench,
            arguments.work,
            seconds=arguments.seconds,
            connections=arguments.connections,
            top=arguments.top,
            raw=arguments.raw,
            native=arguments.native,
        )

    _with_bench(run, arguments)


def _measure(names: Sequence[str], arguments: argparse.Namespace) -> results.Json:
    found: dict[str, object] = {}

    async def run(bench: Bench) -> None:
        for name in names:
            bench.say(f"{name}: {_about(MEASUREMENTS[name])}")
            bench.vendor.forget()
            found[name] = await MEASUREMENTS[name](bench)
            # All of them take most of an hour, which must not be lost with the last one.
            results.write(results.result(found, is_quick=arguments.quick), results.UNFINISHED)

    _with_bench(run, arguments)
    results.UNFINISHED.unlink(missing_ok=True)
    return results.result(found, is_quick=arguments.quick)


def _with_bench(run: Callable[[Bench], Awaitable[None]], arguments: argparse.Namespace) -> None:
    """Run a coroutine on uvloop. Ctrl-C and SIGTERM stop every server, then this process."""
    import uvloop

    async def opened() -> None:
        task = asyncio.current_task()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)  # type: ignore[union-attr]
        async with Bench.opened(is_quick=arguments.quick, jobs=arguments.jobs) as bench:
            await run(bench)

    uvloop.run(opened())


def _about(measure: object) -> str:
    return (measure.__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    main()
