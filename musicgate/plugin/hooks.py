"""THE SEAM: the hooks between musicgate and its plugins; signatures and promises, no behaviour.

A provider plugin is a module (or object) that implements the provider hooks and is named by an entry point in the group
``musicgate``. It does no I/O, reads no clock and no environment: values in, values out. A cross-cutting plugin implements
``@hookimpl(wrapper=True)`` around provider hooks, ``revise_request``, or ``job_changed``. A wrapper sees what goes in and may
change what comes out; what goes in it cannot change (pluggy hands every implementation the same arguments): that is what
``revise_request`` is for.

pluggy passes arguments by name: an implementation lists only those that it needs, and new arguments can be added here without
breaking anybody. Every plugin states ``HOOK_API = 1``, the version of this file that it was built for.

A hook raises what is listed under **Raises** and nothing else. Whatever else it raises is the plugin's fault, also an error type that
another hook may raise, and so is an answer whose fields do not have their types: the gateway then names the plugin.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import attrs
import pluggy

from musicgate.model import OptionWarning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import (
        Job,
        JobState,
        JobUpdate,
        MusicRequest,
        Offer,
        Provider,
        ProviderSettings,
    )
    from musicgate.plugin.emulator import Emulator, EmulatorOptions
    from musicgate.plugin.wire import HttpRequest, HttpResponse

PROJECT = "musicgate"
#: Version of the hooks below. It grows when an implementation of an older one would no longer do.
HOOK_API = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Step(StrEnum):
    """Which call an answer belongs to."""

    CREATE = "create"
    POLL = "poll"
    CANCEL = "cancel"
    #: The answer to an `HttpRequest` that ``parse_response`` itself returned.
    NEXT = "next"


@attrs.frozen(kw_only=True)
class Revision:
    """A wish in place of the caller's.

    Attributes:
        request: the wish that is translated.
        warnings: what is no longer as the caller said it; nothing is changed in silence.
    """

    request: MusicRequest
    warnings: tuple[OptionWarning, ...] = ()


@attrs.frozen(kw_only=True)
class Translation:
    """A wish in the vendor's words.

    Attributes:
        request: what to send, without the key.
        native_model: the vendor's name of the model, as it stands in the request.
        warnings: what could not be followed to the letter.
    """

    request: HttpRequest
    native_model: str
    warnings: tuple[OptionWarning, ...] = ()


@attrs.frozen(kw_only=True)
class CallbackClaim:
    """What a callback claims. It is a hint to look now, never a fact.

    Attributes:
        native_id: the vendor's task id, where the body names one.
        native_status: the stage or status word, for the log.
        verified: True = signature checked and good; None = this vendor does not sign, or no secret is set; False = refuse it.
        message: why it is refused.
    """

    native_id: str | None = None
    native_status: str | None = None
    verified: bool | None = None
    message: str = ""


@hookspec(firstresult=True)
def provider() -> Provider:  # type: ignore[empty-body]  # a specification has no body
    """Declare the provider. Called once, when the plugin is loaded.

    It raises nothing: a plugin without a declaration is left out.
    """


@hookspec
def revise_request(request: MusicRequest, offer: Offer, provider: Provider) -> Revision | None:
    """Put another wish in the place of the caller's, before it is translated for one candidate; None leaves it as it is.

    For cross-cutting plugins. Each one sees what the one before it made; the last one registered is asked first, as with every
    hook. It cannot be wrapped.

    Args:
        request: the wish; it passed the composed schema. The result is not held against the schema again.
        offer: what would be asked for.
        provider: who would be asked.

    Raises:
        RequestError: this wish is refused; another candidate may still be asked.
    """


@hookspec(firstresult=True)
def translate_request(  # type: ignore[empty-body]  # a specification has no body
    request: MusicRequest,
    offer: Offer,
    settings: ProviderSettings,
    callback_url: str | None,
    provider: Provider,
) -> Translation:
    """Put a wish into the vendor's words. Every option is sent, or reported in ``warnings``, or refused.

    Args:
        request: the wish; it passed the composed schema, and every ``revise_request``.
        offer: which of the plugin's offers was chosen.
        settings: base URL and the plugin's own settings.
        callback_url: where the vendor shall call us, or None when we cannot be reached.
        provider: whose translation this is, for wrappers.

    Raises:
        RequestError: the vendor would refuse this, and we know it before sending.
    """


@hookspec(firstresult=True)
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Ask how a job is doing; None where the vendor cannot be asked. ``job.native_id`` is set.

    It raises nothing: no caller is there who could fix anything, and the vendor has not been asked yet.
    """


@hookspec(firstresult=True)
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Ask to stop a job; None where the vendor cannot be told.

    It raises nothing.
    """


@hookspec(firstresult=True)
def parse_response(  # type: ignore[empty-body]  # a specification has no body
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer in native words, or name the next request where the vendor needs two calls.

    A vendor's "no" is data (``JobUpdate(failure=...)``); what cannot be read is an error. While polling, an answer that says
    nothing about the song (429, 5xx, maintenance, noise) is an error too: the job stays as it was.

    An answer of more than 32 kB is read on another thread, so that it holds up nobody else. Of what is returned, a job keeps what there is
    room for: 32 tracks, 50 warnings, texts and further facts of some length.

    Raises:
        ProviderError: and nothing else, whatever the bytes.
    """


@hookspec(firstresult=True)
def map_status(native_status: str) -> JobState | None:
    """The meaning of a status word; None for a word that the plugin does not know (the job stays open, the word is kept).

    It raises nothing.
    """


@hookspec(firstresult=True)
def parse_callback(  # type: ignore[empty-body]  # a specification has no body
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback. ``headers`` have lower-case names; ``now`` is epoch seconds, for the age of a signature.

    Raises:
        ProviderError: class ``protocol``, when the body cannot be read.
    """


@hookspec(firstresult=True)
def emulator(options: EmulatorOptions) -> Emulator:  # type: ignore[empty-body]  # a specification has no body
    """A fresh emulator of this vendor.

    It raises nothing that is told apart: a switch that does not exist is a `PluginError` like every other fault.
    """


@hookspec
def job_changed(before: Job | None, after: Job) -> None:
    """Something about a job changed and is stored. For metrics, billing, audit; must be quick.

    It raises nothing: errors are logged and swallowed.
    """
