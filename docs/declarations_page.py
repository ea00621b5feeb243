"""Generate docs/fields.md and docs/errors.md from the classes with which a plugin declares its vendor."""

from __future__ import annotations

from docs.hooks_page import prose_of, value_section
from docs.markdown import GENERATED
from musicgate import plugin
from musicgate.plugin import draft, error_table

_FIELDS_INTRO = """A plugin declares what its vendor's native request takes, once, by the vendor's own names:

```python
from musicgate.plugin import Choice, Flag, Number, Offer, Text, TextUnit

FIELDS = (
    Text(
        "lyrics_prompt",
        neutral="lyrics",
        max_chars=3000,
        unit=TextUnit.UTF16,
        required_if=({"with_vocals": True},),
    ),
    Text("prompt", neutral="prompt", carries=("style", "negative_style"), max_chars=500),
    Number("music_length_ms", neutral="duration", per_neutral=1000, minimum=3000, maximum=300_000),
    Number("style_weight", minimum=0, maximum=1, step=0.01),
    Choice("output.format", neutral="format", choices=("mp3", "pcm"), means={"pcm": "wav"}),
    Flag("with_vocals"),
)
OFFER = Offer(model="acme/v1", native_model="acme-1", fields=FIELDS, formats=("mp3", "wav"))

assert OFFER.limits.max_duration_s == 300
assert sorted(OFFER.abilities) == ["duration", "format", "lyrics", "negative_style", "style"]
(broken,) = OFFER.violations({"prompt": "folk", "style_weight": 0.655})
assert (broken.name, broken.rule, broken.limit) == ("style_weight", "step", 0.01)
```

What follows from it, without a line in the plugin:

- **Enforced.** A translation that names its `fields`, as a `Draft` does, is checked before anything is sent. The error
  names the option where the caller gave it (`duration`, or `acme.music_length_ms`) and the limit.
- **Reported.** A neutral field that no field carries is one `not_applied` warning. A neutral field beside an option of
  the vendor block that is sent in its place, and means something else, is one `changed` warning. Where the plugin warns
  of the same path itself, its own warning counts.
- **Shown.** `limits`, `abilities` and `options` of the offer in `GET /v1/music/models`, and in the
  [providers](providers.md) page.
- **Played.** The emulator asks the same declaration: `offer.violations(body)` gives what the vendor would refuse, with
  the vendor's own names.

The inside of an object (`Structure.fields`) and of a list (`Array.each`) can be declared as well; an error then names the
place, `acme.plan.sections.0.lines`. A plugin may derive a kind of field of its own, which overrides `fault`.

An offer without `fields` is not checked and gets no warnings: its plugin does both, as before.

## Which offer holds

`Provider.model_option` names the option of the vendor block that overrides the model, `Provider.model_setting` the
plugin's setting for offers without a native model. With either, `translate_request` gets the offer of the model that is
really asked: `offer.native_model` is what to send, and that model's fields are enforced. `Provider.raw_offers` says what
unlisted models take.

## Translating with a draft

```python
from musicgate.plugin import Draft, MusicRequest, ProviderSettings, hookimpl, option_schema


@hookimpl
def translate_request(request, offer, settings):
    draft = Draft(request, offer, settings, "acme")
    draft.refuse_undeclared()
    draft.send("model", draft.native_model)
    draft.send_declared()
    return draft.post_json(f"{settings.base_url}/v1/songs")


request = MusicRequest(
    model="acme/v1",
    prompt="A road song",
    style="folk",
    duration_s=30,
    format="wav",
    seed=7,
    blocks={"acme": {"style_weight": 0.5}},
)
settings = ProviderSettings(base_url="https://api.acme.example")
made = translate_request(request, OFFER, settings)
assert made.fields == {
    "model": "acme-1",
    "prompt": "A road song, folk",
    "music_length_ms": 30_000,
    "style_weight": 0.5,
    "output": {"format": "pcm"},
}
assert [warning.path for warning in made.warnings] == [("style",)]
schema = option_schema("Acme options", (OFFER,), {"style_weight": 0.5})
assert schema["properties"]["style_weight"]["maximum"] == 1
```

`send_declared` sends, for each field of the offer, the option of that name in the vendor block, else the neutral field,
in the vendor's unit and spelling. A text that a field carries beside its own is written behind it, and reported. A neutral
value that the vendor has no spelling for is refused. `refuse_undeclared` refuses options that no field declares. The core
then warns of `seed`, which no field carries. `with_lines` writes what has no field behind a text as "Style: ...", as
long as it fits. `option_schema` makes the schema of the vendor block from the offers, `settings_schema` that of the
plugin's settings: default, description and choices of each.

What is odd is put by hand, before or after it:

```python
@hookimpl
def translate_request(request, offer, settings):
    draft = Draft(request, offer, settings, "acme")
    draft.send("model", draft.native_model)
    prompt = draft.said("prompt", "prompt")  # acme.prompt, else the neutral prompt
    added = draft.labelled({"style": "Style: {}", "negative_style": "Avoid: {}"})  # with a warning each
    draft.send("prompt", ". ".join([*([prompt.text] if prompt else []), *added.values()]))
    draft.copy("style_weight")
    return draft.post_json(f"{settings.base_url}/v1/songs")


made = translate_request(request, OFFER, settings)
assert made.request.body == b'{"model":"acme-1","prompt":"A road song. Style: folk","style_weight":0.5}'
assert [warning.path for warning in made.warnings] == [("style",)]
```

The functions `not_applied`, `changed`, `refused`, `too_long` and `unsupported` make single warnings and errors.

## Status words

`Provider.statuses` gives each native status its state, whatever its case: `{"queued": JobState.QUEUED, "done":
JobState.COMPLETED}`. A `map_status` hook is needed only for statuses that are no fixed words.

## Tracks of an answer

A `TrackTable` says where each fact of a track is; `read` gives the track, or None for an object without an id, a link or
a failure, `read_all` those of a list:

```python
from musicgate.plugin import At, TrackTable

TRACK = TrackTable(
    native_id=At("id"), audio_url=At("audio.url", "source_url"), title=At("title"), duration_s=At("seconds")
)
item = {"id": 7, "audio": {"url": "https://acme.example/7.mp3"}, "seconds": "8 s"}
assert (TRACK.read(item).native_id, TRACK.read(item).duration_s) == ("7", 8.0)
```

## Callback signatures

Two lines of the declaration; `parse_callback` reads the id and leaves `verified` at None:

```python
from musicgate.plugin import CallbackSignature, SignatureEncoding

OVER_THE_BODY = CallbackSignature(header="X-Acme-Signature", prefix="sha256=")
OVER_PARTS = CallbackSignature(
    header="X-Signature",
    signed="{native_id}.{timestamp}",
    encoding=SignatureEncoding.BASE64,
    timestamp_header="X-Timestamp",
)
TIME_IN_THE_SAME_HEADER = CallbackSignature(
    header="Acme-Signature", form="t={timestamp},v1={signature}", signed="{timestamp}.{body}"
)
```

With a secret set, a callback that is not signed, or too old, is refused. `unless={"seller": "other"}` names settings
with which the vendor does not sign. An emulator with
`provider = PROVIDER` signs by the same lines. [outcomes.md](outcomes.md) says what a callback is for.

A vendor that signs with a key pair publishes its keys: `signed_by_jwks(key_set, signature, message)` checks ED25519 in
`parse_callback`, where the package `cryptography` is installed, and is None where it cannot be checked.

## Progress and charge

`JobUpdate(progress=Progress(fraction=0.4, remaining_s=20, charge=12, charge_unit="credits"))` shows in the job as
`progress`, and as an event `progress` for each tenth and each charge. Nothing is decided by it. `lenient.fraction(value,
100)` reads a percent, whatever the vendor sends in its place.

## What leaves a plugin out

A declaration that contradicts itself is found when the plugin is loaded; `musicgate plugins` shows one sentence that
names the entry, for instance: the offer 'acme/v1': has the ability 'seed', and no field carries it."""

