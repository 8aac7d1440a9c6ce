"""Base class of all configs: a frozen pydantic model that rejects unknown fields and validates its own rules."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from ipaddress import IPv4Network
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    Self,
    TypeVar,
    cast,
    get_args,
    get_origin,
)

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

AnyConfig = TypeVar("AnyConfig", bound="Config")
AnyProblem = TypeVar("AnyProblem")

_deferring: ContextVar[bool] = ContextVar("deferring", default=False)


_LONGEST_SHOWN = 200
_MOST_OPTIONS = 25


class MissingFieldError(AttributeError):
    """A rule read a field that `as_far_as_known` omitted."""


class Problem(NamedTuple):
    """A violation of a rule: the field's path, the value, and a message with the problem and its remedy.

    The path is empty if the problem is not about a field; then the message says everything.
    """

    field: str
    value: object
    message: str

    def below(self, path: str) -> "Problem":
        """The same problem, with the field's path relative to the config that contains this one at `path`."""
        return self._replace(field=f"{path}.{self.field}" if path else self.field)

    def __str__(self) -> str:
        if not self.field:
            return self.message
        message = " ".join(self.message.split())  # it may name other values of the settings, with line breaks
        return f"{self.field}: {shown(self.value)}: {message}"


def shown(value: object) -> str:
    """A value formatted for a message, in one short line: strings in quotes, networks in CIDR notation."""
    if isinstance(value, Config):
        return f"{type(value).__name__}(...)"
    if isinstance(value, tuple | list) and any(isinstance(item, Config) for item in value):
        return f"({', '.join(map(shown, value))},)"
    try:
        text = repr(value) if isinstance(value, str | tuple | list | dict) else " ".join(str(value).split())
    except (RecursionError, ValueError):  # a list in 1,000 others; an integer of more than 4,300 digits
        text = f"{type(value).__name__} too large to show"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


_PLAIN = (str, int, tuple, list, set, frozenset, dict, type(None))
_AS_THEY_ARE = (str, int, type(None))
"""Types whose values pydantic does not convert. A bool, whose type is another one, is also an int."""


def _is_tuple(annotation: Any) -> bool:
    """Whether a field is a tuple, or may be one."""
    return get_origin(annotation) is tuple or any(map(_is_tuple, get_args(annotation)))


def _numbers(annotation: Any) -> list[int]:
    """The numbers of which a field is one; none if it may be another number, too."""
    parts = get_args(annotation)
    if get_origin(annotation) is Literal:
        return [part for part in parts if isinstance(part, int)]
    return [number for part in parts for number in _numbers(part)]


def _has_bytes(value: object) -> bool:
    values = value if isinstance(value, tuple | list) else (value,)
    return any(isinstance(one, bytes | bytearray) for one in values)


class Config(BaseModel):
    """The input values of a construct, known before Terraform runs. A config must not contain CDKTF tokens.

    A subclass overrides `problems` to yield the rules that its values violate. `absent` are fields that users look for
    and that do not exist, each with what to do instead.

    Raises:
        pydantic.ValidationError: if a field is missing, unknown or of the wrong type, or a rule is violated. Inside
            `deferred_errors`, nothing is raised; `shape_errors` and `all_problems` return the errors afterwards.
    """

    # Instances are validated again inside another config, so that deferred errors are reported with the full path.
    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")

    absent: ClassVar[Mapping[str, str]] = {}

    def problems(self) -> Iterator[Problem]:
        """The rules that these values violate, with paths relative to this config."""
        yield from ()

    @field_validator("*", mode="before")
    @classmethod
    def _no_other_class(cls, value: object, info: ValidationInfo) -> object:
        """Reject what pydantic would convert.

        It reads into a tuple to the end, if there is one: the addresses of a network. It takes bytes for a string,
        and True and 1.0 for an option 1.
        """
        if type(value) in _AS_THEY_ARE or isinstance(value, Config):  # most values: this runs for each
            return value
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, Iterable) and not isinstance(value, _PLAIN) and _is_tuple(annotation):
            raise PydanticCustomError("tuple_type", "not a tuple")
        if isinstance(value, bool | float) and value in _numbers(annotation):
            raise PydanticCustomError("int_type", "not an integer")
        if _has_bytes(value):
            raise PydanticCustomError("string_type", "not a string")
        return value

    @model_validator(mode="after")
    def _raise_problems(self) -> Self:
        problems = () if _deferring.get() else tuple(self.problems())
        if problems:
            raise ValueError("; ".join(map(str, problems)))
        return self

    if not TYPE_CHECKING:  # type checkers use the declared fields and the constructor derived from them

        def __getattr__(self, name: str) -> Any:
            if name in type(self).model_fields:
                raise MissingFieldError(name)
            return super().__getattr__(name)

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError:
                if not _deferring.get():
                    raise
                object.__setattr__(self, "__dict__", values)
                object.__setattr__(self, "__pydantic_fields_set__", set(values))
                object.__setattr__(self, "__pydantic_extra__", None)
                object.__setattr__(self, "__pydantic_private__", None)

        # A model is iterable, so pydantic would take one config for a tuple of its fields.
        __iter__ = None

        # Without this marker, pydantic would call __init__ for nested models and lose their paths.
        __init__.__pydantic_base_init__ = True


