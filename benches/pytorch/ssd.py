"""Times SSD300 on VGG16 in PyTorch on the CPU, or on a GPU: the forward pass, and a step of training.

    python3 benches/pytorch/ssd.py --only ssd/forward --threads 2 --iterations 5

ssd/forward/b1, b4     the network in eval mode without gradients, 21 classes, to offsets and logits
ssd/train_step/b4      forward, matching of 4 images with 5 objects each, multibox loss, backward, SGD with momentum and weight decay

Each workload prints one JSON line. Times are in milliseconds.
"""

import argparse
import json
import statistics

SIDE, CLASSES, OBJECTS = 300, 21, 5
FORWARD_BATCHES, TRAIN_BATCH = (1, 4), 4
# ssd.pytorch's.
RATE, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--only", default="", help="a part of the name")
    args = parser.parse_args()
    import torch
    from operations import finished, prepare
    from sprites import quantile, timed

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    prepare(args.device)
    jobs = {f"ssd/forward/b{batch}": lambda batch=batch: forward(batch) for batch in FORWARD_BATCHES}
    jobs[f"ssd/train_step/b{TRAIN_BATCH}"] = train_step
    for name, job in jobs.items():
        if args.only not in name:
            continue
        times = timed(finished(job(), args.device), args.iterations, warm_up=1)
        row = {
            "name": name,
            "median_ms": round(statistics.median(times), 3),
            "p10": round(quantile(times, 0.1), 3),
            "p90": round(quantile(times, 0.9), 3),
            "threads": args.threads,
            "iterations": len(times),
            "torch": torch.__version__,
        }
        print(json.dumps(row), flush=True)


def network():
    """With ssd.pytorch's first weights, so that numbers stay in the range of real ones."""
    import torch.nn as nn
    from reference_ssd import SSD300

    net = SSD300(CLASSES)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return net


def images(batch: int):
    import torch

    return torch.rand(batch, 3, SIDE, SIDE) * 2 - 1


def objects():
    """Corners and a label for each."""
    import torch

    corner, size = torch.rand(OBJECTS, 2) * 0.5, torch.rand(OBJECTS, 2) * 0.4 + 0.1
    return torch.cat([corner, corner + size, torch.randint(CLASSES - 1, (OBJECTS, 1)).float()], 1)


def forward(batch: int):
    import torch

    net, x = network().eval(), images(batch)

    def step() -> None:
        with torch.no_grad():
            net(x)

    return step


def train_step():
    import torch
    from reference_ssd import multibox_loss, prior_boxes

    net, x, priors = network().train(), images(TRAIN_BATCH), prior_boxes()
    targets = [objects() for _ in range(TRAIN_BATCH)]
    sgd = torch.optim.SGD(net.parameters(), RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)

    def step() -> None:
        offset_loss, class_loss = multibox_loss(*net(x), priors, targets)
        sgd.zero_grad()
        (offset_loss + class_loss).backward()
        sgd.step()

    return step


if __name__ == "__main__":
    main()
