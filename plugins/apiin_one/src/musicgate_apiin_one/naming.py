"""Names and limits of the Suno models, in public and in the two generations of apiin.one's pages.

The older pages (generation A) say ``suno-v4-5``, the newer ones (B) ``chirp-v4-5``. Which of them the server
honours is not known, so a setting chooses. A native name of either generation that the caller gives is sent
unchanged.
"""

from __future__ import annotations

import re
from enum import StrEnum

import attrs

#: Lengths are in UTF-16 units.
#: ASSUMED: the pages say only "chars"; UTF-16 units are never fewer than code points, so this is safe.
#: Source: https://apiin.one/docs/suno/generate, 2026-02-24, and the model page (5000 in general): the larger
#: of the two numbers.
LYRICS_MAX = 5000
#: Source: https://apiin.one/docs/suno/generate, 2026-02-24 (80), and https://apiin.one/es/model/suno, 2026
#: (80-100): the larger one.
TITLE_MAX = 100
#: Source: https://apiin.one/docs/suno/generate, 2026-02-24.
DESCRIPTION_MAX = 400
#: The number of the generate page alone.
PAGE_TITLE_MAX = 80


class Generation(StrEnum):
    """Generation of the documentation that the server is assumed to follow."""

    A = "A"
    B = "B"


@attrs.frozen
class SunoModel:
    """One model and its names.

    Attributes:
        public: canonical public id.
        suno_name: Suno's own name, as the ``suno.model`` option spells it.
        native: the vendor's name by generation; a generation without this model is absent.
        spellings: further public ids.
        lyrics_chars: limit on the generate page; between it and `LYRICS_MAX` the vendor may refuse.
        style_chars: longest style.
        credits: for one task of two tracks. Source: https://apiin.one model pages, 2026.
    """

    public: str
    suno_name: str
    native: dict[Generation, str]
    spellings: tuple[str, ...]
    lyrics_chars: int
    style_chars: int
    credits: int

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every other public id: further spellings, and Suno's own name with and without ``suno/``."""
        return (*self.spellings, f"suno/{self.suno_name}", self.suno_name)

    def answers_to(self, name: str) -> bool:
        """True if the name, in any case and with or without ``suno/``, means this model."""
        bare = _bare(name)
        return any(bare == _bare(own) for own in (self.public, *self.aliases))


_A, _B = Generation.A, Generation.B
#: Source: https://apiin.one/docs/suno/generate, 2026-02-24 (A);
#: https://apiin.one/es/docs/suno/generate, 2026 (B).
MODELS = (
    SunoModel(
        "suno/v3.5", "V3_5", {_A: "suno-v3-5", _B: "chirp-v3-5"}, ("suno/suno-v3.5",), 3000, 200, credits=5
    ),
    SunoModel("suno/v4", "V4", {_A: "suno-v4-0", _B: "chirp-v4-0"}, ("suno/suno-v4",), 3000, 200, credits=8),
    SunoModel(
        "suno/v4.5", "V4_5", {_A: "suno-v4-5", _B: "chirp-v4-5"}, ("suno/suno-v4.5",), 5000, 1000, credits=10
    ),
    SunoModel(
        "suno/v4.5plus",
        "V4_5PLUS",
        {_B: "chirp-v4-5-plus"},
        ("suno/v4.5+", "suno/suno-v4.5+"),
        5000,
        1000,
        credits=10,
    ),
    SunoModel("suno/v5", "V5", {_A: "suno-v5-0", _B: "chirp-v5"}, ("suno/suno-v5",), 3000, 1000, credits=12),
    SunoModel("suno/v5.5", "V5_5", {_B: "chirp-v5-5"}, ("suno/suno-v5.5",), 3000, 1000, credits=12),
)

#: A native name of either generation: ``suno-v4-0-pro``, ``chirp-v5-5``.
_NATIVE_NAME = re.compile(r"(?:suno|chirp)-v[0-9]+(?:-[0-9a-z]+)*")


@attrs.frozen(kw_only=True)
class NativeModel:
    """The native name of a model, and the longest style that it takes."""

    name: str
    style_chars: int


def find_native(model_name: str, generation: Generation) -> NativeModel | None:
    """Find the native model for a public or native name; None if it is unknown in this generation."""
    listed = next((model for model in MODELS if model.answers_to(model_name)), None)
    if listed is not None:
        name = listed.native.get(generation)
        return NativeModel(name=name, style_chars=listed.style_chars) if name else None
    name = _bare(model_name)
    if not _NATIVE_NAME.fullmatch(name):
        return None
    family = model_behind(name)
    # An unknown name has the largest limit of all models.
    style_chars = family.style_chars if family else max(model.style_chars for model in MODELS)
    return NativeModel(name=name, style_chars=style_chars)


def model_behind(native_name: str) -> SunoModel | None:
    """The model that a native name, or a variant of one, is about (``suno-v4-0-pro`` is a V4)."""
    for model in MODELS:
        for native in model.native.values():
            if re.fullmatch(f"{native}(?:-(?:vip|pro))?", native_name):
                return model
    return None


def _bare(name: str) -> str:
    return name.strip().lower().removeprefix("suno/")
