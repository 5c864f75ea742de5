"""Time that the server adds to the stages of the model: latency at the client less text, UNet, VAE and encoding.

    python3 benches/serving/overhead.py PORT [REQUESTS]

Needs a server of a text-to-image model on this machine and Python alone. One client sends requests of 2 steps one after
the other over one connection; the stages are those of the header `server-timing`. The first 20 requests do not count.
"""

import http.client
import json
import re
import sys
import time

STAGES = ("text", "unet", "vae", "encode")
WARM_UP = 20


def main(port, requests):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"prompt": "a cat", "parameters": {"num_inference_steps": 2, "seed": 1}})
    added = []
    for number in range(requests + WARM_UP):
        begun = time.perf_counter()
        connection.request("POST", "/invocations", body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        milliseconds = (time.perf_counter() - begun) * 1e3
        if response.status != 200:
            sys.exit(f"status {response.status}: {answer[:500]!r}")
        stages = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
        if number >= WARM_UP:
            added.append(milliseconds - sum(float(stages[name]) for name in STAGES))
    added.sort()
    at = lambda share: added[min(requests - 1, int(share * requests))]
    print(f"{requests} requests: P50 {at(0.5):.2f} ms, P90 {at(0.9):.2f} ms, P99 {at(0.99):.2f} ms, most {added[-1]:.2f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
