"""Who may import whom, by names; import-linter's contracts see modules.

Every rule is a function from source text to violations, so that each is shown to fail on a sentence that
breaks it before it is asked of the tree.
"""

import ast
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from musicgate import model

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ("acestep", "apiin_one", "elevenlabs", "fal", "minimax", "suno_kie")

#: Values and pure rules: clock, ids and randomness come in as arguments.
PURE_MODULES = (
    *(
        "accounts",
        "assets.audio",
        "codec",
        "emulation.tones",
        "engine.breaker",
        "engine.limits",
        "errors",
        "jobs",
        "metrics",
        "model",
    ),
    *("planning", "plugin", "text", "views", "webhooks.rules", "webhooks.signing"),
)

#: What touches the world outside; a pure module or a plugin imports none of it.
IMPURE = frozenset(
    {
        *("aiohttp", "asyncio", "concurrent", "ctypes", "ftplib", "http.client", "http.server", "io.open"),
        *("multiprocessing", "os", "pathlib", "random", "secrets", "select", "selectors", "shutil", "signal"),
        *("smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "tempfile", "threading"),
        *("time", "ulid", "urllib.request", "uuid"),
    }
)

#: Library -> the modules of the core that may import it. A name covers the module and all below it.
BORDERS = {
    "aiohttp": (
        "cli.checks_here",
        "client",
        "emulation.mount",
        "http",
        "mcp.remote",
        "web",
        "webhooks.client",
    ),
    "asyncpg": ("engine.pgqueuer_run", "engine.pgqueuer_tables", "engine.pgqueuer_worker", "store"),
    "cattrs": ("codec", "settings"),
    "click": ("cli",),
    "jinja2": ("scaffold",),
    "jsonschema": ("codec.schema",),
    "jsonschema_rs": ("codec.schema",),
    "orjson": ("codec.stored", "planning.plan", "plugin.wire", "text.quick_json", "views.scalars"),
    "mcp": ("mcp.sdk",),
    "mcp_types": ("mcp.sdk",),
    "opentelemetry": ("tracing",),
    "pgqueuer": ("engine.pgqueuer_queries", "engine.pgqueuer_run", "engine.pgqueuer_tables"),
    "pluggy": ("hosting", "plugin.hooks"),
    "prometheus_client": ("web.metrics",),
    "rich": ("cli",),
    "sqlite3": ("store",),
    "standardwebhooks": ("webhooks.signing",),
    "uvloop": ("cli",),
}

#: Fields that a job or an attempt has, and no other value of the model.
JOB_FIELDS = {field.name for kind in (model.Job, model.Attempt) for field in attrs.fields(kind)} - {
    field.name
    for kind in vars(model).values()
    if attrs.has(kind) and kind not in {model.Job, model.Attempt}
    for field in attrs.fields(kind)
}

#: What a plugin may import beside the pure part of the standard library and itself.
PLUGIN_LIBRARIES = frozenset({"attr", "attrs", "musicgate", "musicgate_schemas"})

#: Rooms that export what is outside the repository: the authors' interfaces, and the program.
PUBLIC_ROOMS = frozenset({"cli", "emulation", "plugin"})

#: Addresses and paths of one machine. The lock files and the tools' settings are where they would creep in.
MACHINE_WORDS = re.compile(
    r"files\.pythonhosted\.org|pypi\.org/simple|--(?:extra-)?index-url|--find[-]links|--trusted[-]host"
    r"|file:///(?:home|opt|root|tmp|work|Users)\b|(?<![\w.])/(?:home|root|Users|work)/\w"
)


def imported_names(source: str) -> Iterator[str]:
    """Every absolute module name that the source imports, wherever in the file it is."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, module: str) -> bool:
    """Is `name` the module itself, something in it, or something below it?"""
    return name == module or name.startswith(f"{module}.")


def impure_imports(source: str) -> list[str]:
    """Imports that a pure module must not have."""
    return [name for name in imported_names(source) if any(is_within(name, impure) for impure in IMPURE)]


def strangers_in_plugin(source: str, package: str) -> list[str]:
    """Imports that a plugin must not have: I/O, clock, other plugins, libraries without a reason."""
    allowed = PLUGIN_LIBRARIES | {package} | sys.stdlib_module_names
    unknown = [name for name in imported_names(source) if name.partition(".")[0] not in allowed]
    return [*impure_imports(source), *unknown]


def smuggled_imports(source: str, module: str) -> list[str]:
    """Border libraries that this module of the core imports although another one is their border."""
    return [
        name
        for name in imported_names(source)
        for library, homes in BORDERS.items()
        if is_within(name, library) and not any(is_within(module, home) for home in homes)
    ]


def front_door_imports(source: str, modules: set[str]) -> list[str]:
    """Imports of the package `musicgate` itself, where a module of the core should name its neighbour."""
    neighbours = {module.partition(".")[0] for module in modules}
    paths = [name.split(".") for name in imported_names(source) if is_within(name, "musicgate")]
    return [".".join(path) for path in paths if not neighbours.intersection(path[1:2])]


def job_edits(source: str) -> list[str]:
    """Calls of `attrs.evolve` that change a job or an attempt, by their names or their fields.

    A store may count the version up.
    """
    tree = ast.parse(source)
    subjects = {"attempt", "current", "job"} | {
        node.arg if isinstance(node, ast.arg) else ast.unparse(node.target)
        for node in ast.walk(tree)
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None
        if {"Job", "Attempt"} & set(re.findall(r"\w+", ast.unparse(node.annotation)))
    }
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "evolve"
        if (keywords := {keyword.arg for keyword in node.keywords}) != {"version"}
        if ast.unparse(node.args[0]).rpartition(".")[2] in subjects or keywords & JOB_FIELDS
    ]


def exports(source: str) -> list[str]:
    """The names in a package's `__all__`."""
    lists = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return [name for names in lists for name in names]


def used_exports(source: str) -> set[str]:
    """What the source uses of rooms, as ``room.name``, whether it imports the name or the room."""
    tree = ast.parse(source)
    used: set[str] = set()
    rooms: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            # In `musicgate/__init__.pyi`, imports are relative.
            module = (node.module or "").removeprefix("musicgate.")
            used |= {f"{module}.{alias.name}" for alias in node.names}
            rooms |= {alias.asname or alias.name: alias.name for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.add(f"{rooms.get(node.value.id)}.{node.attr}")
    return used


def machine_words(text: str) -> list[str]:
    """Registry addresses and paths of one machine in a text."""
    return MACHINE_WORDS.findall(text)


def core_modules() -> dict[str, Path]:
    """Name of each module of the core, without the package's own name, and where it is."""
    package = ROOT / "musicgate"
    files = {path.relative_to(package).with_suffix(""): path for path in package.rglob("*.py")}
    dotted = {".".join(path.parts): file for path, file in files.items()}
    return {name.removesuffix(".__init__"): file for name, file in sorted(dotted.items())}


def plugin_files() -> list[Path]:
    """Every source file of the plugins."""
    return [
        path
        for name in PLUGINS
        for path in sorted((ROOT / f"plugins/{name}/src/musicgate_{name}").rglob("*.py"))
    ]


def tracked_texts() -> Iterator[tuple[str, str]]:
    """Path and text of every tracked file that is text."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - git is found where the developer has it
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = ROOT / name
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" not in content:
            yield name, content.decode("utf-8", errors="replace")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", ["time"]),
        ("import os.path", ["os.path"]),
        ("from asyncio import sleep", ["asyncio.sleep"]),
        ("from urllib import request", ["urllib.request"]),
        ("def late():\n    import sqlite3", ["sqlite3"]),
        ("from urllib.parse import urlsplit", []),
        ("from datetime import datetime", []),
        ("import timeit", []),
    ],
)
def test_the_walk_sees_impure_imports(source: str, expected: list[str]) -> None:
    assert impure_imports(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import requests", ["requests"]),
        ("from aiohttp import web", ["aiohttp.web", "aiohttp.web"]),
        ("import musicgate_minimax", ["musicgate_minimax"]),
        ("import random", ["random"]),
        ("from musicgate import hookimpl", []),
        ("import musicgate_suno_kie.wire, json, attrs, musicgate_schemas", []),
        ("from .options import check", []),
    ],
)
def test_the_walk_sees_strangers_in_a_plugin(source: str, expected: list[str]) -> None:
    assert strangers_in_plugin(source, "musicgate_suno_kie") == expected


@pytest.mark.parametrize(
    ("source", "module", "expected"),
    [
        ("import cattrs", "gateway.send", ["cattrs"]),
        ("from cattrs.preconf.json import make_converter", "web", ["cattrs.preconf.json.make_converter"]),
        ("import cattrs", "codec.converter", []),
        ("import jsonschema_rs", "codec.converter", ["jsonschema_rs"]),
        ("import jsonschema_rs", "codec.schema", []),
        ("import sqlite3", "gateway", ["sqlite3"]),
        ("import sqlite3", "store.sqlite", []),
        ("import pluggy", "model.provider", ["pluggy"]),
    ],
)
def test_the_walk_sees_smuggled_libraries(source: str, module: str, expected: list[str]) -> None:
    assert smuggled_imports(source, module) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import musicgate", ["musicgate"]),
        ("from musicgate import Gateway", ["musicgate.Gateway"]),
        ("from musicgate import errors", []),
        ("from musicgate.model.job import Job", []),
    ],
)
def test_the_walk_sees_front_door_imports(source: str, expected: list[str]) -> None:
    assert front_door_imports(source, {"errors", "model.job"}) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("attrs.evolve(job, warnings=())", ["attrs.evolve(job, warnings=())"]),
        ("attrs.evolve(job.attempt, native_id='n')", ["attrs.evolve(job.attempt, native_id='n')"]),
        ("def edit(one: Job) -> Job: return attrs.evolve(one, tracks=())", ["attrs.evolve(one, tracks=())"]),
        ("from attrs import evolve; evolve(read(), deadline_at=now)", ["evolve(read(), deadline_at=now)"]),
        ("def edit(new: Job) -> Job: return attrs.evolve(new, version=2)", []),
        ("attrs.evolve(update, native_status='done')", []),
        ("attrs.evolve(track, failure_message='broken')", []),
    ],
)
def test_the_walk_sees_edits_of_jobs(source: str, expected: list[str]) -> None:
    assert job_edits(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "from musicgate.views import render_job",
        "from musicgate import views as json_views\njson_views.render_job(job)",
        "from .views import render_job as render_job",
    ],
)
def test_the_walk_sees_used_exports(source: str) -> None:
    assert "views.render_job" in used_exports(source)
    assert "views.render_plan" not in used_exports(source)
    assert exports('import json\n__all__ = ["Job", "fail"]') == ["Job", "fail"]


@pytest.mark.parametrize(
    ("text", "is_clean"),
    [
        ("--index" + "-url https://example.org/simple", False),
        ("https://files.pythonhosted" + ".org/packages/x.whl", False),
        ("pluggy @ file:///" + "opt/wheels/pluggy.whl", False),
        ("source = '/" + "home/ann/song.mp3'", False),
        ("GET https://example.org/" + "work/1 or ./home/x", True),
        ("pluggy==1.7.0 --hash=sha256:00ff", True),
    ],
)
def test_the_search_sees_machine_words(text: str, *, is_clean: bool) -> None:
    assert (not machine_words(text)) is is_clean


def violations(files: dict[str, Path], rule: Callable[[str, str], list[str]]) -> dict[str, list[str]]:
    """What the rule finds, by module; an empty answer is what a test asks for."""
    found = {name: rule(path.read_text(encoding="utf-8"), name) for name, path in files.items()}
    return {name: names for name, names in found.items() if names}


def test_values_and_pure_rules_do_not_touch_the_world() -> None:
    pure = {
        name: path
        for name, path in core_modules().items()
        if any(is_within(name, module) for module in PURE_MODULES)
    }
    assert violations(pure, lambda source, _: impure_imports(source)) == {}


def test_border_libraries_stay_at_their_border() -> None:
    assert violations(core_modules(), smuggled_imports) == {}


def test_plugins_import_the_public_api_attrs_and_pure_standard_library_only() -> None:
    files = {str(path.relative_to(ROOT)): path for path in plugin_files()}
    assert {path.split("/")[1] for path in files} == set(PLUGINS)
    assert violations(files, lambda source, path: strangers_in_plugin(source, path.split("/")[3])) == {}


def test_the_core_never_imports_its_own_front_door() -> None:
    inside = {name: path for name, path in core_modules().items() if name != "__init__"}
    assert violations(inside, lambda source, _: front_door_imports(source, set(inside))) == {}


def test_every_export_of_a_room_is_used_outside_it() -> None:
    files = [*(ROOT / "musicgate").rglob("*.py*"), *(ROOT / "docs").rglob("*.py")]
    used = {
        path: used_exports(path.read_text(encoding="utf-8"))
        for path in files
        if path.suffix in {".py", ".pyi"}
    }
    unused = []
    for room in sorted((ROOT / "musicgate").glob("*/__init__.py")):
        outside = set().union(*(names for path, names in used.items() if room.parent not in path.parents))
        if room.parent.name not in PUBLIC_ROOMS:
            names = exports(room.read_text(encoding="utf-8"))
            unused += [name for name in names if f"{room.parent.name}.{name}" not in outside]
    assert unused == []


def test_jobs_and_attempts_are_edited_in_the_state_machine_only() -> None:
    inside = {
        name: path
        for name, path in core_modules().items()
        if not is_within(name, "jobs") and not is_within(name, "testing")
    }
    assert violations(inside, lambda source, _: job_edits(source)) == {}


def test_no_tracked_file_knows_a_registry_or_a_machine() -> None:
    found = {name: machine_words(text) for name, text in tracked_texts()}
    assert "pyproject.toml" in found
    assert {name: words for name, words in found.items() if words} == {}


def test_a_test_reaches_loopback_only() -> None:
    with socket.socket() as unconnected, pytest.raises(UserWarning, match=r"192\.0\.2\.1"):
        unconnected.connect(("192.0.2.1", 80))


@pytest.mark.parametrize("lock", sorted(path.name for path in (ROOT / ".ci").glob("requirements*.txt")))
def test_every_locked_package_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / ".ci" / lock).read_text(encoding="utf-8").strip()
    assert "://" not in text
    entries = re.split(r"\n(?=\S)", text)
    assert len(entries) > 10
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_test_folders_are_no_packages() -> None:
    folders = [ROOT / "tests", *ROOT.glob("plugins/*/tests"), *ROOT.glob("schemas/tests")]
    found = [path for folder in folders for path in folder.rglob("__init__.py")]
    # `make openapi-check` leaves clients and tools there.
    made = ROOT / "tests/openapi"
    assert [str(path) for path in found if made not in path.parents] == []


def test_every_distribution_ships_its_types() -> None:
    packages = [ROOT / "musicgate", ROOT / "schemas/src/musicgate_schemas"]
    packages += [ROOT / f"plugins/{name}/src/musicgate_{name}" for name in PLUGINS]
    assert [package.name for package in packages if not (package / "py.typed").is_file()] == []
