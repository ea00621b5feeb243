"""The TypeScript types of requests and answers, made from the published schemas: `make client`.

openapi-typescript reads the components of the OpenAPI document, which are made from the files in
``schemas/``. Only what the client shows is kept, in the order of names, so that a change of other routes
changes nothing here.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from musicgate.web.openapi.components import load_components
from tests.typescript.server import CLIENT, NODE

WRITTEN: Final = CLIENT / "src" / "schema.ts"
#: What requests and answers of the client are; components that these refer to come along.
SHOWN: Final = (
    *("MusicRequest", "MusicJob", "JobList", "JobEvent", "ErrorAnswer", "Plan", "Model", "Provider"),
    *("WebhookMessage", "WebhookTestMessage"),
)
_HEADER: Final = "// Made by `make client` from the published JSON Schemas; do not edit.\n"
_REFERENCE: Final = re.compile(r'"#/components/schemas/(\w+)"')


def make_types() -> str:
    """Run openapi-typescript, which `npm ci` has installed beside the client."""
    components = load_components({})
    wanted, found = list(SHOWN), set[str]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found.add(name)
            wanted += _REFERENCE.findall(json.dumps(components[name]))
    document = {
        "openapi": "3.1.1",
        "info": {"title": "musicgate", "version": "1"},
        "paths": {},
        "components": {"schemas": {name: components[name] for name in sorted(found)}},
    }
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "schema.ts")
        source.write_text(json.dumps(document), encoding="utf-8")
        command = [
            *(str(NODE), "node_modules/openapi-typescript/bin/cli.js", str(source), "--output", str(target)),
            *("--root-types", "--root-types-no-schema-prefix", "--empty-objects-unknown"),
        ]
        subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)  # noqa: S603 - our own command
        text = target.read_text(encoding="utf-8")
    # Only the types of SHOWN and of what they contain are for users.
    text = re.sub(r"^/\*\*.*?\*/\n", "", text, count=1, flags=re.DOTALL)
    text = re.sub(
        r"^export (type|interface) (paths|webhooks|operations|\$defs)\b.*\n", "", text, flags=re.MULTILINE
    )
    return _HEADER + text.replace("export interface components", "interface components").lstrip("\n")


if __name__ == "__main__":
    WRITTEN.write_text(make_types(), encoding="utf-8")
