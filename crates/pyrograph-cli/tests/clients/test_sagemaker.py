"""AWS's container contract, kept by the real binary.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from PIL import Image

from server import STOP_SECONDS, Answer, Server, free_port, request

PING_SECONDS = 2.0


def assert_picture(answer: Answer) -> Image.Image:
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "image/png"
    assert answer.body.startswith(b"\x89PNG\r\n\x1a\n")
    image = Image.open(io.BytesIO(answer.body))
    image.load()
    return image


def test_ping_is_200_with_an_empty_body_within_two_seconds(server: Server) -> None:
    start = time.monotonic()
    answer = server.get("/ping")
    assert (answer.status, answer.body) == (200, b"")
    assert time.monotonic() - start < PING_SECONDS


@pytest.mark.parametrize("body", [{"prompt": "a lovely cat"}, {"prompt": "cat", "parameters": {}}])
def test_the_bodies_of_the_article_get_raw_image_bytes(server: Server, body: dict[str, object]) -> None:
    answer = server.post("/invocations", body)
    assert_picture(answer)
    assert int(answer.headers["x-seed"]) < 2**32
    # Some schedulers call the network once more than they are asked to.
    assert answer.headers["x-steps"] in ("20", "21")
    assert answer.headers["x-request-id"]
    assert answer.headers["server-timing"].startswith("queue;dur=")


def test_what_boto3_sends_by_default_is_served(server: Server) -> None:
    headers = {"Accept": "*/*", "Content-Type": "application/json"}
    assert_picture(request(server.url, "POST", "/invocations", b'{"prompt": "cat"}', headers))


def test_parameters_are_followed(server: Server) -> None:
    parameters = {"num_inference_steps": 3, "guidance_scale": 4.0, "width": 64, "height": 96, "seed": 7}
    body = {"prompt": "a lovely cat", "negative_prompt": "a dog", "parameters": parameters}
    first, second = (server.post("/invocations", body) for _ in range(2))
    assert assert_picture(first).size == (64, 96)
    assert first.headers["x-seed"] == "7"
    assert first.body == second.body


def test_json_is_given_to_those_who_accept_it(server: Server) -> None:
    body = {"prompt": "cat", "parameters": {"num_images": 2, "num_inference_steps": 2, "seed": 5}}
    answer = server.post("/invocations", body, {"Accept": "application/json"}).json()
    assert [image["seed"] for image in answer["images"]] == [5, 6]
    assert set(answer["seconds"]) >= {"queue"}
    refused = server.post("/invocations", body, {"Accept": "image/png"})
    assert refused.status == 406


def test_headers_of_others_are_ignored(server: Server) -> None:
    headers = {
        "X-Amzn-SageMaker-Custom-Attributes": "c000b4f9-df62-4c85-a0bf-7c525f9104a4",
        "X-Amzn-SageMaker-Inference-Id": "1",
        "X-Unknown": "\xff" * 100,
        "Authorization": "Bearer of nothing",
    }
    assert_picture(server.post("/invocations", {"prompt": "cat", "parameters": {"num_inference_steps": 1}}, headers))


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"{}", 400, None),
        (b'{"prompt": 1}', 400, "prompt"),
        (b'{"prompt": "cat", "prompts": ""}', 400, "prompts"),
        (b'{"prompt": "cat", "parameters": {"width": "wide"}}', 400, "parameters.width"),
        (b'{"prompt": "cat", "parameters": {"num_inference_steps": 0}}', 422, "parameters.num_inference_steps"),
        (b'{"prompt": "cat", "parameters": {"width": 7}}', 422, "parameters.width"),
        (json.dumps({"prompt": "cat " * 100_000}).encode(), 413, "prompt"),
    ],
)
def test_bad_bodies_are_refused_by_field(server: Server, body: bytes, status: int, field: str | None) -> None:
    answer = request(server.url, "POST", "/invocations", body, {"Content-Type": "application/json"})
    assert answer.status == status, answer.body
    error = answer.json()["error"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert error["type"] == "invalid_request_error"
    if field is not None:
        assert field in f"{error['param']} {error['message']}"


def test_another_content_type_is_refused(server: Server) -> None:
    answer = request(server.url, "POST", "/invocations", b"prompt=cat", {"Content-Type": "text/csv"})
    assert answer.status == 415


def test_serve_alone_is_the_command_of_a_container_with_a_packed_model(tmp_path: Path) -> None:
    archive, root = tmp_path / "model.tar.gz", tmp_path / "model"
    pack = [os.environ["BIN"], "pack", "--model", os.environ["PIPELINE"], "--out", str(archive), "--quiet"]
    subprocess.run(pack, check=True)
    with tarfile.open(archive) as file:
        file.extractall(root, filter="data")
    port = free_port()
    environment = {"PYROGRAPH_MODEL_ROOT": str(root), "SAGEMAKER_BIND_TO_PORT": str(port)}
    with Server(["serve"], port, environment) as server:
        assert_picture(server.post("/invocations", {"prompt": "a lovely cat"}))
        assert server.terminate() == 0


def test_sigterm_ends_the_server_within_thirty_seconds_and_answers_every_request() -> None:
    body = {"prompt": "a lovely cat", "parameters": {"num_inference_steps": 30}}
    with (
        Server.of_pipeline("--grace", "25") as server,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        running = [pool.submit(server.post, "/invocations", body) for _ in range(4)]
        wait_for_requests(server, len(running))
        start = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - start < STOP_SECONDS
        answers = [answer.result(timeout=1.0) for answer in running]
        for answer in answers:
            assert answer.status in (200, 503), answer.body
        assert_picture(max(answers, key=lambda answer: answer.status == 200))
        with pytest.raises(ConnectionRefusedError):
            server.get("/ping")


def wait_for_requests(server: Server, count: int) -> None:
    """Waits until so many requests are queued or running."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        lines = server.get("/metrics").body.decode().splitlines()
        gauges = [
            line for line in lines if line.startswith(("pyrograph_requests_waiting", "pyrograph_requests_running"))
        ]
        if sum(float(line.split()[-1]) for line in gauges) >= count:
            return
        time.sleep(0.01)
    raise AssertionError(f"{count} requests were not queued within 10 s")
