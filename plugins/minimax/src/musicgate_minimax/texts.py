"""Prompt, lyrics and voice flags of a native request, for models that write songs and for covers."""

from enum import Enum, auto

import attrs

from musicgate.plugin import JsonObject, MusicRequest, UnsupportedOptionError, is_blank
from musicgate_minimax.models import ModelRules
from musicgate_minimax.parts import (
    BAD_COVER,
    BLOCK,
    LYRICS_REQUIRED,
    Part,
    Path,
    changed,
    check_length,
    join,
    not_applied,
    refusal,
)
from musicgate_minimax.prompt import write_prompt

#: Lyrics of tags only, for a model that makes instrumentals but has no flag for them.
#: Seen: "[intro] [outro]" (MiniMax-AI/cli, early 2026).
INSTRUMENTAL_TAGS = "[Intro]\n[Inst]\n[Outro]"

_REFERENCES = ("audio_url", "audio_base64", "cover_feature_id")
#: A reference recording has at most 50 MB; base64 needs four characters for three bytes.
#: Source: https://platform.minimax.io/docs/api-reference/music-generation, July 2026.
_MAX_BASE64_CHARS = 50 * 1024 * 1024 * 4 // 3 + 4


class Singing(Enum):
    """Where the lyrics come from."""

    #: From the request.
    GIVEN = auto()
    #: MiniMax writes them.
    WRITTEN = auto()
    #: Instrumental.
    NONE = auto()


@attrs.frozen(kw_only=True)
class Given:
    """Lyrics that are not blank, and their path in the request."""

    text: str
    path: Path

    @property
    def in_block(self) -> bool:
        """True for lyrics of the ``minimax`` block."""
        return self.path[0] == BLOCK


def song_texts(request: MusicRequest, block: JsonObject, native_model: str, rules: ModelRules) -> Part:
    """Prompt, lyrics and voice flags for a model that writes songs.

    Raises:
        RequestError: options contradict each other, lyrics or a prompt are missing, or one is too long.
    """
    _refuse_references(block, native_model)
    lyrics = _given_lyrics(request, block)
    _refuse_contradictions(request, block, lyrics)
    singing, warnings = _choose_singing(request, block, rules, lyrics)
    voice = _voice(singing, lyrics, native_model, rules, request, block)
    prompt = write_prompt(request, block, native_model, rules, is_sung=singing is not Singing.NONE)
    return join((prompt, voice, _flags(block, native_model, rules), warnings))


def cover_texts(request: MusicRequest, block: JsonObject, native_model: str, rules: ModelRules) -> Part:
    """Prompt, reference recording and lyrics for a cover model, which has no ``is_instrumental``.

    Raises:
        RequestError: not exactly one reference, or a text that the vendor would refuse.
    """
    given = {key: block[key] for key in _REFERENCES if not is_blank(block.get(key))}
    if len(given) != 1:
        wanted = f"{native_model} needs exactly one of {', '.join(_REFERENCES)}; {len(given)} are given"
        raise refusal((BLOCK,), wanted, BAD_COVER)
    if len(str(given.get("audio_base64", ""))) > _MAX_BASE64_CHARS:
        raise refusal((BLOCK, "audio_base64"), "a reference recording has at most 50 MB", BAD_COVER)
    lyrics = _given_lyrics(request, block)
    if lyrics is None and "cover_feature_id" in given:
        raise refusal((BLOCK, "lyrics"), "a cover of a cover_feature_id needs lyrics", BAD_COVER)
    parts = [Part(fields=given), write_prompt(request, block, native_model, rules, is_sung=True)]
    if lyrics is not None:
        check_length(lyrics.text, rules.lyrics_max, lyrics.path, native_model)
        parts.append(Part(fields={"lyrics": lyrics.text}))
    parts.append(_flags(block, native_model, rules))
    if request.instrumental and block.get("is_instrumental") is None:
        parts.append(not_applied(("instrumental",), f"{native_model} sings what its reference sings"))
    return join(parts)


def _given_lyrics(request: MusicRequest, block: JsonObject) -> Given | None:
    """The lyrics, unchanged; those of the block beat the neutral field unless they are blank."""
    own = block.get("lyrics")
    if isinstance(own, str) and not is_blank(own):
        return Given(text=own, path=(BLOCK, "lyrics"))
    if request.lyrics is not None and not is_blank(request.lyrics):
        return Given(text=request.lyrics, path=("lyrics",))
    return None


def _refuse_references(block: JsonObject, native_model: str) -> None:
    for key in _REFERENCES:
        if key in block:
            raise UnsupportedOptionError(
                (BLOCK, key), f"{native_model} is no cover model and takes no reference"
            )


