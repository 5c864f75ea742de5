"""Invocations of an endpoint: a picture, by each of SageMaker's three ways, and the latency."""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import sys
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from PIL import Image, ImageDraw, ImageFont

# The largest body that an asynchronous request may carry itself.
INLINE_BYTES = 128_000
TITLE_HEIGHT = 28


class InvokeError(Exception):
    """An invocation without a picture."""


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of a request."""
    parser.add_argument("--prompt", default="a lovely cat", help="(default: %(default)s)")
    parser.add_argument("--parameters", type=json.loads, default={}, metavar="JSON", help="such as '{\"seed\": 1}'")
    parser.add_argument("--out", type=Path, default=Path("picture.png"), help="(default: %(default)s)")
    parser.add_argument("--stream", action="store_true", help="take the answer as a response stream")
    parser.add_argument(
        "--async",
        dest="asynchronous",
        metavar="S3_URL",
        help="an asynchronous endpoint, whose results go to this folder (s3://BUCKET/FOLDER)",
    )
    parser.add_argument("--calls", type=int, default=10, help="calls of the latency loop (default: %(default)s)")


def body_of(arguments: argparse.Namespace) -> str:
    """The body of the request, in JSON."""
    body: dict[str, Any] = {"prompt": arguments.prompt}
    if arguments.parameters:
        body["parameters"] = arguments.parameters
    return json.dumps(body)


def picture(clients: Any, name: str, arguments: argparse.Namespace) -> None:
    """Saves one picture, with its prompt as title."""
    body = body_of(arguments)
    if arguments.asynchronous is not None:
        png = invoke_async(clients, name, body)
    elif arguments.stream:
        png = invoke_stream(clients, name, body)
    else:
        png = invoke(clients, name, body)
    arguments.out.write_bytes(with_title(png, arguments.prompt))
    print(f"{arguments.out}: {arguments.prompt}")


# --- the three ways ------------------------------------------------------------------------------------------------


def invoke(clients: Any, name: str, body: str) -> bytes:
    """One answer: at most 60 s and 6 MiB."""
    answer = clients.runtime.invoke_endpoint(
        EndpointName=name, Body=body, ContentType="application/json", Accept="image/png"
    )
    return checked(answer["Body"].read())


def invoke_stream(clients: Any, name: str, body: str) -> bytes:
    """An answer in parts, as the container sends them."""
    answer = clients.runtime.invoke_endpoint_with_response_stream(
        EndpointName=name, Body=body, ContentType="application/json", Accept="image/png"
    )
    return checked(b"".join(part["PayloadPart"]["Bytes"] for part in answer["Body"] if "PayloadPart" in part))


def invoke_async(clients: Any, name: str, body: str, timeout: float = 3600.0, poll: float = 2.0) -> bytes:
    """An answer by way of S3, up to an hour later."""
    if len(body.encode()) > INLINE_BYTES:
        raise InvokeError(f"the body has {len(body.encode())} bytes; an inline one has at most {INLINE_BYTES}")
    answer = clients.runtime.invoke_endpoint_async(
        EndpointName=name, Body=body, ContentType="application/json", Accept="image/png"
    )
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        result = read_object(clients, answer["OutputLocation"])
        if result is not None:
            return checked(result)
        failure = read_object(clients, answer.get("FailureLocation"))
        if failure is not None:
            raise InvokeError(f"the endpoint {name} failed: {failure.decode(errors='replace')}")
        time.sleep(poll)
    raise InvokeError(f"{answer['OutputLocation']} was not there after {timeout:.0f} s")


def read_object(clients: Any, url: str | None) -> bytes | None:
    """An object of S3, or nothing where it is not there (yet)."""
    if url is None:
        return None
    parts = urllib.parse.urlparse(url)
    try:
        answer = clients.s3.get_object(Bucket=parts.netloc, Key=parts.path.lstrip("/"))
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return bytes(answer["Body"].read())


def checked(answer: bytes) -> bytes:
    """The bytes of the first picture: those of the answer, or from its JSON."""
    if answer.startswith(b"{"):
        images = json.loads(answer).get("images", [])
        if not images:
            raise InvokeError(f"the answer holds no image: {answer[:500].decode(errors='replace')}")
        answer = base64.b64decode(images[0]["b64_json"])
    if not answer.startswith(b"\x89PNG\r\n\x1a\n"):
        raise InvokeError(f"the answer is no PNG; it begins with {answer[:80]!r}")
    return answer


# --- the picture and the numbers -----------------------------------------------------------------------------------


def with_title(png: bytes, title: str) -> bytes:
    """The picture below its title, as PNG."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    framed = Image.new("RGB", (image.width, image.height + TITLE_HEIGHT), "white")
    framed.paste(image, (0, TITLE_HEIGHT))
    font = ImageFont.load_default(size=16)
    ImageDraw.Draw(framed).text((image.width / 2, TITLE_HEIGHT / 2), title, fill="black", font=font, anchor="mm")
    out = io.BytesIO()
    framed.save(out, format="PNG")
    return out.getvalue()


def measure(clients: Any, name: str, arguments: argparse.Namespace) -> None:
    """Calls one after another, and prints the 95th and 90th percentile and the mean in milliseconds, as JSON."""
    body = body_of(arguments)
    times: list[float] = []
    for call in range(arguments.calls):
        start = time.perf_counter()
        invoke(clients, name, body)
        times.append((time.perf_counter() - start) * 1000.0)
        print(f"call {call + 1} of {arguments.calls}: {times[-1]:.0f} ms", file=sys.stderr, flush=True)
    print(json.dumps({key: round(value, 1) for key, value in summary(times).items()}))


def summary(times: Sequence[float]) -> dict[str, float]:
    """The figures of a latency loop. So few calls say little of a 95th percentile: see `pyrograph loadtest`."""
    if not times:
        raise InvokeError("no call, no latency: --calls must be at least 1")
    return {
        "n": len(times),
        "p95_ms": percentile(times, 95.0),
        "p90_ms": percentile(times, 90.0),
        "average_ms": math.fsum(times) / len(times),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """numpy's default percentile: linear between the two nearest values."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100.0
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
