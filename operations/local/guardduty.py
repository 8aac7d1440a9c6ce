"""GuardDuty of the emulated AWS, which MiniStack 1.5.33 lacks: one detector in an account and region, and its features.

It analyzes nothing. Requests are checked against AWS's API model before they come here (`request_check`).
"""

import importlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from operations.local.request_check import error

SERVICE = "guardduty"

Response = tuple[int, dict[str, str], bytes]

_DETECTORS: dict[tuple[str, str], dict[str, Any]] = {}
"""The detectors, by account and region."""


async def handle(
    method: str, path: str, _headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
) -> Response:
    """Answer a request in the account and region that it is for."""
    responses = importlib.import_module("ministack.core.responses")
    place = (responses.get_account_id(), responses.get_region())
    request = json.loads(body or b"{}")
    kind, _, id_ = unquote(path).strip("/").partition("/")
    if kind == "tags":
        return _tags(method, _DETECTORS.get(place, {}), request, query)
    return _listed(method, place, request) if not id_ else _one(method, place, id_, request)


def _answer(document: Mapping[str, Any]) -> Response:
    return HTTPStatus.OK, {"Content-Type": "application/json"}, json.dumps(document).encode()


def _listed(method: str, place: tuple[str, str], request: Mapping[str, Any]) -> Response:
    found = _DETECTORS.get(place)
    if method == "GET":
        return _answer({"detectorIds": [] if found is None else [found["id"]]})
    if found is not None:
        return error("json", "BadRequestException", "a detector already exists for the current account")
    now = datetime.now(tz=UTC).isoformat()
    detector = {
        "id": uuid.uuid4().hex,
        "createdAt": now,
        "serviceRole": f"arn:aws:iam::{place[0]}:role/aws-service-role",
    }
    _DETECTORS[place] = {**detector, "features": {}, "tags": request.get("tags", {})}
    _update(_DETECTORS[place], request)
    return _answer({"detectorId": detector["id"]})


def _one(method: str, place: tuple[str, str], id_: str, request: Mapping[str, Any]) -> Response:
    detector = _DETECTORS.get(place)
    if detector is None or detector["id"] != id_:
        return error("json", "BadRequestException", "the request is rejected because the input detectorId is not owned")
    if method == "GET":
        return _answer({**detector, "features": list(detector["features"].values())})
    if method == "DELETE":
        del _DETECTORS[place]
    else:
        _update(detector, request)
    return _answer({})


def _update(detector: dict[str, Any], request: Mapping[str, Any]) -> None:
    if "enable" in request:
        detector["status"] = "ENABLED" if request["enable"] else "DISABLED"
    if "findingPublishingFrequency" in request:
        detector["findingPublishingFrequency"] = request["findingPublishingFrequency"]
    detector["features"] |= {feature["name"]: feature for feature in request.get("features", [])}
    detector["updatedAt"] = datetime.now(tz=UTC).isoformat()


def _tags(method: str, detector: dict[str, Any], request: Mapping[str, Any], query: Mapping[str, Any]) -> Response:
    tags: dict[str, str] = detector.get("tags", {})
    if method == "GET":
        return _answer({"tags": tags})
    tags |= request.get("tags", {})
    for key in query.get("tagKeys", []):
        tags.pop(key, None)
    return _answer({})
