"""Generate docs/case-files.md from the published schema of case files."""

from __future__ import annotations

import json
from typing import Any

import musicgate_schemas
from docs.markdown import GENERATED, table

_INTRODUCTION = """\
# Case files

A case is one recorded answer of a vendor, and literally what the plugin must read from it. Cases are JSON files in
`tests/cases` of a plugin. The compliance kit replays each through `parse_response`, and breaks each in every place to
see that nonsense is an error ([testing.md](testing.md)). Their schema is `case` of `musicgate-schemas`:
`musicgate schema case` prints it.

A recording has no key, no signed link and no personal text.
"""

_MANY = """\
## Many cases in one file

What stands beside `cases` is shared: each case may leave it out, or say something else. A case's name is that of its
file and its own, `polls/html`.
"""

_COMPARED = """\
## What is compared

Only what `expect` names is compared, so something has to be named: `"update": {}` is an error. `null` means that there
is none. Tracks are a list of the right length, each a partial object; `failure` and `doubt` are partial objects. Times
are ISO 8601, bytes are `<16 bytes>`. The names are the fields of `JobUpdate`, `NativeTrack`, `Failure` and `Doubt`
([hooks.md](hooks.md#the-values)); a name that they do not have is an error.
"""

_MISTAKES = """\
## Mistakes

Every mistake is told with file, line and JSON pointer, those of all files at once; so is an answer that was read
otherwise than expected. Both stop the tests.

```text
errors.json:7: /expect/update: nothing is compared with {}, so it proves nothing: name what has to be read
polls.json:12: /cases/1/expect/update/failure/class: Failure has no field 'class'; it has reason, message, ...
polls.json:31: polls/done: update.tracks.0.duration_s: 3.4 was read, 3.5 is expected
```
"""


def case_files_page() -> str:
    """Render the keys of the schema, its examples, and what is compared."""
    schema = musicgate_schemas.load("case")
    single, many = schema["examples"]
    expect = schema["$defs"]["expect"]["properties"]
    parts = [
        GENERATED,
        _INTRODUCTION.strip(),
        _block(single),
        _keys(schema, {name: value for name, value in schema["properties"].items() if name != "cases"}),
        "`expect` holds an update, the next request, or an error:",
        _keys(schema, expect),
        _MANY.strip(),
        _block(many),
        _COMPARED.strip(),
        _MISTAKES.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _block(example: object) -> str:
    return f"```json\n{json.dumps(example, indent=2)}\n```"


def _keys(schema: dict[str, Any], properties: dict[str, Any]) -> str:
    rows = []
    for name, value in properties.items():
        told = value["description"]
        definition = schema["$defs"].get(value.get("$ref", "").rpartition("/")[2], {})
        if "enum" in definition:
            told += f" {definition['description']}"
        rows.append((f"`{name}`", _kind(value | definition), told))
    return table(("key", "type", "meaning"), rows)


def _kind(part: dict[str, Any]) -> str:
    if "enum" in part:
        return ", ".join(f"`{json.dumps(value)}`" for value in part["enum"])
    return str(part.get("type", "any"))
