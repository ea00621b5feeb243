"""Knows what each MiniMax music model takes: text limits and switches. It knows no request and builds no call."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs


@attrs.frozen(kw_only=True)
class ModelRules:
    """What one model takes. Lengths are characters as `utf16_length` counts them.

    No smallest length of lyrics is kept: the pages say 10 for some models, and one word was seen to be accepted.

    Attributes:
        prompt_min: shortest prompt; 0 = a song with lyrics needs none.
        lyrics_max: longest lyrics.
        takes_instrumental: knows ``is_instrumental``.
        takes_optimizer: knows ``lyrics_optimizer``.
        plays_tags: makes an instrumental of lyrics that are tags only.
        is_cover: sings a reference recording anew; section "music-cover" of the page.
    """

    prompt_min: int = 0
    prompt_max: int = 2000
    lyrics_max: int = 3500
    takes_instrumental: bool = True
    takes_optimizer: bool = True
    plays_tags: bool = False
    is_cover: bool = False


#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
NEWEST: Final = ModelRules()
COVER: Final = ModelRules(
    prompt_min=10,
    prompt_max=300,
    lyrics_max=1000,
    takes_instrumental=False,
    takes_optimizer=False,
    is_cover=True,
)
_OLD: Final = ModelRules(takes_instrumental=False, takes_optimizer=False)

#: By the vendor's model name. Source: the pages of each model's release, 2025-06 to 2026-07.
RULES: Final[Mapping[str, ModelRules]] = MappingProxyType(
    {
        "music-01": attrs.evolve(_OLD, lyrics_max=200),
        # ASSUMED: 3000 characters of lyrics; one page of this model says 600, another 3000. The vendor refuses at no cost.
        "music-1.5": attrs.evolve(_OLD, prompt_min=10, prompt_max=300, lyrics_max=3000),
        "music-2.0": attrs.evolve(_OLD, prompt_min=10, lyrics_max=3000),
        # Seen: no is_instrumental; lyrics of tags only do (github.com/MiniMax-AI/cli, early 2026).
        "music-2.5": attrs.evolve(NEWEST, takes_instrumental=False, plays_tags=True),
        "music-2.5+": NEWEST,
        "music-2.6": NEWEST,
        "music-2.6-free": NEWEST,
        "music-3.0": NEWEST,
        "music-3.0-free": NEWEST,
        "music-cover": COVER,
        "music-cover-free": COVER,
    }
)


def rules_of(native_model: str) -> ModelRules:
    """Rules of a model. An unlisted one is taken for a cover model by its name, else for the newest kind."""
    name = native_model.lower()
    # ASSUMED: later names keep the pattern "music-cover...".
    return RULES.get(name) or (COVER if name.startswith("music-cover") else NEWEST)


def utf16_length(text: str) -> int:
    """Length of a text in UTF-16 units, where an emoji counts two."""
    # ASSUMED: the vendor does not say what a character is; this never counts fewer than code points.
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
