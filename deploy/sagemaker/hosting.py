"""What stands between a client of SageMaker and a container, for tests: the routes of the runtime API, and a container.

`Hosting` does what SageMaker's front does with a request: it forwards the body to `/invocations`, keeps the headers of
the API alone, bounds bodies to 6 MiB, and wraps streamed answers into AWS's event stream. `StubContainer` keeps the
container contract without a model.
"""

from __future__ import annotations

import io
import json
import struct
import threading
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from PIL import Image

LIMIT = 6_291_456
# Headers that reach the container: those of the API. All others are taken off.
KEPT = ("Content-Type", "Accept", "X-Amzn-SageMaker-Custom-Attributes", "X-Amzn-SageMaker-Inference-Id")
PART_BYTES = 1000


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serves on a free port of the loopback device."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Quiet(BaseHTTPRequestHandler):
    """A handler without a log, and with answers of a known length."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it so)
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Hosting(Quiet):
    """The runtime API of SageMaker before one container."""

    container: ClassVar[str]

    @classmethod
    def before(cls, container: str) -> type[Hosting]:
        """The API before the container at this address."""
        return type("HostingOfContainer", (cls,), {"container": container})

    def do_POST(self) -> None:
        body = self.body()
        operation = self.path.rsplit("/", 1)[-1]
        if len(body) > LIMIT:
            self.model_error(413, b"the body is larger than 6291456 bytes")
            return
        status, content_type, answer = self.forward(body)
        if status != 200:
            self.model_error(status, answer)
        elif operation == "invocations":
            self.answer(200, content_type, answer)
        elif operation == "invocations-response-stream":
            parts = [answer[at : at + PART_BYTES] for at in range(0, len(answer), PART_BYTES)]
            self.answer(200, "application/vnd.amazon.eventstream", b"".join(map(payload_part, parts)))
        else:
            self.answer(404, "application/json", b"{}")

    def forward(self, body: bytes) -> tuple[int, str, bytes]:
        """What the container answers."""
        headers = {name: self.headers[name] for name in KEPT if name in self.headers}
        request = urllib.request.Request(f"{self.container}/invocations", body, headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read()

    def model_error(self, status: int, answer: bytes) -> None:
        """A container's error as the API gives it: 424, with the original inside."""
        error = {"OriginalStatusCode": status, "OriginalMessage": answer.decode(errors="replace")}
        body = json.dumps({**error, "Message": f"Received client error ({status}) from primary"}).encode()
        self.send_response(424)
        self.send_header("x-amzn-ErrorType", "ModelError")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def payload_part(payload: bytes) -> bytes:
    """A message `PayloadPart` of AWS's event stream: lengths, checksum, headers, payload, checksum."""
    names = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    headers = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack("!I", zlib.crc32(message))


class StubContainer(Quiet):
    """A container that keeps the contract: /ping, and /invocations with a grey picture."""

    def do_GET(self) -> None:
        self.answer(200 if self.path == "/ping" else 404, "text/plain", b"")

    def do_POST(self) -> None:
        body = json.loads(self.body())
        steps = body.get("parameters", {}).get("num_inference_steps", 20)
        if self.path != "/invocations":
            self.answer(404, "application/json", b"{}")
        elif not isinstance(body.get("prompt"), str):
            self.answer(400, "application/json", b'{"error": {"param": "prompt"}}')
        elif steps < 1:
            self.answer(422, "application/json", b'{"error": {"param": "parameters.num_inference_steps"}}')
        else:
            out = io.BytesIO()
            Image.effect_noise((64, 64), 50).convert("RGB").save(out, format="PNG")
            self.answer(200, "image/png", out.getvalue())
