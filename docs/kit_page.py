"""Generate docs/kit.md from the checks of the compliance kit."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from itertools import groupby

from docs.markdown import GENERATED, table, ticks
from musicgate.testing.compliance import CHECKS, Check, name_of


def kit_page() -> str:
    """Render every check, in the order in which an author fixes what they find."""
    parts = [
        GENERATED,
        "# The compliance kit",
        (
            "What `musicgate plugins check NAME` and the test class `ProviderCompliance` check, in the order in "
            "which an author fixes what they find. A check that does not apply is skipped and says why."
        ),
        "[How to add a provider](add-a-provider.md) says how to use it, and what it cannot find.",
        *(_group(module, checks) for module, checks in groupby(CHECKS, key=lambda check: check.__module__)),
    ]
    return "\n\n".join(parts) + "\n"


def _group(module: str, checks: Iterable[Check]) -> str:
    rows = [(name_of(check).replace("_", " "), _sentence(check)) for check in checks]
    about = module.rsplit("_", 1)[-1].capitalize()
    return f"## {about}\n\n" + table(("check", "what holds"), rows)


def _sentence(check: Check) -> str:
    return ticks(" ".join((inspect.getdoc(check) or "").split()))
