"""The pages: generated ones are fresh, links and named files exist, and code blocks run or are valid."""

import ast
import asyncio
import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

import docs.generate
import docs.hooks_page
import musicgate_schemas
from musicgate.cli import cli
from musicgate.codec.schema import SchemaValidator, bundle
from musicgate.emulation.sandbox import sandbox
from musicgate.gateway import Gateway
from musicgate.hosting.discovery import load_plugins
from musicgate.settings import Settings
from musicgate.testing.cases import load_cases
from musicgate.web.serve import serve
from tests.free_port import free_port
from tests.pages import NAMES, PAGES, ROOT, Block, blocks_of, prose

#: Kinds of blocks. All are checked below but `js` (in schemas/tests), `text` and drawings (no kind).
KINDS = {"", "js", "json", "python", "sh", "text", "toml", "ts"}
#: Programs that a shell block may call, beside those whose arguments are checked.
OTHER_PROGRAMS = {"cd", "export", "pytest", "python3", "sh"}
#: Its curl lines are run by tests/e2e/test_e2e_docs.py; some of them are refused on purpose.
HTTP_PAGE = "docs/http.md"
#: Schema -> keys that mark its blocks; the first match counts. A block that matches none need only parse.
KEYS_OF_SCHEMA = {
    "job": {"object", "nativeResponseId"},
    "plan": {"object", "candidates"},
    "error": {"error", "status_code"},
    "request": {"model"},
}
#: Keys of a recorded case.
CASE_KEYS = {"mark", "source", "step", "expect"}


def blocks(*kinds: str) -> list[Any]:
    """Every block of these kinds, as test parameters."""
    return [
        pytest.param(block, id=f"{block.page}:{block.line}")
        for path in PAGES
        for block in blocks_of(path)
        if block.kind in kinds
    ]


def commands(code: str) -> list[list[str]]:
    """The words of each command of a shell block, without the variables that are set for it."""
    found: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


