"""Rules for Karpenter's NodePools and EC2NodeClasses, and for the labels of the nodes that it starts.

A rule takes the rendered manifests of one entry of the tree, and yields one line for each violation.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache

import yaml

from eks_gitops import aws_data
from tests.gitops.rules import name_of, of_kind
from tests.gitops.schedules import is_schedule
from tests.gitops.tree import Json, places_of_nodes


def schedules_of_budgets_are_valid(manifests: Sequence[Json]) -> Iterator[str]:
    """The CRD compares only the number of fields. With a wrong schedule Karpenter disrupts no node."""
    for pool in of_kind(manifests, "NodePool"):
        for index, budget in enumerate((pool["spec"].get("disruption") or {}).get("budgets") or []):
            schedule = str(budget.get("schedule", "@daily"))
            if not is_schedule(schedule):
                field = f"spec.disruption.budgets[{index}].schedule"
                yield f"{name_of(pool)}: {field}: {schedule}: no schedule; write such as 0 9 * * mon-fri or @daily"


_ARCHITECTURES = {"arm64": "arm64", "x86_64": "amd64"}
_ALL_THAT_ARE_LISTED = 12  # more values are no help


@cache
def instance_types() -> list[dict[str, str]]:
    """The labels of the nodes of each instance type.

    Source: computeRequirements of Karpenter's AWS provider 1.15.2, pkg/providers/instancetype/types.go, and
    AWSToKubeArchitectures in its pkg/apis/v1/labels.go.
    """
    found = []
    for name, (architecture, vcpus, *_) in aws_data.content()["instance_types"].items():
        family, _, size = name.partition(".")
        labels = {"instance-cpu": str(vcpus), "instance-family": family, "instance-size": size}
        if parts := re.match(r"([a-z]+)(?:-\d+tb)?(\d+).*\.", name):
            labels |= {"instance-category": parts[1], "instance-generation": parts[2]}
        found.append(
            {
                "kubernetes.io/arch": _ARCHITECTURES[architecture],
                "node.kubernetes.io/instance-type": name,
                **{f"karpenter.k8s.aws/{key}": value for key, value in labels.items()},
            }
        )
    return found


@cache
def _values_of_nodes() -> dict[str, set[str]]:
    """The values of labels that every node has. Sources: as of the instance types, and getOS in the same file."""
    found = {
        **places_of_nodes(),
        "karpenter.sh/capacity-type": {"on-demand", "reserved", "spot"},
        "kubernetes.io/os": {"linux", "windows"},
    }
    for labels in instance_types():
        for key, value in labels.items():
            found.setdefault(key, set()).add(value)
    return found


def unknown_value_of_nodes(key: str, value: str) -> str | None:
    """What to write if no node can have this value of a label; None if one can, or the label is not known."""
    known = _values_of_nodes().get(key)
    if known is None or value in known:
        return None
    close = sorted(known) if len(known) <= _ALL_THAT_ARE_LISTED else get_close_matches(value, sorted(known))
    return f"write one of {', '.join(close)}" if close else "correct it"


# The labels of nodes in domains of which no other label exists. Sources: WellKnownLabels of Karpenter's AWS provider
# 1.15.2, pkg/apis/v1/labels.go, and of Karpenter itself; https://kubernetes.io/docs/reference/labels-annotations-taints/;
# the Karpenter documentation gives nodes of its controller `karpenter.sh/controller`.
_LABELS: Mapping[str, str] = {
    "beta.kubernetes.io": "arch instance-type os",
    "failure-domain.beta.kubernetes.io": "region zone",
    "karpenter.k8s.aws": """capacity-reservation-id capacity-reservation-interruptible capacity-reservation-type
        ec2nodeclass instance-accelerator-count instance-accelerator-manufacturer instance-accelerator-name
        instance-capability-flex instance-category instance-cpu instance-cpu-manufacturer
        instance-cpu-sustained-clock-speed-mhz instance-ebs-bandwidth instance-encryption-in-transit-supported
        instance-family instance-generation instance-gpu-count instance-gpu-manufacturer instance-gpu-memory
        instance-gpu-name instance-hypervisor instance-local-nvme instance-memory instance-network-bandwidth
        instance-size instance-tenancy placement-group-id placement-group-partition""",
    "karpenter.sh": "capacity-type controller do-not-sync-taints initialized nodepool registered",
    "kubernetes.io": "arch hostname os",
    "topology.kubernetes.io": "region zone",
}
# In these domains there may be others, so that only what is much like one of them is a mistake.
_LABELS_AMONG_OTHERS = {
    "eks.amazonaws.com": "capacityType compute-type nodegroup",
    "node.kubernetes.io": "instance-type windows-build",
    "topology.k8s.aws": "zone-id",
}
_MUCH_ALIKE = 0.85


def unknown_label_of_nodes(key: str) -> str | None:
    """What to write if no node has this label of Kubernetes, EKS or Karpenter; None if one may have it."""
    domain, _, name = key.partition("/")
    if names := _LABELS.get(domain, "").split():
        close = get_close_matches(name, names, n=1)
        remedy = f"write {domain}/{close[0]}" if close else "remove it, or use a label of your own"
        return None if name in names else remedy
    names = _LABELS_AMONG_OTHERS.get(domain, "").split()
    close = get_close_matches(name, names, n=1, cutoff=_MUCH_ALIKE)
    return f"write {domain}/{close[0]}" if close and name not in names else None


def node_pools_match_instance_types(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise no instance type is left, so that Pods wait for a node forever."""
    for pool in of_kind(manifests, "NodePool"):
        requirements = pool["spec"]["template"]["spec"].get("requirements") or []
        unknown = [
            f"{name_of(pool)}: spec.template.spec.requirements[{index}].values: {value}: no {one['key']}; {remedy}"
            for index, one in enumerate(requirements)
            for value in (one.get("values") or [] if one.get("operator") in {"In", "NotIn"} else [])
            if (remedy := unknown_value_of_nodes(one["key"], value))
        ]
        yield from unknown
        of_types = [one for one in requirements if one["key"] in instance_types()[0]]
        if not unknown and not any(satisfies(labels, of_types) for labels in instance_types()):
            keys = ", ".join(dict.fromkeys(one["key"] for one in of_types))
            where = f"{name_of(pool)}: spec.template.spec.requirements"
            yield f"{where}: no instance type satisfies all of {keys}; correct one"


