"""From a body to what could be sent to whom: schema, codec, routing, translation; spends nothing and stores nothing.

Every candidate's translation is made before anything is sent. So a wish that a provider cannot express decides who is asked, a wish
that nobody can express is the caller's error, and the dry run is the real preparation.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import attrs

from musicgate import codec
from musicgate.bounds import and_more
from musicgate.errors import (
    InvalidRequestError,
    MusicgateError,
    RequestError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.hookspecs import Translation
from musicgate.model import MusicRequest, OptionWarning, WarningCode, is_blank
from musicgate.request_bounds import known_part
from musicgate.routing import Candidate, Exclusion, find_route, order_rank, strip_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.breaker import HealthReport
    from musicgate.gateway.context import GatewayContext, LiveProvider


@attrs.frozen(kw_only=True)
class Choice:
    """A candidate with the wish in its vendor's words."""

    candidate: Candidate
    live: LiveProvider
    translation: Translation
    health: HealthReport


@attrs.frozen(kw_only=True)
class Preparation:
    """What could be sent to whom, in the order of asking; and why everybody else cannot be asked.

    ``warnings`` are about the request itself, whoever is asked.
    """

    model: str
    choices: tuple[Choice, ...]
    excluded: tuple[Exclusion, ...]
    warnings: tuple[OptionWarning, ...]


def read_request(context: GatewayContext, body: object) -> MusicRequest:
    """A wish from parsed JSON.

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
    # Other keys are no error to the schema and are not kept: however many there are, nobody has to look into them.
    part = known_part(body, context.validator.properties)
    context.validator.check(part)
    request = codec.read_request(body, context.blocks)
    _refuse_lone_surrogates([part, request.unknown_keys])
    if is_blank(request.model):
        raise RequestError("model_required", "model is blank", path=("model",))
    return request


def prepare(
    context: GatewayContext,
    request: MusicRequest,
    *,
    callback_url: str | None,
    beta_channel: bool = False,
    strict: bool = False,
) -> Preparation:
    """Find who can do it, and translate for each.

    Args:
        callback_url: where vendors shall call, or None.
        beta_channel: the account may use providers in stage beta.
        strict: every warning is an error.

    Raises:
        RequestError: nobody offers the model, the filter leaves nobody, or everybody refuses the wish (with the first reason).
    """
    model = strip_suffix(request.model)
    warnings = _own_warnings(request)
    if strict and warnings:
        raise _as_error(warnings[0])
    declared = [live.provider for live in context.providers.values()]
    route = find_route(model, request.routing, declared, beta_channel=beta_channel)
    if not route.offered:
        raise _not_offered(model)
    if not route.candidates:
        reasons = "; ".join(
            f"{item.plugin}: {item.message}" for item in route.excluded if item.reason != "model_not_offered"
        )
        raise RequestError(
            "unsupported_model_or_endpoint", f"no provider is left: {reasons}", reason="no_provider_matches"
        )
    choices: list[Choice] = []
    excluded = list(route.excluded)
    refusals: list[MusicgateError] = []
    for candidate in route.candidates:
        try:
            choices.append(_translate(context, request, candidate, callback_url, strict=strict))
        except MusicgateError as error:
            refusals.append(error)
            reason = (error.reason or error.code) if isinstance(error, RequestError) else "plugin_failed"
            excluded.append(Exclusion(plugin=candidate.plugin, reason=reason, message=str(error)))
    if not choices:
        raise _most_telling(model, refusals)
    now = context.clock.now()
    # The caller's order beats our statistics, and these beat a wish that cannot be followed to the letter.
    choices.sort(
        key=lambda choice: (
            order_rank(choice.candidate.provider, request.routing.order),
            not choice.live.health.keeps_its_place(now),
            _losses(choice),
        )
    )
    return Preparation(model=model, choices=tuple(choices), excluded=tuple(excluded), warnings=warnings)


def _refuse_lone_surrogates(body: object) -> None:
    """JSON can spell half of a surrogate pair; no vendor can be told it, and no UTF-8 can hold it."""
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError as exc:
        raise RequestError(
            "validation_error", "a text holds half of a surrogate pair, which is no Unicode text"
        ) from exc


def _translate(
    context: GatewayContext,
    request: MusicRequest,
    candidate: Candidate,
    callback_url: str | None,
    *,
    strict: bool,
) -> Choice:
    live = context.providers[candidate.plugin]
    if context.settings.server.pricing_required and not candidate.offer.prices:
        raise RequestError(
            "pricing_not_configured", f"{live.name} has no price for this model", reason="no_provider_pricing"
        )
    translation = live.plugin.translate(request, candidate.offer, live.settings, callback_url)
    warnings = tuple(attrs.evolve(warning, plugin=live.name) for warning in translation.warnings)
    if strict and warnings:
        raise _as_error(warnings[0])
    return Choice(
        candidate=candidate,
        live=live,
        translation=attrs.evolve(translation, warnings=warnings),
        health=live.health.report(context.clock.now()),
    )


def _most_telling(model: str, refusals: list[MusicgateError]) -> MusicgateError:
    """The first refusal that the caller can mend; "I do not have this model" says less than a broken rule."""
    requests = [error for error in refusals if isinstance(error, RequestError)]
    telling = [error for error in requests if error.code != "unsupported_model_or_endpoint"]
    if requests and not telling:
        return _not_offered(model, "; ".join(error.message for error in requests))
    return next(iter(telling or refusals))


def _not_offered(model: str, why: str = "") -> RequestError:
    listed = f"no provider offers {model} for music; GET /v1/music/models lists what there is"
    return RequestError("unsupported_model_or_endpoint", f"{listed} ({why})" if why else listed)


def _losses(choice: Choice) -> int:
    """How many wishes this candidate cannot follow: whoever can follow all is asked first."""
    return sum(warning.code is WarningCode.NOT_APPLIED for warning in choice.translation.warnings)


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
