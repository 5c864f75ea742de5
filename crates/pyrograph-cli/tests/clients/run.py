#!/usr/bin/env python3
"""Runs every client's tests against the real binary on free ports.

    cargo build -p pyrograph-cli && cargo run --example text_to_image -- target/tiny
    python run.py --bin target/debug/pyrograph --pipeline target/tiny/pipeline [PYTEST_ARGUMENTS …]

The packages are those of requirements.txt. Any small Stable Diffusion pipeline will do; the example makes one with
random weights. The tests of deploy/sagemaker run a second time with their invocations sent to the binary.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from server import Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[3]


def main() -> int:
    """The exit code: 0 where all tests passed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--bin", type=Path, default=os.environ.get("BIN"), help="the binary (environment: BIN)")
    parser.add_argument("--pipeline", type=Path, default=os.environ.get("PIPELINE"), help="(environment: PIPELINE)")
    arguments, rest = parser.parse_known_args()
    if arguments.bin is None or arguments.pipeline is None:
        parser.error("name the binary with --bin and a small pipeline with --pipeline")
    os.environ["BIN"] = str(arguments.bin.resolve())
    os.environ["PIPELINE"] = str(arguments.pipeline.resolve())

    codes = [pytest(HERE, rest, os.environ)]
    with Server.of_pipeline() as server:
        codes.append(pytest(ROOT / "deploy" / "sagemaker", rest, {**os.environ, "PYROGRAPH_URL": server.url}))
    return max(codes)


def pytest(folder: Path, arguments: list[str], environment: dict[str, str] | os._Environ[str]) -> int:
    """Runs the tests of a folder."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder), *arguments]
    return subprocess.run(command, cwd=folder, env=dict(environment), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
