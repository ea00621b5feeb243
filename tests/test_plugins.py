import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from types import ModuleType
from typing import Any

import attrs
import pytest

from musicgate import (
    HOOK_API,
    CallbackClaim,
    Failure,
    FailureClass,
    HttpRequest,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    NativeTrack,
    PluginError,
    Provider,
    ProviderError,
    RequestError,
    Step,
    Translation,
    hookimpl,
)
from musicgate.errors import failure_of
from musicgate.hosting import PluginHost, discovery, load_plugins, provider_plugin
from musicgate.model import (
    Doubt,
    OptionWarning,
    ProviderSettings,
    WarningCode,
)
from musicgate.plugin import EmulatorOptions, Revision
from musicgate.plugin import hooks as hooks_module
from tests import sample_jobs
from tests.fake_vendor import MODEL, FakeVendor, Observer, host_of

SETTINGS = ProviderSettings(base_url="https://one.test")
NOW = datetime(2026, 11, 28, tzinfo=UTC)
REQUEST = MusicRequest(model=MODEL, prompt="jazz")


def translate(host: PluginHost, plugin: str) -> Translation:
    installed = host.providers[plugin]
    return installed.translate(REQUEST, installed.provider.offers[0], SETTINGS, None)


def error_of(host: PluginHost, name: str) -> str | None:
    return next(record.error for record in host.records if record.name == name)


# --- loading, isolation ---


def without(*hooks: str) -> object:
    """A vendor without some of its hooks."""
    vendor = FakeVendor("bad")
    plugin: Any = ModuleType("bad")
    plugin.HOOK_API = HOOK_API
    for hook in ("provider", "translate_request", "parse_response", "map_status"):
        if hook not in hooks:
            setattr(plugin, hook, getattr(vendor, hook))
    return plugin


class WrongSignature(FakeVendor):
    @hookimpl
    def map_status(self, native_status: str, weather: str) -> JobState | None:  # type: ignore[override]  # on purpose
        return None


class MisspeltHook(FakeVendor):
    @hookimpl
    def pol_request(self, job: Job) -> HttpRequest | None:
        return None


class StrayHook:
    HOOK_API = HOOK_API

    @hookimpl
    def map_status(self, native_status: str) -> JobState | None:
        return JobState.FAILED


class BrokenDeclaration(FakeVendor):
    @hookimpl
    def provider(self) -> Provider:
        raise RuntimeError("no declaration today")


class OddDeclaration(FakeVendor):
    @hookimpl
    def provider(self) -> Provider:
        return "a provider"  # type: ignore[return-value]  # on purpose


class OldPlugin(FakeVendor):
    HOOK_API = 0


class TimelessPlugin(FakeVendor):
    HOOK_API = None  # type: ignore[assignment]  # on purpose


BROKEN: list[tuple[object, str]] = [
    (
        OldPlugin("bad"),
        "plugin bad: was built for hook API 0; this musicgate has 1 (module constant HOOK_API)",
    ),
    (TimelessPlugin("bad"), "plugin bad: does not say which hook API it was built for; this musicgate has 1"),
    (ModuleType("bad"), "plugin bad: does not say which hook API it was built for"),
    (WrongSignature("bad"), "PluginValidationError"),
    (MisspeltHook("bad"), "plugin bad: pol_request is no hook of hook API 1"),
    (StrayHook(), "plugin bad: implements map_status but no provider() hook"),
    (BrokenDeclaration("bad"), "RuntimeError: no declaration today"),
    (OddDeclaration("bad"), "plugin bad: provider() returned a str"),
    (without("map_status"), "plugin bad: does not implement map_status"),
    (without("translate_request", "parse_response"), "does not implement translate_request, parse_response"),
    (FakeVendor("other"), "plugin bad: provider() calls the plugin 'other', the entry point 'bad'"),
    (FakeVendor("bad", offers=()), "plugin bad: offers no model"),
    (
        FakeVendor("bad", options_schema={"type": "object", "maxProperties": 1}),
        "plugin bad: its schema of the block 'fake' differs from that of good",
    ),
]


