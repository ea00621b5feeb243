"""A changed copy of a value; what may change, and when, is not known here."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable

_Value = TypeVar("_Value", bound=attrs.AttrsInstance)


def changed(value: _Value, **changes: Any) -> _Value:
    """Copy a value of this package with other fields, as `attrs.evolve` does, in a tenth of its time.

    Each stored step of a job makes one or two. For frozen classes with ``weakref_slot=False``, and without
    validators and converters: none is called.
    """
    kind = type(value)
    copy: Any = _copier(kind)(value)
    for name, new in changes.items():
        setattr(copy, name, new)
    copy.__class__ = kind  # from here on it is frozen
    frozen: _Value = copy
    return frozen


@functools.lru_cache(maxsize=64)
def _copier(kind: type[attrs.AttrsInstance]) -> Callable[[attrs.AttrsInstance], Any]:
    """A function that copies the fields of a value into an object that can be changed.

    A frozen class sets its fields by calls of ``object.__setattr__``: for a job's 25 fields 2.5 us. Plain
    assignments take 0.6 us; the object that allows them is of a class with the same slots, which is all that
    Python asks for before it lets an object change its class.
    """
    names = [field.name for field in attrs.fields(kind)]
    lines = [
        "def copy(old):",
        " new = make(Open)",
        *(f" new.{name} = old.{name}" for name in names),
        " return new",
    ]
    made: dict[str, Any] = {"make": object.__new__, "Open": type(kind.__name__, (), {"__slots__": names})}
    exec("\n".join(lines), made)  # noqa: S102 - of the names of fields, as attrs itself makes its methods
    copy: Callable[[attrs.AttrsInstance], Any] = made["copy"]
    return copy
