"""What a cross-cutting plugin gets, and which plugin is named when one of several raises."""

from typing import Any

import attrs
import pytest

from musicgate import (
    HOOK_API,
    MusicRequest,
    PluginError,
    Translation,
    hookimpl,
)
from musicgate.hosting.discovery import PluginHost
from musicgate.model import ProviderSettings
from musicgate.plugin.hooks import Revision
from tests.fake_vendor import MODEL, FakeVendor, host_of

SETTINGS = ProviderSettings(base_url="https://one.test")


def translate(host: PluginHost, plugin: str = "one", **fields: Any) -> Translation:
    installed = host.providers[plugin]
    request = MusicRequest(model=MODEL, prompt="jazz", **fields)
    return installed.translate(request, installed.provider.offers[0], SETTINGS, None)


class Around:
    """Wraps translations and records their arguments."""

    HOOK_API = HOOK_API

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []

    @hookimpl(wrapper=True)
    def translate_request(self, request: MusicRequest, provider: Any) -> Any:
        self.seen.append((provider.plugin, request.prompt))
        return (yield)


class Broken:
    """Wraps translations and raises, before or after the provider's."""

    HOOK_API = HOOK_API

    def __init__(self, moment: str) -> None:
        self.moment = moment

    @hookimpl(wrapper=True)
    def translate_request(self) -> Any:
        if self.moment == "before":
            raise ValueError("odd")
        yield
        raise ValueError("odd")


class Quiet:
    """Revises every request, and records for which plugin."""

    HOOK_API = HOOK_API

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    @hookimpl
    def revise_request(self, request: MusicRequest, provider: Any, offer: Any) -> Revision:
        self.asked.append((provider.plugin, offer.native_model))
        return Revision(request=attrs.evolve(request, prompt=f"quiet {request.prompt}"))


def test_a_wrapper_gets_the_plugins_name_and_the_revised_request() -> None:
    quiet, around = Quiet(), Around()
    host = host_of(FakeVendor("one"), FakeVendor("two"), quiet=quiet, around=around)
    translation = translate(host, "two", seed=5)
    assert b'"prompt":"quiet jazz"' in translation.request.body
    assert [warning.message for warning in translation.warnings] == ["no seed here"]
    assert around.seen == [("two", "quiet jazz")]
    assert quiet.asked == [("two", "two-native")]
    assert [record.error for record in host.records] == [None] * 4


def test_a_provider_revises_its_own_requests_only() -> None:
    class Revising(FakeVendor):
        @hookimpl
        def revise_request(self, request: MusicRequest) -> Revision:
            return Revision(request=attrs.evolve(request, prompt="mine"))

    host = host_of(Revising("one"), FakeVendor("two"))
    assert b'"prompt":"mine"' in translate(host, "one").request.body
    assert b'"prompt":"jazz"' in translate(host, "two").request.body


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_wrapper_that_raises_is_named_and_not_the_provider(moment: str) -> None:
    host = host_of(FakeVendor("one"), around=Around(), broken=Broken(moment), last=Around())
    with pytest.raises(PluginError) as caught:
        translate(host)
    assert str(caught.value) == "plugin broken: translate_request raised ValueError: odd"
    assert caught.value.plugin == "broken"


def test_a_provider_that_raises_is_named_and_not_the_wrappers_around_it() -> None:
    host = host_of(FakeVendor("one"), first=Around(), second=Around())
    with pytest.raises(PluginError) as caught:
        translate(host, blocks={"fake": {"crash": "one"}})
    assert str(caught.value) == "plugin one: translate_request raised RuntimeError: translate broke"


class WrapsObservers:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def job_changed(self) -> Any:
        return (yield)


def test_a_wrapper_of_observers_would_never_run_and_is_refused() -> None:
    host = host_of(FakeVendor("one"), bad=WrapsObservers())
    assert host.records[-1].error == "plugin bad: wraps job_changed, which cannot be wrapped"
    assert translate(host).native_model == "one-native"
