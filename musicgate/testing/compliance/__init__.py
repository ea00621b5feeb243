"""The compliance kit: checks that a provider plugin keeps what the hooks promise.

A plugin's test file is about ten lines::

    import musicgate_example
    from musicgate.testing.compliance import ProviderCompliance


    class TestCompliance(ProviderCompliance):
        plugin = musicgate_example
        cases = Path(__file__).parent / "cases"

Without pytest: ``run_checks(Subject.installed("example"))``. A check is a function ``check_<fact>(subject)``
that raises `AssertionError` with a sentence for the author, or `Skipped` with the reason why it does not
apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.testing.compliance.run import (
    CHECKS,
    Check,
    Outcome,
    Result,
    known_checks,
    name_of,
    run_check,
    run_checks,
)
from musicgate.testing.compliance.subject import Skipped, Subject

if TYPE_CHECKING:
    from musicgate.testing.compliance.pytest_class import ProviderCompliance

__all__ = [
    "CHECKS",
    "Check",
    "Outcome",
    "ProviderCompliance",
    "Result",
    "Skipped",
    "Subject",
    "known_checks",
    "name_of",
    "run_check",
    "run_checks",
]


def __getattr__(name: str) -> object:
    """Load the pytest class when it is used: the command line runs the kit without pytest."""
    if name != "ProviderCompliance":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from musicgate.testing.compliance.pytest_class import ProviderCompliance

    return ProviderCompliance