_ERRORS_INTRO = """A plugin states what its vendor's codes mean; the procedure that reads an answer by them is the same for all
vendors.

```python
from musicgate.plugin import At, ErrorTable, FailureClass, HttpResponse, Rule, Step

ERRORS = ErrorTable(
    vendor="Acme",
    code=At("error.code", "code"),
    text=At("error.message", "msg"),
    task_id=At("data.task_id"),
    ok={0},
    codes={
        1001: FailureClass.CREDITS,
        1002: Rule(FailureClass.RATE_LIMITED, wait_s=10),
        1003: FailureClass.MODERATION,
        1004: Rule(FailureClass.INVALID, keep_status=(422,)),
        5000: FailureClass.UPSTREAM_FAILED,
    },
    words={"is sensitive": FailureClass.MODERATION},
    ends_job={1003},
    no_record={404},
)


def parse(step, response):
    body = ERRORS.open(step, response)  # raises, or returns a JobUpdate for a plain "no"
    if not isinstance(body, dict):
        return body
    return ERRORS.created(response, body)


refused = parse(Step.CREATE, HttpResponse(status=200, body=b'{"code": 1001, "msg": "no credits left"}'))
assert refused.failure.reason is FailureClass.CREDITS
accepted = parse(Step.CREATE, HttpResponse(status=200, body=b'{"code": 0, "data": {"task_id": 7}}'))
assert accepted.native_id == "7"
```

`open` suits a vendor whose answers are JSON. `refusal` is the same for an answer that may be something else, audio for
instance; `task_failure` reads the error inside a task's record; `missing` is for a record that is not there in another
way than by a code; `unreadable` is for an answer that no rule fits. A relative of a vendor has
`ERRORS.with_codes({...})`. `http` needs a row only where a vendor differs from what HTTP itself says of a status. Where
the code in the body is the number of a status, `http_codes={401, 402, 404}` or `range(400, 600)` gives it that meaning.

A row is a class of failure, or a `Rule` that says more; a code is a text or a number, and `402` and `"402"` are the
same. Which class allows another provider is in the [table of classes](hooks.md#what-a-class-of-failure-allows).
A table that contradicts itself raises when the plugin is imported, so the plugin is left out with that sentence.

| the answer | at create | at poll | at cancel |
|---|---|---|---|
| an error that the table knows, nothing was made | `JobUpdate(failure=...)` | `ProviderError`, unless in `ends_job` | `ProviderError` |
| "no such task" (`no_record`) | `JobUpdate(failure=...)` | `JobUpdate(doubt=...)` | `JobUpdate(doubt=...)`, which is no stop |
| 5xx, 408 or 504 without a reason of its own | `ProviderError(maybe_accepted=True)` | `ProviderError` | `ProviderError` |
| 2xx that is no JSON, or without an id | `ProviderError(maybe_accepted=True)` | `ProviderError` | `ProviderError` |
| an error with a task id | `JobUpdate(native_id=..., failure=...)` | | |
| a good one | the body | the body | the body |

`refusal` reads `Step.NEXT` as a read. Where the second of two calls is the one that costs, pass `Step.CREATE` for it.
[outcomes.md](outcomes.md) says what the gateway makes of each outcome."""


def fields_page() -> str:
    """Render how a native request is declared, with every class for it."""
    names = (
        *("Field", "Text", "Number", "Choice", "Flag", "Structure", "Array", "TextUnit", "FieldViolation"),
        *("TrackTable", "CallbackSignature", "SignatureEncoding", "Progress", "Said"),
    )
    parts = [GENERATED, "# Declare fields", _FIELDS_INTRO, "## The classes", *map(_section, names)]
    return _page([*parts, value_section(draft.Draft)])


def errors_page() -> str:
    """Render how a vendor's errors are declared and read."""
    essay = prose_of(error_table, {}).split("\n", 2)[2]
    parts = [GENERATED, "# Errors", _ERRORS_INTRO, "## How an answer is read", essay, "## The classes"]
    return _page([*parts, *map(_section, ("ErrorTable", "Rule", "At"))])


def _section(name: str) -> str:
    return value_section(getattr(plugin, name))


def _page(parts: list[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"
