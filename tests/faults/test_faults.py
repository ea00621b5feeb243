"""Fault injection: whatever one call raises, every job ends, and no song is paid for twice.

Here each call of each scenario fails in some of the possible ways; ``make faults`` tries them all, and pairs.
"""

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.campaign import new_store, run
from tests.faults.injection import Fault, Kind
from tests.faults.scenario_run import Scenario, run_scenario
from tests.faults.scenarios import SCENARIOS

#: There are six to twelve errors per call; every sixth is at least one at each call, and takes a minute.
_EVERY = 6
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Injected errors are logged, thousands of times."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a file system: each run flushes dozens of files, and none is cut off."""
    if not os.access(_MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="musicgate-faults-", dir=_MEMORY) as made:
        yield Path(made)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_no_single_fault_orphans_a_job_or_pays_for_a_song_twice(scenario: Scenario, folder: Path) -> None:
    offset = SCENARIOS.index(scenario) % _EVERY
    runs, findings = run(scenario, folder, new_store(folder), seed=offset, every=_EVERY)
    assert runs > 15
    assert [str(finding) for finding in findings] == []


def test_every_port_is_called_and_an_injected_fault_changes_the_run(tmp_path: Path) -> None:
    """A campaign that injected nothing would find nothing."""
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "create_at_once")
    expected = {
        "store.add",
        "store.replace",
        "store.get",
        *("transport.send", "transport.download", "plugin.parse_response()", "plugin.poll_request()"),
        *("references.claim", "workers.run()", "assets.put", "clock.now()", "clock.steady()"),
    }
    _, findings = run(scenario, tmp_path, new_store(tmp_path), every=10_000)
    assert findings == []
    template = new_store(tmp_path)
    _, calls = run_scenario(scenario, tmp_path / "run", template)
    assert expected <= set(calls)
    fault = Fault(calls.index("transport.send"), Kind.PROVIDER)
    _, changed = run_scenario(scenario, tmp_path / "run", template, fault)
    assert changed != calls
