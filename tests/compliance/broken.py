"""Break the tiny plugin: each function makes a copy with one hook, or one answer, changed."""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import attrs

from musicgate.errors import ProviderError
from musicgate.model import (
    Job,
    JobUpdate,
    MusicRequest,
    Offer,
    Provider,
    ProviderSettings,
)
from musicgate.plugin import (
    CallbackClaim,
    EmulatedAnswer,
    EmulatedCallback,
    Emulator,
    EmulatorOptions,
    HttpRequest,
    HttpResponse,
    Step,
    Translation,
)
from tests.compliance import tiny_plugin
from tests.compliance.tiny_plugin import OFFER, OPTIONS_SCHEMA, PROVIDER, tiny
from tests.compliance.tiny_vendor import TinyVendor

Body = dict[str, Any]


def declares(**changes: Any) -> ModuleType:
    """The plugin with another declaration."""
    provider = attrs.evolve(PROVIDER, **changes)

    def declare() -> Provider:
        return provider

    return tiny(provider=_named(declare, "provider"))


def offers(**changes: Any) -> ModuleType:
    """The plugin with another offer."""
    return declares(offers=(attrs.evolve(OFFER, **changes),))


def options(**changes: Any) -> ModuleType:
    """The plugin with another option schema."""
    return declares(options_schema={**OPTIONS_SCHEMA, **changes})


def translates(
    edit: Callable[[Translation, MusicRequest, ProviderSettings, str | None], Translation],
) -> ModuleType:
    """The plugin with another translation."""

    def translate_request(
        request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        translation = tiny_plugin.translate_request(request, offer, settings, callback_url)
        return edit(translation, request, settings, callback_url)

    return tiny(translate_request=translate_request)


def sends(edit: Callable[[Body, MusicRequest], object]) -> ModuleType:
    """The plugin with another body of its create request; ``edit`` changes it in place."""

    def edited(
        made: Translation, request: MusicRequest, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        body: Any = HttpResponse(status=200, body=made.request.body).json()
        edit(body, request)
        return attrs.evolve(made, request=HttpRequest.post_json(made.request.url, body))

    return translates(edited)


def requests(**changes: Any) -> ModuleType:
    """The plugin whose create request has other attributes."""
    return translates(lambda made, *_: attrs.evolve(made, request=attrs.evolve(made.request, **changes)))


def polls(url: Callable[[Job, ProviderSettings], str]) -> ModuleType:
    """The plugin that polls elsewhere."""

    def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
        return HttpRequest.get(url(job, settings))

    return tiny(poll_request=poll_request)


def reads(
    edit: Callable[[Step, HttpResponse, JobUpdate | ProviderError], Any],
) -> ModuleType:
    """The plugin with other results of parse_response; an error that ``edit`` returns is raised."""

    def parse_response(step: Step, response: HttpResponse) -> JobUpdate:
        read: JobUpdate | ProviderError
        try:
            read = tiny_plugin.parse_response(step, response)
        except ProviderError as error:
            read = error
        edited: JobUpdate | ProviderError = edit(step, response, read)
        if isinstance(edited, ProviderError):
            raise edited
        return edited

    return tiny(parse_response=parse_response)


def reads_updates(**changes: Any) -> ModuleType:
    """The plugin whose updates have other attributes."""
    return reads(
        lambda _step, _response, read: attrs.evolve(read, **changes) if isinstance(read, JobUpdate) else read
    )


def reads_errors(edit: Callable[[ProviderError], object]) -> ModuleType:
    """The plugin whose errors are changed in place."""

    def edited(step: Step, response: HttpResponse, read: JobUpdate | ProviderError) -> Any:
        if isinstance(read, ProviderError):
            edit(read)
        return read

    return reads(edited)


def maps(meaning: Callable[[str], Any]) -> ModuleType:
    """The plugin that maps statuses differently."""

    def map_status(native_status: str) -> Any:
        return meaning(native_status)

    return tiny(map_status=map_status)


def claims(
    edit: Callable[[CallbackClaim, dict[str, str], bytes, ProviderSettings], CallbackClaim],
) -> ModuleType:
    """The plugin with other claims of callbacks."""

    def parse_callback(
        headers: dict[str, str], body: bytes, settings: ProviderSettings, now: float
    ) -> CallbackClaim:
        return edit(tiny_plugin.parse_callback(headers, body, settings, now), headers, body, settings)

    return tiny(parse_callback=parse_callback)


def emulates(vendor: type[TinyVendor]) -> ModuleType:
    """The plugin with another emulator."""

    def emulator(options: EmulatorOptions) -> Emulator:
        return vendor(options)

    return tiny(emulator=emulator)


def answers(edit: Callable[[HttpRequest, HttpResponse, TinyVendor], HttpResponse]) -> ModuleType:
    """The plugin whose emulator answers differently."""

    class Other(TinyVendor):
        def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
            answer = super().answer(request, now)
            return attrs.evolve(answer, response=edit(request, answer.response, self))

    return emulates(Other)


def calls_back(edit: Callable[[Sequence[EmulatedCallback]], Sequence[EmulatedCallback]]) -> ModuleType:
    """The plugin whose emulator calls back differently."""

    class Other(TinyVendor):
        def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
            return edit(super().due_callbacks(now))

    return emulates(Other)


def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    function.__name__ = name
    return function
