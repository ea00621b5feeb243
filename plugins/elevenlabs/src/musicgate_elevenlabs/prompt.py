"""The prompt with the neutral fields that are appended to it: the vendor has no fields for them.

The prompt is the vendor's documented way to state lyrics, style and voice. (A composition plan for later
models could hold lyrics as well, but it needs a length for every piece, which the gateway would have to
invent.) Source: elevenlabs.io/docs/eleven-api/guides/how-to/music/composition-plans, 2026-08.
"""

from __future__ import annotations

from typing import Final

import attrs

from musicgate.plugin import (
    MusicRequest,
    OptionWarning,
    WarningCode,
    is_blank,
)

_VOICES: Final = {"m": "male lead vocals", "f": "female lead vocals"}
#: Fields that describe a song well enough without a prompt.
_DESCRIBING: Final = frozenset({"style", "lyrics"})


@attrs.frozen(kw_only=True)
class Prompt:
    """A prompt and what was appended to it.

    Attributes:
        text: the prompt; blank if the request describes no song.
        added: names of the neutral fields in it, in their order.
        warnings: one for each neutral field that was added or left out.
    """

    text: str
    added: tuple[str, ...] = ()
    warnings: tuple[OptionWarning, ...] = ()


def write_prompt(prompt: str, request: MusicRequest, *, instrumental: bool) -> Prompt:
    """Append style, voice, what to avoid and lyrics to a prompt, which is itself unchanged."""
    pieces = _pieces(request)
    sung = {"vocal_gender", "lyrics"} if instrumental else set()
    added = {name: piece for name, piece in pieces.items() if name not in sung}
    warnings = [
        not_applied(name, "an instrumental has no voice") if name in sung else _changed(name)
        for name in pieces
    ]
    if is_blank(prompt) and _DESCRIBING.isdisjoint(added):
        return Prompt(text="", warnings=tuple(warnings))
    parts = [] if is_blank(prompt) else [prompt]
    return Prompt(text="\n\n".join([*parts, *added.values()]), added=tuple(added), warnings=tuple(warnings))


def plan_warnings(request: MusicRequest) -> tuple[OptionWarning, ...]:
    """Warn of each neutral field beside a composition plan, which is sent unchanged."""
    message = "not sent: the composition plan says what the song shall be"
    names = [*_pieces(request), *(["instrumental"] if request.instrumental is not None else [])]
    if request.duration_s is not None:
        names.append("duration")
    return tuple(not_applied(name, message) for name in names)


def not_applied(name: str, message: str) -> OptionWarning:
    """Warn that a neutral field was left out."""
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=(name,), message=message, plugin="elevenlabs")


def _changed(name: str) -> OptionWarning:
    message = "written into the prompt: Eleven Music has no field of its own for it"
    return OptionWarning(code=WarningCode.CHANGED, path=(name,), message=message, plugin="elevenlabs")


def _pieces(request: MusicRequest) -> dict[str, str]:
    """The texts to append, by neutral field."""
    voice = _VOICES.get(request.vocal_gender or "")
    pieces = {
        "style": None if is_blank(request.style) else f"Style: {request.style}",
        "vocal_gender": voice and f"Vocals: {voice}",
        "negative_style": None if is_blank(request.negative_style) else f"Avoid: {request.negative_style}",
        "lyrics": None if is_blank(request.lyrics) else f"Lyrics:\n{request.lyrics}",
    }
    return {name: piece for name, piece in pieces.items() if piece}
