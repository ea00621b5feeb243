"""Plays a whole job between a plugin and its own emulator in virtual time: no socket, no store, no waiting.

For the tests of a plugin. It calls the hooks through the same typed face and folds with the same life cycle as the gateway, but
everything else (routing, durability, downloads) is absent.
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
        now_s: virtual epoch seconds; poll, delays and callbacks move it on.
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
        """Load the plugin alone and set its emulator up."""
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
        """Virtual time."""
        return datetime.fromtimestamp(self.now_s, UTC)

    def offer(self, model: str) -> Offer:
        """The plugin's offer of a public model id."""
        return next(offer for offer in self.provider.offers if offer.answers_to(model))

    def translate(self, request: MusicRequest, *, callback_url: str | None = CALLBACK_URL) -> Translation:
        """The wish in the vendor's words."""
        return self.plugin.translate(request, self.offer(request.model), self.settings, callback_url)

    def send(self, request: HttpRequest) -> HttpResponse:
        """What the transport would do: add the key, wait, lose cut answers.

        Raises:
            ProviderError: class ``unknown_outcome``, when the emulator hangs up or cuts its answer.
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
        """Submit a wish; the job as the gateway would have it after the create call.

        Raises:
            ProviderError: what the create call ended in, when it ended in an error.
        """
        translation = self.translate(request)
        job = self._new_job(request, translation)
        return self._fold(Step.CREATE, self.send(translation.request), job)

    def poll(self, job: Job) -> Job:
        """Look once, after the time that the schedule asks for. Noise leaves the job as it is and is kept in ``noise``."""
        self.now_s += jobs.next_poll_s(job, self.provider.poll, self.now)
        request = self.plugin.poll(job, self.settings)
        if request is None:
            message = f"{self.provider.plugin} cannot be polled"
            raise AssertionError(message)
        try:
            return self._fold(Step.POLL, self.send(request), job)
        except ProviderError as error:
            self.noise.append(error)
            return job

    def finish(self, job: Job, *, limit: int = 200) -> Job:
        """Poll until the job is final or delivered, or the provider's deadline passes (then it ends as at the deadline)."""
        for _ in range(limit):
            if job.state.is_final or job.delivered_at is not None:
                return job
            if self.now >= job.deadline_at:
                return jobs.end(job, Failure(reason=FailureClass.EXPIRED, message="deadline"), self.now)
            job = self.poll(job)
        message = f"not finished after {limit} looks"
        raise AssertionError(message)

    def run(self, request: MusicRequest) -> Job:
        """Create and finish."""
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
            callback_token="token",  # noqa: S106 - not a secret of anything
            attempts=(attempt,),
            warnings=translation.warnings,
        )

    def _fold(self, step: Step, response: HttpResponse, job: Job) -> Job:
        update = self.plugin.parse(step, response, job, self.settings)
        while isinstance(update, HttpRequest):
            update = self.plugin.parse(Step.NEXT, self.send(update), job, self.settings)
        return self.fold(job, update)

    def fold(self, job: Job, update: JobUpdate) -> Job:
        """Fold one update as the gateway does."""
        return jobs.apply(job, update, self.plugin.map_status(update.native_status), self.now)


def settings_defaults(provider: Provider) -> dict[str, object]:
    """The defaults of a plugin's own settings, from its ``settings_schema``."""
    properties = provider.settings_schema.get("properties", {})
    declared = properties.items() if isinstance(properties, dict) else ()
    return {name: schema["default"] for name, schema in declared if "default" in schema}
