"""What the built distributions hold: all that they need, and nothing of the development tree."""

from __future__ import annotations

import email
import json
import re
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.outside.environment import DISTRIBUTIONS, build, shared

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.outside, pytest.mark.timeout(180)]

#: Distribution -> files beside Python modules that its wheel must hold, and patterns of all that it may hold.
WHEELS: dict[str, tuple[list[str], list[str]]] = {
    "musicgate": (
        [
            "musicgate/assets/__init__.pyi",
            "musicgate/assets/marks/__init__.pyi",
            "musicgate/store/sqlite_migrations/0001_jobs_and_events.sql",
            "musicgate/store/sqlite_migrations/0002_account_of_webhook_deliveries.sql",
            "musicgate/store/postgres_migrations/0001_jobs.sql",
            "musicgate/scaffold/templates/pyproject.toml.jinja",
            "musicgate/scaffold/templates/src/musicgate_NAME/py.typed",
            "musicgate/emulation/loops/stereo-44100.mp3",
            "musicgate/emulation/loops/stereo-48000.opus",
            "musicgate/web/console/licenses/preact.txt",
            "musicgate/web/console/static/app.js",
            "musicgate/web/console/static/index.html",
            "musicgate/web/console/static/style.css",
            "musicgate/web/console/static/vendor/wavesurfer.js",
            "musicgate/web/console/static/views/make.js",
            "musicgate/web/openapi/agent_answers.json",
            "musicgate/web/openapi/answers.json",
            "musicgate/web/openapi/operator_answers.json",
            "musicgate/web/openapi/swagger_ui/LICENSE",
            "musicgate/web/openapi/swagger_ui/docs.html",
            "musicgate/web/openapi/swagger_ui/swagger-ui-bundle.js",
        ],
        [
            r"(assets/(marks/)?)?__init__\.pyi",
            r"store/(sqlite|postgres)_migrations/[0-9]{4}_[a-z0-9_]+\.sql",
            r"scaffold/templates/.+\.jinja",
            r"scaffold/templates/src/musicgate_NAME/py\.typed",
            r"emulation/loops/[a-z0-9-]+\.(mp3|opus)",
            r"web/console/vendored\.json",
            r"web/console/licenses/[a-z]+\.txt",
            r"web/console/static/(index\.html|style\.css|icon\.svg)",
            r"web/console/static/((vendor|views)/)?[a-z]+\.js",
            r"web/openapi/((agent|operator)_)?answers\.json",
            r"web/openapi/swagger_ui/(LICENSE|NOTICE|vendored\.json|docs\.(css|html|js))",
            r"web/openapi/swagger_ui/swagger-ui(-bundle)?\.(js|js\.LICENSE\.txt|css)",
        ],
    ),
    "musicgate-schemas": (
        [
            "musicgate_schemas/v1/error.json",
            "musicgate_schemas/v1/job.json",
            "musicgate_schemas/v1/options/elevenlabs.json",
            "musicgate_schemas/v1/options/minimax.json",
            "musicgate_schemas/v1/options/suno.json",
            "musicgate_schemas/v1/plan.json",
            "musicgate_schemas/v1/event.json",
            "musicgate_schemas/v1/job_list.json",
            "musicgate_schemas/v1/model_list.json",
            "musicgate_schemas/v1/provider_list.json",
            "musicgate_schemas/v1/webhook.json",
            "musicgate_schemas/v1/webhook_delivery_list.json",
            "musicgate_schemas/v1/webhook_test.json",
            "musicgate_schemas/v1/request.json",
        ],
        [r"v1/(options/)?[a-z_]+\.json"],
    ),
    "musicgate-acestep": (["musicgate_acestep/data.json"], [r"data\.json"]),
    "musicgate-apiin-one": ([], []),
    "musicgate-elevenlabs": ([], []),
    "musicgate-fal": ([], []),
    "musicgate-minimax": ([], []),
    "musicgate-suno-kie": ([], []),
    "musicgate-harmonia": ([], []),
    "musicgate-job-ledger": ([], []),
    "musicgate-prompt-policy": (["musicgate_prompt_policy/rules.json"], [r"rules\.json"]),
}
EVERY = sorted(DISTRIBUTIONS)
#: It makes the loops anew, with tools that users do not have.
SOURCE_ONLY = {"musicgate/emulation/loops/make_loops.py"}
#: What else the top folder of an sdist may hold. hatchling adds .gitignore.
SDIST_TOP = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", ".gitignore"}


