"""`musicgate.plugin` is closed: what its hooks name can be imported from there."""

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import musicgate.plugin
from musicgate.hosting.provider_plugin import _RAISES, HOOKS
from musicgate.plugin import EmulatedAnswer, Job, PriceRule, ProviderError, hooks, utf16_units


def annotations_of(thing: Any) -> Iterator[Any]:
    """The types that a function's signature, or a class's fields and public methods, name."""
    if not isinstance(thing, type):
        yield from typing.get_type_hints(thing).values()
        return
    yield from typing.get_type_hints(thing).values()
    for name, member in vars(thing).items():
        function = getattr(member, "fget", None) or getattr(member, "__func__", member)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield from typing.get_type_hints(function).values()


def classes_in(hint: Any) -> Iterator[type]:
    """The classes of musicgate in an annotation, those inside unions, tuples and mappings included."""
    if isinstance(hint, type) and hint.__module__.partition(".")[0] == "musicgate":
        yield hint
    for part in typing.get_args(hint):
        yield from classes_in(part)


def reachable_from(*roots: Callable[..., Any]) -> set[type]:
    """Every class of musicgate that the roots name, directly or through the classes that they name."""
    found: set[type] = set()
    waiting: list[Any] = [*roots]
    while waiting:
        new = {kind for hint in annotations_of(waiting.pop()) for kind in classes_in(hint)} - found
        found |= new
        waiting += new
    return found


def test_every_class_that_the_plugin_api_names_can_be_imported_from_it() -> None:
    exported = [getattr(musicgate.plugin, name) for name in musicgate.plugin.__all__]
    roots = [thing for thing in exported if isinstance(thing, type) or inspect.isfunction(thing)]
    needed = reachable_from(*(getattr(hooks, hook) for hook in HOOKS), *roots) | set(_RAISES.values())
    assert {EmulatedAnswer, Job, PriceRule, ProviderError} < needed
    assert {kind.__name__ for kind in needed} - set(musicgate.plugin.__all__) == set()


@pytest.mark.parametrize(("text", "units"), [("", 0), ("abc", 3), ("é", 1), ("😀", 2), ("\ud800", 1)])
def test_lengths_are_counted_in_utf16_units(text: str, units: int) -> None:
    assert utf16_units(text) == units