def satisfies(labels: dict[str, str], requirements: Sequence[Json]) -> bool:
    """Whether an instance type satisfies requirements: their operators are those of the CRD of Karpenter 1.15."""
    for one in requirements:
        value, values, operator = labels.get(one["key"]), one.get("values") or [], one.get("operator", "In")
        if operator in {"Gt", "Gte", "Lt", "Lte"}:
            if not (values and str(values[0]).isdecimal() and str(value or 0).isdecimal()):
                continue  # the CRD refuses it
            number, bound = int(value or 0), int(values[0])
            holds = {"Gt": number > bound, "Gte": number >= bound, "Lt": number < bound, "Lte": number <= bound}
            fits = value is not None and holds[operator]
        else:
            has = value is not None if operator in {"DoesNotExist", "Exists"} else value in values
            fits = has == (operator in {"Exists", "In"})
        if not fits:
            return False
    return True


# EbsBlockDevice in the API of EC2 (botocore, 2016-11-15): the least and the greatest number for each type of volume.
_OF_VOLUMES = {
    "iops": {"gp3": (3000, 80000), "io1": (100, 64000), "io2": (100, 256000)},
    "throughput": {"gp3": (125, 2000)},
}


def volumes_of_nodes_are_possible(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise EC2 refuses every instance of the class: Pods wait for a node forever."""
    for node_class in of_kind(manifests, "EC2NodeClass"):
        for index, mapping in enumerate(node_class["spec"].get("blockDeviceMappings") or []):
            ebs = mapping.get("ebs") or {}
            for field, bounds in _OF_VOLUMES.items():
                kind, given = ebs.get("volumeType"), ebs.get(field)
                if given is None or kind is None:
                    continue
                where = f"{name_of(node_class)}: spec.blockDeviceMappings[{index}].ebs.{field}: {given}"
                if kind not in bounds:
                    yield f"{where}: not for {kind}; remove it, or write volumeType: {', '.join(bounds)}"
                elif not bounds[kind][0] <= given <= bounds[kind][1]:
                    yield f"{where}: not for {kind}; write a number from {bounds[kind][0]} to {bounds[kind][1]}"


_SIGNALS = (
    "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
    "pid.available",
)  # fmt: skip
_RESERVED = ("cpu", "memory", "ephemeral-storage", "pid")
_KEYS_OF_KUBELETS = {
    "evictionHard": _SIGNALS,
    "evictionMinimumReclaim": _SIGNALS,
    "evictionSoft": _SIGNALS,
    "evictionSoftGracePeriod": _SIGNALS,
    "kubeReserved": _RESERVED,
    "systemReserved": _RESERVED,
}


_WITH_THRESHOLDS = ("evictionHard", "evictionMinimumReclaim", "evictionSoft")
_PERCENT = 100
_NUMBERS_OF_KUBELETS = {
    "evictionMaxPodGracePeriod": float("inf"),
    "imageGCHighThresholdPercent": _PERCENT,
    "imageGCLowThresholdPercent": _PERCENT,
    "maxPods": float("inf"),
    "podsPerCore": float("inf"),
}
# A percentage, or a quantity that is not negative.
_THRESHOLD = r"(\d{1,2}(\.\d*)?|100)%|\+?\d+(\.\d*)?([EPTGMk]|[EPTGMK]i|m|[eE][+-]?\d+)?"


def kubelets_have_a_valid_configuration(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the class is not ready, and Karpenter starts no node. `check-karpenter` checks names and types.

    Source: validateKubeletSemantics of Karpenter's AWS provider 1.15.2, pkg/apis/v1/kubeletconfiguration_validation.go.
    """
    for node_class in of_kind(manifests, "EC2NodeClass"):
        kubelet = node_class["spec"].get("kubelet") or {}
        for problem in (*_maps_of_kubelet(kubelet), *_numbers_of_kubelet(kubelet)):
            yield f"{name_of(node_class)}: spec.kubelet.{problem}"
        if "registerWithTaints" in kubelet:
            where = f"{name_of(node_class)}: spec.kubelet.registerWithTaints"
            yield f"{where}: Karpenter sets it; write taints of the NodePool instead"


def _maps_of_kubelet(kubelet: Json) -> Iterator[str]:
    for field, known in _KEYS_OF_KUBELETS.items():
        for key, value in (kubelet.get(field) or {}).items():
            if key not in known:
                yield f"{field}: {key}: no such key; write one of {', '.join(known)}"
            elif field == "evictionSoftGracePeriod" and not re.fullmatch(r"(\d+(\.\d+)?(ms|s|m|h))+|0", str(value)):
                yield f"{field}.{key}: {value}: no duration; write such as 2m"
            elif field in _WITH_THRESHOLDS and not re.fullmatch(_THRESHOLD, str(value)):
                yield f"{field}.{key}: {value}; write such as 500Mi, or a percentage from 0% to 100%"
    soft, grace = (kubelet.get(field) or {} for field in ("evictionSoft", "evictionSoftGracePeriod"))
    for key in sorted(soft.keys() - grace.keys()):
        yield f"evictionSoftGracePeriod: no {key}, which evictionSoft has; add such as 2m"
    for key in sorted(grace.keys() - soft.keys()):
        yield f"evictionSoft: no {key}, which evictionSoftGracePeriod has; add it"


def _numbers_of_kubelet(kubelet: Json) -> Iterator[str]:
    for field, most in _NUMBERS_OF_KUBELETS.items():
        number = kubelet.get(field)
        if isinstance(number, int) and not 0 <= number <= most:
            remedy = "write a number from 0 to 100" if most == _PERCENT else "write 0 or more"
            yield f"{field}: {number}; {remedy}"
    high, low = (kubelet.get(f"imageGC{one}ThresholdPercent") for one in ("High", "Low"))
    if isinstance(high, int) and isinstance(low, int) and high <= low:
        yield f"imageGCHighThresholdPercent: {high}; write more than imageGCLowThresholdPercent, {low}"


_LIMITED = ("cpu", "memory", "ephemeral-storage", "nodes", "pods")


def limits_of_node_pools_are_of_resources(manifests: Sequence[Json]) -> Iterator[str]:
    """Karpenter compares each limit with the resource of the same name: with another name, it limits nothing.

    Source: Limits.ExceededBy of Karpenter 1.15, pkg/apis/v1/nodepool.go; names with a domain are extended resources.
    """
    for pool in of_kind(manifests, "NodePool"):
        for name in pool["spec"].get("limits") or {}:
            if name not in _LIMITED and "/" not in name and not name.startswith("hugepages-"):
                close = get_close_matches(name, _LIMITED, n=1, cutoff=0.4)
                remedy = close[0] if close else f"one of {', '.join(_LIMITED)}"
                yield f"{name_of(pool)}: spec.limits: {name}: no resource, so it limits nothing; write {remedy}"


_DEVICES_OF_ROOT = ("/dev/sda1", "/dev/xvda")
# The device of the operating system, and the one with the kubelet's files. Source: EphemeralBlockDevice of Karpenter's
# AWS provider 1.15.2, pkg/providers/amifamily/{al2023,bottlerocket,windows}.go.
_DEVICES_OF_FAMILIES = {
    "al2": ("/dev/xvda", "/dev/xvda"),
    "al2023": ("/dev/xvda", "/dev/xvda"),
    "bottlerocket": ("/dev/xvda", "/dev/xvdb"),
    "windows2019": ("/dev/sda1", "/dev/sda1"),
    "windows2022": ("/dev/sda1", "/dev/sda1"),
    "windows2025": ("/dev/sda1", "/dev/sda1"),
}


def _family(node_class: Json) -> str:
    """The AMI family in lower case; empty if it is not told."""
    terms = node_class["spec"].get("amiSelectorTerms") or []
    aliases = [str(term["alias"]).partition("@")[0] for term in terms if "alias" in term]
    return str(node_class["spec"].get("amiFamily") or next(iter(aliases), "")).lower()


def devices_of_nodes_are_those_of_the_family(manifests: Sequence[Json]) -> Iterator[str]:
    """With another device, its size is one of a second volume, and the files of Pods are on a small one.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/device_naming.html, of the names for the root volume.
    """
    for node_class in of_kind(manifests, "EC2NodeClass"):
        system, files = _DEVICES_OF_FAMILIES.get(_family(node_class), ("", ""))
        for index, mapping in enumerate(node_class["spec"].get("blockDeviceMappings") or [] if system else []):
            device, has_files = mapping.get("deviceName", ""), mapping.get("rootVolume") is True
            where = f"{name_of(node_class)}: spec.blockDeviceMappings[{index}].deviceName: {device}"
            # User data may mount the kubelet's folder on any device.
            if device and has_files and device != files and not node_class["spec"].get("userData"):
                yield f"{where}: not the rootVolume of {_family(node_class)}; write {files}"
            elif device in _DEVICES_OF_ROOT and device != system:
                yield f"{where}: not the root device of {_family(node_class)}; write {files}"


def user_data_is_of_the_family(manifests: Sequence[Json]) -> Iterator[str]:
    """Karpenter adds its own part by the AMI family: of another form, nodes do not start, or do not join the cluster.

    Sources: NewBottlerocketConfig and Nodeadm.parseUserData of Karpenter's AWS provider 1.15.2,
    pkg/providers/amifamily/bootstrap; `subp` of cloud-init 25 for scripts without an interpreter.
    """
    for node_class in of_kind(manifests, "EC2NodeClass"):
        data = str(node_class["spec"].get("userData") or "")
        check = {"al2023": _wrong_data_of_al2023, "bottlerocket": _wrong_data_of_bottlerocket}.get(_family(node_class))
        if problem := check(data) if check and data.strip() else None:
            yield f"{name_of(node_class)}: spec.userData: {problem}"


def _wrong_data_of_bottlerocket(data: str) -> str | None:
    try:
        tomllib.loads(data)
    except tomllib.TOMLDecodeError:
        return "no TOML; Bottlerocket takes settings, such as [settings.kubernetes]"
    return None


def _wrong_data_of_al2023(data: str) -> str | None:
    remedy = "write a NodeConfig, a script with #!, or both as parts of a MIME document"
    if data.strip().startswith(("MIME-Version:", "Content-Type:")):
        return None
    try:
        found = next(yaml.safe_load_all(data), None)  # as Karpenter, which judges the first document
    except yaml.YAMLError:
        found = data
    if isinstance(found, dict) and found.get("kind") != "NodeConfig":
        return f"YAML, but kind {found.get('kind', 'missing')} and not NodeConfig of node.eks.aws; {remedy}"
    if isinstance(found, str | list) and not data.lstrip().startswith("#!"):
        return f"no interpreter in its first line; {remedy}"
    return None


_LONGEST_KEY, _LONGEST_VALUE = 128, 256


def tags_of_nodes_are_permitted(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise EC2 starts no instance. The CRD refuses the tags that Karpenter sets.

    Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html, restrictions.
    """
    for node_class in of_kind(manifests, "EC2NodeClass"):
        for key, value in (node_class["spec"].get("tags") or {}).items():
            where = f"{name_of(node_class)}: spec.tags: {key}"
            if key.lower().startswith("aws:"):
                yield f"{where}: only AWS sets tags that begin with aws:; write another key"
            if len(key) > _LONGEST_KEY:
                yield f"{where}: {len(key)} characters; write at most {_LONGEST_KEY}"
            if len(str(value)) > _LONGEST_VALUE:
                yield f"{where}: a value of {len(str(value))} characters; write at most {_LONGEST_VALUE}"


ALL = (
    devices_of_nodes_are_those_of_the_family,
    kubelets_have_a_valid_configuration,
    limits_of_node_pools_are_of_resources,
    node_pools_match_instance_types,
    schedules_of_budgets_are_valid,
    tags_of_nodes_are_permitted,
    user_data_is_of_the_family,
    volumes_of_nodes_are_possible,
)
