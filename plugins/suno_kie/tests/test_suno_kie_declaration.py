"""The declaration: ids, limits, prices, settings."""

from __future__ import annotations

from decimal import Decimal

import pytest

import musicgate_schemas
import musicgate_suno_kie
from musicgate.model import (
    Ability,
    JsonObject,
    Meter,
    ProviderSettings,
)
from musicgate_suno_kie.declaration import PROVIDER, SETTINGS_SCHEMA, is_market


@pytest.mark.parametrize(
    ("model", "native"),
    [
        ("suno/v4", "V4"),
        ("suno/suno-v4", "V4"),
        ("V4", "V4"),
        ("suno/v4.5", "V4_5"),
        ("suno/suno-v4.5", "V4_5"),
        ("suno/v4.5plus", "V4_5PLUS"),
        ("Suno/V4.5+", "V4_5PLUS"),
        ("suno/suno-v4.5+", "V4_5PLUS"),
        ("V4_5PLUS", "V4_5PLUS"),
        ("suno/V4_5PLUS", "V4_5PLUS"),
        ("suno/v4.5all", "V4_5ALL"),
        ("suno/v4.5-all", "V4_5ALL"),
        ("suno/suno-v4.5-all", "V4_5ALL"),
        ("suno/v5", "V5"),
        ("suno/suno-v5", "V5"),
        ("suno/v5.5", "V5_5"),
        ("suno/v6", "V6"),
        ("suno/v6-mini", "V6_MINI"),
        ("suno/V6_WILD", "V6_WILD"),
    ],
)
def test_public_id_selects_one_native_model(model: str, native: str) -> None:
    assert [offer.native_model for offer in PROVIDER.offers if offer.answers_to(model)] == [native]


@pytest.mark.parametrize(
    ("native", "idea", "lyrics", "style", "title", "max_duration_s", "takes_duration"),
    [
        ("V4", 500, 3000, 200, 80, 240, False),
        ("V4_5", 500, 5000, 1000, 80, 480, False),
        ("V4_5PLUS", 500, 5000, 1000, 80, 480, False),
        ("V4_5ALL", 500, 5000, 1000, 80, 480, False),
        ("V5", 500, 5000, 1000, 80, None, False),
        ("V5_5", 500, 5000, 1000, 80, 360, True),
        ("V6", 3000, 5000, 1000, 80, 360, True),
        ("V6_MINI", 3000, 5000, 1000, 80, 360, True),
        ("V6_WILD", 3000, 5000, 1000, 80, 360, True),
    ],
)
def test_limits_are_those_of_the_vendors_table(
    *,
    native: str,
    idea: int,
    lyrics: int,
    style: int,
    title: int,
    max_duration_s: float | None,
    takes_duration: bool,
) -> None:
    offer = next(offer for offer in PROVIDER.offers if offer.native_model == native)
    limits = offer.limits
    assert (limits.prompt_chars, limits.lyrics_chars, limits.style_chars, limits.title_chars) == (
        idea,
        lyrics,
        style,
        title,
    )
    assert limits.max_duration_s == max_duration_s
    assert (Ability.DURATION in offer.abilities) is takes_duration


def test_a_request_costs_six_cents_and_gives_two_tracks() -> None:
    for offer in PROVIDER.offers:
        assert offer.tracks == 2
        assert [(rule.meter, rule.price_usd, rule.unit_size) for rule in offer.prices] == [
            (Meter.REQUESTS, Decimal("0.06"), Decimal(1))
        ]


def test_every_offer_has_the_same_abilities_except_duration() -> None:
    texts = {Ability.LYRICS, Ability.STYLE, Ability.TITLE, Ability.NEGATIVE_STYLE}
    for offer in PROVIDER.offers:
        assert offer.abilities - {Ability.DURATION} == texts | {Ability.INSTRUMENTAL, Ability.VOCAL_GENDER}
        assert offer.formats == ("mp3",)


def test_declaration_has_the_documented_environment_and_times() -> None:
    assert (PROVIDER.name, PROVIDER.plugin, PROVIDER.base_url) == ("suno", "suno_kie", "https://api.kie.ai")
    assert (PROVIDER.key_env, PROVIDER.base_url_env) == ("KIE_API_KEY", "KIE_BASE_URL")
    assert PROVIDER.webhook_secret_env == "KIE_WEBHOOK_HMAC_KEY"
    assert PROVIDER.auth.value("test-key-not-real") == "Bearer test-key-not-real"
    assert PROVIDER.option_block == "suno"
    assert PROVIDER.options_schema == musicgate_schemas.load("options/suno")
    assert PROVIDER.callbacks
    assert not PROVIDER.blocking
    assert PROVIDER.retention_s == 86_400
    assert (PROVIDER.poll.first_s, PROVIDER.poll.min_s, PROVIDER.poll.max_s) == (5, 5, 15)
    assert (PROVIDER.timeouts.connect_s, PROVIDER.timeouts.create_s, PROVIDER.timeouts.read_s) == (10, 60, 30)
    assert musicgate_suno_kie.HOOK_API == 1


def test_default_priority_comes_before_other_suno_plugins() -> None:
    assert PROVIDER.priority == 50


def test_every_setting_has_a_default() -> None:
    properties = SETTINGS_SCHEMA["properties"]
    assert isinstance(properties, dict)
    assert {name: schema["default"] for name, schema in properties.items()} == {
        "dialect": "legacy",
        "flavour": "kie",
        "market_lyrics_field": "lyrics",
        "derive_cdn_urls": False,
    }


@pytest.mark.parametrize(
    ("native", "options", "market"),
    [
        ("V5", {}, False),
        ("V5", {"dialect": "legacy"}, False),
        ("V5", {"dialect": "market"}, True),
        (None, {"dialect": "market"}, True),
        ("V6", {"dialect": "legacy"}, True),
        ("v6_mini", {}, True),
        ("V6", {"flavour": "sunoapi"}, False),
        ("V5", {"flavour": "sunoapi", "dialect": "market"}, False),
    ],
)
def test_model_and_settings_choose_the_dialect(
    native: str | None, options: JsonObject, *, market: bool
) -> None:
    assert is_market(native, ProviderSettings(base_url="https://api.kie.ai", options=options)) is market
