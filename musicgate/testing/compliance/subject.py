"""The plugin under test, and what checks share: declaration, base requests, cases, one run."""

from __future__ import annotations

import pickle
from functools import cached_property
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

import attrs

from musicgate.errors import ProviderError, RequestError
from musicgate.hosting import ENTRY_POINT_GROUP, PluginRecord, ProviderPlugin, load_plugins
from musicgate.model import (
    FailureClass,
    Job,
    MusicRequest,
    Offer,
    Provider,
    ProviderSettings,
    Secret,
)
from musicgate.plugin import Step, Translation
from musicgate.testing.cases import Case, load_cases
from musicgate.testing.compliance.emulated_run import AnswerRecorder, EmulatedRun, ParsedAnswer
from musicgate.testing.rehearsal import CALLBACK_URL, Rehearsal, settings_defaults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from importlib.metadata import EntryPoint
    from pathlib import Path
    from types import ModuleType

BASE_URL = "http://127.0.0.1:1"
#: The kit uses it as every secret; it must show up nowhere.
SECRET_CANARY = "kit-canary-test-secret-not-real"  # noqa: S105 - not a real secret
PROMPT = "Warm jazz trio with brushed drums"
LYRICS = "[Verse]\nThe rain plays the brushes\n[Chorus]\nRow on, row on"
STYLE = "jazz, piano, upright bass"
TITLE = "Midnight Blue"
_SECRET_NAMES = ("secret", "token", "password", "api_key")


class Skipped(Exception):  # noqa: N818 - not an error: the check does not apply, and says why
    """A check does not apply to this plugin; the message says why."""


