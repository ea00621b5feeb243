"""Knows which texts a request holds and where the caller said each; it chooses no mode and writes no payload."""

from __future__ import annotations

import attrs

from musicgate.plugin import JsonObject, MusicRequest, is_blank


@attrs.frozen(kw_only=True)
class Said:
    """A text that is not blank, and where in the request the caller said it."""

    text: str
    path: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Wish:
    """The texts of a request, the ``suno`` block before the neutral fields."""

    block: JsonObject
    idea: Said | None
    lyrics: Said | None
    style: Said | None
    title: Said | None
    negative_style: Said | None
    voice: Said | None
    instrumental: bool

    @classmethod
    def of(cls, request: MusicRequest) -> Wish:
        """Gather what was said."""
        block = request.block("suno")

        def said(key: str, name: str, neutral: str | None) -> Said | None:
            for text, path in ((block.get(key), ("suno", key)), (neutral, (name,))):
                if isinstance(text, str) and text.strip():
                    return Said(text=text, path=path)
            return None

        wordless = block.get("instrumental", request.instrumental)
        return cls(
            block=block,
            idea=said("prompt", "prompt", request.prompt),
            lyrics=Said(text=request.lyrics or "", path=("lyrics",))
            if not is_blank(request.lyrics)
            else None,
            style=said("style", "style", request.style),
            title=said("title", "title", request.title),
            negative_style=said("negativeTags", "negative_style", request.negative_style),
            voice=said("vocalGender", "vocal_gender", request.vocal_gender),
            instrumental=wordless is True,
        )

    def neutral(self, said: Said | None) -> Said | None:
        """The text if it came from a neutral field."""
        return said if said is not None and said.path[0] != "suno" else None
