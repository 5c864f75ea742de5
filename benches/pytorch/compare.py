"""pyrograph against PyTorch, from one run on one machine: on the CPU, and on the GPU where PyTorch finds one for CUDA.

    cargo xtask bench compare --python venv/bin/python                 # writes docs/benchmarks.md; three rounds
    venv/bin/python benches/pytorch/compare.py --rounds 1 --seconds 0.2 --only conv     # whether it works
    venv/bin/python benches/pytorch/compare.py --only dcgan/generate --with openvino,onnxruntime,compile   # other engines too

Each round times every workload once with criterion and then with `operations.py`, `sprites.py`, `dcgan.py` and `ssd.py`, so that a machine that
slows down slows both. Both are held to the same CPUs and the same number of threads. The table has the median over the rounds of each side's
median, and the ratio pyrograph / PyTorch with its range over the rounds: below 1, pyrograph is faster.

A column has pyrograph's time with weights of bf16 (`--dtype bf16`) for networks without gradients.

`--with` adds columns for other engines (`engines.py`) to the rows of networks, in f32 and bf16, and a table of the time to their first
pass and of their peak memory, compilation included. They run by turns with the others, on the same CPUs and threads.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from engines import ENGINES, JOBS, Files, engine_list

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TABLE, PLOT = ROOT / "docs/benchmarks.md", ROOT / "docs/images/benchmarks.svg"
# Those that this process may use, where the system says.
CPUS = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
# Seconds of a timed step, and of a detector's: PyTorch's scripts count steps instead.
STEP_SECONDS, SSD_STEP_SECONDS = 0.2, 1.0
# The end of the page.
CLOSING = """## Pictures of Stable Diffusion

`pyrograph bench txt2img` measures text to image for given numbers of steps and types of weights: the seconds of a
picture and of its text encoder, UNet and VAE, the peak memory, and the cost of 1000 pictures at a given price an hour.

```sh
pyrograph bench txt2img --model sd21 --steps 20,30,50 --dtype f32,bf16 --price-per-hour 0.34 --plot seconds.png
pyrograph bench txt2img --steps 20        # without a model: random weights of the shapes of Stable Diffusion 2.1-base
```

- **The first picture**, of one step, is made before all other measurements. Its figure is the time from the start of
  the process to the picture.
- **The time of a picture is computed** from the medians of `--repeats` runs of each part: text encoder + passes × UNet
  pass + VAE. Some schedulers need more passes than steps: PNDM needs one more. `--whole` makes whole pictures instead,
  and reports their medians.
- **Each of several types runs in a process of its own**, so that the peak memory is that of one type. On a GPU the
  figure is the host memory of the process, not the memory of the GPU.
- **Cost** is price / 3600 × seconds × 1000. The price is that of the machine for an hour, in any currency.
- **Random weights** take the time and the memory of real ones; `load` is then the time to draw them.

`benches/pytorch/stable_diffusion.py time` compares the parts with diffusers, and with `--with openvino,compile` also
with OpenVINO and `torch.compile` ([benches/pytorch](../benches/pytorch/README.md)). [precision.md](precision.md)
explains the types.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[2], help="a table for each; the plot shows the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="for a workload, a side and a round")
    parser.add_argument("--backend", default="flex", help="pyrograph's, a feature of its CPU backends")
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--with", dest="engines", type=engine_list, default=[], help=f"of {', '.join(ENGINES)}; with commas")
    parser.add_argument("--write", action="store_true", help=f"write {TABLE.relative_to(ROOT)} and its plot")
    args = parser.parse_args()

    with Files() as files:
        tables = [compared(Side(args.backend, "cpu", threads), args, files) for threads in args.threads]
    if gpu():
        tables.append(compared(Side("cuda", "cuda", args.threads[0]), args, None))
    for side, rows in tables:
        print(f"{side.title()}\n{tables_of(side, rows)}")
    if args.write:
        TABLE.write_text(page(tables, args))
        PLOT.write_text(plot(tables[0][1]))


@dataclass(frozen=True)
class Side:
    """pyrograph's backend beside PyTorch's device."""

    backend: str
    device: str
    threads: int

    def title(self) -> str:
        if self.device == "cuda":
            return gpu()
        return "One thread" if self.threads == 1 else f"{self.threads} threads"


