"""``python -m tests.release``: build all distributions, check them, and make songs with them.

The song is made in a clean virtual environment in a temporary folder, from the wheels in dist/ and the
wheelhouse of dependencies that ``make setup-dev`` fills, without the repository and without a package
index. The npm package of the TypeScript client is installed and tested in a folder of its own.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import av.error

from tests.outside.environment import DISTRIBUTIONS, ROOT, WHEELHOUSE, CleanEnvironment, build, run
from tests.release.contents import (
    Wheel,
    differing_versions,
    missing_archives,
    missing_files,
    missing_templates,
)
from tests.typescript.package import compile_client, pack, version_in
from tests.typescript.run import check_archive

DIST = ROOT / "dist"
#: What is released: the examples are not.
RELEASED = {name: folder for name, folder in DISTRIBUTIONS.items() if not folder.startswith("examples/")}
#: Files that wheels leave out.
SOURCE_ONLY = frozenset({"musicgate/emulation/loops/make_loops.py"})
PROMPT = "Warm jazz trio with brushed drums"


class ReleaseError(Exception):
    """The distributions cannot be released; the message lists the problems."""


def refuse(problems: Iterable[str]) -> None:
    """Raise if there is any problem, with all of them in the message."""
    if found := list(problems):
        raise ReleaseError("\n".join(f"  {problem}" for problem in found))


def built() -> list[Wheel]:
    """The wheels in dist/."""
    return [Wheel.read(path) for path in sorted(DIST.glob("*.whl"))]


def source_of(name: str) -> Path:
    """The folder that holds the import package of a distribution."""
    top = ROOT / RELEASED[name]
    return top / "src" if (top / "src").is_dir() else top


def build_all() -> str:
    """Build a wheel and an sdist of every distribution into an empty dist/."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    for folder in RELEASED.values():
        build(ROOT / folder, DIST)
    refuse(missing_archives(DIST, built(), RELEASED))
    return f"built a wheel and an sdist of {len(RELEASED)} distributions into dist/"


def check_metadata() -> str:
    """Check with twine that an index would accept them."""
    archives = sorted(DIST.iterdir())
    run([sys.executable, "-m", "twine", "check", "--strict", *archives], cwd=DIST)
    return f"twine found nothing wrong with the metadata of {len(archives)} files"


def check_versions(expected: str | None) -> str:
    """Check that all have one version, and the expected one if it is given."""
    wheels = built()
    refuse(differing_versions(wheels))
    if expected is not None and wheels[0].version != expected:
        raise ReleaseError(f"  the distributions have version {wheels[0].version}, not {expected}")
    return f"all distributions have version {wheels[0].version}"


def check_contents() -> str:
    """Check the files of each wheel against its source."""
    wheels = built()
    for wheel in wheels:
        refuse(missing_files(wheel, source_of(wheel.name), SOURCE_ONLY))
    (core,) = [wheel for wheel in wheels if wheel.name == "musicgate"]
    refuse(missing_templates(core))
    files = sum(len(wheel.files) for wheel in wheels)
    return f"every wheel holds all files of its package, py.typed and templates among them ({files} files)"


def build_npm() -> str:
    """Pack the TypeScript client, whose version is theirs, into a folder that no upload to PyPI reads."""
    (DIST / "npm").mkdir()
    compile_client()
    archive = pack(DIST / "npm")
    if version_in(archive) != built()[0].version:
        raise ReleaseError(f"  {archive.name} has version {version_in(archive)}, not {built()[0].version}")
    return f"dist/npm/{check_archive(archive)}"


def install(clean: CleanEnvironment) -> str:
    """Install ``musicgate[all]``, and check that every distribution came and is the imported one."""
    clean.install(f"musicgate[all]=={built()[0].version}")
    found = clean.python("import musicgate; print(musicgate.__file__)")
    if not Path(found).is_relative_to(clean.folder):
        raise ReleaseError(f"  musicgate is imported from {found}, not from the clean environment")
    plugins = [str(record["name"]) for record in clean.plugins()]
    missing = {name for name in RELEASED if name.startswith("musicgate-")} - {
        "musicgate-schemas",
        *(f"musicgate-{plugin.replace('_', '-')}" for plugin in plugins),
    }
    refuse(f"musicgate[all] did not bring {name}" for name in sorted(missing))
    return (
        "installed musicgate[all] in a clean environment outside the repository; "
        f"plugins found: {', '.join(plugins)}"
    )


def make_song(clean: CleanEnvironment) -> str:
    """Make a song in the sandbox with the installed command, and decode it."""
    clean.musicgate("generate", PROMPT, "--sandbox", "-o", "song.mp3")
    song = clean.folder / "song.mp3"
    if not song.is_file():
        raise ReleaseError("  the command ended well, but there is no song.mp3")
    length_s = decoded_s(song)
    if not length_s > 0:
        raise ReleaseError("  song.mp3 plays for 0 seconds")
    return f"the installed command made song.mp3 in the sandbox; it plays for {length_s:.1f} s"


def run_without_installing(clean: CleanEnvironment) -> str:
    """Make a song with ``uvx``, for people who install nothing."""
    uvx = Path(sys.executable).with_name("uvx")
    song = clean.folder / "uvx.mp3"
    sources: list[str | Path] = [
        "--no-config",
        "--no-index",
        "-f",
        DIST,
        "-f",
        WHEELHOUSE,
    ]
    called = ("--from", f"musicgate[all]=={built()[0].version}", "musicgate", "generate", PROMPT)
    run([uvx, *sources, "--python", sys.executable, *called, "--sandbox", "-o", song], cwd=clean.folder)
    if not song.is_file():
        raise ReleaseError("  uvx ended well, but there is no uvx.mp3")
    return f"uvx ran musicgate[all] without installing it; its song plays for {decoded_s(song):.1f} s"


def decoded_s(song: Path) -> float:
    """The length of audio by decoding all of it, as a player does."""
    with av.open(str(song)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def main() -> int:
    """Run every step in order, and stop at the first that fails."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.release", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--version", help="the version to be released; the distributions must have it")
    expected: str | None = parser.parse_args().version
    with tempfile.TemporaryDirectory(prefix="musicgate-dist-") as name:
        folder = Path(name).resolve() / "clean"
        clean = CleanEnvironment(folder, DIST)
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("build", build_all),
            ("metadata", check_metadata),
            ("versions", lambda: check_versions(expected)),
            ("contents", check_contents),
            ("npm", build_npm),
            ("install", lambda: install(CleanEnvironment.make(folder, DIST))),
            ("song", lambda: make_song(clean)),
            ("uvx", lambda: run_without_installing(clean)),
        )
        for step, act in steps:
            started = time.monotonic()
            try:
                sentence = act()
            except (
                ReleaseError,
                AssertionError,
                OSError,
                subprocess.SubprocessError,
                av.error.FFmpegError,
            ) as error:
                say(f"[dist]  {step} failed:\n{error}")
                return 1
            say(f"[dist]  {sentence} ({time.monotonic() - started:.1f} s)")
    return 0


def say(sentence: str) -> None:
    print(sentence, flush=True)  # noqa: T201 - a program for people


if __name__ == "__main__":
    sys.exit(main())