@contextmanager
def deferred_errors() -> Iterator[None]:
    """Make invalid configs keep their raw values instead of raising, so that all errors can be reported at once.

    Python evaluates `Environment(cluster=Cluster(...), vpc=Vpc(...))` from the inside out. Without this, the first
    invalid value of the innermost config would hide all other errors.
    """
    token = _deferring.set(True)
    try:
        yield
    finally:
        _deferring.reset(token)


def shape_errors(config: Config) -> list[Problem]:
    """The fields that are missing, unknown or of the wrong type, in `config` and all nested configs."""
    return [_shape_error(config, details) for details in _validation_errors(config)]


def _validation_errors(config: Config) -> list[ErrorDetails]:
    with deferred_errors():
        try:
            type(config).model_validate(config)
        except ValidationError as error:
            return error.errors(include_url=False)
    return []


def _shape_error(config: Config, details: ErrorDetails) -> Problem:
    kind, path, value = details["type"], details["loc"], details["input"]
    name, field = str(path[-1]), _path(path)
    if kind == "missing":
        return Problem(field, None, "required, but not set; set it")
    if kind == "extra_forbidden":
        holder = _holder(config, path) or Config
        close = difflib.get_close_matches(name, holder.model_fields, n=1)
        remedy = f"did you mean {close[0]}?" if close else "remove it"
        return Problem(field, value, holder.absent.get(name, f"no such field; {remedy}"))
    return Problem(field, value, _message(config, details))


_REMEDIES = {
    "bool_type": "not a boolean; write True or False, without quotes",
    "dict_type": 'not a dictionary; write {{"key": "value"}}',
    "greater_than_equal": "too small; choose {ge} or more",
    "int_type": "not an integer; write a number without quotes and decimals, such as 3",
    "less_than_equal": "too large; choose {le} or less",
    "string_type": "not a string; write it in quotes",
}
"""Messages by type of pydantic's errors, which name the limit in their context."""


def _message(config: Config, details: ErrorDetails) -> str:
    """The problem and the remedy in words of the settings, in place of those of pydantic."""
    value, limits = details["input"], details.get("ctx", {})
    match details["type"]:
        case "value_error":
            return details["msg"].removeprefix("Value error, ")
        case "model_type" | "model_attributes_type":
            options = get_args(_annotation(config, details["loc"]))
            kinds = [kind.__name__ for kind in options if _config_in(kind)] or [limits["class_name"]]
            return _not_the_config(value, kinds, is_optional=type(None) in options)
        case "tuple_type":
            return _not_a_tuple(value)
        case "literal_error":
            return _not_an_option(value, limits["expected"].replace(" or ", ", ").split(", "))
    remedy = _REMEDIES.get(details["type"])
    return (
        f"{details['msg'][:1].lower()}{details['msg'][1:]}; correct it" if remedy is None else remedy.format(**limits)
    )


def _not_the_config(value: object, kinds: Sequence[str], *, is_optional: bool) -> str:
    expected, article = " or ".join(kinds), "an" if kinds[0].startswith(tuple("AEIO")) else "a"
    remedy = f"write {' or '.join(f'{kind}(...)' for kind in kinds)}{', or None' if is_optional else ''}"
    if isinstance(value, tuple | list):
        return f"a tuple, not one {expected}; {remedy}, without the brackets and the comma around it"
    return f"not {article} {expected}; {remedy}"


