"""The same networks in other engines: OpenVINO, ONNX Runtime and `torch.compile`, each in processes of its own.

    venv/bin/pip install openvino onnxruntime onnx
    venv/bin/python benches/pytorch/engines.py dcgan/generate/b32 --engine openvino --dtype bf16 --threads 2

OpenVINO and ONNX Runtime have the network from a file: one process, with PyTorch, writes it, and another, without PyTorch, reads,
compiles and runs it. So `peak_memory_bytes` and `first_s` are those of a user's program, compilation included. `first_s` counts from
the start of the Python program to the end of the first pass. `torch.compile` begins with an empty cache, and holds PyTorch. `eager` is
PyTorch itself. bf16 is `INFERENCE_PRECISION_HINT` in OpenVINO, and weights and inputs in bf16 in PyTorch; ONNX Runtime has none on the
CPU.

`compare.py --with` and `stable_diffusion.py time --with` add these rows to their tables.
"""

import time

BEGUN = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from dataclasses import dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402

from sprites import peak_rss_mb  # noqa: E402

# Engine: its name in tables, the types that it runs in, and whether it reads a file.
ENGINES = {
    "openvino": ("OpenVINO", ("f32", "bf16"), True),
    "onnxruntime": ("ONNX Runtime", ("f32",), True),
    "compile": ("torch.compile", ("f32", "bf16"), False),
    "eager": ("PyTorch", ("f32", "bf16"), False),
}
WARM_UP = 2
# An input of this name is drawn anew for each pass, as a sampler's noise is.
NOISE = "noise"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", help=f"one of {', '.join(JOBS)}")
    parser.add_argument("--engine", choices=ENGINES, default="openvino")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--worker", choices=("write", "read", "torch"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.dtype not in ENGINES[args.engine][1]:
        parser.error(f"{ENGINES[args.engine][0]} runs in {', '.join(ENGINES[args.engine][1])} here")
    match args.worker:
        case "write":
            write(job(args.job), args.engine, args.folder)
        case "read":
            print(json.dumps(read(args.folder, args.engine, args.dtype, args.threads, args.iterations)))
        case "torch":
            print(json.dumps(in_torch(job(args.job), args.engine, args.dtype, args.threads, args.iterations)))
        case None:
            with Files() as files:
                print(json.dumps(files.time(args.job, args.engine, args.dtype, args.threads, args.iterations)))


def engine_list(text: str) -> list[str]:
    """The value of --with."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in ENGINES:
            raise argparse.ArgumentTypeError(f"{name} is no engine; they are {', '.join(ENGINES)}")
    return names


@dataclass
class Job:
    """A network in eval mode and its inputs by name, in the order of its arguments."""

    network: object
    inputs: dict = field(default_factory=dict)


class Files:
    """The files of networks, each written once; removed at the end."""

    def __enter__(self):
        self.root = tempfile.TemporaryDirectory()
        self.written = {}
        return self

    def __exit__(self, *_) -> None:
        self.root.cleanup()

    def time(self, name: str, engine: str, dtype: str, threads: int, iterations: int) -> dict:
        """The figures of one engine, from a process of its own."""
        words = [name, "--engine", engine, "--dtype", dtype, "--threads", str(threads), "--iterations", str(iterations)]
        if not ENGINES[engine][2]:
            return child([*words, "--worker", "torch"], threads)
        if (name, engine) not in self.written:
            folder = Path(self.root.name) / f"{len(self.written)}-{engine}"
            folder.mkdir()
            child([*words, "--worker", "write", "--folder", str(folder)], threads)
            self.written[name, engine] = folder
        return child([*words, "--worker", "read", "--folder", str(self.written[name, engine])], threads)


def child(words: list[str], threads: int) -> dict:
    """This script in a new process: its last line, where it prints one."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    env = os.environ | counts | {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "PYTHONWARNINGS": "ignore"}
    run = subprocess.run([sys.executable, __file__, *words], env=env, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{' '.join(words)}\n{run.stderr}")
    lines = run.stdout.splitlines()
    return json.loads(lines[-1]) if lines else {}


def write(job: Job, engine: str, folder: Path) -> None:
    """The network as a file of the engine, and the inputs."""
    import numpy
    import torch

    numpy.savez(folder / "inputs.npz", **{name: value.numpy() for name, value in job.inputs.items()})
    values = tuple(job.inputs.values())
    with torch.no_grad():
        if engine == "onnxruntime":
            torch.onnx.export(job.network, values, str(folder / "model.onnx"), input_names=list(job.inputs), dynamo=False)
        else:
            import openvino

            shapes = [tuple(value.shape) for value in values]
            model = openvino.convert_model(job.network, example_input=values, input=shapes)
            openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)


