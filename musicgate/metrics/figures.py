"""What one gateway counts; the labels are bounded by plugins, settings and classes of ours."""

from __future__ import annotations

from collections import Counter

import attrs

from musicgate.metrics.histogram import CALL_BOUNDS_S, Histograms


def _calls() -> Histograms:
    return Histograms(CALL_BOUNDS_S)


@attrs.define(eq=False)
class Figures:
    """Counts since the gateway was opened, each of what this process did.

    Attributes:
        creates: create calls of callers, by outcome and reason.
        states: jobs that came into a state, by plugin and state.
        failures: jobs that failed, by plugin and class of failure.
        spent_usd_nanos: cost of finished jobs, in billionths of a dollar, by plugin and model.
        unpriced: finished jobs whose price is not known, by plugin and model.
        vendor_calls: seconds of calls to vendors, by plugin, step and outcome.
        downloads: seconds of downloads of vendors' files, by plugin and outcome.
        kept_bytes: bytes that were stored, by kind of file.
        conversions: seconds of work on audio, by what was made and outcome.
        webhook_tries: seconds of tries to deliver a message, by outcome.
    """

    creates: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    states: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    failures: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    spent_usd_nanos: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    unpriced: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    vendor_calls: Histograms = attrs.field(factory=_calls)
    downloads: Histograms = attrs.field(factory=_calls)
    kept_bytes: Counter[tuple[str, ...]] = attrs.field(factory=Counter)
    conversions: Histograms = attrs.field(factory=_calls)
    webhook_tries: Histograms = attrs.field(factory=_calls)
