"""Knows what translated options look like on their way into one request, and how a wish is refused or reported."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from musicgate.plugin import JsonValue, OptionWarning, RequestError, WarningCode
from musicgate_minimax.models import utf16_length

BLOCK: Final = "minimax"

#: The contract's words for a wish that MiniMax would refuse.
LYRICS_REQUIRED: Final = "lyrics_required_for_non_instrumental_minimax_music"
BAD_PROMPT: Final = "invalid_minimax_music_prompt"
BAD_COVER: Final = "invalid_minimax_music_cover_request"
BAD_FORMAT: Final = "unsupported_minimax_music_audio_format"
NO_STREAMING: Final = "minimax_music_streaming_not_supported_by_gateway"

Path = tuple[str | int, ...]


@attrs.frozen(kw_only=True)
class Part:
    """Some keys of the vendor's request, and what could not be followed to the letter while making them."""

    fields: Mapping[str, JsonValue] = attrs.field(factory=dict)
    warnings: tuple[OptionWarning, ...] = ()


def join(parts: Iterable[Part]) -> Part:
    """All parts as one, in order."""
    fields: dict[str, JsonValue] = {}
    warnings: list[OptionWarning] = []
    for part in parts:
        fields |= part.fields
        warnings += part.warnings
    return Part(fields=fields, warnings=tuple(warnings))


def not_applied(path: Path, message: str) -> Part:
    """Nothing to send; the option is reported as dropped."""
    return Part(warnings=(OptionWarning(code=WarningCode.NOT_APPLIED, path=path, message=message),))


def changed(path: Path, message: str, fields: Mapping[str, JsonValue] | None = None) -> Part:
    """The option is sent in other words."""
    warning = OptionWarning(code=WarningCode.CHANGED, path=path, message=message)
    return Part(fields=fields or {}, warnings=(warning,))


def refusal(path: Path, message: str, reason: str | None = None) -> RequestError:
    """The caller's mistake, by the contract's token where it has one."""
    return RequestError("validation_error", message, reason=reason, path=path)


def check_length(text: str, most: int, path: Path, what: str, reason: str | None = None) -> None:
    """Refuse a text that is too long; nothing is ever cut.

    Raises:
        RequestError: it is longer than the model takes.
    """
    length = utf16_length(text)
    if length > most:
        raise refusal(path, f"{what} takes at most {most} characters, these are {length}", reason)
