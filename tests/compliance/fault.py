"""What a fault is: the check that has to find it, and words of the sentence that tells it."""

from collections.abc import Callable
from types import ModuleType

import attrs


@attrs.frozen(kw_only=True)
class Fault:
    """One way to break a promise.

    Attributes:
        check: name of the check that has to find it.
        what: the fault.
        says: words that the check's sentence has to hold.
        plugin: makes the broken plugin.
    """

    check: str
    what: str
    says: str
    plugin: Callable[[], ModuleType]


def fault(check: str, what: str, says: str, plugin: Callable[[], ModuleType]) -> Fault:
    return Fault(check=check, what=what, says=says, plugin=plugin)
