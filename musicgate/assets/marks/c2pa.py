"""C2PA manifests in audio: report them, and sign files with the operator's certificate.

The library c2pa-python is optional (``musicgate[c2pa]``, 53 MB on a disk). Without it a manifest is reported
as present and not checked. The library is called only for files in which `presence` found a manifest of a
sensible size, and it may not use the network: no manifest is fetched from elsewhere, no certificate's
revocation is looked up, and signatures carry no time stamp of an authority.

Source: C2PA Technical Specification 2.2; github.com/contentauth/c2pa-rs docs/context-settings.md.
"""

import json
import re
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs

from musicgate.assets.audio import AudioKind, content_type, riff_wav
from musicgate.assets.marks.id3 import read_id3
from musicgate.assets.marks.origin import Tags
from musicgate.assets.marks.pieces import replacement
from musicgate.assets.marks.presence import SIGNABLE, find_manifest, is_manifest_frame
from musicgate.errors import MarksError
from musicgate.text import cut_text

#: Digital source types of media that a trained model made, or made in part.
#: Source: cv.iptc.org/newscodes/digitalsourcetype, November 2026.
_SOURCE_TYPES: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_AI_SOURCE_TYPES: Final = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
#: Longest text of a manifest that is reported.
_MAX_CHARS: Final = 200
_MAX_PEM_BYTES: Final = 256 * 1024
#: Actions on a file that has a parent: its tags were changed, or it was converted.
_EDITED, _CONVERTED = "c2pa.edited.metadata", "c2pa.transcoded"
_PARENT: Final = {"title": "original", "relationship": "parentOf"}
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class Validity(StrEnum):
    """What is known of a manifest."""

    #: Signature and content agree, and the signer is on a trust list.
    TRUSTED = "trusted"
    #: Signature and content agree; who signed is known only by the signer's own word.
    VALID = "valid"
    #: The file was changed after it was signed, or the manifest cannot be read.
    INVALID = "invalid"
    NOT_CHECKED = "not_checked"


@attrs.frozen(kw_only=True)
class ManifestReport:
    """What a file's C2PA manifest says. The file says it; only ``validity`` was checked.

    Attributes:
        reason: why it is invalid, not trusted or not checked.
        signer: common name of the signer's certificate.
        issuer: organisation of the signer's certificate.
        claim_generator: name and version of the program that made the manifest.
        states_ai: whether it, or a manifest that it was made of, states AI generation; None = not read.
        title: of the song.
    """

    validity: Validity
    reason: str | None = None
    signer: str | None = None
    issuer: str | None = None
    claim_generator: str | None = None
    states_ai: bool | None = None
    title: str | None = None


@attrs.frozen(kw_only=True)
class SigningKey:
    """The files of the operator's certificate and of its key, both PEM.

    Attributes:
        certificate: the signer's certificate, then those of its issuers without the root.
        key: PKCS 8, not encrypted, of the curve P-256 (ES256).
    """

    certificate: Path
    key: Path


def can_check_manifests() -> bool:
    """True if c2pa-python is installed."""
    return find_spec("c2pa") is not None


def read_manifest(path: Path, *, trust_anchors: str | None = None) -> ManifestReport | None:
    """Report the C2PA manifest of a file; None if it has none.

    A damaged manifest, or one that is too large, is reported and raises nothing.

    Args:
        trust_anchors: root certificates (PEM) whose signers are trusted, e.g. the C2PA trust list.

    Raises:
        OSError: the file cannot be read.
    """
    found = find_manifest(path)
    if found is None:
        return None
    if found.obstacle is not None:
        return ManifestReport(validity=Validity.NOT_CHECKED, reason=found.obstacle)
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError):  # the wheel lacks its library on some platforms
        reason = "c2pa-python is not installed: pip install 'musicgate[c2pa]'"
        return ManifestReport(validity=Validity.NOT_CHECKED, reason=reason)
    try:
        with (
            c2pa.Context.from_dict(_settings(trust_anchors)) as context,
            path.open("rb") as file,
            c2pa.Reader(content_type(found.kind), file, found.content, context=context) as reader,
        ):
            return _report(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, RecursionError) as error:
        return ManifestReport(validity=Validity.INVALID, reason=_clean(str(error)))


def _settings(trust_anchors: str | None = None) -> dict[str, object]:
    """Settings of the library: no network, little memory."""
    return {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "core": {
            "allowed_network_hosts": [],
            # Identities of authors would be looked up in the network (did:web).
            "decode_identity_assertions": False,
            "max_decompressed_manifest_size_in_mb": 8,
            "backing_store_memory_threshold_in_mb": 16,
        },
        "builder": {"thumbnail": {"enabled": False}},
        **({"trust": {"trust_anchors": trust_anchors}} if trust_anchors else {}),
    }


def _report(store: dict[str, Any]) -> ManifestReport:
    """Read the library's account of a manifest. Its texts come from the file, so none is taken on trust."""
    manifests = store["manifests"]
    active = manifests[store["active_manifest"]]
    validity = Validity(store["validation_state"].lower())
    generators = [_named(one) for one in active.get("claim_generator_info") or ()]
    signature = active.get("signature_info") or {}
    return ManifestReport(
        validity=validity,
        reason=_reason(validity, store.get("validation_status") or []),
        signer=_clean(signature.get("common_name")),
        issuer=_clean(signature.get("issuer")),
        claim_generator=_clean(", ".join(generators) or active.get("claim_generator")),
        states_ai=any(_states_ai(one) for one in _with_ingredients(manifests, store["active_manifest"])),
        title=_clean(active.get("title")),
    )


