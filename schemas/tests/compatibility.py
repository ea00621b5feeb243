"""Which changes of a schema break callers or readers; knows JSON Schema, not music.

A request schema may only become wider: what was accepted stays accepted. An answer schema may only become
narrower: a reader with the old file can read what is sent now. Both are the same check, "does ``wide`` accept
everything that ``narrow`` accepts?", in opposite directions. A change that the comparison cannot decide
counts as breaking.

``python -m schemas.tests.compatibility`` records the present files as published (part of a release), unless
there is a breaking change.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from musicgate_schemas import NAMES, load

RECORD = Path(__file__).parent / "published_v1.json"
PROJECT = Path(__file__).parents[1] / "pyproject.toml"

#: Answers: a reader with an older file must be able to read them. All other schemas describe requests.
ANSWERS = frozenset(NAMES) - {"request", "options/suno", "options/elevenlabs", "options/minimax", "case"}
#: Enums of answers that may grow: readers use ``status_code`` for values that they do not know.
OPEN_LISTS = frozenset({"error/properties/error/enum"})
#: Keywords without effect on validation.
NOTES = frozenset({"title", "description", "examples", "$comment"})

_LARGER_IS_NARROWER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_SMALLER_IS_NARROWER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})
_NAMED_PARTS = ("properties", "$defs")
_PARTS = ("items", "contains", "propertyNames", "additionalProperties")

Schema = Mapping[str, Any] | bool


def breaking_changes(name: str, before: Schema, after: Schema) -> list[str]:
    """What in ``after`` breaks callers or readers of ``before``; empty if nothing does."""
    narrow, wide = (after, before) if name in ANSWERS else (before, after)
    found = [*_lost(before, after, name), *_not_accepted(narrow, wide, name)]
    return [change for change in found if change.split(":")[0] not in OPEN_LISTS]


def stripped(part: object) -> Any:
    """A schema without its notes."""
    if isinstance(part, list):
        return [stripped(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if key not in NOTES}
    return {
        key: {name: stripped(inner) for name, inner in value.items()}
        if key in _NAMED_PARTS
        else stripped(value)
        for key, value in kept.items()
    }


def published() -> dict[str, Any]:
    """The last published schemas, without their notes."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def present() -> dict[str, Any]:
    """The present schemas, in the form of `published`."""
    version = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["version"]
    return {"version": version, "schemas": {name: stripped(load(name)) for name in NAMES}}


def all_breaking_changes(before: Mapping[str, Schema], after: Mapping[str, Schema]) -> list[str]:
    """The breaking changes of a whole set of schemas."""
    gone = [f"{name}: the schema is gone" for name in before if name not in after]
    changed = [breaking_changes(name, before[name], after[name]) for name in before if name in after]
    return gone + [change for changes in changed for change in changes]


def _lost(before: object, after: object, where: str) -> Iterator[str]:
    """Names that are gone, and identities that changed."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return
    for key in ("$id", "$schema"):
        if before.get(key) != after.get(key):
            yield f"{where}/{key}: was {before.get(key)!r}, is {after.get(key)!r}"
    for group in _NAMED_PARTS:
        for name, part in before.get(group, {}).items():
            if name not in after.get(group, {}):
                yield f"{where}/{group}/{name}: is gone"
            else:
                yield from _lost(part, after[group][name], f"{where}/{group}/{name}")
    for key in _PARTS:
        yield from _lost(before.get(key), after.get(key), f"{where}/{key}")


def _not_accepted(narrow: Schema, wide: Schema, where: str) -> Iterator[str]:
    """The rules of ``wide`` that an instance accepted by ``narrow`` may break."""
    if wide is True or narrow is False or narrow == wide:
        return
    if wide is False or narrow is True:
        yield f"{where}: anything against nothing or some"
        return
    for key, rule in wide.items():
        if key in _NAMED_PARTS:
            for name in rule.keys() & narrow.get(key, {}).keys():
                yield from _not_accepted(narrow[key][name], rule[name], f"{where}/{key}/{name}")
        elif key in _PARTS:
            yield from _not_accepted(narrow.get(key, True), rule, f"{where}/{key}")
        elif key not in {"$id", "$schema"} and not _implied(key, narrow.get(key), rule):
            yield f"{where}/{key}: {narrow.get(key)!r} against {rule!r}"


def _implied(key: str, narrow: Any, wide: Any) -> bool:
    """True if ``narrow`` implies ``wide``, for one keyword; None means that there is no such rule."""
    if narrow == wide:
        return True
    if narrow is None:
        return bool(wide == [] and key == "required")
    if key == "type":
        return _types(narrow) <= _types(wide)
    if key == "enum":
        return all(value in wide for value in narrow)
    if key == "required":
        return set(wide) <= set(narrow)
    if key in _LARGER_IS_NARROWER:
        return bool(narrow >= wide)
    if key in _SMALLER_IS_NARROWER:
        return bool(narrow <= wide)
    return False


def _types(rule: str | list[str]) -> set[str]:
    types = {rule} if isinstance(rule, str) else set(rule)
    return types | {"integer"} if "number" in types else types


def main() -> None:
    """Record the present files as published."""
    now = present()
    if RECORD.exists() and (breaks := all_breaking_changes(published()["schemas"], now["schemas"])):
        sys.exit("Not recorded. This needs a new version, v2, beside the old one:\n" + "\n".join(breaks))
    RECORD.write_text(json.dumps(now, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
