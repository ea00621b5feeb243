"""The answers of the health probes ``/livez`` and ``/readyz``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from musicgate.engine import ServiceReport


@attrs.frozen(kw_only=True)
class Readiness:
    """The state of a gateway whose store answers.

    Attributes:
        in_flight, scheduled: open jobs with a create call in flight, and those that wait for their next poll.
        background: the background services by name.
        providers: names of the plugins that offer models.
        broken_plugins: names of the plugins that could not be loaded.
    """

    open_jobs: int
    in_flight: int
    scheduled: int
    background: Mapping[str, ServiceReport]
    providers: Iterable[str]
    broken_plugins: Iterable[str]


def render_live() -> dict[str, object]:
    """Render ``/livez``: the process answers."""
    return {"status": "ok"}


def render_ready(state: Readiness) -> dict[str, object]:
    """Render ``/readyz``: new jobs can be accepted."""
    return {
        "status": "ok",
        "open_jobs": state.open_jobs,
        **_work(state),
        "providers": sorted(state.providers),
        "broken_plugins": list(state.broken_plugins),
    }


def render_not_ready(state: Readiness | None = None, status: str = "not_ready") -> dict[str, object]:
    """Render what a 503 of ``/readyz`` carries beside the error; None = the store does not answer."""
    return {"status": status, **({} if state is None else _work(state))}


def _work(state: Readiness) -> dict[str, object]:
    return {
        "jobs": {"open": state.open_jobs, "in_flight": state.in_flight, "scheduled": state.scheduled},
        "background": {
            name: {"running": service.is_running, "restarts": service.restarts, "error": service.error}
            for name, service in state.background.items()
        },
    }
