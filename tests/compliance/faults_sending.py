"""Faults of requests, and of hooks that are not pure."""

import datetime as dt
import itertools
import logging
import os
import random
import socket
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import attrs

from musicgate.errors import RequestError
from musicgate.model import (
    Ability,
    Job,
    JobUpdate,
    MusicRequest,
    ProviderSettings,
    Timeouts,
)
from musicgate.plugin import CallbackClaim, HttpResponse, Step, Text
from musicgate.testing.rehearsal import CALLBACK_URL
from tests.compliance import broken, tiny_plugin
from tests.compliance.fault import Fault, fault
from tests.compliance.tiny_plugin import OFFER, OPTIONS_SCHEMA, tiny

_COUNT = itertools.count()


def _draws_at_random() -> object:
    return random.choice("ab")  # noqa: S311 - the fault that is to be found


def _reads_the_date() -> object:
    return dt.date.today()  # noqa: DTZ011 - the fault that is to be found


def _reads_a_file() -> None:
    open(os.devnull).close()  # noqa: PTH123 - the plainest way to do what is forbidden


def _with_stray_option() -> ModuleType:
    properties = {**OPTIONS_SCHEMA["properties"], "echo": {"description": "Echo.", "type": "boolean"}}

    def drop(body: dict[str, Any], request: MusicRequest) -> None:
        body.pop("echo", None)

    made = broken.sends(drop)
    return tiny(
        provider=broken.options(properties=properties).provider, translate_request=made.translate_request
    )


def _drops(*keys: str) -> Callable[[], ModuleType]:
    def drop(body: dict[str, Any], request: MusicRequest) -> None:
        for key in keys:
            body.pop(key, None)

    return lambda: broken.sends(drop)


def _drops_falsy(body: dict[str, Any], request: MusicRequest) -> None:
    for key in [key for key, value in body.items() if not value and key.startswith("kit")]:
        del body[key]


def _cuts(body: dict[str, Any], request: MusicRequest) -> None:
    body["prompt"] = body.get("prompt", "")[:300]


def _mangles(body: dict[str, Any], request: MusicRequest) -> None:
    body["title"] = body["title"].encode("ascii", "ignore").decode() if "title" in body else ""


