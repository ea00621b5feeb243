"""Which providers may be asked for a model, in which order, and why the others may not; pure rules.

Names are compared after folding: trimmed, lower case, ``&`` as ``and``, every run of other characters as one
``-``. So ``Suno_Kie`` is ``suno-kie``. A family name (``suno``) matches every plugin that serves it, a
plugin's name that plugin alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from musicgate.model import MusicRequest, Offer, Provider, RoutingOptions, Stage
from musicgate.text import closest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

#: At most this many providers are tried for one request.
MAX_CANDIDATES = 5

#: The very object that nearly every request has.
_NO_PREFERENCES = MusicRequest(model="").routing

#: Suffixes that ask for the fastest provider; removed only, since the order is the operator's in any case.
_SPEED_SUFFIX = re.compile(r":(?:nitro|fast|quick)$", re.IGNORECASE)


@attrs.frozen(kw_only=True)
class EligibleOffer:
    """A provider that may be asked, with the offer."""

    plugin: str
    offer: Offer


@attrs.frozen
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
    stripped = model.strip()
    return _SPEED_SUFFIX.sub("", stripped) if ":" in stripped else stripped


def names_of(provider: Provider) -> frozenset[str]:
    """All folded names of a plugin."""
    return frozenset(fold_name(name) for name in (provider.name, provider.plugin, *provider.aliases))


def find_offer(provider: Provider, model: str) -> Offer | None:
    """A provider's offer of a model: a listed one, or one for a raw native name where it takes any."""
    return OfferIndex([provider]).offer_of(provider.plugin, model)


def order_rank(names: Collection[str], order: Sequence[str]) -> int:
    """The position of a provider's folded names in the caller's ``order``; without one it comes last."""
    return next((position for position, name in enumerate(order) if fold_name(name) in names), len(order))


