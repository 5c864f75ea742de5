"""Times the operations of `crates/pyrograph-workloads/operations.json` in PyTorch on the CPU, or on a GPU: one JSON line each.

    python3 benches/pytorch/operations.py --threads 2 --seconds 1
    python3 benches/pytorch/operations.py --only conv3x3

The names are those of pyrograph's workloads, so that `compare.py` can set one beside the other. Eager, f32, no_grad except where an
entry asks for the way back.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

SPEC = Path(__file__).resolve().parents[2] / "crates/pyrograph-workloads/operations.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each operation; three runs at least")
    parser.add_argument("--only", default="", help="a part of the name")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    prepare(args.device)
    for entry in json.loads(SPEC.read_text()):
        name = f"ops/{entry['name']}"
        if args.only in name:
            times = timed(finished(work(entry), args.device), args.seconds)
            print(json.dumps({"name": name, "median_ms": statistics.median(times), "torch": torch.__version__}), flush=True)


def prepare(device: str) -> None:
    """Tensors are made on the device, and products are of f32 also where a GPU would take fewer bits."""
    import torch

    torch.set_default_device(device)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def finished(run, device: str):
    """`run`, until the device is done with it."""
    import torch

    if device == "cpu":
        return run

    def whole() -> None:
        run()
        torch.cuda.synchronize()

    return whole


def timed(run, seconds: float) -> list[float]:
    for _ in range(3):
        run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1e3)
    return times


def work(entry: dict):
    import torch

    back = entry.get("backward", False)
    x = torch.randn(entry["x"], requires_grad=back)
    weight = torch.randn(entry["weight"], requires_grad=back) if "weight" in entry else None
    channels = {"conv2d": 0, "linear": 0, "conv_transpose2d": 1}.get(entry["op"])
    count = entry["x"][1] if channels is None else entry["weight"][channels]
    scale, shift = (torch.randn(count, requires_grad=back) for _ in range(2))
    forward = operation(entry)

    def run() -> None:
        if back:
            for tensor in (x, weight, scale, shift):
                if tensor is not None:
                    tensor.grad = None
            forward(x, weight, scale, shift).sum().backward()
        else:
            with torch.no_grad():
                forward(x, weight, scale, shift)

    return run


def operation(entry: dict):
    import torch.nn.functional as F

    act = activation(entry.get("act", "identity"))
    s, p, d = entry.get("stride", 1), entry.get("padding", 0), entry.get("dilation", 1)
    kinds = {
        "conv2d": lambda x, w, scale, shift: act(F.conv2d(x, w, shift, s, p, d)),
        "conv_transpose2d": lambda x, w, scale, shift: act(F.conv_transpose2d(x, w, shift, s, p, dilation=d)),
        "activate": lambda x, w, scale, shift: act(x),
        "group_norm": lambda x, w, scale, shift: act(F.group_norm(x, entry["groups"], scale, shift)),
        "batch_norm_training": lambda x, w, scale, shift: act(F.batch_norm(x, None, None, scale, shift, training=True)),
        "max_pool2d": lambda x, w, scale, shift: F.max_pool2d(x, s),
        "avg_pool2d": lambda x, w, scale, shift: F.avg_pool2d(x, s),
        "softmax": lambda x, w, scale, shift: F.softmax(x, -1),
        "attention": lambda x, w, scale, shift: F.scaled_dot_product_attention(x, x, x),
        "linear": lambda x, w, scale, shift: F.linear(x, w[:, :, 0, 0], shift),
    }
    return kinds[entry["op"]]


def activation(act):
    import torch.nn.functional as F

    if isinstance(act, dict):
        return lambda x: F.leaky_relu(x, act["leaky-relu"])
    return {"identity": lambda x: x, "relu": F.relu, "gelu": F.gelu, "silu": F.silu, "tanh": F.tanh}[act]


if __name__ == "__main__":
    main()
