from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicgate import Offer, Provider
from musicgate.model import Ability, RoutingOptions, Stage
from musicgate.planning.routing import (
    OfferIndex,
    Route,
    find_offer,
    fold_name,
    names_of,
    strip_suffix,
)

SONG = Offer(
    model="suno/v4.5plus",
    native_model="V4_5PLUS",
    aliases=("suno/v4.5+", "V4_5PLUS"),
    abilities=frozenset({Ability.STYLE}),
)


def provider(plugin: str, name: str = "suno", **more: object) -> Provider:
    declared = Provider(
        name=name,
        plugin=plugin,
        label=plugin,
        base_url="https://vendor.test",
        key_env="KEY",
        base_url_env="URL",
        offers=(SONG,),
        option_block=name,
        options_schema={},
    )
    return attrs.evolve(declared, **more)  # type: ignore[arg-type]  # a test's own fields


KIE = provider("suno_kie", priority=10)
APIIN = provider("apiin_one", priority=20)
ELEVEN = provider("elevenlabs", "elevenlabs", aliases=("eleven-labs",), priority=30)
ALL = (ELEVEN, APIIN, KIE)


def route(
    model: str = "suno/v4.5plus", *, beta: bool = False, providers: Sequence[Provider] = ALL, **options: Any
) -> Route:
    return OfferIndex(providers).route(model, RoutingOptions(**options), beta_channel=beta)


def plugins(found: Route) -> list[str]:
    return [candidate.plugin for candidate in found.candidates]


def reasons(found: Route) -> dict[str, str]:
    return {item.plugin: item.reason for item in found.excluded}


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        (" Suno_Kie ", "suno-kie"),
        ("SUNO--KIE", "suno-kie"),
        ("eleven labs", "eleven-labs"),
        ("R&B Music", "randb-music"),
        ("--suno--", "suno"),
        ("ß", ""),
        ("", ""),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    assert fold_name(name) == folded


@given(st.text())
def test_folding_twice_is_folding_once(name: str) -> None:
    assert fold_name(fold_name(name)) == fold_name(name)


@pytest.mark.parametrize(
    ("model", "stripped"),
    [
        (" suno/v5 ", "suno/v5"),
        ("suno/v5:nitro", "suno/v5"),
        ("suno/v5:FAST", "suno/v5"),
        ("suno/v5:quick", "suno/v5"),
        ("suno/v5:free", "suno/v5:free"),
        ("suno:fast/v5", "suno:fast/v5"),
    ],
)
def test_speed_suffixes_come_off(model: str, stripped: str) -> None:
    assert strip_suffix(model) == stripped


def test_names_of_a_provider() -> None:
    assert names_of(KIE) == {"suno", "suno-kie"}
    assert names_of(ELEVEN) == {"elevenlabs", "eleven-labs"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["suno_kie", "apiin_one", "elevenlabs"]),
        ({"order": ("elevenlabs",)}, ["elevenlabs", "suno_kie", "apiin_one"]),
        ({"order": ("Apiin One", "unknown", "Eleven_Labs")}, ["apiin_one", "elevenlabs", "suno_kie"]),
        ({"order": ("suno",)}, ["suno_kie", "apiin_one", "elevenlabs"]),
        ({"order": ("elevenlabs", "suno")}, ["elevenlabs", "suno_kie", "apiin_one"]),
        ({"only": ("suno",)}, ["suno_kie", "apiin_one"]),
        ({"only": ("SUNO-KIE",)}, ["suno_kie"]),
        ({"only": ("eleven labs",)}, ["elevenlabs"]),
        ({"only": ()}, []),
        ({"only": ("unknown",)}, []),
        ({"ignore": ("suno",)}, ["elevenlabs"]),
        ({"ignore": ("suno kie",)}, ["apiin_one", "elevenlabs"]),
        ({"only": ("suno",), "ignore": ("suno_kie",)}, ["apiin_one"]),
        ({"only": ("suno",), "order": ("apiin_one",)}, ["apiin_one", "suno_kie"]),
        ({"order": ("elevenlabs",), "ignore": ("elevenlabs",)}, ["suno_kie", "apiin_one"]),
    ],
)
def test_callers_lists_choose_and_order(options: dict[str, Any], expected: list[str]) -> None:
    found = route(**options)
    assert plugins(found) == expected
    assert found.offered
    assert set(reasons(found)) == {"suno_kie", "apiin_one", "elevenlabs"} - set(expected)


