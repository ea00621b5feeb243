"""One job between a plugin and its own emulator, with every answer that the plugin parsed."""

from __future__ import annotations

import copy

import attrs

from musicgate.errors import ProviderError
from musicgate.hosting import ProviderPlugin
from musicgate.model import Job, JobUpdate, ProviderSettings
from musicgate.plugin import HttpRequest, HttpResponse, Step, Translation
from musicgate.testing.rehearsal import Rehearsal


@attrs.frozen(kw_only=True)
class ParsedAnswer:
    """One answer of the emulator, its job, and what `parse_response` returned or raised."""

    step: Step
    response: HttpResponse
    job: Job
    parsed: JobUpdate | HttpRequest | ProviderError


@attrs.frozen(kw_only=True)
class EmulatedRun:
    """One job from its request to its end.

    Attributes:
        rehearsal: the plugin and the emulator it ran against.
        translation: of the job's request.
        job: as it ended.
        answers: every answer that was parsed, in order.
    """

    rehearsal: Rehearsal
    translation: Translation
    job: Job
    answers: tuple[ParsedAnswer, ...]


class AnswerRecorder:
    """A `ProviderPlugin` that records every answer it is given to parse."""

    def __init__(self, plugin: ProviderPlugin) -> None:
        self._plugin = plugin
        self.answers: list[ParsedAnswer] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._plugin, name)

    def parse(
        self, step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
    ) -> JobUpdate | HttpRequest:
        """Parse copies, and record the answer as it was even if the plugin changes its arguments."""
        copies = copy.deepcopy((response, job))
        try:
            parsed = self._plugin.parse(step, *copies, settings)
        except ProviderError as error:
            self.answers.append(ParsedAnswer(step=step, response=response, job=job, parsed=error))
            raise
        self.answers.append(ParsedAnswer(step=step, response=response, job=job, parsed=parsed))
        return parsed
