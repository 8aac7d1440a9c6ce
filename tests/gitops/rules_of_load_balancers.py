"""Rules for the annotations that the AWS Load Balancer Controller and External DNS read from Ingresses and Services.

It ignores a name that it does not know. If it cannot read a value, it says so in an event of the cluster, and no longer
changes the load balancer, which all services share. `load_balancer_annotations.yaml` has names, types and structures.
Limits and names of attributes are those that AWS publishes for Elastic Load Balancing, in botocore.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import botocore.session

from tests.gitops.pods import matches, pods
from tests.gitops.rules import name_of, of_kind, within
from tests.gitops.tree import Json, read

T = TypeVar("T")

KNOWN = read(Path(__file__).with_name("load_balancer_annotations.yaml"))
_INGRESS = "alb.ingress.kubernetes.io"
ATTRIBUTE_VALUES = {
    name: values.split() for values, names in KNOWN["attribute_values"].items() for name in names.split()
}
_TYPES = {"text": str, "number": int, "boolean": bool}
_WRITTEN = {"text": "a text in quotes", "number": "a number", "boolean": "true or false"}


def _types(prefix: str) -> dict[str, str]:
    """The type of each name with the prefix."""
    return {name: kind for kind, names in KNOWN["names"].get(prefix, {}).items() for name in names.split()}


def _matching(patterns: Mapping[str, T], name: str) -> T | None:
    return next((found for pattern, found in patterns.items() if re.fullmatch(pattern, name)), None)


def _annotated(manifests: Sequence[Json]) -> Iterator[tuple[Json, str, str, str]]:
    """Each annotation for the controller: the manifest, the prefix, the name and the value."""
    for manifest in of_kind(manifests, "Ingress", "Service"):
        for key, value in (manifest["metadata"].get("annotations") or {}).items():
            prefix, _, name = key.partition("/")
            if prefix.startswith("alb.") or (prefix in KNOWN["names"] and name.startswith("aws-load-balancer-")):
                yield manifest, prefix, name, str(value)


def load_balancer_annotations_exist(manifests: Sequence[Json]) -> Iterator[str]:
    """The controller ignores others, and on a Service those of an Ingress."""
    for manifest, prefix, name, _ in _annotated(manifests):
        key, types = f"{name_of(manifest)}: {prefix}/{name}", _types(prefix)
        if not types:
            yield f"{key}: unknown prefix; write {_INGRESS}"
        elif name not in types and not _matching(KNOWN["patterns"], name):
            close = get_close_matches(name, types, n=1)
            remedy = f"write {close[0]}" if close else "remove it"
            yield f"{key} is no annotation of the AWS Load Balancer Controller {KNOWN['version']}; {remedy}"
        elif manifest["kind"] == "Ingress" and prefix != _INGRESS:
            yield f"{key} is read only from a Service; remove it"
        elif (
            manifest["kind"] == "Service"
            and prefix == _INGRESS
            and not any(re.fullmatch(pattern, name) for pattern in KNOWN["of_services"])
        ):
            yield f"{key} is read only from an Ingress; move it"


def load_balancer_annotations_have_valid_values(manifests: Sequence[Json]) -> Iterator[str]:
    checks = {"boolean": _boolean, "json": _json, "map": _map, "number": _number, "text": _text}
    for manifest, prefix, name, value in _annotated(manifests):
        kind = _types(prefix).get(name) or _matching(KNOWN["patterns"], name)
        if kind:
            key = f"{name_of(manifest)}: {prefix}/{name}: {value}"
            yield from (f"{key}: {problem}" for problem in checks[kind](name, value))
    for manifest in of_kind(manifests, "Ingress", "Service"):
        yield from _intervals(manifest)
        yield from _redirect(manifest)


def _boolean(_: str, value: str) -> Iterator[str]:
    if value.lower() not in {"1", "t", "true", "0", "f", "false"}:
        yield 'write "true" or "false"'


def _number(name: str, value: str) -> Iterator[str]:
    member = _matching(KNOWN["limits"], name)
    low, high = _limits(member) if member else (-(2**31), 2**31 - 1)
    if not re.fullmatch(r"[+-]?\d+", value) or not low <= int(value) <= high:
        yield f"write a number from {low} to {high}" if member else "write a number"


def _map(name: str, value: str) -> Iterator[str]:
    pairs = [pair.strip() for pair in re.split(r"(?<!\\),(?=[^,]*=)", value) if pair.strip()]
    if not all(re.fullmatch(r"[^=\s][^=]*=.*", pair) for pair in pairs):
        yield "write name=value, separated by commas"
    elif shape := _matching(KNOWN["attributes"], name):
        for attribute, _, given in (pair.partition("=") for pair in pairs):
            yield from _attribute(attribute.strip(), given.strip(), attributes(shape))


def _attribute(name: str, value: str, known: Sequence[str]) -> Iterator[str]:
    if name not in known:
        close = get_close_matches(name, known, n=1)
        yield f"no attribute {name}; " + (f"write {close[0]}" if close else "remove it")
    permitted = ATTRIBUTE_VALUES.get(name, ())
    if permitted and not any(_is_one_of(value, one) for one in permitted):
        written = [re.sub(r"(\d+)-(\d*)", _range, one) for one in permitted]
        yield f"{name}: write {' or '.join(written)}"


def _is_one_of(value: str, permitted: str) -> bool:
    """Whether a value is the word, or within the range, such as 0-3600, or 1- without an end."""
    low, dash, high = permitted.partition("-")
    if not dash:
        return value == permitted
    return bool(re.fullmatch(r"\d+", value)) and int(low) <= int(value) <= int(high or value)


def _range(found: re.Match[str]) -> str:
    return f"a number from {found[1]}" + (f" to {found[2]}" if found[2] else "")


def _text(name: str, value: str) -> Iterator[str]:
    values = _matching(KNOWN["values"], name)
    if values and value not in values:
        yield f"write one of {', '.join(values)}"
    form = _matching(KNOWN["forms"], name)
    if form and not re.fullmatch(form[0], value):
        yield f"write {form[1]}"


def _json(name: str, value: str) -> Iterator[str]:
    structure = name.partition(".")[0]
    try:
        given = _folded(json.loads(value))
    except json.JSONDecodeError as error:
        yield f"no JSON: {error}"
        return
    misfits = list(_misfits(given, KNOWN["structures"][structure], ""))
    yield from misfits
    if not misfits:
        yield from _listen_ports(given) if structure == "listen-ports" else _incomplete(structure, given)


def _folded(value: Any) -> Any:
    """The value without what the controller does not read: the case of names, and null."""
    if isinstance(value, dict):
        return {key.casefold(): _folded(one) for key, one in value.items() if one is not None}
    return [_folded(one) for one in value] if isinstance(value, list) else value


def _misfits(given: Any, structure: Any, path: str) -> Iterator[str]:
    """What has another type or name."""
    where = f"{path.lstrip('.')}: " if path else ""
    if isinstance(structure, dict) and isinstance(given, dict):
        names = {name.casefold(): name for name in structure}
        for key, value in given.items():
            name = names.get(key, "*")
            if name in structure:
                yield from _misfits(value, structure[name], f"{path}.{name}")
            else:
                yield f"{where}no key {key}; write one of {', '.join(structure)}"
    elif isinstance(structure, list) and isinstance(given, list):
        for index, value in enumerate(given):
            yield from _misfits(value, structure[0], f"{path}[{index}]")
    elif not isinstance(structure, str):
        yield f"{where}write {'an object: {…}' if isinstance(structure, dict) else 'a list: […]'}"
    elif type(given) not in {_TYPES[kind] for kind in structure.split(" or ")}:
        written = " or ".join(_WRITTEN[kind] for kind in structure.split(" or "))
        yield f"{where}{json.dumps(given)}: write {written}"


def _listen_ports(given: Sequence[Json]) -> Iterator[str]:
    """Source: `computeIngressListenPorts` in `pkg/ingress/model_build_listener.go`."""
    low, high = _limits("Port")
    if not given:
        yield 'write such as [{"HTTPS":443}]'
    for port in (port for entry in given for port in entry.values()):
        if not low <= port <= high:
            yield f"{port}: write a number from {low} to {high}"


def _incomplete(structure: str, given: Any) -> Iterator[str]:
    """Source: the methods `validate` in `pkg/ingress/config_types.go`."""
    choice = KNOWN["choices"].get(structure)
    for one in (given if isinstance(given, list) else [given]) if choice else ():
        chosen = one.get(choice["key"])
        if chosen not in choice["needs"]:
            yield f"{choice['key']} {chosen}: write one of {', '.join(choice['needs'])}"
        elif chosen != "forward" or not {"targetgrouparn", "targetgroupname"} & one.keys():
            ((name, keys),) = choice["needs"][chosen].items()
            configuration = one.get(name.casefold()) or {}
            if sum(bool(configuration.get(key.casefold())) for key in keys) != 1:
                yield f"{chosen} needs {name} with {' or '.join(keys)}"
            yield from _incomplete_groups(configuration.get("targetgroups") or [])


def _incomplete_groups(groups: Sequence[Json]) -> Iterator[str]:
    for group in groups:
        if ("servicename" in group) == bool({"targetgrouparn", "targetgroupname"} & group.keys()):
            yield "a target group needs serviceName, or targetGroupARN or targetGroupName"
        elif "servicename" in group and "serviceport" not in group:
            yield f"the target group of {group['servicename']} needs servicePort"
        if len(groups) > 1 and "weight" not in group:
            yield "each of several target groups needs weight"


def _intervals(manifest: Json) -> Iterator[str]:
    """AWS refuses a health check whose timeout is not below the interval. The controller's defaults are 5 and 15."""
    annotations = manifest["metadata"].get("annotations") or {}
    interval, timeout = (
        str(annotations.get(f"{_INGRESS}/healthcheck-{name}-seconds", default))
        for name, default in (("interval", 15), ("timeout", 5))
    )
    if interval.isdigit() and timeout.isdigit() and int(interval) <= int(timeout):
        key = f"{name_of(manifest)}: {_INGRESS}/healthcheck-timeout-seconds: {timeout}"
        yield f"{key}: write a number below the interval, {interval}"


