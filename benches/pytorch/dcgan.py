"""Times the DCGAN in PyTorch on the CPU, or on a GPU: images of the generator, a step of adversarial training, and a step of AnoGAN's
search.

    python3 benches/pytorch/dcgan.py --only dcgan/train_step --threads 2 --iterations 10

dcgan/generate/b32        the generator of width 64 in eval mode, without gradients, on 32 latent vectors
dcgan/train_step/b128     the article's step at width 64: the discriminator on 128 real and 128 detached generated images, then the
                          generator through it; binary cross-entropy, two Adams
anogan/search_step/b5     one Adam step on the latent vectors of 5 images, networks frozen and in eval mode
anogan/search_step/b32    the same for 32

Each workload prints one JSON line. Times are in milliseconds.
"""

import argparse
import json
import statistics

Z_DIM, WIDTH, SIDE, GENERATE_BATCH, TRAIN_BATCH = 20, 64, 64, 32, 128
SEARCH_BATCHES = (5, 32)
# The article's.
BETAS, GENERATOR_RATE, DISCRIMINATOR_RATE, SEARCH_RATE = (0.0, 0.9), 1e-4, 4e-4, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--only", default="", help="a part of the name")
    args = parser.parse_args()
    import torch
    from operations import finished, prepare
    from sprites import quantile, timed

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    prepare(args.device)
    jobs = {f"dcgan/generate/b{GENERATE_BATCH}": generate, f"dcgan/train_step/b{TRAIN_BATCH}": train_step}
    jobs |= {f"anogan/search_step/b{batch}": lambda batch=batch: search_step(batch) for batch in SEARCH_BATCHES}
    for name, job in jobs.items():
        if args.only not in name:
            continue
        times = timed(finished(job(), args.device), args.iterations, warm_up=2)
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


def networks():
    from reference import Discriminator, Generator

    return Generator(Z_DIM, WIDTH), Discriminator(WIDTH)


def latents():
    import torch

    return torch.randn(GENERATE_BATCH, Z_DIM, 1, 1)


def generate():
    import torch

    generator, z = networks()[0].eval(), latents()

    def step() -> None:
        with torch.no_grad():
            generator(z)

    return step


def train_step():
    import torch
    import torch.nn.functional as F

    generator, discriminator = networks()
    g_adam = torch.optim.Adam(generator.parameters(), GENERATOR_RATE, BETAS)
    d_adam = torch.optim.Adam(discriminator.parameters(), DISCRIMINATOR_RATE, BETAS)
    real = torch.rand(TRAIN_BATCH, 1, SIDE, SIDE) * 2 - 1
    ones, zeros = torch.ones(TRAIN_BATCH, 1, 1, 1), torch.zeros(TRAIN_BATCH, 1, 1, 1)
    bce = F.binary_cross_entropy_with_logits

    def step() -> None:
        fake = generator(torch.randn(TRAIN_BATCH, Z_DIM, 1, 1))
        d_loss = bce(discriminator(real)[0], ones) + bce(discriminator(fake.detach())[0], zeros)
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        # The discriminator's parameters stay: their gradients are not computed.
        discriminator.requires_grad_(False)
        g_loss = bce(discriminator(fake)[0], ones)
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        discriminator.requires_grad_(True)

    return step


def search_step(batch: int):
    import torch
    from reference import anomaly_score

    generator, discriminator = networks()
    for network in (generator, discriminator):
        network.eval().requires_grad_(False)
    x = torch.rand(batch, 1, SIDE, SIDE) * 2 - 1
    z = torch.randn(batch, Z_DIM, 1, 1, requires_grad=True)
    adam = torch.optim.Adam([z], SEARCH_RATE)
    features = discriminator(x)[1]

    def step() -> None:
        twin = generator(z)
        residual = (x - twin).abs().flatten(1).sum(1)
        discrimination = (features - discriminator(twin)[1]).abs().sum(1)
        adam.zero_grad()
        (0.9 * residual + 0.1 * discrimination).sum().backward()
        adam.step()

    assert anomaly_score(x, generator(z), discriminator)[0].isfinite().all()
    return step


if __name__ == "__main__":
    main()