@pytest.mark.parametrize(("plugin", "error"), BROKEN)
def test_broken_plugin_is_left_out_and_the_rest_runs(plugin: object, error: str) -> None:
    host = host_of(FakeVendor("good"), bad=plugin, last=FakeVendor("last"))
    assert error in (error_of(host, "bad") or "")
    assert list(host.providers) == ["good", "last"]
    assert translate(host, "good").native_model == "good-native"
    assert host.providers["good"].map_status("works") is JobState.IN_PROGRESS
    bad = next(record for record in host.records if record.name == "bad")
    assert bad.provider is None


def test_plugin_that_cannot_be_imported_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("gone", "musicgate_is_not_there", "musicgate"),
        EntryPoint("halfway", "musicgate.errors:NothingOfThatName", "musicgate"),
    ]
    monkeypatch.setattr(discovery, "entry_points", lambda group: points if group == "musicgate" else [])
    host = load_plugins({"good": FakeVendor("good")})
    assert list(host.providers) == ["good"]
    assert error_of(host, "gone") == "ModuleNotFoundError: No module named 'musicgate_is_not_there'"
    assert (error_of(host, "halfway") or "").startswith("AttributeError")


def test_entry_points_are_loaded_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("fake_plugin_for_this_test")
    module.plugin = FakeVendor("good")
    monkeypatch.setitem(__import__("sys").modules, "fake_plugin_for_this_test", module)
    points = [EntryPoint("good", "fake_plugin_for_this_test:plugin", "musicgate")]
    monkeypatch.setattr(discovery, "entry_points", lambda **_: points)
    (record,) = load_plugins().records
    assert (record.name, record.hook_api, record.error) == ("good", 1, None)
    assert record.provider is module.plugin.declared
    assert record.load_ms > 0
    assert load_plugins(installed=False).records == ()


def test_second_plugin_of_a_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("fake_plugin_for_this_test")
    module.first, module.second = FakeVendor("good", label="First"), FakeVendor("good", label="Second")
    monkeypatch.setitem(__import__("sys").modules, "fake_plugin_for_this_test", module)
    points = [
        EntryPoint("good", f"fake_plugin_for_this_test:{name}", "musicgate") for name in ("first", "second")
    ]
    monkeypatch.setattr(discovery, "entry_points", lambda **_: points)
    host = load_plugins({"good": module.first})
    assert [(record.provider and record.provider.label, record.error) for record in host.records] == [
        ("First", None),
        (None, "plugin good: another plugin has this name already"),
        (None, "plugin good: another plugin has this name already"),
    ]
    assert translate(host, "good").native_model == "good-native"
    assert host.providers["good"].provider.label == "First"


def test_plugin_under_two_names_works_under_the_first() -> None:
    vendor = FakeVendor("good")
    host = load_plugins({"good": vendor, "again": vendor}, installed=False)
    assert error_of(host, "good") is None
    assert error_of(host, "again") == "plugin again: it is loaded already, as good"
    assert translate(host, "good").native_model == "good-native"


def test_plugins_that_share_a_block_and_its_schema_live_together() -> None:
    host = host_of(FakeVendor("one"), FakeVendor("two"))
    assert [record.error for record in host.records] == [None, None]


# --- one provider, one plugin ---


class Prefix:
    """A cross-cutting plugin: a word before every prompt, and a list of the models that were asked for."""

    HOOK_API = HOOK_API

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl(wrapper=True)
    def translate_request(self, request: MusicRequest, offer: Any) -> Any:
        self.seen.append(offer.native_model)
        translation = yield
        body = translation.request.body.replace(b'"jazz"', b'"quiet jazz"')
        return attrs.evolve(translation, request=attrs.evolve(translation.request, body=body))


class Noted(FakeVendor):
    """Notes its calls, and wraps other providers' translations if it can (it cannot)."""

    def __init__(self, plugin: str) -> None:
        super().__init__(plugin)
        self.calls: list[str] = []

    @hookimpl
    def translate_request(self, request: MusicRequest, offer: Any, settings: Any, callback_url: Any) -> Any:
        self.calls.append(self.declared.plugin)
        return FakeVendor.translate_request(self, request, offer, settings, callback_url)


