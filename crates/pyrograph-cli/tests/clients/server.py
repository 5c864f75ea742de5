"""A `pyrograph serve` of its own on a free port, and small HTTP helpers without a library."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

READY_SECONDS = 120.0
# SageMaker sends SIGKILL so long after SIGTERM.
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """An answer of HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Server:
    """The binary of the environment variable BIN, run with `arguments`. A `with` block begins when it is ready."""

    def __init__(self, arguments: Sequence[str], port: int, environment: Mapping[str, str] | None = None) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([os.environ["BIN"], *arguments], env={**os.environ, **(environment or {})})

    @classmethod
    def of_pipeline(cls, *more: str) -> Server:
        """Serves the pipeline of the environment variable PIPELINE."""
        port = free_port()
        return cls(["serve", "--model", os.environ["PIPELINE"], "--port", str(port), *more], port)

    def __enter__(self) -> Server:
        try:
            self.wait_ready()
        except BaseException:
            self.process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_ready(self) -> None:
        """Waits until /ping is 200."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the server exited with {self.process.returncode}")
            try:
                if self.get("/ping").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"/ping was not 200 within {READY_SECONDS} s")

    def terminate(self) -> int:
        """Sends SIGTERM, and gives the exit code, which SageMaker waits 30 s for."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_SECONDS)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """GET."""
        return request(self.url, "GET", path, None, headers)

    def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Answer:
        """POST of JSON."""
        content = {"Content-Type": "application/json", **(headers or {})}
        return request(self.url, "POST", path, json.dumps(body).encode(), content)


def request(url: str, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None) -> Answer:
    """One request on a connection of its own. http.client adds no Accept header, as SageMaker may not either."""
    address = urllib.parse.urlparse(url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, fields, answer.read())
    finally:
        connection.close()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
