"""How long a start takes, and how large an installation is."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.bench import Bench

_ROOT: Final = Path(__file__).resolve().parents[1]
#: Our distributions: the name, the folder with pyproject.toml, the folder that becomes the package.
_OURS: Final = (
    ("musicgate", ".", "musicgate"),
    ("musicgate-schemas", "schemas", "schemas/src/musicgate_schemas"),
    *(
        (f"musicgate-{path.name}", f"plugins/{path.name}", f"plugins/{path.name}/src/musicgate_{path.name}")
        for path in sorted((_ROOT / "plugins").iterdir())
        if (path / "pyproject.toml").exists()
    ),
)
_COMMANDS: Final = {
    "python": ("-c", "pass"),
    "import_musicgate": ("-c", "import musicgate"),
    "help": ("-m", "musicgate", "--help"),
}


async def start(bench: Bench) -> dict[str, object]:
    """Seconds from nothing to ``--help``, to the import, and to the first answer of the server."""
    times = 3 if bench.is_quick else 11
    found: dict[str, object] = {}
    for name, words in _COMMANDS.items():
        found[f"{name}_s"] = round(statistics.median([await _run_s(bench, words) for _ in range(times)]), 3)
    serve = []
    for _ in range(times):
        gateway = bench.gateway()
        try:
            serve.append(await gateway.start())
        finally:
            gateway.stop()
    found["serve_s"] = round(statistics.median(serve), 3)
    found["serve_rss_mb"] = await _idle_rss_mb(bench)
    bench.say("  " + ", ".join(f"{name} {value}" for name, value in found.items()))
    return found


async def size(bench: Bench) -> dict[str, object]:
    """MB of what ``pip install`` of musicgate and its plugins puts into site-packages."""
    sizes = {name: 0 for name, _, _ in _OURS}
    wanted: list[str] = []
    for name, folder, package in _OURS:
        sizes[name] = _tree_bytes(_ROOT / package)
        project = tomllib.loads((_ROOT / folder / "pyproject.toml").read_text("utf-8"))["project"]
        wanted += project["dependencies"]
    sizes |= {name: _distribution_bytes(found) for name, found in installed_closure(wanted)}
    listed = sorted(sizes.items(), key=lambda item: -item[1])
    packages = {name: round(value / 2**20, 2) for name, value in listed}
    total = round(sum(sizes.values()) / 2**20, 1)
    bench.say(f"  {total} MB in {len(sizes)} distributions")
    return {"total_mb": total, "packages_mb": packages}


async def _run_s(bench: Bench, words: Sequence[str]) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.DEVNULL, cwd=bench.folder
    )
    if await process.wait():
        sys.exit(f"python {' '.join(words)} failed")
    return time.perf_counter() - began


async def _idle_rss_mb(bench: Bench) -> float:
    gateway = bench.gateway()
    async with gateway.running():
        await asyncio.sleep(1)
        return round(gateway.usage().rss_bytes / 2**20, 1)


def installed_closure(wanted: Sequence[str]) -> Iterator[tuple[str, metadata.Distribution]]:
    """The installed distributions that these requirements lead to, without ours and without extras."""
    ours = {name for name, _, _ in _OURS}
    seen: set[str] = set(ours)
    rest = list(wanted)
    while rest:
        requirement = Requirement(rest.pop())
        name = canonicalize_name(requirement.name)
        if name in seen or (
            requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})
        ):
            continue
        seen.add(name)
        found = metadata.distribution(name)
        rest += found.requires or []
        yield name, found


def _distribution_bytes(found: metadata.Distribution) -> int:
    paths = [Path(str(file.locate())) for file in found.files or ()]
    return sum(path.stat().st_size for path in paths if path.is_file())


def _tree_bytes(folder: Path) -> int:
    """Sources and data; pip compiles each module as well, to a file of about the same size."""
    sizes = [
        path.stat().st_size * (2 if path.suffix == ".py" else 1)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    return sum(sizes)