def _refuse_contradictions(request: MusicRequest, block: JsonObject, lyrics: Given | None) -> None:
    """Refuse options of the same rank that exclude each other; the block simply beats a neutral field.

    Seen: the vendor's own command line tool refuses the same three (github.com/MiniMax-AI/cli, May 2026).
    """
    # ASSUMED: the server may be more lenient; what it would do then is not documented.
    instrumental, written = (BLOCK, "is_instrumental"), (BLOCK, "lyrics_optimizer")
    own = lyrics is not None and lyrics.in_block
    if block.get("is_instrumental") and own:
        raise refusal(instrumental, "lyrics are given, and an instrumental is asked for")
    if block.get("lyrics_optimizer") and own:
        raise refusal(written, "lyrics are given, and the vendor is asked to write some")
    if block.get("lyrics_optimizer") and block.get("is_instrumental"):
        raise refusal(written, "the vendor is asked to write lyrics, and an instrumental is asked for")
    overruled = block.get("is_instrumental") is not None or block.get("lyrics_optimizer")
    if request.instrumental and lyrics and not own and not overruled:
        raise refusal(("instrumental",), "lyrics are given, and an instrumental is asked for")


def _choose_singing(
    request: MusicRequest, block: JsonObject, rules: ModelRules, lyrics: Given | None
) -> tuple[Singing, Part]:
    """Choose where the lyrics come from, and warn of neutral fields that the block overrules."""
    if block.get("lyrics_optimizer") or block.get("is_instrumental"):
        singing = Singing.WRITTEN if block.get("lyrics_optimizer") else Singing.NONE
        overruled = [not_applied(lyrics.path, "overruled by the minimax block")] if lyrics else []
        if singing is Singing.WRITTEN and request.instrumental:
            overruled.append(not_applied(("instrumental",), "overruled by minimax.lyrics_optimizer"))
        return singing, join(overruled)
    if lyrics is not None:
        loses = lyrics.in_block and request.instrumental and block.get("is_instrumental") is None
        return Singing.GIVEN, not_applied(
            ("instrumental",), "overruled by minimax.lyrics"
        ) if loses else Part()
    if block.get("is_instrumental") is False:
        raise refusal((BLOCK, "lyrics"), "is_instrumental is false, and there are no lyrics", LYRICS_REQUIRED)
    if request.instrumental is False:
        # A voice without lyrics: the vendor can write them.
        if not rules.takes_optimizer or block.get("lyrics_optimizer") is False:
            raise refusal(("lyrics",), "a voice is wanted, and there are no lyrics", LYRICS_REQUIRED)
        message = "there are no lyrics, so MiniMax writes them from the prompt (lyrics_optimizer)"
        return Singing.WRITTEN, changed(("instrumental",), message)
    return Singing.NONE, Part()


def _voice(
    singing: Singing,
    lyrics: Given | None,
    native_model: str,
    rules: ModelRules,
    request: MusicRequest,
    block: JsonObject,
) -> Part:
    """The lyrics, or the flag or tags that replace them."""
    if singing is Singing.GIVEN and lyrics is not None:
        check_length(lyrics.text, rules.lyrics_max, lyrics.path, native_model)
        return Part(fields={"lyrics": lyrics.text})
    if singing is Singing.WRITTEN:
        if not rules.takes_optimizer:
            raise UnsupportedOptionError((BLOCK, "lyrics_optimizer"), f"{native_model} does not write lyrics")
        return Part(fields={"lyrics_optimizer": True})
    if rules.takes_instrumental:
        return Part(fields={"is_instrumental": True})
    own = bool(block.get("is_instrumental"))
    path: Path = (BLOCK, "is_instrumental") if own else ("instrumental",)
    if rules.instrumental_by_tags:
        fields = {"lyrics": INSTRUMENTAL_TAGS}
        message = f"{native_model} has no switch for it: lyrics that are tags only are sent"
        return changed(path, message, fields) if own or request.instrumental else Part(fields=fields)
    if own:
        raise UnsupportedOptionError(path, f"{native_model} cannot make an instrumental")
    raise refusal(
        ("lyrics",), f"{native_model} cannot make an instrumental and needs lyrics", LYRICS_REQUIRED
    )


def _flags(block: JsonObject, native_model: str, rules: ModelRules) -> Part:
    """The block's flags: false is sent where the model has the key; a cover refuses true."""
    parts = []
    for key, known in (
        ("is_instrumental", rules.takes_instrumental),
        ("lyrics_optimizer", rules.takes_optimizer),
    ):
        if block.get(key) is False:
            parts.append(
                Part(fields={key: False})
                if known
                else not_applied((BLOCK, key), f"{native_model} has no {key}")
            )
        elif block.get(key) and rules.is_cover:
            raise UnsupportedOptionError((BLOCK, key), f"{native_model} has no {key}")
    return join(parts)
