"""Generate docs/testing.md: how a plugin is tested, and every check of the compliance kit."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from docs.markdown import GENERATED, table, ticks
from musicgate.testing import compliance, store_contract

_INTRODUCTION = """\
# Testing a plugin

What `musicgate.testing` has for the author of a provider plugin: the compliance kit, which knows no vendor and checks
everything that can be checked without one; recorded cases, which say what the vendor's answers mean
([case-files.md](case-files.md)); and rehearsals, which run a whole job between the plugin and its own emulator without
a socket or a wait. [How to add a provider](add-a-provider.md) says when to use what, and what none of them can find.

## The compliance kit

A plugin's test file is a class, followed by the plugin's own tests. Every check is one test of it.

```python
from pathlib import Path

import musicgate_minimax
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    plugin = musicgate_minimax
    cases = Path("plugins/minimax/tests/cases")
    failure_switches = "code=1026"
```

| attribute | meaning |
| --- | --- |
| `plugin` | the plugin's module |
| `cases` | folder of its recorded answers; None while there are none |
| `requests` | requests that the vendor can fulfil, where it cannot fulfil the kit's own: for an offer that needs an option, or one whose song, or callback, the emulator makes only with a switch (`[emulate name=value]` in the prompt) |
| `failure_switches` | switches that make the emulator fail a song after it was accepted |
| `skip_checks` | checks that are turned off, each with the reason |

`musicgate plugins check NAME` runs the same checks on an installed plugin: `--cases FOLDER` for its recordings,
`--failing NAME=VALUE` for the failure switches, `--request JSON` for a further request, in the form of a case file's,
`--skip CHECK=REASON` to turn a check off.

A message names the hook, the offer or the step, what was found and what was expected. A check that does not apply is
skipped and says why: read it, because a declaration may be missing. Two checks may find the same fault; the first in
the order below is the one to read.

### Turn a check off

A check that is wrong about your vendor is turned off by its name, with a reason that stays visible in every run.
An unknown name, or no reason, is an error.

```python
from musicgate.testing.compliance import ProviderCompliance


class TestCompliance(ProviderCompliance):
    skip_checks = {"callback_adopts_a_job": "their callbacks never name the task (support, 2026-11-02)"}
```

### The checks

In the order in which an author fixes what they find.
"""

_REHEARSAL = """\
## Rehearsals

A rehearsal calls the hooks as the gateway does, and answers with the plugin's emulator in virtual time. Use it for
what is special about your vendor.

```python
import musicgate_minimax
from musicgate.plugin import MusicRequest
from musicgate.testing.rehearsal import Rehearsal

rehearsal = Rehearsal("minimax", musicgate_minimax)
job = rehearsal.run(MusicRequest(model="minimax/music-2.6", prompt="Rain on a roof", lyrics="Row on"))
assert job.delivered_at is not None
assert len(rehearsal.emulator.books.creates) == 1
```

`translate`, `create`, `poll`, `finish` and `send` are its steps; `switches=` sets the emulator's faults, `options=`
the plugin's own settings. `noise` holds every error that a poll ended in, `answers` every answer of the emulator.

## Fakes

`musicgate.testing.memory_store` and `musicgate.testing.memory_outbox` are the stores without a database, for
applications that embed the gateway. They pass the same contract as the real ones.
"""

_CONTRACT = """\
## The contract of job stores

What `musicgate.store.JobStore` promises, as tests. The stores on SQLite and PostgreSQL and the one in memory run them,
and so can a third one. Its test file is a class; every check is one test of it, on an event loop of its own. It needs
pytest, and no plugin of pytest.

```python
import pytest
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.store_contract import JobStoreContract


class TestContract(JobStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        return lambda: SqliteJobStore.open(tmp_path / "jobs.db")
```

| member | meaning |
| --- | --- |
| `open_store` | a fixture that makes an empty place, and returns what opens the store there: an asynchronous context manager, which is called again by checks on durability |
| `is_durable` | False for a store whose jobs end with it; checks that open it again are skipped |
| `damage` | an asynchronous method `(store, job_ids)` that makes the stored documents of these jobs, and their first events, unreadable; without it, checks on damage are skipped |
| `take_share` | an asynchronous method `(store, share)` that counts up the term of a share and returns it; without it, checks on terms are skipped: a store of one process has none |
| `skip_checks` | checks that are turned off, each with the reason |

### The checks of stores
"""


def testing_page() -> str:
    """Render the page; the checks are in the order in which an author fixes what they find."""
    parts = [
        GENERATED,
        _INTRODUCTION.strip(),
        *_groups(compliance.CHECKS),
        _REHEARSAL.strip(),
        _CONTRACT.strip(),
        *_groups(store_contract.CHECKS),
    ]
    return "\n\n".join(parts) + "\n"


def _groups(checks: Iterable[Callable[..., object]]) -> Iterator[str]:
    for module, found in groupby(checks, key=lambda check: check.__module__):
        yield _group(module, found)


def _group(module: str, checks: Iterable[Callable[..., object]]) -> str:
    rows = [(f"`{_name(check)}`", _sentence(check)) for check in checks]
    about = module.rsplit("_", 1)[-1].capitalize()
    return f"#### {about}\n\n" + table(("check", "what a green one proves"), rows)


def _name(check: Callable[..., object]) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_")


def _sentence(check: Callable[..., object]) -> str:
    return ticks(" ".join((inspect.getdoc(check) or "").split()))
