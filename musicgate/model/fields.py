"""The fields of a native request as data: what each takes, and what a request breaks of that.

A plugin declares the fields of an offer once, by the vendor's own names. The same declaration is checked by
the core before anything is sent, shown in the catalogue, and asked by the vendor's emulator (`violations`).
So a limit has no second copy that could contradict it.

A field that is absent or null breaks nothing but `Field.required_if`. Names may be dotted
(``audio_setting.format``): then they are read inside objects.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Final

import attrs

from musicgate.model.json_types import JsonValue
from musicgate.model.request import is_blank, utf16_units

#: Neutral fields of a request that a native field may carry, by their names on the wire.
NEUTRAL_FIELDS: Final = frozenset(
    {
        *("prompt", "lyrics", "style", "title", "negative_style"),
        *("duration", "format", "instrumental", "vocal_gender", "seed"),
    }
)


class TextUnit(StrEnum):
    """In what a vendor counts the length of a text; an emoji is 1, 2 and 4."""

    CHARACTERS = "characters"
    UTF16 = "utf16"
    BYTES = "bytes"

    def length(self, text: str) -> int:
        """Length of a text in this unit."""
        if self is TextUnit.CHARACTERS or text.isascii():
            return len(text)
        return utf16_units(text) if self is TextUnit.UTF16 else len(text.encode("utf-8", "surrogatepass"))


@attrs.frozen(kw_only=True)
class FieldViolation:
    """A field of a native request that its declaration rules out.

    Attributes:
        field: the declaration.
        rule: which part of it is broken: ``type``, ``min_chars``, ``max_chars``, ``minimum``, ``maximum``,
            ``step``, ``choices``, ``min_items``, ``max_items``, ``required``, ``needs`` or ``excludes``; a
            plugin's own kind of field may have others.
        limit: the value of that part, e.g. 4100.
        message: what was given and what is allowed, without the field's name.
        inside: where in its value, for an object or a list whose inside is declared; else empty.
    """

    field: Field
    rule: str
    limit: JsonValue
    message: str
    inside: tuple[str | int, ...] = ()

    @property
    def name(self) -> str:
        """The vendor's name of the field."""
        return self.field.name

    @property
    def where(self) -> str:
        """The name of the field, and behind it the place in its value: ``plan.sections.0.lines``."""
        return ".".join(map(str, (self.name, *self.inside)))

    def under(self, field: Field, *outer: str | int) -> FieldViolation:
        """The same violation, as one inside another field's value."""
        here = tuple(self.field.name.split(".")) if self.field.name else ()
        return attrs.evolve(self, field=field, inside=(*outer, *here, *self.inside))


