"""The present schemas break nothing that was published; and the check for that finds breaking changes."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from schemas.tests import compatibility
from schemas.tests.compatibility import all_breaking_changes, present, published

#: The keyword is removed.
MISSING = "(missing)"

#: Path, new value and reported path. Callers would be refused, or lose an option.
BREAKS_CALLERS: list[tuple[str, object, str]] = [
    ("request/$id", "urn:musicgate:schema:v1:order", "request/$id"),
    ("request/$schema", "http://json-schema.org/draft-07/schema#", "request/$schema"),
    ("request/properties/title", MISSING, "request/properties/title"),
    (
        "request/properties/suno/$ref",
        "urn:musicgate:schema:v1:options:minimax",
        "request/properties/suno/$ref",
    ),
    ("request/required", ["model", "prompt"], "request/required"),
    ("request/additionalProperties", False, "request/additionalProperties"),
    ("request/properties/prompt/maxLength", 400, "request/properties/prompt/maxLength"),
    ("request/properties/seed/type", "string", "request/properties/seed/type"),
    ("request/properties/seed/minimum", 1, "request/properties/seed/minimum"),
    ("request/properties/seed/maximum", 9, "request/properties/seed/maximum"),
    ("request/properties/format/enum", ["mp3", "wav", "ogg"], "request/properties/format/enum"),
    ("request/properties/model/minLength", 2, "request/properties/model/minLength"),
    ("request/properties/metadata/maxProperties", 8, "request/properties/metadata/maxProperties"),
    ("request/properties/title/pattern", "^[a-z]*$", "request/properties/title/pattern"),
    ("request/properties/title/not", {"const": ""}, "request/properties/title/not"),
    ("request/properties/provider/properties/only", MISSING, "request/properties/provider/properties/only"),
    (
        "request/properties/provider/properties/only/items/type",
        "integer",
        "request/properties/provider/properties/only/items/type",
    ),
    ("options/minimax/properties/lyrics/maxLength", 3000, "options/minimax/properties/lyrics/maxLength"),
    ("options/suno/properties/styleWeight/type", "integer", "options/suno/properties/styleWeight/type"),
    ("options/suno", MISSING, "options/suno"),
]

#: Readers would get what the schema excluded, or miss what it promised.
BREAKS_READERS: list[tuple[str, object, str]] = [
    ("job/required", ["id", "object", "status"], "job/required"),
    ("job/properties/usage", MISSING, "job/properties/usage"),
    ("job/$defs/track", MISSING, "job/$defs/track"),
    ("job/properties/status/enum", ["queued", "paused", "completed", "failed"], "job/properties/status/enum"),
    ("job/properties/id/type", ["string", "null"], "job/properties/id/type"),
    ("job/properties/id/minLength", MISSING, "job/properties/id/minLength"),
    ("job/$defs/track/properties/index/minimum", -1, "job/$defs/track/properties/index/minimum"),
    ("job/$defs/track/anyOf", MISSING, "job/$defs/track/anyOf"),
    ("job/allOf", [], "job/allOf"),
    ("error/properties/status_code/maximum", 699, "error/properties/status_code/maximum"),
    ("error/properties/generation_id/pattern", "^.*$", "error/properties/generation_id/pattern"),
    ("plan/properties/object/const", "dry_run", "plan/properties/object/const"),
]

HARMLESS: list[tuple[str, object]] = [
    ("request/properties/tempo", {"type": "integer"}),
    ("request/$defs", {"bar": {"type": "integer"}}),
    ("request/required", []),
    ("request/properties/prompt/type", MISSING),
    ("request/properties/format/enum", ["mp3", "wav", "ogg", "aac", "flac"]),
    ("request/properties/seed/minimum", MISSING),
    ("request/properties/seed/type", "number"),
    ("request/properties/title/type", ["string", "null"]),
    ("request/properties/metadata/maxProperties", 32),
    ("options/minimax/properties/tempo", {"type": "integer"}),
    ("options/minimax/required", []),
    ("options/minimax/additionalProperties", True),
    ("options/harp", {"type": "object"}),
    ("job/properties/position", {"type": "integer"}),
    ("job/required", ["id", "object", "status", "provider", "model", "nativeResponseId", "created_at"]),
    ("job/properties/title", {"description": "New.", "type": "string"}),
    ("job/properties/status/enum", ["queued", "in_progress", "completed"]),
    ("error/properties/error/enum", ["rate_limited"]),
]


def changed(path: str, value: object) -> dict[str, Any]:
    """The published schemas with one change."""
    schemas: dict[str, Any] = deepcopy(published()["schemas"])
    name = next((name for name in schemas if path == name or path.startswith(f"{name}/")), path)
    steps = [name, *path.removeprefix(name).split("/")[1:]]
    part = schemas
    for step in steps[:-1]:
        part = part[step]
    if value == MISSING:
        del part[steps[-1]]
    else:
        part[steps[-1]] = value
    return schemas


def test_present_files_break_nothing_that_was_published() -> None:
    """Change the file back, or publish the new one as v2 beside the old one."""
    assert all_breaking_changes(published()["schemas"], present()["schemas"]) == []


def test_record_is_of_this_version() -> None:
    """Record a new version of the distribution with `python -m schemas.tests.compatibility`."""
    assert published()["version"] == present()["version"]


@pytest.mark.parametrize(("path", "value", "reported"), BREAKS_CALLERS + BREAKS_READERS, ids=str)
def test_breaking_change_is_reported(path: str, value: object, reported: str) -> None:
    found = all_breaking_changes(published()["schemas"], changed(path, value))
    assert [change.split(":")[0] for change in found] == [reported]


@pytest.mark.parametrize(("path", "value"), HARMLESS, ids=str)
def test_harmless_change_is_not_reported(path: str, value: object) -> None:
    assert all_breaking_changes(published()["schemas"], changed(path, value)) == []


def test_addition_is_recorded_and_a_breaking_change_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "published.json"
    record.write_bytes(compatibility.RECORD.read_bytes())
    monkeypatch.setattr(compatibility, "RECORD", record)
    longer = {"version": "8", "schemas": changed("request/properties/tempo", {"type": "integer"})}
    monkeypatch.setattr(compatibility, "present", lambda: longer)
    compatibility.main()
    assert published() == longer
    monkeypatch.setattr(compatibility, "present", lambda: {"version": "9", "schemas": {}})
    with pytest.raises(SystemExit, match="request: the schema is gone"):
        compatibility.main()
    assert published() == longer


def test_notes_are_stripped_and_properties_with_the_name_of_a_note_are_kept() -> None:
    schema = {"title": "T", "properties": {"title": {"description": "D", "type": "string"}}}
    assert compatibility.stripped(schema) == {"properties": {"title": {"type": "string"}}}
