#!/usr/bin/env python3
"""Deploys a pyrograph archive to an Amazon SageMaker endpoint, tries it, and takes it down again.

    pyrograph pack --model sd21 --out model.tar.gz
    python deploy.py run --name lovely-cat --model-data model.tar.gz --bucket BUCKET --image IMAGE_URI --role ROLE_ARN

`run` uploads the archive, creates the model, the endpoint configuration and the endpoint, waits for the endpoint, saves
a picture with its prompt as title, measures the latency, and deletes everything that it created, in reverse order and
also after a failure. `--keep` leaves everything in place for `invoke`, `latency` and, in the end, `delete`. `--dry-run`
prints the requests and sends none. docs/serving-sagemaker.md has the whole story.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import invoke
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

Request = dict[str, Any]

POLL_SECONDS = 15.0
# Endpoints in these states refuse to be deleted.
BUSY = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack"})


class DeployError(Exception):
    """A deployment that failed, with the reason that SageMaker gives."""


@dataclass(frozen=True)
class Clients:
    """Clients of the three services."""

    s3: Any
    sagemaker: Any
    runtime: Any


@dataclass(frozen=True)
class Settings:
    """What is deployed, and on what."""

    name: str
    model_data: str
    image: str
    role: str
    bucket: str | None
    prefix: str
    environment: dict[str, str]
    instance_type: str
    count: int
    volume: int | None
    startup_timeout: int
    download_timeout: int | None
    async_output: str | None
    async_concurrency: int


def connect(region: str | None, profile: str | None, runtime_url: str | None) -> Clients:
    """Clients with one region and profile. Invocations are not tried again: a second try would double the latency."""
    session = boto3.Session(region_name=region, profile_name=profile)
    patient = Config(read_timeout=70, retries={"total_max_attempts": 1})
    runtime = session.client("sagemaker-runtime", endpoint_url=runtime_url, config=patient)
    return Clients(session.client("s3"), session.client("sagemaker"), runtime)


# --- the requests, as pure functions -------------------------------------------------------------------------------


def model_data_url(settings: Settings) -> str:
    """The address of the archive in S3, before or after the upload."""
    if settings.model_data.startswith("s3://"):
        return settings.model_data
    return f"s3://{settings.bucket}/{object_key(settings)}"


def object_key(settings: Settings) -> str:
    """The key that the archive is uploaded to."""
    return "/".join(part for part in (settings.prefix.strip("/"), settings.name, "model.tar.gz") if part)


def model_request(settings: Settings) -> Request:
    """The arguments of `create_model`."""
    container = {"Image": settings.image, "ModelDataUrl": model_data_url(settings), "Environment": settings.environment}
    return {"ModelName": settings.name, "ExecutionRoleArn": settings.role, "PrimaryContainer": container}


def endpoint_config_request(settings: Settings) -> Request:
    """The arguments of `create_endpoint_config`."""
    variant: Request = {
        "VariantName": "AllTraffic",
        "ModelName": settings.name,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": settings.count,
        "ContainerStartupHealthCheckTimeoutInSeconds": settings.startup_timeout,
    }
    if settings.volume is not None:
        variant["VolumeSizeInGB"] = settings.volume
    if settings.download_timeout is not None:
        variant["ModelDataDownloadTimeoutInSeconds"] = settings.download_timeout
    request: Request = {"EndpointConfigName": settings.name, "ProductionVariants": [variant]}
    if settings.async_output is not None:
        request["AsyncInferenceConfig"] = {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": settings.async_concurrency},
            "OutputConfig": {
                "S3OutputPath": settings.async_output,
                "S3FailurePath": settings.async_output.rstrip("/") + "/failures",
            },
        }
    return request


def endpoint_request(settings: Settings) -> Request:
    """The arguments of `create_endpoint`."""
    return {"EndpointName": settings.name, "EndpointConfigName": settings.name}


# --- creation and deletion -----------------------------------------------------------------------------------------


def create(clients: Clients, settings: Settings, undo: ExitStack) -> None:
    """Creates everything. Whatever exists is noted in `undo`, also where a later step fails."""
    sagemaker, name = clients.sagemaker, settings.name
    if not settings.model_data.startswith("s3://"):
        say(f"uploading {settings.model_data} to {model_data_url(settings)}")
        clients.s3.upload_file(settings.model_data, settings.bucket, object_key(settings))
        undo.callback(delete_archive, clients, settings.bucket, object_key(settings))
    say(f"creating the model {name}")
    sagemaker.create_model(**model_request(settings))
    undo.callback(delete_model, clients, name)
    say(f"creating the endpoint configuration {name}")
    sagemaker.create_endpoint_config(**endpoint_config_request(settings))
    undo.callback(delete_endpoint_config, clients, name)
    say(f"creating the endpoint {name} on {settings.count} × {settings.instance_type}")
    sagemaker.create_endpoint(**endpoint_request(settings))
    undo.callback(delete_endpoint, clients, name)


def wait_in_service(clients: Clients, name: str, timeout: float, poll: float = POLL_SECONDS) -> None:
    """Waits until the endpoint is in service. A failure brings the reason that SageMaker gives."""
    seen = ""

    def settled() -> bool:
        nonlocal seen
        endpoint = clients.sagemaker.describe_endpoint(EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status != seen:
            say(f"the endpoint {name} is {status}")
            seen = status
        if status in ("Failed", "OutOfService"):
            reason = endpoint.get("FailureReason", "no reason given; see the container's log in CloudWatch")
            raise DeployError(f"the endpoint {name} is {status}: {reason}")
        return bool(status == "InService")

    if not wait_until(settled, timeout, poll):
        raise DeployError(f"the endpoint {name} was still {seen} after {timeout:.0f} s; see --wait")


def wait_until(done: Callable[[], bool], timeout: float, poll: float) -> bool:
    """Asks `done` every `poll` seconds, and says whether it became true within `timeout` seconds."""
    end = time.monotonic() + timeout
    while not done():
        if time.monotonic() >= end:
            return False
        time.sleep(min(poll, max(end - time.monotonic(), 0.0)))
    return True


def delete_endpoint(clients: Clients, name: str, timeout: float = 3600.0, poll: float = POLL_SECONDS) -> None:
    """Deletes the endpoint, once it is in a state that allows so."""

    def idle() -> bool:
        return clients.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] not in BUSY

    def gone_or_idle() -> bool:
        try:
            return idle()
        except ClientError:
            return True

    wait_until(gone_or_idle, timeout, poll)
    delete(f"the endpoint {name}", lambda: clients.sagemaker.delete_endpoint(EndpointName=name))


def delete_endpoint_config(clients: Clients, name: str) -> None:
    """Deletes the endpoint configuration."""
    delete(
        f"the endpoint configuration {name}",
        lambda: clients.sagemaker.delete_endpoint_config(EndpointConfigName=name),
    )


def delete_model(clients: Clients, name: str) -> None:
    """Deletes the model."""
    delete(f"the model {name}", lambda: clients.sagemaker.delete_model(ModelName=name))


def delete_archive(clients: Clients, bucket: str | None, key: str) -> None:
    """Deletes the archive that was uploaded."""
    delete(f"s3://{bucket}/{key}", lambda: clients.s3.delete_object(Bucket=bucket, Key=key))


def delete(what: str, call: Callable[[], object]) -> None:
    """Deletes one thing; one that is not there is deleted already."""
    say(f"deleting {what}")
    try:
        call()
    except ClientError as error:
        if "not find" not in str(error) and "not exist" not in str(error):
            raise
        say(f"{what} was not there")


def delete_all(clients: Clients, name: str) -> None:
    """Deletes endpoint, configuration and model, in this order; a failure does not spare the rest."""
    with ExitStack() as undo:
        undo.callback(delete_model, clients, name)
        undo.callback(delete_endpoint_config, clients, name)
        undo.callback(delete_endpoint, clients, name)


# --- the commands --------------------------------------------------------------------------------------------------


def run(arguments: argparse.Namespace) -> None:
    """Deploys, tries, measures, deletes."""
    settings = settings_of(arguments)
    if arguments.dry_run:
        dry_run(settings, arguments)
        return
    clients = clients_of(arguments)
    with ExitStack() as undo:
        create(clients, settings, undo)
        wait_in_service(clients, settings.name, arguments.wait, arguments.poll)
        try_out(clients, settings.name, arguments)
        if arguments.keep:
            undo.pop_all()
            say(f"kept; `deploy.py delete --name {settings.name}` deletes it")


def try_out(clients: Clients, name: str, arguments: argparse.Namespace) -> None:
    """A picture, and the latency of synchronous endpoints."""
    invoke.picture(clients, name, arguments)
    if arguments.asynchronous is None and arguments.calls > 0:
        invoke.measure(clients, name, arguments)


def dry_run(settings: Settings, arguments: argparse.Namespace) -> None:
    """Prints every request in order."""
    requests: list[tuple[str, Request]] = []
    if not settings.model_data.startswith("s3://"):
        upload = {"Filename": settings.model_data, "Bucket": settings.bucket, "Key": object_key(settings)}
        requests.append(("s3.upload_file", upload))
    requests += [
        ("sagemaker.create_model", model_request(settings)),
        ("sagemaker.create_endpoint_config", endpoint_config_request(settings)),
        ("sagemaker.create_endpoint", endpoint_request(settings)),
        ("sagemaker-runtime.invoke_endpoint", {"EndpointName": settings.name, "Body": invoke.body_of(arguments)}),
    ]
    for operation, request in requests:
        print(json.dumps({"operation": operation, "request": request}, indent=2))


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings, checked as far as they can be without a call."""
    if not arguments.model_data.startswith("s3://"):
        if arguments.bucket is None:
            raise DeployError("--model-data is a local file: name the bucket to upload it to with --bucket")
        if not Path(arguments.model_data).is_file() and not arguments.dry_run:
            raise DeployError(f"{arguments.model_data} is no file; `pyrograph pack` writes one")
    return Settings(
        name=arguments.name,
        model_data=arguments.model_data,
        image=arguments.image,
        role=arguments.role,
        bucket=arguments.bucket,
        prefix=arguments.prefix,
        environment=dict(arguments.env),
        instance_type=arguments.instance_type,
        count=arguments.count,
        volume=arguments.volume,
        startup_timeout=arguments.startup_timeout,
        download_timeout=arguments.download_timeout,
        async_output=arguments.asynchronous,
        async_concurrency=arguments.async_concurrency,
    )


