"""The routes of an emulated vendor: methods of its class, marked with method and path."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import attrs

from musicgate.plugin import EmulatedAnswer, Field


class Kind(StrEnum):
    """What a route is for. Faults, delays and checks go by it."""

    CREATE = "create"
    POLL = "poll"
    CANCEL = "cancel"
    OTHER = "other"


@attrs.frozen(kw_only=True)
class Route:
    """One route of a vendor; see `route`."""

    method: str
    path: str
    kind: Kind
    task: str
    checks: tuple[str, ...] | None
    fields: tuple[Field, ...]
    pattern: re.Pattern[str]

    @property
    def name(self) -> str:
        """The route as declared: ``GET /v1/songs/{id}``."""
        return f"{self.method} {self.path}"


def route(
    name: str,
    kind: Kind = Kind.OTHER,
    *,
    task: str = "id",
    checks: tuple[str, ...] | None = None,
    fields: tuple[Field, ...] = (),
) -> Callable[[Callable[..., EmulatedAnswer]], Callable[..., EmulatedAnswer]]:
    """Make a method a route of its vendor; it may be repeated.

    A create route and any other is called with the call, a poll or cancel route with the call and its task.

    Args:
        name: method and path: ``GET /v1/songs/{id}``; a name in braces is one segment, with dots behind it
            (``{path...}``) all that are left.
        task: where a poll or cancel route finds the task's id: a parameter of the path or the query, or a key
            of the body; the first one of a list.
        checks: names of the checks of this route, in order; default: those of its kind.
        fields: what its body or form takes, for the checks ``form`` and ``limits``; default: what the offer
            of the call declares.
    """
    method, _, path = name.partition(" ")
    escaped = re.sub(r"\\\{(\w+)\\\.\\\.\\\.\\\}", r"(?P<\1>.+)", re.escape(path))
    pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", escaped))
    made = Route(
        method=method, path=path, kind=kind, task=task, checks=checks, fields=fields, pattern=pattern
    )

    def mark(function: Callable[..., EmulatedAnswer]) -> Callable[..., EmulatedAnswer]:
        function.__dict__.setdefault("routes", []).insert(0, made)
        return function

    return mark


def routes_of(vendor: type[Any]) -> list[tuple[Route, str]]:
    """The routes of a vendor and the names of their methods, in the order of the source."""
    names = dict.fromkeys(name for base in reversed(vendor.__mro__) for name in vars(base))
    return [(found, name) for name in names for found in getattr(getattr(vendor, name, None), "routes", ())]
