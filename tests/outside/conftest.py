"""The built distributions, which the tests of this folder share."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.outside.environment")

from tests.outside.environment import (  # noqa: E402 - its asserts are rewritten, too
    DISTRIBUTIONS,
    ROOT,
    build,
    shared,
)


def modules_of(distribution: str) -> list[str]:
    """Every Python module of a distribution, relative to the folder of its source."""
    package = distribution.replace("-", "_")
    top = ROOT / DISTRIBUTIONS[distribution]
    source = top if (top / package).is_dir() else top / "src"
    return [str(path.relative_to(source)) for path in (source / package).rglob("*.py")]


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this test run share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def wheels(run_folder: Path) -> Path:
    """A folder with the wheel and sdist of every distribution, and a list of their modules."""

    def make(folder: Path) -> None:
        modules = {name: modules_of(name) for name in DISTRIBUTIONS}
        (folder / "modules.json").write_text(json.dumps(modules))
        for source in DISTRIBUTIONS.values():
            build(ROOT / source, folder)

    return shared(run_folder, "wheels", make)
