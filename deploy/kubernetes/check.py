#!/usr/bin/env python3
"""Checks pyrograph.yaml: by the JSON schemas that Kubernetes publishes, and against the server's own source.

`python check.py [MANIFEST]` prints a line for each problem, and exits with 1 where there is one. The schemas come with
the package kubernetes-validate, so nothing is downloaded and no cluster is needed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
SERVE = HERE.parents[1] / "crates" / "pyrograph-serve" / "src"
# The first version with the `sleep` action on by default, and the newest whose schemas are there.
VERSIONS = ("1.30", "1.33", "1.37")
KINDS = ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget")

Document = dict[str, Any]


def problems(documents: Sequence[Document]) -> Iterator[str]:
    """Every problem of a manifest."""
    broken = [*schema_problems(documents), *kind_problems(documents)]
    yield from broken
    if broken:
        return
    deployment, service, autoscaler, budget = (of_kind(documents, kind) for kind in KINDS)
    yield from probe_problems(deployment)
    yield from port_problems(deployment, service)
    yield from termination_problems(deployment)
    yield from rights_problems(deployment)
    yield from metric_problems(autoscaler)
    yield from selector_problems(deployment, service, autoscaler, budget)


def schema_problems(documents: Sequence[Document]) -> Iterator[str]:
    """What Kubernetes' schemas refuse, unknown fields included."""
    for document in documents:
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(map(str, error.path))
                yield f"{document.get('kind')}, Kubernetes {version}: {path}: {error.message}"


def kind_problems(documents: Sequence[Document]) -> Iterator[str]:
    """A kind that is missing or there twice."""
    found = [document.get("kind") for document in documents]
    for kind in KINDS:
        if found.count(kind) != 1:
            yield f"{found.count(kind)} documents are a {kind}; one must be"


def probe_problems(deployment: Document) -> Iterator[str]:
    """Probes and annotations whose paths the server does not have."""
    routes = served_routes()
    container = only_container(deployment)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        path = container[probe]["httpGet"]["path"]
        expected = "/livez" if probe == "livenessProbe" else "/readyz"
        if path != expected or path not in routes:
            yield f"{probe} asks {path}; it must be {expected}, which the server has: {expected in routes}"
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    if annotations["prometheus.io/path"] not in routes:
        yield f"metrics are read from {annotations['prometheus.io/path']}, which the server does not have"


def port_problems(deployment: Document, service: Document) -> Iterator[str]:
    """Ports that differ between the arguments, the container, the probes, the Service and the annotations."""
    container = only_container(deployment)
    [port] = container["ports"]
    told = {
        "--port": argument(container, "--port"),
        "prometheus.io/port": deployment["spec"]["template"]["metadata"]["annotations"]["prometheus.io/port"],
    }
    for name, value in told.items():
        if value != str(port["containerPort"]):
            yield f"{name} is {value}, but containerPort is {port['containerPort']}"
    references = {
        probe: container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    references["the Service"] = service["spec"]["ports"][0]["targetPort"]
    for name, value in references.items():
        if value not in (port["name"], port["containerPort"]):
            yield f"{name} names the port {value}, but the container has {port['name']}"
    if argument(container, "--host") != "0.0.0.0":
        yield "without `--host 0.0.0.0` the server listens on loopback, where no probe reaches it"


def termination_problems(deployment: Document) -> Iterator[str]:
    """A pod that is killed before the server has ended its requests."""
    pod = deployment["spec"]["template"]["spec"]
    container = only_container(deployment)
    grace = float(argument(container, "--grace") or "nan")
    needed = grace + container["lifecycle"]["preStop"]["sleep"]["seconds"]
    if not pod["terminationGracePeriodSeconds"] > needed:
        yield f"terminationGracePeriodSeconds must be above {needed:.0f} s, the sum of preStop and --grace"


def rights_problems(deployment: Document) -> Iterator[str]:
    """Rights that the server does not need."""
    pod = deployment["spec"]["template"]["spec"]
    container = only_container(deployment)
    context = {**pod["securityContext"], **container["securityContext"]}
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks must be false: a Service could set variables that the server reads"
    wanted = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False}
    for name, value in wanted.items():
        if context.get(name) is not value:
            yield f"{name} is {context.get(name)}, but must be {value}"
    if container["securityContext"].get("capabilities", {}).get("drop") != ["ALL"]:
        yield "capabilities must be dropped: ALL"


def metric_problems(autoscaler: Document) -> Iterator[str]:
    """A metric to scale on that the server does not have."""
    names = served_metrics()
    for metric in autoscaler["spec"]["metrics"]:
        name = metric["pods"]["metric"]["name"]
        if name not in names:
            yield f"the autoscaler asks for {name}; the server has {', '.join(sorted(names))}"


def selector_problems(deployment: Document, service: Document, autoscaler: Document, budget: Document) -> Iterator[str]:
    """Selectors that do not find the pods."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = {
        "Deployment": deployment["spec"]["selector"]["matchLabels"],
        "Service": service["spec"]["selector"],
        "PodDisruptionBudget": budget["spec"]["selector"]["matchLabels"],
    }
    for kind, selector in selectors.items():
        if not selector.items() <= labels.items():
            yield f"the {kind} selects {selector}, but the pods have {labels}"
    if autoscaler["spec"]["scaleTargetRef"]["name"] != deployment["metadata"]["name"]:
        yield "the autoscaler scales another Deployment"


# --- what the server's source says ---------------------------------------------------------------------------------


def served_routes() -> set[str]:
    """The paths in string literals of the HTTP layer."""
    text = "\n".join(path.read_text() for path in sorted((SERVE / "http").rglob("*.rs")))
    return set(re.findall(r'"(/[a-z0-9/_-]*)"', text))


def served_metrics() -> set[str]:
    """The names in the table of the metrics' page."""
    return set(re.findall(r"^//! \| `(pyrograph_\w+)`", (SERVE / "metrics.rs").read_text(), re.MULTILINE))


# --- parts of documents --------------------------------------------------------------------------------------------


def of_kind(documents: Sequence[Document], kind: str) -> Document:
    """The document of a kind."""
    return next(document for document in documents if document["kind"] == kind)


def only_container(deployment: Document) -> Document:
    """The container of the pods."""
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


def argument(container: Document, flag: str) -> str | None:
    """The value behind a flag."""
    arguments: list[str] = container["args"]
    return arguments[arguments.index(flag) + 1] if flag in arguments else None


def read(path: Path) -> list[Document]:
    """The documents of a manifest."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document is not None]


def main(argv: Sequence[str]) -> int:
    """Prints the problems; 1 where there is one."""
    path = Path(argv[0]) if argv else HERE / "pyrograph.yaml"
    documents = read(path)
    found = list(problems(documents))
    for problem in found:
        print(f"{path.name}: {problem}")
    if not found:
        print(f"{path.name}: {len(documents)} documents, Kubernetes {', '.join(VERSIONS)}: no problem")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