def _not_a_tuple(value: object) -> str:
    if isinstance(value, Config):
        return f"one {type(value).__name__}, not a tuple; write ({shown(value)},)"
    if isinstance(value, str | IPv4Network):
        return f"a single value, not a tuple; write ({shown(str(value))},)"
    return "not a tuple; write the values in brackets, each followed by a comma"


def _not_an_option(value: object, options: Sequence[str]) -> str:
    close = difflib.get_close_matches(shown(value), options, n=3) if len(options) > _MOST_OPTIONS else ()
    return f"unknown; choose one of {', '.join(close or options)}"


def _holder(config: Config, path: Sequence[int | str]) -> type[Config] | None:
    """The class of the config that contains the field at the end of `path`; None if that is a dictionary."""
    holder: type[Config] | None = type(config)
    value: object = config
    for step in path[:-1]:
        value = vars(value).get(str(step)) if isinstance(value, Config) else None
        if isinstance(value, Config):  # one of several classes
            holder = type(value)
        elif isinstance(step, str) and holder is not None:
            field = holder.model_fields.get(step)
            holder = None if field is None else _config_in(field.annotation)
    return holder


def _config_in(annotation: Any) -> type[Config] | None:
    """The class of the configs in a field, such as that of `tuple[Zone, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    return next((found for part in get_args(annotation) if (found := _config_in(part)) is not None), None)


def _annotation(config: Config, path: Sequence[int | str]) -> Any:
    """The type of the field at the end of `path`; None if that is no field."""
    holder = _holder(config, path)
    field = None if holder is None else holder.model_fields.get(str(path[-1]))
    return None if field is None else field.annotation


def as_far_as_known(config: AnyConfig) -> AnyConfig:
    """A copy of a deferred config without the fields that have shape errors, to check the rules on the other fields."""
    known: dict[str, Any] = {}
    places = {details["loc"] for details in _validation_errors(config)}
    wrong = {str(place[0]) for place in places}
    for name in type(config).model_fields:
        value = vars(config).get(name)
        if (name,) in places:
            continue
        if isinstance(value, Config):
            known[name] = as_far_as_known(value)
        elif isinstance(value, tuple | list) and any(isinstance(item, Config) for item in value):
            known[name] = tuple(
                as_far_as_known(item)
                for index, item in enumerate(value)
                if isinstance(item, Config) and (name, index) not in places
            )
            if not known[name]:
                del known[name]  # an empty list would be another error
                wrong.add(name)
        elif name in vars(config) and name not in wrong:
            with deferred_errors():
                known[name] = _type_of(type(config), name).validate_python(value)
    copy = without_validation(type(config), known)
    for name in wrong - known.keys():
        vars(copy).pop(name, None)  # the default must not replace the invalid value
    return copy


@cache  # pydantic takes longer to make it than to validate a value
def _type_of(kind: type[Config], name: str) -> TypeAdapter[Any]:
    """The type of a field, to validate a single value."""
    return TypeAdapter(kind.model_fields[name].rebuild_annotation())


def without_validation(kind: type[AnyConfig], values: Mapping[str, Any]) -> AnyConfig:
    """A config that has only these fields; reading another one raises `MissingFieldError`."""
    return cast(AnyConfig, kind.model_construct(None, **values))


def all_problems(config: Config, path: str = "") -> Iterator[Problem]:
    """The rules that `config` and all nested configs violate, as far as their fields are known."""
    yield from (problem.below(path) for problem in known_problems(config.problems()))
    for name, value in vars(config).items():
        field = f"{path}.{name}" if path else name
        if isinstance(value, Config):
            yield from all_problems(value, field)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Config):
                    yield from all_problems(item, f"{field}[{index}]")


def known_problems(problems: Iterable[AnyProblem]) -> Iterator[AnyProblem]:
    """Yield `problems` until a rule reads a field with a shape error, which is reported separately."""
    try:
        yield from problems
    except MissingFieldError:
        return


def _path(location: tuple[int | str, ...]) -> str:
    """`("zones", 0, "name")` as `zones[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(part if part.isprintable() else ascii(part)[1:-1] for part in parts).lstrip(".")


def matching(pattern: str, remedy: str, *, is_ascii: bool = True) -> AfterValidator:
    """A validator for strings that must match `pattern` completely; otherwise the message is `remedy`."""
    compiled = re.compile(pattern, re.ASCII if is_ascii else 0)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(remedy)
        return value

    check.__doc__ = remedy  # scripts/settings_docs.py reads it
    return AfterValidator(check)


def one_of(*kinds: type[Config]) -> PlainValidator:
    """A validator for a config of one of these classes, which reports the errors of that class alone.

    A dictionary, and any other value, is taken for the class with most of its keys, else for the first.
    """

    def check(value: object) -> Config:
        keys = value.keys() if isinstance(value, dict) else set()
        kind = max(kinds, key=lambda kind: (isinstance(value, kind), len(keys & kind.model_fields.keys())))
        return kind.model_validate(value)  # pydantic adds the path of the field to its errors

    return PlainValidator(check)


def _without_host_bits(value: object) -> object:
    """Reject `10.0.1.5/24` and suggest `10.0.1.0/24`, and all that is neither a string nor a network."""
    if not isinstance(value, str | IPv4Network):
        message = 'not an IPv4 network; write one in quotes, such as "10.0.0.0/16"'
        raise ValueError(message)  # noqa: TRY004 (pydantic reports a ValueError)
    if isinstance(value, str):
        try:
            network = IPv4Network(value, strict=False)
        except ValueError:
            message = "not an IPv4 network; write one such as 10.0.0.0/16"
            raise ValueError(message) from None
        if str(network) != value:
            whole = IPv4Network(f"{network.network_address}/24", strict=False)
            length = f"no prefix length; write {value}/32 for this address, or {whole} for its network"
            raise ValueError(f"host bits are set; write {network}" if "/" in value else length)
    return value


MAX_INTEGER = 2**31 - 1
"""The largest integer of AWS's APIs: https://smithy.io/2.0/spec/simple-types.html#integer"""

Count = Annotated[int, Field(strict=True, ge=1, le=MAX_INTEGER)]
"""A positive integer. Numeric strings are rejected, as with `StrictBool`, because charts treat strings differently."""

Cidr = Annotated[IPv4Network, BeforeValidator(_without_host_bits)]
"""An IPv4 network in CIDR notation, without host bits."""

AccountId = Annotated[
    str, matching(r"\d{12}", "an AWS account ID has 12 digits; `aws sts get-caller-identity` prints it")
]
"""An AWS account ID."""

RoleArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):iam::\d{12}:role/[!-~]+",
        "not the ARN of an IAM role; write arn:aws:iam::<account id>:role/<name>",
    ),
    matching(r"[^*?${}]+", "a pattern, not the ARN of one IAM role; write its complete name and path"),
    matching(
        r"(?!.*:role/aws-service-role/).+",
        "a service-linked role, which only its AWS service can assume; use the role of your administrators",
    ),
    matching(
        r".*:role/(?=.{0,512}$)([^/]+/)*[\w+=,.@-]{1,64}",
        "not a valid name of a role; after the path, use 1 to 64 letters, digits and _+=,.@-",
    ),
]
"""The ARN of an IAM role that a person or a workflow can assume.

Source: `roleNameType` and `pathType` of IAM in botocore 1.43, and
https://docs.aws.amazon.com/IAM/latest/UserGuide/using-service-linked-roles.html
"""

KeyArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):kms:[a-z0-9-]+:\d{12}:key/"
        r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32})",
        "not the ARN of a KMS key; write arn:aws:kms:<region>:<account id>:key/<key id>",
    ),
]
"""The ARN of a KMS key, not that of an alias.

Source: `KmsKeyId` of AWS::EFS::FileSystem in cfn-lint 1.58, the strictest of those that use the key.
"""

DomainName = Annotated[
    str,
    matching(
        r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}",
        "not a valid domain name; write it in lower case, without a trailing dot, such as your-domain.com",
    ),
]
"""A domain name in lower case, without a trailing dot."""

LogRetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip
"""Retention of a log group in days. CloudWatch Logs accepts only these values."""
