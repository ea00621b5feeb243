"""A typed and guarded face before one provider's hooks; how plugins are found is not known here.

A hook call for a provider reaches that provider's plugin and no other, but every cross-cutting plugin has its say: its wrappers run
around the call. A subset caller is made once per provider and hook.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, TypeVar, cast

import attrs

from musicgate import bounds
from musicgate.bounds import cut_text
from musicgate.errors import PluginError, ProviderError, RequestError
from musicgate.hookspecs import CallbackClaim, Revision, Step, Translation
from musicgate.model import Failure, FailureClass, JobState, JobUpdate, Provider
from musicgate.vendor_bounds import bounded_failure, bounded_update, bounded_warnings
from musicgate.wire import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pluggy

    from musicgate.emulation import Emulator, EmulatorOptions
    from musicgate.model import Job, MusicRequest, Offer, ProviderSettings

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
_Answer = TypeVar("_Answer")


class ProviderPlugin:
    """One provider's hooks, typed and guarded. The gateway calls plugins through this and nothing else.

    Every method lets `RequestError` and `ProviderError` through; anything else that a plugin raises or returns becomes a
    `PluginError` that names it.
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
        """See `musicgate.hookspecs.revise_request` and `musicgate.hookspecs.translate_request`."""
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
            native_model=cut_text(translation.native_model, bounds.MAX_CODE_CHARS),
            warnings=bounded_warnings(revision.warnings + translation.warnings),
        )

    def poll(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.hookspecs.poll_request`."""
        return self._call_optional("poll_request", HttpRequest, {"job": job, "settings": settings})

    def cancel(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.hookspecs.cancel_request`."""
        return self._call_optional("cancel_request", HttpRequest, {"job": job, "settings": settings})

    def parse(
        self, step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
    ) -> JobUpdate | HttpRequest:
        """See `musicgate.hookspecs.parse_response`. What the answer says is cut to what a job may hold."""
        if bounds.is_too_wide(response.body):
            message = f"the vendor's answer (HTTP {response.status}) holds more than {bounds.MAX_BODY_VALUES:,} values"
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
            raise PluginError(self.name, cut_text(message, bounds.MAX_MESSAGE_CHARS)) from exc

    def map_status(self, native_status: str | None) -> JobState | None:
        """See `musicgate.hookspecs.map_status`; None in gives None out."""
        if native_status is None:
            return None
        return self._call_optional("map_status", JobState, {"native_status": native_status})

    def parse_callback(
        self, headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
    ) -> CallbackClaim:
        """See `musicgate.hookspecs.parse_callback`."""
        arguments = {"headers": headers, "body": body, "settings": settings, "now": now}
        claim = self._call("parse_callback", CallbackClaim, arguments)
        usable = claim.native_id is None or len(claim.native_id) <= bounds.MAX_ID_CHARS
        return claim if usable else attrs.evolve(claim, native_id=None)

    def emulator(self, options: EmulatorOptions) -> Emulator:
        """See `musicgate.hookspecs.emulator`."""
        return cast("Emulator", self._call("emulator", object, {"options": options}))

    def _revise(self, request: MusicRequest, offer: Offer) -> Revision:
        revised = Revision(request=request)
        for implementation in reversed(self._hooks["revise_request"].get_hookimpls()):
            arguments = {"request": revised.request, "offer": offer, "provider": self.provider}
            name = implementation.plugin_name
            try:
                answer = implementation.function(*(arguments[wanted] for wanted in implementation.argnames))
            except RequestError:
                raise
            except Exception as exc:
                raise PluginError(name, f"revise_request raised {type(exc).__name__}: {exc}") from exc
            if answer is None:
                continue
            if not isinstance(answer, Revision):
                raise PluginError(name, f"revise_request returned a {type(answer).__name__}")
            revised = attrs.evolve(answer, warnings=revised.warnings + answer.warnings)
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
        try:
            answer = self._hooks[hook](**arguments)
        except ProviderError as error:
            if isinstance(
                error.failure, Failure
            ):  # else the kit for plugins says so, and the gateway fails as it does
                error.failure = bounded_failure(error.failure)
                error.args = (error.failure.message,)
            raise
        except (RequestError, PluginError):
            raise
        except Exception as exc:
            words = cut_text(str(exc), bounds.MAX_MESSAGE_CHARS)
            raise PluginError(
                self._culprit(hook, exc), f"{hook} raised {type(exc).__name__}: {words}"
            ) from exc
        if answer is not None and not isinstance(answer, wanted):
            raise PluginError(self.name, f"{hook} returned a {type(answer).__name__}")
        return cast("_Answer | None", answer)

    def _culprit(self, hook: str, error: Exception) -> str:
        """Whose implementation raised, this provider's or somebody's wrapper: the innermost frame tells."""
        names = {
            getattr(implementation.function, "__code__", None): implementation.plugin_name
            for implementation in self._hooks[hook].get_hookimpls()
        }
        frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
        return next((names[code] for code in reversed(frames) if code in names), self.name)
