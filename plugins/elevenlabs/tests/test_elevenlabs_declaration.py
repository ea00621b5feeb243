"""What Eleven Music declares: names, models, prices, time-outs."""

from decimal import Decimal

import pytest

import musicgate_elevenlabs
import musicgate_schemas
from musicgate.model import (
    Ability,
    HeaderAuth,
    Meter,
    PriceRule,
)
from musicgate.planning.routing import find_offer, names_of
from musicgate.testing.rehearsal import Rehearsal, settings_defaults
from musicgate_elevenlabs.declaration import provider


@pytest.mark.parametrize(
    ("asked", "native"),
    [
        ("elevenlabs/music", None),
        ("eleven-labs/music", None),
        ("ElevenLabs/Music", None),
        ("elevenlabs/music_v1", "music_v1"),
        ("eleven-labs/music_v2", "music_v2"),
        ("elevenlabs/MUSIC_V2_5", "music_v2_5"),
    ],
)
def test_models_answer_to_their_ids(asked: str, native: str | None) -> None:
    offer = find_offer(provider(), asked)
    assert offer is not None
    assert offer.native_model == native


@pytest.mark.parametrize("asked", ["elevenlabs/music_v9", "music_v2", "suno/v5"])
def test_nothing_else_is_offered(asked: str) -> None:
    assert find_offer(provider(), asked) is None


def test_every_offer_costs_fifteen_cents_a_generated_minute() -> None:
    minute = PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.15"), unit_size=Decimal(60))
    assert [offer.prices for offer in provider().offers] == [(minute,)] * 4


def test_the_call_lasts_as_long_as_the_song() -> None:
    declared = provider()
    assert declared.blocking
    assert declared.timeouts.create_s == 600
    assert declared.deadline_s > declared.timeouts.create_s
    assert declared.max_parallel_creates == 2


def test_ten_minutes_of_the_largest_samples_fit_into_an_answer() -> None:
    assert provider().max_answer_bytes > 600 * 48_000 * 2 * 2 + 1_000_000


def test_key_and_address_come_from_the_documented_places() -> None:
    declared = provider()
    assert declared.auth == HeaderAuth(header="xi-api-key", scheme="")
    assert (declared.key_env, declared.base_url_env) == ("ELEVENLABS_API_KEY", "ELEVENLABS_BASE_URL")
    assert declared.base_url == "https://api.elevenlabs.io"


def test_everything_but_a_title_can_be_asked_for() -> None:
    assert {frozenset(Ability) - offer.abilities for offer in provider().offers} == {
        frozenset({Ability.TITLE})
    }
    assert {offer.formats for offer in provider().offers} == {("mp3", "wav", "ogg")}


def test_the_options_are_the_published_ones_and_the_settings_have_defaults() -> None:
    declared = provider()
    assert declared.options_schema == musicgate_schemas.load("options/elevenlabs")
    assert settings_defaults(declared) == {"default_model": "music_v2"}


def test_names_are_known_in_both_spellings() -> None:
    assert names_of(provider()) == {"elevenlabs", "eleven-labs"}


def test_the_module_is_a_plugin_that_cannot_be_polled_or_cancelled() -> None:
    stage = Rehearsal("elevenlabs", musicgate_elevenlabs)
    assert stage.plugin.name == "elevenlabs"
    assert not hasattr(musicgate_elevenlabs, "poll_request")
    assert not hasattr(musicgate_elevenlabs, "cancel_request")
