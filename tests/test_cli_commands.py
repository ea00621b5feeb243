"""What every command has in common: JSON, suggestions, completion, and commands instead of routes."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import musicgate
from musicgate.cli import COMMANDS, cli
from musicgate.cli.completion import SHELLS, models, plugins, providers, schemas
from musicgate.cli.error_text import as_click_error
from musicgate.cli.groups import SuggestingGroup
from musicgate.cli.play import PLAYERS
from musicgate.cli.players import names
from musicgate.cli.routes_as_commands import COMMANDS_OF_ROUTES, with_commands
from musicgate.codec import SchemaValidator, bundle
from musicgate.errors import RequestError

#: Command -> why it has no --json.
NO_JSON = {
    "serve": "it runs until a signal; its log is JSON by server.log_format",
    "sandbox": "it runs until a signal",
    "mcp": "it speaks JSON with its client until that one closes it",
    "completion": "its result is a script",
    "audit export": "it writes one JSON object a line, as the log may be of any length",
}


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(cli, arguments, **options)


def leaves(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield " ".join((*path, name)), command
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def groups(group: click.Group = cli) -> Iterator[click.Group]:
    yield group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from groups(command)


@pytest.fixture
def clean_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, with a data folder of its own."""
    monkeypatch.setenv("MUSICGATE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- JSON ---


def test_every_command_that_prints_a_result_has_json() -> None:
    found = {name for name, command in leaves() if not any(one.name == "as_json" for one in command.params)}
    assert found == set(NO_JSON)


def test_table_of_json_in_the_docs_names_every_command() -> None:
    page = Path(__file__).parents[1].joinpath("docs", "cli.md").read_text("utf-8")
    rows = re.findall(r"^\| `musicgate ([a-z ]+?)(?: --list)?` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(name for name, _ in leaves() if name not in NO_JSON)


@pytest.mark.parametrize(
    ("arguments", "keys"),
    [
        (("version",), {"object", "version"}),
        (("schema",), {"object", "data"}),
        (("models",), {"object", "data"}),
        (("providers",), {"object", "data"}),
        (("plugins",), {"object", "data"}),
        (("jobs",), {"object", "data", "next_cursor"}),
        (("emulate", "fal", "--list"), {"object", "provider_plugin", "routes", "switches"}),
        (
            ("plugins", "new", "acme_test", "--directory", "acme"),
            {"object", "plugin", "provider", "folder", "files", "lines"},
        ),
    ],
)
def test_json_is_one_object_with_stable_keys(
    clean_folder: Path, arguments: tuple[str, ...], keys: set[str]
) -> None:
    done = run(*arguments, "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout).keys() == keys


@pytest.mark.parametrize(
    ("arguments", "schema", "missing"),
    [
        (("models",), "model_list", set()),
        (("jobs",), "job_list", set()),
        (("providers",), "provider_list", {"health", "waiting"}),
        (("plan", "Hello", "-m", "suno/v5"), "plan", set()),
    ],
)
def test_json_is_valid_by_the_schema_of_the_http_answer(
    clean_folder: Path, arguments: tuple[str, ...], schema: str, missing: set[str]
) -> None:
    answer = json.loads(run(*arguments, "--json").stdout)
    found = SchemaValidator(bundle(schema)).violations(answer)
    assert {(one.keyword, one.path[-1]) for one in found} == {("required", name) for name in missing}


def test_emulate_refuses_json_without_the_list() -> None:
    done = run("emulate", "fal", "--json")
    assert (done.exit_code, "--json is for --list" in done.stderr) == (2, True)


# --- suggestions ---


def test_every_group_suggests_commands() -> None:
    assert [type(group) for group in groups() if not isinstance(group, SuggestingGroup)] == []


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["job"], "No such command 'job'; did you mean jobs?"),
        (["assets", "verfy"], "No such command 'verfy'; did you mean verify?"),
        (["plugins", "chek"], "No such command 'chek'; did you mean check?"),
        (["store", "xyz"], "No such command 'xyz'."),
        (["models", "--jsno"], "Did you mean"),
        (["schema", "reqest"], "There is no schema 'reqest'; did you mean request?"),
        (["emulate", "suno_ki"], "no provider plugin 'suno_ki' is installed; did you mean suno_kie?"),
        (["plan", "x", "-m", "suno/v9"], "; did you mean suno/v"),
        (["plan", "x", "--only", "sunno_kie"], "(did you mean suno_kie, not sunno_kie?)"),
    ],
)
def test_misspelt_name_gets_the_one_that_was_meant(
    clean_folder: Path, arguments: list[str], hint: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert hint in done.stderr


# --- commands instead of routes ---


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("no model; GET /v1/music/models lists them", "no model; musicgate models lists them"),
        ("GET /v1/music/generate/music_1 shows it", "musicgate fetch JOB shows it"),
        ("see GET /v1/music/generations/{music_id}/audio/0.", "see musicgate fetch JOB."),
        ("POST /v1/music/generate/{id}/cancel stops it", "musicgate cancel JOB stops it"),
        ("GET /v1/music/generate/{id}/events stays", "GET /v1/music/generate/{id}/events stays"),
        ("GET /v1/music/modelsx stays", "GET /v1/music/modelsx stays"),
        ("no route", "no route"),
    ],
)
def test_messages_name_commands(message: str, shown: str) -> None:
    assert with_commands(message) == shown


