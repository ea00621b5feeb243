"""What the planner refuses although the schema does not, and whom a create call asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from musicgate import (
    Failure,
    FailureClass,
    MusicRequest,
    Offer,
    ProviderSettings,
    Translation,
    hookimpl,
)
from musicgate.engine.breaker import LEAST_CALLS
from musicgate.errors import InvalidRequestError, RequestError
from musicgate.gateway.accept import Submission, choose
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


class CountingVendor(FakeVendor):
    """Counts how often it translates."""

    translations = 0

    @hookimpl
    def translate_request(
        self, request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        self.translations += 1
        return super().translate_request(request, offer, settings, callback_url)


@pytest.mark.parametrize(
    ("fields", "keyless", "asked", "translated_at_once"),
    [
        ({}, (), ["one", "two"], {"one": 1, "two": 0}),
        ({"provider": {"order": ["two"]}}, (), ["two", "one"], {"one": 0, "two": 1}),
        ({}, ("one",), ["two"], {"one": 0, "two": 1}),
        ({"fake": {"refuse": "two"}}, (), ["one"], {"one": 1, "two": 0}),
        ({"fake": {"refuse": "one"}}, (), ["two"], {"one": 2, "two": 1}),
        ({"seed": 1}, (), ["two", "one"], {"one": 2, "two": 1}),
        ({"seed": 1, "provider": {"only": ["one"]}}, (), ["one"], {"one": 1, "two": 0}),
    ],
    ids=[
        "only the first is translated",
        "the first in the caller's order",
        "the first that has a key",
        "another one that refuses is left out when it is needed",
        "all where the first refuses",
        "all where the first cannot follow to the letter",
        "the only one, although it cannot follow to the letter",
    ],
)
async def test_call_asks_the_planned_providers_and_translates_only_for_those_it_needs(
    tmp_path: Path,
    fields: dict[str, Any],
    keyless: tuple[str, ...],
    asked: list[str],
    translated_at_once: dict[str, int],
) -> None:
    one, two = CountingVendor("one", priority=1), CountingVendor("two", priority=2, takes_seed=True)
    async with rig_of(tmp_path, one, two, store=MemoryJobStore(), keyless=keyless) as rig:
        request = rig.gate.read({"model": MODEL, "prompt": "jazz", **fields})
        submission = Submission(
            request=request,
            explain=False,
            wait_s=0.0,
            account="local",
            generation_id=None,
            strict=False,
            beta_channel=False,
            idempotency=None,
        )
        choice, _ = choose(rig.context, submission, rig.clock.steady(), None)
        assert {"one": one.translations, "two": two.translations} == translated_at_once
        assert [candidate.installed.name for candidate in choice] == asked
        planned = [candidate.installed.name for candidate in rig.gate.plan(request).candidates]
        assert asked == [name for name in planned if name not in keyless]


async def test_provider_whose_breaker_is_open_is_asked_after_the_others(tmp_path: Path) -> None:
    one, two = CountingVendor("one", priority=1), CountingVendor("two", priority=2)
    async with rig_of(tmp_path, one, two, store=MemoryJobStore()) as rig:
        gone = Failure(reason=FailureClass.UNAVAILABLE, message="away")
        for _ in range(LEAST_CALLS):
            rig.context.health["one"].note_call(gone, rig.clock.steady())
        rig.transport.script("two", {"id": "n-1"})
        job = await rig.submit()
        assert (job.plugin, one.translations) == ("two", 0)


async def test_an_integer_beyond_64_bits_is_accepted(rig: Rig) -> None:
    request = rig.gate.read({"model": MODEL, "prompt": "jazz", "fake": {"number": 2**70}})
    assert request.block("fake") == {"number": 2**70}
