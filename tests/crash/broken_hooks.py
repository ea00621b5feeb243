"""A cross-cutting plugin that breaks the hooks of other plugins on demand.

A prompt with ``[break poll_request:TypeError:2]`` makes the first two calls of that hook for that job
raise, one with ``ever`` all of them. Instead of raising, ``odd`` returns a value of a wrong type.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import attrs

from musicgate import (
    Failure,
    FailureClass,
    ProviderError,
    RequestError,
    StorageError,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_SWITCH = re.compile(r"\[break (\w+):(\w+):(\w+)\]")

#: Errors that a hook raises although its specification does not list them.
ERRORS: dict[str, Callable[[], BaseException]] = {
    "TypeError": lambda: TypeError("broken on demand"),
    "MemoryError": lambda: MemoryError("broken on demand"),
    "RequestError": lambda: RequestError("validation_error", "broken on demand"),
    "StorageError": lambda: StorageError("broken on demand"),
    "ProviderError": lambda: ProviderError(
        Failure(reason=FailureClass.UNAVAILABLE, message="broken on demand")
    ),
}
HOOKS = ("translate_request", "poll_request", "parse_response", "cancel_request")


class BrokenHooks:
    """Wraps the hooks of every provider."""

    HOOK_API = 1

    def __init__(self) -> None:
        self._calls: Counter[tuple[str, str]] = Counter()

    @hookimpl(wrapper=True)
    def translate_request(self, request: Any) -> Generator[None, Any, Any]:
        """Break the translation; the odd value has a header that is a number."""
        how = self._how("translate_request", request.prompt)
        found = yield
        if how != "odd":
            return found
        return attrs.evolve(found, request=attrs.evolve(found.request, headers={"X-Odd": 5}))

    @hookimpl(wrapper=True)
    def poll_request(self, job: Any) -> Generator[None, Any, Any]:
        """Break the poll; the odd value has a header that is a number."""
        how = self._how("poll_request", job.request.prompt)
        found = yield
        return attrs.evolve(found, headers={"X-Odd": 5}) if found is not None and how == "odd" else found

    @hookimpl(wrapper=True)
    def parse_response(self, job: Any) -> Generator[None, Any, Any]:
        """Break the parsing; the odd value is None."""
        how = self._how("parse_response", job.request.prompt)
        found = yield
        return None if how == "odd" else found

    @hookimpl(wrapper=True)
    def cancel_request(self, job: Any) -> Generator[None, Any, Any]:
        """Break the cancellation; the odd value is text."""
        how = self._how("cancel_request", job.request.prompt)
        found = yield
        return "odd" if how == "odd" else found

    def _how(self, hook: str, prompt: str | None) -> str | None:
        for name, how, times in _SWITCH.findall(prompt or ""):
            if name != hook:
                continue
            self._calls[hook, str(prompt)] += 1
            if times == "ever" or self._calls[hook, str(prompt)] <= int(times):
                if how in ERRORS:
                    error = ERRORS[how]()
                    raise error
                return str(how)
        return None


plugin = BrokenHooks()