def stem(distribution: str) -> str:
    """The import package, with which the names of the built files begin."""
    return distribution.replace("-", "_")


def wheel_names(folder: Path, distribution: str) -> set[str]:
    """Every file in a wheel."""
    (wheel,) = folder.glob(f"{stem(distribution)}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sdist_of(wheels: Path, distribution: str) -> Path:
    (sdist,) = wheels.glob(f"{stem(distribution)}-*.tar.gz")
    return sdist


def in_package(names: set[str], distribution: str) -> set[str]:
    return {name for name in names if name.startswith(f"{stem(distribution)}/")}


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_holds_what_it_needs(wheels: Path, distribution: str) -> None:
    names = wheel_names(wheels, distribution)
    package = stem(distribution)
    needed = {f"{package}/__init__.py", f"{package}/py.typed", *WHEELS[distribution][0]}
    assert needed - names == set()


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_holds_every_module_of_the_source(wheels: Path, distribution: str) -> None:
    modules = set(json.loads((wheels / "modules.json").read_text())[distribution])
    assert f"{stem(distribution)}/__init__.py" in modules
    assert modules - wheel_names(wheels, distribution) - SOURCE_ONLY == set()


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_holds_nothing_else(wheels: Path, distribution: str) -> None:
    names = wheel_names(wheels, distribution)
    package = stem(distribution)
    allowed = [r"py\.typed", r"([a-z0-9_]+/)*[a-z0-9_]+\.py", *WHEELS[distribution][1]]
    inside = re.compile(rf"{package}/(?:{'|'.join(allowed)})")
    about = re.compile(
        rf"{package}-[0-9.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt"
        r"|licenses/(LICENSE|docs/notice\.md))"
    )
    assert [name for name in names if not inside.fullmatch(name) and not about.fullmatch(name)] == []
    strange = re.compile(r"(^|/)(tests?|cases|conftest\.py|test_\w+\.py|__pycache__)(/|$)")
    templates = "musicgate/scaffold/templates/"
    assert [name for name in names if strange.search(name) and not name.startswith(templates)] == []


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_has_the_right_metadata(wheels: Path, distribution: str) -> None:
    (wheel,) = wheels.glob(f"{stem(distribution)}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        about = email.message_from_bytes(archive.read(path))
    needs = [line for line in about.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert (about["Name"], about["Requires-Python"]) == (distribution, ">=3.11")
    if distribution == "musicgate":
        assert "musicgate-schemas>=0.1.0" in needs
    else:
        wanted = [] if distribution == "musicgate-schemas" else ["attrs>=24.2", "musicgate>=0.1.0"]
        assert sorted(needs) == wanted


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_has_the_licence(wheels: Path, distribution: str) -> None:
    names = wheel_names(wheels, distribution)
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")] != []
    if distribution == "musicgate":
        assert [name for name in names if name.endswith(".dist-info/licenses/docs/notice.md")] != []


@pytest.mark.parametrize("distribution", EVERY)
def test_an_sdist_holds_the_source_and_no_caches(wheels: Path, distribution: str) -> None:
    with tarfile.open(sdist_of(wheels, distribution)) as archive:
        names = [name.split("/", 1)[1] for name in archive.getnames() if "/" in name]
    own = {"musicgate", "docs", "CHANGELOG.md"} if distribution == "musicgate" else {"src", "tests"}
    assert {name.split("/")[0] for name in names} <= SDIST_TOP | own
    assert {name for name in names if name.startswith("docs/")} <= {"docs/notice.md"}
    assert [name for name in names if re.search(r"__pycache__|\.pyc$|\.db$|(^|/)\.venv/", name)] == []


@pytest.fixture(scope="session")
def rebuilt(run_folder: Path, wheels: Path) -> Path:
    """Wheels built from the sdists, as packagers of Linux distributions do."""

    def make(folder: Path) -> None:
        for distribution in EVERY:
            with tarfile.open(sdist_of(wheels, distribution)) as archive:
                archive.extractall(folder, filter="data")
            (source,) = folder.glob(f"{stem(distribution)}-*/")
            build(source, folder / "wheels", only_wheel=True)

    return shared(run_folder, "rebuilt", make) / "wheels"


@pytest.mark.parametrize("distribution", EVERY)
def test_a_wheel_built_from_the_sdist_has_the_same_files(
    wheels: Path, rebuilt: Path, distribution: str
) -> None:
    assert in_package(wheel_names(rebuilt, distribution), distribution) == in_package(
        wheel_names(wheels, distribution), distribution
    )
