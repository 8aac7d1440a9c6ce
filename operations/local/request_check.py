"""Checks requests to the emulated AWS against the API models that AWS publishes with botocore.

MiniStack accepts almost any value. A request is refused here if it lacks a required member, or if a value has the
wrong type, is not one of the enumerated values, does not match the pattern, or is outside the limits of length or
number. Unknown members are refused in the JSON protocols and by EC2, which has an error for them
(https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html); other services ignore them.

Not checked, and left to MiniStack:

- services without a model, operations that are not in the model, and bodies that cannot be parsed;
- the `smithy-rpc-v2-cbor` protocol, and the contents of binary and streamed members;
- patterns that Python cannot compile (`compiled` returns None), because they are written for Java;
- enumerations and patterns of empty values in the query protocols, where an empty value often means none;
- S3: unknown XML elements, headers and query parameters, and requests whose bucket is in the host name.
"""

import functools
import json
import re
import sys
import unicodedata
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import groupby
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import ResponseParserError, create_parser
from botocore.validate import ParamValidator

from operations.local.documented_rules import Violation, violations

_MODELS = {
    "airflow": ("mwaa",),
    "apigateway": ("apigateway", "apigatewayv2"),
    "documentdb": ("docdb",),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elb", "elbv2"),
    "elasticmapreduce": ("emr",),
    "monitoring": ("cloudwatch",),
    "s3": ("s3", "s3control"),
    "ses": ("ses", "sesv2"),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
}
"""The models of a service of MiniStack, if botocore has another name or several."""

_NOT_IN_THE_MODEL = re.compile(r"Action|Version|X-Amz-.*|AWSAccessKeyId|Signature.*|Timestamp|Expires")
"""Parameters of every request in a query protocol."""

_CODES = {
    "ec2": "InvalidParameterValue",
    "json": "ValidationException",
    "query": "ValidationError",
    "rest-json": "ValidationException",
    "rest-xml": "InvalidInput",
    "s3": "InvalidArgument",
}
"""The error code for a violation, by service or protocol."""

_CHARACTERS = 0x40000
"""The planes of Unicode above have no letters, numbers or symbols."""

_VALIDATOR = ParamValidator()

_CATEGORY = re.compile(r"\\p\{([LMNPSZ])\}")


@dataclass(frozen=True)
class Request:
    """An HTTP request; `service` is its name in MiniStack, and `path` is decoded."""

    service: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    query: dict[str, list[str]] = field(default_factory=dict)

    @functools.cached_property
    def parameters(self) -> dict[str, str]:
        """The parameters of the query protocols, which are in the body or the URL."""
        is_form = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        form = parse_qs(self.body.decode(errors="replace"), keep_blank_values=True) if is_form else {}
        return {name: values[0] for name, values in (form | self.query).items()}

    @property
    def target(self) -> tuple[str, str]:
        """The target prefix and the operation of the JSON protocol."""
        prefix, _, operation = self.headers.get("x-amz-target", "").rpartition(".")
        return prefix, operation


@dataclass(frozen=True)
class _Route:
    """The HTTP request of an operation in a REST protocol."""

    operation: OperationModel
    path: re.Pattern[str]
    labels: list[str]
    query: dict[str, str]
    size: tuple[int, int]

    def matches(self, request: Request) -> "re.Match[str] | None":
        found = self.path.fullmatch(request.path)
        given = request.query
        return (
            found if all(name in given and value in ("", *given[name]) for name, value in self.query.items()) else None
        )

    def rank(self, request: Request) -> tuple[tuple[int, int], int, int]:
        """Higher for the better of two operations that match; some differ only in required headers or parameters."""
        shape = self.operation.input_shape
        required = [shape.members[name].serialization for name in shape.required_members] if shape else []
        names = [(member["location"], member["name"].lower()) for member in required if "location" in member]
        given = {("header", name) for name in request.headers} | {
            ("querystring", name.lower()) for name in request.query
        }
        present = [name in given for name in names if name[0] != "uri"]
        return self.size, -present.count(False), present.count(True)


# --- the models -------------------------------------------------------------------------------------------------------


@functools.cache
def models(service: str) -> list[ServiceModel]:
    """The models of a service of MiniStack; empty if botocore has none."""
    loader = Loader()
    known = set(loader.list_available_services("service-2"))
    names = [name for name in _MODELS.get(service, (service,)) if name in known]
    return [ServiceModel(loader.load_service_model(name, "service-2"), name) for name in names]


