"""pyrograph against PyTorch on the CPU, from one run on one machine.

    venv/bin/python benches/pytorch/compare.py                         # three rounds on two threads, about ten minutes
    venv/bin/python benches/pytorch/compare.py --rounds 1 --iterations 2 --measurement-time 1      # whether it works

Each round times every job once with criterion and then with `sprites.py`, so that a machine that slows down slows both. Both are
held to the same CPUs and the same number of threads. The table has the median over the rounds of each side's median, and the ratio
pyrograph / PyTorch with its range over the rounds: below 1, pyrograph is faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Job of sprites.py: criterion's id, without the backend at its end.
JOBS = {"sample": "sprites/sample_step/b32", "train": "sprites/train_step/b100"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=20, help="timed steps of PyTorch in a round")
    parser.add_argument("--measurement-time", type=float, default=10, help="seconds of criterion for a job in a round")
    parser.add_argument("--backend", default="flex", help="pyrograph's, a feature of its CPU backends")
    parser.add_argument("--job", choices=JOBS, help="only this one")
    args = parser.parse_args()
    jobs = [args.job] if args.job else list(JOBS)

    bench = build(args.backend)
    env = same_cpus_for_both(args.threads)
    times = {job: ([], []) for job in jobs}
    for number in range(args.rounds):
        for job in jobs:
            ours = pyrograph(bench, f"{JOBS[job]}/{args.backend}", args.measurement_time, env)
            theirs = pytorch(job, args.threads, args.iterations, env)
            times[job][0].append(ours)
            times[job][1].append(theirs)
            print(f"round {number + 1}: {job}: {ours:.1f} ms, PyTorch {theirs:.1f} ms", file=sys.stderr, flush=True)
    print(f"| job, {args.threads} threads | pyrograph ({args.backend}) | PyTorch | ratio | range |")
    print("| --- | --- | --- | --- | --- |")
    for job, (ours, theirs) in times.items():
        ratios = [a / b for a, b in zip(ours, theirs)]
        a, b = statistics.median(ours), statistics.median(theirs)
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {JOBS[job]} | {a:.1f} ms | {b:.1f} ms | {statistics.median(ratios):.2f} | {spread} |")


def same_cpus_for_both(threads: int) -> dict[str, str]:
    """Holds this process, and so its children, to the first CPUs that it may use."""
    if hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < threads:
            sys.exit(f"{threads} threads on {len(cpus)} CPUs")
        os.sched_setaffinity(0, cpus[:threads])
    counts = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return os.environ | counts


def build(backend: str) -> Path:
    """The bench program, so that no round waits for cargo."""
    words = ["--bench", "sprites", "--no-default-features", "--features", backend, "--no-run"]
    command = ["cargo", "bench", "-p", "pyrograph-benches", *words, "--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    programs = [m["executable"] for m in messages if m.get("executable") and "bench" in m["target"]["kind"]]
    return Path(programs[0])


def pyrograph(bench: Path, name: str, seconds: float, env: dict[str, str]) -> float:
    """Criterion's median of one bench, in milliseconds. Its results go to a folder of their own: no older ones are read."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(bench), "--bench", "--measurement-time", str(seconds), "--exact", name]
        run = subprocess.run(command, env=env | {"CRITERION_HOME": folder}, text=True, capture_output=True)
        found = list(Path(folder).rglob("new/estimates.json"))
        if run.returncode or len(found) != 1:
            sys.exit(f"{name}: {len(found)} results\n{run.stdout}{run.stderr}")
        return json.loads(found[0].read_text())["median"]["point_estimate"] / 1e6


def pytorch(job: str, threads: int, iterations: int, env: dict[str, str]) -> float:
    words = ["--job", job, "--threads", str(threads), "--iterations", str(iterations)]
    command = [sys.executable, str(Path(__file__).with_name("sprites.py")), *words]
    output = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)["median_ms"]


if __name__ == "__main__":
    main()
