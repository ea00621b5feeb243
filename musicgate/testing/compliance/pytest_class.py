"""The kit as a pytest class: one test per check, skipped with the check's reason."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import pytest

from musicgate.plugin import switches_in
from musicgate.testing.compliance.run import CHECKS, Check, name_of, perform
from musicgate.testing.compliance.subject import Skipped, Subject

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from musicgate.model import MusicRequest


class ProviderCompliance:
    """Subclass this as ``TestCompliance`` and set the attributes; see the built-in plugins' tests.

    Attributes:
        plugin: the plugin's module.
        cases: folder of its recorded answers, or None while there are none.
        requests: requests that the vendor can fulfil, where it cannot fulfil the kit's own.
        failure_switches: switches that make the emulator fail a song after it was accepted, such as
            ``"end=FAILED code=413"``.
        skip_checks: checks that are turned off, by name, each with the reason, which pytest shows.
    """

    plugin: ModuleType
    cases: Path | None = None
    requests: tuple[MusicRequest, ...] = ()
    failure_switches: str = ""
    skip_checks: Mapping[str, str] = MappingProxyType({})

    @pytest.fixture
    def subject(self) -> Subject:
        """The plugin under test, made once per class."""
        return _subject_of(type(self))

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_compliance(self, subject: Subject, check: Check) -> None:
        """One check of the kit."""
        try:
            perform(subject, check)
        except Skipped as reason:
            pytest.skip(str(reason))


#: All tests of a class share one subject: it is costly, because a job is run for it.
_SUBJECTS: Final[dict[type[ProviderCompliance], Subject]] = {}


def _subject_of(kind: type[ProviderCompliance]) -> Subject:
    if kind not in _SUBJECTS:
        _SUBJECTS[kind] = Subject.of_module(
            kind.plugin,
            cases=kind.cases,
            requests=kind.requests,
            failure_switches=switches_in(f"[emulate {kind.failure_switches}]") or None,
            skip_checks=kind.skip_checks,
        )
    return _SUBJECTS[kind]
