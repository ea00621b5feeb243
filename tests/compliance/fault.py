"""A fault of a plugin, the check that has to find it, and a part of that check's message."""

from collections.abc import Callable
from types import ModuleType

import attrs


@attrs.frozen(kw_only=True)
class Fault:
    """One way to break a promise.

    Attributes:
        check: name of the check that has to find it.
        what: the fault.
        message: what the check's message has to contain.
        plugin: makes the broken plugin.
    """

    check: str
    what: str
    message: str
    plugin: Callable[[], ModuleType]


def fault(check: str, what: str, message: str, plugin: Callable[[], ModuleType]) -> Fault:
    return Fault(check=check, what=what, message=message, plugin=plugin)
