"""The declaration of MiniMax: models, prices, limits, time-outs and settings."""

from datetime import date
from typing import Final

import musicgate.plugin as mg
import musicgate_schemas
from musicgate.plugin import JobState, Offer
from musicgate_minimax.models import FIELDS, NEWEST
from musicgate_minimax.translate import BLOCK

DEFAULT_MODEL: Final = "music-2.6"

#: Source: https://platform.minimax.io/docs/guides/pricing-paygo, July 2026.
MAX_DURATION_S: Final = 300.0

#: Of up to five minutes.
#: Source: https://platform.minimax.io/docs/guides/pricing-paygo, July 2026.
_PRICES: Final = (mg.PriceRule.per_song("0.15"),)
#: Models with a known price. music-2.0 is missing (0.03 and 0.05 USD are both published), and so are the
#: covers (no price found) and the free models (ended on 2026-08-20).
_PRICED: Final = frozenset({"music-2.5", "music-2.5+", "music-2.6", "music-3.0"})


def _offer(model: str, native_model: str | None) -> Offer:
    name = DEFAULT_MODEL if native_model is None else native_model
    fields = FIELDS.get(name, NEWEST)
    return Offer(
        model=model,
        native_model=native_model,
        fields=fields,
        formats=("mp3", "wav"),
        limits=mg.Limits.of(fields, max_duration_s=MAX_DURATION_S),
        prices=_PRICES if name in _PRICED else (),
        ended=date(2026, 8, 20) if name.endswith("-free") else None,
    )


PROVIDER: Final = mg.Provider(
    name="minimax",
    plugin="minimax",
    label="MiniMax Music",
    aliases=("mini-max",),
    base_url="https://api.minimax.io",
    key_env="MINIMAX_API_KEY",
    base_url_env="MINIMAX_BASE_URL",
    # music-01 needs uploaded voices that the option block cannot name; it is available as a raw model only.
    offers=(
        _offer("minimax/music", None),
        *(_offer(f"minimax/{native}", native) for native in FIELDS if native != "music-01"),
    ),
    option_block=BLOCK,
    options_schema=musicgate_schemas.load("options/minimax"),
    settings_schema=mg.settings_schema(
        default_model=(DEFAULT_MODEL, "The vendor's model behind minimax/music."),
        group_id=("", "GroupId of old accounts, sent as a query parameter; empty: not sent."),
    ),
    # Numbers of ``data.status``: 2 is done, and no other has been seen. Its texts: none seen; these are
    # those of the documented contract.
    statuses={
        **dict.fromkeys(("success", "succeeded", "completed", "finished", "2", "3"), JobState.COMPLETED),
        **dict.fromkeys(("running", "processing", "in_progress", "1"), JobState.IN_PROGRESS),
        **dict.fromkeys(("queued", "pending", "submitted", "0"), JobState.QUEUED),
        **dict.fromkeys(("failed", "error", "cancelled", "canceled", "-1", "-2"), JobState.FAILED),
    },
    model_option="model",
    model_setting="default_model",
    raw_models=True,
    raw_offers=tuple(_offer(f"minimax/{native}", native) for native in ("music-01", "music-cover", "")),
    blocking=True,
    # Never polled; the schedule only says how often an open job is checked.
    poll=mg.PollSchedule(first_s=30.0, min_s=5.0, max_s=15.0),
    # Seen: 30 to over 120 s, usually 90 and more (openclaw/openclaw, 2026); clients wait 180 to 600 s.
    timeouts=mg.Timeouts(create_s=600.0),
    typical_s=90.0,
    deadline_s=900.0,
    # Life of a link: 24 h.
    # Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
    retention_s=86_400.0,
    # Five minutes at 256 kbit/s are about 10 MB of audio, 20 MB as hex.
    max_answer_bytes=64 * 1024 * 1024,
    # Source: https://platform.minimax.io/docs/guides/rate-limits, July 2026 (120 requests a minute,
    # 20 connections).
    max_parallel_creates=20,
    create_window=mg.RateWindow(calls=120, per_s=60.0),
    docs_url="https://platform.minimax.io/docs/api-reference/music-generation",
)


@mg.hookimpl
def provider() -> mg.Provider:
    """Declare MiniMax: one blocking call per song, no polling and no callbacks."""
    return PROVIDER
