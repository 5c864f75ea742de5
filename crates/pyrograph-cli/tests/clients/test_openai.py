"""OpenAI's own Python client against the real binary."""

from __future__ import annotations

import asyncio
import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image, ImageChops

from server import Server

FAST: dict[str, Any] = {"num_inference_steps": 4, "seed": 11}


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def decoded(text: str | None) -> Image.Image:
    assert text is not None
    image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)))
    image.load()
    return image


def images(response: ImagesResponse) -> list[Image.Image]:
    assert response.data is not None
    return [decoded(image.b64_json) for image in response.data]


def test_an_image_is_generated(client: openai.OpenAI) -> None:
    response = client.images.generate(prompt="a lovely cat", size="64x64", extra_body=FAST)
    [image] = images(response)
    assert (image.size, image.format) == ((64, 64), "PNG")
    assert response.created > 1_700_000_000


def test_one_seed_gives_one_image_and_n_gives_several(client: openai.OpenAI) -> None:
    first, second = images(client.images.generate(prompt="a cat", n=2, size="64x64", extra_body=FAST))
    assert first.tobytes() != second.tobytes()
    [again] = images(client.images.generate(prompt="a cat", size="64x64", extra_body={**FAST, "seed": 12}))
    assert farthest(again, second) <= 1


def test_fields_of_openai_are_accepted(client: openai.OpenAI) -> None:
    response = client.images.generate(
        prompt="a lovely cat",
        quality="auto",
        style="vivid",
        moderation="low",
        user="somebody",
        background="opaque",
        response_format="b64_json",
        output_format="png",
        size="auto",
        extra_body=FAST,
    )
    assert len(images(response)) == 1


def test_a_result_tells_its_seed_and_request(client: openai.OpenAI) -> None:
    raw = client.images.with_raw_response.generate(
        prompt="a cat", extra_body=FAST, extra_headers={"x-request-id": "request-of-mine"}
    )
    assert raw.headers["x-seed"] == "11"
    assert raw.headers["x-request-id"] == "request-of-mine"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_stream_brings_previews_and_then_the_image(client: openai.OpenAI, count: int) -> None:
    body = {**FAST, "num_inference_steps": 12}
    stream = client.images.generate(prompt="a cat", size="64x64", stream=True, partial_images=count, extra_body=body)
    *previews, last = list(stream)
    assert last.type == "image_generation.completed"
    assert [event.type for event in previews] == ["image_generation.partial_image"] * count
    assert [event.partial_image_index for event in previews if event.type == "image_generation.partial_image"] == list(
        range(count)
    )
    final = decoded(last.b64_json)
    assert final.size == (64, 64)
    for event in previews:
        preview = decoded(event.b64_json)
        assert preview.getextrema() != ((0, 0), (0, 0), (0, 0))
        assert preview.tobytes() != final.tobytes()
    [whole] = images(client.images.generate(prompt="a cat", size="64x64", extra_body=body))
    assert farthest(whole, final) <= 1


def test_an_image_is_edited(client: openai.OpenAI, picture: bytes) -> None:
    source = ("picture.png", picture, "image/png")
    body = {"num_inference_steps": 4, "seed": 3}
    [edited] = images(client.images.edit(image=source, prompt="in oil", extra_body=body))
    assert edited.size == (64, 64)
    [other] = images(client.images.edit(image=source, prompt="in oil", extra_body={**body, "seed": 4}))
    assert edited.tobytes() != other.tobytes()


def test_a_masked_part_is_painted_anew(client: openai.OpenAI, picture: bytes, mask: bytes, tmp_path: Path) -> None:
    for name, content in (("picture.png", picture), ("mask.png", mask)):
        (tmp_path / name).write_bytes(content)
    with (tmp_path / "picture.png").open("rb") as source, (tmp_path / "mask.png").open("rb") as masked:
        body = {"num_inference_steps": 4}
        response = client.images.edit(image=source, mask=masked, prompt="a hat", size="64x64", extra_body=body)
    [edited] = images(response)
    assert edited.size == (64, 64)


@pytest.mark.parametrize(
    ("fields", "error", "status", "param"),
    [
        ({"background": "transparent"}, openai.BadRequestError, 400, "background"),
        ({"response_format": "url"}, openai.BadRequestError, 400, "response_format"),
        ({"extra_body": {"prompts": 1}}, openai.BadRequestError, 400, "prompts"),
        ({"extra_body": {"seed": "seven"}}, openai.BadRequestError, 400, "seed"),
        ({"n": 10_000}, openai.UnprocessableEntityError, 422, "n"),
        ({"size": "63x64"}, openai.UnprocessableEntityError, 422, "size"),
        ({"model": "nobody"}, openai.NotFoundError, 404, "model"),
        ({"prompt": "cat " * 100_000}, openai.APIStatusError, 413, "prompt"),
    ],
)
def test_errors_are_those_of_the_client(
    client: openai.OpenAI, fields: dict[str, Any], error: type[openai.APIStatusError], status: int, param: str
) -> None:
    with pytest.raises(error) as caught:
        client.images.generate(**{"prompt": "a cat", **fields})
    assert caught.value.status_code == status
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert caught.value.code


def test_an_unknown_token_is_an_authentication_error(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("token-of-the-first-client\ntoken-of-the-second-client\n")
    with Server.of_pipeline("--tokens", str(tokens)) as server:
        for key, served in (("token-of-the-second-client", True), ("token-of-nobody-at-all", False)):
            client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)
            if served:
                assert len(images(client.images.generate(prompt="a cat", extra_body=FAST))) == 1
            else:
                with pytest.raises(openai.AuthenticationError):
                    client.images.generate(prompt="a cat", extra_body=FAST)


def test_requests_at_once_get_the_images_that_they_get_alone(server: Server) -> None:
    requests = [
        {"prompt": "a cat", "extra_body": {"seed": seed, "num_inference_steps": steps, "guidance_scale": guidance}}
        for seed, steps, guidance in [(1, 5, 7.5), (2, 9, 7.5), (3, 7, 1.0), (4, 5, 3.0), (5, 12, 7.5)]
    ]

    async def ask(one_by_one: bool) -> list[Image.Image]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
            calls = [lambda r=request: client.images.generate(size="64x64", **r) for request in requests]
            if one_by_one:
                answers = [await call() for call in calls]
            else:
                answers = await asyncio.gather(*(call() for call in calls))
            return [image for answer in answers for image in images(answer)]

    alone, together = asyncio.run(ask(True)), asyncio.run(ask(False))
    assert max(farthest(*pair) for pair in zip(alone, together, strict=True)) <= 1


def farthest(one: Image.Image, other: Image.Image) -> int:
    """The largest difference of two values of two images."""
    assert one.size == other.size
    difference = ImageChops.difference(one.convert("RGB"), other.convert("RGB"))
    return max(difference.tobytes())
