"""The certificate authority over gRPC, with grpcio: another implementation than the server's.

The client's code is generated from `protos/` when the tests run.
"""

import importlib
import sys
import urllib.parse

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pb2, empty_pb2
from grpc_tools import protoc

from conftest import EMAIL
from stack import ROOT

PROTOS = ROOT / "conformance/protos"
TOKEN = "There was an error processing the identity token"
SERVICES = {
    "dev.sigstore.fulcio.v2.CA",
    "dev.sigstore.fulcio.v1beta.CA",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
}


@pytest.fixture(scope="session")
def generated(tmp_path_factory):
    """The generated modules, by name."""
    out = tmp_path_factory.mktemp("protos")
    files = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    include = importlib.resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{PROTOS}", f"-I{include}", f"--python_out={out}", f"--grpc_python_out={out}", *files]
    assert protoc.main(arguments) == 0
    # `google` is a package that exists already; ours has to be found in it too.
    import google

    google.__path__.append(str(out / "google"))
    sys.path.insert(0, str(out))
    names = ["fulcio", "fulcio_legacy", "health", "reflection"]
    return {name: importlib.import_module(name) for stem in names for name in (f"{stem}_pb2", f"{stem}_pb2_grpc")}


@pytest.fixture(scope="session")
def channel(stack):
    host = urllib.parse.urlsplit(stack.endpoints["fulcio"]).netloc
    with grpc.insecure_channel(host, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


@pytest.fixture
def key():
    return ec.generate_private_key(ec.SECP256R1())


def public(key, encoding):
    return key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def request(messages, token, key, identity=EMAIL):
    return messages.CreateSigningCertificateRequest(
        credentials=messages.Credentials(oidc_identity_token=token),
        public_key_request=messages.PublicKeyRequest(
            public_key=messages.PublicKey(
                algorithm=messages.ECDSA, content=public(key, serialization.Encoding.PEM).decode()
            ),
            proof_of_possession=key.sign(identity.encode(), ec.ECDSA(hashes.SHA256())),
        ),
    )


def check(chain, key):
    """The certificate is for the key and the address, and signed by the next of the chain."""
    leaf, issuer, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in chain)
    leaf.verify_directly_issued_by(issuer)
    issuer.verify_directly_issued_by(root)
    assert leaf.public_key() == key.public_key()
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == [EMAIL]
    scts = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    assert len(list(scts)) == 1


def refusal(call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code(), caught.value.details()


def test_a_certificate_for_a_key_and_for_a_request(generated, channel, token, key):
    messages = generated["fulcio_pb2"]
    authority = generated["fulcio_pb2_grpc"].CAStub(channel)
    answer = authority.CreateSigningCertificate(request(messages, token, key))
    assert answer.WhichOneof("certificate") == "signed_certificate_embedded_sct"
    check(answer.signed_certificate_embedded_sct.chain.certificates, key)

    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    answer = authority.CreateSigningCertificate(
        messages.CreateSigningCertificateRequest(
            certificate_signing_request=csr.public_bytes(serialization.Encoding.PEM)
        ),
        metadata=[("oidcidentitytoken", token)],
    )
    check(answer.signed_certificate_embedded_sct.chain.certificates, key)


def test_the_older_service(generated, channel, stack, token, key):
    messages = generated["fulcio_legacy_pb2"]
    authority = generated["fulcio_legacy_pb2_grpc"].CAStub(channel)
    answer = authority.CreateSigningCertificate(
        messages.CreateSigningCertificateRequest(
            publicKey=messages.PublicKey(algorithm="ecdsa", content=public(key, serialization.Encoding.DER)),
            signedEmailAddress=key.sign(EMAIL.encode(), ec.ECDSA(hashes.SHA256())),
        ),
        metadata=[("oidcidentitytoken", token)],
    )
    assert answer.content_type == "application/pem-certificate-chain"
    certificates = x509.load_pem_x509_certificates(answer.data)
    check([one.public_bytes(serialization.Encoding.PEM).decode() for one in certificates], key)
    root = authority.GetRootCertificate(empty_pb2.Empty())
    assert root.data == stack.get("fulcio", "/api/v1/rootCert")


def test_refusals_say_what_the_rest_api_says(generated, channel, token, key):
    messages = generated["fulcio_pb2"]
    create = generated["fulcio_pb2_grpc"].CAStub(channel).CreateSigningCertificate
    assert refusal(create, request(messages, "x", key)) == (grpc.StatusCode.INVALID_ARGUMENT, TOKEN)
    wrong = refusal(create, request(messages, token, key, "somebody@corp.example"))
    assert wrong == (grpc.StatusCode.INVALID_ARGUMENT, "The signature supplied in the request could not be verified")
    huge = messages.CreateSigningCertificateRequest(certificate_signing_request=b"x" * (4 << 20))
    assert refusal(create, huge)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_bundle_and_configuration(generated, channel, stack):
    import json

    messages = generated["fulcio_pb2"]
    authority = generated["fulcio_pb2_grpc"].CAStub(channel)
    bundle = authority.GetTrustBundle(messages.GetTrustBundleRequest())
    rest = json.loads(stack.get("fulcio", "/api/v2/trustBundle"))
    assert [{"certificates": list(chain.certificates)} for chain in bundle.chains] == rest["chains"]
    configuration = authority.GetConfiguration(messages.GetConfigurationRequest())
    rest = json.loads(stack.get("fulcio", "/api/v2/configuration"))["issuers"]
    found = {(issuer.issuer_url, issuer.issuer_type, issuer.challenge_claim) for issuer in configuration.issuers}
    assert found == {(issuer["issuerUrl"], issuer["issuerType"], issuer["challengeClaim"]) for issuer in rest}


def test_health_and_unknown_methods(generated, channel):
    messages = generated["health_pb2"]
    health = generated["health_pb2_grpc"].HealthStub(channel)
    assert health.Check(messages.HealthCheckRequest()).status == messages.HealthCheckResponse.SERVING
    unknown = channel.unary_unary("/dev.sigstore.fulcio.v2.CA/Nope", lambda message: b"", lambda answer: answer)
    assert refusal(unknown, None)[0] == grpc.StatusCode.UNIMPLEMENTED


def test_reflection_describes_the_services_as_the_public_definitions_do(generated, channel):
    messages = generated["reflection_pb2"]
    reflection = generated["reflection_pb2_grpc"].ServerReflectionStub(channel)

    def ask(**question):
        return next(reflection.ServerReflectionInfo(iter([messages.ServerReflectionRequest(**question)])))

    listed = {service.name for service in ask(list_services="").list_services_response.service}
    assert SERVICES <= listed
    for module, service in [("fulcio_pb2", "dev.sigstore.fulcio.v2.CA"), ("fulcio_legacy_pb2", "dev.sigstore.fulcio.v1beta.CA")]:
        answer = ask(file_containing_symbol=service).file_descriptor_response
        described = descriptor_pb2.FileDescriptorProto.FromString(answer.file_descriptor_proto[0])
        own = descriptor_pb2.FileDescriptorProto()
        generated[module].DESCRIPTOR.CopyToProto(own)
        for message in described.message_type:
            for field in message.field:
                # Derived from the name; the generated Python leaves it out.
                field.ClearField("json_name")
        assert described == own