@attrs.frozen(kw_only=True, eq=False, slots=False)
class Subject:
    """A plugin under test. Everything costly is made once, when a check first needs it.

    Attributes:
        name: the plugin's name, equal to its entry point's.
        module: the plugin itself; None when it could not be imported.
        import_error: why it could not.
        package: what the entry point names, or the module's own name.
        distribution: its distribution; None where it is not installed.
        cases: recorded answers; None where they are not available (they are not part of a wheel).
        requests: further requests that the vendor can fulfil, used beside the kit's own.
        failure_switches: switches that make the emulator fail a song after it was accepted.
        skip_checks: checks that are turned off, by name, each with the reason.
    """

    name: str
    module: object
    import_error: str | None = None
    package: str | None = None
    distribution: str | None = None
    cases: tuple[Case, ...] | None = None
    requests: tuple[MusicRequest, ...] = ()
    failure_switches: Mapping[str, str] | None = None
    skip_checks: Mapping[str, str] = attrs.field(factory=dict)

    @classmethod
    def installed(cls, name: str) -> Subject:
        """Make the subject of an installed plugin; one that cannot be imported fails its first check.

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
        except Exception as exc:  # noqa: BLE001 - it is a finding, and must not stop the kit
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
        requests: tuple[MusicRequest, ...] = (),
        failure_switches: Mapping[str, str] | None = None,
        skip_checks: Mapping[str, str] | None = None,
    ) -> Subject:
        """Make the subject of a module; its entry point and distribution are found if it is installed."""
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
            requests=requests,
            failure_switches=failure_switches,
            skip_checks=skip_checks or {},
        )

    @cached_property
    def _host(self) -> tuple[PluginRecord, ProviderPlugin | None]:
        host = load_plugins({self.name: self.module}, installed=False)
        return host.records[0], host.providers.get(self.name)

    @property
    def record(self) -> PluginRecord:
        """How the plugin was loaded."""
        return self._host[0]

    @property
    def plugin(self) -> ProviderPlugin:
        """The plugin's hooks.

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
        """Default settings, with `SECRET_CANARY` as every secret."""
        provider = self.provider
        options = settings_defaults(provider)
        secret_named = {name for name in options if any(word in name.lower() for word in _SECRET_NAMES)}
        options |= {name: SECRET_CANARY for name in secret_named if isinstance(options[name], str)}
        secret = Secret(SECRET_CANARY) if provider.webhook_secret_env else None
        return ProviderSettings(base_url=BASE_URL, options=options, webhook_secret=secret)

    def other_settings(self) -> Iterator[dict[str, object]]:
        """Yield every choice that the plugin's own settings offer beside their defaults, one at a time."""
        properties = self.provider.settings_schema.get("properties", {})
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            for value in schema.get("enum", ()) if isinstance(schema, dict) else ():
                if value != schema.get("default"):
                    yield {name: value}

    @property
    def block_properties(self) -> Mapping[str, object]:
        """The options that the plugin's schema declares, by name."""
        properties = self.provider.options_schema.get("properties", {})
        return properties if isinstance(properties, dict) else {}

    def translate(
        self, request: MusicRequest, offer: Offer, *, callback_url: str | None = CALLBACK_URL
    ) -> Translation:
        """Translate copies of the request and settings: another check finds a plugin that changes them."""
        # Through pickle, because `copy.deepcopy` takes longer than most plugins to translate.
        request, settings = pickle.loads(pickle.dumps((request, self.settings)))  # noqa: S301 - made here
        return self.plugin.translate(request, offer, settings, callback_url)

    def with_option(self, request: MusicRequest, name: str, value: object) -> MusicRequest:
        """Return the request with one option of the plugin's block set."""
        block = self.provider.option_block
        return attrs.evolve(request, blocks={**request.blocks, block: {**request.block(block), name: value}})

    def neutral_requests(self, offer: Offer) -> tuple[MusicRequest, ...]:
        """Return the kit's requests without a vendor's block: a prompt, lyrics, an instrumental."""
        return (
            MusicRequest(model=offer.model, prompt=PROMPT),
            MusicRequest(model=offer.model, prompt=PROMPT, lyrics=LYRICS, style=STYLE, title=TITLE),
            MusicRequest(model=offer.model, prompt=PROMPT, style=STYLE, instrumental=True),
        )

    def timed_request(self, offer: Offer) -> MusicRequest:
        """Return a request for half a minute, or what the offer allows that is next to it."""
        shortest, longest = offer.limits.min_duration_s or 0, offer.limits.max_duration_s or 30
        return MusicRequest(model=offer.model, prompt=PROMPT, duration_s=int(max(shortest, min(30, longest))))

    @cached_property
    def base(self) -> tuple[tuple[Offer, MusicRequest, Translation], ...]:
        """Every base request that the plugin can translate, per offer, with its translation.

        Base requests are the kit's own, one for each example of the option schema, and the author's.

        Raises:
            AssertionError: there is none.
        """
        found = []
        for offer in self.provider.offers:
            own = (request for request in self.requests if offer.answers_to(request.model))
            for request in (*self.neutral_requests(offer), *self._example_requests(offer), *own):
                try:
                    found.append((offer, request, self.translate(request, offer)))
                except RequestError:
                    continue
        assert found, (
            "translate_request refused every base request of every offer (a plain prompt, lyrics, an "
            "instrumental, the schema's examples); name requests that the vendor can fulfil in `requests`"
        )
        return tuple(found)

    def _example_requests(self, offer: Offer) -> tuple[MusicRequest, ...]:
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

    @property
    def song_request(self) -> MusicRequest:
        """The request that emulated runs are made with: the first that can be translated."""
        return self.base[0][1]

    def rehearsal(
        self,
        *,
        key: str = "test-key-not-real",
        webhook_secret: str | None = None,
        switches: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> tuple[Rehearsal, list[ParsedAnswer]]:
        """Make a rehearsal of the plugin, and the list that will hold the answers that it parses.

        Raises:
            Skipped: it does not load, or has no emulator (which `check_emulator_is_there` finds).
        """
        _ = self.plugin
        if not hasattr(self.module, "emulator"):
            raise Skipped("the plugin has no emulator")
        rehearsal = Rehearsal(
            self.name,
            self.module,
            key=key,
            webhook_secret=webhook_secret,
            switches=switches,
            options=options,
        )
        recorder = AnswerRecorder(rehearsal.plugin)
        rehearsal.plugin = cast("ProviderPlugin", recorder)
        return rehearsal, recorder.answers

    def emulate(
        self, request: MusicRequest | None = None, options: Mapping[str, object] | None = None
    ) -> EmulatedRun:
        """Run one job to its end, for `song_request` unless another request is given.

        Args:
            options: the plugin's own settings, where they are not the default ones.

        Raises:
            AssertionError: the create call ended in an error.
        """
        rehearsal, answers = self.rehearsal(options=options)
        request = request or self.song_request
        try:
            job = rehearsal.finish(rehearsal.create(request))
        except ProviderError as error:
            message = (
                f"the create call to the emulator ({request!r:.200}) ended in {error.failure.reason}: {error}"
            )
            raise AssertionError(message) from error
        translation = rehearsal.translate(request)
        return EmulatedRun(rehearsal=rehearsal, translation=translation, job=job, answers=tuple(answers))

    @cached_property
    def emulated_run(self) -> EmulatedRun:
        """One job for `song_request`, run once."""
        return self.emulate()

    @property
    def song_run(self) -> EmulatedRun:
        """The job for `song_request`, delivered: for checks that mean nothing without a song.

        Raises:
            AssertionError: it was not delivered.
        """
        job = self.emulated_run.job
        assert job.delivered_at is not None, f"a plain request {self._how_it_ended(job)}"
        return self.emulated_run

    def _how_it_ended(self, job: Job) -> str:
        failure = job.failure
        why = "" if failure is None else f" ({failure.reason}: {failure.message})"
        hint = ""
        if failure is not None and failure.reason is FailureClass.AUTH:
            header = self.provider.auth.header
            hint = (
                f"; the key is sent as Provider.auth says, in {header}: does the emulator look for it there?"
            )
        return f"to the emulator ended {job.state}{why} and was not delivered{hint}"

    @cached_property
    def created_job(self) -> Job:
        """A job after its create call and before its first poll."""
        return self.rehearsal()[0].create(self.song_request)

    @property
    def can_poll(self) -> bool:
        """True if jobs of this provider are polled."""
        return not self.provider.blocking

    def skip_unless_polled(self) -> None:
        """End the check where jobs are not polled.

        Raises:
            Skipped: the provider is declared as blocking.
        """
        if not self.can_poll:
            raise Skipped("the create call lasts as long as the song (Provider.blocking): nothing is polled")

    @cached_property
    def open_job(self) -> Job:
        """A job that the vendor has accepted and not finished, as `parse_response` gets it at a poll."""
        answers = self.emulated_run.answers
        polled = [answer.job for answer in answers if answer.step is Step.POLL]
        return polled[0] if polled else answers[0].job


def _distribution(point: EntryPoint) -> str | None:
    return point.dist.name if point.dist else None