def _redirect(manifest: Json) -> Iterator[str]:
    """Source: `buildSSLRedirectConfig` in `pkg/ingress/model_builder.go`."""
    annotations = manifest["metadata"].get("annotations") or {}
    port, ports = annotations.get(f"{_INGRESS}/ssl-redirect"), annotations.get(f"{_INGRESS}/listen-ports")
    try:
        listening = [int(one["HTTPS"]) for one in json.loads(ports) if "HTTPS" in one] if port and ports else []
    except (TypeError, ValueError):
        return  # told by the rule for its value
    if listening and str(port) not in map(str, listening):
        key = f"{name_of(manifest)}: {_INGRESS}/ssl-redirect: {port}"
        yield f"{key}: no HTTPS port of listen-ports; write {' or '.join(map(str, listening))}"


@cache
def _limits(member: str) -> tuple[int, int]:
    metadata = _elastic_load_balancing().shape_for("CreateTargetGroupInput").members[member].metadata
    return metadata["min"], metadata["max"]


@cache
def attributes(shape: str) -> list[str]:
    """The names in the description of the member: those with a dot."""
    text = _elastic_load_balancing().shape_for(shape).members["Key"].documentation
    return re.findall(r"<code>([a-z0-9_]+(?:\.[a-z0-9_]+)+)</code>", text)


