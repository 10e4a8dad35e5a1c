"""The example for Kubernetes, as far as it can be judged where there is none."""

import re
from typing import Any

from ruamel.yaml import YAML

from stages.commands.project import ROOT


def containers(group: dict[str, Any]) -> list[dict[str, Any]]:
    spec = group["template"]["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    found: list[dict[str, Any]] = spec["containers"]
    return found


def test_workers_of_the_example_for_kubernetes_ask_for_a_gpu_and_the_head_does_not():
    page = (ROOT / "docs" / "scale.md").read_text()
    (text,) = re.findall(r"```yaml\n(apiVersion: ray\.io/v1.*?)```", page, re.DOTALL)
    cluster = YAML(typ="safe", pure=True).load(text)["spec"]["rayClusterSpec"]
    assert f"ray=={cluster['rayVersion']}\n" in (ROOT / "constraints.txt").read_text()
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}  # texts, of which Ray makes its options
    (workers,) = cluster["workerGroupSpecs"]
    for group, gpus in ((cluster["headGroupSpec"], 0), (workers, 1)):
        for container in containers(group):
            limits = container["resources"]["limits"]
            assert limits.get("nvidia.com/gpu", 0) == gpus
            assert container["resources"]["requests"] == limits  # Kubernetes gives a GPU only where they are equal
