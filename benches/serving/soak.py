"""Mixed load on a running server, with clients that vanish: is every accepted request answered, and is memory flat?

    python3 benches/serving/soak.py --url http://127.0.0.1:8080 --pid PID --minutes 60 --clients 8 [--out soak.json]

Needs Python alone. Each client sends requests one after the other: pictures of mixed sizes, steps, seeds and guidance,
JSON and PNG answers, event streams, jobs, health checks, bodies that are refused. One client in five vanishes in the
middle of its request. A request that stays connected must get a whole answer of an expected status; anything else is
lost, and the exit status is 1. At the end the gauges of `/metrics` must be 0. Memory is the resident memory of `--pid`.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from urllib.parse import urlsplit

SIZES = [(64, 64), (128, 128), (64, 128)]
EXPECTED = {200, 202, 400, 404, 422, 429}


def request_of(rng):
    """A random request: method, path, headers, body."""
    kind = rng.random()
    width, height = rng.choice(SIZES)
    body = {
        "prompt": rng.choice(["a lovely cat", "a dog on the moon", "x" * rng.randrange(1, 2000)]),
        "parameters": {
            "num_inference_steps": rng.randrange(1, 12),
            "guidance_scale": rng.choice([1.0, 7.5]),
            "width": width,
            "height": height,
            "seed": rng.randrange(1 << 32),
        },
    }
    headers = {"content-type": "application/json"}
    if kind < 0.45:
        headers["accept"] = rng.choice(["image/png", "application/json", "*/*"])
        return "POST", "/invocations", headers, body
    if kind < 0.6:
        headers["accept"] = "text/event-stream"
        return "POST", "/invocations?partial_images=2", headers, body
    if kind < 0.7:
        return "POST", "/v1/jobs", headers, body
    if kind < 0.8:
        body["parameters"]["widht"] = 3
        return "POST", "/invocations", headers, body
    return "GET", rng.choice(["/ping", "/metrics", "/readyz", "/models", "/v1/jobs/none"]), {}, None


async def exchange(host, port, method, path, headers, body, vanish):
    """Sends a request: the status, or `vanished`, or what went wrong."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        data = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close", f"content-length: {len(data)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()
        if vanish is not None:
            await asyncio.sleep(vanish)
            return "vanished"
        answer = await asyncio.wait_for(reader.read(), 120)
        head, separator, rest = answer.partition(b"\r\n\r\n")
        match = re.match(rb"HTTP/1\.1 (\d{3})", head)
        if not match or not separator:
            return "no answer"
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if length and int(length[1]) != len(rest):
            return "cut answer"
        if b"text/event-stream" in head and b"event: result" not in rest and b"event: error" not in rest:
            return "cut stream"
        return int(match[1])
    except (OSError, asyncio.TimeoutError) as error:
        return type(error).__name__
    finally:
        writer.close()


def resident_bytes(pid):
    """Resident memory of a process in bytes; nothing without a process."""
    if pid is None:
        return None
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024


async def client(number, options, until, counts):
    rng = random.Random(options.seed * 1000 + number)
    while time.monotonic() < until:
        method, path, headers, body = request_of(rng)
        vanish = rng.random() * 0.5 if rng.random() < 0.2 else None
        outcome = await exchange(options.host, options.port, method, path, headers, body, vanish)
        counts[outcome] += 1


async def watch(options, until, counts, memory):
    begun = time.monotonic()
    while time.monotonic() < until:
        memory.append((round(time.monotonic() - begun), sum(counts.values()), resident_bytes(options.pid)))
        await asyncio.sleep(min(15, max(0.1, until - time.monotonic())))


async def gauges(options):
    """The gauges of `/metrics` that are not 0, after up to 30 seconds."""
    for _ in range(300):
        reader, writer = await asyncio.open_connection(options.host, options.port)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        text = (await reader.read()).decode()
        writer.close()
        left = re.findall(r"^pyrograph_requests_(?:waiting|running)\{.*\} [1-9]\d*$", text, re.MULTILINE)
        if not left:
            return []
        await asyncio.sleep(0.1)
    return left


async def main(options):
    counts, memory = Counter(), []
    until = time.monotonic() + options.minutes * 60
    clients = [client(number, options, until, counts) for number in range(options.clients)]
    await asyncio.gather(watch(options, until, counts, memory), *clients)
    memory.append((round(options.minutes * 60), sum(counts.values()), resident_bytes(options.pid)))
    left = await gauges(options)
    lost = {str(kind): count for kind, count in counts.items() if kind not in EXPECTED and kind != "vanished"}
    report = {
        "minutes": options.minutes,
        "clients": options.clients,
        "requests": sum(counts.values()),
        "outcomes": {str(kind): count for kind, count in sorted(counts.items(), key=lambda item: str(item[0]))},
        "lost": lost,
        "gauges_left": left,
        "memory": memory,
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text + "\n")
    return 1 if lost or left else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    parts = urlsplit(arguments.url)
    arguments.host, arguments.port = parts.hostname, parts.port or 80
    sys.exit(asyncio.run(main(arguments)))