@cache
def _elastic_load_balancing() -> Any:
    return botocore.session.get_session().get_service_model("elbv2")


def load_balancer_actions_match_backends(manifests: Sequence[Json]) -> Iterator[str]:
    """A backend `use-annotation` needs its action: the annotation, or a Rollout that writes it.

    Without it, the controller stops; an annotation without its backend is never read. Source:
    `pkg/ingress/enhanced_backend_builder.go` of the AWS Load Balancer Controller 3.5.0.
    """
    services = {service["metadata"]["name"] for service in of_kind(manifests, "Service")}
    routed = set(_routed_by_rollouts(manifests))
    for ingress in of_kind(manifests, "Ingress"):
        ports = {
            holder["service"]["name"]: (holder["service"].get("port") or {}).get("name")
            for holder in within(ingress["spec"])
            if isinstance(holder.get("service"), dict)
        }
        values = {name: value for _, _, name, value in _annotated([ingress])}
        for backend in (backend for backend, port in ports.items() if port == "use-annotation"):
            if f"actions.{backend}" not in values and (ingress["metadata"]["name"], backend) not in routed:
                yield (
                    f"{name_of(ingress)}: backend {backend}: use-annotation, but there is no annotation"
                    f" {_INGRESS}/actions.{backend}, and no Rollout with this Ingress has this rootService; add one of"
                    " them, or write port.name: http"
                )
        for name, value in values.items():
            kind, _, backend = name.partition(".")
            if kind in {"actions", "conditions", "transforms"}:
                key = f"{name_of(ingress)}: {_INGRESS}/{name}"
                if backend not in ports:
                    yield f"{key}: no backend {backend}; name one that exists, or remove it"
                elif kind == "actions" and ports[backend] != "use-annotation":
                    yield f"{key}: not read; write port.name: use-annotation for the backend {backend}"
                for service in re.findall(r'(?i)"serviceName"\s*:\s*"([^"]*)"', value):
                    if service not in services:
                        yield f"{key}: no Service {service}; add it, or name one that exists"


