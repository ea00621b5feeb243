"""The plugin under test and what every check asks of it: its declaration, base wishes, recordings and one played song."""

from __future__ import annotations

import copy
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

import attrs

from musicgate.errors import ProviderError, RequestError
from musicgate.hosting import ENTRY_POINT_GROUP, PluginRecord, ProviderPlugin, load_plugins
from musicgate.model import (
    Job,
    MusicRequest,
    Offer,
    Provider,
    ProviderSettings,
    Secret,
)
from musicgate.plugin import Step, Translation
from musicgate.testing.cases import Case, load_cases
from musicgate.testing.compliance.walk import Heard, Listener, Walk
from musicgate.testing.rehearsal import CALLBACK_URL, Rehearsal, settings_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint
    from pathlib import Path
    from types import ModuleType

BASE_URL = "http://127.0.0.1:1"
#: What the kit puts where a secret stands; it must turn up nowhere else.
SECRET_CANARY = "kit-canary-test-secret-not-real"  # noqa: S105 - a secret of nothing
PROMPT = "Warm jazz trio with brushed drums"
LYRICS = "[Verse]\nThe rain plays the brushes\n[Chorus]\nRow on, row on"
STYLE = "jazz, piano, upright bass"
TITLE = "Midnight Blue"
_SECRET_WORDS = ("secret", "token", "password", "api_key")


class Skipped(Exception):  # noqa: N818 - not an error: the check has nothing to look at, and says why
    """A check does not apply to this plugin; the message says why."""


