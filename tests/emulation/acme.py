"""The example vendor of docs/emulation.md: its code stands there, and nowhere else."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from musicgate.emulation import EmulatedVendor
from tests.pages import blocks_of

_PAGE = Path(__file__).parents[2] / "docs" / "emulation.md"


@functools.cache
def acme() -> type[EmulatedVendor[Any]]:
    """Run the page's first block of Python, and return its emulator."""
    block = next(block for block in blocks_of(_PAGE) if block.kind == "python")
    names: dict[str, Any] = {}
    exec(block.code, names)  # noqa: S102 - the page is ours
    vendor: type[EmulatedVendor[Any]] = names["AcmeEmulator"]
    return vendor