def paths_have_no_wildcards(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise the controller stops, and no request reaches the service.

    Source: buildPathPatternsForPrefixPathType, `pkg/ingress/model_build_listener_rules.go`.
    """
    for ingress in of_kind(manifests, "Ingress"):
        for number, rule in enumerate(ingress["spec"].get("rules") or []):
            for index, one in enumerate((rule.get("http") or {}).get("paths") or []):
                path, kind = str(one.get("path", "/")), one.get("pathType")
                if kind in {"Exact", "Prefix"} and {"*", "?"} & set(path):
                    field = f"spec.rules[{number}].http.paths[{index}].path"
                    yield (
                        f"{name_of(ingress)}: {field}: {path}: no * or ? in a path of type {kind}; remove it, or write"
                        " pathType: ImplementationSpecific"
                    )


def targets_are_reachable(manifests: Sequence[Json]) -> Iterator[str]:
    """An instance is reached at a node port, which only Services of other types have.

    Source: ResolveNodePortEndpoints, `pkg/backend/endpoint_resolver.go`.
    """
    types = {one["metadata"]["name"]: one["spec"].get("type", "ClusterIP") for one in of_kind(manifests, "Service")}
    for ingress, _, name, value in _annotated(of_kind(manifests, "Ingress")):
        backends = [one["service"]["name"] for one in within(ingress["spec"]) if isinstance(one.get("service"), dict)]
        if (name, value) == ("target-type", "instance") and "ClusterIP" in {types.get(one) for one in backends}:
            yield f"{name_of(ingress)}: {_INGRESS}/target-type: instance: its Service is of type ClusterIP; write ip"


def health_checks_reach_a_port(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise no target is healthy, or the controller stops: a name needs a number as the targetPort of the Service.

    Only for targets of the type ip: the port of an instance is another one. Source: buildTargetGroupHealthCheckPort,
    `pkg/ingress/model_build_target_group.go`.
    """
    services = {one["metadata"]["name"]: one for one in of_kind(manifests, "Service")}
    key = f"{_INGRESS}/healthcheck-port"
    for ingress in of_kind(manifests, "Ingress"):
        annotations = ingress["metadata"].get("annotations") or {}
        port = str(annotations.get(key, "traffic-port"))
        if port != "traffic-port" and annotations.get(f"{_INGRESS}/target-type") == "ip":
            backends = [one["service"] for one in within(ingress["spec"]) if isinstance(one.get("service"), dict)]
            for name in sorted({one["name"] for one in backends} & services.keys()):
                if key not in (services[name]["metadata"].get("annotations") or {}) and (
                    problem := _unreachable(port, services[name], manifests)
                ):
                    yield f"{name_of(ingress)}: {key}: {port}: {problem}"


def _unreachable(port: str, service: Json, manifests: Sequence[Json]) -> str | None:
    """Why the load balancer cannot check the Pods of a Service at a port; None also if they declare no ports."""
    name, spec = name_of(service), service["spec"]
    if not port.isdecimal():
        named = [one for one in spec.get("ports") or [] if one.get("name") == port]
        if not named:
            return f"no port of {name}; write traffic-port, or a number"
        target = named[0].get("targetPort")
        return f"targetPort {target} of {name} is a name; write its number" if isinstance(target, str) else None
    selector = {"matchLabels": spec.get("selector") or {}}
    chosen = [one for one in pods(manifests) if any(matches(selector, labels) for labels in one.labels)]
    known = sorted({declared["containerPort"] for one in chosen for declared in one.ports})
    if not spec.get("selector") or not all(one.ports for one in chosen) or not known or int(port) in known:
        return None
    return f"no container behind {name} has it; write traffic-port, or one of {', '.join(map(str, known))}"


_OF_EXTERNAL_DNS = "external-dns.alpha.kubernetes.io"
_NAMES_OF_EXTERNAL_DNS = (
    "access", "alias", "aws-evaluate-target-health", "aws-failover", "aws-geolocation-continent-code",
    "aws-geolocation-country-code", "aws-geolocation-subdivision-code", "aws-geoproximity-bias",
    "aws-geoproximity-coordinates", "aws-geoproximity-local-zone-group", "aws-geoproximity-region",
    "aws-health-check-id", "aws-multi-value-answer", "aws-region", "aws-target-hosted-zone", "aws-weight", "controller",
    "endpoints-type", "gateway-hostname-source", "hostname", "ingress", "ingress-hostname-source", "internal-hostname",
    "set-identifier", "target", "ttl",
)  # fmt: skip
_GREATEST_TTL = 2**31 - 1
_LIKE_A_NAME = 0.8  # a name that is less similar may be one of another provider


def external_dns_annotations_are_known(manifests: Sequence[Json]) -> Iterator[str]:
    """External DNS ignores a misspelt name, and a time to live that it cannot read.

    Sources: the page "Annotations" in the documentation of External DNS 0.21, its `source/annotations/processors.go`,
    and its `provider/aws/aws.go`.
    """
    for manifest in manifests:
        for key, value in (manifest["metadata"].get("annotations") or {}).items():
            prefix, _, name = key.partition("/")
            close = get_close_matches(name, _NAMES_OF_EXTERNAL_DNS, n=1, cutoff=_LIKE_A_NAME)
            where = f"{name_of(manifest)}: {key}"
            if prefix == _OF_EXTERNAL_DNS and name not in _NAMES_OF_EXTERNAL_DNS and close:
                yield f"{where}: no annotation of External DNS; write {close[0]}"
            elif (prefix, name) == (_OF_EXTERNAL_DNS, "ttl") and not _is_time_to_live(str(value)):
                yield f"{where}: {value}: write a number of seconds, such as 300, or such as 5m"


def _is_time_to_live(text: str) -> bool:
    """Whether it is a number of seconds, or a duration of Go."""
    if text.isdecimal():
        return int(text) <= _GREATEST_TTL
    return bool(re.fullmatch(r"((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+", text, re.ASCII))


def _routed_by_rollouts(manifests: Sequence[Json]) -> Iterator[tuple[str, str]]:
    """The Ingresses that Rollouts change, with the names of the actions that they write."""
    for rollout in of_kind(manifests, "Rollout"):
        canary = rollout["spec"].get("strategy", {}).get("canary") or {}
        routing = canary.get("trafficRouting") or {}
        alb = routing.get("alb") or {}
        names = [route["name"] for route in routing.get("managedRoutes") or []]
        names.append(alb.get("rootService") or canary.get("stableService"))
        for ingress in [*(alb.get("ingresses") or []), alb.get("ingress")]:
            yield from ((ingress, name) for name in names)


ALL = (
    load_balancer_annotations_exist,
    load_balancer_annotations_have_valid_values,
    load_balancer_actions_match_backends,
    external_dns_annotations_are_known,
    health_checks_reach_a_port,
    paths_have_no_wildcards,
    targets_are_reachable,
)