@attrs.frozen(kw_only=True, eq=False, slots=False)
class Subject:
    """A plugin under test. Everything costly is made once, when a check first asks for it.

    Attributes:
        name: the plugin's name, equal to its entry point's.
        module: the plugin itself; None when it could not be imported.
        import_error: why it could not.
        package: what the entry point names, or the module's own name.
        distribution: its distribution, None where it is not installed.
        cases: recorded answers; None where they are not at hand (they are not part of a wheel).
        wishes: further wishes that the vendor can fulfil, tried beside the kit's own.
        failure_switches: switches that make the emulator fail a song after it was accepted.
    """

    name: str
    module: object
    import_error: str | None = None
    package: str | None = None
    distribution: str | None = None
    cases: tuple[Case, ...] | None = None
    wishes: tuple[MusicRequest, ...] = ()
    failure_switches: Mapping[str, str] | None = None

    @classmethod
    def installed(cls, name: str) -> Subject:
        """The installed plugin of that name. A plugin that cannot be imported is a subject, too: one that fails.

        Raises:
            LookupError: no plugin of that name is installed.
        """
        point = next((point for point in entry_points(group=ENTRY_POINT_GROUP) if point.name == name), None)
        if point is None:
            known = ", ".join(sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))) or "none"
            raise LookupError(f"no plugin {name!r} is installed; there are {known}")
        module, error = None, None
        try:
            module = point.load()
        except Exception as exc:  # noqa: BLE001 - whatever a stranger's module does, it is a finding and no crash
            error = f"{type(exc).__name__}: {exc}"
        return cls(
            name=name,
            module=module,
            import_error=error,
            package=point.value,
            distribution=_distribution(point),
        )

    @classmethod
    def of_module(
        cls,
        module: ModuleType,
        *,
        cases: Path | None = None,
        wishes: tuple[MusicRequest, ...] = (),
        failure_switches: Mapping[str, str] | None = None,
    ) -> Subject:
        """A plugin by its module; its entry point and distribution are looked up where it is installed."""
        package = module.__name__
        point = next(
            (point for point in entry_points(group=ENTRY_POINT_GROUP) if point.value == package), None
        )
        return cls(
            name=point.name if point else package.removeprefix("musicgate_"),
            module=module,
            package=package,
            distribution=_distribution(point) if point else None,
            cases=None if cases is None else tuple(load_cases(cases)),
            wishes=wishes,
            failure_switches=failure_switches,
        )

    @cached_property
    def _host(self) -> tuple[PluginRecord, ProviderPlugin | None]:
        host = load_plugins({self.name: self.module}, installed=False)
        return host.records[0], host.providers.get(self.name)

    @property
    def record(self) -> PluginRecord:
        """How loading went."""
        return self._host[0]

    @property
    def plugin(self) -> ProviderPlugin:
        """The typed face.

        Raises:
            Skipped: the plugin does not load.
        """
        plugin = None if self.import_error else self._host[1]
        if plugin is None:
            raise Skipped("the plugin does not load")
        return plugin

    @property
    def provider(self) -> Provider:
        """The declaration."""
        return self.plugin.provider

    @cached_property
    def settings(self) -> ProviderSettings:
        """Default settings, with a canary wherever a secret stands."""
        provider = self.provider
        options = settings_defaults(provider)
        secret_named = {name for name in options if any(word in name.lower() for word in _SECRET_WORDS)}
        options |= {name: SECRET_CANARY for name in secret_named if isinstance(options[name], str)}
        secret = Secret(SECRET_CANARY) if provider.webhook_secret_env else None
        return ProviderSettings(base_url=BASE_URL, options=options, webhook_secret=secret)

    @property
    def block_properties(self) -> Mapping[str, object]:
        """The options that the plugin's schema declares, by name."""
        properties = self.provider.options_schema.get("properties", {})
        return properties if isinstance(properties, dict) else {}

    def translate(
        self, request: MusicRequest, offer: Offer, *, callback_url: str | None = CALLBACK_URL
    ) -> Translation:
        """The wish in the vendor's words, through the hook, which gets copies: a plugin that writes into them is found elsewhere."""
        wish, settings = copy.deepcopy((request, self.settings))
        return self.plugin.translate(wish, offer, settings, callback_url)

    def with_option(self, wish: MusicRequest, name: str, value: object) -> MusicRequest:
        """The wish with one option of the plugin's block set."""
        block = self.provider.option_block
        return attrs.evolve(wish, blocks={**wish.blocks, block: {**wish.block(block), name: value}})

    def own_wishes(self, offer: Offer) -> tuple[MusicRequest, ...]:
        """The kit's wishes without any vendor's words: an idea, a sung song, an instrumental."""
        return (
            MusicRequest(model=offer.model, prompt=PROMPT),
            MusicRequest(model=offer.model, prompt=PROMPT, lyrics=LYRICS, style=STYLE, title=TITLE),
            MusicRequest(model=offer.model, prompt=PROMPT, style=STYLE, instrumental=True),
        )

    @cached_property
    def base(self) -> tuple[tuple[Offer, MusicRequest, Translation], ...]:
        """Every base wish that the plugin can translate, per offer: the kit's, the schema's examples, the author's.

        Raises:
            AssertionError: there is none, or a translation ended in something other than a `RequestError`.
        """
        found = []
        for offer in self.provider.offers:
            for wish in (*self.own_wishes(offer), *self._example_wishes(offer), *self._author_wishes(offer)):
                try:
                    found.append((offer, wish, self.translate(wish, offer)))
                except RequestError:
                    continue
        assert found, (
            "translate_request refused every base wish of every offer (a plain prompt, lyrics, an instrumental, the schema's "
            "examples); name wishes that the vendor can fulfil in `wishes`"
        )
        return tuple(found)

    def _example_wishes(self, offer: Offer) -> tuple[MusicRequest, ...]:
        examples = self.provider.options_schema.get("examples", [])
        blocks = (
            [example for example in examples if isinstance(example, dict)]
            if isinstance(examples, list)
            else []
        )
        name = self.provider.option_block
        return tuple(
            MusicRequest(model=offer.model, prompt=prompt, blocks={name: block})
            for block in blocks
            for prompt in (PROMPT, None)
        )

    def _author_wishes(self, offer: Offer) -> tuple[MusicRequest, ...]:
        return tuple(wish for wish in self.wishes if offer.answers_to(wish.model))

    @property
    def song_wish(self) -> MusicRequest:
        """The wish that the emulator's walks are made with: the first that can be translated."""
        return self.base[0][1]

    def rehearsal(
        self,
        *,
        key: str = "test-key-not-real",
        webhook_secret: str | None = None,
        switches: Mapping[str, str] | None = None,
    ) -> tuple[Rehearsal, list[Heard]]:
        """The plugin opposite its own emulator, and the list in which the answers will be written down.

        Raises:
            Skipped: it does not load, or has no emulator (`check_emulator_is_there` says so).
        """
        _ = self.plugin
        if not hasattr(self.module, "emulator"):
            raise Skipped("the plugin has no emulator")
        rehearsal = Rehearsal(
            self.name, self.module, key=key, webhook_secret=webhook_secret, switches=switches
        )
        listener = Listener(rehearsal.plugin)
        rehearsal.plugin = cast("ProviderPlugin", listener)
        return rehearsal, listener.heard

    def play(self, wish: MusicRequest | None = None) -> Walk:
        """Make one song, by the first base wish unless another is given.

        Raises:
            AssertionError: creating it ended in an error.
        """
        rehearsal, heard = self.rehearsal()
        wish = wish or self.song_wish
        try:
            job = rehearsal.finish(rehearsal.create(wish))
        except ProviderError as error:
            raise AssertionError(
                f"the emulator was asked for a song ({wish!r:.200}), and the create call ended in {error.failure.reason}: {error}"
            ) from error
        return Walk(rehearsal=rehearsal, translation=rehearsal.translate(wish), job=job, heard=tuple(heard))

    @cached_property
    def walk(self) -> Walk:
        """One plain song, played once."""
        return self.play()

    @cached_property
    def created_job(self) -> Job:
        """A job just after its create call; nobody has looked at it yet."""
        return self.rehearsal()[0].create(self.song_wish)

    @property
    def can_poll(self) -> bool:
        """True if there is a call that asks how a job is doing."""
        return not self.provider.blocking

    def must_poll(self) -> None:
        """Leave the check where there is nothing to poll.

        Raises:
            Skipped: the provider is declared as blocking.
        """
        if not self.can_poll:
            raise Skipped("the create call lasts as long as the song (Provider.blocking): nothing is polled")

    @cached_property
    def open_job(self) -> Job:
        """A job that the vendor has accepted and not finished, as the poll reader gets it."""
        heard = self.walk.heard
        later = [one.job for one in heard if one.step is Step.POLL]
        return later[0] if later else heard[0].job


def _distribution(point: EntryPoint) -> str | None:
    return point.dist.name if point.dist else None