def test_hook_call_reaches_its_own_plugin_and_every_wrapper() -> None:
    one, two, prefix = Noted("one"), Noted("two"), Prefix()
    host = host_of(one, two, prefix=prefix)
    translation = translate(host, "two")
    assert (one.calls, two.calls) == ([], ["two"])
    assert prefix.seen == ["two-native"]
    assert b'"quiet jazz"' in translation.request.body
    assert translation.native_model == "two-native"
    assert list(host.providers) == ["one", "two"]
    assert translate(host, "one").native_model == "one-native"
    assert (one.calls, two.calls) == (["one"], ["two"])


class WrapperOfDeclarations:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def provider(self) -> Any:
        yield
        raise RuntimeError("never called")


def test_wrapper_does_not_run_around_the_declaration() -> None:
    host = load_plugins({"wrapper": WrapperOfDeclarations(), "one": FakeVendor("one")}, installed=False)
    assert [record.error for record in host.records] == [None, None]
    assert list(host.providers) == ["one"]


class VetoingWrapper:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def translate_request(self) -> Any:
        yield
        raise RequestError("guardrail_blocked", "not here")


def test_wrapper_may_veto() -> None:
    with pytest.raises(RequestError) as caught:
        translate(host_of(FakeVendor("one"), veto=VetoingWrapper()), "one")
    assert caught.value.code == "guardrail_blocked"


class WrapperOfCancels:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def cancel_request(self) -> Any:
        asked = yield
        return asked or HttpRequest.get("https://one.test/stop")


def test_wrapper_runs_around_a_hook_that_the_provider_does_not_implement() -> None:
    plugin = host_of(FakeVendor("one"), wrapper=WrapperOfCancels()).providers["one"]
    assert plugin.cancel(sample_jobs.job(), SETTINGS) == HttpRequest.get("https://one.test/stop")


# --- revised requests ---


class Reviser:
    """Answers with what the test makes of the request."""

    HOOK_API = HOOK_API

    def __init__(self, answer: Callable[[MusicRequest], object]) -> None:
        self.answer = answer

    @hookimpl
    def revise_request(self, request: MusicRequest, provider: Provider) -> Any:
        assert provider.plugin == "one"
        return self.answer(request)


def prefixing(word: str) -> Reviser:
    note = OptionWarning(code=WarningCode.CHANGED, path=("prompt",), message=word)
    return Reviser(
        lambda request: Revision(
            request=attrs.evolve(request, prompt=f"{word} {request.prompt}"), warnings=(note,)
        )
    )


def test_revised_request_is_translated_with_its_warnings() -> None:
    host = host_of(
        FakeVendor("one"), first=prefixing("quiet"), silent=Reviser(lambda _: None), last=prefixing("warm")
    )
    translation = translate(host, "one")
    assert b'"quiet warm jazz"' in translation.request.body
    assert [warning.message for warning in translation.warnings] == ["warm", "quiet"]


def fail(error: Exception) -> Callable[[object], object]:
    def raise_it(_: object) -> object:
        raise error

    return raise_it


def test_reviser_may_refuse() -> None:
    refusal = RequestError("guardrail_blocked", "not here")
    with pytest.raises(RequestError) as caught:
        translate(host_of(FakeVendor("one"), strict=Reviser(fail(refusal))), "one")
    assert caught.value is refusal


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (fail(KeyError("x")), "plugin odd: revise_request raised KeyError: 'x'"),
        (lambda request: request, "plugin odd: revise_request returned a MusicRequest"),
    ],
)
def test_reviser_that_breaks_is_named(answer: Callable[[object], object], message: str) -> None:
    with pytest.raises(PluginError) as caught:
        translate(host_of(FakeVendor("one"), odd=Reviser(answer)), "one")
    assert str(caught.value) == message


class WrapperOfRevisions:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def revise_request(self) -> Any:
        return (yield)


def test_wrapper_around_revise_request_is_refused_because_it_would_never_run() -> None:
    host = host_of(FakeVendor("one"), odd=WrapperOfRevisions())
    assert error_of(host, "odd") == "plugin odd: wraps revise_request, which cannot be wrapped"


