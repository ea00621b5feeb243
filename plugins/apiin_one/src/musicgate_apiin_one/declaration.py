"""The declaration of Suno through apiin.one: models and their two names, limits, settings, times.

The older pages (generation A) say ``suno-v4-5``, the newer ones (B) ``chirp-v4-5``. Which of them the server
honours is not known, so a setting chooses.

No native fields are declared: which of them there are depends on that setting, the options of the ``suno``
block have Suno's names and not this vendor's, and where its pages contradict each other the translation
refuses above the larger number only.
Source: https://apiin.one/docs/suno/generate, 2026-02-24 (A); https://apiin.one/es/docs/suno/generate, 2026
(B).
"""

from collections.abc import Mapping

import attrs

import musicgate.plugin as mg
import musicgate_schemas
from musicgate.plugin import Ability, JobState, hookimpl

OPTION_BLOCK = "suno"
#: Lengths are in UTF-16 units.
#: ASSUMED: the pages say only "chars"; UTF-16 units are never fewer than code points, so this is safe.
#: Of lyrics, the larger of the numbers on the generate page and on the model page (5000 in general).
LYRICS_MAX = 5000
#: The larger of the numbers on the generate page (80) and on https://apiin.one/es/model/suno, 2026 (80-100).
TITLE_MAX = 100
PAGE_TITLE_MAX = 80
DESCRIPTION_MAX = 400

#: Without VOCAL_GENDER: generation A, the default, has no field for it (generation B has, and it is sent).
ABILITIES = frozenset(
    {Ability.LYRICS, Ability.STYLE, Ability.TITLE, Ability.NEGATIVE_STYLE, Ability.INSTRUMENTAL}
)


@attrs.frozen
class SunoModel:
    """One model and its names.

    Attributes:
        version: as Suno's users write it: ``v4.5+``.
        suno_name: as the ``suno.model`` option spells it.
        lyrics_chars: limit on the generate page; between it and `LYRICS_MAX` the vendor may refuse.
        style_chars: longest style.
        credits: for one task of two tracks. Source: https://apiin.one model pages, 2026.
        native: the vendor's names by generation, A or B, the usual one first.
    """

    version: str
    suno_name: str
    lyrics_chars: int
    style_chars: int
    credits: int
    native: Mapping[str, tuple[str, ...]]

    @property
    def ids(self) -> tuple[str, ...]:
        """Every public id, the canonical one first."""
        public = f"suno/{self.version.replace('+', 'plus')}"
        names = (self.version, f"suno-{self.version}", self.suno_name)
        return tuple(dict.fromkeys((public, *(f"suno/{name}" for name in names), self.suno_name)))


#: ASSUMED: the two variants of V4 cost the same as it.
MODELS = (
    SunoModel("v3.5", "V3_5", 3000, 200, 5, {"A": ("suno-v3-5",), "B": ("chirp-v3-5",)}),
    SunoModel(
        "v4", "V4", 3000, 200, 8, {"A": ("suno-v4-0", "suno-v4-0-vip", "suno-v4-0-pro"), "B": ("chirp-v4-0",)}
    ),
    SunoModel("v4.5", "V4_5", 5000, 1000, 10, {"A": ("suno-v4-5",), "B": ("chirp-v4-5",)}),
    SunoModel("v4.5+", "V4_5PLUS", 5000, 1000, 10, {"B": ("chirp-v4-5-plus",)}),
    SunoModel("v5", "V5", 3000, 1000, 12, {"A": ("suno-v5-0",), "B": ("chirp-v5",)}),
    SunoModel("v5.5", "V5_5", 3000, 1000, 12, {"B": ("chirp-v5-5",)}),
)


def _offer(model: SunoModel) -> mg.Offer:
    return mg.Offer(
        model=model.ids[0],
        native_model=None,
        aliases=model.ids[1:],
        abilities=ABILITIES,
        # The native request has no field for the container.
        formats=(),
        limits=mg.Limits(
            prompt_chars=DESCRIPTION_MAX,
            lyrics_chars=model.lyrics_chars,
            style_chars=model.style_chars,
            title_chars=PAGE_TITLE_MAX,
        ),
        # Source: https://apiin.one/docs/suno/generate, 2026-02-24: each generation gives two tracks.
        tracks=2,
        # No price: one page says 0.002 to 0.024 USD a song, another 0.10 USD for ten credits (2026).
    )


#: All models of both generations are declared, since the declaration is made before the settings are known.
#: ``translate_request`` refuses those that the configured generation lacks, and routing falls back.
PROVIDER = mg.Provider(
    name="suno",
    plugin="apiin_one",
    label="Suno through apiin.one",
    aliases=("apiin", "apiin.one"),
    base_url="https://apiin.one",
    key_env="APIIN_API_KEY",
    base_url_env="APIIN_BASE_URL",
    offers=tuple(_offer(model) for model in MODELS),
    option_block=OPTION_BLOCK,
    options_schema=musicgate_schemas.load("options/suno"),
    settings_schema=mg.settings_schema(
        doc_generation=(
            "A",
            "Generation of the pages to speak: A (suno-v4-5 ...) or B (chirp-v4-5 ..., gender, weights).",
            ("A", "B"),
        ),
        feed_parameter=(
            "task_id",
            "Name of the task's id in the feed's query: task_id, workId (older pages), or both.",
            ("task_id", "workId", "both"),
        ),
    ),
    raw_models=True,
    # Of a feed, a status is only one of the facts that decide.
    # Source: https://apiin.one/docs/suno/generate (pending), /feed (SUCCESS), 2026.
    # ASSUMED: all others, from relatives; the page documents no failure.
    statuses={
        **dict.fromkeys(("QUEUED", "NEW"), JobState.QUEUED),
        **dict.fromkeys(("PENDING", "IN_PROGRESS", "PROCESSING", "STREAMING"), JobState.IN_PROGRESS),
        **dict.fromkeys(("TEXT", "FIRST"), JobState.IN_PROGRESS),
        **dict.fromkeys(("SUCCESS", "COMPLETE", "COMPLETED"), JobState.COMPLETED),
        **dict.fromkeys(("FAILED", "FAILURE", "FAIL", "ERROR", "CANCELLED", "CANCELED"), JobState.FAILED),
    },
    # The page says that results are POSTed, not in which shape. Relatives send a bare list without the task's
    # id: such a callback finds its job through our URL's token but adopts nothing. Still True: an envelope
    # with an id would adopt a job whose create answer was lost, so such a job stays open until its deadline
    # instead of failing at once.
    callbacks=True,
    # Source: https://apiin.one/docs/suno/feed, 2026: poll every 5 to 10 s; a song takes 30 to 90 s.
    poll=mg.PollSchedule(first_s=6.0, min_s=6.0, max_s=10.0),
    typical_s=60.0,
    deadline_s=900.0,
    # No page states time-outs, nor the lifetime of links (a relative says 15 days), so none are declared.
    # By default after suno_kie, which has more models and a documented callback.
    priority=110,
    docs_url="https://apiin.one/docs/suno/generate",
)


@hookimpl
def provider() -> mg.Provider:
    """Declare Suno through apiin.one."""
    return PROVIDER
