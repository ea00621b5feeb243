"""The texts of a request and where the caller gave each; no choice of a mode and no payload."""

from __future__ import annotations

from typing import NamedTuple

from musicgate.plugin import JsonObject, MusicRequest


class Given(NamedTuple):
    """A text that is not blank, and its path in the request."""

    text: str
    path: tuple[str, ...]


class Options(NamedTuple):
    """The texts of a request; an option of the ``suno`` block beats the neutral field."""

    block: JsonObject
    idea: Given | None
    lyrics: Given | None
    style: Given | None
    title: Given | None
    negative_style: Given | None
    voice: Given | None
    instrumental: bool

    @classmethod
    def of(cls, request: MusicRequest) -> Options:
        """Read the texts of a request."""
        block = request.block("suno")
        instrumental = block.get("instrumental", request.instrumental)
        return cls(
            block=block,
            idea=_given(block, "prompt", "prompt", request.prompt),
            lyrics=_neutral("lyrics", request.lyrics),
            style=_given(block, "style", "style", request.style),
            title=_given(block, "title", "title", request.title),
            negative_style=_given(block, "negativeTags", "negative_style", request.negative_style),
            voice=_given(block, "vocalGender", "vocal_gender", request.vocal_gender),
            instrumental=instrumental is True,
        )

    def neutral(self, given: Given | None) -> Given | None:
        """The text if it comes from a neutral field, else None."""
        return given if given is not None and given.path[0] != "suno" else None


def _given(block: JsonObject, key: str, name: str, neutral: str | None) -> Given | None:
    """The block's text of that key, else the neutral field's, else None."""
    own = block.get(key) if block else None
    if isinstance(own, str) and own.strip():
        return Given(own, ("suno", key))
    return None if neutral is None else _neutral(name, neutral)


def _neutral(name: str, neutral: str | None) -> Given | None:
    return Given(neutral, (name,)) if isinstance(neutral, str) and neutral.strip() else None