@attrs.frozen
class Field:
    """A field of a native request. This class alone says nothing of its value; see its subclasses.

    Attributes:
        name: the vendor's name, and the option's name in the vendor block; dotted inside objects.
        neutral: the neutral field of the request that it carries, by its name on the wire.
        carries: further neutral fields that are written into it (a style that becomes part of the prompt).
        required_if: native fields and values that make it required, any of several; an empty mapping in it =
            always. Empty = never.
        needs: native fields without which it must not be given.
        excludes: native fields beside which it must not be given.
        when: native fields and values beside which this declaration holds, where a vendor reads one field in
            several ways: it is declared once for each. Empty = always.
        reason: the contract's token for a value that is not allowed, or None.
    """

    name: str
    neutral: str | None = attrs.field(default=None, kw_only=True)
    carries: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    required_if: tuple[Mapping[str, JsonValue], ...] = attrs.field(default=(), kw_only=True)
    needs: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    excludes: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    when: Mapping[str, JsonValue] = attrs.field(factory=dict, kw_only=True)
    reason: str | None = attrs.field(default="invalid", kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """The rule that a value breaks, its limit and a sentence; None for a value that is allowed."""
        _ = value
        return None

    def inner_faults(self, value: JsonValue) -> Iterable[FieldViolation]:
        """What is broken inside a value that has no fault itself; for fields that say what is inside."""
        _ = value
        return ()

    def faults(self, value: JsonValue) -> Iterator[FieldViolation]:
        """Everything that a value breaks."""
        fault = self.fault(value)
        if fault is None:
            yield from self.inner_faults(value)
        else:
            rule, limit, message = fault
            yield FieldViolation(field=self, rule=rule, limit=limit, message=message)

    def takes(self) -> str:
        """What values it takes, for people."""
        return "anything"

    def native_of(self, value: JsonValue) -> JsonValue:
        """The native value for one of the neutral field that it carries; None where the vendor has none."""
        return value

    def neutral_of(self, value: JsonValue) -> JsonValue:
        """The value of the neutral field for a native one."""
        return value

    def contradiction(self) -> str | None:
        """How the declaration contradicts itself, or None."""
        carried = (*((self.neutral,) if self.neutral is not None else ()), *self.carries)
        strange = [name for name in carried if name not in NEUTRAL_FIELDS]
        return f"carries {strange[0]!r}, which is no neutral field" if strange else None


@attrs.frozen
class Text(Field):
    """A text; a blank one is as good as none.

    Attributes:
        min_chars: shortest, in the unit.
        max_chars: longest, in the unit; None = not stated.
        unit: in which the vendor counts.
    """

    min_chars: int = attrs.field(default=0, kw_only=True)
    max_chars: int | None = attrs.field(default=None, kw_only=True)
    unit: TextUnit = attrs.field(default=TextUnit.CHARACTERS, kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        if not isinstance(value, str):
            return "type", "text", "must be text"
        if self.max_chars is None and not self.min_chars:
            return None
        length = len(value) if value.isascii() else self.unit.length(value)
        if self.max_chars is not None and length > self.max_chars:
            message = f"has {length} characters; at most {self.max_chars} are allowed"
            return "max_chars", self.max_chars, message
        if length < self.min_chars:
            message = f"has {length} characters; at least {self.min_chars} are needed"
            return "min_chars", self.min_chars, message
        return None

    def takes(self) -> str:
        """See `Field.takes`."""
        unit = "UTF-16 units" if self.unit is TextUnit.UTF16 else self.unit.value
        if self.max_chars is None:
            return f"text of at least {self.min_chars} {unit}" if self.min_chars else "text"
        least = f"{self.min_chars} to " if self.min_chars else "up to "
        return f"text of {least}{self.max_chars} {unit}"

    def contradiction(self) -> str | None:
        """See `Field.contradiction`."""
        if self.max_chars is not None and not max(self.min_chars, 1) <= self.max_chars:
            return f"takes texts from {self.min_chars} to {self.max_chars} characters"
        return super().contradiction()


@attrs.frozen
class Number(Field):
    """A number from ``minimum`` to ``maximum``, in multiples of ``step``.

    Attributes:
        minimum: smallest, in the vendor's unit; None = not stated.
        maximum: largest, in the vendor's unit; None = not stated.
        step: only multiples of it are allowed; None = any number.
        whole: integers only.
        per_neutral: native units in one unit of the neutral field: 1000 for milliseconds per second.
    """

    minimum: float | None = attrs.field(default=None, kw_only=True)
    maximum: float | None = attrs.field(default=None, kw_only=True)
    step: float | None = attrs.field(default=None, kw_only=True)
    whole: bool = attrs.field(default=False, kw_only=True)
    per_neutral: float = attrs.field(default=1, kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        kinds = int if self.whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            wanted = "a whole number" if self.whole else "a number"
            return "type", wanted, f"must be {wanted}"
        if isinstance(value, float) and not math.isfinite(value):
            return "type", "a number", "must be a finite number"
        if self.minimum is not None and value < self.minimum:
            return "minimum", self.minimum, f"is {value}; {self._allowed()}"
        if self.maximum is not None and value > self.maximum:
            return "maximum", self.maximum, f"is {value}; {self._allowed()}"
        if self.step is not None:
            steps = value / self.step
            # Not exactly: 0.65 / 0.01 is 65.00000000000001.
            if not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9):
                return "step", self.step, f"is {value}; only multiples of {self.step} are allowed"
        return None

    def takes(self) -> str:
        """See `Field.takes`."""
        kind = "a whole number" if self.whole else "a number"
        least = "" if self.minimum is None else f" from {self.minimum}"
        most = "" if self.maximum is None else f" up to {self.maximum}"
        step = "" if self.step is None else f" in steps of {self.step}"
        return f"{kind}{least}{most}{step}"

    def native_of(self, value: JsonValue) -> JsonValue:
        """See `Field.native_of`: in the vendor's unit."""
        return value * self.per_neutral if isinstance(value, int | float) else value

    def neutral_of(self, value: JsonValue) -> JsonValue:
        """See `Field.neutral_of`."""
        return value / self.per_neutral if isinstance(value, int | float) else value

    def contradiction(self) -> str | None:
        """See `Field.contradiction`."""
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            return f"takes numbers from {self.minimum} to {self.maximum}"
        if self.step is not None and not self.step > 0:
            return f"has the step {self.step}"
        if not self.per_neutral > 0:
            return f"has {self.per_neutral} units in one of its neutral field"
        return super().contradiction()

    def _allowed(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f"{self.minimum} to {self.maximum} are allowed"
        if self.maximum is not None:
            return f"at most {self.maximum} is allowed"
        return f"at least {self.minimum} is needed"


@attrs.frozen
class Choice(Field):
    """One of some texts or numbers.

    Attributes:
        choices: as the vendor spells them; of several that mean the same the first is sent.
        means: the neutral value that a native value stands for, where they differ (``mp3_44100_128``: mp3).
    """

    choices: tuple[str | int, ...] = attrs.field(kw_only=True)
    means: Mapping[str, JsonValue] = attrs.field(factory=dict, kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        # Not by `in` alone: True is 1 as well.
        if value in self.choices and not isinstance(value, bool):
            return None
        message = f"must be one of {', '.join(str(choice) for choice in self.choices)}"
        return "choices", list(self.choices), message

    def takes(self) -> str:
        """See `Field.takes`."""
        return ", ".join(str(choice) for choice in self.choices)

    def native_of(self, value: JsonValue) -> JsonValue:
        """See `Field.native_of`."""
        return next((own for own in self.choices if self.neutral_of(own) == value), None)

    def neutral_of(self, value: JsonValue) -> JsonValue:
        """See `Field.neutral_of`."""
        return self.means.get(str(value), value)

    def contradiction(self) -> str | None:
        """See `Field.contradiction`."""
        strange = [value for value in self.means if value not in self.choices]
        if strange:
            return f"says what {strange[0]!r} means, which is not among its choices"
        return super().contradiction() if self.choices else "has nothing to choose from"


@attrs.frozen
class Flag(Field):
    """True or false."""

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        return None if isinstance(value, bool) else ("type", "boolean", "must be true or false")

    def takes(self) -> str:
        """See `Field.takes`."""
        return "true or false"


@attrs.frozen
class Structure(Field):
    """An object or a list of up to ``max_items``.

    Attributes:
        max_items: None = not stated.
        fields: what is inside, which makes it an object. Empty = the plugin itself checks the inside.
    """

    max_items: int | None = attrs.field(default=None, kw_only=True)
    fields: tuple[Field, ...] = attrs.field(default=(), kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        if self.fields and not isinstance(value, Mapping):
            return "type", "object", "must be an object"
        if not isinstance(value, Mapping | list):
            return "type", "object", "must be an object or a list"
        if self.max_items is None or len(value) <= self.max_items:
            return None
        return _too_many(len(value), self.max_items)

    def inner_faults(self, value: JsonValue) -> Iterable[FieldViolation]:
        """See `Field.inner_faults`."""
        if self.fields and isinstance(value, Mapping):
            return [found.under(self) for found in violations(self.fields, value)]
        return ()

    def takes(self) -> str:
        """See `Field.takes`."""
        if self.fields:
            return f"an object of {', '.join(field.name for field in self.fields)}"
        most = "" if self.max_items is None else f" of up to {self.max_items} entries"
        return f"an object or a list{most}"

    def contradiction(self) -> str | None:
        """See `Field.contradiction`."""
        if self.max_items is not None and self.max_items < 1:
            return f"takes up to {self.max_items} entries"
        inside = contradiction(self.fields)
        return f"is an object: {inside}" if inside else super().contradiction()


@attrs.frozen
class Array(Field):
    """A list.

    Attributes:
        each: what an entry is; its name is empty. None = not stated.
        min_items: fewest entries.
        max_items: most entries; None = not stated.
    """

    each: Field | None = attrs.field(default=None, kw_only=True)
    min_items: int = attrs.field(default=0, kw_only=True)
    max_items: int | None = attrs.field(default=None, kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        if not isinstance(value, list):
            return "type", "list", "must be a list"
        if len(value) < self.min_items:
            message = f"has {len(value)} entries; at least {self.min_items} are needed"
            return "min_items", self.min_items, message
        if self.max_items is not None and len(value) > self.max_items:
            return _too_many(len(value), self.max_items)
        return None

    def inner_faults(self, value: JsonValue) -> Iterable[FieldViolation]:
        """See `Field.inner_faults`."""
        if self.each is None or not isinstance(value, list):
            return
        for index, entry in enumerate(value):
            yield from (found.under(self, index) for found in self.each.faults(entry))

    def takes(self) -> str:
        """See `Field.takes`."""
        entries = "entries" if self.each is None else f"entries, each {self.each.takes()}"
        if self.max_items is None:
            return f"a list of {f'at least {self.min_items} ' if self.min_items else ''}{entries}"
        least = f"{self.min_items} to " if self.min_items else "up to "
        return f"a list of {least}{self.max_items} {entries}"

    def contradiction(self) -> str | None:
        """See `Field.contradiction`."""
        if self.max_items is not None and not max(self.min_items, 1) <= self.max_items:
            return f"takes from {self.min_items} to {self.max_items} entries"
        inside = self.each and self.each.contradiction()
        return f"is a list whose entry {inside}" if inside else super().contradiction()


def _too_many(count: int, most: int) -> tuple[str, JsonValue, str]:
    return "max_items", most, f"has {count} entries; at most {most} are allowed"


def violations(fields: Sequence[Field], native: Mapping[str, JsonValue]) -> Sequence[FieldViolation]:
    """Everything in a native request that its declared fields rule out, in the order of declaration.

    Keys that are not declared are not examined.
    """
    return _compiled(fields).violations(native)


def declared_names(fields: Sequence[Field]) -> Collection[str]:
    """The names of fields."""
    return _compiled(fields).names


def fields_carrying(fields: Sequence[Field], block: Mapping[str, JsonValue]) -> Iterator[Field]:
    """The fields that carry a neutral one, and of which the vendor block may have a value."""
    carrying = _compiled(fields).carrying
    for key in block:
        if key in carrying:
            yield from carrying[key]


class _Checks:
    """Fields, prepared for requests that have a few of them: only what is present is looked at."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = fields
        self.names = frozenset(field.name for field in fields)
        self._required = [
            (place, field, "." in field.name, conditions, tuple(conditions.items()))
            for place, field in enumerate(fields)
            for conditions in field.required_if
        ]
        #: First part of the name -> the fields that carry a neutral one.
        self.carrying: dict[str, list[Field]] = {}
        for field in fields:
            if field.neutral is not None:
                self.carrying.setdefault(field.name.partition(".")[0], []).append(field)
        #: First part of the name -> place in the declaration, field, its ``when``, whether there is more to
        #: check than its value.
        self._present: dict[str, list[tuple[int, Field, _Conditions, bool]]] = {}
        for place, field in enumerate(fields):
            is_holder = type(field).inner_faults is not Field.inner_faults
            has_more = is_holder or bool(field.needs or field.excludes)
            entry = place, field, tuple(field.when.items()), has_more
            self._present.setdefault(field.name.partition(".")[0], []).append(entry)

    def violations(self, native: Mapping[str, JsonValue]) -> Sequence[FieldViolation]:
        found: list[tuple[int, FieldViolation]] = []
        known = self._present
        for key, given in native.items():
            if given is None:
                continue
            for place, field, when, has_more in known.get(key, ()):
                if when and not _holds(when, native):
                    continue
                value = given if field.name == key else value_of(native, field.name)
                if value is None or value == "":
                    continue
                fault = field.fault(value)
                if fault is not None:
                    rule, limit, message = fault
                    found.append(
                        (place, FieldViolation(field=field, rule=rule, limit=limit, message=message))
                    )
                if has_more:
                    found += [(place, violation) for violation in _more(field, value, native)]
        if self._required:
            found += self._missing(native)
        if not found:
            return ()
        found.sort(key=lambda entry: entry[0])
        return [violation for _, violation in found]

    def _missing(self, native: Mapping[str, JsonValue]) -> Sequence[tuple[int, FieldViolation]]:
        found: list[tuple[int, FieldViolation]] = []
        for place, field, is_inside, conditions, pairs in self._required:
            value = native.get(field.name)
            if value is None and is_inside:
                value = value_of(native, field.name)
            if value is not None and value != "":
                continue
            if _holds(pairs, native) and (not found or found[-1][0] != place):
                message = _required(conditions)
                violation = FieldViolation(field=field, rule="required", limit=None, message=message)
                found.append((place, violation))
        return found


_Conditions = tuple[tuple[str, JsonValue], ...]


def holds(conditions: Mapping[str, JsonValue], native: Mapping[str, JsonValue]) -> bool:
    """True if a native request has these fields with these values."""
    return _holds(tuple(conditions.items()), native)


def _holds(conditions: _Conditions, native: Mapping[str, JsonValue]) -> bool:
    for name, wanted in conditions:
        value = native.get(name)
        if value == wanted:
            continue
        if value is not None or "." not in name or value_of(native, name) != wanted:
            return False
    return True


#: By the identity of the fields, which copies of an offer share; `_Checks.fields` keeps it theirs.
_COMPILED: dict[int, _Checks] = {}
_MAX_COMPILED: Final = 1024


def _compiled(fields: Sequence[Field]) -> _Checks:
    checks = _COMPILED.get(id(fields))
    if checks is None:
        if len(_COMPILED) >= _MAX_COMPILED:
            _COMPILED.clear()
        checks = _COMPILED[id(fields)] = _Checks(fields)
    return checks


def value_of(native: Mapping[str, JsonValue], name: str) -> JsonValue:
    """The value of a field, dotted inside objects; None for one that is absent."""
    if "." not in name:
        return native.get(name)
    value: object = native
    for key in _keys(name):
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


@functools.lru_cache(maxsize=512)
def _keys(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


def _required(conditions: Mapping[str, JsonValue]) -> str:
    named = " and ".join(f"{name} is {value!r}" for name, value in conditions.items())
    return f"is needed where {named}" if named else "is needed"


def _more(field: Field, value: JsonValue, native: Mapping[str, JsonValue]) -> Iterator[FieldViolation]:
    """What is broken inside a value, if it has no fault itself, and the company that it must have or not."""
    if field.fault(value) is None:
        yield from field.inner_faults(value)
    if value is False:
        return
    for other in field.needs:
        if _is_left_out(value_of(native, other)):
            message = f"only with {other}"
            yield FieldViolation(field=field, rule="needs", limit=other, message=message)
    for other in field.excludes:
        if not _is_left_out(value_of(native, other)):
            message = f"not beside {other}"
            yield FieldViolation(field=field, rule="excludes", limit=other, message=message)


def _is_left_out(value: JsonValue) -> bool:
    return value is None or value is False or (isinstance(value, str) and is_blank(value))


def contradiction(fields: Sequence[Field]) -> str | None:
    """The first declaration that contradicts itself or another one, in a sentence; None without any."""
    names = [field.name for field in fields]
    declared: dict[str, list[Field]] = {}
    neutral: dict[str, str] = {}
    for field in fields:
        own = field.contradiction()
        if own is not None:
            return f"the field {field.name!r} {own}"
        same = declared.setdefault(field.name, [])
        if any(not _exclude_each_other(field.when, other.when) for other in same):
            return f"the field {field.name!r} is declared twice for the same request"
        same.append(field)
        conditions = [name for condition in (*field.required_if, field.when) for name in condition]
        mentioned = (*conditions, *field.needs, *field.excludes)
        strange = [name for name in mentioned if name not in names]
        if strange:
            return f"the field {field.name!r} refers to {strange[0]!r}, which is not declared"
        if field.neutral is not None:
            other = neutral.setdefault(field.neutral, field.name)
            if other != field.name:
                return f"the fields {other!r} and {field.name!r} both carry {field.neutral!r}"
    return None


def _exclude_each_other(one: Mapping[str, JsonValue], other: Mapping[str, JsonValue]) -> bool:
    return any(name in other and other[name] != wanted for name, wanted in one.items())
