"""The declaration: models, prices, limits, time-outs."""

from decimal import Decimal

import pytest

import musicgate_minimax
import musicgate_schemas
from musicgate.model import Ability, Meter
from musicgate.planning.routing import find_offer
from musicgate.testing.rehearsal import Rehearsal

PROVIDER = Rehearsal("minimax", musicgate_minimax).provider


def test_offered_models() -> None:
    assert [offer.model for offer in PROVIDER.offers] == [
        "minimax/music",
        "minimax/music-1.5",
        "minimax/music-2.0",
        "minimax/music-2.5",
        "minimax/music-2.5+",
        "minimax/music-2.6",
        "minimax/music-2.6-free",
        "minimax/music-3.0",
        "minimax/music-3.0-free",
        "minimax/music-cover",
        "minimax/music-cover-free",
    ]


def test_create_call_is_blocking_and_its_answer_may_be_large() -> None:
    assert PROVIDER.blocking
    assert PROVIDER.timeouts.create_s == 600.0
    assert PROVIDER.deadline_s > PROVIDER.timeouts.create_s
    assert PROVIDER.max_answer_bytes == 67_108_864
    assert PROVIDER.retention_s == 86_400.0
    assert (PROVIDER.key_env, PROVIDER.base_url_env) == ("MINIMAX_API_KEY", "MINIMAX_BASE_URL")
    assert PROVIDER.base_url == "https://api.minimax.io"
    assert (PROVIDER.auth.header, PROVIDER.auth.value("k")) == ("Authorization", "Bearer k")
    assert PROVIDER.options_schema == musicgate_schemas.load("options/minimax")


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("music", "0.15"),
        ("music-2.5", "0.15"),
        ("music-2.5+", "0.15"),
        ("music-2.6", "0.15"),
        ("music-3.0", "0.15"),
        ("music-1.5", None),
        ("music-2.0", None),
        ("music-2.6-free", None),
        ("music-3.0-free", None),
        ("music-cover", None),
        ("music-4", None),
    ],
)
def test_model_with_a_published_price_declares_it(model: str, price: str | None) -> None:
    offer = find_offer(PROVIDER, f"minimax/{model}")
    assert offer is not None
    found = [(rule.meter, rule.price_usd, rule.unit_size) for rule in offer.prices]
    assert found == ([] if price is None else [(Meter.REQUESTS, Decimal(price), Decimal(1))])


@pytest.mark.parametrize(
    ("model", "prompt", "lyrics", "has", "lacks"),
    [
        ("music-2.6", 2000, 3500, Ability.INSTRUMENTAL, Ability.SEED),
        ("music-2.5", 2000, 3500, Ability.INSTRUMENTAL, Ability.DURATION),
        ("music-2.0", 2000, 3000, Ability.LYRICS, Ability.INSTRUMENTAL),
        ("music-1.5", 300, 3000, Ability.STYLE, Ability.INSTRUMENTAL),
        ("music-cover", 300, 1000, Ability.SEED, Ability.INSTRUMENTAL),
    ],
)
def test_offer_declares_limits_and_abilities(
    model: str, prompt: int, lyrics: int, has: Ability, lacks: Ability
) -> None:
    offer = find_offer(PROVIDER, f"minimax/{model}")
    assert offer is not None
    assert (offer.limits.prompt_chars, offer.limits.lyrics_chars) == (prompt, lyrics)
    assert offer.formats == ("mp3", "wav")
    assert has in offer.abilities
    assert lacks not in offer.abilities


def test_raw_model_keeps_its_spelling() -> None:
    offer = find_offer(PROVIDER, "MiniMax/Music-9-Preview")
    assert offer is not None
    assert offer.native_model == "Music-9-Preview"
