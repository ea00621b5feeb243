"""Call one provider's hooks, typed and guarded; how plugins are found is not known here.

A hook call for a provider reaches that provider's plugin only, with the wrappers of every cross-cutting
plugin around it. The subset callers are made once per provider.
"""

from __future__ import annotations

import functools
import operator
import traceback
import types
import typing
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import attrs

from musicgate import text
from musicgate.errors import (
    MusicgateError,
    PluginError,
    ProviderError,
    RequestError,
)
from musicgate.hosting.declared import asked_offer, refuse_violations, warnings_of
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
    PROJECT,
    CallbackClaim,
    Emulator,
    HttpRequest,
    HttpResponse,
    Revision,
    Step,
    Translation,
    hooks,
)
from musicgate.text import cut_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pluggy

    from musicgate.model import (
        Job,
        MusicRequest,
        Offer,
        OptionWarning,
        ProviderSettings,
    )
    from musicgate.plugin import EmulatorOptions

_P = ParamSpec("_P")
_Answer = TypeVar("_Answer")

#: The names of all hooks: the functions in `musicgate.plugin.hooks` that are specifications.
HOOKS = tuple(name for name, spec in vars(hooks).items() if hasattr(spec, f"{PROJECT}_spec"))
#: What a hook may raise: what `musicgate.plugin.hooks` lists under **Raises**, and nothing else.
_RAISES: Mapping[str, type[MusicgateError]] = {
    "revise_request": RequestError,
    "translate_request": RequestError,
    "parse_response": ProviderError,
    "parse_callback": ProviderError,
}


