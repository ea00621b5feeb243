"""The prompt of a native request, with the neutral fields that are appended to it; no lyrics.

MiniMax has one text for everything but the lyrics. Style, voice and what to avoid are appended to it as the
vendor's own command line tool does it ("<prompt>. Vocals: ... . Avoid: ...").
Seen: github.com/MiniMax-AI/cli, May 2026.
"""

from musicgate.plugin import JsonObject, MusicRequest, is_blank, utf16_units
from musicgate_minimax.models import ModelRules
from musicgate_minimax.parts import (
    BAD_COVER,
    BAD_PROMPT,
    BLOCK,
    Part,
    Path,
    changed,
    check_length,
    join,
    not_applied,
    refusal,
)

_VOICES = {"m": "male", "f": "female"}


def write_prompt(
    request: MusicRequest, block: JsonObject, native_model: str, rules: ModelRules, *, is_sung: bool
) -> Part:
    """Write the prompt and append the neutral fields to it.

    Raises:
        RequestError: it is missing where the vendor needs it, or has a length that the model does not take.
    """
    own = block.get("prompt")
    path: Path = ("prompt",) if is_blank(own) else (BLOCK, "prompt")
    text = request.prompt if is_blank(own) else str(own)
    additions, warnings = _additions(request, is_sung=is_sung)
    whole = _append("" if text is None or is_blank(text) else text, additions)
    reason = BAD_COVER if rules.is_cover else BAD_PROMPT
    if not whole and (rules.prompt_min or not is_sung):
        raise refusal(path, f"{native_model} needs a prompt here", reason)
    if whole and utf16_units(whole) < rules.prompt_min:
        raise refusal(
            path, f"{native_model} takes a prompt of at least {rules.prompt_min} characters", reason
        )
    check_length(whole, rules.prompt_max, path, f"the prompt of {native_model}", reason)
    return join((Part(fields={"prompt": whole} if whole else {}), warnings))


def _additions(request: MusicRequest, *, is_sung: bool) -> tuple[tuple[tuple[str, str], ...], Part]:
    """Label and text of each neutral field to append, and the warnings about all of them."""
    additions: list[tuple[str, str]] = []
    warnings: list[Part] = []
    if request.style is not None and not is_blank(request.style):
        additions.append(("Style", request.style.strip()))
        warnings.append(changed(("style",), "MiniMax has no field for it: sent as part of the prompt"))
    if request.vocal_gender is not None and not is_sung:
        warnings.append(not_applied(("vocal_gender",), "an instrumental has no voice"))
    elif request.vocal_gender is not None:
        additions.append(("Vocals", _VOICES.get(request.vocal_gender, request.vocal_gender)))
        warnings.append(changed(("vocal_gender",), "MiniMax has no field for it: sent as part of the prompt"))
    if request.negative_style is not None and not is_blank(request.negative_style):
        additions.append(("Avoid", request.negative_style.strip()))
        warnings.append(
            changed(("negative_style",), "MiniMax has no field for it: sent as part of the prompt")
        )
    if request.title is not None and not is_blank(request.title):
        warnings.append(not_applied(("title",), "MiniMax does not name its songs"))
    return tuple(additions), join(warnings)


def _append(prompt: str, additions: tuple[tuple[str, str], ...]) -> str:
    """Append as sentences; without additions the prompt is unchanged, and a style alone needs no label."""
    if not additions:
        return prompt
    texts = [f"{label}: {text}" for label, text in additions]
    if not prompt and additions[0][0] == "Style":
        texts[0] = additions[0][1]
    whole = prompt.rstrip()
    for text in texts:
        whole = f"{whole}{' ' if whole.endswith(('.', '!', '?')) else '. '}{text}" if whole else text
    return whole
