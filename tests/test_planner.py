"""What the planner refuses although the schema of requests does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from musicgate.errors import InvalidRequestError, RequestError
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, FakeVendor, Rig, rig_of


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path, FakeVendor(), store=MemoryJobStore()) as made:
        yield made


@pytest.mark.parametrize("body", [[{"model": MODEL}], "text", 7, None])
async def test_a_body_that_is_no_object_is_one_violation(rig: Rig, body: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        rig.gate.read(body)
    violations = [(violation.path, violation.code, violation.params) for violation in caught.value.violations]
    assert violations == [((), "invalid_type", {"type": "object"})]


@pytest.mark.parametrize("text", ["\ud83c", "\udfff\ud800", "a \udfb5"])
@pytest.mark.parametrize(
    "place",
    [
        lambda text: {"prompt": text},
        lambda text: {"model": text},
        lambda text: {"lyrics": text},
        lambda text: {"fake": {"deep": [{"mood": text}]}},
        lambda text: {"fake": {text: 1}},
        lambda text: {text: 1},
    ],
    ids=["prompt", "model", "lyrics", "option", "key of an option", "unknown key"],
)
async def test_half_of_a_surrogate_pair_is_refused_since_utf_8_cannot_hold_it(
    rig: Rig, place: Any, text: str
) -> None:
    with pytest.raises(RequestError, match="half of a surrogate pair") as caught:
        rig.gate.read({"model": MODEL, "prompt": "jazz", **place(text)})
    assert caught.value.code == "validation_error"


async def test_other_odd_characters_are_accepted(rig: Rig) -> None:
    request = rig.gate.read({"model": MODEL, "prompt": "\U0001f3b5 rain \x00", "lyrics": "音楽\u2028"})
    assert (request.prompt, request.lyrics) == ("\U0001f3b5 rain \x00", "音楽\u2028")
