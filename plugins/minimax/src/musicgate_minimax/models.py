"""What each MiniMax music model takes: text limits and flags."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs


@attrs.frozen(kw_only=True)
class ModelRules:
    """What one model takes; lengths are in UTF-16 units.

    ASSUMED: the vendor does not say what a character is; UTF-16 units are never fewer than code points.
    There is no minimum for lyrics: the pages say 10 for some models, and a single word was seen to be
    accepted.

    Attributes:
        prompt_min: shortest prompt; 0 = a song with lyrics needs no prompt.
        lyrics_max: longest lyrics.
        takes_instrumental: has ``is_instrumental``.
        takes_optimizer: has ``lyrics_optimizer``.
        instrumental_by_tags: makes an instrumental of lyrics that are tags only.
        is_cover: makes a new version of a reference recording; section "music-cover" of the page.
    """

    prompt_min: int = 0
    prompt_max: int = 2000
    lyrics_max: int = 3500
    takes_instrumental: bool = True
    takes_optimizer: bool = True
    instrumental_by_tags: bool = False
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

#: Rules by native model. Source: the pages of each model's release, 2025-06 to 2026-07.
RULES: Final[Mapping[str, ModelRules]] = MappingProxyType(
    {
        "music-01": attrs.evolve(_OLD, lyrics_max=200),
        # ASSUMED: 3000 characters of lyrics; one page of this model says 600, another 3000. A refusal by the
        # vendor costs nothing.
        "music-1.5": attrs.evolve(_OLD, prompt_min=10, prompt_max=300, lyrics_max=3000),
        "music-2.0": attrs.evolve(_OLD, prompt_min=10, lyrics_max=3000),
        # Seen: no is_instrumental; lyrics of tags only do (github.com/MiniMax-AI/cli, early 2026).
        "music-2.5": attrs.evolve(NEWEST, takes_instrumental=False, instrumental_by_tags=True),
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
    """Rules of a model; an unlisted one has those of the covers or of the newest models, by its name."""
    name = native_model.lower()
    # ASSUMED: later cover models keep the name pattern "music-cover...".
    return RULES.get(name) or (COVER if name.startswith("music-cover") else NEWEST)
