"""The kit as a pytest class: one parametrised test that runs each check and skips with the check's reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from musicgate.testing.compliance.run import CHECKS, Check, name_of
from musicgate.testing.compliance.subject import Skipped, Subject

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from musicgate.model import MusicRequest


class ProviderCompliance:
    """Subclass this as ``TestCompliance`` and set the attributes; see the built-in plugins' tests.

    Attributes:
        plugin: the plugin's module.
        cases: folder of its recorded answers, or None while there are none.
        wishes: wishes that the vendor can fulfil, where the kit's own do not do.
        failure_switches: emulator switches that make a song fail after it was accepted.
    """

    plugin: ClassVar[ModuleType]
    cases: ClassVar[Path | None] = None
    wishes: ClassVar[tuple[MusicRequest, ...]] = ()
    failure_switches: ClassVar[Mapping[str, str] | None] = None

    @pytest.fixture(scope="class")
    def subject(self) -> Subject:
        """The plugin under test, made once."""
        return Subject.of_module(
            self.plugin, cases=self.cases, wishes=self.wishes, failure_switches=self.failure_switches
        )

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_compliance(self, subject: Subject, check: Check) -> None:
        """One check of the kit."""
        try:
            check(subject)
        except Skipped as reason:
            pytest.skip(str(reason))