# --- guarding ---


class Scripted(FakeVendor):
    """Answers every hook with what the test gives: a value, or an error to raise."""

    def __init__(self, answer: object) -> None:
        super().__init__("one")
        self.answer = answer

    def _give(self) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @hookimpl
    def translate_request(self) -> Any:  # type: ignore[override]  # pluggy passes by name
        return self._give()

    @hookimpl
    def poll_request(self) -> Any:  # type: ignore[override]  # the same
        return self._give()

    @hookimpl
    def cancel_request(self) -> Any:
        return self._give()

    @hookimpl
    def parse_response(self) -> Any:  # type: ignore[override]  # the same
        return self._give()

    @hookimpl
    def map_status(self) -> Any:  # type: ignore[override]  # the same
        return self._give()

    @hookimpl
    def parse_callback(self) -> Any:  # type: ignore[override]  # the same
        return self._give()

    @hookimpl
    def emulator(self) -> Any:
        return self._give()


def call(answer: object, hook: str) -> object:
    installed = host_of(Scripted(answer)).providers["one"]
    job = sample_jobs.job(request=REQUEST)
    calls: dict[str, Any] = {
        "translate_request": lambda: installed.translate(
            REQUEST, installed.provider.offers[0], SETTINGS, None
        ),
        "poll_request": lambda: installed.poll(job, SETTINGS),
        "cancel_request": lambda: installed.cancel(job, SETTINGS),
        "parse_response": lambda: installed.parse(Step.POLL, HttpResponse(status=200), job, SETTINGS),
        "map_status": lambda: installed.map_status("word"),
        "parse_callback": lambda: installed.parse_callback({}, b"", SETTINGS, 0.0),
        "emulator": lambda: installed.emulator(EmulatorOptions()),
    }
    return calls[hook]()


HOOKS = (
    "translate_request", "poll_request", "cancel_request", "parse_response", "map_status", "parse_callback",
    "emulator",
)  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_hook_that_raises_is_a_plugin_error_that_names_it(hook: str) -> None:
    with pytest.raises(PluginError) as caught:
        call(KeyError("id"), hook)
    assert str(caught.value) == f"plugin one: {hook} raised KeyError: 'id'"
    assert caught.value.plugin == "one"
    assert isinstance(caught.value.__cause__, KeyError)


REFUSAL = RequestError("validation_error", "no")
CREDITS = ProviderError(Failure(reason=FailureClass.CREDITS, message="no"))
MEANT = {"translate_request": REFUSAL, "parse_response": CREDITS, "parse_callback": CREDITS}


@pytest.mark.parametrize(("hook", "error"), MEANT.items())
def test_error_that_a_hook_is_documented_to_raise_passes_as_it_is(hook: str, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        call(error, hook)
    assert caught.value is error


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize(
    "error",
    [REFUSAL, CREDITS, PluginError("two", "no"), MemoryError(), asyncio.CancelledError(), SystemExit(3)],
    ids=lambda error: type(error).__name__,
)
def test_every_other_error_is_the_plugins_fault(hook: str, error: BaseException) -> None:
    if MEANT.get(hook) is error:
        pytest.skip("documented")
    with pytest.raises(PluginError, match=f"^plugin one: {hook} raised {type(error).__name__}") as caught:
        call(error, hook)
    assert caught.value.__cause__ is error


def test_keyboard_interrupt_passes_through_a_hook() -> None:
    with pytest.raises(KeyboardInterrupt):
        call(KeyboardInterrupt(), "poll_request")


def test_documented_errors_are_those_that_pass() -> None:
    documented = {
        hook: set(
            re.findall(r"(\w+Error): ", (getattr(hooks_module, hook).__doc__ or "").partition("Raises:")[2])
        )
        for hook in provider_plugin.HOOKS
    }
    assert len(provider_plugin.HOOKS) == 10
    assert {hook: names for hook, names in documented.items() if names} == {
        hook: {kind.__name__} for hook, kind in provider_plugin._RAISES.items()
    }


class VetoingReader:
    HOOK_API = HOOK_API

    @hookimpl(wrapper=True)
    def parse_response(self) -> Any:
        yield
        raise RequestError("guardrail_blocked", "not here")


def test_wrapper_that_raises_an_error_of_another_hook_is_named() -> None:
    job: Any = None
    installed = host_of(Scripted(JobUpdate()), veto=VetoingReader()).providers["one"]
    with pytest.raises(PluginError, match=r"^plugin veto: parse_response raised RequestError"):
        installed.parse(Step.POLL, HttpResponse(status=200), job, SETTINGS)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("no", "raised a ProviderError with a str in place of a failure"),
        (Failure(reason="credits", message="no"), "with a failure whose reason is of the type str"),  # type: ignore[arg-type]  # on purpose
        (
            Failure(reason=FailureClass.CREDITS, message=5),  # type: ignore[arg-type]  # on purpose
            "with a failure whose message is of the type int",
        ),
    ],
)
def test_error_that_is_not_sound_is_the_plugins_fault(failure: Any, words: str) -> None:
    error = ProviderError(CREDITS.failure)
    error.failure = failure
    with pytest.raises(PluginError, match=words):
        call(error, "parse_response")


