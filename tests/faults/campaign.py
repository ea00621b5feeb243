"""Plays every life with every error at every call, and reports what was found; with pairs of errors where that is asked for."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterator
from pathlib import Path

import attrs

from musicgate.store.sqlite import SqliteJobStore
from tests.faults.injection import Fault, faults_at
from tests.faults.stage import Script, play


@attrs.frozen
class Finding:
    """What was wrong in one play."""

    life: str
    faults: tuple[Fault, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]

    def __str__(self) -> str:
        where = " + ".join(
            f"{fault} at {label}" for fault, label in zip(self.faults, self.labels, strict=False)
        )
        return f"{self.life}: {where}: {'; '.join(self.texts)}"


def new_store(folder: Path) -> Path:
    """An empty store, to be copied for each play."""
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
    """So many pairs of errors, drawn at random; the second one strikes soon after the first as often as late."""
    dice = random.Random(seed)  # noqa: S311 - a lottery, not a secret
    for _ in range(count):
        first = dice.randrange(len(calls))
        reach = dice.choice((3, 10, len(calls)))
        second = min(len(calls) - 1 + reach, first + 1 + dice.randrange(reach))
        label = calls[second] if second < len(calls) else "store.get"
        yield dice.choice(faults_at(first, calls[first])), dice.choice(faults_at(second, label))


def run(
    script: Script, folder: Path, template: Path, *, pairs: int = 0, seed: int = 0, every: int = 1
) -> tuple[int, list[Finding]]:
    """Play a life with all single errors, or with so many pairs.

    Args:
        every: play only each so-many-th of the single errors; the seed says with which one to begin.

    Returns:
        The number of plays, and what was found.
    """
    texts, calls = play(script, folder / script.name, template)
    findings = [Finding(script.name, (), (), tuple(texts))] if texts else []
    chosen = (
        paired_faults(calls, pairs, seed)
        if pairs
        else itertools.islice(single_faults(calls), seed % every, None, every)
    )
    plays = 1
    for faults in chosen:
        texts, seen = play(script, folder / script.name, template, *faults)
        plays += 1
        if texts:
            labels = tuple(seen[fault.at] for fault in faults if fault.at < len(seen))
            findings.append(Finding(script.name, faults, labels, tuple(texts)))
    return plays, findings
