"""Run a whole job between a plugin and its own emulator in virtual time.

There is no socket, no store and no waiting. For the tests of a plugin. It calls the hooks and applies the
updates as the gateway does; everything else (routing, durability, downloads) is absent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from musicgate import jobs
from musicgate.errors import ProviderError
from musicgate.hosting import ProviderPlugin, load_plugins
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    Offer,
    Provider,
    ProviderSettings,
    Secret,
)
from musicgate.plugin import (
    EmulatedAnswer,
    Emulator,
    EmulatorOptions,
    HttpRequest,
    HttpResponse,
    Step,
    Translation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Epoch seconds at which every rehearsal begins.
START_S = 1_790_000_000.0
CALLBACK_URL = "http://127.0.0.1:1/v1/callbacks/job/token"


class Rehearsal:
    """A plugin, its emulator and one job at a time.

    Attributes:
        plugin: its hooks.
        provider: its declaration.
        emulator: the vendor.
        settings: the plugin's settings, with a base URL that the emulator answers.
        key: the API key that is sent.
        now_s: virtual epoch seconds, advanced by poll intervals and the emulator's delays.
        answers: every answer of the emulator, in order.
        noise: every `ProviderError` that a poll ended in.
    """

    def __init__(
        self,
        name: str,
        plugin: object,
        *,
        switches: Mapping[str, str] | None = None,
        options: Mapping[str, object] | None = None,
        key: str = "test-key-not-real",
        webhook_secret: str | None = None,
    ) -> None:
        """Load the plugin alone, with its emulator.

        Args:
            name: of the plugin.
            plugin: its module.
            switches: of the emulator.
            options: the plugin's own settings, added to their defaults.
            key: the API key.
            webhook_secret: signs callbacks; None = they are not signed.

        Raises:
            AssertionError: the plugin does not load.
        """
        host = load_plugins({name: plugin}, installed=False)
        if host.records[0].error:
            raise AssertionError(host.records[0].error)
        self.plugin: ProviderPlugin = host.providers[name]
        self.provider: Provider = self.plugin.provider
        self.emulator: Emulator = self.plugin.emulator(
            EmulatorOptions(switches=switches or {}, webhook_secret=webhook_secret)
        )
        secret = Secret(webhook_secret) if webhook_secret else None
        defaults = settings_defaults(self.provider)
        self.settings = ProviderSettings(
            base_url="http://127.0.0.1:1", options={**defaults, **(options or {})}, webhook_secret=secret
        )
        self.key = key
        self.now_s = START_S
        self.answers: list[EmulatedAnswer] = []
        self.noise: list[ProviderError] = []

    @property
    def now(self) -> datetime:
        """The virtual time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now_s, UTC)

    def offer(self, model: str) -> Offer:
        """Return the plugin's offer of a public model."""
        return next(offer for offer in self.provider.offers if offer.answers_to(model))

    def translate(self, request: MusicRequest, *, callback_url: str | None = CALLBACK_URL) -> Translation:
        """Translate a request."""
        return self.plugin.translate(request, self.offer(request.model), self.settings, callback_url)

    def send(self, request: HttpRequest) -> HttpResponse:
        """Send a request to the emulator as the transport would: add the key, wait, lose cut answers.

        Raises:
            ProviderError: class ``unknown_outcome``, when the emulator drops the connection or cuts its
                answer.
        """
        auth = self.provider.auth
        keyed = attrs.evolve(request, headers={**request.headers, auth.header: auth.value(self.key)})
        answer = self.emulator.answer(keyed, self.now_s)
        self.answers.append(answer)
        self.now_s += answer.delay_s
        if answer.drop or answer.cut_after_bytes is not None:
            failure = Failure(
                reason=FailureClass.UNKNOWN_OUTCOME,
                message="the connection closed before the answer was whole",
            )
            raise ProviderError(failure, maybe_accepted=True)
        return attrs.evolve(answer.response, received_at=self.now)

    def create(self, request: MusicRequest) -> Job:
        """Send a create call; return the job as the gateway would store it afterwards.

        Raises:
            ProviderError: the create call ended in an error.
        """
        translation = self.translate(request)
        job = self._new_job(request, translation)
        return self._fold_answer(Step.CREATE, self.send(translation.request), job)

    def poll(self, job: Job) -> Job:
        """Poll once, after the interval of the schedule; a `ProviderError` is added to ``noise``."""
        self.now_s += jobs.next_poll_s(job, self.provider.poll, self.now)
        request = self.plugin.poll(job, self.settings)
        if request is None:
            message = f"{self.provider.plugin} cannot be polled"
            raise AssertionError(message)
        try:
            return self._fold_answer(Step.POLL, self.send(request), job)
        except ProviderError as error:
            self.noise.append(error)
            return job

    def finish(self, job: Job, *, limit: int = 200) -> Job:
        """Poll until the job is final or delivered; at its deadline it ends as expired.

        Raises:
            AssertionError: it is still open after ``limit`` polls.
        """
        for _ in range(limit):
            if job.state.is_final or job.delivered_at is not None:
                return job
            if self.now >= job.deadline_at:
                return jobs.end(job, Failure(reason=FailureClass.EXPIRED, message="deadline"), self.now)
            job = self.poll(job)
        message = f"not finished after {limit} polls"
        raise AssertionError(message)

    def run(self, request: MusicRequest) -> Job:
        """Create a job and finish it."""
        return self.finish(self.create(request))

    def _new_job(self, request: MusicRequest, translation: Translation) -> Job:
        attempt = Attempt(
            plugin=self.provider.plugin,
            provider=self.provider.name,
            model=request.model,
            native_model=translation.native_model,
            outcome=AttemptOutcome.SENT,
            planned_at=self.now,
        )
        return Job(
            id="job",
            account="test",
            generation_id="G-TEST",
            request=request,
            state=JobState.QUEUED,
            created_at=self.now,
            updated_at=self.now,
            deadline_at=datetime.fromtimestamp(self.now_s + self.provider.deadline_s, UTC),
            callback_token="token",  # noqa: S106 - not a real secret
            attempts=(attempt,),
            warnings=translation.warnings,
        )

    def _fold_answer(self, step: Step, response: HttpResponse, job: Job) -> Job:
        update = self.plugin.parse(step, response, job, self.settings)
        while isinstance(update, HttpRequest):
            update = self.plugin.parse(Step.NEXT, self.send(update), job, self.settings)
        return self.fold(job, update)

    def fold(self, job: Job, update: JobUpdate) -> Job:
        """Apply one update as the gateway does."""
        return jobs.apply(job, update, self.plugin.map_status(update.native_status), self.now)


def settings_defaults(provider: Provider) -> dict[str, object]:
    """Return the defaults of a plugin's own settings, from its ``settings_schema``."""
    properties = provider.settings_schema.get("properties", {})
    declared = properties.items() if isinstance(properties, dict) else ()
    return {name: schema["default"] for name, schema in declared if "default" in schema}
