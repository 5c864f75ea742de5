#!/usr/bin/env python3
"""Builds the final stages of the Dockerfile around a binary that is there, and runs both as containers.

    python deploy/check_image.py --bin target/release/pyrograph --model DIR

Needs buildah (Debian's package), and neither a daemon nor a registry: the base image is made of the C libraries of this
machine, and the stage `build` is replaced by the binary. What it checks is what the Dockerfile adds to the binary: the
entry point and its arguments, the users, the ports, the labels, and that the libraries of the base are enough.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 300.0
Process = subprocess.Popen[bytes]
BUILDAH = {"STORAGE_DRIVER": "vfs", "BUILDAH_ISOLATION": "chroot"}


def buildah(*arguments: str) -> str:
    """Runs buildah, and gives its standard output."""
    command = ["buildah", *arguments]
    run = subprocess.run(
        command, env={**os.environ, **BUILDAH}, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return run.stdout.strip()


def image_of(folder: Path, name: str) -> None:
    """An image that holds the files of a folder."""
    (folder.parent / "Containerfile").write_text("FROM scratch\nCOPY . /\n")
    buildah("build", "-q", "-f", str(folder.parent / "Containerfile"), "-t", name, str(folder))


def build(binary: Path, target: str, scratch: Path) -> str:
    """Builds a target of the Dockerfile around the binary."""
    base, built = scratch / "base", scratch / "built"
    for library in re.findall(r"/\S+", subprocess.check_output(["ldd", str(binary)], text=True)):
        place = base / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    (base / "tmp").mkdir(parents=True, exist_ok=True)
    built.mkdir(exist_ok=True)
    shutil.copy(binary, built / "pyrograph")
    image_of(base, "localhost/pyrograph-check-base")
    image_of(built, "localhost/pyrograph-check-build")
    name = f"localhost/pyrograph-check-{target}"
    context = "build=container-image://localhost/pyrograph-check-build"
    argument = "RUNTIME=localhost/pyrograph-check-base"
    file = str(ROOT / "deploy" / "Dockerfile")
    buildah(
        *("build", "-q", "--target", target, "-f", file, "--build-arg", argument, "--build-context", context),
        *("-t", name, "."),
    )
    return name


@contextmanager
def container(image: str, mounts: list[str], variables: dict[str, str], arguments: list[str]) -> Iterator[Process]:
    """Runs a container as its image says, with other arguments where there are some."""
    name = buildah("from", image)
    try:
        config = configuration(name)
        command = ["buildah", "run"]
        for mount in mounts:
            command += ["--volume", mount]
        for variable, value in variables.items():
            command += ["--env", f"{variable}={value}"]
        command += [name, "--", *config["Entrypoint"], *(arguments or config["Cmd"])]
        process = subprocess.Popen(command, env={**os.environ, **BUILDAH})
        try:
            yield process
            if process.wait(timeout=60) != 0:
                raise AssertionError(f"{image} exited with {process.returncode}")
        finally:
            if process.poll() is None:
                os.kill(server_of(process.pid), signal.SIGKILL)
                process.wait()
    finally:
        buildah("rm", name)


def configuration(name: str) -> dict[str, Any]:
    """What the image says of its container."""
    config: dict[str, Any] = json.loads(buildah("inspect", name))["OCIv1"]["config"]
    return config


def server_of(pid: int) -> int:
    """The process of the server: the last one in the chain of children."""
    while children := " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split():
        pid = int(children[0])
    return pid


def user_of(pid: int) -> int:
    """The user that a process runs as."""
    match = re.search(r"^Uid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1])


def wait_ready(port: int, process: Process) -> None:
    """Waits until /ping answers 200."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=2):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, "the container ended"
            time.sleep(0.1)
    raise AssertionError(f"/ping was not 200 within {READY_SECONDS} s")


def draw(port: int) -> None:
    """The article's body gets a picture."""
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/invocations"
    request = urllib.request.Request(url, b'{"prompt": "a lovely cat"}', headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.read().startswith(b"\x89PNG")


def check(image: str, mount: str, variables: dict[str, str], arguments: list[str], port: int, user: int) -> None:
    """Runs an image, draws, and stops it as an orchestrator does."""
    with container(image, [mount], variables, arguments) as process:
        wait_ready(port, process)
        draw(port)
        server = server_of(process.pid)
        assert user_of(server) == user, f"the server runs as user {user_of(server)}, and not {user}"
        os.kill(server, signal.SIGTERM)
    print(f"{image}: ready, drew, ran as user {user}, ended with 0")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def readable_copy(model: Path, copy: Path) -> Path:
    """A copy of the model that every user may read, as the one of a volume must be."""
    shutil.copytree(model, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def main() -> int:
    """Checks both targets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bin", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = readable_copy(arguments.model, Path(scratch) / "model")
        port = free_port()
        image = build(arguments.bin, "sagemaker", Path(scratch))
        check(image, f"{model}:/opt/ml/model:ro", {"SAGEMAKER_BIND_TO_PORT": str(port)}, ["serve"], port, user=0)
        port = free_port()
        image = build(arguments.bin, "server", Path(scratch))
        serve = ["serve", "--model", "/model", "--host", "0.0.0.0", "--port", str(port)]
        check(image, f"{model}:/model:ro", {}, serve, port, user=65532)
    return 0


if __name__ == "__main__":
    sys.exit(main())
