"""Keys of JSON in the spelling of another client or dialect; no vendor is known here."""

from __future__ import annotations

import re


def camel_case(value: object) -> object:
    """The same JSON with keys like ``songMetadata`` for ``song_metadata``, at any depth."""
    if isinstance(value, dict):
        return {re.sub(r"_(.)", _upper, key): camel_case(item) for key, item in value.items()}
    return [camel_case(item) for item in value] if isinstance(value, list) else value


def _upper(match: re.Match[str]) -> str:
    return match[1].upper()