GET = HttpRequest.get("https://one.test")
ODD: Any = 5
TEXT: Any = "text"
UNSOUND: list[tuple[str, object, str]] = [
    ("poll_request", attrs.evolve(GET, headers={"X": ODD}), "its header X is of the type int, not text"),
    ("poll_request", attrs.evolve(GET, url=ODD), "its address is not an http(s) URL"),
    ("cancel_request", attrs.evolve(GET, body=TEXT), "its body is of the type str, not bytes"),
    ("parse_response", attrs.evolve(GET, method="G\n"), "its method is no HTTP method"),
    ("translate_request", Translation(request=ODD, native_model="m"), "request is of the type int"),
    (
        "translate_request",
        Translation(request=attrs.evolve(GET, body=TEXT), native_model="m"),
        "request: its body is of the type str, not bytes",
    ),
    ("translate_request", Translation(request=GET, native_model=ODD), "native_model is of the type int"),
    ("translate_request", Translation(request=GET, native_model="m", warnings=("w",)), "warnings[0] is of the type str"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(native_id=ODD), "native_id is of the type int"),
    ("parse_response", JobUpdate(native_status=ODD), "native_status is of the type int"),
    ("parse_response", JobUpdate(state="completed"), "state is of the type str"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(tracks=[NativeTrack()]), "tracks is of the type list"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(tracks=({"id": 1},)), "tracks[0] is of the type dict"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(tracks=(NativeTrack(), NativeTrack(title=ODD))), "tracks[1].title is of the type int"),
    ("parse_response", JobUpdate(tracks=(NativeTrack(fallback_urls=(None,)),)), "tracks[0].fallback_urls[0] is of the type NoneType"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(tracks=(NativeTrack(audio="x"),)), "tracks[0].audio is of the type str"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(tracks=(NativeTrack(duration_s=True),)), "tracks[0].duration_s is of the type bool"),
    ("parse_response", JobUpdate(tracks=(NativeTrack(duration_s=float("nan")),)), "tracks[0].duration_s is nan"),
    ("parse_response", JobUpdate(failure="no"), "failure is of the type str"),  # type: ignore[arg-type]  # on purpose
    ("parse_response", JobUpdate(doubt=Doubt(failure=ODD, grace_s=1)), "doubt: failure is of the type int"),
    ("parse_callback", CallbackClaim(native_id=ODD), "native_id is of the type int"),
    ("parse_callback", CallbackClaim(verified=1), "verified is of the type int"),  # type: ignore[arg-type]  # on purpose
]  # fmt: skip


@pytest.mark.parametrize(("hook", "answer", "fault"), UNSOUND, ids=[fault for _, _, fault in UNSOUND])
def test_answer_with_a_wrong_type_in_it_is_the_plugins_fault(hook: str, answer: object, fault: str) -> None:
    with pytest.raises(PluginError) as caught:
        call(answer, hook)
    kind = type(answer).__name__
    assert str(caught.value) == f"plugin one: {hook} returned a {kind} that is not sound: {fault}"


