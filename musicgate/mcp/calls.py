"""What the tools do, in terms of the API.

Their own arguments are checked here; a music request is checked by the API. An error that an agent can act on
is an answer with ``isError``, whose text is the error envelope of the API. A tool that does not exist is an
error of the protocol.
"""

from __future__ import annotations

import base64
import functools
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from musicgate.aio import new_id
from musicgate.codec import SchemaValidator
from musicgate.errors import RequestError
from musicgate.mcp.api import ApiError
from musicgate.mcp.resources import audio_uri
from musicgate.mcp.tools import MAX_EMBEDDED_BYTES, tools, usual
from musicgate.views import render_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from musicgate.mcp.api import Audio, MusicApi

    #: Tells the client that a call goes on: how many seconds it has taken, and what is happening.
    Report = Callable[[float, str], Awaitable[None]]

#: A wait is made of waits of this length: after each of them the client is told how it goes.
_STEP_S: Final = 5.0
_FINAL: Final = frozenset({"completed", "failed"})
#: What the list of models leaves out unless it is about one model.
_DETAILS: Final = frozenset({"options", "rights", "stage"})


class UnknownToolError(Exception):
    """There is no tool of that name."""


class Calls:
    """Calls tools for one account.

    Args:
        folder: fetched audio is written there, too; None = it is not.
        report: is called while a tool waits.
    """

    def __init__(self, api: MusicApi, report: Report, folder: Path | None = None) -> None:
        self._api = api
        self._report = report
        self._folder = folder

    async def call(self, name: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """Call a tool.

        Returns:
            A ``CallToolResult``, as JSON.

        Raises:
            UnknownToolError: there is no such tool.
        """
        run = _RUNS.get(name)
        if run is None:
            raise UnknownToolError(name)
        try:
            given = checked(name, arguments or {})
            return await run(self, given)
        except RequestError as error:
            return failure(render_error(new_id("G-"), error).body)
        except ApiError as error:
            return failure(error.body)

    async def _models(self, given: dict[str, Any]) -> dict[str, Any]:
        found = await self._api.models()
        wanted, provider = given.get("model"), given.get("provider")
        shown, left_out = [], 0
        for model in found["data"]:
            if wanted is not None and wanted != model["id"] and wanted not in model.get("aliases", ()):
                continue
            offers = [
                offer
                for offer in model["offers"]
                if provider in {None, offer["provider"], offer["provider_plugin"]}
            ]
            if wanted is None and not given.get("include_unconfigured", False):
                configured = [offer for offer in offers if offer["configured"]]
                left_out += bool(offers) and not configured
                offers = configured
            if offers:
                shown.append({**model, "offers": offers if wanted else [_summary(offer) for offer in offers]})
        if wanted is not None and not shown:
            message = f"no provider offers {wanted!r}; list_music_models without `model` shows what there is"
            raise RequestError("not_found", message, reason="model_not_found")
        answer: dict[str, Any] = {"object": "list", "data": shown}
        return success(answer | ({"left_out": left_out} if left_out else {}))

    async def _plan(self, given: dict[str, Any]) -> dict[str, Any]:
        plan = await self._api.plan(given)
        priced = [f"{item['provider_plugin']}: {price_text(item)}" for item in plan["candidates"]]
        return success(plan, f"Would be asked, in this order: {'; '.join(priced)}.")

    async def _make(self, given: dict[str, Any]) -> dict[str, Any]:
        key, limit = given.pop("idempotency_key"), given.pop("max_price_usd")
        plan = await self._api.plan(given)
        check_price(plan, limit)
        created = await self._api.create(given, key)
        job = created.job
        prices = {item["provider_plugin"]: _price(item) for item in plan["candidates"]}
        answer = {
            **job,
            "is_replay": created.is_replay,
            "expected_price_usd": prices.get(job.get("provider_plugin")),
        }
        return job_answer(answer)

    async def _wait(self, given: dict[str, Any]) -> dict[str, Any]:
        job_id = given["job_id"]
        limit_s: float = given.get("timeout_seconds", usual("wait_for_music", "timeout_seconds"))
        started_s = time.monotonic()
        job = await self._api.job(job_id)
        while job["status"] not in _FINAL:
            passed_s = time.monotonic() - started_s
            if passed_s >= limit_s:
                break
            await self._report(passed_s, state_text(job))
            job = await self._api.job(job_id, min(_STEP_S, limit_s - passed_s))
        return job_answer(job)

    async def _list(self, given: dict[str, Any]) -> dict[str, Any]:
        limit = given.get("limit", usual("list_music", "limit"))
        page = await self._api.jobs(given.get("states", ()), given.get("model"), limit, given.get("cursor"))
        return success(page)

    async def _cancel(self, given: dict[str, Any]) -> dict[str, Any]:
        return success(await self._api.cancel(given["job_id"]))

    async def _fetch(self, given: dict[str, Any]) -> dict[str, Any]:
        job_id, index, wanted = given["job_id"], given.get("index", 0), given.get("format")
        max_bytes = MAX_EMBEDDED_BYTES if given.get("embed", True) else 0
        audio = await self._api.audio(job_id, index, wanted, max_bytes=max_bytes)
        uri = audio.uri
        if self._folder is not None:
            path = self._folder / audio.name
            await self._api.save(job_id, index, wanted, path)
            uri = path.absolute().as_uri()
        answer = {
            "job_id": job_id,
            "index": index,
            "content_type": audio.content_type,
            "size_bytes": audio.size_bytes,
            "url": uri,
            "is_embedded": audio.content is not None,
        }
        link = _link(audio, uri or audio_uri(job_id, index, wanted))
        return success(answer, None, link, *_embedded(audio))


_RUNS: Final = {
    "list_music_models": Calls._models,  # noqa: SLF001 - of the class above
    "plan_music": Calls._plan,  # noqa: SLF001
    "make_music": Calls._make,
    "wait_for_music": Calls._wait,  # noqa: SLF001
    "list_music": Calls._list,  # noqa: SLF001
    "cancel_music": Calls._cancel,  # noqa: SLF001
    "fetch_music": Calls._fetch,  # noqa: SLF001
}


def checked(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a tool's arguments.

    Raises:
        InvalidRequestError: they break its schema.
        RequestError: a value in them is not JSON.
    """
    tool = tools()[name]
    own = tool.own["properties"]
    given = dict(arguments)
    try:
        # The SDK reads NaN, Infinity and halves of characters, none of which a vendor can be sent.
        json.dumps(given, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        message = "the arguments hold a number or a text that is not JSON in UTF-8, or are nested too deeply"
        raise RequestError("invalid_json", message) from exc
    _validator(name).check(
        {key: value for key, value in given.items() if key in own} if tool.takes_request else given
    )
    return given


@functools.cache
def _validator(name: str) -> SchemaValidator:
    return SchemaValidator(tools()[name].own)


def check_price(plan: Mapping[str, Any], limit: float | None) -> None:
    """Return if each provider that may be asked costs at most so much.

    Args:
        plan: published schema ``plan``.
        limit: US dollars; None = any price.

    Raises:
        RequestError: one costs more, or its price is not known.
    """
    if limit is None:
        return
    asked = [item for item in plan["candidates"] if item["configured"]]
    fitting = [item["provider_plugin"] for item in asked if _fits(item, limit)]
    for item in asked:
        if _fits(item, limit):
            continue
        names = json.dumps(fitting) if fitting else "none fits"
        message = (
            f"nothing was spent: {item['provider_plugin']} may be asked, and {price_text(item)}; the limit is "
            f"{limit:g} US dollars. Let provider.only name those that fit ({names}), or raise max_price_usd "
            "(null: any price)"
        )
        reason = "price_not_known" if _price(item) is None else "price_above_limit"
        raise RequestError("validation_error", message, reason=reason, path=("max_price_usd",))


def _fits(candidate: Mapping[str, Any], limit: float) -> bool:
    price = _price(candidate)
    return price is not None and Decimal(price) <= Decimal(str(limit))


def job_answer(job: dict[str, Any]) -> dict[str, Any]:
    """Answer with a job; a failed one is an error, unless it was cancelled."""
    error = job.get("error") or {}
    is_error = job["status"] == "failed" and error.get("reason") != "cancelled"
    links = [
        _track_link(item)
        for item in job.get("output") or ()
        if item.get("audio_url") and job["status"] == "completed"
    ]
    return _result(job, state_text(job), links, is_error=is_error)


def state_text(job: Mapping[str, Any]) -> str:
    """One sentence on how a job is doing."""
    job_id, plugin = job["id"], job.get("provider_plugin") or "no provider yet"
    status = job["status"]
    if status == "completed":
        return f"Job {job_id} is completed: {len(job.get('output') or ())} track(s) by {plugin}."
    if status == "failed":
        error = job.get("error") or {}
        return f"Job {job_id} failed ({error.get('reason')}): {error.get('message')}"
    fraction = (job.get("progress") or {}).get("fraction")
    done = "" if fraction is None else f", {fraction:.0%} done"
    state = "waits for" if status == "queued" else "is in progress at"
    return f"Job {job_id} {state} {plugin}{done}; wait_for_music waits for it."


def price_text(candidate: Mapping[str, Any]) -> str:
    """What a candidate of a plan costs, as a text."""
    price = _price(candidate)
    text = "its price is not known beforehand" if price is None else f"costs {price} US dollars"
    return text if candidate["configured"] else f"{text}, but has no key here"


def _price(candidate: Mapping[str, Any]) -> str | None:
    price = candidate.get("price") or {}
    total = price.get("total_usd_str")
    return None if total is None else str(total)


def success(value: dict[str, Any], text: str | None = None, *more: dict[str, Any]) -> dict[str, Any]:
    """Answer with a value, and further content."""
    return _result(value, text, more, is_error=False)


def failure(envelope: dict[str, Any]) -> dict[str, Any]:
    """Answer with an error envelope: as text only, since it does not have the shape of the tool's answers."""
    return {
        "content": [{"type": "text", "text": json.dumps(envelope, ensure_ascii=False)}],
        "isError": True,
    }


def _result(value: dict[str, Any], text: str | None, more: Any, *, is_error: bool) -> dict[str, Any]:
    lines = [] if text is None else [{"type": "text", "text": text}]
    # For clients that know no structured content (specification, server/tools: "SHOULD also return").
    lines.append({"type": "text", "text": json.dumps(value, ensure_ascii=False)})
    return {"content": [*lines, *more], "structuredContent": value, "isError": is_error}


def _summary(offer: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in offer.items() if key not in _DETAILS}


def _track_link(item: Mapping[str, Any]) -> dict[str, Any]:
    link = {
        "type": "resource_link",
        "uri": item["audio_url"],
        "name": f"track {item['index']}",
        "title": item.get("title"),
        "mimeType": item.get("content_type"),
        "size": item.get("size_bytes"),
    }
    return {key: value for key, value in link.items() if value is not None}


def _link(audio: Audio, uri: str) -> dict[str, Any]:
    link = {"type": "resource_link", "uri": uri, "name": audio.name, "mimeType": audio.content_type}
    return link | ({} if audio.size_bytes is None else {"size": audio.size_bytes})


def _embedded(audio: Audio) -> list[dict[str, Any]]:
    if audio.content is None:
        return []
    data = base64.b64encode(audio.content).decode("ascii")
    return [{"type": "audio", "data": data, "mimeType": audio.content_type}]
