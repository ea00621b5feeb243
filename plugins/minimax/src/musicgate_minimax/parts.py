"""Parts of the native request with their warnings, and the constructors of warnings and refusals."""

from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from musicgate.plugin import JsonValue, OptionWarning, RequestError, WarningCode, utf16_units

BLOCK: Final = "minimax"

#: The contract's error tokens for requests that MiniMax would refuse.
LYRICS_REQUIRED: Final = "lyrics_required_for_non_instrumental_minimax_music"
BAD_PROMPT: Final = "invalid_minimax_music_prompt"
BAD_COVER: Final = "invalid_minimax_music_cover_request"
BAD_FORMAT: Final = "unsupported_minimax_music_audio_format"
NO_STREAMING: Final = "minimax_music_streaming_not_supported_by_gateway"

Path = tuple[str | int, ...]


@attrs.frozen(kw_only=True)
class Part:
    """Some fields of the native request, and the warnings that arose from them."""

    fields: Mapping[str, JsonValue] = attrs.field(factory=dict)
    warnings: tuple[OptionWarning, ...] = ()


def join(parts: Iterable[Part]) -> Part:
    """Join parts, in order."""
    fields: dict[str, JsonValue] = {}
    warnings: list[OptionWarning] = []
    for part in parts:
        fields |= part.fields
        warnings += part.warnings
    return Part(fields=fields, warnings=tuple(warnings))


def not_applied(path: Path, message: str) -> Part:
    """Report an option as not applied; no field is sent for it."""
    return Part(warnings=(OptionWarning(code=WarningCode.NOT_APPLIED, path=path, message=message),))


def changed(path: Path, message: str, fields: Mapping[str, JsonValue] | None = None) -> Part:
    """Report an option as changed, with the fields that are sent for it."""
    warning = OptionWarning(code=WarningCode.CHANGED, path=path, message=message)
    return Part(fields=fields or {}, warnings=(warning,))


def refusal(path: Path, message: str, reason: str | None = None) -> RequestError:
    """Make the error of an invalid option, with the contract's token where there is one."""
    return RequestError("validation_error", message, reason=reason, path=path)


def check_length(text: str, max_units: int, path: Path, what: str, reason: str | None = None) -> None:
    """Refuse a text that is too long; no text is ever truncated.

    Raises:
        RequestError: it is longer than the model takes.
    """
    units = utf16_units(text)
    if units > max_units:
        raise refusal(path, f"{what} takes at most {max_units} characters, these are {units}", reason)
