"""From a request to a plan: schema, codec, routing, translation. Sends nothing and stores nothing.

Every candidate is translated before anything is sent. So an option that a provider cannot express moves it
down the order, a request that no provider can express is the caller's error, and the dry run is the real
plan.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from musicgate import codec
from musicgate.errors import (
    InvalidRequestError,
    MusicgateError,
    RequestError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.model import OptionWarning, WarningCode, is_blank
from musicgate.planning.routing import Exclusion, find_route, order_rank, strip_suffix
from musicgate.text import and_more

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from musicgate.hosting import InstalledProvider
    from musicgate.model import HealthReport, MusicRequest, Offer
    from musicgate.planning.routing import EligibleOffer
    from musicgate.plugin import Translation


@attrs.frozen(kw_only=True)
class Candidate:
    """A provider that can be asked, with the native request for it."""

    installed: InstalledProvider
    offer: Offer
    translation: Translation
    health: HealthReport


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


class Planner:
    """Reads requests and plans them for the providers of one gateway.

    Args:
        validator: the composed request schema.
        blocks: names of the vendor blocks in it.
        providers: the providers that can be asked, by plugin.
        health: the circuit breaker's report on a plugin at a steady time.
        pricing_required: offers without a price are left out.
    """

    def __init__(
        self,
        *,
        validator: codec.SchemaValidator,
        blocks: frozenset[str],
        providers: Mapping[str, InstalledProvider],
        health: Callable[[str, datetime], HealthReport],
        pricing_required: bool,
    ) -> None:
        self._validator = validator
        self._blocks = blocks
        self._providers = providers
        self._health = health
        self._pricing_required = pricing_required

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
        declared = [installed.provider for installed in self._providers.values()]
        route = find_route(model, request.routing, declared, beta_channel=beta_channel)
        if not route.offered:
            raise _not_offered(model)
        if not route.candidates:
            reasons = "; ".join(
                f"{item.plugin}: {item.message}"
                for item in route.excluded
                if item.reason != "model_not_offered"
            )
            raise RequestError(
                "unsupported_model_or_endpoint",
                f"no provider is left: {reasons}",
                reason="no_provider_matches",
            )
        candidates: list[Candidate] = []
        excluded = list(route.excluded)
        refusals: list[MusicgateError] = []
        for eligible in route.candidates:
            try:
                candidates.append(self._translate(request, eligible, callback_url, now, strict=strict))
            except MusicgateError as error:
                refusals.append(error)
                reason = (error.reason or error.code) if isinstance(error, RequestError) else "plugin_failed"
                excluded.append(Exclusion(plugin=eligible.plugin, reason=reason, message=str(error)))
        if not candidates:
            raise _most_telling(model, refusals)
        # The caller's order beats the breaker's, and both beat the number of options that are not applied.
        candidates.sort(
            key=lambda candidate: (
                order_rank(candidate.installed.provider, request.routing.order),
                not candidate.health.keeps_its_place,
                _not_applied(candidate),
            )
        )
        return Plan(model=model, candidates=tuple(candidates), excluded=tuple(excluded), warnings=warnings)

    def _translate(
        self,
        request: MusicRequest,
        eligible: EligibleOffer,
        callback_url: str | None,
        now: datetime,
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
        translation = installed.plugin.translate(request, offer, installed.settings, callback_url)
        warnings = tuple(attrs.evolve(warning, plugin=installed.name) for warning in translation.warnings)
        if strict and warnings:
            raise _as_error(warnings[0])
        return Candidate(
            installed=installed,
            offer=offer,
            translation=attrs.evolve(translation, warnings=warnings),
            health=self._health(installed.name, now),
        )


def _refuse_lone_surrogates(body: object) -> None:
    """Refuse half of a surrogate pair, which JSON can express and UTF-8 cannot."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise RequestError(
            "validation_error", "a text holds half of a surrogate pair, which is no Unicode text"
        ) from exc


def _most_telling(model: str, refusals: list[MusicgateError]) -> MusicgateError:
    """The first refusal that the caller can fix; a violation says more than "model not offered"."""
    requests = [error for error in refusals if isinstance(error, RequestError)]
    telling = [error for error in requests if error.code != "unsupported_model_or_endpoint"]
    if requests and not telling:
        return _not_offered(model, "; ".join(error.message for error in requests))
    return next(iter(telling or refusals))


def _not_offered(model: str, why: str = "") -> RequestError:
    listed = f"no provider offers {model} for music; GET /v1/music/models lists what there is"
    return RequestError("unsupported_model_or_endpoint", f"{listed} ({why})" if why else listed)


def _not_applied(candidate: Candidate) -> int:
    """Number of options that a candidate cannot express; the fewer, the earlier it is asked."""
    return sum(warning.code is WarningCode.NOT_APPLIED for warning in candidate.translation.warnings)


def _own_warnings(request: MusicRequest) -> tuple[OptionWarning, ...]:
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
