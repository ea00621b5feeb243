"""Certificates for tests, made at run time; no trust list has them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from musicgate.assets.marks import SigningKey

_PEM = serialization.Encoding.PEM


@attrs.frozen(kw_only=True)
class FakeSigner:
    """A certificate with its key as files, and the root that issued it."""

    signing: SigningKey
    root: str


def fake_signer(folder: Path, *, common_name: str = "Fake signer", days: int = 30) -> FakeSigner:
    """Write a certificate as C2PA wants it (EKU emailProtection) and its key.

    Args:
        days: how long it is valid; below 0 it has expired.
    """
    now = datetime.now(UTC)
    first, last = now - timedelta(days=60), now + timedelta(days=days)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("Fake root", "Fake root", root_key, root_key, (first, last), is_root=True)
    certificate = _certificate(common_name, "Fake root", key, root_key, (first, last), is_root=False)
    signing = SigningKey(certificate=folder / "certificate.pem", key=folder / "key.pem")
    signing.certificate.write_bytes(certificate.public_bytes(_PEM))
    signing.key.write_bytes(
        key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return FakeSigner(signing=signing, root=root.public_bytes(_PEM).decode())


def _name(common_name: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "No Such Label (test)")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: str,
    issuer: str,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    valid: tuple[datetime, datetime],
    *,
    is_root: bool,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=0 if is_root else None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_root:
        email = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(email, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
