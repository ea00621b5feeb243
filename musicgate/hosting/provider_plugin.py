"""A typed and guarded face before one provider's hooks; how plugins are found is not known here.

A hook call for a provider reaches that provider's plugin and no other, but every cross-cutting plugin has its say: its wrappers run
around the call. A subset caller is made once per provider and hook.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from musicgate import text
from musicgate.errors import (
    MusicgateError,
    PluginError,
    ProviderError,
    RequestError,
)
from musicgate.hosting.hook_values import fault_of
from musicgate.jobs import bounded_failure, bounded_update, bounded_warnings
from musicgate.model import (
    Failure,
    FailureClass,
    JobState,
    JobUpdate,
    Provider,
)
from musicgate.plugin import (
    CallbackClaim,
    HttpRequest,
    HttpResponse,
    Revision,
    Step,
    Translation,
)
from musicgate.text import cut_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import pluggy

    from musicgate.model import (
        Job,
        MusicRequest,
        Offer,
        ProviderSettings,
    )
    from musicgate.plugin import Emulator, EmulatorOptions

_PROVIDER_HOOKS = (
    "provider",
    "revise_request",
    "translate_request",
    "poll_request",
    "cancel_request",
    "parse_response",
    "map_status",
    "parse_callback",
    "emulator",
)
#: What a hook may raise: what `musicgate.plugin.hooks` lists under **Raises**, and nothing else.
_RAISES: Mapping[str, type[MusicgateError]] = {
    "revise_request": RequestError,
    "translate_request": RequestError,
    "parse_response": ProviderError,
    "parse_callback": ProviderError,
}
_Answer = TypeVar("_Answer")


class ProviderPlugin:
    """One provider's hooks, typed and guarded. The gateway calls plugins through this and nothing else.

    A method raises what its hook is documented to raise. Anything else that a plugin raises, and any answer of a wrong type, becomes a
    `PluginError` that names the plugin; so does a ``CancelledError``: hooks are synchronous, so nobody cancelled anything.
    """

    def __init__(
        self, host: pluggy.PluginManager, name: str, provider: Provider, others: Iterable[object]
    ) -> None:
        """Make the subset callers: this provider's hooks with everybody's wrappers around them."""
        self.name = name
        self.provider = provider
        removed = [plugin for plugin in others if host.get_name(plugin) != name]
        self._hooks = {hook: host.subset_hook_caller(hook, removed) for hook in _PROVIDER_HOOKS}

    def translate(
        self, request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        """See `musicgate.plugin.hooks.revise_request` and `musicgate.plugin.hooks.translate_request`."""
        revision = self._revise(request, offer)
        arguments = {
            "request": revision.request,
            "offer": offer,
            "settings": settings,
            "callback_url": callback_url,
            "provider": self.provider,
        }
        translation: Translation = self._call("translate_request", Translation, arguments)
        return attrs.evolve(
            translation,
            native_model=cut_text(translation.native_model, text.MAX_CODE_CHARS),
            warnings=bounded_warnings(revision.warnings + translation.warnings),
        )

    def poll(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.plugin.hooks.poll_request`."""
        return self._call_optional("poll_request", HttpRequest, {"job": job, "settings": settings})

    def cancel(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.plugin.hooks.cancel_request`."""
        return self._call_optional("cancel_request", HttpRequest, {"job": job, "settings": settings})

    def parse(
        self, step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
    ) -> JobUpdate | HttpRequest:
        """See `musicgate.plugin.hooks.parse_response`. What the answer says is cut to what a job may hold."""
        if text.is_too_wide(response.body):
            message = f"the vendor's answer (HTTP {response.status}) holds more than {text.MAX_BODY_VALUES:,} values"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        arguments = {"step": step, "response": response, "job": job, "settings": settings}
        answer: object = self._call("parse_response", (JobUpdate, HttpRequest), arguments)
        if isinstance(answer, HttpRequest):
            return answer
        try:
            return bounded_update(cast("JobUpdate", answer), job)
        except ProviderError:
            raise
        except Exception as exc:
            message = f"parse_response returned a JobUpdate with fields of the wrong type: {exc}"
            raise PluginError(self.name, cut_text(message, text.MAX_MESSAGE_CHARS)) from exc

    def map_status(self, native_status: str | None) -> JobState | None:
        """See `musicgate.plugin.hooks.map_status`; None in gives None out."""
        if native_status is None:
            return None
        return self._call_optional("map_status", JobState, {"native_status": native_status})

    def parse_callback(
        self, headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
    ) -> CallbackClaim:
        """See `musicgate.plugin.hooks.parse_callback`."""
        arguments = {"headers": headers, "body": body, "settings": settings, "now": now}
        claim = self._call("parse_callback", CallbackClaim, arguments)
        usable = claim.native_id is None or len(claim.native_id) <= text.MAX_ID_CHARS
        return claim if usable else attrs.evolve(claim, native_id=None)

    def emulator(self, options: EmulatorOptions) -> Emulator:
        """See `musicgate.plugin.hooks.emulator`."""
        return cast("Emulator", self._call("emulator", object, {"options": options}))

    def _revise(self, request: MusicRequest, offer: Offer) -> Revision:
        revised = Revision(request=request)
        for implementation in reversed(self._hooks["revise_request"].get_hookimpls()):
            arguments = {"request": revised.request, "offer": offer, "provider": self.provider}
            name = implementation.plugin_name
            with _guarded("revise_request", functools.partial(_always, name)):
                answer = implementation.function(*(arguments[wanted] for wanted in implementation.argnames))
            if answer is None:
                continue
            revision: Revision = _checked(name, "revise_request", answer, Revision)
            revised = attrs.evolve(revision, warnings=revised.warnings + revision.warnings)
        return revised

    def _call(
        self, hook: str, wanted: type[_Answer] | tuple[type[object], ...], arguments: Mapping[str, object]
    ) -> _Answer:
        answer: _Answer | None = self._call_optional(hook, wanted, arguments)
        if answer is None:
            raise PluginError(self.name, f"{hook} gave no answer")
        return answer

    def _call_optional(
        self, hook: str, wanted: type[_Answer] | tuple[type[object], ...], arguments: Mapping[str, object]
    ) -> _Answer | None:
        with _guarded(hook, lambda error: self._culprit(hook, error)):
            answer = self._hooks[hook](**arguments)
        return None if answer is None else _checked(self.name, hook, answer, wanted)

    def _culprit(self, hook: str, error: BaseException) -> str:
        """Whose implementation raised, this provider's or somebody's wrapper: the innermost frame tells."""
        names = {
            getattr(implementation.function, "__code__", None): implementation.plugin_name
            for implementation in self._hooks[hook].get_hookimpls()
        }
        frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        return next((names[code] for code in reversed(frames) if code in names), self.name)


@contextlib.contextmanager
def _guarded(hook: str, culprit: Callable[[BaseException], str]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as exc:  # also SystemExit and CancelledError: a plugin ends neither the process nor a task
        if isinstance(exc, _RAISES.get(hook, ())):
            fault = _error_fault(exc)
            if fault is None:
                raise _bounded(exc) from exc.__cause__
            raise PluginError(culprit(exc), f"{hook} raised a {type(exc).__name__} with {fault}") from exc
        words = cut_text(str(exc), text.MAX_MESSAGE_CHARS)
        raise PluginError(culprit(exc), f"{hook} raised {type(exc).__name__}: {words}") from exc


def _bounded(error: BaseException) -> BaseException:
    """The error, or one with shorter texts in its place."""
    if not isinstance(error, ProviderError):
        return error
    failure = bounded_failure(error.failure)
    if failure == error.failure:
        return error
    return ProviderError(
        failure, status=error.status, maybe_accepted=error.maybe_accepted, is_final=error.is_final
    )


def _error_fault(error: BaseException) -> str | None:
    if not isinstance(error, ProviderError):
        return None
    failure: object = error.failure
    if not isinstance(failure, Failure):
        return f"a {type(failure).__name__} in place of a failure"
    fault = fault_of(failure)
    return None if fault is None else f"a failure whose {fault}"


def _always(plugin: str, _error: BaseException) -> str:
    return plugin


def _checked(
    plugin: str, hook: str, answer: object, wanted: type[_Answer] | tuple[type[object], ...]
) -> _Answer:
    if not isinstance(answer, wanted):
        raise PluginError(plugin, f"{hook} returned a {type(answer).__name__}")
    fault = fault_of(answer)
    if fault is not None:
        raise PluginError(plugin, f"{hook} returned a {type(answer).__name__} that is not sound: {fault}")
    return cast("_Answer", answer)
