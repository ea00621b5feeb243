"""Which providers may be asked for a model, in which order, and why the others may not; pure rules.

Names are compared after folding: trimmed, lower case, ``&`` as ``and``, every run of other characters as one
``-``. So ``Suno_Kie`` is ``suno-kie``. A family name (``suno``) matches every plugin that serves it, a
plugin's name that plugin alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from musicgate.model import Offer, Provider, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from musicgate.model import RoutingOptions

#: At most this many providers are tried for one request.
MAX_CANDIDATES = 5

#: Suffixes that ask for the fastest provider; removed only, since the order is the operator's in any case.
_SPEED_SUFFIX = re.compile(r":(?:nitro|fast|quick)$", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class EligibleOffer:
    """A provider that may be asked, with the offer."""

    provider: Provider
    offer: Offer

    @property
    def plugin(self) -> str:
        """Name of the plugin."""
        return self.provider.plugin


@attrs.frozen(kw_only=True)
class Exclusion:
    """A provider that may not be asked; the reason as a token and as a sentence."""

    plugin: str
    reason: str
    message: str


@attrs.frozen(kw_only=True)
class Route:
    """Candidates in the order of asking, and the other providers with the reason.

    Attributes:
        offered: any provider offers the model. Without candidates, the caller's filter has then left none.
    """

    candidates: tuple[EligibleOffer, ...]
    excluded: tuple[Exclusion, ...]
    offered: bool


def fold_name(name: str) -> str:
    """Fold a provider's name for comparison."""
    return re.sub(r"[^a-z0-9]+", "-", name.strip().lower().replace("&", "and")).strip("-")


def strip_suffix(model: str) -> str:
    """Strip blanks and a speed suffix from a model id."""
    return _SPEED_SUFFIX.sub("", model.strip())


def names_of(provider: Provider) -> frozenset[str]:
    """All folded names of a plugin."""
    return frozenset(fold_name(name) for name in (provider.name, provider.plugin, *provider.aliases))


def find_offer(provider: Provider, model: str) -> Offer | None:
    """A provider's offer of a model: a listed one, or one for a raw native name where it takes any."""
    listed = _listed(provider, model)
    family, slash, native = model.partition("/")
    if (
        listed is not None
        or not provider.raw_models
        or not slash
        or not native
        or fold_name(family) not in names_of(provider)
    ):
        return listed
    abilities = frozenset(ability for offer in provider.offers for ability in offer.abilities)
    formats = tuple(dict.fromkeys(container for offer in provider.offers for container in offer.formats))
    return Offer(model=model.lower(), native_model=native, abilities=abilities, formats=formats)


def _listed(provider: Provider, model: str) -> Offer | None:
    return next((offer for offer in provider.offers if offer.answers_to(model)), None)


def find_route(
    model: str, options: RoutingOptions, providers: Iterable[Provider], *, beta_channel: bool = False
) -> Route:
    """Order the providers of a model by the caller's order, then by the operator's.

    A provider that takes any native name is asked only if no provider lists the model: it would take
    ``suno/v3.5`` for a native name that its vendor does not have, while another one offers just that.

    Args:
        model: public model id, without a suffix.
        options: the caller's ``provider`` block.
        providers: declarations, with the operator's ``priority`` in them.
        beta_channel: the caller's account may use providers in stage beta.
    """
    candidates: list[EligibleOffer] = []
    excluded: list[Exclusion] = []
    offered = False
    ordered = sorted(providers, key=lambda provider: (provider.priority, provider.plugin))
    find = _listed if any(_listed(provider, model) for provider in ordered) else find_offer
    for provider in ordered:
        offer = find(provider, model)
        if offer is None:
            excluded.append(_exclude(provider, "model_not_offered", f"does not offer {model}"))
            continue
        offered = True
        refusal = _refusal(provider, options, beta_channel=beta_channel)
        if refusal is None:
            candidates.append(EligibleOffer(provider=provider, offer=offer))
        else:
            excluded.append(refusal)
    candidates.sort(key=lambda candidate: order_rank(candidate.provider, options.order))
    excluded.extend(
        _exclude(surplus.provider, "too_many_candidates", f"only the first {MAX_CANDIDATES} are tried")
        for surplus in candidates[MAX_CANDIDATES:]
    )
    return Route(candidates=tuple(candidates[:MAX_CANDIDATES]), excluded=tuple(excluded), offered=offered)


def order_rank(provider: Provider, order: Sequence[str]) -> int:
    """A provider's position in the caller's ``order``; providers that are not named come last."""
    names = names_of(provider)
    return next((position for position, name in enumerate(order) if fold_name(name) in names), len(order))


def _refusal(provider: Provider, options: RoutingOptions, *, beta_channel: bool) -> Exclusion | None:
    names = names_of(provider)
    if options.only is not None and names.isdisjoint(map(fold_name, options.only)):
        return _exclude(provider, "not_in_only", "not among provider.only")
    if not names.isdisjoint(map(fold_name, options.ignore)):
        return _exclude(provider, "ignored", "named in provider.ignore")
    if provider.stage is Stage.NOT_READY:
        return _exclude(provider, "not_ready", "not ready for use")
    if provider.stage is Stage.ALPHA and not options.include_alpha:
        return _exclude(provider, "alpha_not_included", "an alpha provider: set provider.include_alpha")
    if provider.stage is Stage.BETA and not beta_channel:
        return _exclude(
            provider, "beta_channel_only", "a beta provider: open to accounts on the beta channel"
        )
    return None


def _exclude(provider: Provider, reason: str, message: str) -> Exclusion:
    return Exclusion(plugin=provider.plugin, reason=reason, message=message)
