"""Files of results: written after a run, compared with the recorded one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks import machine

#: A JSON object, as a measurement returns it.
Json = dict[str, Any]

HERE: Final = Path(__file__).resolve().parent
RECORDED: Final = HERE / "recorded.json"
FOLDER: Final = HERE / "results"
#: What a run has measured so far; removed at its end.
UNFINISHED: Final = FOLDER / "unfinished.json"
#: A ratio below this share of the recorded one is a regression; noise moves a ratio by a tenth.
TOLERATED: Final = 2 / 3


def result(measurements: Mapping[str, object], *, is_quick: bool) -> Json:
    """The content of a file of results."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "quick": is_quick,
        "machine": machine.facts(),
        "versions": machine.versions(),
        "measurements": dict(measurements),
    }


def write(found: Json, file: Path | None = None) -> Path:
    """Write a file of results; without a name, one that has the time and the revision."""
    if file is None:
        at = datetime.fromisoformat(found["at"]).strftime("%Y%m%dT%H%M%SZ")
        file = FOLDER / f"{at}-{found['revision']}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return file


def read(file: Path) -> Json:
    """Read a file of results."""
    found: Json = json.loads(file.read_text("utf-8"))
    return found


def renewed(recorded: Json, found: Json, names: Iterable[str]) -> Json:
    """A recorded run with some measurements of another one; ``again`` says of which run each of them is.

    Raises:
        SystemExit: the two were not made on one machine with the same libraries.
    """
    for what in ("machine", "versions"):
        if found[what] != recorded[what]:
            sys.exit(f"the recorded run is of another machine; record everything: {recorded[what]}")
    run = {key: found[key] for key in ("at", "revision", "quick")}
    named = {name: found["measurements"][name] for name in names}
    return {
        **recorded,
        "again": recorded.get("again", {}) | dict.fromkeys(named, run),
        "measurements": recorded["measurements"] | named,
    }


def ratios(found: Json) -> dict[str, float]:
    """Every ratio of a file of results, by a name for people; larger is better."""
    return dict(_ratios(found["measurements"]))


def regressions(recorded: Json, found: Json) -> list[str]:
    """One line for each recorded ratio that has fallen by more than a third, or was not measured."""
    now = ratios(found)
    return [
        f"{name}: {f'{now[name]:.3f}' if name in now else 'not measured'}, recorded {was:.3f}"
        for name, was in ratios(recorded).items()
        if now.get(name, 0.0) < was * TOLERATED
    ]


def _ratios(measurements: Json) -> Iterator[tuple[str, float]]:
    for what in ("create", "get"):
        for connections, row in measurements.get(what, {}).items():
            yield f"{what}, connections: {connections}, to the limit", row["musicgate"]["ratio"]
    if polls := measurements.get("polls"):
        yield "polls, to the limit", polls["ratio"]
    for what, by_connections in measurements.get("accounts", {}).items():
        for row in by_connections.values():
            name, figures = list(row.items())[-1]
            yield f"{what}, {name}, to one account", figures["ratio"]


def _revision() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        done = subprocess.run(words, cwd=HERE, capture_output=True, text=True, check=True)  # noqa: S603 - fixed words
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