def read(folder: Path, engine: str, dtype: str, threads: int, iterations: int) -> dict:
    """The figures of a network in a file. PyTorch is not imported."""
    import numpy

    inputs = dict(numpy.load(folder / "inputs.npz"))
    if engine == "onnxruntime":
        import onnxruntime as engine_module

        options = engine_module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = engine_module.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        run = lambda: session.run(None, inputs)  # noqa: E731
    else:
        import openvino as engine_module

        hints = {"INFERENCE_PRECISION_HINT": dtype, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        compiled = engine_module.Core().compile_model(str(folder / "model.xml"), "CPU", hints)
        request, values = compiled.create_infer_request(), list(inputs.values())
        run = lambda: request.infer(values, share_inputs=True)  # noqa: E731
    generator = numpy.random.default_rng(0)

    def step() -> None:
        if NOISE in inputs:
            inputs[NOISE][...] = generator.standard_normal(inputs[NOISE].shape, dtype=numpy.float32)
        run()

    return figures(step, iterations) | {"version": engine_module.__version__.split("-")[0]}


def in_torch(job: Job, engine: str, dtype: str, threads: int, iterations: int) -> dict:
    """The figures of PyTorch itself, or of what it compiles."""
    import torch

    torch.set_num_threads(threads)
    network, inputs = job.network, job.inputs
    if dtype == "bf16":
        network = network.to(torch.bfloat16)
        inputs = {name: value.to(torch.bfloat16) if value.is_floating_point() else value for name, value in inputs.items()}
    if engine == "compile":
        network = torch.compile(network)

    def step() -> None:
        with torch.no_grad():
            if NOISE in inputs:
                inputs[NOISE].normal_()
            network(*inputs.values())

    return figures(step, iterations) | {"version": torch.__version__}


def figures(step, iterations: int) -> dict:
    step()
    first = time.perf_counter() - BEGUN
    times = []
    for turn in range(WARM_UP + iterations):
        start = time.perf_counter()
        step()
        if turn >= WARM_UP:
            times.append(1e3 * (time.perf_counter() - start))
    return {"median_ms": statistics.median(times), "first_s": first, "peak_memory_bytes": round(peak_rss_mb() * 1024**2)}


def job(name: str) -> Job:
    import torch

    torch.manual_seed(0)
    if name in JOBS:
        return JOBS[name]()
    # A part of Stable Diffusion in a diffusers folder: sd/PART:FOLDER.
    from stable_diffusion import engine_job

    part, _, folder = name.removeprefix("sd/").partition(":")
    return engine_job(Path(folder), part)


def sprites_step() -> Job:
    """A sampling step: the network, and the DDPM update with fresh noise."""
    import torch
    from reference import SpriteSchedule
    from sprites import SAMPLE_BATCH, batch_of, network

    schedule = SpriteSchedule()
    t = schedule.T // 2

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network()

        def forward(self, x, time, context, noise):
            return schedule.ddpm_step(x, t, self.network(x, time, context), noise)

    x, context = batch_of(SAMPLE_BATCH)
    inputs = {"x": x, "time": torch.tensor([t / schedule.T]), "context": context, NOISE: torch.randn_like(x)}
    return Job(Step().eval(), inputs)


def dcgan_generate() -> Job:
    from dcgan import latents, networks

    return Job(networks()[0].eval(), {"z": latents()})


def ssd_forward(batch: int) -> Job:
    from ssd import images, network

    return Job(network().eval(), {"images": images(batch)})


JOBS = {
    "sprites/sample_step/b32": sprites_step,
    "dcgan/generate/b32": dcgan_generate,
    "ssd/forward/b1": lambda: ssd_forward(1),
    "ssd/forward/b4": lambda: ssd_forward(4),
}


if __name__ == "__main__":
    main()
