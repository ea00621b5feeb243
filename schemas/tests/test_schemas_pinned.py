"""Every constraint of v1 as it was published: one that changes must change here too, by somebody's decision.

``published_v1.txt`` has a line for each constraint, ``<schema> <JSON pointer> <value>``, in the order of the files.
A new line is an addition; a line that goes or becomes narrower for a caller needs new ``$id``s.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from musicgate_schemas import NAMES, load

PUBLISHED = (Path(__file__).parent / "published_v1.txt").read_text(encoding="utf-8").splitlines()
ANNOTATIONS = frozenset({"title", "description", "examples", "$comment", "$schema"})
NAMED_PARTS = frozenset({"properties", "$defs"})


def constraints(part: object, pointer: str = "") -> Iterator[str]:
    """Each keyword that decides something, with where it stands."""
    if not isinstance(part, dict):
        yield f"{pointer} {json.dumps(part)}"
        return
    if not part.keys() - ANNOTATIONS:
        yield f"{pointer} true"
    for key, value in part.items():
        here = f"{pointer}/{key}"
        if key in ANNOTATIONS:
            continue
        if key in NAMED_PARTS:
            for name, inner in value.items():
                yield from constraints(inner, f"{here}/{name}")
        elif key in {"allOf", "anyOf"}:
            for index, inner in enumerate(value):
                yield from constraints(inner, f"{here}/{index}")
        else:
            yield from constraints(value, here)


@pytest.mark.parametrize("name", NAMES)
def test_constraints_are_the_published_ones(name: str) -> None:
    published = [line.removeprefix(f"{name} ") for line in PUBLISHED if line.startswith(f"{name} ")]
    assert list(constraints(load(name))) == published


def test_every_published_line_belongs_to_a_schema() -> None:
    assert {line.split(" ", 1)[0] for line in PUBLISHED} == set(NAMES)