def clients_of(arguments: argparse.Namespace) -> Clients:
    """The clients that the flags ask for."""
    return connect(arguments.region, arguments.profile, arguments.runtime_url)


def say(line: str) -> None:
    """A line of progress; results alone go to stdout."""
    print(line, file=sys.stderr, flush=True)


def variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    return name, value


def parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", required=True, help="the name of the model, of its configuration and of the endpoint")
    common.add_argument("--region", help="the AWS region; that of the profile if not given")
    common.add_argument("--profile", help="a profile of the AWS configuration")
    common.add_argument("--runtime-url", help="another address for invocations, for tests")

    request = argparse.ArgumentParser(add_help=False)
    invoke.add_flags(request)

    deploy = argparse.ArgumentParser(add_help=False)
    deploy.add_argument("--model-data", required=True, help="a model.tar.gz, local or as s3://…")
    deploy.add_argument("--bucket", help="the bucket that a local archive is uploaded to")
    deploy.add_argument("--prefix", default="pyrograph", help="the folder in the bucket (default: %(default)s)")
    deploy.add_argument("--image", required=True, help="the image in ECR, target `sagemaker` of deploy/Dockerfile")
    deploy.add_argument("--role", required=True, help="the ARN of the execution role")
    deploy.add_argument("--env", type=variable, action="append", default=[], metavar="NAME=VALUE")
    deploy.add_argument("--instance-type", default="ml.g4dn.xlarge", help="(default: %(default)s)")
    deploy.add_argument("--count", type=int, default=1, help="instances (default: %(default)s)")
    deploy.add_argument("--volume", type=int, metavar="GB", help="the size of the volume; not all instances take one")
    deploy.add_argument("--startup-timeout", type=int, default=600, metavar="S", help="(default: %(default)s)")
    deploy.add_argument("--download-timeout", type=int, metavar="S", help="time to fetch and unpack the archive")
    deploy.add_argument("--async-concurrency", type=int, default=4, help="(default: %(default)s)")
    deploy.add_argument("--wait", type=float, default=3600.0, metavar="S", help="(default: %(default)s)")
    deploy.add_argument("--poll", type=float, default=POLL_SECONDS, metavar="S", help=argparse.SUPPRESS)
    deploy.add_argument("--keep", action="store_true", help="delete nothing at the end of a run that succeeds")
    deploy.add_argument("--dry-run", action="store_true", help="print the requests and send none")

    top = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("run", parents=[common, deploy, request], help="deploy, try, measure, delete")
    commands.add_parser("invoke", parents=[common, request], help="one picture from an endpoint")
    commands.add_parser("latency", parents=[common, request], help="the latency of an endpoint")
    commands.add_parser("delete", parents=[common], help="delete endpoint, configuration and model")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; 1 where it failed."""
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "run":
            run(arguments)
        elif arguments.command == "invoke":
            invoke.picture(clients_of(arguments), arguments.name, arguments)
        elif arguments.command == "latency":
            invoke.measure(clients_of(arguments), arguments.name, arguments)
        else:
            delete_all(clients_of(arguments), arguments.name)
    except (DeployError, invoke.InvokeError, BotoCoreError, ClientError) as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
