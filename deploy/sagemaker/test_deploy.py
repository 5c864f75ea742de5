"""Tests of deploy.py against moto's SageMaker and S3, with invocations sent to a container on this machine.

`pytest test_deploy.py` needs what requirements.txt names. With PYROGRAPH_URL=http://127.0.0.1:8080 in the environment
invocations go to a running `pyrograph serve` instead of a stub.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import invoke
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hosting import Hosting, StubContainer, serving
from moto import mock_aws
from PIL import Image

import deploy

ROLE = "arn:aws:iam::123456789012:role/pyrograph"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/pyrograph:latest"
REGION = "eu-central-1"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield


@pytest.fixture
def container() -> Iterator[str]:
    """The address of a container: the real one of PYROGRAPH_URL, or a stub that keeps the contract."""
    if url := os.environ.get("PYROGRAPH_URL"):
        yield url.rstrip("/")
        return
    with serving(StubContainer) as url:
        yield url


@pytest.fixture
def hosting(container: str) -> Iterator[str]:
    with serving(Hosting.before(container)) as url:
        yield url


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.tar.gz"
    path.write_bytes(b"an archive")
    return path


def flags(archive: Path, hosting: str, tmp_path: Path, *more: str) -> list[str]:
    return [
        *("run", "--name", "cat", "--model-data", str(archive), "--bucket", "models", "--image", IMAGE),
        *("--role", ROLE, "--runtime-url", hosting, "--poll", "0.01", "--out", str(tmp_path / "cat.png"), *more),
    ]


def left() -> dict[str, int]:
    """How many things of each kind are there."""
    sagemaker = boto3.client("sagemaker")
    return {
        "models": len(sagemaker.list_models()["Models"]),
        "configs": len(sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        "endpoints": len(sagemaker.list_endpoints()["Endpoints"]),
        "objects": boto3.client("s3").list_objects_v2(Bucket="models")["KeyCount"],
    }


NOTHING = {"models": 0, "configs": 0, "endpoints": 0, "objects": 0}


@pytest.mark.usefixtures("aws")
class TestRun:
    def test_a_run_makes_a_picture_measures_and_leaves_nothing(
        self, archive: Path, hosting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deploy.main(flags(archive, hosting, tmp_path, "--calls", "3")) == 0
        out = capsys.readouterr().out.splitlines()
        assert out[0].endswith("cat.png: a lovely cat")
        assert json.loads(out[1])["n"] == 3
        with Image.open(tmp_path / "cat.png") as picture:
            assert picture.height == picture.width + invoke.TITLE_HEIGHT
        assert left() == NOTHING

    def test_keep_leaves_all_and_delete_takes_it(self, archive: Path, hosting: str, tmp_path: Path) -> None:
        assert deploy.main(flags(archive, hosting, tmp_path, "--calls", "0", "--keep")) == 0
        assert left() == {"models": 1, "configs": 1, "endpoints": 1, "objects": 1}
        assert deploy.main(["delete", "--name", "cat"]) == 0
        assert left() == {**NOTHING, "objects": 1}

    def test_what_was_created_is_what_was_asked_for(self, archive: Path, hosting: str, tmp_path: Path) -> None:
        more = ("--env", "A=b=c", "--count", "2", "--volume", "30", "--instance-type", "ml.c5.2xlarge")
        assert deploy.main(flags(archive, hosting, tmp_path, "--calls", "0", "--keep", *more)) == 0
        sagemaker = boto3.client("sagemaker")
        made = sagemaker.describe_model(ModelName="cat")["PrimaryContainer"]
        assert made["ModelDataUrl"] == "s3://models/pyrograph/cat/model.tar.gz"
        assert made["Environment"] == {"A": "b=c"}
        [variant] = sagemaker.describe_endpoint_config(EndpointConfigName="cat")["ProductionVariants"]
        assert (variant["InitialInstanceCount"], variant["VolumeSizeInGB"]) == (2, 30)
        assert (variant["InstanceType"], variant["ModelName"]) == ("ml.c5.2xlarge", "cat")
        stored = boto3.client("s3").get_object(Bucket="models", Key="pyrograph/cat/model.tar.gz")
        assert stored["Body"].read() == b"an archive"

    def test_a_failed_invocation_deletes_all_and_fails(self, archive: Path, hosting: str, tmp_path: Path) -> None:
        bad = ("--parameters", '{"num_inference_steps": -1}')
        assert deploy.main(flags(archive, hosting, tmp_path, *bad)) == 1
        assert left() == NOTHING
        assert not (tmp_path / "cat.png").exists()

    def test_a_response_stream_is_put_together(self, archive: Path, hosting: str, tmp_path: Path) -> None:
        assert deploy.main(flags(archive, hosting, tmp_path, "--stream", "--calls", "0")) == 0
        with Image.open(tmp_path / "cat.png") as picture:
            picture.load()

    def test_a_dry_run_sends_nothing(
        self, archive: Path, hosting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert deploy.main(flags(archive, hosting, tmp_path, "--dry-run", "--keep")) == 0
        out = capsys.readouterr().out
        assert [out.count(f'"operation": "{name}"') for name in ("s3.upload_file", "sagemaker.create_model")] == [1, 1]
        assert left() == NOTHING

    def test_a_local_archive_wants_a_bucket(self, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
        command = ["run", "--name", "cat", "--model-data", str(archive), "--image", IMAGE, "--role", ROLE]
        assert deploy.main(command) == 1
        assert "--bucket" in capsys.readouterr().err

    def test_an_asynchronous_answer_comes_by_s3(self, hosting: str) -> None:
        clients = deploy.connect(REGION, None, hosting)
        png = invoke.invoke(clients, "cat", '{"prompt": "a lovely cat"}')
        with Stubber(clients.runtime) as stub:
            for key in ("there", "broken"):
                answer = {"OutputLocation": f"s3://models/{key}", "FailureLocation": f"s3://models/{key}-error"}
                stub.add_response("invoke_endpoint_async", answer)
            boto3.client("s3").put_object(Bucket="models", Key="there", Body=png)
            boto3.client("s3").put_object(Bucket="models", Key="broken-error", Body=b"out of memory")
            assert invoke.invoke_async(clients, "cat", "{}") == png
            with pytest.raises(invoke.InvokeError, match="out of memory"):
                invoke.invoke_async(clients, "cat", "{}")
        with pytest.raises(invoke.InvokeError, match="128000"):
            invoke.invoke_async(clients, "cat", " " * 128_001)


def sagemaker_stub() -> tuple[deploy.Clients, Stubber]:
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    client = boto3.client("sagemaker", region_name=REGION, **keys)
    return deploy.Clients(s3=None, sagemaker=client, runtime=None), Stubber(client)


def endpoint(status: str, **more: str) -> dict[str, Any]:
    described = {"EndpointName": "cat", "EndpointArn": "arn:aws:sagemaker:::endpoint/cat", "EndpointStatus": status}
    return {**described, "CreationTime": 0, "LastModifiedTime": 0, **more}


def test_waiting_ends_in_service() -> None:
    clients, stub = sagemaker_stub()
    for status in ("Creating", "Creating", "InService"):
        stub.add_response("describe_endpoint", endpoint(status), {"EndpointName": "cat"})
    with stub:
        deploy.wait_in_service(clients, "cat", timeout=10.0, poll=0.001)
    stub.assert_no_pending_responses()


def test_a_failed_endpoint_says_why() -> None:
    clients, stub = sagemaker_stub()
    reason = "The primary container did not pass the ping health check."
    stub.add_response("describe_endpoint", endpoint("Failed", FailureReason=reason))
    with stub, pytest.raises(deploy.DeployError, match="did not pass the ping health check"):
        deploy.wait_in_service(clients, "cat", timeout=10.0, poll=0.001)


def test_waiting_has_an_end() -> None:
    clients, stub = sagemaker_stub()
    stub.add_response("describe_endpoint", endpoint("Creating"))
    with stub, pytest.raises(deploy.DeployError, match="still Creating after 0 s"):
        deploy.wait_in_service(clients, "cat", timeout=0.0, poll=0.001)


def test_an_endpoint_is_deleted_once_it_is_no_longer_created() -> None:
    clients, stub = sagemaker_stub()
    for status in ("Creating", "Failed"):
        stub.add_response("describe_endpoint", endpoint(status))
    stub.add_response("delete_endpoint", {}, {"EndpointName": "cat"})
    with stub:
        deploy.delete_endpoint(clients, "cat", poll=0.001)
    stub.assert_no_pending_responses()


def test_deletion_goes_in_reverse_order_and_past_failures() -> None:
    clients, stub = sagemaker_stub()
    stub.add_response("describe_endpoint", endpoint("InService"))
    stub.add_client_error("delete_endpoint", "ValidationException", "Not allowed now.")
    stub.add_response("delete_endpoint_config", {}, {"EndpointConfigName": "cat"})
    stub.add_response("delete_model", {}, {"ModelName": "cat"})
    with stub, pytest.raises(ClientError, match="Not allowed now"):
        deploy.delete_all(clients, "cat")
    stub.assert_no_pending_responses()


def test_what_is_not_there_counts_as_deleted() -> None:
    clients, stub = sagemaker_stub()
    stub.add_client_error("delete_model", "ValidationException", 'Could not find model "cat".')
    with stub:
        deploy.delete_model(clients, "cat")


def settings_of(*more: str) -> deploy.Settings:
    arguments = ["run", "--name", "cat", "--model-data", "s3://models/m", "--image", IMAGE, "--role", ROLE]
    return deploy.settings_of(deploy.parser().parse_args([*arguments, *more]))


def test_creation_that_fails_midway_is_undone() -> None:
    clients, stub = sagemaker_stub()
    settings = settings_of()
    stub.add_response("create_model", {"ModelArn": "arn:aws:sagemaker:::model/cat"}, deploy.model_request(settings))
    stub.add_client_error("create_endpoint_config", "ResourceLimitExceeded", "No quota.")
    stub.add_response("delete_model", {}, {"ModelName": "cat"})
    with stub, pytest.raises(ClientError, match="No quota"), ExitStack() as undo:
        deploy.create(clients, settings, undo)
    stub.assert_no_pending_responses()


def test_a_model_of_another_run_is_not_deleted() -> None:
    clients, stub = sagemaker_stub()
    stub.add_client_error("create_model", "ValidationException", "Cannot create already existing model")
    with stub, pytest.raises(ClientError, match="already existing"), ExitStack() as undo:
        deploy.create(clients, settings_of(), undo)
    stub.assert_no_pending_responses()


def test_asynchronous_endpoints_have_their_configuration() -> None:
    request = deploy.endpoint_config_request(settings_of("--async", "s3://models/out/"))
    output = request["AsyncInferenceConfig"]["OutputConfig"]
    assert output == {"S3OutputPath": "s3://models/out/", "S3FailurePath": "s3://models/out/failures"}
    clients, stub = sagemaker_stub()
    with stub:
        stub.add_response("create_endpoint_config", {"EndpointConfigArn": "arn:aws:sagemaker:::endpoint-config/cat"})
        clients.sagemaker.create_endpoint_config(**request)


# numpy.percentile([…], [95, 90]) and numpy.mean
@pytest.mark.parametrize(
    ("times", "p95", "p90", "average"),
    [
        ([7.0], 7.0, 7.0, 7.0),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 9.55, 9.1, 5.5),
        ([3.0, 1.0], 2.9, 2.8, 2.0),
    ],
)
def test_percentiles_are_those_of_numpy(times: list[float], p95: float, p90: float, average: float) -> None:
    figures = invoke.summary(times)
    assert figures["p95_ms"] == pytest.approx(p95, rel=1e-12)
    assert figures["p90_ms"] == pytest.approx(p90, rel=1e-12)
    assert figures["average_ms"] == pytest.approx(average, rel=1e-12)


def test_a_title_does_not_change_the_picture() -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(out, format="PNG")
    with Image.open(io.BytesIO(invoke.with_title(out.getvalue(), "a lovely cat"))) as titled:
        assert titled.size == (40, 30 + invoke.TITLE_HEIGHT)
        assert titled.getpixel((20, invoke.TITLE_HEIGHT + 15)) == (255, 0, 0)


def test_an_answer_that_is_no_picture_is_named() -> None:
    with pytest.raises(invoke.InvokeError, match="holds no image"):
        invoke.checked(b'{"error": {}}')
    with pytest.raises(invoke.InvokeError, match="no PNG"):
        invoke.checked(b"<html>")
