"""The cluster's own certificate authority, and certificates of brokers that it vouches for. PEM, as Kafka reads it."""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BROKER = "broker"
"""The name in every broker's certificate: by it brokers and controllers know each other (`super.users`)."""

_BROKER_VALID, _AUTHORITY_VALID = timedelta(days=3650), timedelta(days=7300)
"""The authority must outlive every broker's certificate, the last of which may be made years after it."""
_RENEWED = timedelta(days=30)
"""So long before its end a broker's certificate is made anew."""
_CLOCKS_APART = timedelta(hours=1)


def new_authority() -> tuple[str, str]:
    """A new authority: its certificate, which clients trust, and its key, which only who makes brokers needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("dossier-kafka-authority")
    certificate = (
        _certificate(name, name, key.public_key(), _AUTHORITY_VALID)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), _private(key)


def new_broker(authority: str, authority_key: str, hosts: Sequence[str]) -> str:
    """Key and certificate of a broker that answers to these names and addresses, in one PEM text (Kafka's key store).

    It shows the certificate to clients as a server and to other brokers as a client. Raises ValueError if that is not
    the authority's key.
    """
    issuer = x509.load_pem_x509_certificate(authority.encode())
    signing = load_pem_private_key(authority_key.encode(), None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey) or signing.public_key() != issuer.public_key():
        raise ValueError("the key is not the one of this authority")
    key = ec.generate_private_key(ec.SECP256R1())
    both_sides = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        _certificate(_name(BROKER), issuer.subject, key.public_key(), _BROKER_VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both_sides, critical=False)
        .add_extension(x509.SubjectAlternativeName(list(map(_host, hosts))), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), critical=False)
        .sign(signing, hashes.SHA256())
    )
    return _private(key) + certificate.public_bytes(Encoding.PEM).decode()


def vouched_for(broker: str, authority: str, hosts: Iterable[str], at: datetime | None = None) -> bool:
    """Whether the authority vouches for the broker of this PEM text, under all these names and addresses, for at least
    a month from a moment (now) on.
    """
    certificate = x509.load_pem_x509_certificate(broker.encode())
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    except (InvalidSignature, ValueError):  # of another authority, or of another name
        return False
    if certificate.not_valid_after_utc <= (at or datetime.now(UTC)) + _RENEWED:
        return False
    named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(map(_host, hosts)) <= set(named)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_APART)
        .not_valid_after(now + valid)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
