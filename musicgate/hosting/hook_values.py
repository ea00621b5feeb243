"""Check the types of the fields in what a plugin returns; it knows no hook, and judges no meaning.

Python lets a plugin put a number where a text belongs. Found here, the error names the plugin and the field;
found later, it is a `TypeError` in the middle of a call that may have cost money.
"""

from __future__ import annotations

import functools
import math
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import attrs

from musicgate.model import MusicRequest
from musicgate.plugin import HttpRequest

#: What JSON is nearly always made of; no float, which may be infinite.
_PLAIN_JSON: Final[frozenset[type]] = frozenset({str, int, bool, types.NoneType, dict, list})
#: The empty tuple, which CPython makes once: most tuples in an answer are this one.
_NOTHING: Final[tuple[object, ...]] = ()
#: An answer is of one of a dozen classes; a plugin that makes a new one each time must not fill the memory.
_MAX_CLASSES = 256


@attrs.frozen
class _Rule:
    """What one field may hold.

    Attributes:
        kinds: the types that it may have.
        items: the types of a tuple's items; None for a field that is no tuple.
        is_nested: values of attrs classes may be in it, whose fields are checked too.
        plain: exact types that need no further check.
    """

    name: str
    kinds: tuple[type, ...]
    items: tuple[type, ...] | None
    is_nested: bool
    plain: frozenset[type]


class _Rules(NamedTuple):
    """What the fields of a class may hold.

    Attributes:
        fields: of all of them.
        plain_types: the exact types that need no further check, of each field that has such: the fast path
            for nearly every field of nearly every answer.
        plain_of: takes these fields from a value.
        others: of the other fields.
        is_request: it is an `HttpRequest`, which checks itself.
    """

    fields: tuple[_Rule, ...]
    plain_types: tuple[frozenset[type], ...]
    plain_of: Callable[[object], tuple[object, ...]]
    others: tuple[_Rule, ...]
    is_request: bool = False


def fault_of(value: object) -> str | None:
    """Describe the first field of a wrong type, in the value or inside it; None when there is none.

    Of a value that is no attrs class, as of JSON, only the outermost type is checked.
    """
    kind: Any = type(value)
    rules = _rules(kind)
    if rules.is_request:
        fault: str | None = kind.fault(value)
        return fault
    for rule in rules.others if _are_plain(kind, tuple(map(type, rules.plain_of(value)))) else rules.fields:
        field = getattr(value, rule.name)
        if field is _NOTHING and rule.items is not None:
            continue
        if (fault := _fault(field, rule)) is not None:
            return fault
    return None


def _fault(value: object, rule: _Rule) -> str | None:
    if not _is_one_of(value, rule.kinds):
        return f"{rule.name} is of the type {type(value).__name__}"
    if rule.items is not None and isinstance(value, tuple):
        for index, item in enumerate(value):
            if not _is_one_of(item, rule.items):
                return f"{rule.name}[{index}] is of the type {type(item).__name__}"
            if rule.is_nested and (inner := fault_of(item)) is not None:
                return f"{rule.name}[{index}].{inner}"
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return f"{rule.name} is {value}"
    inner = fault_of(value) if rule.is_nested else None
    return None if inner is None else f"{rule.name}: {inner}"


def _is_one_of(value: object, kinds: tuple[type, ...]) -> bool:
    if value is True or value is False:  # which are integers as well
        return bool in kinds or object in kinds
    return isinstance(value, kinds)


@functools.lru_cache(maxsize=_MAX_CLASSES)
def _are_plain(kind: Any, types: tuple[type, ...]) -> bool:
    """True if fields of these types need no further check. Most answers have those of the one before."""
    return all(map(operator.contains, _rules(kind).plain_types, types))


@functools.lru_cache(maxsize=_MAX_CLASSES)
def _rules(kind: Any) -> _Rules:
    if issubclass(kind, HttpRequest):
        return _Rules((), (), lambda _: (), (), is_request=True)
    if issubclass(kind, MusicRequest) or not attrs.has(kind):
        return _Rules((), (), lambda _: (), ())
    hints = typing.get_type_hints(kind)
    fields = tuple(_rule(field.name, hints[field.name]) for field in attrs.fields(kind))
    plain = [rule for rule in fields if rule.plain]
    return _Rules(
        fields,
        tuple(rule.plain for rule in plain),
        _getter([rule.name for rule in plain]),
        tuple(rule for rule in fields if not rule.plain),
    )


def _getter(names: Sequence[str]) -> Callable[[object], tuple[object, ...]]:
    if len(names) < 2:  # for these an `attrgetter` makes no tuple
        return lambda value: tuple([getattr(value, name) for name in names])
    return operator.attrgetter(*names)


def _rule(name: str, hint: Any) -> _Rule:
    is_tuple = typing.get_origin(hint) is tuple
    kinds: tuple[Any, ...] = _kinds(typing.get_args(hint)[0] if is_tuple else hint)
    is_nested = any(attrs.has(kind) for kind in kinds)
    if is_tuple:
        return _Rule(name, (tuple,), kinds, is_nested, frozenset())
    return _Rule(name, kinds, None, is_nested, _plain(kinds))


def _plain(kinds: tuple[type, ...]) -> frozenset[type]:
    """The exact types of values in which there is nothing more to check."""
    if object in kinds:
        return _PLAIN_JSON
    plain = {kind for kind in kinds if kind is not float and not attrs.has(kind)}
    return frozenset(plain | {dict} if Mapping in kinds else plain)


def _kinds(hint: Any) -> tuple[type, ...]:
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        return tuple(kind for part in typing.get_args(hint) for kind in _kinds(part))
    if hint is float:
        return (float, int)
    kind: type = origin or hint
    return (kind,)
