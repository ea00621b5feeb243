"""Which name a misspelt one is close to, and whom a suggestion may tell which name."""

from pathlib import Path

import attrs
import pytest

from musicgate import ConfigError, RequestError
from musicgate.hosting.discovery import load_plugins
from musicgate.hosting.installed import installed_providers
from musicgate.model import Offer, Provider, RoutingOptions, Stage
from musicgate.planning.routing import OfferIndex
from musicgate.settings import Settings
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.text import closest, did_you_mean
from tests.fake_vendor import FakeVendor, rig_of

ACTIVE = Provider(
    name="suno",
    plugin="suno_kie",
    label="Suno",
    base_url="https://vendor.test",
    key_env="KEY",
    base_url_env="URL",
    offers=(Offer(model="suno/v5", native_model="V5", aliases=("suno/five",)),),
    option_block="suno",
    options_schema={},
)
HIDDEN = attrs.evolve(
    ACTIVE,
    name="nightly",
    plugin="nightly",
    offers=(Offer(model="nightly/v9", native_model="V9"),),
)
ANY = RoutingOptions()


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("suno/v6", "suno/v5"),
        ("SUNO/V5 ", "suno/v5"),
        ("elevenlab", "elevenlabs"),
        ("sing", None),
        ("", None),
        ("suno/v5" * 100, None),
    ],
)
def test_only_a_close_name_is_suggested(word: str, found: str | None) -> None:
    assert closest(word, ["suno/v5", "elevenlabs", "minimax"]) == found


def test_suggestion_keeps_the_spelling_of_the_known_name() -> None:
    assert did_you_mean("musicgate_confg", ["MUSICGATE_CONFIG"]) == "; did you mean MUSICGATE_CONFIG?"
    assert did_you_mean("wobble", ["MUSICGATE_CONFIG"]) == ""


@pytest.mark.parametrize(
    ("stage", "alpha", "beta", "is_told"),
    [
        (Stage.ACTIVE, False, False, True),
        (Stage.BETA, True, False, False),
        (Stage.BETA, False, True, True),
        (Stage.ALPHA, False, True, False),
        (Stage.ALPHA, True, False, True),
        (Stage.NOT_READY, True, True, False),
    ],
)
def test_names_that_the_account_may_not_use_are_not_suggested(
    stage: Stage, *, alpha: bool, beta: bool, is_told: bool
) -> None:
    index = OfferIndex([ACTIVE, attrs.evolve(HIDDEN, stage=stage)])
    options = RoutingOptions(include_alpha=alpha)
    model = index.closest_model("nightly/v8", options, beta_channel=beta)
    named = index.closest_provider("nightlie", options, beta_channel=beta)
    assert (model, named) == (("nightly/v9", "nightly") if is_told else (None, None))


def test_suggested_model_is_one_that_the_filter_leaves() -> None:
    index = OfferIndex([ACTIVE, HIDDEN])
    assert index.closest_model("suno/v6", ANY) == "suno/v5"
    assert index.closest_model("suno/fife", ANY) == "suno/five"
    assert index.closest_model("suno/v6", RoutingOptions(only=("nightly",))) is None


def test_installed_provider_that_is_filtered_out_is_no_misspelling() -> None:
    index = OfferIndex([ACTIVE, attrs.evolve(HIDDEN, plugin="suno_kia")])
    assert index.closest_provider("suno_kia", ANY) is None
    assert index.closest_provider("sunokie", RoutingOptions(only=("sunokie",))) == "suno_kie"


async def test_refusal_names_the_model_and_the_provider_that_were_meant(tmp_path: Path) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore()) as rig:
        offered = rig.gate.providers()[0].provider
        model = offered.offers[0].model
        with pytest.raises(RequestError) as unknown:
            rig.gate.plan(rig.gate.read({"model": f"{model}x"}))
        with pytest.raises(RequestError) as filtered:
            rig.gate.plan(rig.gate.read({"model": model, "provider": {"only": ["onne", "unlike"]}}))
    listed = "GET /v1/music/models lists what there is"
    assert unknown.value.message == f"no provider offers {model}x for music; did you mean {model}? {listed}"
    expected = "no provider is left (did you mean one, not onne?): one: not among provider.only"
    assert (filtered.value.message, filtered.value.reason) == (expected, "no_provider_matches")


def test_settings_of_an_unknown_plugin_name_the_close_one() -> None:
    host = load_plugins({"suno_one": FakeVendor("suno_one")}, installed=False)
    with pytest.raises(ConfigError, match=r"no such plugin is installed .*; did you mean suno_one"):
        installed_providers(Settings(providers={"suno_on": {"priority": 1}}), host)