@functools.cache
def _routes(service: str) -> dict[str, list[_Route]]:
    routes = defaultdict(list)
    for model in models(service):
        for name in model.operation_names if model.metadata["protocol"].startswith("rest-") else []:
            operation = model.operation_model(name)
            if not operation.deprecated:
                routes[operation.http["method"]].append(_route(operation))
    return routes


def _route(operation: OperationModel) -> _Route:
    uri, _, query = operation.http["requestUri"].partition("?")
    parts = re.split(r"\{([^}]+)\}", uri.rstrip("/"))
    # The path is decoded, so a label may contain slashes, such as an ARN.
    path = "".join(
        re.escape(part) if n % 2 == 0 else "(.+)" if part[-1] == "+" else "(.+?)" for n, part in enumerate(parts)
    )
    labels = [label.removesuffix("+") for label in parts[1::2]]
    required = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    literals = sum(map(bool, "".join(parts[::2]).split("/"))) + len(required)
    return _Route(operation, re.compile(path + "/?"), labels, required, (literals, len(labels)))


@functools.cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    r"""A pattern of a model; None if Python cannot compile it. Unicode categories such as `\p{L}` are replaced."""
    pattern = _CATEGORY.sub(lambda found: _characters()[found[1]], pattern)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of constructs that have another meaning in Java
        try:
            return re.compile(pattern, re.ASCII)
        except (re.error, Warning):
            return None


@functools.cache
def _characters() -> dict[str, str]:
    """The ranges of the characters of each Unicode category, as inside the brackets of a regular expression."""
    ranges: dict[str, str] = defaultdict(str)
    for category, group in groupby(range(_CHARACTERS), lambda point: unicodedata.category(chr(point))[0]):
        points = list(group)
        ranges[category] += f"{re.escape(chr(points[0]))}-{re.escape(chr(points[-1]))}"
    return ranges


# --- the members of a request -----------------------------------------------------------------------------------------


def operation_of(request: Request) -> OperationModel | None:
    """The operation of a request; None if no model has it."""
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return None
    prefix, target = request.target
    name = target or request.parameters.get("Action", "")
    if not name:
        routes = [route for route in _routes(request.service)[request.method] if route.matches(request)]
        return max(routes, key=lambda route: route.rank(request)).operation if routes else None
    named = [model for model in models(request.service) if name in model.operation_names]
    for model in named:
        if model.metadata["apiVersion"] == request.parameters.get("Version"):
            return model.operation_model(name)
        if target and model.metadata.get("targetPrefix", prefix) == prefix:
            return model.operation_model(name)
    return named[0].operation_model(name) if named else None


def members_of(request: Request, operation: OperationModel) -> dict[str, Any]:
    """The members of the operation's input shape, as botocore takes them as parameters.

    Raises:
        ValueError: if the request cannot be parsed.
    """
    shape: Any = operation.input_shape
    protocol = operation.service_model.metadata["protocol"]
    if request.target[1]:
        return _from_json_body(shape, request.body)
    if "Action" in request.parameters:
        return dict(_from_query(shape, _tree(request.parameters), ec2=protocol == "ec2"))
    if protocol == "rest-xml":
        response = {"body": request.body, "headers": {}, "status_code": HTTPStatus.OK}
        body = dict(create_parser("rest-xml").parse(response, shape))
        prefixes = {name for name, member in shape.members.items() if member.serialization.get("location") == "headers"}
        body = {name: value for name, value in body.items() if name not in prefixes | {"ResponseMetadata"}}
    else:
        body = _json_body(shape, request)
    return {**body, **dict(_located(request, operation))}


def _json_body(shape: Any, request: Request) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    if payload is None:
        return _from_json_body(shape, request.body)
    if not request.body:
        return {}
    member = shape.members[payload]
    return {payload: _from_json_body(member, request.body) if member.type_name == "structure" else request.body}


def _from_json_body(shape: Any, body: bytes) -> dict[str, Any]:
    document = json.loads(body or b"{}")
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  (json raises it, too)
    return dict(_from_json(shape, document))


