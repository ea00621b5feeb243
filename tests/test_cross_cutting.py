"""The cross-cutting example plugins, in the real server with the emulated vendors."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import pytest_asyncio

from musicgate import HOOK_API, Settings, hookimpl, load_plugins
from musicgate.emulation.sandbox import sandbox
from musicgate.plugin import Revision
from musicgate_job_ledger import JobLedger
from musicgate_prompt_policy import PromptPolicy, read_rules
from tests.e2e.running_server import ACCOUNT_KEY, SPEED, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate import MusicRequest
    from tests.e2e.running_server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(__file__).resolve().parents[1]
KIE, APIIN = "suno_kie", "apiin_one"
RULES = """{
  "refuse": [
    {"name": "real-voices", "pattern": "in the voice of", "message": "no real voices"},
    {"name": "not-at-kie", "pattern": "\\\\bzither\\\\b", "message": "no zither there", "providers": ["suno_kie"]}
  ],
  "rewrite": [
    {"name": "clean-language", "pattern": "\\\\bdamn(ed)?\\\\b", "replacement": "darned"},
    {"name": "soft-suno", "pattern": "(drum)s?", "replacement": "soft \\\\1", "providers": ["suno"]}
  ]
}"""
#: Plugin, one of its models, and what the vendor gets for "drums".
PROVIDERS = [
    (KIE, "suno/v5", "soft drum"),
    (APIIN, "suno/v3.5", "soft drum"),
    ("elevenlabs", "elevenlabs/music_v1", "drums"),
    ("minimax", "minimax/music-2.5", "drums"),
]
SECTION = {
    "section_name": "Verse",
    "duration_ms": 5000,
    "positive_local_styles": [],
    "negative_local_styles": [],
}
PLAN = {"positive_global_styles": ["rock"], "negative_global_styles": []}


class Expands:
    """Another plugin: it expands an abbreviation. Loaded before the policy, it is called after it."""

    HOOK_API = HOOK_API

    @hookimpl
    def revise_request(self, request: MusicRequest) -> Revision:
        prompt = (request.prompt or "").replace("ITVO", "in the voice of")
        return Revision(request=attrs.evolve(request, prompt=prompt))


@pytest.fixture(scope="module")
def ledger() -> list[str]:
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory, ledger: list[str]) -> AsyncIterator[RunningServer]:
    plugins = load_plugins(
        {
            "expands": Expands(),
            "prompt_policy": PromptPolicy(read_rules(RULES)),
            "job_ledger": JobLedger(ledger.append),
        }
    )
    assert [record.error for record in plugins.records if record.error] == []
    async with running_server(tmp_path_factory.mktemp("rig"), plugins) as started:
        yield started


def body_of(model: str, prompt: str, **fields: object) -> dict[str, Any]:
    return {"model": model, "prompt": prompt, **fields}


async def lines_of(ledger: list[str], job_id: str) -> list[dict[str, Any]]:
    """Wait for the lines of a job: observers are called just after the job is stored."""
    async with asyncio.timeout(5):
        while True:
            lines = [line for line in map(json.loads, ledger) if line["job_id"] == job_id]
            if lines:
                return lines
            await asyncio.sleep(0.01)


# --- rewriting ---


@pytest.mark.parametrize(("plugin", "model", "drums"), PROVIDERS)
async def test_vendor_gets_the_rewritten_text_and_the_caller_a_warning(
    rig: RunningServer, plugin: str, model: str, drums: str
) -> None:
    with rig.vendor_calls() as calls:
        job = await rig.generate(body_of(model, "Damn rain with drums"))
    sent = calls.creates[0].body.decode()
    assert f"darned rain with {drums}" in sent
    assert "Damn" not in sent
    assert (job["status"], job["provider_plugin"], len(calls.creates)) == ("completed", plugin, 1)
    rules = ["clean-language"] + ["soft-suno"] * (drums == "soft drum")
    changed = [warning for warning in job["warnings"] if warning["code"] == "changed"]
    assert changed[: len(rules)] == [
        {
            "code": "changed",
            "path": ["prompt"],
            "message": f"rewritten by the rule {rule!r}",
            "provider_plugin": plugin,
        }
        for rule in rules
    ]


async def test_text_deep_in_an_option_block_is_rewritten(rig: RunningServer) -> None:
    section = {**SECTION, "lines": ["damn the rain", "sing"]}
    plan = {**PLAN, "sections": [section]}
    body = {"model": "elevenlabs/music_v1", "elevenlabs": {"composition_plan": plan}}
    with rig.vendor_calls() as calls:
        job = await rig.generate(body)
    sent = calls.body["composition_plan"]["sections"][0]["lines"]
    assert (job["status"], sent) == ("completed", ["darned the rain", "sing"])
    paths = [warning["path"] for warning in job["warnings"] if "clean-language" in warning["message"]]
    assert paths == [["elevenlabs", "composition_plan", "sections", 0, "lines", 0]]


async def test_fallback_gets_the_rewritten_text_too_with_one_warning(rig: RunningServer) -> None:
    with rig.vendor_calls(KIE) as kie, rig.vendor_calls(APIIN) as apiin:
        job = await rig.generate(body_of("suno/v5", "damn rain [emulate suno_kie.create=429]"))
    assert [attempt["provider_plugin"] for attempt in job["attempts"]] == [KIE, APIIN]
    for calls in (kie, apiin):
        assert len(calls.creates) == 1
        assert b"darned rain" in calls.creates[0].body
    changed = [warning for warning in job["warnings"] if "clean-language" in warning["message"]]
    assert [(warning["path"], warning["provider_plugin"]) for warning in changed] == [(["prompt"], APIIN)]


async def test_text_without_a_match_is_sent_unchanged_and_without_a_warning(rig: RunningServer) -> None:
    with rig.vendor_calls() as calls:
        job = await rig.generate(body_of("suno/v5", "damnation rain", metadata={"label": "damn"}))
    assert calls.body["prompt"] == "damnation rain"
    assert (job["status"], job.get("warnings") or []) == ("completed", [])


async def test_rewrite_is_an_error_in_strict_mode(rig: RunningServer) -> None:
    with rig.vendor_calls() as calls:
        reply = await rig.create(body_of("suno/v5", "damn rain"), Prefer="handling=strict")
    assert (reply.status, reply.body["error"]) == (400, "not_supported")
    assert "clean-language" in reply.body["description"]
    assert calls.creates == []


# --- refusing ---


@pytest.mark.parametrize(("plugin", "model", "drums"), PROVIDERS)
async def test_refused_request_reaches_no_vendor_and_becomes_no_job(
    rig: RunningServer, ledger: list[str], plugin: str, model: str, drums: str
) -> None:
    lines, jobs = len(ledger), await rig.gateway._context.store.count_open()
    with rig.vendor_calls() as calls:
        reply = await rig.create(body_of(model, "rain In The Voice Of a star"))
    assert reply.status == 403
    assert reply.headers["X-Gateway-Error-Attribution"] == "user"
    assert {key: reply.body.get(key) for key in ("error", "reason", "description", "music_id")} == {
        "error": "guardrail_blocked",
        "reason": "real-voices",
        "description": "prompt: no real voices",
        "music_id": None,
    }
    assert (calls.creates, calls.reads) == ([], [])
    assert (len(ledger), await rig.gateway._context.store.count_open()) == (lines, jobs)


async def test_refusal_names_the_path_of_the_text(rig: RunningServer) -> None:
    section = {**SECTION, "lines": ["in the voice of him"]}
    plan = {**PLAN, "sections": [section]}
    reply = await rig.create({"model": "elevenlabs/music_v1", "elevenlabs": {"composition_plan": plan}})
    assert (reply.status, reply.body["error"]) == (403, "guardrail_blocked")
    assert reply.body["description"].startswith("elevenlabs.composition_plan.sections.0.lines.0: ")


async def test_option_block_of_another_vendor_is_not_judged(rig: RunningServer) -> None:
    body = body_of("suno/v5", "rain", minimax={"lyrics": "in the voice of him"})
    assert (await rig.generate(body))["status"] == "completed"


async def test_request_refused_for_one_candidate_goes_to_the_next(rig: RunningServer) -> None:
    with rig.vendor_calls() as calls:
        job = await rig.generate(body_of("suno/v5", "rain and a zither"))
    assert (job["status"], job["provider_plugin"], len(calls.creates)) == ("completed", APIIN, 1)
    only = await rig.create(body_of("suno/v5", "rain and a zither", provider={"only": [KIE]}))
    assert (only.status, only.body["reason"]) == (403, "not-at-kie")


async def test_text_that_another_plugin_inserts_is_judged_as_well(rig: RunningServer) -> None:
    with rig.vendor_calls() as calls:
        reply = await rig.create(body_of("suno/v5", "rain ITVO a star"))
    assert (reply.status, reply.body["reason"]) == (403, "real-voices")
    assert calls.creates == []


async def test_plan_shows_rewrites_and_refusals(rig: RunningServer) -> None:
    plan = await rig.call("POST", "/v1/music/plan", body=body_of("suno/v5", "damn zither"))
    (candidate,) = plan.body["candidates"]
    assert candidate["provider_plugin"] == APIIN
    assert "darned zither" in json.dumps(candidate["upstream_request"]["body"])
    assert "clean-language" in candidate["warnings"][0]["message"]
    (refused,) = [entry for entry in plan.body["excluded"] if entry["provider_plugin"] == KIE]
    assert (refused["reason"], refused["message"]) == ("not-at-kie", "no zither there")


# --- ledger ---


async def test_completed_job_has_one_line_with_duration_and_cost(
    rig: RunningServer, ledger: list[str]
) -> None:
    job = await rig.generate(body_of("suno/v5", "rain on a tin roof", metadata={"label": "tin roof"}))
    (line,) = await lines_of(ledger, job["id"])
    assert {key: line[key] for key in ("state", "reason", "provider", "plugin", "model")} == {
        "state": "completed",
        "reason": None,
        "provider": "suno",
        "plugin": KIE,
        "model": "suno/v5",
    }
    assert (line["account"], line["attempts"], line["tracks"], line["price_usd"]) == ("test", 1, 2, "0.06")
    assert line["native_id"] == job["nativeResponseId"]
    assert line["audio_s"] == pytest.approx(job["usage"]["output_audio_seconds"])
    assert 0 < line["took_s"] < 15
    assert line["settled_at"].startswith("20")


async def test_failed_job_has_a_line_with_its_reason(rig: RunningServer, ledger: list[str]) -> None:
    job = await rig.generate(body_of("suno/v5", "rain [emulate end=SENSITIVE_WORD_ERROR]"))
    (line,) = await lines_of(ledger, job["id"])
    assert (job["status"], line["state"], line["reason"]) == ("failed", "failed", "moderation")
    assert (line["tracks"], line["price_usd"], line["may_have_cost"]) == (0, None, True)


async def test_line_names_the_provider_of_the_fallback(rig: RunningServer, ledger: list[str]) -> None:
    job = await rig.generate(body_of("suno/v5", "rain [emulate suno_kie.create=402]"))
    (line,) = await lines_of(ledger, job["id"])
    assert (line["plugin"], line["attempts"], line["state"]) == (APIIN, 2, "completed")


async def test_no_line_holds_texts_or_secrets(rig: RunningServer, ledger: list[str]) -> None:
    job = await rig.generate(body_of("suno/v5", "a very private song", metadata={"label": "for a friend"}))
    stored = await rig.gateway.find(job["id"], account="test")
    assert await lines_of(ledger, job["id"])
    written = "\n".join(ledger)
    for secret in ("private", "friend", "key-not-real", ACCOUNT_KEY, stored.callback_token, "http"):
        assert secret not in written


async def test_ledger_that_cannot_be_written_does_not_affect_the_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def full(line: str) -> None:
        raise OSError("no space left")

    plugins = load_plugins({"job_ledger": JobLedger(full)})
    async with running_server(tmp_path, plugins) as rig:
        job = await rig.generate(body_of("suno/v5", "rain"))
    assert job["status"] == "completed"
    assert "plugin raised in job_changed: plugin=job_ledger" in caplog.text


async def test_code_in_the_readme_of_the_ledger_writes_a_line(tmp_path: Path) -> None:
    readme = ROOT / "examples/plugins/job_ledger/README.md"
    (code,) = [block.partition("```")[0] for block in readme.read_text("utf-8").split("```python\n")[1:]]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    async with sandbox(Settings(), speed=SPEED) as settings:
        await names["generate_with_ledger"](settings, tmp_path / "ledger.jsonl")
    (line,) = (tmp_path / "ledger.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["plugin"] == KIE
