"""What one setting may be: its type, range, unit and form. Every complaint names the setting and its source, never its value.

A rule is an attrs validator, so that values made in code are held to it as well, and reads what a file or the environment says.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import attrs

from musicgate.errors import ConfigError
from musicgate.model import Secret

_WORDS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}
#: C0, DEL and C1: they end lines and headers, and steer terminals. A lone surrogate is a byte that was not UTF-8.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_KEY_HASH = re.compile(r"sha256:[0-9A-Fa-f]{64}")


@attrs.frozen(kw_only=True)
class Rule:
    """What a setting may be.

    Attributes:
        or_none: None is allowed: not said.
    """

    or_none: bool = False

    def __call__(self, instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        """Validate a field of an attrs class, whose ``SECTION`` is the first part of the setting's name."""
        section = getattr(instance, "SECTION", "")
        self.check(value, key=f"{section}.{attribute.name}" if section else attribute.name)

    def read(self, value: object, *, key: str, source: str | None = None) -> Any:
        """The value that a file or the environment means, checked.

        Raises:
            ConfigError: it has another type, range or form.
        """
        meant = self._meant(value.strip() if isinstance(value, str) else value)
        self.check(meant, key=key, source=source)
        return meant

    def _meant(self, value: object) -> object:
        """Text as the type that it stands for; anything else as it is."""
        return value

    def check(self, value: object, *, key: str, source: str | None = None) -> None:
        """Return if the value is allowed.

        Raises:
            ConfigError: it is not.
        """
        if value is None and self.or_none:
            return
        complaint = self._complaint(value)
        if complaint:
            raise ConfigError(complaint, key=key, source=source)

    def _complaint(self, value: Any) -> str:
        """What is wrong with a value, without the value; "" = nothing."""
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Switch(Rule):
    """True or false."""

    def _meant(self, value: object) -> object:
        return _WORDS.get(value.lower(), value) if isinstance(value, str) else value

    def _complaint(self, value: Any) -> str:
        return "" if isinstance(value, bool) else "must be true or false"


@attrs.frozen(kw_only=True)
class Number(Rule):
    """A finite number in a range.

    Attributes:
        at_least, at_most: the range; ``more_than`` is a lower bound that is not part of it.
        unit: what is counted, in the plural.
    """

    at_least: float = -math.inf
    at_most: float = math.inf
    more_than: float | None = None
    unit: str = ""

    def _meant(self, value: object) -> object:
        try:
            return float(value) if isinstance(value, str | int) and not isinstance(value, bool) else value
        except (ValueError, OverflowError):
            return value

    def _complaint(self, value: Any) -> str:
        if not self._is_number(value):
            return f"must be {self._kind}"
        is_above = self.more_than is None or value > self.more_than
        if is_above and self.at_least <= value <= self.at_most and math.isfinite(value):
            return ""
        return f"must be {self.range_text}"

    @property
    def range_text(self) -> str:
        """The range in words: ``0 to 600 seconds``."""
        unit = f" {self.unit}" if self.unit else ""
        has_end = self.at_most < math.inf
        if self.more_than is not None:
            end = f", and at most {self.at_most:.15g}" if has_end else ""
            return f"more than {self.more_than:.15g}{end}{unit}"
        if self.at_least == -math.inf:
            return "a finite number"
        if has_end:
            return f"{self.at_least:.15g} to {self.at_most:.15g}{unit}"
        return f"a number from {self.at_least:.15g}{unit} on"

    @property
    def _kind(self) -> str:
        return "a number"

    def _is_number(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class Whole(Number):
    """A whole number in a range."""

    def _meant(self, value: object) -> object:
        try:
            return int(value) if isinstance(value, str) else value
        except ValueError:
            return value

    @property
    def _kind(self) -> str:
        return "a whole number"

    def _is_number(self, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class Text(Rule):
    """Text without control characters."""

    def _complaint(self, value: Any) -> str:
        if not isinstance(value, str):
            return "must be text"
        return "must have no control characters and no line breaks" if _CONTROL.search(value) else ""


@attrs.frozen(kw_only=True)
class WebAddress(Text):
    """An http or https address of a server, or ""; it carries no credentials, which would end up in links and messages."""

    def _complaint(self, value: Any) -> str:
        said = super()._complaint(value)
        if said or not value:
            return said
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

    def _complaint(self, value: Any) -> str:
        said = super()._complaint(value)
        if said or not value or _KEY_HASH.fullmatch(value):
            return said
        return "must have the form sha256:<hex>, with 64 hex digits"


@attrs.frozen(kw_only=True)
class Hidden(Rule):
    """A key or secret that fits into a header; it is kept as a `Secret`, and empty text is None.

    Attributes:
        min_chars: a shorter one is a mistake, and could not be told from other text where it has to be masked.
        is_word: it has no blanks.
    """

    or_none: bool = True
    min_chars: int = 1
    max_chars: int = 4096
    is_word: bool = False

    def _meant(self, value: object) -> object:
        return (Secret(value) if value else None) if isinstance(value, str) else value

    def _complaint(self, value: Any) -> str:
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

    def _meant(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return datetime.fromisoformat(value) if value else None
        except ValueError:
            return value

    def _complaint(self, value: Any) -> str:
        if not isinstance(value, datetime):
            return "must be an ISO 8601 time with its offset, such as 2027-01-01T00:00:00Z"
        return "must have its offset from UTC at the end, such as Z or +01:00" if value.tzinfo is None else ""


def rule_of(attribute: attrs.Attribute[Any]) -> Rule:
    """The rule of a setting's field."""
    if not isinstance(attribute.validator, Rule):
        raise TypeError(f"the setting {attribute.name} has no rule")
    return attribute.validator


def masked(value: object) -> str:
    """How a setting's text shows in ``repr``: whether it is set."""
    return "'...'" if value else "''"
