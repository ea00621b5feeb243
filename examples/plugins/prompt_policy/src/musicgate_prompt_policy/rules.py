"""Rules, and how they are read from JSON; no request and no provider is known here.

A rule is a regular expression, matched without regard to case. It applies to every provider, or to those that
it names: providers (``suno``) or plugins (``suno_kie``).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import attrs

from musicgate.plugin import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen(kw_only=True)
class Refusal:
    """A request with a match is refused with ``message``."""

    name: str
    pattern: re.Pattern[str]
    message: str
    #: Providers or plugins that it applies to; empty = all.
    providers: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class Rewrite:
    """Every match is replaced; ``replacement`` may refer to groups, as in `re.sub`."""

    name: str
    pattern: re.Pattern[str]
    replacement: str
    #: Providers or plugins that it applies to; empty = all.
    providers: frozenset[str] = frozenset()


@attrs.frozen(kw_only=True)
class Rules:
    """A policy: rewrites are applied first, in order; the result is checked against the refusals."""

    refusals: tuple[Refusal, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()


def read_rules(text: str, *, source: str | None = None) -> Rules:
    """Read rules from a JSON object with the lists ``refuse`` and ``rewrite``; see the README.

    Args:
        text: the JSON.
        source: its file, for the error.

    Raises:
        ConfigError: a rule is not valid; the error names it.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
        raise ConfigError(f"is no JSON: {exc}", source=source) from exc
    if not isinstance(document, dict) or not document.keys() <= {"refuse", "rewrite"}:
        raise ConfigError("must be an object with the lists refuse and rewrite", source=source)
    refusals = _entries(document, "refuse", "message", source)
    rewrites = _entries(document, "rewrite", "replacement", source)
    return Rules(
        refusals=tuple(
            Refusal(
                name=entry["name"],
                pattern=_pattern(entry, source),
                message=entry["message"],
                providers=frozenset(entry.get("providers", ())),
            )
            for entry in refusals
        ),
        rewrites=tuple(
            Rewrite(
                name=entry["name"],
                pattern=_pattern(entry, source, replacement=entry["replacement"]),
                replacement=entry["replacement"],
                providers=frozenset(entry.get("providers", ())),
            )
            for entry in rewrites
        ),
    )


def _entries(
    document: Mapping[str, object], key: str, result: str, source: str | None
) -> list[dict[str, str]]:
    """Return the entries of one list: each has a name, a pattern, ``result``, and perhaps providers."""
    entries = document.get(key, [])
    if not isinstance(entries, list):
        raise ConfigError("must be a list", key=key, source=source)
    for number, entry in enumerate(entries):
        place = f"{key}[{number}]"
        if not isinstance(entry, dict):
            raise ConfigError("must be an object", key=place, source=source)
        wanted = {"name", "pattern", result}
        if not wanted <= entry.keys() <= wanted | {"providers"}:
            raise ConfigError(
                f"must have {', '.join(sorted(wanted))} and may have providers", key=place, source=source
            )
        if not all(isinstance(entry[field], str) for field in wanted):
            raise ConfigError(f"{', '.join(sorted(wanted))} must be text", key=place, source=source)
        names = entry.get("providers", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError("must be a list of names", key=f"{place}.providers", source=source)
    return entries


def _pattern(entry: Mapping[str, str], source: str | None, replacement: str = "") -> re.Pattern[str]:
    try:
        pattern = re.compile(entry["pattern"], re.IGNORECASE)
        # Otherwise a replacement that names a missing group would fail at the first match, perhaps months
        # later.
        re.compile(f"{pattern.pattern}|", re.IGNORECASE).sub(replacement, "")
    except (re.error, IndexError) as exc:
        raise ConfigError(f"cannot be used: {exc}", key=f"rule {entry['name']!r}", source=source) from exc
    return pattern
