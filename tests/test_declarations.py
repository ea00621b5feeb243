"""What the core does with a declaration: errors, warnings, models, states, signatures, faults."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import attrs
import pytest

from musicgate.errors import ProviderError, RequestError
from musicgate.hosting import PluginHost, load_plugins
from musicgate.model import (
    Ability,
    CallbackSignature,
    Choice,
    Field,
    Flag,
    JobState,
    JobUpdate,
    MusicRequest,
    Number,
    Offer,
    OptionWarning,
    Provider,
    ProviderSettings,
    Secret,
    SignatureEncoding,
    Text,
)
from musicgate.planning.routing import find_offer
from musicgate.plugin import HOOK_API, CallbackClaim, Draft, HttpResponse, JsonValue, Translation, hookimpl
from musicgate.views import render_models

FIELDS: tuple[Field, ...] = (
    Text("prompt", neutral="prompt", carries=("style",), max_chars=20, reason="bad_prompt"),
    Number("length_ms", neutral="duration", minimum=3000, maximum=9000, per_neutral=1000),
    Choice("audio.format", neutral="format", choices=("mp3", "pcm"), means={"pcm": "wav"}),
    Number("weight", minimum=0, maximum=1, step=0.01),
)
BIG = (Text("prompt", neutral="prompt", max_chars=40), *FIELDS[1:])
SMALL = (Text("prompt", neutral="prompt", max_chars=5, reason=None), Flag("quiet", neutral="instrumental"))
PROVIDER = Provider(
    name="tiny",
    plugin="tiny",
    label="Tiny",
    base_url="https://tiny.test",
    key_env="TINY_KEY",
    base_url_env="TINY_URL",
    webhook_secret_env="TINY_SECRET",
    offers=(
        Offer(model="tiny/one", native_model="one", fields=FIELDS),
        Offer(model="tiny/default", native_model=None, fields=FIELDS),
        Offer(
            model="tiny/big",
            native_model="Big",
            fields=BIG,
            abilities=frozenset({Ability.DURATION, Ability.FORMAT}),
        ),
    ),
    option_block="tiny",
    options_schema={},
    settings_schema={"properties": {"model": {"default": "one"}}},
    statuses={"Done": JobState.COMPLETED, "waiting": JobState.QUEUED},
    model_option="model",
    model_setting="model",
    raw_models=True,
    raw_offers=(
        Offer(model="tiny/", native_model="", fields=FIELDS),
        Offer(model="tiny/small", native_model="small", fields=SMALL),
    ),
    callback_signature=CallbackSignature(
        header="X-Sign",
        signed="{native_id}.{timestamp}",
        encoding=SignatureEncoding.BASE64,
        timestamp_header="X-Time",
    ),
)
SETTINGS = ProviderSettings(
    base_url="https://tiny.test", options={"model": "Big"}, webhook_secret=Secret("s3cret")
)


def plugin_of(provider: Provider = PROVIDER, warnings: tuple[OptionWarning, ...] = ()) -> object:
    @hookimpl
    def translate_request(request: MusicRequest, offer: Offer, settings: ProviderSettings) -> Translation:
        draft = Draft(request, offer, settings, "tiny")
        draft.send("prompt", draft.said("prompt", "prompt"))
        length = draft.said("length_ms")
        if length is None and request.duration_s is not None:
            draft.send("length_ms", request.duration_s * 1000)
        draft.copy("length_ms", "weight", "audio")
        draft.warnings.extend(warnings)
        return draft.post_json(settings.base_url)

    @hookimpl
    def parse_callback(headers: Mapping[str, str], body: bytes) -> CallbackClaim:
        _ = headers
        content = HttpResponse(status=200, body=body).json_object()
        return CallbackClaim(native_id=str(content["id"]))

    @hookimpl
    def parse_response() -> JobUpdate:
        return JobUpdate()

    plugin: Any = ModuleType("tiny")
    plugin.HOOK_API = HOOK_API
    plugin.provider = hookimpl(lambda: provider)
    plugin.translate_request = translate_request
    plugin.parse_response = parse_response
    plugin.parse_callback = parse_callback
    return plugin


def host_of(provider: Provider = PROVIDER, warnings: tuple[OptionWarning, ...] = ()) -> PluginHost:
    return load_plugins({"tiny": plugin_of(provider, warnings)}, installed=False)


def translate(
    model: str = "one", block: dict[str, Any] | None = None, host: PluginHost | None = None, **fields: Any
) -> Translation:
    plugin = (host or host_of()).providers["tiny"]
    request = MusicRequest(model=f"tiny/{model}", blocks={"tiny": block or {}}, **fields)
    offer = find_offer(plugin.provider, request.model)
    assert offer is not None
    return plugin.translate(request, offer, SETTINGS, None)


def reported(translation: Translation) -> list[tuple[str, str]]:
    return [(warning.code.value, ".".join(map(str, warning.path))) for warning in translation.warnings]


@pytest.mark.parametrize(
    ("block", "fields", "path", "reason", "limit"),
    [
        ({}, {"prompt": "x" * 21}, "prompt", "bad_prompt", "20"),
        ({"prompt": "x" * 21}, {"prompt": "p"}, "tiny.prompt", "bad_prompt", "20"),
        ({"prompt": " "}, {"prompt": "x" * 21}, "prompt", "bad_prompt", "20"),
        ({}, {"prompt": "p", "duration_s": 10}, "duration", "invalid", "9000"),
        ({"length_ms": 1}, {"prompt": "p"}, "tiny.length_ms", "invalid", "3000"),
        ({"weight": 0.655}, {"prompt": "p"}, "tiny.weight", "invalid", "0.01"),
        ({"audio": {"format": "ogg"}}, {"prompt": "p"}, "tiny.audio.format", "invalid", "mp3"),
    ],
)
def test_value_outside_a_declaration_is_refused_where_the_caller_gave_it(
    block: dict[str, Any], fields: dict[str, Any], path: str, reason: str, limit: str
) -> None:
    with pytest.raises(RequestError) as caught:
        translate(block=block, **fields)
    error = caught.value
    assert (error.code, error.reason, ".".join(map(str, error.path))) == ("validation_error", reason, path)
    assert path in str(error)
    assert limit in str(error)


def test_neutral_field_that_no_field_carries_is_reported_once() -> None:
    given: dict[str, Any] = {"title": "T", "seed": 0, "vocal_gender": "m", "style": "folk", "lyrics": " "}
    assert sorted(reported(translate(prompt="p", **given))) == [
        ("not_applied", "seed"),
        ("not_applied", "title"),
        ("not_applied", "vocal_gender"),
    ]
    own = Draft(MusicRequest(model="m"), PROVIDER.offers[0], SETTINGS, "tiny")
    own.changed("title", "sung")
    assert reported(translate(host=host_of(warnings=tuple(own.warnings)), prompt="p", title="T")) == [
        ("changed", "title")
    ]


def test_wish_that_is_met_in_any_case_is_not_reported() -> None:
    offers = (
        attrs.evolve(
            PROVIDER.offers[0], fields=FIELDS[:2], abilities=frozenset({Ability.DURATION, Ability.STYLE})
        ),
    )
    host = host_of(attrs.evolve(PROVIDER, offers=offers))
    assert reported(translate(host=host, prompt="p", format="mp3")) == []
    assert reported(translate(host=host, prompt="p", format="ogg")) == [("not_applied", "format")]
    assert reported(translate(host=host, prompt="p", instrumental=False)) == [("not_applied", "instrumental")]


def test_offer_without_fields_leaves_checks_and_warnings_to_its_plugin() -> None:
    offers = (Offer(model="tiny/one", native_model="one"),)
    host = host_of(
        attrs.evolve(PROVIDER, offers=offers, model_option=None, model_setting=None, raw_offers=())
    )
    assert reported(translate(host=host, prompt="x" * 99, title="T", block={"prompt": "y" * 99})) == []


@pytest.mark.parametrize(
    ("block", "fields", "warnings"),
    [
        ({"prompt": "own"}, {"prompt": "p"}, [("changed", "prompt")]),
        ({"prompt": "p"}, {"prompt": "p"}, []),
        ({"length_ms": 5000}, {"prompt": "p", "duration_s": 5}, []),
        ({"length_ms": 5001}, {"prompt": "p", "duration_s": 5}, [("changed", "duration")]),
        ({"audio": {"format": "pcm"}}, {"prompt": "p", "format": "wav"}, []),
        ({"audio": {"format": "pcm"}}, {"prompt": "p", "format": "mp3"}, [("changed", "format")]),
    ],
)
def test_option_of_the_block_beats_the_neutral_field_with_one_warning(
    block: dict[str, Any], fields: dict[str, Any], warnings: list[tuple[str, str]]
) -> None:
    assert reported(translate(block=block, **fields)) == warnings


@pytest.mark.parametrize(
    ("model", "block", "native", "chars"),
    [
        ("one", {}, "one", 20),
        ("default", {}, "Big", 40),
        ("one", {"model": "big"}, "big", 40),
        ("one", {"model": " "}, "one", 20),
        ("Small-2", {}, "Small-2", 5),
        ("one", {"model": "small-2"}, "small-2", 5),
        ("other", {}, "other", 20),
    ],
)
def test_model_that_is_asked_decides_which_fields_hold(
    model: str, block: dict[str, Any], native: str, chars: int
) -> None:
    assert translate(model, block, prompt="x" * chars).native_model == native
    with pytest.raises(RequestError, match=f"at most {chars} "):
        translate(model, block, prompt="x" * (chars + 1))


def test_unknown_model_of_the_block_is_sent_unchecked_without_raw_offers() -> None:
    host = host_of(attrs.evolve(PROVIDER, raw_offers=()))
    assert translate(block={"model": "new"}, host=host, prompt="x" * 99).native_model == "new"


def test_status_words_are_read_in_any_case() -> None:
    plugin = host_of().providers["tiny"]
    assert plugin.map_status(" DONE ") is JobState.COMPLETED
    assert plugin.map_status("dreaming") is None
    assert plugin.map_status(None) is None


def claim(
    headers: dict[str, str],
    now: float = 1000.0,
    secret: Secret | None = SETTINGS.webhook_secret,
    body: bytes = b'{"id": "t1"}',
    unless: Mapping[str, JsonValue] | None = None,
) -> CallbackClaim:
    assert PROVIDER.callback_signature is not None
    signature = attrs.evolve(PROVIDER.callback_signature, unless=unless or {})
    host = host_of(attrs.evolve(PROVIDER, callback_signature=signature))
    settings = attrs.evolve(SETTINGS, webhook_secret=secret)
    return host.providers["tiny"].parse_callback(headers, body, settings, now)


def test_declared_signature_is_verified() -> None:
    # printf 't1.1000' | openssl dgst -sha256 -hmac s3cret -binary | base64
    good = {"x-time": "1000", "x-sign": "z12BX+QOQdaAkuLSzz4Cfl8SLN/gdVwJkkEBljoTPVI="}
    assert claim(good).verified is True
    assert claim(good, now=1300.0).verified is True
    assert claim(good, now=1301.0).verified is False
    assert claim({**good, "x-time": "1001"}).verified is False
    assert claim({**good, "x-sign": good["x-sign"].lower()}).verified is False
    assert claim({"x-sign": good["x-sign"]}).message == "the callback is not signed"
    assert claim({"x-time": "1000"}).message == "the callback is not signed"
    assert claim({}).verified is False
    assert claim({}, secret=None) == CallbackClaim(native_id="t1")


def test_an_unsigned_callback_is_refused_although_its_body_cannot_be_read() -> None:
    assert claim({}, body=b"<html>").message == "the callback is not signed"
    with pytest.raises(ProviderError):
        claim({"x-sign": "x", "x-time": "1000"}, body=b"<html>")
    with pytest.raises(ProviderError):
        claim({}, secret=None, body=b"<html>")


def test_a_signature_is_not_due_under_the_settings_that_rule_it_out() -> None:
    assert claim({}, unless={"model": "Big"}) == CallbackClaim(native_id="t1")
    assert claim({}, unless={"model": "Small"}).verified is False
    with pytest.raises(ProviderError):
        claim({}, body=b"<html>", unless={"model": "Big"})


def test_hooks_of_the_plugin_come_before_its_tables() -> None:
    @hookimpl
    def map_status(native_status: str) -> JobState | None:
        return JobState.FAILED if native_status == "done" else None

    @hookimpl
    def parse_callback() -> CallbackClaim:
        return CallbackClaim(native_id="t1", verified=True)

    own: Any = plugin_of()
    own.map_status, own.parse_callback = map_status, parse_callback
    plugin = load_plugins({"tiny": own}, installed=False).providers["tiny"]
    assert plugin.map_status("done") is JobState.FAILED
    assert plugin.map_status("waiting") is JobState.QUEUED
    assert plugin.parse_callback({}, b"", SETTINGS, 0.0).verified is True


def test_signature_over_the_body_as_prefixed_hex() -> None:
    signature = CallbackSignature(header="X-Hub", prefix="sha256=")
    value = signature.sign("key", body=b"The quick brown fox jumps over the lazy dog")
    # Source: the test vector of en.wikipedia.org/wiki/HMAC.
    assert value == "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    assert signature.fault("key", {"x-hub": value.upper()}, body=b"other", native_id=None, now=0) is not None
    body = b"The quick brown fox jumps over the lazy dog"
    assert signature.fault("key", {"x-hub": value.upper()}, body=body, native_id=None, now=0) is None


ONE = PROVIDER.offers[0]
BAD: Any = "finished"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"offers": (attrs.evolve(ONE, abilities=ONE.abilities | {Ability.SEED}),)},
            "the offer 'tiny/one': has the ability 'seed', and no field carries it",
        ),
        (
            {"offers": (attrs.evolve(ONE, abilities=frozenset()),)},
            "the field 'prompt' carries 'style', which is not among the abilities",
        ),
        (
            {"offers": (attrs.evolve(ONE, fields=(Text("a", min_chars=3, max_chars=2),)),)},
            "the offer 'tiny/one': the field 'a' takes texts from 3 to 2",
        ),
        (
            {"raw_models": False, "model_option": None, "model_setting": None},
            "raw_offers lists '', and no unlisted model can be asked for",
        ),
        ({"model_setting": "voice"}, "model_setting is 'voice', which the settings schema does not have"),
        ({"statuses": {"done": BAD}}, "statuses['done'] is 'finished', which is no state"),
        (
            {"statuses": {"done": JobState.COMPLETED, "DONE": JobState.FAILED}},
            "statuses['done'] is 'completed', and the same word means another state",
        ),
        ({"webhook_secret_env": None}, "the callback signature needs a secret"),
        (
            {"callback_signature": CallbackSignature(header="x", signed="{taskid}.{body}")},
            "the callback signature signs {taskid}",
        ),
        (
            {"callback_signature": CallbackSignature(header="x", signed="{timestamp}.{body}")},
            "a timestamp needs both",
        ),
        ({"callback_signature": CallbackSignature(header="x", digest="sha3")}, "the digest 'sha3'"),
        (
            {"callback_signature": CallbackSignature(header="x", unless={"seller": "other"})},
            "the callback signature depends on 'seller', which the settings schema does not have",
        ),
        ({"callback_signature": CallbackSignature(header="x", signed="")}, "neither {body} nor {native_id}"),
        ({"statuses": {}}, "does not implement map_status"),
    ],
)
def test_declaration_that_contradicts_itself_leaves_the_plugin_out(
    changes: dict[str, Any], message: str
) -> None:
    host = host_of(attrs.evolve(PROVIDER, **changes))
    assert not host.providers
    error = host.records[0].error
    assert error is not None
    assert message in error
    assert "\n" not in error


def test_catalogue_shows_the_declared_options() -> None:
    models: Any = render_models([(PROVIDER, True)])
    (offer,) = next(model["offers"] for model in models["data"] if model["id"] == "tiny/one")
    assert offer["limits"]["prompt_characters"] == 20
    assert offer["options"][0] == {
        "name": "prompt",
        "type": "text",
        "carries": ["prompt", "style"],
        "max_chars": 20,
        "unit": "characters",
    }
    assert offer["options"][1]["maximum"] == 9000
