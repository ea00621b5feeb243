"""What a mark says: title, artist, and where AI generated the song. Values only."""

import re
from typing import Any, Final

import attrs

from musicgate.errors import MarksError

#: Longest text of a mark, in characters.
MAX_MARK_CHARS: Final = 1_000

#: The description of our comment where a format has several comments.
COMMENT_NAME: Final = "AI generated"
#: How our comment begins where a format has one comment, or comments without a description.
COMMENT_BEGINS: Final = "AI generated with "

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def _one_line(text: str) -> str:
    """A text without control characters and halves of surrogate pairs, which no tag can hold."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _CONTROLS.sub(" ", whole).strip()


def _optional(text: str | None) -> str | None:
    return (_one_line(text) or None) if text is not None else None


def _not_too_long(_tags: object, attribute: "attrs.Attribute[Any]", text: str | None) -> None:
    if text is not None and len(text) > MAX_MARK_CHARS:
        raise MarksError(
            f"{attribute.name} has {len(text):,} characters; a mark takes at most {MAX_MARK_CHARS:,}"
        )


def _required() -> Any:
    return attrs.field(converter=_one_line, validator=_not_too_long)


def _maybe() -> Any:
    return attrs.field(default=None, converter=_optional, validator=_not_too_long)


@attrs.frozen(kw_only=True)
class Tags:
    """What tags and a signature say of a song. Line breaks and control characters become blanks.

    Attributes:
        title: as the caller or the vendor gave it; None = the title in the file stays.
        artist: as the caller gave it; None = the artist in the file stays.
        provider: public name of the provider.
        model: public id of the model.
        tool: name and version of the program.
        job_id: the gateway's id of the job.

    Raises:
        MarksError: a text has over 1,000 characters.
    """

    provider: str = _required()
    model: str = _required()
    tool: str = _required()
    job_id: str = _required()
    title: str | None = _maybe()
    artist: str | None = _maybe()

    @property
    def comment(self) -> str:
        """One sentence for people."""
        return f"{COMMENT_BEGINS}{self.model} by {self.provider} through {self.tool}, job {self.job_id}"

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Names and texts for programs, the same in every format that has free fields."""
        return (
            ("AI_GENERATED", "yes"),
            ("AI_PROVIDER", self.provider),
            ("AI_MODEL", self.model),
            ("AI_TOOL", self.tool),
            ("AI_JOB_ID", self.job_id),
        )
