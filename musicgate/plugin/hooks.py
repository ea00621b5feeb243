"""THE SEAM: the hooks between musicgate and its plugins; signatures and promises, no behaviour.

A provider plugin is a module (or object) that implements the provider hooks and is named by an entry point in
the group ``musicgate``. It does no I/O, reads no clock and no environment: values in, values out. A
cross-cutting plugin implements ``@hookimpl(wrapper=True)`` around provider hooks, ``revise_request``, or
``job_changed``. A wrapper sees what goes in and may change what comes out. It cannot change what goes in,
because pluggy passes the same arguments to every implementation: that is what ``revise_request`` is for.

pluggy passes arguments by name: an implementation lists only those that it needs, and new arguments can be
added here without breaking any plugin. Every plugin states ``HOOK_API = 1``, the version of this file that it
was built for.

A hook raises what is listed under **Raises** and nothing else. Anything else becomes a `PluginError` that
names the plugin: other exceptions, an error type that only another hook may raise, and an answer whose fields
do not have their types.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs
import pluggy

from musicgate.model import (
    Job,
    JobState,
    JobUpdate,
    JsonObject,
    MusicRequest,
    Offer,
    OptionWarning,
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
    """A request in place of the caller's.

    Attributes:
        request: the request that is translated.
        warnings: one for each option that is no longer as the caller gave it; nothing is changed in silence.
    """

    request: MusicRequest
    warnings: tuple[OptionWarning, ...] = ()


@attrs.frozen(kw_only=True)
class Translation:
    """A request in the vendor's own terms.

    Attributes:
        request: what to send, without the key.
        native_model: the vendor's name of the model, as the request names it.
        warnings: one for each option that is not sent as the caller gave it.
        fields: the native fields in the request, by the vendor's names, for the check against the fields that
            the offer declares. None = they are not checked.
        paths: which option of the caller's request an error about a native field names, where that is neither
            the vendor block's option of that name nor the neutral field that it carries.
    """

    request: HttpRequest
    native_model: str
    warnings: tuple[OptionWarning, ...] = ()
    fields: JsonObject | None = None
    paths: Mapping[str, tuple[str | int, ...]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class CallbackClaim:
    """What a callback claims. It is a hint to poll now, never a fact.

    Attributes:
        native_id: the vendor's task id, where the body names one.
        native_status: the stage or status, for the log.
        verified: True = signature checked and good; None = this vendor does not sign, or no secret is set;
            False = refuse it.
        message: why it is refused.
    """

    native_id: str | None = None
    native_status: str | None = None
    verified: bool | None = None
    message: str = ""


@hookspec(firstresult=True)
def provider() -> Provider:  # type: ignore[empty-body]  # a specification has no body
    """Declare the provider. Called once, when the plugin is loaded.

    It raises nothing: a plugin that does is left out.
    """


@hookspec
def revise_request(request: MusicRequest, offer: Offer, provider: Provider) -> Revision | None:
    """Replace the caller's request before it is translated for one candidate; None leaves it as it is.

    For cross-cutting plugins. Each one sees what the one before it returned; the last one registered is
    called first, as with every hook. It cannot be wrapped.

    Args:
        request: valid by the composed schema. The replacement is not validated again.
        offer: the candidate's offer.
        provider: the candidate.

    Raises:
        RequestError: this candidate must not get the request; another one still may.
    """


@hookspec(firstresult=True)
def translate_request(  # type: ignore[empty-body]  # a specification has no body
    request: MusicRequest,
    offer: Offer,
    settings: ProviderSettings,
    callback_url: str | None,
    provider: Provider,
) -> Translation:
    """Translate a request into the vendor's create call.

    Every option is sent, or reported in ``warnings``, or refused.

    Args:
        request: valid by the composed schema, and revised by every ``revise_request``.
        offer: which of the plugin's offers was chosen.
        settings: base URL and the plugin's own settings.
        callback_url: absolute URL for the vendor's callbacks; None when the gateway cannot be reached from
            outside.
        provider: the plugin's own declaration, for wrappers.

    Raises:
        RequestError: the vendor would refuse this, and the plugin knows it before sending.
    """


@hookspec(firstresult=True)
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Make the request that asks for a job's status; None for a vendor that cannot be polled.

    ``job.native_id`` is set. It depends on its arguments alone: the request is sent again without a call of
    this hook while the vendor's answers change nothing. It raises nothing: no caller waits who could correct
    anything, and nothing has been sent yet.
    """


@hookspec(firstresult=True)
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Make the request that stops a job; None for a vendor that cannot cancel.

    ``job.native_id`` is set. It raises nothing.
    """


@hookspec(firstresult=True)
def parse_response(  # type: ignore[empty-body]  # a specification has no body
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer into a `JobUpdate`, or return the next request where the vendor needs two calls.

    A vendor's "no" is data (``JobUpdate(failure=...)``); what cannot be read is an error. While polling, an
    answer that says nothing about the song (429, 5xx, maintenance, noise) is an error too: the job stays as
    it was.

    It depends on its arguments alone. So an answer to a poll that has the status 200 and the same body as the
    one before it, which changed nothing in the job, may not be given to the plugin again, although headers
    like ``Date`` differ; after two minutes it is.

    An answer of more than 32 kB is read on another thread, so that it does not block the event loop. A job
    keeps a bounded part of what is returned: 32 tracks, 50 warnings, texts and further facts of limited
    length.

    Args:
        step: which call this answers.
        response: the whole answer, of any HTTP status.
        job: the job as it is stored; before the create call was answered it has no ``native_id``.
        settings: base URL and the plugin's own settings.

    Raises:
        ProviderError: and nothing else, whatever the bytes.
    """


@hookspec(firstresult=True)
def map_status(native_status: str) -> JobState | None:
    """Return the state that a native status means; None for an unknown one.

    It is not needed where ``Provider.statuses`` has all words; it is asked first where both are there.

    A job with an unknown status stays open, and the status is kept. It raises nothing.
    """


@hookspec(firstresult=True)
def parse_callback(  # type: ignore[empty-body]  # a specification has no body
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    """Read and verify a callback.

    Where ``Provider.callback_signature`` is declared, it only reads: a claim whose ``verified`` is None is
    verified by the declaration.

    Args:
        headers: with lower-case names.
        body: the raw bytes, over which signatures are computed.
        settings: its ``webhook_secret`` is None where the operator has set none.
        now: epoch seconds, for the age of a signature.

    Raises:
        ProviderError: class ``protocol``, when the body cannot be read.
    """


@hookspec(firstresult=True)
def emulator(options: EmulatorOptions) -> Emulator:  # type: ignore[empty-body]  # a specification has no body
    """Make a fresh emulator of this vendor.

    Any exception, also for an unknown switch, becomes a `PluginError`.
    """


@hookspec
def job_changed(before: Job | None, after: Job) -> None:
    """Observe a stored change of a job: for metrics, billing, audit.

    It is called on the event loop and must be quick. It raises nothing: exceptions are logged and have no
    other effect.

    Args:
        before: the job before the change; None when it is new.
        after: the job as it is stored now.
    """
