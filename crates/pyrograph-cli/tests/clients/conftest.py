"""Fixtures: one server for all tests of a run, and pictures."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from PIL import Image

from server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    for name in ("BIN", "PIPELINE"):
        assert name in os.environ, f"{name} is not set: start these tests with run.py"
    with Server.of_pipeline() as running:
        yield running


@pytest.fixture
def picture() -> bytes:
    """A PNG to start from: a red square on a gradient."""
    image = Image.linear_gradient("L").resize((64, 64)).convert("RGB")
    image.paste((200, 30, 30), (16, 16, 48, 48))
    return png(image)


@pytest.fixture
def mask() -> bytes:
    """A PNG of the same size whose middle is to be painted anew, as OpenAI has masks: transparent there."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (16, 16, 48, 48))
    return png(image)


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()
