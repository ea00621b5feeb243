"""Case files: many in one, and what a wrong one is told: file, line, JSON pointer."""

import json
from pathlib import Path
from typing import Any

import pytest

from musicgate.codec import SchemaValidator, bundle
from musicgate.plugin import Step
from musicgate.testing.cases import Case, load_cases, replay
from musicgate.testing.json_lines import lines_of, pointer_of
from musicgate.testing.rehearsal import Rehearsal
from tests.compliance.tiny_plugin import tiny

ROOT = Path(__file__).parents[1]
GOOD: dict[str, Any] = {
    "mark": "DOC",
    "source": "a page",
    "step": "poll",
    "body": {"id": "t-1", "status": "working"},
    "expect": {"update": {"native_status": "working"}, "mapped": "in_progress"},
}


def load(folder: Path, content: object, name: str = "some.json") -> list[Case]:
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    (folder / name).write_text(text, encoding="utf-8")
    return load_cases(folder)


def mistake(folder: Path, content: object) -> str:
    with pytest.raises(ValueError, match=r"^some\.json:[0-9]+: ") as caught:
        load(folder, content)
    return str(caught.value)


def test_one_file_holds_many_cases_and_what_they_share(tmp_path: Path) -> None:
    shared = {"mark": "LIVE", "source": "answers", "step": "poll", "native_id": "t-1", "status": 500}
    own = {"name": "done", "status": 200, "body": {}, "expect": {"error": "protocol"}}
    first, second = load(
        tmp_path,
        {
            **shared,
            "cases": [{"name": "broken", "body_text": "x", "expect": {"error": "upstream_failed"}}, own],
        },
    )
    assert (first.name, first.response.status, first.response.body) == ("some/broken", 500, b"x")
    assert (second.name, second.response.status, second.response.body) == ("some/done", 200, b"{}")
    assert (first.step, first.native_id, first.mark) == (Step.POLL, "t-1", "LIVE")
    assert (first.place, second.place) == ("some.json:8", "some.json:15")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expect": {"update": {}}}, "some.json:10: /expect/update: nothing is compared with {}, so it proves nothing"),
        ({"expect": {}}, "some.json:9: /expect: nothing is compared"),
        ({"expect": {"updated": {"failure": None}}}, "some.json:10: /expect/updated: is not known here"),
        ({"expect": {"update": {"failure": {"class": "auth"}}}}, "/expect/update/failure/class: Failure has no field 'class'; it has reason, "),
        ({"expect": {"update": {"tracks": [{}, {"url": 1}]}}}, "/expect/update/tracks/1/url: NativeTrack has no field"),
        ({"expect": {"update": {"doubt": {"failure": {"x": 1}}}}}, "/expect/update/doubt/failure/x: Failure has no"),
        ({"expect": {"error": "no_money"}}, "/expect/error: 'no_money' is no class of failure; there are auth, "),
        ({"expect": {"error": "auth", "mapped": "failed"}}, "/expect/mapped: an answer that becomes an error"),
        ({"expect": {"mapped": "failed", "maybe_accepted": True}}, "/expect/maybe_accepted: it is compared beside"),
        ({"expect": {"mapped": "failed", "next": {"url": "x"}}}, "/expect/next: an answer becomes an update or"),
        ({"expect": {"mapped": "done"}}, "/expect/mapped: "),
        ({"request": {"duration": 30}}, "/request/duration: MusicRequest has no field 'duration'"),
        ({"mark": "SEEN"}, "some.json:2: /mark: "),
        ({"source": " "}, "some.json:3: /source: "),
        ({"step": "look"}, "some.json:4: /step: "),
        ({"status": "402"}, "/status: "),
        ({"date": "November"}, "/date: "),
        ({"body_text": "x"}, "/body_text: there is a body already"),
        ({"expects": 1}, "some.json:15: /expects: is not known here"),
        ({"cases": []}, "/cases: "),
        ({"cases": [{"name": "a"}, {"name": "a"}]}, "/cases/1/name: two cases are called 'a'"),
        ({"cases": [{}]}, "/cases/0/name: is required"),
        ({"cases": [{"name": "a", "expect": {"error": "x"}}]}, "/cases/0/expect/error: 'x' is no class"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_case_names_its_file_line_and_pointer(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    assert message in mistake(tmp_path, {**GOOD, **change})


@pytest.mark.parametrize("key", ["mark", "source", "step", "expect"])
def test_missing_key_is_named(key: str, tmp_path: Path) -> None:
    rest = {name: value for name, value in GOOD.items() if name != key}
    assert key in mistake(tmp_path, rest)
    many = {**rest, "cases": [{"name": "a"}]}
    assert f"/cases/0: neither the case nor the file says {key}" in mistake(tmp_path, many)


def test_text_that_is_no_json_is_told_with_its_line(tmp_path: Path) -> None:
    assert mistake(tmp_path, '{\n "mark": "DOC",\n oops}').startswith("some.json:3: no JSON: ")


def test_key_that_is_there_twice_is_a_mistake(tmp_path: Path) -> None:
    text = json.dumps(GOOD, indent=1).replace('"expect"', '"step": "create",\n "expect"')
    assert mistake(tmp_path, text) == 'some.json:9: the key "step" is there twice'


def test_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]")
    with pytest.raises(ValueError, match=r"a\.json:1: (.|\n)*b\.json:1: "):
        load_cases(tmp_path)


def test_update_that_differs_is_told_with_the_line_of_the_expectation(tmp_path: Path) -> None:
    rehearsal = Rehearsal("tiny", tiny())
    (good,) = load(tmp_path, GOOD)
    replay(rehearsal, good)
    wrong = {**GOOD, "expect": {"update": {"native_status": "done"}}}
    (case,) = load(tmp_path, wrong)
    with pytest.raises(
        AssertionError, match=r"^some\.json:11: some: update\.native_status: 'working' was read"
    ):
        replay(rehearsal, case)
    (raising,) = load(tmp_path, {**GOOD, "body": []})
    with pytest.raises(AssertionError, match=r"^some\.json:6: some: parse_response raised .*protocol"):
        replay(rehearsal, raising)
    (reading,) = load(tmp_path, {**GOOD, "expect": {"error": "protocol"}})
    with pytest.raises(
        AssertionError, match=r"^some\.json:10: some: protocol is expected, and parse_response read"
    ):
        replay(rehearsal, reading)


def test_lines_are_found_in_any_layout() -> None:
    text = '{"a":[1,{"b/c":"x, {y}\\""}],\n"~":\n{"d":\n[]}}'
    assert lines_of(text) == {
        "": 1, "/a": 1, "/a/0": 1, "/a/1": 1, "/a/1/b~1c": 1, "/~0": 3, "/~0/d": 4,
    }  # fmt: skip
    assert pointer_of(("a", 1, "b/c", "~")) == "/a/1/b~1c/~0"


def test_every_case_of_the_repository_fits_the_published_schema() -> None:
    validator = SchemaValidator(bundle("case"))
    files = sorted(
        {*ROOT.glob("plugins/*/tests/cases/*.json"), *ROOT.glob("examples/plugins/*/tests/cases/*.json")}
    )
    assert len(files) > 100
    for path in files:
        assert validator.violations(json.loads(path.read_text("utf-8"))) == (), path
