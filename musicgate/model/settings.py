"""Secrets and one plugin's settings, as values; where they come from is not known here."""

from __future__ import annotations

import attrs

from musicgate.model.json_types import JsonObject


class Secret:
    """Text that does not show itself: neither ``str``, ``repr`` nor a format string reveals it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself. Call this only where it is put into a header or a digest."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret('...')"


@attrs.frozen(kw_only=True)
class ProviderSettings:
    """The operator's settings that a hook may know: everything but the key.

    Attributes:
        base_url: where the vendor is, without a trailing slash.
        options: the plugin's own settings, complete: validated by its ``settings_schema``, defaults filled
            in.
        webhook_secret: secret of the vendor's callback signature, or None.
    """

    base_url: str
    options: JsonObject = attrs.field(factory=dict)
    webhook_secret: Secret | None = None
