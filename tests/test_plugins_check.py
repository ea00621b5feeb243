"""`musicgate plugins check` on installed plugins: good, broken, not importable, missing."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from musicgate.cli import cli
from musicgate.scaffold.names import Names
from musicgate.scaffold.project import render, write
from musicgate.scaffold.vendor import Callback, Vendor

VENDOR = Vendor.of(callback=Callback.HMAC_PARTS)

#: What `python -c` runs: the command line, with modules that cannot be imported.
_SCRIPT = """
import sys
for name in sys.argv.pop(1).split():
    sys.modules[name] = None
from musicgate.cli import main
main()
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which three plugins are installed."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("good_one", "bad_one", "sad_one"):
        install(folder, name)
    plugin = folder / "musicgate_bad_one/__init__.py"
    text = plugin.read_text()
    for right, wrong in (
        ("    draft.send_declared()\n", '    draft.send_declared()\n    draft.fields.pop("style", None)\n'),
        ('timestamp_header="X-Timestamp"', 'timestamp_header="X-Timestamp", window_s=1e9'),
    ):
        assert right in text
        text = text.replace(right, wrong)
    plugin.write_text(text)
    (folder / "musicgate_sad_one/emulation.py").unlink()
    (folder / "musicgate_sad_one/__init__.py").write_text("raise RuntimeError('not today')\n")
    return folder


def install(folder: Path, name: str) -> None:
    """Install a draft as pip would: the package, and the entry point in its metadata."""
    names = Names(name=name, provider=name)
    draft = folder / f"draft_{name}"
    write(draft, render(names, VENDOR, musicgate_version="0.1.0", today=date(2026, 11, 20)))
    (draft / "src" / names.package).rename(folder / names.package)
    metadata = folder / f"{names.package}-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {names.distribution}\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(f"[musicgate]\n{name} = {names.package}\n")


def check(site: Path, *arguments: str, without: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _SCRIPT, without, "plugins", "check", *arguments],
        env={**os.environ, "PYTHONPATH": str(site)},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )


def table(output: str) -> dict[str, tuple[str, str]]:
    """Check -> result and reason."""
    head, *rows = output.split("\n\n", maxsplit=1)[0].splitlines()
    at, why = head.index("RESULT"), head.index("WHY")
    return {row[:at].strip(): (row[at:why].strip(), row[why:].strip()) for row in rows}


def test_good_plugin_passes_without_pytest_and_without_its_tests(site: Path) -> None:
    done = check(site, "good_one", without="pytest _pytest")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = table(done.stdout)
    assert rows["it loads"] == ("passed", "")
    assert rows["good signature"] == ("passed", "")
    assert rows["recorded cases"][0] == "skipped"
    assert "no recorded cases at hand" in rows["recorded cases"][1]
    assert {result for result, _ in rows.values()} == {"passed", "skipped"}
    assert all(why for result, why in rows.values() if result == "skipped")
    summary = done.stdout.splitlines()[-1]
    passed = sum(result == "passed" for result, _ in rows.values())
    assert summary.startswith(f"good_one: {passed} passed, 0 failed, {len(rows) - passed} skipped in ")
    assert not (site / ".hypothesis").exists()


def test_cases_and_failing_switches_are_options(site: Path) -> None:
    cases = str(site / "draft_good_one/tests/cases")
    done = check(site, "good_one", "--cases", cases, "--failing", "end=failed", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    outcomes = {item["name"]: item["outcome"] for item in answer["checks"]}
    assert (outcomes["recorded_cases"], outcomes["emulated_failure"]) == ("passed", "passed")
    assert (answer["object"], answer["plugin"], answer["failed"]) == ("plugin_check", "good_one", 0)
    assert answer["passed"] + answer["skipped"] == len(answer["checks"])
    assert answer["checks"][0].keys() == {"name", "outcome", "message", "seconds"}


def test_check_is_turned_off_with_a_reason_and_not_without(site: Path) -> None:
    done = check(
        site, "bad_one", "--skip", "neutral fields=no style yet", "--skip", "old_signature=later = never"
    )
    assert done.stderr == ""
    rows = table(done.stdout)
    assert rows["neutral fields"] == ("skipped", "turned off: no style yet")
    assert rows["old signature"] == ("skipped", "turned off: later = never")
    for word, message in (
        ("offers", "offers is turned off without a reason"),
        ("ofers=x", "no check 'ofers'"),
    ):
        refused = check(site, "bad_one", "--skip", word)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr


def test_further_requests_are_used(site: Path) -> None:
    singing = '{"model": "minimax/music-2.6-free", "prompt": "Rain [emulate free=alive]", "lyrics": "Row on"}'
    rows = table(check(site, "minimax", "--request", singing).stdout)
    assert "minimax/music-2.6-free" not in rows["every offer plays"][1]
    refused = check(site, "minimax", "--request", '{"text": "Rain"}')
    assert (refused.returncode, "unexpected keyword argument 'text'" in refused.stderr) == (2, True)


def test_json_option_before_check_is_a_usage_error() -> None:
    done = CliRunner().invoke(cli, ["plugins", "--json", "check", "good_one"])
    assert (done.exit_code, "--json: put it after 'check'" in done.output) == (2, True)


def test_broken_plugin_fails_the_checks_of_its_faults(site: Path) -> None:
    done = check(site, "bad_one")
    assert done.returncode == 1
    rows = table(done.stdout)
    failed = {name: why for name, (result, why) in rows.items() if result == "failed"}
    assert "style" in failed["neutral fields"]
    assert "old signature" in failed
    assert all(failed.values())
    assert rows["it loads"] == ("passed", "")
    assert f", {len(failed)} failed, " in done.stdout.splitlines()[-1]


def test_plugin_that_cannot_be_imported_fails_it_loads(site: Path) -> None:
    done = check(site, "sad_one")
    assert done.returncode == 1
    assert table(done.stdout)["it loads"][0] == "failed"
    assert "RuntimeError: not today" in table(done.stdout)["it loads"][1]
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "without", "exit_code", "message"),
    [
        (["missing"], "", 2, "no plugin 'missing' is installed; there are"),
        (["good_one", "--cases", "nowhere"], "", 2, "'nowhere' does not exist"),
        (["good_one", "--cases", "bad_cases"], "", 2, "--cases bad_cases: bad.json:1: /mark: is required"),
        (["good_one"], "hypothesis", 1, 'hypothesis; install it with:  pip install "musicgate[testing]"'),
    ],
)
def test_missing_plugin_cases_or_package_is_reported(
    site: Path, arguments: list[str], without: str, exit_code: int, message: str
) -> None:
    (site / "bad_cases").mkdir(exist_ok=True)
    (site / "bad_cases/bad.json").write_text("{}")
    done = check(site, *arguments, without=without)
    assert (done.returncode, message in done.stderr) == (exit_code, True), done.stderr
