"""moto's KMS, made honest, with faults on request.

moto 5.2.5 ignores MessageType and hashes a digest again, accepts digests of any length, and signs
with disabled keys. `--unpatched` leaves all of that as it is.

Arguments: the directory of switches and counters, [--tls], [--unpatched]. Files there:
  throttle    this many signatures (a number in the file) are answered with ThrottlingException
  fail        as many with an error of the server, status 500
  latency     each signature takes this many seconds
  signatures  one byte for each request to sign
The server's port is the first line of output; it ends when its standard input does.
"""

import datetime
import ipaddress
import pathlib
import sys
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.core.exceptions import JsonRESTError
from moto.kms import models, responses
from moto.kms.utils import ECDSAPrivateKey
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

directory = pathlib.Path(sys.argv[1])
lock = threading.Lock()
request = threading.local()


def take(name):
    """Whether one more of these faults is asked for."""
    with lock:
        file = directory / name
        left = int(file.read_text() or 0) if file.exists() else 0
        if left > 0:
            file.write_text(str(left - 1))
        return left > 0


class ServerError(JsonRESTError):
    code = 500


original_response = responses.KmsResponse.sign


def sign_response(self):
    with lock, open(directory / "signatures", "a") as counter:
        counter.write("x")
    if take("throttle"):
        raise JsonRESTError("ThrottlingException", "Rate exceeded")
    if take("fail"):
        raise ServerError("KMSInternalException", "asked to fail")
    latency = directory / "latency"
    if latency.exists():
        time.sleep(float(latency.read_text()))
    request.digest = self._get_param("MessageType") == "DIGEST"
    return original_response(self)


responses.KmsResponse.sign = sign_response

if "--unpatched" not in sys.argv:
    original_backend = models.KmsBackend.sign
    original_key = ECDSAPrivateKey.sign

    def sign_backend(self, key_id, message, signing_algorithm):
        key = self.describe_key(key_id)
        if key.key_state != "Enabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        return original_backend(self, key_id, message, signing_algorithm)

    def sign_key(self, message, signing_algorithm):
        if not request.digest:
            return original_key(self, message, signing_algorithm)
        hash_algorithm = self._ECDSAPrivateKey__hash_algorithm(signing_algorithm)
        if len(message) != hash_algorithm.digest_size:
            raise JsonRESTError("ValidationException", "Digest is invalid length for algorithm.")
        return self.private_key.sign(message, ec.ECDSA(utils.Prehashed(hash_algorithm)))

    models.KmsBackend.sign = sign_backend
    ECDSAPrivateKey.sign = sign_key


def certificate():
    """A certificate for localhost that is its own issuer, in `ca.pem`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(directory / "ca.pem"), str(directory / "key.pem")


application = DomainDispatcherApplication(create_backend_app)
tls = certificate() if "--tls" in sys.argv else None
server = make_server("127.0.0.1", 0, application, threaded=True, ssl_context=tls)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