def test_error_of_a_command_names_a_command(clean_folder: Path) -> None:
    done = run("plan", "x", "-m", "no/model")
    assert (done.exit_code, "musicgate models lists what there is" in done.stderr) == (2, True)
    assert "/v1/" not in done.stderr
    # Over HTTP the text is as it was.
    assert "GET /v1" in as_click_error(RequestError("not_found", "see GET /v1/music/models")).message


def test_message_of_a_server_keeps_its_routes(clean_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musicgate.cli import remote

    async def refuse(*_: object, **__: object) -> None:
        raise RequestError("not_found", "see GET /v1/music/models")

    monkeypatch.setattr(remote, "generate_remotely", refuse)
    done = run("generate", "x", "--url", "http://127.0.0.1:1")
    assert (done.exit_code, "see GET /v1/music/models" in done.stderr) == (2, True)


def test_every_route_stands_for_a_command_that_exists() -> None:
    words = {
        command.removeprefix("musicgate ").removesuffix(" JOB") for command in COMMANDS_OF_ROUTES.values()
    }
    assert words - set(COMMANDS) == set()


def test_no_message_of_the_gateway_names_a_route_without_a_command() -> None:
    folder = Path(musicgate.__file__).parent
    routes = re.compile(r"(?:GET|POST|DELETE) /(?:v1|readyz|livez|metrics)")
    left = []
    for path in folder.rglob("*.py"):
        room = path.relative_to(folder).parts[0]
        if room in {"web", "emulation", "testing", "scaffold", "cli"}:
            continue
        source = path.read_text("utf-8")
        if not routes.search(source):
            continue
        tree = ast.parse(source)
        raised = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        docstrings = {
            node.body[0].value
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        left += [
            node.value
            for node in raised
            if node not in docstrings
            and isinstance(node.value, str)
            and routes.search(node.value)
            and routes.search(with_commands(node.value))
        ]
    assert left == []


# --- completion ---


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_script_calls_musicgate(shell: str) -> None:
    done = run("completion", shell)
    assert (done.exit_code, f"_MUSICGATE_COMPLETE={shell}_complete" in done.stdout) == (0, True)


def completed(words: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is told for a line that ends with these words."""
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
    monkeypatch.setenv("_MUSICGATE_COMPLETE", "bash_complete")
    done = CliRunner().invoke(cli, [], prog_name="musicgate")
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_options_and_names_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed("musicgate mod", monkeypatch) == ["models"]
    assert completed("musicgate plugins ch", monkeypatch) == ["check"]
    assert completed("musicgate assets ver", monkeypatch) == ["verify"]
    assert completed("musicgate doctor --of", monkeypatch) == ["--offline"]
    assert "suno/v5" in completed("musicgate generate -m suno/", monkeypatch)
    assert completed("musicgate plan x --only suno_", monkeypatch) == ["suno_kie"]
    assert completed("musicgate emulate el", monkeypatch) == ["elevenlabs"]
    assert completed("musicgate schema options/m", monkeypatch) == ["options/minimax"]


def test_plugins_that_cannot_be_loaded_complete_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from musicgate import hosting

    def fail() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(hosting, "load_plugins", fail)
    context, parameter = click.Context(cli), click.Argument(["x"])
    assert [one(context, parameter, "s") for one in (models, providers, plugins)] == [[], [], []]
    assert schemas(context, parameter, "req") == ["request"]


def test_completion_of_commands_imports_no_heavy_library() -> None:
    script = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted(sys.modules), file=sys.stderr))\n"
        "import musicgate.cli\n"
        "musicgate.cli.main()\n"
    )
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script],
        env={"COMP_WORDS": "musicgate g", "COMP_CWORD": "1", "_MUSICGATE_COMPLETE": "bash_complete"}
        | {"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "plain,generate\n"
    loaded = set(re.findall(r"'([\w.]+)'", done.stderr))
    assert {
        "aiohttp",
        "attrs",
        "pluggy",
        "rich",
        "musicgate.cli.generate",
        "musicgate.cli.doctor",
    } & loaded == set()


def test_players_of_the_option_are_those_that_are_known() -> None:
    assert names() == PLAYERS
