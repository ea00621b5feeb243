"""The pages say what is true: generated ones are fresh, links lead somewhere, code in them runs or at least could."""

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
from musicgate.hosting.discovery import load_plugins
from musicgate.settings import Settings
from musicgate.testing.cases import load_cases
from tests.pages import NAMES, PAGES, ROOT, Block, blocks_of, prose

#: Kinds of blocks that a test below looks at; `js` is run by schemas/tests, `text` is what a command prints, and a drawing has no word.
KINDS = {"", "js", "json", "python", "sh", "text", "toml"}
#: Programs that a shell block may call, beside those whose words are checked.
OTHER_PROGRAMS = {"cd", "export", "pytest", "sh"}
#: Its curl lines are run by tests/e2e/test_e2e_docs.py, the ones that are to be refused as well.
RUN_ELSEWHERE = "docs/http.md"
#: Which schema describes a JSON block: the first one whose keys it has. A block that has none of them is no request and no answer.
SHAPES = {
    "job": {"object", "nativeResponseId"},
    "plan": {"object", "candidates"},
    "error": {"error", "status_code"},
    "request": {"model"},
}
#: What makes a JSON block a recorded case.
CASE = {"mark", "source", "step", "expect"}


def blocks(*kinds: str) -> list[Any]:
    """Every block of these kinds, with a name for the test's report."""
    return [
        pytest.param(block, id=f"{block.page}:{block.line}")
        for path in PAGES
        for block in blocks_of(path)
        if block.kind in kinds
    ]


def commands(code: str) -> list[list[str]]:
    """The words of each command of a shell block, without variables that are set before it."""
    found: list[list[str]] = []
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words.pop(0)
        if words:
            found.append(words)
    return found


def wrong_words(words: list[str]) -> str:
    """What the command line would not understand of ``musicgate ...``; placeholders in capitals stand for any value."""
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
    """`make docs` writes them anew."""
    for path, text in docs.generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, path.name


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
def test_hook_page_has_hook_with_its_promise(hook: str) -> None:
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    section = text.split(f"\n### {hook}\n")[1].split("\n### ")[0]
    assert f"\ndef {hook}(" in section
    assert len(section.split()) > 20


def test_matrix_says_what_one_offer_declares() -> None:
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
def test_links_lead_to_files_and_headings(path: Path) -> None:
    for target in re.findall(r"(?<!`)\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file) if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_every_block_is_of_a_kind_that_is_checked(path: Path) -> None:
    assert {block.kind for block in blocks_of(path)} <= KINDS


@pytest.mark.parametrize("block", blocks("python"))
def test_python_compiles_and_what_it_imports_is_there(block: Block) -> None:
    tree = ast.parse(block.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert [name.name for name in node.names if not hasattr(module, name.name)] == []
        elif isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


@pytest.mark.parametrize("block", blocks("json"))
def test_json_parses_and_is_what_it_looks_like(block: Block, tmp_path: Path) -> None:
    value = json.loads(block.code)
    if isinstance(value, dict) and set(value) >= CASE:
        (tmp_path / "case.json").write_text(block.code, encoding="utf-8")
        assert len(load_cases(tmp_path)) == 1
        return
    shape = next(
        (name for name, keys in SHAPES.items() if isinstance(value, dict) and keys <= set(value)), None
    )
    if shape is not None:
        assert SchemaValidator(bundle(shape)).violations(value) == ()


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_parses(block: Block) -> None:
    assert tomllib.loads(block.code)


@pytest.mark.parametrize("block", blocks("sh"))
def test_commands_and_their_options_exist(block: Block) -> None:
    for program, *words in commands(block.code):
        match Path(program).name:
            case "musicgate":
                assert wrong_words(words) == ""
            case "make":
                assert {word for word in words if "=" not in word} <= make_targets()
            case "pip":
                assert words[0] in {"install", "uninstall"}
                folders = [word for word in words if word.startswith("./")]
                assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []
            case "python":
                assert (ROOT / words[0]).is_file() or words[0] == "-m"
            case "curl" if block.page == RUN_ELSEWHERE:
                pass
            case "curl":
                for body in [words[place + 1] for place, word in enumerate(words) if word == "-d"]:
                    assert SchemaValidator(bundle("request")).violations(json.loads(body)) == ()
            case name:
                assert name in OTHER_PROGRAMS


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_commands_named_in_prose_exist(path: Path) -> None:
    for span in re.findall(r"`((?:\.venv/bin/)?(?:musicgate|make) [^`]+)`", prose(path)):
        program, *words = shlex.split(span)
        if program == "make":
            assert words[0] in make_targets(), span
        else:
            assert wrong_words(words) == "", span


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("generate hello -o song.mp3", ""),
        ("schema request --all", ""),
        ("compose hello", "no command compose"),
        ("generate hello --louder", "no option --louder"),
    ],
)
def test_wrong_words_are_found(words: str, complaint: str) -> None:
    assert wrong_words(words.split()) == complaint


async def test_python_in_the_readme_makes_a_song(tmp_path: Path) -> None:
    """As it stands: it reads `musicgate.toml`, which here points at played vendors."""
    program = next(block for block in blocks_of(ROOT / "README.md") if block.kind == "python").code
    async with sandbox(Settings(), load_plugins(), speed=50.0) as played:
        lines = [
            f'store.url = "sqlite:///{tmp_path}/jobs.db"',
            f'assets.url = "file://{tmp_path}/audio"',
            "network.allow_private_addresses = true",
            "follow.speed = 50.0",
        ]
        for name, table in played.providers.items():
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
    tracks = [line.rsplit(" ", 1) for line in out.decode().splitlines()]
    assert len(tracks) == 2
    assert [path for _, path in tracks if path not in map(str, kept)] == []


def test_every_schema_of_a_shape_is_published() -> None:
    assert set(SHAPES) <= set(musicgate_schemas.NAMES)
