"""Types, ranges, units and forms of settings, and the conversion of text to them.

A rule is an attrs validator, so values made in code are checked too. Error messages name the setting and its
source, never its value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Secret

_Value = TypeVar("_Value")

_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
#: C0, DEL and C1 end lines and headers, and steer terminals. A lone surrogate is a byte that was not UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_KEY_HASH = re.compile(r"sha256:[0-9A-Fa-f]{64}")
_DOC = "doc"


@attrs.frozen(kw_only=True)
class Rule:
    """What a setting may be.

    Attributes:
        or_none: None is allowed and means "not set".
    """

    or_none: bool = False

    def __call__(self, instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        """Validate a field of an attrs class, whose ``SECTION`` is the first part of the key."""
        section = getattr(instance, "SECTION", "")
        self.check(value, key=f"{section}.{attribute.name}" if section else attribute.name)

    @property
    def description(self) -> str:
        """Type, range and unit, for the documentation."""
        raise NotImplementedError

    def read(self, value: object, *, key: str, source: str | None = None) -> Any:
        """Convert and check a value of a file or the environment.

        Raises:
            ConfigError: Wrong type, range or form.
        """
        parsed = self._parse(value.strip() if isinstance(value, str) else value)
        self.check(parsed, key=key, source=source)
        return parsed

    def check(self, value: object, *, key: str, source: str | None = None) -> None:
        """Check a converted value.

        Raises:
            ConfigError: The value is not allowed.
        """
        if value is None and self.or_none:
            return
        problem = self._problem(value)
        if problem:
            raise ConfigError(problem, key=key, source=source)

    def _parse(self, value: object) -> object:
        """Convert text to the rule's type; return what cannot be converted unchanged, for `_problem`."""
        return value

    def _problem(self, value: Any) -> str:
        """What is wrong with a value, without quoting it; "" = nothing."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Switch(Rule):
    """True or false."""

    @property
    def description(self) -> str:
        """Type, for the documentation."""
        return "boolean"

    def _parse(self, value: object) -> object:
        return _BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value

    def _problem(self, value: Any) -> str:
        return "" if isinstance(value, bool) else "must be true or false"


@attrs.frozen(kw_only=True)
class Number(Rule):
    """A finite number in a range.

    Attributes:
        at_least, at_most: The range, both ends included.
        more_than: A lower end that is not included.
        unit: What is counted, in the plural.
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    more_than: float | None = None
    unit: str = ""

    @property
    def description(self) -> str:
        """Type, range and unit, for the documentation."""
        return f"{self._noun}, {self._range}"

    def _parse(self, value: object) -> object:
        try:
            return float(value) if isinstance(value, str | int) and not isinstance(value, bool) else value
        except (ValueError, OverflowError):
            return value

    def _problem(self, value: Any) -> str:
        if not self._is_number(value):
            return f"must be a {self._noun}"
        if not math.isfinite(value) and math.isinf(self.at_most):
            return "must be a finite number"
        is_above = self.more_than is None or value > self.more_than
        return "" if is_above and self.at_least <= value <= self.at_most else f"must be {self._range}"

    @property
    def _range(self) -> str:
        """The range and unit as text: ``0 to 600 seconds``."""
        if self.more_than is not None:
            text = f"more than {self.more_than:.15g}"
            text += f" and at most {self.at_most:.15g}" if self.at_most < math.inf else ""
        elif self.at_most < math.inf:
            text = f"{self.at_least:.15g} to {self.at_most:.15g}"
        else:
            text = f"at least {self.at_least:.15g}"
        return f"{text} {self.unit}".rstrip()

    @property
    def _noun(self) -> str:
        return "number"

    def _is_number(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class Whole(Number):
    """A whole number in a range."""

    def _parse(self, value: object) -> object:
        try:
            return int(value) if isinstance(value, str) else value
        except ValueError:
            return value

    @property
    def _noun(self) -> str:
        return "whole number"

    def _is_number(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class Text(Rule):
    """Text without control characters."""

    @property
    def description(self) -> str:
        """Type, for the documentation."""
        return "text"

    def _problem(self, value: Any) -> str:
        if not isinstance(value, str):
            return "must be text"
        return "must have no control characters and no line breaks" if _CONTROL.search(value) else ""


@attrs.frozen(kw_only=True)
class OneOf(Rule):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def description(self) -> str:
        """Type and range, for the documentation."""
        return " or ".join(f"`{word}`" for word in self.words)

    def _problem(self, value: Any) -> str:
        return "" if value in self.words else f"must be {' or '.join(self.words)}"


@attrs.frozen(kw_only=True)
class WebAddress(Text):
    """An http or https address of a server, or "".

    Credentials are refused: they would end up in links and logs.
    """

    @property
    def description(self) -> str:
        """Type, for the documentation."""
        return "http or https address"

    def _problem(self, value: Any) -> str:
        problem = super()._problem(value)
        if problem or not value:
            return problem
        try:
            parts = urlsplit(value)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            return "must be an http or https address"
        if not is_address or any(letter.isspace() for letter in value):
            return "must be an http or https address: it must begin with http:// or https://"
        if parts.username is not None or parts.password is not None:
            return "must have no user name and no password in it"
        return "must have no query and no fragment" if parts.query or parts.fragment else ""


@attrs.frozen(kw_only=True)
class KeyHash(Text):
    """The hash of an account's key, or ""."""

    @property
    def description(self) -> str:
        """Form, for the documentation."""
        return "`sha256:` and 64 hex digits"

    def _problem(self, value: Any) -> str:
        problem = super()._problem(value)
        if problem or not value or _KEY_HASH.fullmatch(value):
            return problem
        return "must have the form sha256:<hex>, with 64 hex digits"


@attrs.frozen(kw_only=True)
class Hidden(Rule):
    """A key or secret that fits into an HTTP header, kept as a `Secret`; empty text is None.

    Attributes:
        min_chars: A shorter one is a mistake, and could not be masked without masking other text.
        is_word: It has no blanks.
    """

    or_none: bool = True
    min_chars: int = 1
    max_chars: int = 4096
    is_word: bool = False

    @property
    def description(self) -> str:
        """Type and length, for the documentation."""
        blanks = " without blanks" if self.is_word else ""
        return f"secret, {self.min_chars} to {self.max_chars} Latin-1 characters{blanks}"

    def _parse(self, value: object) -> object:
        return (Secret(value) if value else None) if isinstance(value, str) else value

    def _problem(self, value: Any) -> str:
        if not isinstance(value, Secret):
            return "must be text"
        text = value.reveal()
        if _CONTROL.search(text):
            return "must have no control characters and no line breaks"
        if any(ord(letter) > 0xFF for letter in text):
            return "must have only characters that fit into an HTTP header (Latin-1)"
        if self.is_word and any(letter.isspace() for letter in text):
            return "must have no blanks"
        if len(text) < self.min_chars:
            return f"must have at least {self.min_chars} characters"
        return f"must have at most {self.max_chars} characters" if len(text) > self.max_chars else ""


@attrs.frozen(kw_only=True)
class Moment(Rule):
    """A point in time with its offset from UTC; "" is None."""

    or_none: bool = True

    @property
    def description(self) -> str:
        """Type, for the documentation."""
        return "date-time with its offset"

    def _parse(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return datetime.fromisoformat(value) if value else None
        except ValueError:
            return value

    def _problem(self, value: Any) -> str:
        if not isinstance(value, datetime):
            return "must be an ISO 8601 time with its offset, such as 2027-01-01T00:00:00Z"
        return "must have its offset from UTC at the end, such as Z or +01:00" if value.tzinfo is None else ""


def setting(rule: Rule, *, default: _Value, doc: str) -> _Value:
    """An attrs field that is a setting; ``doc`` is its text in docs/settings.md.

    Text is masked in ``repr``: even an address may hold a credential.
    """
    shown = _masked if isinstance(rule, Text) else True
    field: Any = attrs.field(default=default, validator=rule, metadata=documented(doc), repr=shown)
    return field  # type: ignore[no-any-return]  # like attrs.field, it returns what the class body annotates


def documented(doc: str) -> Mapping[str, str]:
    """Metadata of a setting that needs `attrs.field` itself: a required one, or one with a converter."""
    return {_DOC: doc}


def rule_of(attribute: attrs.Attribute[Any]) -> Rule:
    """The rule of a setting's field."""
    if not isinstance(attribute.validator, Rule):
        raise TypeError(f"the setting {attribute.name} has no rule")
    return attribute.validator


def doc_of(attribute: attrs.Attribute[Any]) -> str:
    """The documentation of a setting's field, as Markdown."""
    return str(attribute.metadata[_DOC])


def _masked(value: object) -> str:
    return "'...'" if value else "''"
