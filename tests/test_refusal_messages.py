"""What a refusal of the planner or of a setting names: the model, the provider, the reason."""

from pathlib import Path

import pytest

from musicgate import ConfigError, RequestError
from musicgate.hosting.discovery import load_plugins
from musicgate.hosting.installed import installed_providers
from musicgate.settings import Settings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, FakeVendor, rig_of

LISTED = "GET /v1/music/models lists what there is"


class Broken(FakeVendor):
    """A plugin whose hook API is too new."""

    HOOK_API = 99


async def test_model_that_is_offered_nowhere_is_refused_without_reasons(tmp_path: Path) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), store=MemoryJobStore()) as rig:
        with pytest.raises(RequestError) as caught:
            rig.gate.plan(rig.gate.read({"model": "no/model"}))
    assert caught.value.message == f"no provider offers no/model for music; {LISTED}"


async def test_model_that_every_provider_disclaims_is_refused_with_their_reasons(tmp_path: Path) -> None:
    async with rig_of(tmp_path, FakeVendor("one"), FakeVendor("two"), store=MemoryJobStore()) as rig:
        request = rig.gate.read({"model": MODEL, "fake": {"unoffered": "one, two"}})
        with pytest.raises(RequestError) as caught:
            rig.gate.plan(request)
    reasons = "one has no such model; two has no such model"
    assert caught.value.message == f"no provider offers {MODEL} for music; {LISTED} ({reasons})"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "this plugin could not be loaded: "),
        ("absent", "no such plugin is installed (there are one)"),
    ],
)
def test_settings_of_a_provider_that_cannot_be_asked_say_why(name: str, says: str) -> None:
    host = load_plugins({"one": FakeVendor("one"), "broken": Broken("broken")}, installed=False)
    settings = Settings(providers={name: {"priority": 1}})
    with pytest.raises(ConfigError) as caught:
        installed_providers(settings, host)
    assert str(caught.value).startswith(f"providers.{name}: {says}")
