"""check.py finds nothing in the manifest, and each thing that is broken in a copy of it."""

from __future__ import annotations

from collections.abc import Callable

import check
import pytest
from check import Document


def manifest() -> list[Document]:
    return check.read(check.HERE / "pyrograph.yaml")


def pod(documents: list[Document]) -> Document:
    spec: Document = documents[0]["spec"]["template"]["spec"]
    return spec


def container(documents: list[Document]) -> Document:
    only: Document = pod(documents)["containers"][0]
    return only


def test_the_manifest_has_no_problem() -> None:
    assert list(check.problems(manifest())) == []


BREAKS: dict[str, tuple[Callable[[list[Document]], object], str]] = {
    "an unknown field": (lambda d: pod(d).update(terminationGrace=1), "Additional properties"),
    "a wrong type": (lambda d: d[2]["spec"].update(minReplicas="two"), "minReplicas"),
    "a missing document": (lambda d: d.pop(1), "0 documents are a Service"),
    "a probe of another route": (
        lambda d: container(d)["livenessProbe"]["httpGet"].update(path="/healthz"),
        "livenessProbe asks /healthz",
    ),
    "another port": (lambda d: container(d)["ports"][0].update(containerPort=9000), "--port is 8080"),
    "a service of another port": (lambda d: d[1]["spec"]["ports"][0].update(targetPort="web"), "the Service names"),
    "a pod that is killed early": (lambda d: pod(d).update(terminationGracePeriodSeconds=35), "above 35 s"),
    "a pod of root": (lambda d: pod(d)["securityContext"].update(runAsNonRoot=False), "runAsNonRoot is False"),
    "variables of services": (lambda d: pod(d).pop("enableServiceLinks"), "enableServiceLinks"),
    "a metric of another name": (
        lambda d: d[2]["spec"]["metrics"][0]["pods"]["metric"].update(name="pyrograph_queue"),
        "asks for pyrograph_queue",
    ),
    "a selector of nothing": (lambda d: d[3]["spec"]["selector"].update(matchLabels={"a": "b"}), "Budget selects"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_found(name: str) -> None:
    damage, expected = BREAKS[name]
    documents = manifest()
    damage(documents)
    found = list(check.problems(documents))
    assert any(expected in problem for problem in found), found
