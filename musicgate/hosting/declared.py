"""What the core does with a provider's declaration before and after a translation; it calls no hook.

An offer's abilities and fields are promises to the caller, so they are kept here, for all plugins alike: the
offer of the native model that is really asked, a warning for each neutral field that this offer cannot
express or that the vendor block overrides, and an error for each native field that its declaration rules
out.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import RequestError
from musicgate.model import (
    Ability,
    Offer,
    OptionWarning,
    Provider,
    contradiction,
    fields_carrying,
    is_blank,
    value_of,
)
from musicgate.plugin import changed, neutral_value, not_applied

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.model import Field, FieldViolation, JsonValue, MusicRequest, ProviderSettings
    from musicgate.plugin import Translation


def asked_offer(provider: Provider, offer: Offer, request: MusicRequest, settings: ProviderSettings) -> Offer:
    """The offer of the native model that will be asked: the block's, else the offer's, else the settings'.

    Its public id stays that of ``offer``. A plugin that declares neither ``model_option`` nor
    ``model_setting`` finds the model itself.
    """
    native = offer.native_model
    own = request.block(provider.option_block).get(provider.model_option) if provider.model_option else None
    if isinstance(own, str) and not is_blank(own):
        native = own.strip()
    elif native is None and provider.model_setting is not None:
        native = str(settings.options.get(provider.model_setting) or "").strip() or None
    if native is None or native == offer.native_model:
        return offer
    like = provider.offer_like(native)
    if like is None:  # nothing is known of it
        return attrs.evolve(offer, native_model=native, fields=())
    return attrs.evolve(like, model=offer.model, aliases=(), native_model=native)


def warnings_of(
    provider: Provider, offer: Offer, request: MusicRequest, translation: Translation
) -> tuple[OptionWarning, ...]:
    """The core's own warnings about a translation, but for options that the plugin warns of itself.

    An offer that declares no fields gets none: its plugin warns of everything itself, and its abilities may
    depend on settings.
    """
    if not offer.fields:
        return ()
    found = []
    for name in _outside(offer.abilities):
        value = neutral_value(request, name)
        if value is not None and not _is_met(offer, name, value):
            why = f"{provider.label} cannot express it with {offer.native_model or offer.model}"
            found.append(not_applied(name, why))
    if translation.fields is not None and request.block(provider.option_block):
        found += _overridden(provider.option_block, offer.fields, request, translation)
    if not found:
        return ()
    warned = {warning.path for warning in translation.warnings}
    return tuple(warning for warning in found if warning.path not in warned)


def refuse_violations(
    provider: Provider, offer: Offer, request: MusicRequest, translation: Translation
) -> None:
    """Refuse a native request with a field that the offer's declarations rule out.

    Raises:
        RequestError: it names the option as the caller gave it, and the limit.
    """
    if translation.fields is None or not offer.fields:
        return
    broken = offer.violations(translation.fields)
    if not broken:
        return
    first = broken[0]
    path = translation.paths.get(first.name) or _path_of(provider.option_block, first, request)
    path = (*path, *first.inside)
    dotted = ".".join(str(part) for part in path)
    raise RequestError("validation_error", f"{dotted}: {first.message}", reason=first.field.reason, path=path)


def declaration_fault(provider: Provider) -> str | None:
    """How a declaration contradicts itself, in a sentence that names the entry; None if it does not."""
    for offer in (*provider.offers, *provider.raw_offers):
        fault = contradiction(offer.fields) or _ability_fault(offer)
        if fault is not None:
            return f"the offer {offer.model!r}: {fault}"
    names_models = provider.raw_models or provider.model_option or provider.model_setting
    if provider.raw_offers and not names_models:
        return f"raw_offers lists {provider.raw_offers[0].native_model!r}, and no unlisted model can be asked for"
    properties = provider.settings_schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    if provider.model_setting and provider.model_setting not in known:
        return f"model_setting is {provider.model_setting!r}, which the settings schema does not have"
    if provider.callback_signature is not None:
        fault = provider.callback_signature.contradiction()
        if fault is None and provider.webhook_secret_env is None:
            fault = "needs a secret, and webhook_secret_env is not set"
        strange = sorted(set(provider.callback_signature.unless) - set(known))
        if fault is None and strange:
            fault = f"depends on {strange[0]!r}, which the settings schema does not have"
        if fault is not None:
            return f"the callback signature {fault}"
    return provider.status_fault()


def _ability_fault(offer: Offer) -> str | None:
    """An ability that no field carries, or a field for which there is no ability."""
    if not offer.fields:
        return None
    carried = {name: field for field in offer.fields for name in (field.neutral, *field.carries) if name}
    for ability in sorted(offer.abilities):
        if ability.value not in carried:
            return f"has the ability {ability.value!r}, and no field carries it"
    for name, field in carried.items():
        if name != "prompt" and name not in offer.abilities:
            return f"the field {field.name!r} carries {name!r}, which is not among the abilities"
    return None


@functools.lru_cache(maxsize=256)
def _outside(abilities: frozenset[Ability]) -> tuple[str, ...]:
    return tuple(ability.value for ability in Ability if ability not in abilities)


def _is_met(offer: Offer, name: str, value: JsonValue) -> bool:
    """True for a neutral field that the offer follows without having a choice."""
    if name == Ability.FORMAT:
        return isinstance(value, str) and offer.makes(value)
    # A model that sings lyrics and has no switch for instrumentals sings.
    return name == Ability.INSTRUMENTAL and value is False and Ability.LYRICS in offer.abilities


def _overridden(
    block: str, fields: Sequence[Field], request: MusicRequest, translation: Translation
) -> list[OptionWarning]:
    """A warning for each neutral field in whose place an option of the vendor block is sent."""
    found, own_block = [], request.block(block)
    for field in fields_carrying(fields, own_block):
        own = value_of(own_block, field.name)
        if own is None or field.neutral is None:
            continue
        given = neutral_value(request, field.neutral)
        is_sent = given is not None and own == value_of(translation.fields or {}, field.name)
        if is_sent and field.neutral_of(own) != given:
            found.append(changed(field.neutral, f"{block}.{field.name} is sent instead"))
    return found


def _path_of(block: str, broken: FieldViolation, request: MusicRequest) -> tuple[str | int, ...]:
    """Where the caller gave a native field: in the block, else in the neutral field that it carries."""
    name, neutral = broken.name, broken.field.neutral
    own = value_of(request.block(block), name)
    is_own = own is not None and not (isinstance(own, str) and is_blank(own))
    return (block, *name.split(".")) if is_own or neutral is None else (neutral,)
