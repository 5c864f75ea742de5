"""Stable Diffusion 2.1-base at its real shapes, with random weights: pyrograph beside diffusers, part by part, by turns.

    venv/bin/python benches/pytorch/stable_diffusion.py make models/sd21-random          # 5.2 GB in f32, a diffusers folder
    venv/bin/python benches/pytorch/stable_diffusion.py time models/sd21-random --binary target/release/pyrograph
    venv/bin/python benches/pytorch/stable_diffusion.py time models/sd21-random --with openvino,compile

`make` draws the weights of a folder with the shapes of Stable Diffusion 2.1-base; with `--tokenizer DIR` (vocab.json and merges.txt) the
folder is whole and makes pictures of noise. `time` runs, in each round and in each type, a forward pass of each part with `pyrograph forward`
and with diffusers, on the same threads, and prints the median over the rounds: the UNet on the guidance pair (2 × 4 × 64 × 64 latents,
77 × 1024 context), the VAE's decoder for a picture of 512², the text encoder on 2 × 77 ids. Needs torch, diffusers and transformers.

pyrograph converts weights to bf16 while it loads them; `--converted FOLDER` gives it a folder in bf16, as users have it.

`--with openvino,compile` adds columns for OpenVINO and `torch.compile` (`engines.py`): a pass, and with compilation the time to the first
pass and the peak memory. OpenVINO has each part from a file of its own format, 5.2 GB in all in the folder for temporary files.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines import ENGINES, Files, Job, engine_list

TEXT = dict(
    hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16, max_position_embeddings=77,
    vocab_size=49408, hidden_act="gelu", layer_norm_eps=1e-5, projection_dim=512, bos_token_id=0, eos_token_id=2, pad_token_id=1,
)
UNET = dict(
    sample_size=64, in_channels=4, out_channels=4, block_out_channels=[320, 640, 1280, 1280], layers_per_block=2,
    attention_head_dim=[5, 10, 20, 20], cross_attention_dim=1024, use_linear_projection=True, norm_num_groups=32, norm_eps=1e-5,
    down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"], up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
)
VAE = dict(
    in_channels=3, out_channels=3, block_out_channels=[128, 256, 512, 512], layers_per_block=2, latent_channels=4, norm_num_groups=32,
    sample_size=512, scaling_factor=0.18215,
    down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
)
SCHEDULER = dict(
    beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, clip_sample=False, set_alpha_to_one=False,
    steps_offset=1, skip_prk_steps=True, prediction_type="epsilon",
)
SEED, WARM_UP, REPEATS = 0, 1, 3
DTYPES = ("f32", "bf16")
# Those of `engines.py` that run Stable Diffusion: ONNX's own format ends at 2 GB.
OTHERS = ("openvino", "compile")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    make_ = commands.add_parser("make")
    make_.add_argument("folder", type=Path)
    make_.add_argument("--tokenizer", type=Path, help="a folder with vocab.json and merges.txt of CLIP")
    time_ = commands.add_parser("time")
    time_.add_argument("folder", type=Path)
    time_.add_argument("--binary", default="target/release/pyrograph")
    time_.add_argument("--threads", type=int, default=2)
    time_.add_argument("--rounds", type=int, default=3)
    time_.add_argument("--converted", type=Path, help="FOLDER by `pyrograph convert --dtype bf16`, for the rows of bf16 of pyrograph")
    time_.add_argument("--only", default="", help="a part of the name of a row")
    time_.add_argument("--with", dest="engines", type=others, default=[], help=f"of {', '.join(OTHERS)}; with commas")
    worker = commands.add_parser("diffusers")  # One part in one type, in a process of its own: so peak memory is its own.
    worker.add_argument("folder", type=Path)
    worker.add_argument("part", choices=PARTS)
    worker.add_argument("dtype", choices=DTYPES)
    worker.add_argument("threads", type=int)
    args = parser.parse_args()
    match args.command:
        case "make":
            make(args.folder, args.tokenizer)
        case "time":
            compare(args)
        case "diffusers":
            print(json.dumps(diffusers_part(args.folder, args.part, args.dtype, args.threads)))


def others(text: str) -> list[str]:
    names = engine_list(text)
    for name in names:
        if name not in OTHERS:
            raise argparse.ArgumentTypeError(f"{name} does not run Stable Diffusion here; {', '.join(OTHERS)} do")
    return names


def make(folder: Path, tokenizer: Path | None) -> None:
    """The diffusers folder, each part drawn as its class draws it."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(SEED)
    parts = {
        "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(**TEXT)),
        "unet": lambda: UNet2DConditionModel(**UNET),
        "vae": lambda: AutoencoderKL(**VAE),
    }
    for name, part in parts.items():
        part().save_pretrained(folder / name)
    (folder / "scheduler").mkdir(exist_ok=True)
    scheduler = {"_class_name": "PNDMScheduler", "_diffusers_version": "0.8.0"} | SCHEDULER
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(scheduler, indent=2))
    index = {
        "_class_name": "StableDiffusionPipeline",
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    if tokenizer:
        (folder / "tokenizer").mkdir(exist_ok=True)
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(tokenizer / name, folder / "tokenizer" / name)
        settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "!", "bos_token": "<|startoftext|>"}
        settings |= {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
        (folder / "tokenizer/tokenizer_config.json").write_text(json.dumps(settings, indent=2))


def inputs(part: str) -> dict:
    import torch

    generator = torch.Generator().manual_seed(SEED)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    match part:
        case "unet":
            return {"sample": draw(2, 4, 64, 64), "timestep": torch.tensor([500.0]), "encoder_hidden_states": draw(2, 77, 1024)}
        case "vae":
            return {"latents": draw(1, 4, 64, 64)}
        case "text_encoder":
            return {"input_ids": torch.randint(0, TEXT["vocab_size"], (2, 77), generator=generator)}
    raise ValueError(part)


# Part: the model's name in `pyrograph forward`, and its weights in the folder.
PARTS = {
    "unet": ("sd-unet", "diffusion_pytorch_model"),
    "vae": ("sd-vae-decoder", "diffusion_pytorch_model"),
    "text_encoder": ("sd-text-encoder", "model"),
}


def loaded(folder: Path, part: str, type_):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    load = {"unet": UNet2DConditionModel, "vae": AutoencoderKL, "text_encoder": CLIPTextModel}[part]
    return load.from_pretrained(folder / part, torch_dtype=type_).eval()


def engine_job(folder: Path, part: str) -> Job:
    """A part with tensors in and one tensor out."""
    import torch

    class Pass(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = loaded(folder, part, torch.float32)

        def forward(self, *inputs):
            match part:
                case "unet":
                    return self.model(*inputs, return_dict=False)[0]
                case "vae":
                    return self.model.decode(*inputs, return_dict=False)[0]
                case _:
                    return self.model(*inputs).last_hidden_state

    return Job(Pass().eval(), inputs(part))


def diffusers_part(folder: Path, part: str, dtype: str, threads: int) -> dict:
    """Median milliseconds of a pass and the peak memory of this process."""
    import torch

    torch.set_num_threads(threads)
    type_ = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = loaded(folder, part, type_)
    values = {name: value.to(type_) if value.is_floating_point() else value for name, value in inputs(part).items()}
    passes = {
        "unet": lambda: model(values["sample"], values["timestep"], values["encoder_hidden_states"]).sample,
        "vae": lambda: model.decode(values["latents"]).sample,
        "text_encoder": lambda: model(values["input_ids"]).last_hidden_state,
    }
    seconds = []
    with torch.no_grad():
        for turn in range(WARM_UP + REPEATS):
            start = time.perf_counter()
            passes[part]()
            if turn >= WARM_UP:
                seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"median_ms": 1e3 * statistics.median(seconds), "peak_memory_bytes": peak}


def pyrograph_part(folder: Path, part: str, dtype: str, threads: int, binary: str) -> dict:
    from safetensors.torch import save_file

    model, weights = PARTS[part]
    with tempfile.TemporaryDirectory() as scratch:
        save_file(inputs(part), f"{scratch}/in.safetensors")
        command = [binary, "forward", model, "--json", "--quiet", "--device", "cpu", "--dtype", dtype, "--repeat", str(REPEATS)]
        command += ["--weights", f"{folder}/{part}/{weights}.safetensors", "--config", f"{folder}/{part}/config.json"]
        command += ["--input", f"{scratch}/in.safetensors", "--output", f"{scratch}/out.safetensors"]
        run = subprocess.run(command, env=os.environ | {"RAYON_NUM_THREADS": str(threads)}, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{run.stderr}")
    return json.loads(run.stdout)


def compare(args) -> None:
    rows = {}
    with Files() as files:
        for round_ in range(args.rounds):
            for part in PARTS:
                for dtype in DTYPES:
                    if args.only not in f"{part}/{dtype}":
                        continue
                    folder, type_ = (args.converted, "stored") if args.converted and dtype == "bf16" else (args.folder, dtype)
                    sides = [pyrograph_part(folder, part, type_, args.threads, args.binary)]
                    command = [sys.executable, __file__, "diffusers", str(args.folder), part, dtype, str(args.threads)]
                    run = subprocess.run(command, capture_output=True, text=True, check=True)
                    sides.append(json.loads(run.stdout.splitlines()[-1]))
                    job = f"sd/{part}:{args.folder.resolve()}"
                    sides += [files.time(job, engine, dtype, args.threads, REPEATS) for engine in args.engines]
                    rows.setdefault((part, dtype), []).append(sides)
                    times = ", ".join(f"{side['median_ms']:.0f} ms" for side in sides)
                    print(f"round {round_ + 1} {part} {dtype}: {times}", file=sys.stderr, flush=True)
    names = ["pyrograph", "diffusers", *(ENGINES[engine][0] for engine in args.engines)]
    header = ["part", "type", *names, "ratio to diffusers", *(f"peak, {name}" for name in names), *(f"first pass, {name}" for name in names[2:])]
    print(f"| {' | '.join(header)} |\n{'| --- ' * len(header)}|")
    for (part, dtype), rounds in rows.items():
        middle = lambda side, key: statistics.median(sides[side][key] for sides in rounds)  # noqa: E731
        times = [middle(side, "median_ms") for side in range(len(names))]
        cells = [part, dtype, *(f"{time:.0f} ms" for time in times), f"{times[0] / times[1]:.2f}"]
        cells += [f"{middle(side, 'peak_memory_bytes') / 1e9:.2f} GB" for side in range(len(names))]
        cells += [f"{middle(side, 'first_s'):.1f} s" for side in range(2, len(names))]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
