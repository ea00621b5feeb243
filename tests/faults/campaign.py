"""Runs a scenario with every error at every call, or with random pairs; collects the findings."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import attrs

from musicgate.store.sqlite import SqliteJobStore
from tests.faults.injection import Fault, faults_at
from tests.faults.scenario_run import Scenario, run_scenario


@attrs.frozen
class Finding:
    """What one run violated. The letters in the texts are those of `tests.faults.scenario_run`."""

    scenario: str
    faults: tuple[Fault, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]

    def __str__(self) -> str:
        where = " + ".join(
            f"{fault} at {label}" for fault, label in zip(self.faults, self.labels, strict=False)
        )
        return f"{self.scenario}: {where}: {'; '.join(self.texts)}"


def new_store(folder: Path) -> Path:
    """An empty store, to be copied for each run."""
    path = folder / "template.db"

    async def make() -> None:
        async with SqliteJobStore.open(path):
            pass

    asyncio.run(make())
    return path


def single_faults(calls: list[str]) -> Iterator[tuple[Fault, ...]]:
    """Each error at each call."""
    for at, label in enumerate(calls):
        for fault in faults_at(at, label):
            yield (fault,)


def paired_faults(calls: list[str], count: int, seed: int) -> Iterator[tuple[Fault, ...]]:
    """Random pairs of errors; the second one comes soon after the first in two of three pairs."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for _ in range(count):
        first = rng.randrange(len(calls))
        reach = rng.choice((3, 10, len(calls)))
        second = min(len(calls) - 1 + reach, first + 1 + rng.randrange(reach))
        label = calls[second] if second < len(calls) else "store.get"
        yield rng.choice(faults_at(first, calls[first])), rng.choice(faults_at(second, label))


def run(
    scenario: Scenario, folder: Path, template: Path, *, pairs: int = 0, seed: int = 0, every: int = 1
) -> tuple[int, list[Finding]]:
    """Run a scenario with each single error, or with so many pairs.

    Args:
        every: of the single errors, take only every n-th one, beginning at one that depends on the seed.

    Returns:
        The number of runs, and the findings.
    """
    texts, calls = run_scenario(scenario, folder / scenario.name, template)
    findings = [Finding(scenario.name, (), (), tuple(texts))] if texts else []
    chosen = (
        paired_faults(calls, pairs, seed)
        if pairs
        else itertools.islice(single_faults(calls), seed % every, None, every)
    )
    runs = 1
    for faults in chosen:
        texts, seen = run_scenario(scenario, folder / scenario.name, template, *faults)
        runs += 1
        if texts:
            labels = tuple(seen[fault.at] for fault in faults if fault.at < len(seen))
            findings.append(Finding(scenario.name, faults, labels, tuple(texts)))
    return runs, findings
