"""The caller's request as a value; it knows the documented fields and no vendor's names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import attrs

from musicgate.model.json_types import JsonObject, JsonValue

_EMPTY: Mapping[str, JsonValue] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class RoutingOptions:
    """The ``provider`` block: which providers may be asked, and in which order.

    Names are kept as the caller spelled them.
    """

    order: tuple[str, ...] = ()
    #: None = no restriction; an empty tuple excludes every provider.
    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    include_alpha: bool = False
    allow_fallbacks: bool = True


@attrs.frozen(kw_only=True)
class DebugOptions:
    """The ``debug`` block; never forwarded to a vendor. None = not given."""

    enabled: bool = False
    return_upstream_request: bool | None = None
    return_upstream_response: bool = False
    trace: bool = False
    trace_level: str | None = None


@attrs.frozen(kw_only=True, weakref_slot=False)
class MusicRequest:
    """What the caller asks for.

    The neutral fields mean the same for every provider; a vendor's own block in ``blocks`` overrides them.

    Attributes:
        model: public model id as requested, not blank.
        prompt: what the song shall be; an idea, or lyrics where a vendor block says so.
        duration_s: requested length in whole seconds (``duration`` on the wire).
        format: ``mp3``, ``wav``, ``ogg`` or ``aac``.
        lyrics: exact words to sing.
        style: genre and mood.
        negative_style: what to avoid.
        vocal_gender: ``m`` or ``f``.
        blocks: the vendors' own option blocks by name (``suno``, ``elevenlabs``, ``minimax``, ...), as sent.
        echo_upstream_request: return the native request in the answer.
        meta: return routing facts in the answer.
        metadata: the caller's own labels; stored and returned, never sent to a vendor.
        unknown_keys: the first unknown top-level keys; each is reported as a warning.
        more_unknown_keys: how many more there were.
    """

    model: str
    prompt: str | None = None
    duration_s: int | None = None
    format: str | None = None
    lyrics: str | None = None
    style: str | None = None
    title: str | None = None
    negative_style: str | None = None
    instrumental: bool | None = None
    vocal_gender: str | None = None
    seed: int | None = None
    routing: RoutingOptions = RoutingOptions()
    blocks: Mapping[str, JsonObject] = attrs.field(factory=dict)
    echo_upstream_request: bool = False
    debug: DebugOptions = DebugOptions()
    meta: bool = False
    webhook_url: str | None = None
    metadata: Mapping[str, str] = attrs.field(factory=dict)
    unknown_keys: tuple[str, ...] = ()
    more_unknown_keys: int = 0

    def block(self, name: str) -> JsonObject:
        """The vendor block of that name, empty when the caller sent none."""
        return self.blocks.get(name, _EMPTY)

    @property
    def returns_upstream_request(self) -> bool:
        """True if the answer shall carry the native request; ``debug`` beats the top-level switch."""
        given = self.debug.return_upstream_request
        return self.echo_upstream_request if given is None else given


def is_blank(text: object) -> bool:
    """True for anything that is not text with at least one visible character."""
    return not isinstance(text, str) or not text.strip()


def utf16_units(text: str) -> int:
    """Length of a text in UTF-16 units, in which some vendors count: an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
