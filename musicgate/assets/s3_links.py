"""Signed links of S3 that set headers of the answer. It knows the signature, and no store.

obstore 0.12 signs links without a query of ours, and S3 sets the headers of an answer only by a signed query.
So this adds the parameters to a link that obstore made, and signs it again.

**Source**: AWS, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and "GetObject",
November 2026.
"""

import hashlib
import hmac
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

_UNRESERVED: Final = "-._~"


def with_answer_headers(link: str, secret: str, *, content_type: str, content_disposition: str) -> str:
    """Sign a link again, so that the answer has this content type and disposition.

    Args:
        link: a signed link of S3, which says the key's id, the date, the region and the lifetime.
        secret: the secret access key.
        content_type: for ``Content-Type``.
        content_disposition: for ``Content-Disposition``.
    """
    parts = urlsplit(link)
    parameters = dict(parse_qsl(parts.query))
    del parameters["X-Amz-Signature"]
    parameters["response-content-disposition"] = content_disposition
    parameters["response-content-type"] = content_type
    query = "&".join(
        f"{quote(name, safe=_UNRESERVED)}={quote(value, safe=_UNRESERVED)}"
        for name, value in sorted(parameters.items())
    )
    _, date, region, service, ending = parameters["X-Amz-Credential"].rsplit("/", 4)
    request = "\n".join(("GET", parts.path, query, f"host:{parts.netloc}", "", "host", "UNSIGNED-PAYLOAD"))
    to_sign = "\n".join(
        (
            "AWS4-HMAC-SHA256",
            parameters["X-Amz-Date"],
            f"{date}/{region}/{service}/{ending}",
            hashlib.sha256(request.encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for step in (date, region, service, ending):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return f"{parts.scheme}://{parts.netloc}{parts.path}?{query}&X-Amz-Signature={signature}"