def test_each_exclusion_has_its_reason() -> None:
    assert reasons(route(only=("suno_kie",))) == {"apiin_one": "not_in_only", "elevenlabs": "not_in_only"}
    assert reasons(route(ignore=("suno",))) == {"suno_kie": "ignored", "apiin_one": "ignored"}
    assert reasons(route("no/model")) == dict.fromkeys(
        ("suno_kie", "apiin_one", "elevenlabs"), "model_not_offered"
    )
    assert all(item.message for item in route("no/model").excluded)


def test_model_without_an_offer_and_filter_without_a_match_differ() -> None:
    assert not route("no/model").offered
    assert route(only=("unknown",)).offered


@pytest.mark.parametrize(
    ("stage", "alpha", "beta", "reason"),
    [
        (Stage.ACTIVE, False, False, None),
        (Stage.BETA, False, False, "beta_channel_only"),
        (Stage.BETA, True, False, "beta_channel_only"),
        (Stage.BETA, False, True, None),
        (Stage.ALPHA, False, False, "alpha_not_included"),
        (Stage.ALPHA, False, True, "alpha_not_included"),
        (Stage.ALPHA, True, False, None),
        (Stage.NOT_READY, True, True, "not_ready"),
    ],
)
def test_maturity_decides_who_may_be_asked(
    stage: Stage, *, alpha: bool, beta: bool, reason: str | None
) -> None:
    found = route(beta=beta, providers=[attrs.evolve(KIE, stage=stage)], include_alpha=alpha)
    assert reasons(found).get("suno_kie") == reason
    assert bool(found.candidates) is (reason is None)


def test_operators_order_then_the_name() -> None:
    same = [provider(name, priority=5) for name in ("c", "a", "b")]
    assert plugins(route(providers=same)) == ["a", "b", "c"]


def test_at_most_five_are_tried_and_the_callers_order_decides_which() -> None:
    seven = [provider(f"p{number}", priority=number) for number in range(7)]
    found = route(providers=seven, order=("p6",))
    assert plugins(found) == ["p6", "p0", "p1", "p2", "p3"]
    assert reasons(found) == {"p4": "too_many_candidates", "p5": "too_many_candidates"}


@pytest.mark.parametrize("model", ["suno/v4.5plus", "SUNO/V4.5PLUS", " suno/v4.5+ ", "v4_5plus"])
def test_model_is_found_by_id_and_alias_in_any_case(model: str) -> None:
    assert find_offer(KIE, model) is SONG


RAW = attrs.evolve(KIE, raw_models=True)


@pytest.mark.parametrize("model", ["suno/V6_Turbo", "Suno_Kie/V6_Turbo"])
def test_raw_model_of_a_vendor_that_takes_any(model: str) -> None:
    assert find_offer(RAW, model) == Offer(
        model=model.lower(),
        native_model="V6_Turbo",
        abilities=frozenset({Ability.STYLE}),
        formats=("mp3",),
    )


@pytest.mark.parametrize("model", ["elevenlabs/V6", "suno/", "V6", "/V6", ""])
def test_raw_model_needs_the_vendors_name_and_a_model(model: str) -> None:
    assert find_offer(RAW, model) is None


def test_listed_model_wins_over_a_raw_one() -> None:
    assert find_offer(RAW, "suno/v4.5plus") is SONG
    assert find_offer(KIE, "suno/V6") is None


def test_rank_in_the_callers_order() -> None:
    index = OfferIndex([ELEVEN, KIE, APIIN])
    plugins_in_order = ("elevenlabs", "suno_kie", "apiin_one")
    assert [index.rank(plugin, ("elevenlabs", "suno")) for plugin in plugins_in_order] == [0, 1, 1]
    assert index.rank("suno_kie", ("x", "y")) == 2
    assert index.rank("suno_kie", ()) == 0


def test_first_of_two_offers_with_the_same_alias_counts() -> None:
    other = attrs.evolve(SONG, model="suno/other")
    assert find_offer(attrs.evolve(KIE, offers=(SONG, other)), SONG.aliases[0]) is SONG


def test_offer_of_a_plugin_that_is_gone_is_none() -> None:
    assert OfferIndex([KIE]).offer_of("apiin_one", "suno/v4.5plus") is None


def test_raw_model_is_offered_only_where_no_provider_lists_it() -> None:
    raw = attrs.evolve(RAW, plugin="raw", offers=())
    index = OfferIndex([KIE, raw])
    assert list(index.offers("suno/v4.5plus")) == ["suno_kie"]
    assert list(index.offers("suno/V9")) == ["raw"]
