#!/usr/bin/env python3
"""Tries the page of the real binary on a free port.

    cargo build -p pyrograph-cli && cargo run --example text_to_image -- target/tiny
    python3 run.py --bin target/debug/pyrograph --model target/tiny/pipeline --shots target/page

Models are given as `serve` takes them. Needs Python 3.10 and Chromium, no packages. Further options are those of
page_test.py.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "clients"))

from server import Server, free_port  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="DIR or NAME=DIR, once for each model")
    parser.add_argument("--bin", type=Path, required=True)
    options, rest = parser.parse_known_args()
    os.environ["BIN"] = str(options.bin.resolve())
    port = free_port()
    models = [word for model in options.model for word in ("--model", model)]
    with Server(["serve", *models, "--port", str(port)], port) as server:
        code = subprocess.run([sys.executable, str(HERE / "page_test.py"), server.url, *rest]).returncode
        stopped = server.terminate()
    if stopped != 0:
        print(f"FAILED the server ended with {stopped} after SIGTERM")
    return code or int(stopped != 0)


if __name__ == "__main__":
    sys.exit(main())
