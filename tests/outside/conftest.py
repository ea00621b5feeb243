"""What the tests from outside share: the built distributions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.outside.environment")

from tests.outside.environment import DISTRIBUTIONS, ROOT, build, shared  # noqa: E402 - its asserts shall speak as well


def modules_of(distribution: str) -> list[str]:
    """Every Python module in the source of a distribution, by its path below the folder that is built."""
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
    """Folder with the wheel and the sdist of every distribution, and ``modules.json``: what their sources held when they were built."""

    def make(folder: Path) -> None:
        modules = {name: modules_of(name) for name in DISTRIBUTIONS}
        (folder / "modules.json").write_text(json.dumps(modules))
        for source in DISTRIBUTIONS.values():
            build(ROOT / source, folder)

    return shared(run_folder, "wheels", make)