class OfferIndex:
    """Every offer of a gateway's providers by the model ids that name it, made once when it opens.

    Args:
        providers: declarations, with the operator's ``priority`` in them.
    """

    def __init__(self, providers: Iterable[Provider]) -> None:
        ordered = sorted(providers, key=lambda provider: (provider.priority, provider.plugin))
        self._providers = {provider.plugin: provider for provider in ordered}
        self._names = {provider.plugin: names_of(provider) for provider in ordered}
        #: By model id in lower case, then by plugin in the operator's order.
        self._listed: dict[str, dict[str, Offer]] = {}
        for provider in ordered:
            for offer in provider.offers:
                for model in (offer.model, *offer.aliases):
                    self._listed.setdefault(model.lower(), {}).setdefault(provider.plugin, offer)
        #: What a request without a ``provider`` block may ask: nearly every one.
        self._usual = {model: self._eligible(model, _NO_PREFERENCES) for model in self._listed}

    def offer_of(self, plugin: str, model: str) -> Offer | None:
        """A provider's offer of a model, listed or raw; None also for a plugin that is not installed."""
        provider = self._providers.get(plugin)
        if provider is None:
            return None
        return self._listed.get(_folded(model), {}).get(plugin) or self._raw(provider, model)

    def offers(self, model: str) -> Mapping[str, Offer]:
        """The offers of a model by plugin, in the operator's order.

        A provider that takes any native name is asked only if no provider lists the model: it would take
        ``suno/v3.5`` for a native name that its vendor does not have, while another one offers just that.
        """
        listed = self._listed.get(_folded(model))
        if listed is not None:
            return listed
        raw = ((plugin, self._raw(provider, model)) for plugin, provider in self._providers.items())
        return {plugin: offer for plugin, offer in raw if offer is not None}

    def rank(self, plugin: str, order: Sequence[str]) -> int:
        """A provider's position in the caller's ``order``; providers that are not named come last."""
        return order_rank(self._names[plugin], order) if order else 0

    def eligible(
        self, model: str, options: RoutingOptions, *, beta_channel: bool = False
    ) -> tuple[EligibleOffer, ...]:
        """The offers that may be asked, by the caller's order, then by the operator's, at most five."""
        if not beta_channel and (options is _NO_PREFERENCES or options == _NO_PREFERENCES):
            usual = self._usual.get(_folded(model))
            if usual is not None:
                return usual
        return self._eligible(model, options, beta_channel=beta_channel)

    def route(self, model: str, options: RoutingOptions, *, beta_channel: bool = False) -> Route:
        """The offers that may be asked, and why the other providers may not.

        Args:
            model: public model id, without a suffix.
            options: the caller's ``provider`` block.
            beta_channel: the caller's account may use providers in stage beta.
        """
        offers = self.offers(model)
        candidates = self.eligible(model, options, beta_channel=beta_channel)
        chosen = {candidate.plugin for candidate in candidates}
        excluded, surplus = list[Exclusion](), list[str]()
        for plugin in self._providers:
            if plugin in chosen:
                continue
            if plugin not in offers:
                excluded.append(Exclusion(plugin, "model_not_offered", f"does not offer {model}"))
                continue
            refusal = self._refusal(plugin, options, beta_channel=beta_channel)
            if refusal is not None:
                excluded.append(refusal)
            else:
                surplus.append(plugin)
        surplus.sort(key=lambda plugin: self.rank(plugin, options.order))
        message = f"only the first {MAX_CANDIDATES} are tried"
        excluded += [Exclusion(plugin, "too_many_candidates", message) for plugin in surplus]
        return Route(candidates=candidates, excluded=tuple(excluded), offered=bool(offers))

    def closest_model(self, model: str, options: RoutingOptions, *, beta_channel: bool = False) -> str | None:
        """The model id that an unknown one is close to, of those that this caller may ask for."""
        return closest(
            model,
            (
                name
                for plugin, provider in self._providers.items()
                if self._refusal(plugin, options, beta_channel=beta_channel) is None
                for offer in provider.offers
                for name in (offer.model, *offer.aliases)
                if name.lower() != _folded(model)  # a listed one that every provider disclaims
            ),
        )

    def closest_provider(
        self, name: str, options: RoutingOptions, *, beta_channel: bool = False
    ) -> str | None:
        """The provider or plugin that an unknown name is close to, of those that this caller may ask.

        None as well if the name is one of an installed plugin.
        """
        if any(fold_name(name) in names for names in self._names.values()):
            return None
        anywhere = attrs.evolve(options, only=None, ignore=())
        return closest(
            name,
            (
                known
                for plugin, provider in self._providers.items()
                if self._refusal(plugin, anywhere, beta_channel=beta_channel) is None
                for known in (provider.name, provider.plugin)
            ),
        )

    def _eligible(
        self, model: str, options: RoutingOptions, *, beta_channel: bool = False
    ) -> tuple[EligibleOffer, ...]:
        found = [
            EligibleOffer(plugin=plugin, offer=offer)
            for plugin, offer in self.offers(model).items()
            if self._refusal(plugin, options, beta_channel=beta_channel) is None
        ]
        found.sort(key=lambda one: self.rank(one.plugin, options.order))
        return tuple(found[:MAX_CANDIDATES])

    def _raw(self, provider: Provider, model: str) -> Offer | None:
        """An offer of a native name that is not listed, where the provider takes any."""
        family, slash, native = model.partition("/")
        if not (
            provider.raw_models and slash and native and fold_name(family) in self._names[provider.plugin]
        ):
            return None
        if provider.raw_offers:
            like = provider.offer_like(native)
            return like and attrs.evolve(like, model=model.lower(), aliases=(), native_model=native)
        abilities = frozenset(ability for offer in provider.offers for ability in offer.abilities)
        formats = tuple(dict.fromkeys(container for offer in provider.offers for container in offer.formats))
        return Offer(model=model.lower(), native_model=native, abilities=abilities, formats=formats)

    def _refusal(self, plugin: str, options: RoutingOptions, *, beta_channel: bool) -> Exclusion | None:
        names, stage = self._names[plugin], self._providers[plugin].stage
        if options.only is not None and names.isdisjoint(map(fold_name, options.only)):
            return Exclusion(plugin, "not_in_only", "not among provider.only")
        if options.ignore and not names.isdisjoint(map(fold_name, options.ignore)):
            return Exclusion(plugin, "ignored", "named in provider.ignore")
        if stage is Stage.ACTIVE:
            return None
        if stage is Stage.NOT_READY:
            return Exclusion(plugin, "not_ready", "not ready for use")
        if stage is Stage.ALPHA and not options.include_alpha:
            return Exclusion(plugin, "alpha_not_included", "an alpha provider: set provider.include_alpha")
        if stage is Stage.BETA and not beta_channel:
            message = "a beta provider: open to accounts on the beta channel"
            return Exclusion(plugin, "beta_channel_only", message)
        return None


def _folded(model: str) -> str:
    return model.strip().lower()
