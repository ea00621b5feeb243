"""`musicgate plugins new` writes drafts that pass the kit; the example provider runs as well."""

import asyncio
import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import attrs
import pytest
from click.testing import CliRunner, Result

import musicgate_harmonia
from musicgate.cli import cli
from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.hosting import PluginHost, load_plugins
from musicgate.model import JobState
from musicgate.scaffold.names import Names, objection
from musicgate.scaffold.project import render, write
from musicgate.scaffold.vendor import Callback, Kind, Vendor
from musicgate.settings import Settings
from musicgate.testing.compliance import Outcome, Subject, run_checks
from musicgate.web.serve import serve

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
FAST = 100.0
AUTH = ("Authorization: Bearer", "X-Key", "Authorization: Token")
MODELS = (("v1",), ("Small", "large-2.5"))
#: Every callback with and without a cancel call; the headers and numbers of models take turns.
MIXED = {
    f"mix_{number}": Vendor.of(
        callback=callback,
        cancel=cancel,
        auth_header=AUTH[number % 3],
        models=MODELS[number // 2 % 2],
        base_url="https://music.example/api" if number % 2 else None,
    )
    for number, (callback, cancel) in enumerate(product(Callback, (False, True)))
}
FULL = Vendor.of(models=MODELS[1], auth_header="X-Key", callback=Callback.HMAC_BODY, cancel=True)
SLOW = Vendor.of(kind=Kind.BLOCKING)
#: Short, usual and longest names: the draft must be well formed with each.
DRAFTS = {
    "dawn_chorus": FULL,
    "slow_box": SLOW,
    "x": Vendor.of(callback=Callback.HMAC_PARTS, cancel=True, auth_header="X-Key"),
    "y": Vendor.of(kind=Kind.BLOCKING, auth_header="X-Key", models=MODELS[1]),
    "abcdefghij_abcdefghij_abcdefgp": attrs.evolve(FULL, models=("one", "two", "three", "four")),
    "abcdefghij_abcdefghij_abcdefgb": SLOW,
    **MIXED,
}
LOADED = ("dawn_chorus", "slow_box", "y", *MIXED)


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A draft with each name, by name."""
    folder = tmp_path_factory.mktemp("drafts")
    for name, vendor in DRAFTS.items():
        names = Names(name=name, provider=name)
        write(folder / name, render(names, vendor, musicgate_version="0.1.0", today=date(2026, 11, 20)))
    return {name: folder / name for name in DRAFTS}


@pytest.fixture(scope="module")
def modules(drafts: dict[str, Path]) -> Iterator[dict[str, ModuleType]]:
    """Drafts, imported."""
    paths = [str(drafts[name] / "src") for name in LOADED]
    sys.path[:0] = paths
    yield {name: importlib.import_module(f"musicgate_{name}") for name in LOADED}
    for path in paths:
        sys.path.remove(path)


@pytest.fixture(scope="module")
def host(modules: dict[str, ModuleType]) -> PluginHost:
    """The built-in plugins, two drafts and the example."""
    drafts = {name: modules[name] for name in ("dawn_chorus", "slow_box")}
    return load_plugins({**drafts, "harmonia": musicgate_harmonia})


NEW = ("plugins", "new", "dawn_choir", "--directory")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


# --- drafts ---


@pytest.mark.parametrize("name", LOADED)
def test_draft_passes_the_compliance_kit(
    drafts: dict[str, Path], modules: dict[str, ModuleType], name: str
) -> None:
    vendor = DRAFTS[name]
    failing = {"end": "failed"} if vendor.kind is Kind.POLLING else None
    cases = drafts[name] / "tests/cases"
    results = run_checks(Subject.of_module(modules[name], cases=cases, failure_switches=failing))
    assert [result for result in results if result.outcome is Outcome.FAILED] == []
    skips = {result.name for result in results if result.outcome is Outcome.SKIPPED}
    assert "recorded_cases" not in skips
    assert ("cancel_stops_the_song" in skips) is not vendor.cancel
    assert ("callback_adopts_a_job" in skips) is (vendor.callback is Callback.NONE)
    assert ("good_signature" in skips) is (vendor.callback in {Callback.NONE, Callback.UNSIGNED})


def test_draft_has_at_most_150_lines_of_source(drafts: dict[str, Path]) -> None:
    for name, folder in drafts.items():
        lines = [path.read_text().count("\n") for path in (folder / "src").rglob("*.py")]
        # Each model beyond what fits into a line has one of its own.
        assert sum(lines) <= 150 + (6 if name.endswith("abcdefgp") else 0), name


def test_own_tests_of_a_draft_pass(drafts: dict[str, Path]) -> None:
    for name in LOADED[:3]:
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


def mypy_in(folder: Path, *arguments: Path) -> str:
    done = subprocess.run(  # noqa: S603 - our own type checker
        # With a cache of their own musicgate itself need not be read each time.
        [BIN / "mypy", f"--cache-dir={ROOT / '.mypy_cache/drafts'}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_mypy_needs_no_arguments_in_a_draft(drafts: dict[str, Path]) -> None:
    assert mypy_in(drafts["dawn_chorus"]) == "Success: no issues found in 3 source files\n"


def test_sources_of_all_drafts_are_clean_for_mypy_strict(drafts: dict[str, Path]) -> None:
    sources = [folder / "src" for folder in drafts.values()]
    found = f"Success: no issues found in {2 * len(sources)} source files\n"
    assert mypy_in(drafts["dawn_chorus"], *sources) == found


def test_draft_has_these_files_and_its_entry_point(drafts: dict[str, Path]) -> None:
    folder = drafts["dawn_chorus"]
    made = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    package = "src/musicgate_dawn_chorus"
    expected = {f"{package}/{part}" for part in ("__init__.py", "emulation.py", "py.typed")}
    expected |= {"README.md", "pyproject.toml", "tests/test_dawn_chorus.py", "tests/cases/answers.json"}
    assert {place for place in made if "cache" not in place} == expected
    pyproject = (folder / "pyproject.toml").read_text()
    assert '[project.entry-points.musicgate]\ndawn_chorus = "musicgate_dawn_chorus"' in pyproject
    assert 'name = "musicgate-dawn-chorus"' in pyproject


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
            "musicgate-dawn-choir: a polling plugin of 119 lines that passes the kit\n\n"
            "  cd musicgate-dawn-choir && pip install -e '.[test]'\n"
            "  musicgate plugins check dawn_choir && pytest && ruff check && mypy\n"
            '  musicgate generate "Warm jazz trio" --model suno/v1 --sandbox\n'
            "  grep -rn EXAMPLE src tests    # what to replace with the vendor's facts\n"
        ),
    )
    written = (tmp_path / "musicgate-dawn-choir/src/musicgate_dawn_choir/__init__.py").read_text()
    assert 'name="suno"' in written
    assert 'MODELS: Final = {"suno/v1": "v1"}' in written
    assert 'option_block="dawn_choir"' in written


def test_new_writes_what_its_options_say(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    where = ("--directory", str(folder), "--base-url", "https://api.choir.example/v2")
    done = run(
        *("plugins", "new", "slow_choir", "--models", " Tiny, big-2,", "--auth-header", "X-Choir-Key"),
        *("--callback", "hmac-body", "--cancel", *where),
    )
    assert (done.exit_code, "a polling plugin of 147 lines" in done.output) == (0, True), done.output
    written = (folder / "src/musicgate_slow_choir/__init__.py").read_text()
    assert 'MODELS: Final = {"slow_choir/tiny": "Tiny", "slow_choir/big-2": "big-2"}' in written
    assert 'HeaderAuth(header="X-Choir-Key", scheme="")' in written
    assert 'base_url="https://api.choir.example/v2",\n' in written
    assert "def cancel_request(" in written


def test_blocking_draft_is_not_polled(tmp_path: Path) -> None:
    assert "a blocking plugin" in run(*NEW, str(tmp_path / "new"), "--blocking").output
    written = (tmp_path / "new/src/musicgate_dawn_choir/__init__.py").read_text()
    assert "blocking=True" in written
    assert "def poll_request(" not in written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--models", "a,b c"], "--models: 'b c' is no model name: letters, digits, dots"),
        (["--models", "One,one"], "--models: 'one' is there twice; public ids do not differ by case"),
        (["--models", " , "], "--models: names no model"),
        (
            ["--auth-header", "X Key"],
            "--auth-header: 'X Key' is no header name: write X-Key for the bare key",
        ),
        (["--auth-header", "Authorization:"], "--auth-header: 'Authorization' is no header name"),
        (["--auth-header", "X-Key: two words"], "--auth-header: 'X-Key'"),
        (["--base-url", "http://acme.example"], "--base-url: 'http://acme.example' is no https address"),
        (["--base-url", "https://acme.example/"], "without a trailing slash"),
        (["--blocking", "--callback", "unsigned"], "--callback: a call that lasts as long as the song"),
        (["--blocking", "--cancel"], "--cancel: a call that lasts as long as the song has no id"),
        (["--callback", "rsa"], "'rsa' is not one of 'none', 'unsigned', 'hmac-body', 'hmac-parts'"),
    ],
)
def test_option_that_cannot_be_is_refused_by_its_name(
    tmp_path: Path, options: list[str], message: str
) -> None:
    done = run(*NEW, str(tmp_path / "new"), *options)
    assert (done.exit_code, message in done.output) == (2, True), done.output
    assert list(tmp_path.iterdir()) == []


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
        ({"model": "dawn_chorus/small", "dawn_chorus": {"creativity": 0.5}}, "dawn_chorus"),
        ({"model": "slow_box/v1", "slow_box": {"seconds": 20}}, "slow_box"),
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
