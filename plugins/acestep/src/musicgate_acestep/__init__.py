"""ACE-Step 1.5's own server: this module is the plugin; `data.json` has its options.

Source, unless a line names another: docs/en/API.md of github.com/ace-step/ACE-Step-1.5, 2026-02-08.

A server keeps its tasks in memory. After a restart a waiting task is unknown (status 0, an empty list), and a
running one keeps its last record on disk: "running", after an hour with status 2 around it. Neither says that
it failed. So an unknown task is a doubt of a minute, and a record whose progress stands still is a doubt of
``stall_s``: a living server moves it, or fails it after 600 s.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

import musicgate.plugin as mg
from musicgate.plugin import FailureClass, lenient

__all__ = ["HOOK_API", "emulator", "parse_response", "poll_request", "provider", "translate_request"]

HOOK_API = 1
_DATA: Final[Any] = json.loads(files(__name__).joinpath("data.json").read_text("utf-8"))
#: Neutral fields that the server calls otherwise.
_RENAMED: Final = {"audio_duration": "duration", "audio_format": "format"}
_FULL: Final = mg.fields_of_schema(
    _DATA["options"],
    neutral={"prompt": "prompt", "lyrics": "lyrics", "seed": "seed", **_RENAMED},
    carries={"prompt": ("style",), "lyrics": ("instrumental",)},
)
#: A turbo model forces its guidance scale to 1 without a word, and makes at most 20 steps.
_TURBO: Final = (
    *(field for field in _FULL if field.name not in {"guidance_scale", "inference_steps"}),
    mg.Number("inference_steps", minimum=1, maximum=20, whole=True),
)
_MODELS: Final = {"turbo": _TURBO, "xl-turbo": _TURBO, "base": _FULL, "sft": _FULL}
#: Seconds. A GPU of 8 to 16 GB cuts longer songs without a word (acestep/gpu_config.py).
_SURE_S: Final = 240
ERRORS: Final = mg.ErrorTable(
    vendor="ACE-Step",
    code=mg.At("code"),
    text=mg.At("error", "detail"),
    error=mg.At("error", "detail"),
    task_id=mg.At("data.task_id"),
    ok={200},
    http_codes={400, 500},
    # HTTP 503 of a closed server without a key of its own (pull request 1131, open in August 2026).
    words={"api key is not configured": mg.Rule(FailureClass.AUTH, beats_codes=True)},
    job_words={"failed": mg.Rule(FailureClass.UPSTREAM_FAILED, refunded=True)},
    http={404: mg.Rule(FailureClass.PROTOCOL, message="this is no ACE-Step 1.5 server", refuses=True)},
)
_PATH: Final = re.compile(r"(?<![\w/\\])(?:[A-Za-z]:)?[/\\][^\s'\"]*")


def _offer(name: str, fields: tuple[mg.Field, ...]) -> mg.Offer:
    return mg.Offer(
        model=f"acestep/{name}",
        native_model=f"acestep-v15-{name}",
        fields=fields,
        formats=("mp3", "wav", "flac"),
        # The operator's own GPU: known to cost nothing, which is not the same as an unknown price.
        prices=(mg.PriceRule(meter=mg.Meter.REQUESTS, price_usd=Decimal(0)),),
    )


@mg.hookimpl
def provider() -> mg.Provider:
    """Declare ACE-Step: polled, without callbacks and without a way to cancel."""
    return mg.Provider(
        name="acestep",
        plugin="acestep",
        label="ACE-Step 1.5",
        base_url="http://127.0.0.1:8001",
        key_env="ACESTEP_API_KEY",
        base_url_env="ACESTEP_BASE_URL",
        # A server without a key is open; one with a key wants it for the audio as well.
        key_optional=True,
        media_needs_key=True,
        offers=tuple(_offer(name, fields) for name, fields in _MODELS.items()),
        raw_models=True,
        raw_offers=(_offer("turbo", _TURBO), _offer("", _FULL)),  # such as acestep-v15-turbo-shift3
        model_option="model",
        option_block="acestep",
        options_schema=_DATA["options"],
        settings_schema=_DATA["settings"],
        statuses={
            "queued": mg.JobState.QUEUED,
            "running": mg.JobState.IN_PROGRESS,
            "succeeded": mg.JobState.COMPLETED,
            "failed": mg.JobState.FAILED,
        },
        deadline_s=3600.0,  # ASSUMED, with the queue of one machine
        docs_url="https://github.com/ace-step/ACE-Step-1.5/blob/main/docs/en/API.md",
        rights=mg.Rights(**{name: mg.RightsStatement(**said) for name, said in _DATA["rights"].items()}),
    )


@mg.hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings
) -> mg.Translation:
    """Translate a request to a task; what the server would change without a word is refused or reported."""
    draft = mg.Draft(request, offer, settings, "acestep")
    draft.refuse_undeclared()
    draft.copy(*(field.name for field in offer.fields if field.neutral is None))
    draft.send("model", draft.native_model)
    draft.send("batch_size", draft.block.get("batch_size") or 1)  # absent means two songs
    # Never under the name "format": that is another word for use_format.
    draft.send("audio_format", draft.said("audio_format", "format") or "mp3")
    if seed := draft.said("seed", "seed"):
        draft.send("seed", seed)
        draft.send("use_random_seed", value=False)  # else the seed has no effect
    if duration := draft.said("audio_duration", "duration"):
        draft.send("audio_duration", duration)
        if isinstance(duration.value, int | float) and duration.value > _SURE_S:
            draft.changed(duration.path, "a server with a small GPU makes a shorter song")
    lyrics, prompt = draft.said("lyrics", "lyrics"), draft.said("prompt", "prompt")
    if lyrics and request.instrumental:
        draft.not_applied("instrumental", "lyrics are given")
    if not lyrics and request.instrumental is False:
        raise mg.refused("lyrics", "a voice is wanted, and ACE-Step writes no lyrics")
    draft.send("lyrics", lyrics or "[instrumental]")  # ASSUMED: what a request without lyrics means
    texts = [*([prompt.text] if prompt else []), *draft.labelled({"style": "{}"}).values()]
    draft.send("prompt", ", ".join(texts), prompt.path if prompt else "style")
    return draft.post_json(f"{settings.base_url}/release_task")


@mg.hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest:
    """Ask for the record of a task."""
    return mg.HttpRequest.post_json(f"{settings.base_url}/query_result", {"task_id_list": [job.native_id]})


@mg.hookimpl
def parse_response(
    step: mg.Step, response: mg.HttpResponse, job: mg.Job, settings: mg.ProviderSettings
) -> mg.JobUpdate:
    """Read the answer to a create call or to a poll."""
    body = ERRORS.open(step, response)
    if isinstance(body, mg.JobUpdate):
        return body
    if step is mg.Step.CREATE:
        created = ERRORS.created(response, body)
        return mg.JobUpdate(native_id=created.native_id, native_status="queued", body=body)
    record = next((row for row in lenient.items(body.get("data")) if row.get("task_id") == job.native_id), {})
    result, status = lenient.json_text(record.get("result")), lenient.integer(record.get("status"))
    if not isinstance(result, list | dict):
        raise ERRORS.unreadable(response, "sent no readable record of the song")
    songs = lenient.items(result)
    first = songs[0] if songs else {}
    if status == 0 and not songs:
        return ERRORS.missing(body)
    if status == 1:
        tracks = tuple(_track(song, settings.base_url) for song in songs)
        used, asked = lenient.text(first.get("dit_model")), job.attempt and job.attempt.native_model
        # A server that has not loaded the model takes its first one, without a word.
        other = mg.changed("model", f"the server has made it with {used}")
        warnings = (other,) if used and asked and used != asked else ()
        return mg.JobUpdate(native_status="succeeded", tracks=tracks, warnings=warnings, body=body)
    if status == 2 and lenient.integer(first.get("status")) in {2, None}:
        # The reason is a traceback, of which the last line says it, or nothing.
        lines = (lenient.text(first.get("error")) or "").splitlines()
        failure = ERRORS.task_failure("failed", text=_PATH.sub("...", lines[-1]) if lines else None)
        return mg.JobUpdate(native_status="failed", failure=failure, body=body)
    if status not in {0, 2}:
        return mg.JobUpdate(native_status=lenient.text(record.get("status")), body=body)
    if first.get("stage") == "queued":
        return mg.JobUpdate(native_status="queued", body=body)
    # In the making; status 2 around it only says that the record is an hour old.
    progress, doubt = mg.Progress(fraction=min(1.0, lenient.seconds(first.get("progress")) or 0.0)), None
    if job.progress is not None and job.progress.fraction == progress.fraction:
        stall_s = float(str(settings.options["stall_s"]))
        message = f"no progress for {stall_s:g} s: the server was restarted, or hangs"
        failure = mg.Failure(reason=FailureClass.UPSTREAM_FAILED, message=message, may_have_cost=False)
        doubt = mg.Doubt(failure=failure, grace_s=stall_s)
    return mg.JobUpdate(native_status="running", progress=progress, doubt=doubt, body=body)


def _track(song: Mapping[str, object], base_url: str) -> mg.NativeTrack:
    """A song of a batch. Its link is relative and percent-encoded, and stays as it is."""
    link, seeds = lenient.text(song.get("file")), lenient.text(song.get("seed_value"))
    return mg.NativeTrack(
        audio_url=lenient.url(link) or (link and f"{base_url}/{link.removeprefix('/')}"),
        lyrics=lenient.text(song.get("lyrics")),
        native_model=lenient.text(song.get("dit_model")),
        extra={"seeds": seeds} if seeds else {},  # of the whole batch, in its order
    )


@mg.hookimpl
def emulator(options: mg.EmulatorOptions) -> mg.Emulator:
    """Make an emulator of the server; imported late, so that real traffic does not load it."""
    from musicgate_acestep.emulation import AceStepEmulator

    return AceStepEmulator(options)
