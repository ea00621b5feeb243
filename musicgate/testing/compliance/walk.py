"""One song between a plugin and its own emulator, and everything that was heard while it was made."""

from __future__ import annotations

import copy

import attrs

from musicgate.errors import ProviderError
from musicgate.hosting import ProviderPlugin
from musicgate.model import Job, JobUpdate, ProviderSettings
from musicgate.plugin import HttpRequest, HttpResponse, Step, Translation
from musicgate.testing.rehearsal import Rehearsal


@attrs.frozen(kw_only=True)
class Heard:
    """One answer that the played vendor gave while a song was made, and what the plugin read in it."""

    step: Step
    response: HttpResponse
    job: Job
    read: JobUpdate | HttpRequest | ProviderError


@attrs.frozen(kw_only=True)
class Walk:
    """One song from the wish to the delivery, between the plugin and its own emulator."""

    rehearsal: Rehearsal
    translation: Translation
    job: Job
    heard: tuple[Heard, ...]


class Listener:
    """A plugin's typed face that remembers every answer it was given to read."""

    def __init__(self, plugin: ProviderPlugin) -> None:
        """Listen to a plugin."""
        self._plugin = plugin
        self.heard: list[Heard] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._plugin, name)

    def parse(
        self, step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
    ) -> JobUpdate | HttpRequest:
        """Let the plugin read copies, and write down what it was given."""
        given = copy.deepcopy((response, job))
        try:
            read = self._plugin.parse(step, *given, settings)
        except ProviderError as error:
            self.heard.append(Heard(step=step, response=response, job=job, read=error))
            raise
        self.heard.append(Heard(step=step, response=response, job=job, read=read))
        return read
