"""Commands that call no vendor: output, exit codes and error messages."""

import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from musicgate.cli import COMMANDS, cli
from musicgate.cli.error_text import as_click_error
from musicgate.errors import ConfigError


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, arguments, **options)


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, without keys and settings of this machine."""
    import os

    for name in list(os.environ):
        if name.startswith(("MUSICGATE_", "KIE_", "APIIN_", "ELEVENLABS_", "FAL_", "MINIMAX_", "ACESTEP_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- start-up and help ---


def test_help_imports_no_heavy_library() -> None:
    script = (
        "import sys, musicgate.cli\n"
        "try: musicgate.cli.main()\n"
        "finally: print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script, "--help"], capture_output=True, text=True, check=True
    )
    loaded = set(re.findall(r"'(\w+)'", done.stderr))
    assert "musicgate" in loaded
    heavy = {
        "aiohttp",
        "asyncio",
        "attr",
        "attrs",
        "cattrs",
        "jsonschema",
        "pluggy",
        "rich",
        "sqlite3",
    }
    assert loaded & heavy == set()


def test_help_lists_every_command_and_every_exit_code() -> None:
    shown = run("--help").output
    assert [name for name in COMMANDS if f"  {name} " not in shown] == []
    assert "Exit codes: 0 done, 1 failed, 2 the request" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page(name: str) -> None:
    done = run(name, "--help")
    assert (done.exit_code, done.output.startswith(f"Usage: cli {name}")) == (0, True)


def test_an_unknown_command_is_a_usage_error() -> None:
    done = run("sing")
    assert (done.exit_code, "No such command 'sing'" in done.output) == (2, True)


# --- errors ---


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (
            ConfigError("must be a number", key="follow.speed", source="m.toml"),
            3,
            "follow.speed in m.toml: must be a number",
        ),
        (PermissionError(13, "Permission denied", "song.mp3"), 1, "song.mp3: Permission denied"),
        (
            ZeroDivisionError("by zero"),
            1,
            "internal error (ZeroDivisionError: by zero); set MUSICGATE_TRACEBACK=1 to see the traceback",
        ),
    ],
)
def test_an_exception_becomes_a_message_and_an_exit_code(
    error: Exception, exit_code: int, message: str
) -> None:
    shown = as_click_error(error)
    assert (shown.exit_code, shown.message) == (exit_code, message)


def test_a_traceback_is_shown_only_with_debug_or_its_variable(
    clean_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICGATE_FOLLOW__SPEED", "fast")
    plain = run("providers")
    assert (plain.exit_code, plain.output) == (
        3, "Error: follow.speed in MUSICGATE_FOLLOW__SPEED: must be a number\n",
    )  # fmt: skip
    assert isinstance(run("--debug", "providers").exception, ConfigError)
    monkeypatch.setenv("MUSICGATE_TRACEBACK", "1")
    assert isinstance(run("providers").exception, ConfigError)


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("musicgate.codec.bundle", interrupt)
    assert run("schema", "request").exit_code == 130


def test_variables_of_the_command_line_are_not_settings(
    clean_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSICGATE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MUSICGATE_API_KEY", "test-key-not-real")
    assert run("providers").exit_code == 0


# --- commands that only read ---


def test_validate_prints_every_violation_with_its_path(clean_folder: Path) -> None:
    file = clean_folder / "request.json"
    file.write_text(
        '{"prompt": 7, "duration": true, "provider": {"order": ["suno", 1]}, "minimax": {"bitrate": 1}, "tempo": 3}'
    )
    done = run("validate", str(file))
    assert done.exit_code == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "warning: tempo: is not known here and would be ignored"
    assert lines[1] == f"Error: {file} is not a valid request, 5 violations:"
    assert {line.split(":")[0].strip() for line in lines[2:]} == {
        "model", "prompt", "duration", "provider.order[1]", "minimax.bitrate",
    }  # fmt: skip


def test_validate_as_json(clean_folder: Path) -> None:
    done = run("validate", "-", "--strict", "--json", input='{"model": "suno/v5", "tempo": 3}')
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {
        "object": "validation",
        "valid": False,
        "violations": [
            {
                "path": ["tempo"],
                "field": "tempo",
                "keyword": "additionalProperties",
                "code": "unrecognized_keys",
                "message": "is not known here",
            }
        ],
    }


@pytest.mark.parametrize(
    ("text", "exit_code"), [('{"model": "suno/v5"}', 0), ("[]", 2), ("{", 2), ('{"model": ""}', 2)]
)
def test_validate_exit_codes(clean_folder: Path, text: str, exit_code: int) -> None:
    done = run("validate", "-", input=text)
    assert done.exit_code == exit_code
    assert (done.output == "- is a valid request\n") is (exit_code == 0)


def test_validate_and_schema_load_no_plugin_and_no_server() -> None:
    script = "import sys\nfrom musicgate.cli import cli\ncli(sys.argv[1:], standalone_mode=False)\nprint(sorted(sys.modules), file=sys.stderr)"
    for arguments in (["schema", "request"], ["validate", "-"]):
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, "-c", script, *arguments],
            input='{"model": "m"}',
            capture_output=True,
            text=True,
            check=True,
        )
        loaded = set(re.findall(r"'([\w.]+)'", done.stderr))
        assert "musicgate.codec.schema" in loaded
        assert {"aiohttp", "pluggy", "musicgate.hosting.discovery", "musicgate_suno_kie"} & loaded == set()


def test_schema_contains_its_definitions_and_all_adds_those_of_plugins() -> None:
    assert run("schema").output.splitlines() == [
        "request", "job", "error", "plan", "job_list", "event", "model_list", "provider_list", "webhook",
        "webhook_delivery_list", "webhook_test", "options/suno", "options/elevenlabs", "options/minimax", "case",
    ]  # fmt: skip
    request = json.loads(run("schema", "request").output)
    assert request["$id"] == "urn:musicgate:schema:v1:request"
    assert request["$defs"]
    composed = json.loads(run("schema", "request", "--all").output)
    assert composed["properties"].keys() >= {"suno", "elevenlabs", "minimax"}
    assert (run("schema", "job", "--all").exit_code, run("schema", "nonsense").exit_code) == (2, 2)


def test_version_is_that_of_the_distribution() -> None:
    assert run("version").output == run("--version").output == f"musicgate {version('musicgate')}\n"


def test_providers_names_the_variable_of_a_missing_key(
    clean_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", "test-key-not-real")
    lines = run("providers").output.splitlines()
    assert lines[0].split() == ["PLUGIN", "PROVIDER", "STAGE", "KEY", "MODELS", "ADDRESS"]
    shown = {line.split()[0]: line for line in lines[1:]}
    assert set(shown) == {"acestep", "suno_kie", "apiin_one", "elevenlabs", "fal", "minimax"}
    assert " set  " in shown["suno_kie"]
    assert "set MINIMAX_API_KEY" in shown["minimax"]
    assert " not needed  " in shown["acestep"]
    assert "test-key-not-real" not in "".join(lines)
    data = json.loads(run("providers", "--json").output)["data"]
    assert {item["provider_plugin"]: item["configured"] for item in data} == {
        "acestep": True, "suno_kie": True, "apiin_one": False, "elevenlabs": False, "fal": False, "minimax": False,
    }  # fmt: skip


def test_models_lists_every_plugin_that_offers_a_model(clean_folder: Path) -> None:
    lines = run("models").output.splitlines()
    offers = [line.split()[1] for line in lines if line.startswith("suno/v4.5plus ")]
    assert sorted(offers) == ["apiin_one", "suno_kie"]
    data = json.loads(run("models", "--json").output)["data"]
    model = next(item for item in data if item["id"] == "suno/v4.5plus")
    assert sorted(offer["provider_plugin"] for offer in model["offers"]) == ["apiin_one", "suno_kie"]


def test_plugins_lists_a_broken_plugin_and_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = run("plugins")
    assert fine.exit_code == 0
    assert {line.split()[-1] for line in fine.output.splitlines()[1:]} == {"ok"}

    class Hollow:
        """Has no hooks, and was built for another version."""

        HOOK_API = 99

    from musicgate import hosting
    from musicgate.hosting import discovery

    load = discovery.load_plugins
    monkeypatch.setattr(hosting, "load_plugins", lambda: load({"hollow": Hollow()}))
    broken = run("plugins")
    assert broken.exit_code == 1
    assert "hook API 99" in next(line for line in broken.output.splitlines() if line.startswith("hollow "))
    listed = json.loads(run("plugins", "--json").output)["data"]
    assert [(item["name"], item["hook_api"]) for item in listed if item["error"]] == [("hollow", 99)]


def test_plan_shows_candidates_warnings_price_and_native_request(
    clean_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", "test-key-not-real")
    done = run("plan", "Hello", "--seed", "7")
    assert done.exit_code == 0
    assert "1. suno_kie, V4_5PLUS\n   price   $0.06\n" in done.output
    assert "warning seed:" in done.output
    assert "POST https://api.kie.ai/api/v1/generate" in done.output
    assert '"prompt": "Hello"' in done.output
    assert "elevenlabs: does not offer suno/v4.5plus (model_not_offered)" in done.output
    assert not (clean_folder / "data").exists()
    answer = json.loads(run("plan", "Hello", "--json").output)
    assert answer["candidates"][0]["provider_plugin"] == "suno_kie"
    strict = run("plan", "Hello", "--seed", "7", "--strict")
    assert (strict.exit_code, "seed" in strict.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["generate"], 2, "Missing PROMPT"),
        (["generate", "x", "-o", "no/such/folder.mp3"], 2, "there is no folder no/such"),
        (["generate", "x"], 3, "set KIE_API_KEY, or providers.suno_kie.api_key"),
        (["generate", "x", "-m", "no/model"], 2, "no provider offers no/model"),
        (["generate", "x", "--duration", "0", "--vocal-gender", "x"], 2, "  duration: must be greater than 0\n  vocal_gender: must be one of m, f"),
        (["generate", "x", "--only", "unknown"], 2, "no provider is left"),
        (["generate", "x", "--sandbox", "--url", "http://127.0.0.1:1"], 2, "--sandbox cannot be used with --url"),
        (["generate", "x", "--url", "ftp://x"], 2, "must begin with http:// or https://"),
        (["generate", "x", "--config", "missing.toml"], 3, "missing.toml: cannot be read"),
        (["generate", "x", "--timeout", "0"], 2, "--timeout"),
        (["fetch", "music_unknown"], 2, "no music job 'music_unknown'"),
        (["sandbox", "--switch", "=1"], 2, "NAME=VALUE"),
        (["serve", "--host", "192.0.2.1"], 3, "server.host: without [[accounts]] the server binds loopback only, not 192.0.2.1"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_without_a_traceback(
    clean_folder: Path, arguments: list[str], exit_code: int, message: str
) -> None:
    done = run(*arguments)
    assert message in done.output
    assert done.exit_code == exit_code
    assert "Traceback" not in done.output


def test_jobs_is_empty_on_a_new_machine(clean_folder: Path) -> None:
    done = run("jobs")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no jobs here yet\n")
    assert json.loads(run("jobs", "--json").stdout) == {"object": "list", "data": [], "next_cursor": None}