def _located(request: Request, operation: OperationModel) -> Iterator[tuple[str, Any]]:
    """The members in the path, the query string and the headers."""
    shape: Any = operation.input_shape
    (route,) = [route for route in _routes(request.service)[request.method] if route.operation is operation]
    found = route.matches(request)
    labels = dict(zip(route.labels, found.groups(), strict=True)) if found else {}
    for name, member in shape.members.items():
        location, wire = member.serialization.get("location"), member.serialization.get("name", name)
        values: list[str] = []
        if location == "uri":
            values = [labels[wire]]
        elif location == "header" and wire.lower() in request.headers:
            header = request.headers[wire.lower()]
            values = re.split(r",\s*", header) if member.type_name == "list" else [header]
        elif location == "querystring" and member.type_name != "map":
            values = request.query.get(wire, [])
        if values:
            is_list = member.type_name == "list"
            yield name, [_scalar(member.member, value) for value in values] if is_list else _scalar(member, values[0])


def _from_json(shape: Any, value: Any) -> Any:
    """Unknown members keep their names."""
    if isinstance(value, dict) and shape.type_name == "structure" and not shape.is_document_type:
        names = _json_names(shape)
        given = {names.get(name, name): item for name, item in value.items() if item is not None}
        return {
            name: _from_json(shape.members[name], item) if name in shape.members else item
            for name, item in given.items()
        }
    if isinstance(value, dict) and shape.type_name == "map":
        return {key: _from_json(shape.value, item) for key, item in value.items() if item is not None}
    if isinstance(value, list) and shape.type_name == "list":
        return [_from_json(shape.member, item) for item in value if item is not None]
    return value


def _json_names(shape: Any) -> dict[str, str]:
    return {member.serialization.get("name", name): name for name, member in shape.members.items()}


def _tree(parameters: Mapping[str, str]) -> dict[str, Any]:
    """`{"Tags.member.1.Key": "a"}` becomes `{"Tags": {"member": {"1": {"Key": "a"}}}}`."""
    root: dict[str, Any] = {}
    for name, value in parameters.items():
        *parents, leaf = name.split(".")
        node = root
        for parent in parents:
            if not isinstance(node.get(parent), dict):
                node[parent] = {}
            node = node[parent]
        node[leaf] = value
    return root


def _from_query(shape: Any, value: Any, *, ec2: bool) -> Any:
    """EC2 refuses unknown parameters, so they keep their names; other services ignore them."""
    flat = ec2 or shape.serialization.get("flattened")
    if shape.type_name == "structure" and isinstance(value, dict):
        names = {_query_name(name, member, ec2=ec2): name for name, member in shape.members.items()}
        known = {
            names[name]: _from_query(shape.members[names[name]], item, ec2=ec2)
            for name, item in value.items()
            if name in names
        }
        unknown = {name: item for name, item in value.items() if name not in names} if ec2 else {}
        return known | {name: item for name, item in unknown.items() if not _NOT_IN_THE_MODEL.fullmatch(name)}
    if shape.type_name == "list":
        items = value if flat else _item(value, shape.member.serialization.get("name", "member"))
        return [_from_query(shape.member, item, ec2=ec2) for item in _numbered(items)]
    if shape.type_name == "map":
        entries = _numbered(value if flat else _item(value, "entry"))
        key, item = shape.key.serialization.get("name", "key"), shape.value.serialization.get("name", "value")
        return {
            entry.get(key): _from_query(shape.value, entry.get(item, ""), ec2=ec2)
            for entry in entries
            if isinstance(entry, dict)
        }
    return _scalar(shape, value)


def _query_name(name: str, member: Any, *, ec2: bool) -> str:
    wire = str(member.serialization.get("name", name))
    return str(member.serialization.get("queryName", wire[0].upper() + wire[1:])) if ec2 else wire