def unknown_in(words: list[str]) -> str:
    """Name the command or options of ``musicgate ...`` that do not exist. Values are not checked."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(context, rest[0])
        if found is None:
            return f"no command {rest[0]}"
        command = found
        rest.pop(0)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--help", "-h"}
    unknown = [word for word in rest if word.startswith("-") and word.split("=")[0] not in options]
    return f"no option {', '.join(unknown)}" if unknown else ""


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_generated_pages_are_fresh() -> None:
    for path, text in docs.generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make docs`"


def test_check_names_the_stale_page_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old", encoding="utf-8")
    monkeypatch.setattr(docs.generate, "ROOT", tmp_path)
    monkeypatch.setattr(docs.generate, "pages", lambda: {page: "new"})
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    with pytest.raises(SystemExit, match=r"stale: page.md"):
        docs.generate.main()
    assert page.read_text(encoding="utf-8") == "old"
    monkeypatch.setattr(sys, "argv", ["generate.py"])
    docs.generate.main()
    assert page.read_text(encoding="utf-8") == "new"


def test_generator_runs_as_a_script_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)  # noqa: S603 - our own script
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("hook", ["provider", "translate_request", "parse_response", "job_changed"])
def test_hook_page_describes_each_hook(hook: str) -> None:
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    section = text.split(f"\n### {hook}\n")[1].split("\n### ")[0]
    assert f"\ndef {hook}(" in section
    assert len(section.split()) > 20


def test_provider_page_shows_the_declaration_of_an_offer() -> None:
    text = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    assert "| `minimax/music-3.0` | minimax | 1 | - | mp3, wav | ✓ | ✓ | - | ✓ | ✓ | ✓ | - |" in text
    assert "| `minimax/music-3.0` | minimax | `music-3.0` | 2 000 | 3 500 | - | - | 5 min |" in text
    assert '| `default_model` | string | `"music-2.6"` |' in text


def test_docstrings_become_markdown() -> None:
    class Value:
        """A value: ``x``.

        Attributes:
            size_s: how long,
                in seconds.

        Raises:
            ValueError: never.
        """

    described: dict[str, str] = {}
    text = docs.hooks_page.prose_of(Value, described)
    assert text == "A value: `x`.\n\n\n**Raises**\n\n- `ValueError`: never."
    assert described == {"size_s": "how long, in seconds."}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_links_lead_to_files_and_headings_that_exist(path: Path) -> None:
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_block_has_a_known_kind(path: Path) -> None:
    assert {block.kind for block in blocks_of(path)} <= KINDS


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles_and_its_imports_exist(block: Block) -> None:
    tree = ast.parse(block.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
        elif isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


@pytest.mark.parametrize("block", blocks("json"))
def test_json_is_valid_by_its_schema(block: Block, tmp_path: Path) -> None:
    value = json.loads(block.code)
    if isinstance(value, dict) and (set(value) >= CASE_KEYS or "cases" in value):
        (tmp_path / "case.json").write_text(block.code, encoding="utf-8")
        assert len(load_cases(tmp_path)) == len(value.get("cases", [value]))
        return
    schema = next(
        (name for name, keys in KEYS_OF_SCHEMA.items() if isinstance(value, dict) and keys <= set(value)),
        None,
    )
    if schema is not None:
        assert SchemaValidator(bundle(schema)).violations(value) == ()


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_parses(block: Block) -> None:
    assert tomllib.loads(block.code)


@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_and_their_options_exist(block: Block) -> None:
    for program, *words in commands(block.code):
        match Path(program).name:
            case "musicgate":
                assert unknown_in(words) == ""
            case "make":
                assert {word for word in words if "=" not in word} <= make_targets()
            case "pip":
                assert words[0] in {"install", "uninstall"}
                folders = [word for word in words if word.startswith("./")]
                assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
            case "python":
                assert (ROOT / words[0]).is_file() or words[0] == "-m"
            case "curl" if block.page == HTTP_PAGE:
                pass
            case "curl":
                for body in [words[place + 1] for place, word in enumerate(words) if word == "-d"]:
                    assert SchemaValidator(bundle("request")).violations(json.loads(body)) == ()
            case name:
                assert name in OTHER_PROGRAMS


async def test_python_of_the_client_page_makes_songs(tmp_path: Path) -> None:
    """Unchanged but for the address."""
    host, url = load_plugins(), f"http://127.0.0.1:{free_port()}"
    blocks = [block.code for block in blocks_of(ROOT / "docs/client.md") if block.kind == "python"]
    program = "\n".join(blocks).replace("http://127.0.0.1:8080", url)
    async with (
        sandbox(Settings(), host, speed=50.0, public_url=url) as settings,
        Gateway.open(settings, plugins=host) as gateway,
        serve(gateway, "127.0.0.1", int(url.rpartition(":")[2])),
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-c", program),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 40)
    lines = out.decode().splitlines()
    assert (process.returncode, err.decode()) == (0, "")
    assert (lines[:3], lines[-1].startswith("completed ")) == (
        ["trio-0.mp3", "trio-1.mp3", "1 created"],
        True,
    )


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_named_in_prose_exist(path: Path) -> None:
    for span in re.findall(r"`((?:\.venv/bin/)?(?:musicgate|make) [^`]+)`", prose(path)):
        program, *words = shlex.split(span)
        if program == "make":
            assert words[0] in make_targets(), span
        else:
            assert unknown_in(words) == "", span


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("generate hello -o song.mp3", ""),
        ("schema request --all", ""),
        ("compose hello", "no command compose"),
        ("generate hello --louder", "no option --louder"),
    ],
)
def test_unknown_commands_and_options_are_found(words: str, complaint: str) -> None:
    assert unknown_in(words.split()) == complaint


@pytest.mark.parametrize("number", [0, 1], ids=["generate", "handle"])
async def test_python_in_the_readme_makes_a_song(tmp_path: Path, number: int) -> None:
    """Unchanged: it reads `musicgate.toml`, which names emulated vendors here."""
    program = [block.code for block in blocks_of(ROOT / "README.md") if block.kind == "python"][number]
    async with sandbox(Settings(), load_plugins(), speed=50.0) as emulated:
        lines = [
            f'store.url = "sqlite:///{tmp_path}/jobs.db"',
            f'assets.url = "file://{tmp_path}/audio"',
            "network.allow_private_addresses = true",
            "follow.speed = 50.0",
        ]
        for name, table in emulated.providers.items():
            lines += [f"providers.{name}.{key} = {json.dumps(value)}" for key, value in table.items()]
        (tmp_path / "musicgate.toml").write_text("\n".join(lines), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 40)
    kept = await asyncio.to_thread(lambda: list(tmp_path.rglob("*.mp3")))
    assert (process.returncode, err.decode()) == (0, "")
    printed = re.findall(r"PosixPath\('([^']+)'\)", out.decode())
    assert len(printed) == 2
    assert set(printed) == set(map(str, kept))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md", "docs/where-to-change.md"])
def test_files_named_in_prose_exist(page: str) -> None:
    """``<name>`` and ``*`` match anything; a path may begin inside `musicgate/`."""
    named = set(re.findall(r"`([\w.<>*-]+(?:/[\w.<>*-]+)+/?)`", prose(ROOT / page)))
    patterns = {path: re.sub(r"<\w+>", "*", path).rstrip("/") for path in named}
    assert len(patterns) > 5
    for path, pattern in patterns.items():
        assert any(ROOT.glob(pattern)) or any((ROOT / "musicgate").glob(pattern)), path


def drawing(heading: str) -> str:
    """The first block below a heading of the architecture page."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    return text.split(f"\n## {heading}\n")[1].split("```")[1]


def test_architecture_page_draws_every_room() -> None:
    drawn = set(re.findall(r"^  (\w+)/ ", drawing("The tree"), flags=re.MULTILINE))
    rooms = {path.parent.name for path in (ROOT / "musicgate").glob("*/__init__.py")}
    assert drawn == rooms


def test_architecture_page_shows_the_layers_of_import_linter() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(contract["layers"] for contract in settings["contracts"] if contract["type"] == "layers")
    shown = drawing("Imports").removeprefix("text\n").splitlines()
    assert shown == [layer.replace("(", "").replace(")", "") for layer in layers]


def test_every_schema_that_blocks_are_checked_against_is_published() -> None:
    assert set(KEYS_OF_SCHEMA) <= set(musicgate_schemas.NAMES)