def test_answer_with_every_field_set_is_sound() -> None:
    failure = Failure(
        reason=FailureClass.INVALID, message="no", suggestion={"a": [1]}, retry_after_s=5, may_have_cost=False
    )
    warning = OptionWarning(code=WarningCode.CHANGED, path=("a", 0), message="so", plugin="one")
    now = datetime(2026, 11, 28, tzinfo=UTC)
    track = NativeTrack(
        native_id="t", audio_url="u", fallback_urls=("v",), stream_audio_url="s", image_url="i", audio=b"x",
        title="t", tags="g", duration_s=5, lyrics="l", native_model="m", created_at=now, expires_at=now,
        failure_message="f", extra={"words": []},
    )  # fmt: skip
    update = JobUpdate(
        native_id="n", native_status="w", state=JobState.QUEUED, tracks=(track,), failure=failure,
        doubt=Doubt(failure=failure, grace_s=5), warnings=(warning,), body=[None, 1.5, True],
    )  # fmt: skip
    assert call(update, "parse_response") is update


def test_reviser_whose_revision_is_not_sound_is_named() -> None:
    odd: Any = Revision(request=ODD)
    with pytest.raises(
        PluginError, match=r"^plugin odd: revise_request returned a Revision that is not sound: request is"
    ):
        translate(host_of(FakeVendor("one"), odd=Reviser(lambda _: odd)), "one")


@pytest.mark.parametrize("hook", HOOKS[:-1])
def test_hook_that_returns_nonsense_is_a_plugin_error(hook: str) -> None:
    with pytest.raises(PluginError, match=f"plugin one: {hook} returned a int"):
        call(5, hook)


@pytest.mark.parametrize("hook", ["poll_request", "cancel_request", "map_status"])
def test_optional_answer_may_be_none(hook: str) -> None:
    assert call(None, hook) is None


@pytest.mark.parametrize("hook", ["translate_request", "parse_response", "parse_callback", "emulator"])
def test_required_answer_must_not_be_none(hook: str) -> None:
    with pytest.raises(PluginError, match=f"plugin one: {hook} gave no answer"):
        call(None, hook)


@pytest.mark.parametrize(
    ("hook", "answer"),
    [
        ("poll_request", HttpRequest.get("https://one.test")),
        ("cancel_request", HttpRequest.get("https://one.test")),
        ("parse_response", JobUpdate()),
        ("parse_response", HttpRequest.get("https://one.test")),
        ("map_status", JobState.QUEUED),
        ("parse_callback", CallbackClaim()),
    ],
)
def test_good_answers_pass(hook: str, answer: object) -> None:
    assert call(answer, hook) is answer


def test_map_status_of_no_status_is_none() -> None:
    assert host_of(Scripted(JobState.FAILED)).providers["one"].map_status(None) is None


def test_hook_that_a_plugin_does_not_implement_answers_none() -> None:
    installed = load_plugins({"bad": without()}, installed=False).providers["bad"]
    job: Any = None
    assert installed.poll(job, SETTINGS) is None
    assert installed.cancel(job, SETTINGS) is None


def test_observer_that_raises_is_named_and_the_others_hear() -> None:
    first, broken, last = Observer(), Observer(fails=True), Observer()
    host = host_of(FakeVendor("one"), first=first, broken=broken, last=last)
    before: Any = attrs.make_class("Version", ["version"])(1)
    after: Any = attrs.make_class("Version", ["version"])(2)
    assert host.notify(before, after) == ["broken"]
    assert first.versions == broken.versions == last.versions == [(1, 2)]


def test_failure_of_an_error_is_the_vendors_own_or_one_of_the_gateway() -> None:
    failure = Failure(reason=FailureClass.CREDITS, message="no")
    assert failure_of(ProviderError(failure)) is failure
    assert failure_of(PluginError("one", "broke")) == Failure(
        reason=FailureClass.GATEWAY, message="plugin one: broke"
    )
