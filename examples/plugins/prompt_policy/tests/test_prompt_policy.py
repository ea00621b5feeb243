"""How rules are read, and which texts they check; `tests/test_cross_cutting.py` has the rest."""

import json
from pathlib import Path

import pytest

from musicgate import ConfigError, MusicRequest
from musicgate_prompt_policy import plugin, read_rules
from musicgate_prompt_policy.texts import edit_texts

README = Path(__file__).resolve().parents[1] / "README.md"


def rule(**fields: object) -> dict[str, object]:
    return {"name": "one", "pattern": "x", **fields}


def test_rules_are_read_with_all_their_fields() -> None:
    text = json.dumps(
        {
            "refuse": [rule(message="no x", providers=["suno"])],
            "rewrite": [rule(name="two", replacement="y")],
        }
    )
    rules = read_rules(text)
    (refusal,), (rewrite,) = rules.refusals, rules.rewrites
    assert (refusal.name, refusal.pattern.pattern, refusal.message) == ("one", "x", "no x")
    assert refusal.providers == frozenset({"suno"})
    assert (rewrite.name, rewrite.replacement, rewrite.providers) == ("two", "y", frozenset())
    assert rewrite.pattern.sub(rewrite.replacement, "aXb") == "ayb"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "rules.json: is no JSON"),
        ("[]", "rules.json: must be an object"),
        ('{"forbid": []}', "must be an object with the lists refuse and rewrite"),
        ('{"refuse": {}}', "refuse in rules.json: must be a list"),
        ('{"refuse": ["x"]}', "refuse[0] in rules.json: must be an object"),
        (json.dumps({"refuse": [rule()]}), "refuse[0] in rules.json: must have message, name, pattern"),
        (
            json.dumps({"refuse": [rule(message="no", replacement="y")]}),
            "must have message, name, pattern and may have providers",
        ),
        (json.dumps({"rewrite": [rule(replacement=5)]}), "name, pattern, replacement must be text"),
        (
            json.dumps({"refuse": [rule(message="no", providers="suno")]}),
            "refuse[0].providers in rules.json: must be a list of names",
        ),
        (
            json.dumps({"refuse": [rule(message="no", providers=[1])]}),
            "refuse[0].providers in rules.json: must be a list of names",
        ),
        (
            json.dumps({"refuse": [rule(message="no", pattern="(")]}),
            "rule 'one' in rules.json: cannot be used",
        ),
        (json.dumps({"rewrite": [rule(replacement=r"\1")]}), "rule 'one' in rules.json: cannot be used"),
        (json.dumps({"rewrite": [rule(replacement=r"\g<no>")]}), "rule 'one' in rules.json: cannot be used"),
    ],
)
def test_invalid_rule_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_rules(text, source="rules.json")
    assert message in str(caught.value)


def test_shipped_rules_are_those_of_the_readme() -> None:
    (shown,) = [block.partition("```")[0] for block in README.read_text("utf-8").split("```json\n")[1:]]
    assert read_rules(shown) == plugin.rules


def test_rules_check_every_text_that_is_sent_and_nothing_else() -> None:
    request = MusicRequest(
        model="suno/v5",
        prompt="a",
        lyrics="b",
        style="c",
        title="d",
        negative_style="e",
        instrumental=True,
        blocks={
            "suno": {
                "prompt": "f",
                "callBackUrl": "https://x.test/a",
                "sections": [{"lines": ["g", "h"]}, 5, None],
                "custom": False,
            },
            "minimax": {"lyrics": "not for this vendor"},
        },
        metadata={"label": "i"},
        webhook_url="https://x.test",
    )
    seen = {}

    def upper(path: tuple[str | int, ...], text: str) -> str:
        seen[".".join(map(str, path))] = text
        return text.upper()

    edited = edit_texts(request, "suno", upper)
    assert seen == {
        "prompt": "a",
        "lyrics": "b",
        "style": "c",
        "title": "d",
        "negative_style": "e",
        "suno.prompt": "f",
        "suno.sections.0.lines.0": "g",
        "suno.sections.0.lines.1": "h",
    }
    assert (edited.prompt, edited.lyrics, edited.style) == ("A", "B", "C")
    assert (edited.title, edited.negative_style) == ("D", "E")
    assert edited.blocks == {
        "suno": {
            "prompt": "F",
            "callBackUrl": "https://x.test/a",
            "sections": [{"lines": ["G", "H"]}, 5, None],
            "custom": False,
        },
        "minimax": {"lyrics": "not for this vendor"},
    }
    assert (edited.model, edited.instrumental, edited.metadata) == ("suno/v5", True, {"label": "i"})
    assert request.blocks["suno"]["prompt"] == "f"


def test_request_without_a_block_gets_none() -> None:
    assert edit_texts(MusicRequest(model="m", prompt="a"), "suno", lambda _, text: text).blocks == {}
