"""`musicgate plugins new` writes drafts that pass the kit; the example provider runs as well."""

import asyncio
import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

import musicgate_harmonia
from musicgate.cli import cli
from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.hosting import PluginHost, load_plugins
from musicgate.model import JobState
from musicgate.scaffold.names import Names, objection
from musicgate.scaffold.project import Kind, render, write
from musicgate.settings import Settings
from musicgate.testing.compliance import Outcome, Subject, run_checks
from musicgate.web.serve import serve

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
FAST = 100.0
#: Short, usual and longest names: the draft must be well formed with each.
DRAFTS = {
    "dawn_chorus": Kind.POLLING,
    "slow_box": Kind.BLOCKING,
    "x": Kind.POLLING,
    "y": Kind.BLOCKING,
    "abcdefghij_abcdefghij_abcdefgp": Kind.POLLING,
    "abcdefghij_abcdefghij_abcdefgb": Kind.BLOCKING,
}
LOADED = ("dawn_chorus", "slow_box")


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A draft with each name, by name."""
    folder = tmp_path_factory.mktemp("drafts")
    for name, kind in DRAFTS.items():
        names = Names(name=name, provider=name)
        write(folder / name, render(names, kind, musicgate_version="0.1.0", today=date(2026, 11, 20)))
    return {name: folder / name for name in DRAFTS}


@pytest.fixture(scope="module")
def modules(drafts: dict[str, Path]) -> Iterator[dict[str, ModuleType]]:
    """Two drafts, imported."""
    paths = [str(drafts[name] / "src") for name in LOADED]
    sys.path[:0] = paths
    yield {name: importlib.import_module(f"musicgate_{name}") for name in LOADED}
    for path in paths:
        sys.path.remove(path)


@pytest.fixture(scope="module")
def host(modules: dict[str, ModuleType]) -> PluginHost:
    """The built-in plugins, the two drafts and the example."""
    return load_plugins({**modules, "harmonia": musicgate_harmonia})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


# --- drafts ---


@pytest.mark.parametrize(("name", "skipped"), [("dawn_chorus", 8), ("slow_box", 25)])
def test_draft_passes_the_compliance_kit(
    drafts: dict[str, Path], modules: dict[str, ModuleType], name: str, skipped: int
) -> None:
    failing = {"end": "failed"} if DRAFTS[name] is Kind.POLLING else None
    cases = drafts[name] / "tests/cases"
    results = run_checks(Subject.of_module(modules[name], cases=cases, failure_switches=failing))
    assert [result for result in results if result.outcome is Outcome.FAILED] == []
    skips = {result.name: result.message for result in results if result.outcome is Outcome.SKIPPED}
    assert len(skips) <= skipped, skips
    assert "recorded_cases" not in skips


def test_own_tests_of_a_draft_pass(drafts: dict[str, Path]) -> None:
    for name in LOADED:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-k",
                "translated_for_the_vendor",
            ],
            cwd=drafts[name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_every_draft_is_clean_for_ruff_by_its_own_rules(drafts: dict[str, Path]) -> None:
    folder = drafts["x"].parent
    for arguments in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        done = subprocess.run(  # noqa: S603 - our own linter
            [BIN / "ruff", *arguments, folder], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_drafts_are_clean_for_mypy_strict(drafts: dict[str, Path]) -> None:
    folders = [drafts[name] for name in LOADED]
    done = subprocess.run(  # noqa: S603 - our own type checker
        [
            BIN / "mypy",
            f"--config-file={folders[0] / 'pyproject.toml'}",
            f"--cache-dir={ROOT / '.mypy_cache/drafts'}",  # musicgate itself need not be read each time
            *(folder / part for folder in folders for part in ("src", "tests")),
        ],
        cwd=folders[0],
        env={"MYPYPATH": ":".join(str(folder / "src") for folder in folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Success: no issues found in 17 source files" in done.stdout) == (0, True), (
        done.stdout + done.stderr
    )


def test_draft_has_these_files_and_its_entry_point(drafts: dict[str, Path]) -> None:
    folder = drafts["dawn_chorus"]
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    package = "src/musicgate_dawn_chorus"
    parts = ["__init__", "callback", "declaration", "emulation", "read", "refusals", "switches", "translate"]
    expected = {f"{package}/{part}.py" for part in parts}
    expected |= {"README.md", "pyproject.toml", f"{package}/py.typed", "tests/test_dawn_chorus.py"}
    assert {place for place in made if "/cases/" not in place and "cache" not in place} == expected
    assert sum("/cases/" in place for place in made) == 7
    pyproject = (folder / "pyproject.toml").read_text()
    assert '[project.entry-points.musicgate]\ndawn_chorus = "musicgate_dawn_chorus"' in pyproject
    assert 'name = "musicgate-dawn-chorus"' in pyproject
    assert not (drafts["slow_box"] / "src/musicgate_slow_box/callback.py").exists()


def test_every_case_of_a_draft_is_marked_as_assumed(drafts: dict[str, Path]) -> None:
    marks = {json.loads(path.read_text())["mark"] for path in drafts["x"].glob("tests/cases/*.json")}
    assert marks == {"ASSUMED"}


# --- the command ---


def test_new_writes_a_distribution_and_prints_the_next_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("plugins", "new", "dawn_choir", "--provider", "suno")
    assert (done.exit_code, done.output) == (
        0,
        (
            "musicgate-dawn-choir: 19 files, a polling plugin that passes the kit\n\n"
            "  cd musicgate-dawn-choir && pip install -e '.[test]'\n"
            "  musicgate plugins check dawn_choir && pytest\n"
            "  grep -rn EXAMPLE src tests    # what to replace with the vendor's facts\n"
        ),
    )
    declared = (tmp_path / "musicgate-dawn-choir/src/musicgate_dawn_choir/declaration.py").read_text()
    assert 'name="suno"' in declared
    assert 'model="suno/v1"' in declared
    assert 'OPTION_BLOCK: Final = "dawn_choir"' in declared


def test_new_writes_a_blocking_plugin_into_the_given_directory(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    done = run("plugins", "new", "slow_choir", "--blocking", "--directory", str(folder))
    assert (done.exit_code, "15 files, a blocking plugin" in done.output) == (0, True)
    assert "blocking=True" in (folder / "src/musicgate_slow_choir/declaration.py").read_text()


def test_next_steps_quote_the_directory_for_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my songs"
    assert f"  cd '{folder}' && pip" in run("plugins", "new", "dawn_choir", "--directory", str(folder)).output


def test_existing_directory_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    done = run("plugins", "new", "dawn_choir", "--directory", str(tmp_path / "there"))
    assert (done.exit_code, "exists already; nothing was written" in done.output) == (2, True)
    assert list((tmp_path / "there").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Vendor", "is no plugin name: small letters, digits and single underscores, a letter first; my_vendor would do"),
        ("2much", "a letter first\n"),
        ("a__b", "a letter first; a_b would do"),
        ("a_", "a letter first; a would do"),
        ("../x", "a letter first; x would do"),
        ("é", "a letter first\n"),
        ("a" * 31, "at most 30 characters"),
        ("suno_kie", "is taken by the installed plugin suno_kie"),
        ("suno", "is taken by the installed plugin suno_kie"),
        ("prompt", "is a field of every request"),
        ("schemas", "a module musicgate_schemas is installed already"),
    ],
)  # fmt: skip
def test_invalid_or_taken_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("plugins", "new", name)
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("provider", "reason"),
    [
        ("suno", None),
        ("my-vendor", None),
        ("My Vendor", "'My Vendor' is no provider name: small letters, digits, and single dashes or underscores"),
        ("suno_kie", "'suno_kie' is an installed plugin, not a provider"),
    ],
)  # fmt: skip
def test_provider_name_may_be_shared_but_not_be_a_plugin(provider: str, reason: str | None) -> None:
    assert objection(Names(name="dawn", provider=provider), load_plugins().records, (), ()) == reason


def test_broken_plugin_keeps_its_name() -> None:
    records = load_plugins({"hollow": object()}, installed=False).records
    assert records[0].error
    reason = objection(Names(name="hollow", provider="hollow"), records, (), ())
    assert reason == "'hollow' is taken by the installed plugin hollow"


def test_missing_template_engine_is_reported_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for module in ("musicgate.scaffold", "musicgate.scaffold.project"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = run("plugins", "new", "dawn_choir")
    assert (done.exit_code, 'jinja2; install it with:  pip install "musicgate[testing]"' in done.output) == (
        1,
        True,
    )


# --- drafts and the example, through server and sandbox ---


@pytest.mark.parametrize(
    ("body", "plugin"),
    [
        ({"model": "dawn_chorus/v1", "dawn_chorus": {"creativity": 0.5}}, "dawn_chorus"),
        ({"model": "slow_box/v1", "slow_box": {"mood": "dark"}}, "slow_box"),
        ({"model": "harmonia/allegro", "harmonia": {"tempo_bpm": 90, "instruments": ["oud"]}}, "harmonia"),
        ({"model": "harmonia/largo-1", "format": "wav", "instrumental": True}, "harmonia"),
    ],
)
async def test_third_party_provider_runs_through_server_and_sandbox(
    host: PluginHost, body: dict[str, Any], plugin: str
) -> None:
    async with (
        sandbox(Settings(), host, speed=FAST) as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", 0) as (address, port),
        aiohttp.ClientSession(f"http://{address}:{port}") as session,
    ):
        async with session.post("/v1/music/generate", json={"prompt": "Rain", **body}) as response:
            made = await response.json()
            assert response.ok, made
        job = await gateway.wait(made["id"], 20)
        async with session.get(f"/v1/music/generate/{job.id}/audio/0") as response:
            audio = await response.read()
        wrong = {"model": body["model"], "prompt": "Rain", plugin: {"tuba": 1}}
        async with session.post("/v1/music/generate", json=wrong) as response:
            refused = await response.json()
    assert (job.state, job.plugin) == (JobState.COMPLETED, plugin)
    assert audio.startswith(b"RIFF" if body.get("format") == "wav" else (b"ID3", b"\xff"))
    assert (response.status, "tuba" in json.dumps(refused)) == (400, True)


async def test_signed_callback_of_the_example_reaches_the_gateway(
    host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = asyncio.Event()
    original = Gateway.callback

    async def record(gateway: Gateway, *arguments: Any) -> None:
        await original(gateway, *arguments)
        received.set()

    monkeypatch.setattr(Gateway, "callback", record)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    async with (
        sandbox(Settings(), host, speed=FAST, public_url=f"http://127.0.0.1:{port}") as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", port),
    ):
        job = await gateway.submit(gateway.read({"model": "harmonia/allegro", "prompt": "Rain"}))
        async with asyncio.timeout(10):
            await received.wait()
        job = await gateway.wait(job.id, 20)
    assert job.state is JobState.COMPLETED


def test_no_file_outside_the_examples_names_the_example() -> None:
    trees = ("musicgate", "plugins", "schemas")
    files = [
        path
        for tree in trees
        for path in (ROOT / tree).rglob("*")
        if path.suffix in {".py", ".json", ".jinja"}
    ]
    assert len(files) > 100
    assert [path for path in files if b"harmonia" in path.read_bytes().lower()] == []
