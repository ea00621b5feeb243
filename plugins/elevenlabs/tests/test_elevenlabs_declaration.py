"""The declaration: names, models, prices, time-outs."""

from decimal import Decimal

import pytest

import musicgate_schemas
from musicgate.model import (
    Ability,
    HeaderAuth,
    Meter,
    PriceRule,
)
from musicgate.planning.routing import find_offer, names_of
from musicgate.testing.rehearsal import settings_defaults
from musicgate_elevenlabs.declaration import provider


@pytest.mark.parametrize(
    ("model", "native_model"),
    [
        ("elevenlabs/music", None),
        ("eleven-labs/music", None),
        ("ElevenLabs/Music", None),
        ("elevenlabs/music_v1", "music_v1"),
        ("eleven-labs/music_v2", "music_v2"),
        ("elevenlabs/MUSIC_V2_5", "music_v2_5"),
    ],
)
def test_model_answers_to_its_ids(model: str, native_model: str | None) -> None:
    offer = find_offer(provider(), model)
    assert offer is not None
    assert offer.native_model == native_model


@pytest.mark.parametrize("model", ["elevenlabs/music_v9", "music_v2", "suno/v5"])
def test_other_models_are_not_offered(model: str) -> None:
    assert find_offer(provider(), model) is None


def test_every_offer_costs_fifteen_cents_a_generated_minute() -> None:
    minute = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.15"), unit_size=Decimal(60))
    assert [offer.prices for offer in provider().offers] == [(minute,)] * 4


def test_create_call_is_blocking_and_may_last_ten_minutes() -> None:
    declared = provider()
    assert declared.blocking
    assert declared.timeouts.create_s == 600
    assert declared.deadline_s > declared.timeouts.create_s
    assert declared.max_parallel_creates == 2


def test_answer_may_hold_ten_minutes_of_the_largest_samples() -> None:
    assert provider().max_answer_bytes > 600 * 48_000 * 2 * 2 + 1_000_000


def test_key_and_base_url_are_those_of_the_documentation() -> None:
    declared = provider()
    assert declared.auth == HeaderAuth(header="xi-api-key", scheme="")
    assert (declared.key_env, declared.base_url_env) == ("ELEVENLABS_API_KEY", "ELEVENLABS_BASE_URL")
    assert declared.base_url == "https://api.elevenlabs.io"


def test_offers_have_all_abilities_but_the_title() -> None:
    assert {frozenset(Ability) - offer.abilities for offer in provider().offers} == {
        frozenset({Ability.TITLE})
    }
    assert {offer.formats for offer in provider().offers} == {("mp3", "wav", "ogg")}


def test_options_schema_is_the_published_one_and_settings_have_defaults() -> None:
    declared = provider()
    assert declared.options_schema == musicgate_schemas.load("options/elevenlabs")
    assert settings_defaults(declared) == {"default_model": "music_v2"}


def test_provider_has_both_spellings_of_its_name() -> None:
    assert names_of(provider()) == {"elevenlabs", "eleven-labs"}