def _refuses_early() -> ModuleType:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if len(request.prompt or "") > 350:
            raise RequestError("validation_error", "too long", path=("prompt",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    return tiny(translate_request=translate_request)


def _sends_its_secret() -> ModuleType:
    return broken.translates(
        lambda made, _request, settings, *_: attrs.evolve(
            made,
            request=attrs.evolve(
                made.request,
                url=f"{made.request.url}?partner={settings.options['partner_secret']}",
            ),
        )
    )


def _refuses_with_its_secret() -> ModuleType:
    def translate_request(
        request: MusicRequest, offer: Any, settings: ProviderSettings, callback_url: str | None
    ) -> Any:
        if len(request.prompt or "") > tiny_plugin.PROMPT_CHARS:
            raise RequestError("validation_error", f"too long for {settings.options}", path=("prompt",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    return tiny(translate_request=translate_request)


def _map_with(use: Callable[[], object]) -> Callable[[], ModuleType]:
    def meaning(status: str) -> Any:
        use()
        return tiny_plugin.map_status(status)

    return lambda: broken.maps(meaning)


def _changes_its_input() -> ModuleType:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        made = tiny_plugin.translate_request(request, offer, settings, callback_url)
        if isinstance(request.blocks, dict):
            request.blocks["tiny"] = {"mood": "taken"}
        return made

    return tiny(translate_request=translate_request)


def _counts_calls(body: dict[str, Any], request: MusicRequest) -> None:
    body["nonce"] = next(_COUNT)


def _reads_clock(step: Step, response: HttpResponse, read: Any) -> Any:
    time.time()
    return read


def _reads_clock_when(words: bytes) -> Callable[[Step, HttpResponse, Any], Any]:
    def edit(step: Step, response: HttpResponse, read: Any) -> Any:
        return _reads_clock(step, response, read) if words in response.body else read

    return edit


def _cancels(job: Job) -> None:
    time.time()


def _refuses_without_a_message() -> ModuleType:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if len(request.title or "") > 80:
            raise RequestError("validation_error", " ", path=("title",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    return tiny(translate_request=translate_request)


def _logs_its_secret() -> ModuleType:
    def edit(made: Any, request: Any, settings: ProviderSettings, callback_url: str | None) -> Any:
        logging.getLogger("musicgate_tiny").debug("asking with %s", dict(settings.options))
        return made

    return broken.translates(edit)


def _claims_its_secret(
    claim: CallbackClaim, headers: object, body: object, settings: ProviderSettings
) -> CallbackClaim:
    secret = settings.webhook_secret.reveal() if settings.webhook_secret else "none"
    return attrs.evolve(claim, message=f"checked with {secret}")


def _updates_its_secret() -> ModuleType:
    def parse_response(step: Step, response: HttpResponse, settings: ProviderSettings) -> JobUpdate:
        update = tiny_plugin.parse_response(step, response)
        return attrs.evolve(update, body={"asked_with": dict(settings.options)})

    return tiny(parse_response=parse_response)


def _mangles_mood(body: dict[str, Any], request: MusicRequest) -> None:
    if "mood" in body:
        body["mood"] = body["mood"].encode("ascii", "ignore").decode()


FAULTS: tuple[Fault, ...] = (
    fault("request_form", "an address of its own", "base URL", lambda: broken.requests(url="https://api.tiny.example/v1/songs")),
    fault("request_form", "a GET", "GET", lambda: broken.requests(method="GET", body=b"", headers={})),
    fault("request_form", "a body that is no JSON", "no JSON", lambda: broken.requests(body=b"prompt=rain")),
    fault("request_form", "a header that cannot be sent", "header", lambda: broken.requests(
        headers={"Content-Type": "application/json", "X-Mood": "böse"})),
    fault("callback_url_is_sent", "sends no callback URL", "callback URL", _drops("callback_url")),
    fault("follow_up_form", "an id as it is", "native id", lambda: broken.polls(
        lambda job, settings: f"{settings.base_url}/v1/songs/{job.native_id}".replace(" ", "").replace("é", ""))),
    fault("follow_up_form", "polls elsewhere", "base URL", lambda: broken.polls(lambda *_: "https://api.tiny.example/x")),
    fault("follow_up_form", "cannot be polled", "returns None", lambda: tiny(poll_request=None)),
    fault("blocking_is_not_polled", "blocking, and polled", "blocking", lambda: broken.declares(
        blocking=True, timeouts=Timeouts(create_s=600.0))),
    fault("no_secret_leaves", "a secret in the URL", "holds a secret of the settings", _sends_its_secret),
    fault("no_secret_leaves", "a secret in a refusal", "refusal", _refuses_with_its_secret),
    fault("no_secret_leaves", "the key's header", "Authorization", lambda: broken.requests(
        headers={"Content-Type": "application/json", "authorization": "Bearer test"})),
    fault("every_option_counts", "an option without effect", "tiny.echo", _with_stray_option),
    fault("nested_options_count", "a nested option without effect", "tiny.mix.bass", _drops("mix")),
    fault("unknown_options", "drops unknown keys", "kit_unknown_option", _drops("kit_unknown_option")),
    fault("unknown_options", "drops 0 and false", "0", lambda: broken.sends(_drops_falsy)),
    fault("neutral_fields", "reports nothing that it drops", "dropped in silence", lambda: broken.translates(
        lambda made, *_: attrs.evolve(made, warnings=()))),
    fault("neutral_fields", "drops the style", "style", _drops("style")),
    fault("abilities_are_true", "declares what it reports", "seed", lambda: broken.offers(
        abilities=OFFER.abilities | {Ability.SEED})),
    fault("abilities_are_true", "sends what it does not declare", "title", lambda: broken.offers(
        abilities=OFFER.abilities - {Ability.TITLE})),
    fault("abilities_are_true", "sends what its fields do not declare", "title", lambda: broken.offers(
        abilities=OFFER.abilities - {Ability.TITLE},
        fields=(Text("prompt", carries=tuple(sorted(OFFER.abilities - {Ability.TITLE}))),))),
    fault("formats_are_true", "takes what it does not declare", "wav", lambda: broken.offers(formats=("mp3",))),
    fault("formats_are_true", "declares what it refuses", "ogg", lambda: broken.offers(formats=("mp3", "wav", "ogg"))),
    fault("limits_are_true", "refuses what it promises", "400", _refuses_early),
    fault("texts_are_whole", "cuts a long prompt", "never cut", lambda: broken.sends(_cuts)),
    fault("texts_are_whole", "loses emoji", "title", lambda: broken.sends(_mangles)),
    fault("hooks_are_pure", "reads the clock", "time.time", _map_with(lambda: time.time() > 0)),
    fault("hooks_are_pure", "reads the date", "datetime.now", _map_with(lambda: dt.datetime.now(dt.UTC))),
    fault("hooks_are_pure", "reads the environment", "TINY_API_KEY", _map_with(lambda: os.environ.get("TINY_API_KEY"))),
    fault("hooks_are_pure", "uses randomness", "random.choice", _map_with(_draws_at_random)),
    fault("hooks_are_pure", "opens a socket", "socket", _map_with(lambda: socket.socket().close())),
    fault("hooks_are_pure", "reads a file", "open", _map_with(_reads_a_file)),
    fault("same_in_same_out", "counts its calls", "called twice", lambda: broken.sends(_counts_calls)),
    fault("inputs_are_left_alone", "writes into the request", "changed its arguments", _changes_its_input),
    fault("request_form", "a blank in the URL", "no URL may hold", lambda: broken.translates(
        lambda made, *_: attrs.evolve(made, request=attrs.evolve(made.request, url=made.request.url + " x")))),
    fault("request_form", "a method of its own", "BREW", lambda: broken.requests(method="BREW")),
    fault("request_form", "a GET with a body", "a GET with a body", lambda: broken.requests(method="GET")),
    fault("request_form", "a body of no kind", "without a Content-Type", lambda: broken.requests(headers={})),
    fault("request_form", "no native model", "names no native model", lambda: broken.translates(
        lambda made, *_: attrs.evolve(made, native_model=" "))),
    fault("callback_url_is_sent", "makes one up", "still holds one", lambda: broken.sends(
        lambda body, _: body.setdefault("callback_url", CALLBACK_URL))),
    fault("no_secret_leaves", "a secret in a warning", "a warning of", lambda: broken.translates(
        lambda made, _request, settings, _url: attrs.evolve(
            made, warnings=(tiny_plugin.not_applied(str(settings.options)),)))),
    fault("hooks_are_pure", "parse_response reads the clock", "parse_response at step create used", lambda: broken.reads(_reads_clock)),
    fault("hooks_are_pure", "only for a recorded case", "of the case done used", lambda: broken.reads(_reads_clock_when(b"s-1.wav"))),
    fault("hooks_are_pure", "only for nonsense", "of a hostile answer used", lambda: broken.reads(_reads_clock_when(b"It is broken"))),
    fault("hooks_are_pure", "poll_request reads the clock", "poll_request used", lambda: broken.polls(
        lambda _job, settings: f"{settings.base_url}/v1/songs/{time.time()}")),
    fault("hooks_are_pure", "cancel_request reads the clock", "cancel_request used", lambda: tiny(cancel_request=_cancels)),
    fault("hooks_are_pure", "parse_callback reads the clock", "parse_callback used", lambda: broken.claims(
        lambda claim, *_: attrs.evolve(claim, native_status=str(time.time())))),
    fault("texts_are_whole", "refuses without a message", "without a message", _refuses_without_a_message),
    fault("no_secret_is_shown", "a secret in the log", "shows a secret", _logs_its_secret),
    fault("no_secret_is_shown", "a secret in a claim", "shows a secret", lambda: broken.claims(_claims_its_secret)),
    fault("no_secret_is_shown", "a secret in an update", "shows a secret", _updates_its_secret),
    fault("option_texts_are_whole", "loses emoji of an option", "tiny.mood", lambda: broken.sends(_mangles_mood)),
    fault("hooks_are_pure", "reads the calendar", "date.today", _map_with(_reads_the_date)),
)  # fmt: skip
