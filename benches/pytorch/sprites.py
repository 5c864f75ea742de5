"""Times the sprite network in PyTorch on the CPU, or on a GPU: a sampling step, a training step, and the start of a program.

    python3 benches/pytorch/sprites.py                      # all three, one JSON line each
    python3 benches/pytorch/sprites.py --job sample --threads 2 --iterations 30

sample   one ancestral step of 32 images (network in eval mode, no_grad, then the DDPM update with fresh noise)
train    one training step of 100 images (forward noise, network, MSE, backward, Adam)
startup  from the start of the process to the first denoised image: import, network, state dict from a file, one step of one image

Each job runs in a process of its own, so that `peak_rss_mb` is its own. Times are in milliseconds.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

JOBS = ("sample", "train", "startup")
SAMPLE_BATCH, TRAIN_BATCH, WARM_UP = 32, 100, 3
SIZE, CHANNELS, FEATURES, CLASSES = 16, 3, 64, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", choices=JOBS, help="only this one")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--iterations", type=int, default=30, help="timed steps; start-ups are a fifth of it")
    parser.add_argument("--worker", choices=(*JOBS, "first-image"), help=argparse.SUPPRESS)
    parser.add_argument("--weights", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker == "first-image":
        first_image(args.weights)
    elif args.worker:
        worker(args.worker, args.threads, args.iterations, args.device)
    else:
        for job in [args.job] if args.job else JOBS:
            words = ["--worker", job, "--threads", str(args.threads), "--iterations", str(args.iterations)]
            words += ["--device", args.device]
            print(child(words, args.threads), end="", flush=True)


def child(words: list[str], threads: int) -> str:
    """This script in a new process; the thread count is set before torch is imported."""
    env = os.environ | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, *words]
    return subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout


def worker(job: str, threads: int, iterations: int, device: str) -> None:
    import torch
    from operations import finished, prepare

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    prepare(device)
    if job == "startup":
        times, peak = startup(threads, max(1, iterations // 5))
    else:
        times = timed(finished(sample_step() if job == "sample" else train_step(), device), iterations)
        peak = peak_rss_mb()
    names = {"sample": f"sample_step/b{SAMPLE_BATCH}", "train": f"train_step/b{TRAIN_BATCH}", "startup": "startup"}
    row = {
        "name": f"sprites/{names[job]}",
        "median_ms": round(statistics.median(times), 3),
        "p10": round(quantile(times, 0.1), 3),
        "p90": round(quantile(times, 0.9), 3),
        "threads": threads,
        "iterations": len(times),
        "torch": torch.__version__,
        "peak_rss_mb": round(peak, 1),
    }
    print(json.dumps(row))


def network():
    from reference import ContextUnet

    return ContextUnet(CHANNELS, FEATURES, CLASSES, SIZE)


def batch_of(size: int):
    import torch

    x = torch.rand(size, CHANNELS, SIZE, SIZE) * 2 - 1
    return x, torch.nn.functional.one_hot(torch.arange(size) % CLASSES, CLASSES).float()


def sample_step():
    import torch
    from reference import SpriteSchedule

    net, schedule = network().eval(), SpriteSchedule()
    x, c = batch_of(SAMPLE_BATCH)
    t = schedule.T // 2

    def step() -> None:
        with torch.no_grad():
            eps = net(x, torch.tensor([t / schedule.T]), c)
            schedule.ddpm_step(x, t, eps, torch.randn_like(x))

    return step


def train_step():
    import torch
    from reference import SpriteSchedule

    net, schedule = network().train(), SpriteSchedule()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    x, c = batch_of(TRAIN_BATCH)

    def step() -> None:
        t = torch.randint(1, schedule.T + 1, (TRAIN_BATCH,))
        noise = torch.randn_like(x)
        eps = net(schedule.add_noise(x, t, noise), t / schedule.T, c)
        loss = torch.nn.functional.mse_loss(eps, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def startup(threads: int, iterations: int) -> tuple[list[float], float]:
    import torch

    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "context_unet.pth"
        torch.save(network().state_dict(), weights)
        peaks = []
        run = lambda: peaks.append(float(child(["--worker", "first-image", "--weights", str(weights)], threads)))
        return timed(run, iterations, warm_up=1), max(peaks)


def first_image(weights: Path) -> None:
    import torch
    from reference import SpriteSchedule

    net, schedule = network(), SpriteSchedule()
    net.load_state_dict(torch.load(weights, weights_only=True))
    net.eval()
    x, c = torch.randn(1, CHANNELS, SIZE, SIZE), torch.eye(CLASSES)[:1]
    with torch.no_grad():
        eps = net(x, torch.tensor([1.0]), c)
        image = schedule.ddpm_step(x, schedule.T, eps, torch.zeros_like(x))
    assert image.isfinite().all()
    print(peak_rss_mb())


def peak_rss_mb() -> float:
    """Of this program. `getrusage` would count what the parent held when it started this one, so Linux's own figure comes first."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return kilobytes / 1024


def timed(step, iterations: int, warm_up: int = WARM_UP) -> list[float]:
    for _ in range(warm_up):
        step()
    times = []
    for _ in range(iterations):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def quantile(values: list[float], q: float) -> float:
    """Linear between the two nearest ranks."""
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


if __name__ == "__main__":
    main()