def _reason(validity: Validity, statuses: list[dict[str, Any]]) -> str | None:
    if validity is Validity.TRUSTED:
        return None
    if validity is Validity.VALID:
        return "the signer is on no trust list that was given"
    faults = [status for status in statuses if status.get("code") != "signingCredential.untrusted"]
    return _clean("; ".join(f"{one.get('code')}: {one.get('explanation', '')}" for one in faults or statuses))


def _named(generator: dict[str, Any]) -> str:
    return " ".join(str(part) for part in (generator.get("name"), generator.get("version")) if part)


def _with_ingredients(manifests: dict[str, Any], label: str) -> Iterator[dict[str, Any]]:
    """A manifest and those of the files that it was made of, each once."""
    waiting, seen = [label], set[str]()
    while waiting:
        label = waiting.pop()
        if label in seen or label not in manifests:
            continue
        seen.add(label)
        yield manifests[label]
        ingredients = manifests[label].get("ingredients") or ()
        waiting += [one["active_manifest"] for one in ingredients if one.get("active_manifest")]


def _states_ai(manifest: dict[str, Any]) -> bool:
    assertions = [one for one in manifest.get("assertions") or () if one["label"].startswith("c2pa.actions")]
    actions = [action for one in assertions for action in (one.get("data") or {}).get("actions") or ()]
    return any(str(one.get("digitalSourceType")).endswith(_AI_SOURCE_TYPES) for one in actions)


def _clean(text: object) -> str | None:
    """A text of a manifest, bounded and on one line; None if it is not one."""
    if not isinstance(text, str):
        return None
    return cut_text(_CONTROLS.sub(" ", text).strip(), _MAX_CHARS) or None


def sign(
    source: Path,
    target: Path,
    kind: AudioKind,
    tags: Tags,
    signing: SigningKey,
    *,
    parent: Path | None = None,
) -> None:
    """Write a copy of a file with a new C2PA manifest that states AI generation.

    Args:
        target: replaced whole or not at all; it may be ``source``.
        tags: what the manifest says of the song.
        parent: the file that ``source`` was made of. The new manifest names it if it has one of its own.

    Raises:
        MarksError: the kind cannot be signed, the certificate or key cannot be used, or the library refuses.
            ``target`` is as it was.
        OSError: a file cannot be read or written.
    """
    if kind not in SIGNABLE:
        raise MarksError(f"{kind} files cannot be signed: C2PA signs {', '.join(sorted(SIGNABLE))}")
    try:
        import c2pa
    except (ImportError, OSError, RuntimeError) as error:
        raise MarksError("signing needs c2pa-python: pip install 'musicgate[c2pa]'") from error
    frames = _frame_count(source, kind)
    certificate, key = (_pem(path) for path in (signing.certificate, signing.key))
    named = find_manifest(parent) if parent is not None else None
    action = "c2pa.created" if named is None else _EDITED if named.kind is kind else _CONVERTED
    with replacement(target) as signed:
        try:
            with (
                c2pa.Context.from_dict(_settings()) as context,
                c2pa.Builder(_manifest(tags, action), context=context) as builder,
                c2pa.Signer.from_info(
                    c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, certificate, key, None)
                ) as signer,
                source.open("rb") as unsigned,
                signed.open("w+b") as file,
            ):
                if parent is not None and named is not None:
                    builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                    with parent.open("rb") as original:
                        builder.add_ingredient(_PARENT, content_type(named.kind), original)
                builder.sign(signer, content_type(kind), unsigned, file)
        except c2pa.C2paError as error:
            raise MarksError(f"the file cannot be signed: {_clean(str(error))}") from error
        report = read_manifest(signed)
        if report is None or report.validity is not Validity.VALID:
            raise MarksError(f"the signature does not hold: {report.reason if report else 'there is none'}")
        if _frame_count(signed, kind) != frames:
            raise MarksError("the file cannot be signed: c2pa-python would drop frames of its ID3 tag")


def _frame_count(path: Path, kind: AudioKind) -> int:
    """Number of frames of an ID3 tag but those of a manifest.

    The library writes tags again, as version 2.4, and drops what it does not understand: the whole tag where
    it is unsynchronised or has an encrypted frame (0.38.1).
    """
    if kind not in {AudioKind.MP3, AudioKind.FLAC}:
        return 0
    with path.open("rb") as file:
        return sum(not is_manifest_frame(frame) for frame in read_id3(file).frames)


def check_signing(signing: SigningKey) -> None:
    """Sign a moment of silence, so that a wrong certificate is found at the start and not with a song.

    Raises:
        MarksError: it cannot be used, or c2pa-python is not installed.
    """
    tags = Tags(provider="none", model="none", tool="musicgate", job_id="none")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "silence.wav"
        path.write_bytes(riff_wav(bytes(200), sample_rate_hz=8_000, channels=1))
        sign(path, path, AudioKind.WAV, tags, signing)


def _pem(path: Path) -> bytes:
    """Read a certificate or key.

    Raises:
        MarksError: it cannot be read. The message has the path and nothing of the content.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_PEM_BYTES)
    except OSError as error:
        raise MarksError(f"{path} cannot be read: {error.strerror}") from error
    if b"-----BEGIN " not in content:
        raise MarksError(f"{path} is not PEM")
    return content


def _manifest(tags: Tags, action: str) -> dict[str, object]:
    """The definition of a manifest. The library adds the action "opened" for a parent."""
    name, _, version = tags.tool.partition(" ")
    program = {"name": name, **({"version": version} if version else {})}
    done = {
        "action": action,
        "digitalSourceType": _SOURCE_TYPES + _AI_SOURCE_TYPES[0],
        "softwareAgent": program,
        "description": tags.comment,
        "parameters": dict(tags.fields),
    }
    return {
        "claim_generator_info": [program],
        "title": tags.title or tags.job_id,
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [done]}}],
    }