def _item(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else value


def _numbered(items: Any) -> list[Any]:
    """The items of a list in the query protocol; an empty list is an empty string."""
    if not isinstance(items, dict):
        return [items] if items else []
    return [items[number] for number in sorted(items, key=lambda number: (len(number), number))]


def _scalar(shape: Any, value: Any) -> Any:
    """A value as a boolean or a number if the shape is one and the value can be read as one."""
    if not isinstance(value, str):
        return value
    if shape.type_name == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    with suppress(ValueError):
        return {"integer": int, "long": int, "float": float, "double": float}.get(shape.type_name, str)(value)
    return value


# --- the rules --------------------------------------------------------------------------------------------------------


def problems(shape: Any, value: Any, name: str = "", *, empty_is_none: bool = False) -> Iterator[str]:
    """The violations that botocore's own validator does not report: enumerations, patterns and maximums."""
    label, rules = name.removeprefix("."), shape.metadata
    if shape.type_name == "structure" and isinstance(value, dict):
        for member in value.keys() & shape.members.keys():
            yield from problems(shape.members[member], value[member], f"{name}.{member}", empty_is_none=empty_is_none)
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _too_long(shape, value, label)
        for number, item in enumerate(value):
            yield from problems(shape.member, item, f"{name}[{number}]", empty_is_none=empty_is_none)
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from _too_long(shape, value, label)
        for key, item in value.items():
            yield from problems(shape.key, key, f"{name} (key: {key})", empty_is_none=empty_is_none)
            yield from problems(shape.value, item, f"{name}.{key}", empty_is_none=empty_is_none)
    elif shape.type_name == "string" and isinstance(value, str) and (value or not empty_is_none):
        yield from _too_long(shape, value, label)
        yield from _wrong_text(shape, value, label)
    elif isinstance(value, int | float) and value > rules.get("max", value):
        yield f"Invalid value for parameter {label}, value: {value}, valid max value: {rules['max']}"


def _too_long(shape: Any, value: Any, label: str) -> Iterator[str]:
    maximum = shape.metadata.get("max", sys.maxsize)
    if len(value) > maximum:
        yield f"Invalid length for parameter {label}, value: {value}, valid max length: {maximum}"


def _wrong_text(shape: Any, value: str, label: str) -> Iterator[str]:
    if shape.enum and value not in shape.enum:
        yield f"Invalid value for parameter {label}, value: {value}, valid values: {', '.join(shape.enum)}"
    # AWS compares the whole value, as String.matches does in Java, also where a pattern has no anchors.
    pattern = compiled(shape.metadata["pattern"]) if "pattern" in shape.metadata else None
    if pattern and not pattern.fullmatch(value):
        yield f"Invalid value for parameter {label}, value: {value}, valid pattern: {shape.metadata['pattern']}"


# --- the response -----------------------------------------------------------------------------------------------------


def refusal(request: Request) -> tuple[int, dict[str, str], bytes] | None:
    """The error response to a request that breaks a rule: status, headers and body. None if it breaks none.

    The message starts with the operation. Each of its lines names a member, its value and the rule.
    """
    operation = operation_of(request)
    if operation is None or operation.input_shape is None:
        return None
    try:
        members = members_of(request, operation)
    except (ValueError, ResponseParserError):
        return None
    service, protocol = operation.service_model.service_name, operation.service_model.metadata["protocol"]
    report = _VALIDATOR.validate(members, operation.input_shape)
    lines = [report.generate_report()] if report.has_errors() else []
    lines += problems(operation.input_shape, members, empty_is_none="Action" in request.parameters)
    found = [Violation(_CODES.get(service) or _CODES[protocol], line) for line in lines]
    if not found:
        found = list(violations(service, operation.name, members))
    message = f"{operation.name}: " + "\n".join(violation.message for violation in found)
    return error("s3" if service == "s3" else protocol, found[0].code, message) if found else None


def error(protocol: str, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """An error response in a protocol of botocore: status, headers and body."""
    if protocol.endswith("json"):
        body = json.dumps({"__type": code, "message": message})
        return HTTPStatus.BAD_REQUEST, {"Content-Type": "application/json", "x-amzn-errortype": code}, body.encode()
    text = escape(re.sub(r"[^\t\n\r -\ud7ff\ue000-\ufffd]", "?", message))  # characters that XML does not have
    details = f"<Code>{code}</Code><Message>{text}</Message>"
    envelope = {
        "ec2": f"<Response><Errors><Error>{details}</Error></Errors><RequestID>local</RequestID></Response>",
        "s3": f"<Error>{details}<RequestId>local</RequestId></Error>",
    }
    other = f"<ErrorResponse><Error><Type>Sender</Type>{details}</Error><RequestId>local</RequestId></ErrorResponse>"
    return HTTPStatus.BAD_REQUEST, {"Content-Type": "text/xml"}, envelope.get(protocol, other).encode()
