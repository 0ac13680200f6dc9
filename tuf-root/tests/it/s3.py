"""moto's S3 on loopback, which notes every write and can be a second publisher on request.

Arguments: a directory. Files there:
  writes   one line for each PUT: path, If-None-Match, If-Match, status
  intrude  if it exists, its content becomes timestamp.json between two writes of the program under test
The server's port is the first line of output; it ends when its standard input does.
"""

import pathlib
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

directory = pathlib.Path(sys.argv[1])
backend = DomainDispatcherApplication(create_backend_app)


def application(environ, start_response):
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    intruder = directory / "intrude"
    if method in ("GET", "HEAD"):
        # A bucket that anybody may read and list; otherwise what is missing would be answered with 403.
        environ.setdefault("HTTP_AUTHORIZATION", "AWS4-HMAC-SHA256 Credential=testing/20260101/eu-central-1/s3/aws4_request")
    if method == "PUT" and path.endswith("/1.root.json") and intruder.exists():
        content = intruder.read_bytes()
        intruder.unlink()
        headers = {"Host": environ["HTTP_HOST"], "Authorization": environ.get("HTTP_AUTHORIZATION", "")}
        Client(backend).put(path.replace("1.root.json", "timestamp.json"), data=content, headers=headers)

    def noted(status, headers, *more):
        if method == "PUT":
            words = (path, environ.get("HTTP_IF_NONE_MATCH", "-"), environ.get("HTTP_IF_MATCH", "-"), status[:3])
            with open(directory / "writes", "a") as log:
                log.write(" ".join(words) + "\n")
        return start_response(status, headers, *more)

    return backend(environ, noted)


server = make_server("127.0.0.1", 0, application, threaded=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