def gpu() -> str:
    """Its name, if there is one."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else ""


def compared(side: Side, args, files: Files | None) -> tuple[Side, list[dict]]:
    """The rows of one table; other engines run where there are `files` for them."""
    bench, env = build(side.backend), same_cpus_for_both(side.threads)
    rounds, others = [], {}
    for number in range(args.rounds):
        ours = pyrograph(bench, side.backend, args.only, args.seconds, env)
        theirs = pytorch(side, args.only, args.seconds, env)
        rounds.append({name: (ours[name], theirs[name], ours.get(in_bf16(name))) for name in ours if name in theirs})
        for name in rounds[-1] if files else []:
            for kind, figures in other_engines(name, args, side.threads, files).items():
                others.setdefault(name, {}).setdefault(kind, []).append(figures)
        print(f"round {number + 1}: {len(rounds[-1])} workloads on both sides", file=sys.stderr, flush=True)
    return side, [summary(name, [found[name] for found in rounds]) | {"others": others.get(name, {})} for name in rounds[0]]


def in_bf16(name: str) -> str:
    """The name of the same step with weights of bf16."""
    what, shape = name.rsplit("/", 1)
    return f"{what}-bf16/{shape}"


def other_engines(name: str, args, threads: int, files: Files) -> dict:
    """The figures of one round by engine and type; of networks alone."""
    if name not in JOBS:
        return {}
    seconds = SSD_STEP_SECONDS if name.startswith("ssd") else STEP_SECONDS
    steps = max(3, round(args.seconds / seconds))
    kinds = [(engine, dtype) for engine in args.engines for dtype in ENGINES[engine][1]]
    kinds = [kind for kind in kinds if kind != ("eager", "f32")]  # It has a column.
    return {kind: files.time(name, *kind, threads, steps) for kind in kinds}


def same_cpus_for_both(threads: int) -> dict[str, str]:
    """Holds this process, and so its children, to the first CPUs that it may use."""
    if CPUS:
        if len(CPUS) < threads:
            sys.exit(f"{threads} threads on {len(CPUS)} CPUs")
        os.sched_setaffinity(0, CPUS[:threads])
    counts = dict.fromkeys(("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return os.environ | counts


def build(backend: str) -> Path:
    """The bench program, so that no round waits for cargo."""
    words = ["--bench", "workloads", "--no-default-features", "--features", backend, "--no-run"]
    command = ["cargo", "bench", "-p", "pyrograph-benches", *words, "--message-format", "json-render-diagnostics"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = map(json.loads, output.splitlines())
    programs = [m["executable"] for m in messages if m.get("executable") and "bench" in m["target"]["kind"]]
    return Path(programs[0])


def pyrograph(bench: Path, backend: str, only: str, seconds: float, env: dict[str, str]) -> dict[str, float]:
    """Criterion's medians in milliseconds by name. Its results go to a folder of their own: no older ones are read."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(bench), "--bench", "--warm-up-time", "0.5", "--measurement-time", str(seconds), only]
        run = subprocess.run(command, env=env | {"CRITERION_HOME": folder}, text=True, capture_output=True)
        if run.returncode:
            sys.exit(run.stdout + run.stderr)
        times = {}
        for file in Path(folder).rglob("new/estimates.json"):
            name = json.loads((file.parent / "benchmark.json").read_text())["full_id"]
            times[name.removesuffix(f"/{backend}")] = json.loads(file.read_text())["median"]["point_estimate"] / 1e6
        return dict(sorted(times.items()))


def pytorch(side: Side, only: str, seconds: float, env: dict[str, str]) -> dict[str, float]:
    where = ["--threads", str(side.threads), "--device", side.device]
    lines = script(["operations.py", *where, "--seconds", str(seconds), "--only", only], env)
    for job, name in (("sample", "sprites/sample_step"), ("train", "sprites/train_step")):
        if only in name:
            steps = max(3, round(seconds / STEP_SECONDS))
            lines += script(["sprites.py", *where, "--job", job, "--iterations", str(steps)], env)
    steps = max(3, round(seconds / STEP_SECONDS))
    lines += script(["dcgan.py", *where, "--only", only, "--iterations", str(steps)], env)
    steps = max(3, round(seconds / SSD_STEP_SECONDS))
    lines += script(["ssd.py", *where, "--only", only, "--iterations", str(steps)], env)
    return {line["name"]: line["median_ms"] for line in lines}


