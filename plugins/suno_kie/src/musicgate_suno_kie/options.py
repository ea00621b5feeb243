"""The texts of a request and where the caller gave each; no choice of a mode and no payload."""

from __future__ import annotations

import attrs

from musicgate.plugin import JsonObject, MusicRequest, is_blank


@attrs.frozen(kw_only=True)
class Given:
    """A text that is not blank, and its path in the request."""

    text: str
    path: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Options:
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

        def given(key: str, name: str, neutral: str | None) -> Given | None:
            for text, path in ((block.get(key), ("suno", key)), (neutral, (name,))):
                if isinstance(text, str) and text.strip():
                    return Given(text=text, path=path)
            return None

        instrumental = block.get("instrumental", request.instrumental)
        return cls(
            block=block,
            idea=given("prompt", "prompt", request.prompt),
            lyrics=Given(text=request.lyrics or "", path=("lyrics",))
            if not is_blank(request.lyrics)
            else None,
            style=given("style", "style", request.style),
            title=given("title", "title", request.title),
            negative_style=given("negativeTags", "negative_style", request.negative_style),
            voice=given("vocalGender", "vocal_gender", request.vocal_gender),
            instrumental=instrumental is True,
        )

    def neutral(self, given: Given | None) -> Given | None:
        """The text if it comes from a neutral field, else None."""
        return given if given is not None and given.path[0] != "suno" else None
