"""From a request to a plan: schema, codec, routing, translation. Sends nothing and stores nothing.

A plan translates every candidate. So an option that a provider cannot express moves it down the order, a
request that no provider can express is the caller's error, and the dry run is the real plan.

A translation costs more than the rest of a plan, and nearly always the first provider in the order follows
the request to the letter: then no other one can come before it. `Planner.choose` translates that one alone,
and the others only when it has refused the call.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Final

import attrs
import orjson

from musicgate import codec
from musicgate.errors import (
    InvalidRequestError,
    MusicgateError,
    RequestError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.model import OptionWarning, WarningCode, is_blank
from musicgate.planning.routing import Exclusion, OfferIndex, strip_suffix
from musicgate.text import and_more

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from musicgate.hosting import InstalledProvider
    from musicgate.model import HealthReport, MusicRequest, Offer, RoutingOptions
    from musicgate.planning.routing import EligibleOffer
    from musicgate.plugin import Translation


#: A request may name many providers, and each comparison takes time.
_MOST_SUGGESTIONS: Final = 3


@attrs.frozen(kw_only=True)
class Candidate:
    """A provider that can be asked, with the native request for it.

    Attributes:
        trouble: its circuit breaker's report; None while the breaker is closed.
    """

    installed: InstalledProvider
    offer: Offer
    translation: Translation
    trouble: HealthReport | None


@attrs.frozen(kw_only=True)
class Plan:
    """The candidates in the order of asking, and why the other providers cannot be asked.

    Attributes:
        warnings: about the request itself, for any provider.
    """

    model: str
    candidates: tuple[Candidate, ...]
    excluded: tuple[Exclusion, ...]
    warnings: tuple[OptionWarning, ...]


@attrs.frozen(kw_only=True, eq=False)
class Choice:
    """The candidates of a create call. All but the first are translated when they are needed.

    Attributes:
        first: the candidate to ask first.
        providers: of all candidates, in order; those after the first may still refuse to translate.
        warnings: about the request itself, for any provider.
    """

    first: Candidate
    providers: tuple[InstalledProvider, ...]
    warnings: tuple[OptionWarning, ...]
    _others: Callable[[], Sequence[Candidate]]

    def __iter__(self) -> Iterator[Candidate]:
        yield self.first
        yield from self._others()

    @classmethod
    def of(cls, candidates: Sequence[Candidate], warnings: tuple[OptionWarning, ...]) -> Choice:
        """The choice of candidates that are translated already, at least one."""
        first, *others = candidates
        providers = tuple(candidate.installed for candidate in candidates)
        return cls(first=first, providers=providers, warnings=warnings, others=lambda: others)


class Planner:
    """Reads requests and plans them for the providers of one gateway.

    Args:
        validator: the composed request schema.
        blocks: names of the vendor blocks in it.
        providers: the providers that can be asked, by plugin.
        trouble: the circuit breaker's report on a plugin at a steady time; None while it is closed.
        pricing_required: offers without a price are left out.
        converts: audio is converted to the requested format where a provider does not make it.
    """

    def __init__(
        self,
        *,
        validator: codec.SchemaValidator,
        blocks: frozenset[str],
        providers: Mapping[str, InstalledProvider],
        trouble: Callable[[str, datetime], HealthReport | None],
        pricing_required: bool,
        converts: bool = True,
    ) -> None:
        self._validator = validator
        self._blocks = blocks
        self._providers = providers
        self._trouble = trouble
        self._pricing_required = pricing_required
        self._converts = converts
        self._offers = OfferIndex(installed.provider for installed in providers.values())

    def read_request(self, body: object) -> MusicRequest:
        """A request from parsed JSON.

        Raises:
            InvalidRequestError: the body breaks the schema.
            RequestError: ``model_required``, when the model is blank.
        """
        if not isinstance(body, dict):
            params = {"type": "object"}
            violation = Violation(
                path=(), message="must be an object", keyword="type", code="invalid_type", params=params
            )
            raise InvalidRequestError([violation])
        # The schema allows other keys and they are not kept, so they are not examined, however many there
        # are.
        part = codec.known_part(body, self._validator.properties)
        self._validator.check(part)
        request = codec.read_request(body, self._blocks)
        _refuse_lone_surrogates([part, request.unknown_keys])
        if is_blank(request.model):
            raise RequestError("model_required", "model is blank", path=("model",))
        return request

    def plan(
        self,
        request: MusicRequest,
        now: datetime,
        *,
        callback_url: str | None,
        beta_channel: bool = False,
        strict: bool = False,
    ) -> Plan:
        """Find the providers that can take a request, and translate it for each.

        Args:
            now: time of the clock that the health reports use.
            callback_url: where vendors can call us back, or None.
            beta_channel: the account may use providers in stage beta.
            strict: every warning is an error.

        Raises:
            RequestError: no provider offers the model, the filter leaves none, or all refuse (with the first
                reason).
        """
        model = strip_suffix(request.model)
        warnings = _own_warnings(request)
        if strict and warnings:
            raise _as_error(warnings[0])
        route = self._offers.route(model, request.routing, beta_channel=beta_channel)
        closest = functools.partial(
            self._offers.closest_model, model, request.routing, beta_channel=beta_channel
        )
        if not route.offered:
            raise _not_offered(model, closest())
        if not route.candidates:
            reasons = "; ".join(
                f"{item.plugin}: {item.message}"
                for item in route.excluded
                if item.reason != "model_not_offered"
            )
            meant = self._meant_providers(request.routing, beta_channel=beta_channel)
            raise RequestError(
                "unsupported_model_or_endpoint",
                f"no provider is left{meant}: {reasons}",
                reason="no_provider_matches",
            )
        excluded = list(route.excluded)
        refusals: list[MusicgateError] = []

        def refused(eligible: EligibleOffer, error: MusicgateError) -> None:
            refusals.append(error)
            reason = (error.reason or error.code) if isinstance(error, RequestError) else "plugin_failed"
            excluded.append(Exclusion(eligible.plugin, reason, str(error)))

        translate = functools.partial(self._translate, request, callback_url, now, strict=strict)
        candidates = self._translated(request, route.candidates, translate, refused)
        if not candidates:
            raise _most_telling(model, refusals, closest)
        return Plan(model=model, candidates=tuple(candidates), excluded=tuple(excluded), warnings=warnings)

    def _meant_providers(self, routing: RoutingOptions, *, beta_channel: bool) -> str:
        """Which names in ``provider.only`` are misspelt, as a part of a sentence."""
        pairs = [
            (name, self._offers.closest_provider(name, routing, beta_channel=beta_channel))
            for name in (routing.only or ())[:_MOST_SUGGESTIONS]
        ]
        return "".join(f" (did you mean {meant}, not {name}?)" for name, meant in pairs if meant)

    def choose(
        self,
        request: MusicRequest,
        now: datetime,
        *,
        callback_url: str | None,
        can_be_asked: Callable[[InstalledProvider], bool],
        beta_channel: bool = False,
        strict: bool = False,
    ) -> Choice | None:
        """Choose whom to ask first, as `plan` would, and translate for that provider alone.

        Args:
            can_be_asked: False for a provider that has no key, or no room for one more call.

        Returns:
            None if only a whole plan can tell: no provider is left, or the first one refuses, or cannot
            follow the request to the letter while another one might.
        """
        warnings = _own_warnings(request)
        if strict and warnings:
            return None
        model, routing = strip_suffix(request.model), request.routing
        eligible = [
            one
            for one in self._offers.eligible(model, routing, beta_channel=beta_channel)
            if can_be_asked(self._providers[one.plugin])
        ]
        if not eligible:
            return None
        # They are in the caller's order already. Nearly always, none is in trouble.
        troubles = [self._trouble(one.plugin, now) for one in eligible] if len(eligible) > 1 else []
        if any(troubles) and any(map(_is_moved, troubles)):
            eligible.sort(
                key=lambda one: (
                    self._offers.rank(one.plugin, routing.order),
                    _is_moved(self._trouble(one.plugin, now)),
                )
            )
        translate = functools.partial(self._translate, request, callback_url, now, strict=strict)
        try:
            first = translate(eligible[0])
        except MusicgateError:
            return None
        rest = eligible[1:]
        if rest and _not_applied(first):
            return None
        return Choice(
            first=first,
            providers=tuple([self._providers[one.plugin] for one in eligible]),
            warnings=warnings,
            others=lambda: self._translated(request, rest, translate, lambda _one, _error: None),
        )

    def _translated(
        self,
        request: MusicRequest,
        eligible: Sequence[EligibleOffer],
        translate: Callable[[EligibleOffer], Candidate],
        refused: Callable[[EligibleOffer, MusicgateError], None],
    ) -> list[Candidate]:
        """The candidates that can express a request, in the order of asking.

        The caller's order beats the breaker's, and both beat the number of options that are not applied.
        """
        candidates: list[Candidate] = []
        for one in eligible:
            try:
                candidates.append(translate(one))
            except MusicgateError as error:
                refused(one, error)
        candidates.sort(
            key=lambda candidate: (
                self._offers.rank(candidate.installed.name, request.routing.order),
                _is_moved(candidate.trouble),
                _not_applied(candidate),
            )
        )
        return candidates

    def _translate(
        self,
        request: MusicRequest,
        callback_url: str | None,
        now: datetime,
        eligible: EligibleOffer,
        *,
        strict: bool,
    ) -> Candidate:
        installed, offer = self._providers[eligible.plugin], eligible.offer
        if self._pricing_required and not offer.prices:
            raise RequestError(
                "pricing_not_configured",
                f"{installed.name} has no price for this model",
                reason="no_provider_pricing",
            )
        if request.format is not None and self._converts and not offer.makes(request.format):
            request = attrs.evolve(request, format=None)
        translation = installed.plugin.translate(request, offer, installed.settings, callback_url)
        if translation.warnings:
            warnings = tuple(attrs.evolve(warning, plugin=installed.name) for warning in translation.warnings)
            if strict:
                raise _as_error(warnings[0])
            translation = attrs.evolve(translation, warnings=warnings)
        return Candidate(
            installed=installed,
            offer=offer,
            translation=translation,
            trouble=self._trouble(installed.name, now),
        )


def _refuse_lone_surrogates(body: object) -> None:
    """Refuse half of a surrogate pair, which JSON can express and UTF-8 cannot."""
    try:
        orjson.dumps(body)
    except TypeError:
        pass  # it refuses these, and also what is no fault: integers beyond 64 bits
    else:
        return
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise RequestError(
            "validation_error", "a text holds half of a surrogate pair, which is no Unicode text"
        ) from exc


def _most_telling(
    model: str, refusals: list[MusicgateError], closest: Callable[[], str | None]
) -> MusicgateError:
    """The first refusal that the caller can fix; a violation says more than "model not offered"."""
    requests = [error for error in refusals if isinstance(error, RequestError)]
    telling = [error for error in requests if error.code != "unsupported_model_or_endpoint"]
    if requests and not telling:
        return _not_offered(model, closest(), "; ".join(error.message for error in requests))
    return next(iter(telling or refusals))


def _not_offered(model: str, meant: str | None, why: str = "") -> RequestError:
    suggestion = f"; did you mean {meant}?" if meant else ";"
    listed = f"no provider offers {model} for music{suggestion} GET /v1/music/models lists what there is"
    return RequestError("unsupported_model_or_endpoint", f"{listed} ({why})" if why else listed)


def _is_moved(trouble: HealthReport | None) -> bool:
    """True for a provider that is asked after the others."""
    return trouble is not None and not trouble.keeps_its_place


def _not_applied(candidate: Candidate) -> int:
    """Number of options that a candidate cannot express; the fewer, the earlier it is asked."""
    warnings = candidate.translation.warnings
    return sum(warning.code is WarningCode.NOT_APPLIED for warning in warnings) if warnings else 0


def _own_warnings(request: MusicRequest) -> tuple[OptionWarning, ...]:
    if not request.unknown_keys and not request.more_unknown_keys:
        return ()
    named = tuple(
        OptionWarning(
            code=WarningCode.UNKNOWN_KEY, path=(key,), message=f"{key} is not known here and was ignored"
        )
        for key in request.unknown_keys
    )
    if not request.more_unknown_keys:
        return named
    message = f"{and_more(request.more_unknown_keys)} keys are not known here and were ignored"
    return (*named, OptionWarning(code=WarningCode.UNKNOWN_KEY, path=(), message=message))


def _as_error(warning: OptionWarning) -> RequestError:
    if warning.code is WarningCode.UNKNOWN_KEY:
        params: Mapping[str, object] = {"additionalProperties": False}
        violation = Violation(
            path=warning.path,
            message="is not known here",
            keyword="additionalProperties",
            code="unrecognized_keys",
            params=params,
        )
        return InvalidRequestError([violation])
    return UnsupportedOptionError(warning.path, warning.message)
