"""What a failure of obstore means, in our own words.

Its messages show whole answers, URLs and debug output, and none of that may reach a log or a caller. It has
few classes of errors, so status and code are read from the message; an unknown message is a plain failure.
"""

import re
from typing import Final

#: The answer's status, and the code in its XML body (S3 and Azure; GCS has JSON).
_STATUS: Final = re.compile(r"status code: (\d{3})( [A-Za-z ]{2,40})?")
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
#: What happened to a request without an answer: obstore's `HttpErrorKind`, which not every message has.
_KIND: Final = re.compile(r"kind: (Connect|Timeout|Interrupted|Request|Decode|Unknown),")
_NO_ANSWER: Final = {
    "Connect": "cannot be reached",
    "Timeout": "stalled: it took longer than its time limit",
}
#: Another upload of the same name, or of ours whose answer was lost.
_PASSING_CODES: Final = frozenset(
    {
        "OperationAborted",
        "ConditionalRequestConflict",
        "NoSuchUpload",
        "InvalidPart",
        "SlowDown",
        "RequestTimeout",
    }
)
_FULL: Final = re.compile(
    r"StorageFull|InsufficientStorage|QuotaExceeded|NoSpaceLeft|no space left", re.IGNORECASE
)


#: Where the clouds give the credentials of a machine's role, which obstore asks when none are set.
_ROLE_ADDRESS: Final = re.compile(
    r"\b(?:PUT|GET) http://(?:169\.254\.169\.254|metadata\.google\.internal|metadata/)"
)
_NO_CREDENTIALS: Final = "has no credentials: none are set, and this machine has no role in the cloud"
_REFUSING_STATUSES: Final = frozenset({"301", "400", "401", "403", "404"})
_NO_OBJECT: Final = frozenset({"", "NoSuchKey", "BlobNotFound"})
SHORTER: Final = "has an object that is shorter than it was"


def reason(error: Exception) -> str:
    """Say why a store failed, as the end of a sentence that begins with the store."""
    text = str(error)
    if _ROLE_ADDRESS.search(text):
        return _NO_CREDENTIALS
    if status := _STATUS.search(text):
        return _answered(status, text)
    if "Wanted range starting at" in text:  # memory
        return SHORTER
    if isinstance(error, FileNotFoundError):
        return "has no such object"
    if isinstance(error, TimeoutError):
        return _NO_ANSWER["Timeout"]
    if "certificate" in text:
        return "has a certificate that is not trusted"
    if kind := _KIND.search(text):
        return _NO_ANSWER.get(kind[1], "cut the connection")
    return "stalled or cut the connection" if "HTTP error" in text else f"failed ({type(error).__name__})"


def _answered(status: re.Match[str], text: str) -> str:
    found = _CODE.search(text)
    code = found[1] if found else ""
    answer = f"{status[1]} {code or (status[2] or '').strip()}".strip()
    if status[1] == "404" and code in _NO_OBJECT:
        return "has no such object"
    if status[1] == "416":
        return SHORTER
    if status[1] == "507" or _FULL.search(code):
        return f"is full: it answered {answer}"
    return f"refused it: it answered {answer}" if status[1] in {"401", "403"} else f"answered {answer}"


def is_refusal(error: Exception) -> bool:
    """Whether the settings are wrong: no credentials or wrong ones, no permission, or no such bucket."""
    text = str(error)
    status = _STATUS.search(text)
    return bool(_ROLE_ADDRESS.search(text)) or (status is not None and status[1] in _REFUSING_STATUSES)


def is_passing(error: Exception) -> bool:
    """Whether a failure that obstore does not retry may pass: a conflict, or an answer that was cut."""
    text = str(error)
    code = _CODE.search(text)
    if status := _STATUS.search(text):
        return status[1] == "409" or (code is not None and code[1] in _PASSING_CODES)
    kind = _KIND.search(text)
    return (kind is not None and kind[1] in {"Decode", "Unknown"}) or "response body" in text


def is_without_ranges(error: Exception) -> bool:
    """Whether the store answered a request for a range as if it had been for the whole object."""
    return "non-partial" in str(error)
