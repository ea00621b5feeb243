"""Fault injection: whatever one call of a port raises, every job keeps its owner and ends, and no song is paid for twice.

Here each call of each life fails in some of the ways, which are other ones from call to call; ``make faults`` plays them all, and pairs.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import new_store, run
from tests.faults.injection import Fault, Kind
from tests.faults.lives import SCRIPTS
from tests.faults.stage import Script

#: Of six to twelve errors a call, each sixth is played: at least one at every call, all of them within a minute.
_EVERY = 6


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """What is injected is logged, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_single_fault_orphans_a_job_or_pays_for_a_song_twice(script: Script, tmp_path: Path) -> None:
    offset = SCRIPTS.index(script) % _EVERY
    plays, findings = run(script, tmp_path, new_store(tmp_path), seed=offset, every=_EVERY)
    assert plays > 20
    assert [str(finding) for finding in findings] == []


def test_faults_do_strike(tmp_path: Path) -> None:
    """A campaign that injects nothing would find nothing."""
    script = next(script for script in SCRIPTS if script.name == "create_at_once")
    calls = [
        "store.add",
        "store.replace",
        "store.get",
        *("transport.send", "transport.download", "plugin.parse_response()", "plugin.poll_request()"),
        *("assets.stage()", "assets.keep", "clock.now()", "clock.steady()"),
    ]
    _, findings = run(script, tmp_path, new_store(tmp_path), every=10_000)
    assert findings == []
    from tests.faults.stage import play

    template = new_store(tmp_path)
    _, seen = play(script, tmp_path / "play", template)
    assert set(calls) <= set(seen)
    _, struck = play(script, tmp_path / "play", template, Fault(seen.index("transport.send"), Kind.PROVIDER))
    assert struck != seen