def script(words: list[str], env: dict[str, str]) -> list[dict]:
    command = [sys.executable, str(HERE / words[0]), *words[1:]]
    output = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def summary(name: str, rounds: list[tuple[float, float, float | None]]) -> dict:
    ratios = sorted(ours / theirs for ours, theirs, _ in rounds)
    ours, theirs = (statistics.median(side) for side in list(zip(*rounds))[:2])
    in_bf16 = [time for _, _, time in rounds if time is not None]
    row = {"name": name, "ours": ours, "theirs": theirs, "ratio": statistics.median(ratios), "range": (ratios[0], ratios[-1])}
    return row | {"bf16": statistics.median(in_bf16) if in_bf16 else None}


def tables_of(side: Side, rows: list[dict]) -> str:
    kinds = list(dict.fromkeys(kind for row in rows for kind in row["others"]))
    return "\n\n".join([table(side, rows, kinds), *([first_passes(rows)] if kinds else [])])


def table(side: Side, rows: list[dict], kinds: list[tuple[str, str]]) -> str:
    has_bf16 = any(row["bf16"] for row in rows)
    columns = [*(["pyrograph bf16"] if has_bf16 else []), *(f"{ENGINES[engine][0]} {dtype}" for engine, dtype in kinds)]
    lines = [line("workload", f"pyrograph ({side.backend})", "PyTorch", "ratio", "range", *columns), "| --- " * (5 + len(columns)) + "|"]
    for row in rows:
        low, high = row["range"]
        cells = [row["name"], milliseconds(row["ours"]), milliseconds(row["theirs"]), f"{row['ratio']:.2f}", f"{low:.2f} to {high:.2f}"]
        times = [*([row["bf16"]] if has_bf16 else []), *(middle(row["others"].get(kind), "median_ms") for kind in kinds)]
        lines.append(line(*cells, *("" if time is None else milliseconds(time) for time in times)))
    return "\n".join(lines)


def first_passes(rows: list[dict]) -> str:
    """From the start of the program to the first pass, and the peak memory of the program: compilation included."""
    lines = [line("workload", "engine", "type", "first pass", "peak memory"), "| --- " * 5 + "|"]
    for row in rows:
        for kind, runs in row["others"].items():
            first, peak = middle(runs, "first_s"), middle(runs, "peak_memory_bytes")
            engine = f"{ENGINES[kind[0]][0]} {runs[0]['version']}"
            lines.append(line(row["name"], engine, kind[1], f"{first:.1f} s", f"{peak / 1e6:.0f} MB"))
    return "\n".join(lines)


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def milliseconds(time: float) -> str:
    return f"{time:.3g} ms"


def middle(runs: list[dict] | None, key: str) -> float | None:
    return statistics.median(run[key] for run in runs) if runs else None


def page(tables: list[tuple[Side, list[dict]]], args: argparse.Namespace) -> str:
    import torch

    rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.split()[1]
    capability = torch.backends.cpu.get_cpu_capability()
    text = "\n\n".join(f"## {side.title()}\n\n{tables_of(side, rows)}" for side, rows in tables)
    return f"""# pyrograph beside PyTorch

Written by `cargo xtask bench compare`. Time of pyrograph over that of PyTorch: below 1, pyrograph is faster.

{processor()}, {capability}; PyTorch {torch.__version__} eager, rustc {rustc}; medians of {args.rounds} rounds by turns, {args.seconds:g} s for a workload, a side and a round.

![How many times PyTorch's speed](images/{PLOT.name})

{text}

{CLOSING}"""


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def plot(rows: list[dict]) -> str:
    """Bars of PyTorch's time over pyrograph's, with a line at 1."""
    left, unit, line, right = 330, 90, 20, 60
    most = max(1 / row["ratio"] for row in rows)
    width, height = left + unit * min(most, 6) + right, line * (len(rows) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width:.0f}" height="{height}" fill="white"/>',
        f'<text x="{left}" y="14">how many times PyTorch\'s speed</text>',
    ]
    for place, row in enumerate(rows, start=1):
        speed, y = 1 / row["ratio"], line * place
        length, colour = unit * min(speed, 6), "#2b7a3d" if speed >= 1 else "#b5651d"
        parts.append(f'<text x="{left - 6}" y="{y + 14}" text-anchor="end">{row["name"]}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{length:.1f}" height="{line - 6}" fill="{colour}"/>')
        parts.append(f'<text x="{left + length + 4:.1f}" y="{y + 14}">{speed:.2f}</text>')
    parts.append(f'<line x1="{left + unit}" y1="{line}" x2="{left + unit}" y2="{line * (len(rows) + 1)}" stroke="black"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    main()
