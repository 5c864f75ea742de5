"""Whole programs against PyTorch on the CPU: time to the first image, and peak memory of sampling and training.

    venv/bin/python benches/pytorch/programs.py

Time runs from the start of the process, over import, network and weights, to one denoised image; the file cache is warm, and the
median of the runs counts. Memory is the peak resident set of a process that samples 32 images, or trains with batches of 100. PyTorch's figures
are those of `sprites.py`; what PyPI calls `torch` on Linux is a CUDA build, which is larger and starts later than the CPU build.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare import ROOT

THREADS, RUNS = 2, 7
JOBS = {
    "startup": ["sample", "sprites", "-n", "1", "--sampler", "ddpm", "--steps", "1"],
    "sample": ["sample", "sprites", "-n", "32", "--sampler", "ddpm", "--steps", "20"],
    "train": ["train", "sprites", "--steps", "10", "--sample-every", "0"],
}


# A program's peak counts what its parent held when it started, so PyTorch stays out of this one.
MAKE_WEIGHTS = "import sys, torch; from sprites import network; torch.save(network().state_dict(), sys.argv[1])"


def main() -> None:
    subprocess.run(["cargo", "build", "--release", "-p", "pyrograph-cli"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "context_unet.pth"
        subprocess.run([sys.executable, "-c", MAKE_WEIGHTS, str(weights)], cwd=Path(__file__).parent, check=True)
        runs = {job: [ours(job, weights, Path(folder)) for _ in range(RUNS)] for job in JOBS}
    rows = {job: theirs(job) for job in JOBS}
    torch = rows["startup"]["torch"]
    print(f"| program, {THREADS} threads | pyrograph | PyTorch {torch} | ratio |\n| --- | --- | --- | --- |")
    start = statistics.median(seconds for seconds, _ in runs["startup"])
    line("start to first image", start * 1e3, rows["startup"]["median_ms"], "ms")
    for job in JOBS:
        line(f"peak memory, {job}", max(peak for _, peak in runs[job]), rows[job]["peak_rss_mb"], "MB")


def line(name: str, ours: float, theirs: float, unit: str) -> None:
    print(f"| {name} | {ours:.0f} {unit} | {theirs:.0f} {unit} | {ours / theirs:.3f} |")


def ours(job: str, weights: Path, folder: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one run."""
    with tempfile.TemporaryDirectory(dir=folder) as out:
        where = ["--out", f"{out}/run"] if job == "train" else ["--weights", str(weights), "--n-feat", "64", "--save", f"{out}/x"]
        command = [str(ROOT / "target/release/pyrograph"), *JOBS[job], *where, "--device", "cpu", "--quiet"]
        env = os.environ | {"RAYON_NUM_THREADS": str(THREADS)}
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(command)}: status {status}")
    return seconds, usage.ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def theirs(job: str) -> dict:
    words = ["--job", job, "--threads", str(THREADS), "--iterations", "35" if job == "startup" else "10"]
    command = [sys.executable, str(Path(__file__).with_name("sprites.py")), *words]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    main()