class ProviderPlugin:
    """One provider's hooks. The gateway calls plugins through this and nothing else.

    A method raises what its hook is documented to raise. Anything else that a plugin raises, and any answer
    of a wrong type, becomes a `PluginError` that names the plugin. So does a ``CancelledError``: hooks are
    synchronous, so no task was cancelled.
    """

    def __init__(
        self, host: pluggy.PluginManager, name: str, provider: Provider, providers: Iterable[object]
    ) -> None:
        """Make the subset callers: all plugins but the other ``providers``."""
        self.name = name
        self.provider = provider
        others = [plugin for plugin in providers if host.get_name(plugin) != name]
        self._hooks = {hook: host.subset_hook_caller(hook, others) for hook in HOOKS}
        self._direct = {hook: _direct_call(caller) for hook, caller in self._hooks.items()}
        self._has_map_status = bool(self._hooks["map_status"].get_hookimpls())
        self._revisers = self._hooks["revise_request"].get_hookimpls()[::-1]

    def translate(
        self, request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        """See `musicgate.plugin.hooks.revise_request` and `musicgate.plugin.hooks.translate_request`."""
        warnings: tuple[OptionWarning, ...] = ()
        if self._revisers:
            revision = self._revise(request, offer)
            request, warnings = revision.request, revision.warnings
        provider = self.provider
        if provider.model_option is not None or provider.model_setting is not None:
            offer = asked_offer(provider, offer, request, settings)
        translation = self._call(
            hooks.translate_request,
            request=request,
            offer=offer,
            settings=settings,
            callback_url=callback_url,
            provider=provider,
        )
        refuse_violations(provider, offer, request, translation)
        warnings += translation.warnings + warnings_of(provider, offer, request, translation)
        if not warnings and len(translation.native_model) <= text.MAX_CODE_CHARS:
            return translation
        return attrs.evolve(
            translation,
            native_model=cut_text(translation.native_model, text.MAX_CODE_CHARS),
            warnings=bounded_warnings(warnings),
        )

    def poll(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.plugin.hooks.poll_request`."""
        return self._call(hooks.poll_request, job=job, settings=settings)

    def cancel(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """See `musicgate.plugin.hooks.cancel_request`."""
        return self._call(hooks.cancel_request, job=job, settings=settings)

    def parse(
        self, step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
    ) -> JobUpdate | HttpRequest:
        """See `musicgate.plugin.hooks.parse_response`. An update is cut to what a job may hold."""
        if text.is_too_wide(response.body):
            message = f"the vendor's answer (HTTP {response.status}) holds more than {text.MAX_BODY_VALUES:,} values"
            failure = Failure(reason=FailureClass.PROTOCOL, message=message)
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        answer = self._call(hooks.parse_response, step=step, response=response, job=job, settings=settings)
        if not isinstance(answer, JobUpdate):
            return answer
        try:
            return bounded_update(answer, job)
        except ProviderError:
            raise
        except Exception as exc:
            message = f"parse_response returned a JobUpdate with fields of the wrong type: {exc}"
            raise PluginError(self.name, cut_text(message, text.MAX_MESSAGE_CHARS)) from exc

    def map_status(self, native_status: str | None) -> JobState | None:
        """See `musicgate.plugin.hooks.map_status`, and `Provider.statuses`; None in gives None out."""
        if native_status is None:
            return None
        if self._has_map_status:
            state = self._call(hooks.map_status, native_status=native_status)
            if state is not None:
                return state
        return self.provider.state_of(native_status)

    def parse_callback(
        self, headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
    ) -> CallbackClaim:
        """See `musicgate.plugin.hooks.parse_callback`; an overlong native id is left out.

        An unsigned callback is refused as such even if its body cannot be read.
        """
        signature, secret = self.provider.callback_signature, settings.webhook_secret
        is_due = signature is not None and signature.is_due(settings.options)
        try:
            claim = self._call(hooks.parse_callback, headers=headers, body=body, settings=settings, now=now)
        except ProviderError:
            if signature is None or secret is None or not is_due or headers.get(signature.header.lower()):
                raise
            claim = CallbackClaim()
        if signature is not None and secret is not None and is_due and claim.verified is None:
            fault = signature.fault(secret.reveal(), headers, body=body, native_id=claim.native_id, now=now)
            if fault is not None:
                return CallbackClaim(verified=False, message=fault)
            claim = attrs.evolve(claim, verified=True)
        usable = claim.native_id is None or len(claim.native_id) <= text.MAX_ID_CHARS
        return claim if usable else attrs.evolve(claim, native_id=None)

    def emulator(self, options: EmulatorOptions) -> Emulator:
        """See `musicgate.plugin.hooks.emulator`."""
        return self._call(hooks.emulator, options=options)

    def _revise(self, request: MusicRequest, offer: Offer) -> Revision:
        """Call every ``revise_request`` with the request that the one before it returned."""
        # pluggy itself would pass the same request to all of them.
        caller = self._hooks["revise_request"]
        revised = Revision(request=request)
        for implementation in self._revisers:
            name = implementation.plugin_name
            arguments = {"request": revised.request, "offer": offer, "provider": self.provider}
            try:
                answer = implementation.function(
                    *(arguments[argument] for argument in implementation.argnames)
                )
            except BaseException as exc:  # noqa: BLE001 - see _raise_error_of
                _raise_error_of(caller, name, exc)
            revision = _checked(name, hooks.revise_request, answer)
            if revision is not None:
                revised = attrs.evolve(revision, warnings=revised.warnings + revision.warnings)
        return revised

    def _call(self, hook: Callable[_P, _Answer], *_: _P.args, **arguments: _P.kwargs) -> _Answer:
        name = hook.__name__
        try:
            answer = self._direct[name](arguments)
        except BaseException as exc:  # noqa: BLE001 - see _raise_error_of
            _raise_error_of(self._hooks[name], self.name, exc)
        return _checked(self.name, hook, answer)


def _direct_call(caller: pluggy.HookCaller) -> Callable[[Mapping[str, object]], object]:
    """A call of the one implementation of a hook; pluggy's own where there are wrappers, or several.

    pluggy's way to an only implementation costs 4 us, this one 0.3 us.
    """
    implementations = caller.get_hookimpls()
    if len(implementations) != 1 or implementations[0].wrapper or implementations[0].hookwrapper:
        return lambda arguments: caller(**arguments)
    function, names = implementations[0].function, implementations[0].argnames
    if len(names) < 2:  # for these an `itemgetter` makes no tuple
        return lambda arguments: function(*[arguments[name] for name in names])
    values_of = operator.itemgetter(*names)
    return lambda arguments: function(*values_of(arguments))


def _raise_error_of(caller: pluggy.HookCaller, plugin: str, exc: BaseException) -> NoReturn:
    """Let pass what the hook may raise; everything else becomes a `PluginError`.

    Also SystemExit and CancelledError: a plugin ends neither the process nor a task.
    """
    if isinstance(exc, KeyboardInterrupt):
        raise exc
    hook, culprit = caller.name, _culprit(caller, exc) or plugin
    if isinstance(exc, _RAISES.get(hook, ())):
        fault = _error_fault(exc)
        if fault is None:
            raise _bounded(exc) from exc.__cause__
        raise PluginError(culprit, f"{hook} raised a {type(exc).__name__} with {fault}") from exc
    message = cut_text(str(exc), text.MAX_MESSAGE_CHARS)
    raise PluginError(culprit, f"{hook} raised {type(exc).__name__}: {message}") from exc


def _culprit(caller: pluggy.HookCaller, error: BaseException) -> str | None:
    """Name the plugin whose implementation or wrapper raised: that of the innermost frame."""
    names = {
        getattr(implementation.function, "__code__", None): implementation.plugin_name
        for implementation in caller.get_hookimpls()
    }
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return next((names[code] for code in reversed(frames) if code in names), None)


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


def _checked(plugin: str, hook: Callable[..., _Answer], answer: Any) -> _Answer:
    """Return the answer if it has the type that the hook's signature states, down to its fields."""
    checked: _Answer = answer
    name, kinds = hook.__name__, _answer_kinds(hook)
    if answer is None and types.NoneType not in kinds:
        raise PluginError(plugin, f"{name} gave no answer")
    if not isinstance(answer, kinds):
        raise PluginError(plugin, f"{name} returned a {type(answer).__name__}")
    fault = fault_of(answer)
    if fault is not None:
        raise PluginError(plugin, f"{name} returned a {type(answer).__name__} that is not sound: {fault}")
    return checked


@functools.cache
def _answer_kinds(hook: Callable[..., Any]) -> tuple[type, ...]:
    """Return the classes of which an answer may be an instance."""
    # An emulator is a protocol: what one lacks is for the compliance kit to find.
    hint = typing.get_type_hints(hook)["return"]
    return (object,) if hint is Emulator else typing.get_args(hint) or (hint,)
