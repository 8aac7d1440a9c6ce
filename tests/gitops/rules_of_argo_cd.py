"""Rules for what Argo CD reads in manifests: it ignores a misspelt annotation, option or finalizer silently.

A rule takes manifests, or the root of the repository, and yields one line for each violation. Sources: Argo CD 3.2.11
and the gitops-engine that it requires (v0.7.1-0.20251217140045-5baed5604d2d), and what 3.4.0 and 3.5.0 add, which the
charts in `eks_gitops.versions` install. `check-argo-cd` checks sync windows and retries, with Argo CD's own functions.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from eks_gitops.in_cluster.cluster_secret import ClusterAnnotations, label_key
from tests.gitops.rules import name_of, of_kind, with_paths, within
from tests.gitops.rules_of_names import NEED_A_RECIPIENT, keys_of_external, secret_of
from tests.gitops.tree import Json, files, read

_PREFIX = "argocd.argoproj.io/"

# common/common.go, pkg/apis/application/v1alpha1/application_annotations.go, controller/cache/cache.go;
# pkg/sync/common/types.go of gitops-engine
_ANNOTATIONS = {
    "application-set-refresh", "client-side-apply-migration-manager", "compare-options", "deletion-approved", "hook",
    "hook-delete-policy", "hydrate", "ignore-healthcheck", "ignore-resource-updates", "installation-id",
    "manifest-generate-paths", "refresh", "skip-reconcile", "sync-options", "sync-wave", "tracking-id",
    "ignore-default-links", "managed-by-url",  # since 3.4.0
}  # fmt: skip

# common/common.go; docs/user-guide/annotations-and-labels.md for `instance`
_LABELS = {"auto-label-cluster-info", "instance", "kubernetes-version", "secret-type"}

_SWITCH = ("false", "true")

# controller/sync.go, controller/state.go; the default of each may also be written.
_OPTIONS_OF_APPLICATIONS: Mapping[str, Sequence[str]] = {
    "ApplyOutOfSyncOnly": _SWITCH,
    "ClientSideApplyMigration": _SWITCH,
    "CreateNamespace": _SWITCH,
    "FailOnSharedResource": _SWITCH,
    "PruneLast": _SWITCH,
    "PrunePropagationPolicy": ("background", "foreground", "orphan"),
    "Replace": _SWITCH,
    "RespectIgnoreDifferences": _SWITCH,
    "ServerSideApply": _SWITCH,
    "SkipDryRunOnMissingResource": _SWITCH,
    "Validate": _SWITCH,
}

# pkg/sync/sync_context.go of gitops-engine, controller/appcontroller.go, controller/state.go
_OPTIONS_OF_RESOURCES: Mapping[str, Sequence[str]] = {
    "Delete": (*_SWITCH, "confirm"),
    "Force": _SWITCH,
    "Prune": (*_SWITCH, "confirm"),
    "PruneLast": _SWITCH,
    "Replace": _SWITCH,
    "ServerSideApply": _SWITCH,
    "SkipDryRunOnMissingResource": _SWITCH,
    "Validate": _SWITCH,
}


def _known(options: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"{name}={value}" for name, values in options.items() for value in values]


_VALUES: Mapping[str, Sequence[str]] = {
    # controller/state.go
    "compare-options": (
        "IgnoreExtraneous", "IncludeMutationWebhook=true", "ServerSideDiff=false", "ServerSideDiff=true",
    ),
    # NewHookType and NewHookDeletePolicy in pkg/sync/common/types.go of gitops-engine; controller/hook.go
    "hook": ("PostDelete", "PostSync", "PreDelete", "PreSync", "Skip", "Sync", "SyncFail"),  # PreDelete: since 3.4.0
    "hook-delete-policy": ("BeforeHookCreation", "HookFailed", "HookSucceeded"),
    "sync-options": _known(_OPTIONS_OF_RESOURCES),
}  # fmt: skip

# pkg/apis/application/v1alpha1/application_defaults.go, and the stages of a deletion in controller/appcontroller.go
_FINALIZERS = (
    "post-delete-finalizer.argocd.argoproj.io",
    "post-delete-finalizer.argocd.argoproj.io/cleanup",
    "pre-delete-finalizer.argocd.argoproj.io",  # since 3.4.0
    "pre-delete-finalizer.argocd.argoproj.io/cleanup",
    "resources-finalizer.argocd.argoproj.io",
    "resources-finalizer.argocd.argoproj.io/background",
    "resources-finalizer.argocd.argoproj.io/foreground",
)

_OF_ARGO_CD = ("AppProject", "Application", "ApplicationSet")


def annotations_of_argo_cd_are_known(manifests: Sequence[Json]) -> Iterator[str]:
    """Also in templates, which are manifests later."""
    for manifest in manifests:
        for metadata in _metadata(manifest):
            found = [
                *_problems("annotation", metadata.get("annotations") or {}, _ANNOTATIONS),
                *_problems("label", metadata.get("labels") or {}, _LABELS),
            ]
            yield from (f"{name_of(manifest)}: {problem}" for problem in found)


def annotations_in_values_of_charts_are_known(root: Path) -> Iterator[str]:
    """Charts of others are not rendered here. Each has keys of its own for annotations and labels."""
    for file in files(root):
        if re.fullmatch(r"values.*\.yaml", file.name):
            for holder in within(read(file)):
                found = _problems("annotation", holder, _ANNOTATIONS | _LABELS)
                yield from (f"{file.relative_to(root)}: {problem}" for problem in found)


def _problems(kind: str, given: Json, names: Collection[str]) -> Iterator[str]:
    for key, value in given.items():
        if key.startswith(_PREFIX):
            name = key.removeprefix(_PREFIX)
            if name not in names:
                yield f"{kind} {key}: Argo CD knows no such {kind}; {_remedy(name, names)}"
            elif "{{" not in str(value):
                yield from (f"{kind} {key}: {problem}" for problem in _problems_of_value(name, str(value)))


def _metadata(manifest: Json) -> Iterator[Json]:
    return (holder["metadata"] for holder in within(manifest) if isinstance(holder.get("metadata"), dict))


def _problems_of_value(name: str, value: str) -> Iterator[str]:
    if name == "sync-wave" and not re.fullmatch(r"[+-]?\d+", value):
        yield f"{value!r} is not an integer, and counts as 0; write one, such as '1'"
    for item in [item.strip() for item in value.split(",")]:
        if name in _VALUES and item and item not in _VALUES[name]:
            if name == "sync-options" and item in _known(_OPTIONS_OF_APPLICATIONS):
                yield f"Argo CD ignores {item} at a resource; write it in syncOptions of the Application"
            else:
                yield f"Argo CD ignores {item}; {_remedy(item, _VALUES[name])}"


def _remedy(given: str, known: Collection[str]) -> str:
    near = get_close_matches(given, sorted(known), n=1, cutoff=0.7)
    if near:
        return f"write {near[0]}"
    return f"write one of {', '.join(sorted(known))}" if known else "add it"


def sync_options_are_known(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo CD compares the whole text of an option of an Application, without trimming it."""
    known = _known(_OPTIONS_OF_APPLICATIONS)
    for manifest in of_kind(manifests, *_OF_ARGO_CD):
        for holder in within(manifest):
            options = holder.get("syncOptions")
            for option in options if isinstance(options, list) else []:
                where = f"{name_of(manifest)}: syncOptions: Argo CD ignores {option}"
                if option in _known(_OPTIONS_OF_RESOURCES) and option not in known:
                    yield f"{where} at an Application; write it in annotation {_PREFIX}sync-options of the resource"
                elif option not in known and "{{" not in option:
                    yield f"{where}; {_remedy(option, known)}"


def finalizers_of_argo_cd_are_known(manifests: Sequence[Json]) -> Iterator[str]:
    """Nothing removes another finalizer: the object can never be deleted. Nor does it delete what Argo CD deployed."""
    for manifest in of_kind(manifests, *_OF_ARGO_CD):
        for metadata in _metadata(manifest):
            for finalizer in metadata.get("finalizers") or []:
                if finalizer not in _FINALIZERS:
                    yield f"{name_of(manifest)}: no controller removes finalizer {finalizer}; " + _remedy(
                        finalizer, _FINALIZERS
                    )


PLACEHOLDER_NETWORK = "192.0.2.0/24"
"""What manifests have in place of the network of the VPC. Source: RFC 5737, networks for documentation."""


def values_are_filled_in(manifests: Sequence[Json]) -> Iterator[str]:
    """For what an Application deploys: ApplicationSets replace each placeholder by a value that Terraform knows."""
    for manifest in manifests:
        for path, text in _texts("", manifest):
            if text in {"placeholder", PLACEHOLDER_NETWORK}:
                yield f"{name_of(manifest)}: {path}: {text}; no ApplicationSet replaces it: correct its patch"
            elif "<no value>" in text:
                yield f"{name_of(manifest)}: {path}: {text}: a template found no value; correct its key"


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _texts(f"{path}.{key}".removeprefix("."), below)
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _texts(f"{path}[{index}]", below)


_INDEXED = re.compile(r"\b(?:get|index)\s+\(?(?P<map>\S+?)\)?\s+\"(?P<key>[^\"]+)\"")
_ASSIGNED = re.compile(r"(?P<name>\$\w+)\s*:=\s*\.metadata\.(?P<field>annotations|labels)\s*-?\}\}")


def application_sets_read_keys_of_the_cluster_secret(sets: Sequence[Json], secret: Json) -> Iterator[str]:
    """`index` and `get` of a key that does not exist are an empty text, also with `missingkey=error`."""
    known = {field: set(secret["metadata"][field]) for field in ("annotations", "labels")}
    known["annotations"] |= {label_key(field.name) for field in fields(ClusterAnnotations) if field.default is None}
    for applied in of_kind(sets, "ApplicationSet"):
        found = set()
        for _, text in _texts("", applied["spec"]):
            maps = dict(_ASSIGNED.findall(text))
            maps |= {f".metadata.{field}": field for field in known}
            for match in _INDEXED.finditer(text):
                field = maps.get(match["map"])
                keys = known[field] if field else known["annotations"] | known["labels"]
                if match["key"] not in keys and (field or "/" in match["key"]):
                    what = (field or "annotations").removesuffix("s")
                    found.add(f"the cluster Secret has no {what} {match['key']}; {_remedy(match['key'], keys)}")
        yield from (f"{name_of(applied)}: {line}" for line in sorted(found))


def application_sets_refuse_missing_keys(manifests: Sequence[Json]) -> Iterator[str]:
    """Otherwise a template writes `<no value>` for a key that a file or the cluster Secret does not have."""
    for applied in of_kind(manifests, "ApplicationSet"):
        spec = applied["spec"]
        if spec.get("goTemplate") and "missingkey=error" not in (spec.get("goTemplateOptions") or []):
            yield f"{name_of(applied)}: spec.goTemplateOptions: no missingkey=error; add it"


_CRUD = {"create", "delete", "get", "update"}
# validRBACResourcesActions in cmd/argocd/commands/admin/settings_rbac.go of 3.6.1
_RIGHTS: Mapping[str, Collection[str]] = {
    "accounts": {"create", "update"},
    "applications": _CRUD | {"action", "override", "rollback", "sync"},
    "applicationsets": _CRUD,
    "certificates": _CRUD - {"update"},
    "clusters": _CRUD,
    "exec": {"create"},
    "extensions": {"invoke"},
    "gpgkeys": _CRUD - {"update"},
    "logs": {"get"},
    "projects": _CRUD,
    "repositories": _CRUD,
    "write-repositories": _CRUD,
}


def rights_of_argo_cd_are_valid(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo CD ignores a line that it cannot read, and a right that does not exist."""
    for config in of_kind(manifests, "ConfigMap"):
        data = config.get("data") or {} if config["metadata"]["name"] == "argocd-rbac-cm" else {}
        for key in (key for key in data if key.startswith("policy.") and key.endswith(".csv")):
            for number, line in enumerate(data[key].splitlines(), start=1):
                if line.strip() and not line.startswith("#") and (problem := _wrong_right(line)):
                    yield f"{name_of(config)}: {key}:{number}: {line}: {problem}"


def _wrong_right(line: str) -> str | None:
    kind, *parts = (part.strip() for part in line.split(","))
    if kind == "g":
        return None if len(parts) == 2 and all(parts) else "write g, group or user, role"
    if kind != "p" or len(parts) != 5:
        return "write p, subject, resource, action, object, allow or deny"
    _, resource, action, _, effect = parts
    if resource not in _RIGHTS and resource != "*":
        return f"no resource {resource}; {_remedy(resource, _RIGHTS)}"
    known = _RIGHTS.get(resource, {action})
    if action != "*" and action.partition("/")[0] not in known:
        return f"no action {action} of {resource}; {_remedy(action, known)}"
    return None if effect in {"allow", "deny"} else f"{effect}: write allow or deny"


def notifications_have_their_parts(manifests: Sequence[Json]) -> Iterator[str]:
    """Triggers name templates, subscriptions name triggers and services, and services name keys of the Secret.

    Source: the page "Notifications" in the documentation of Argo CD 3.6; its controller logs what it lacks.
    """
    secrets = {
        key
        for external in of_kind(manifests, "ExternalSecret")
        if secret_of(external) == "argocd-notifications-secret"
        for key in keys_of_external(external["spec"]) or ()
    }
    for config in of_kind(manifests, "ConfigMap"):
        if config["metadata"]["name"] == "argocd-notifications-cm":
            data = config.get("data") or {}
            found = (*_ignored_parts(data), *_missing_parts(data, secrets), *_empty_notifications(data))
            yield from (f"{name_of(config)}: {line}" for line in found)


# pkg/api/config.go and pkg/subscriptions/global.go of notifications-engine, in the version that Argo CD 3.6.1 requires,
# and util/notification/settings of Argo CD, which reads `context`.
_OF_NOTIFICATIONS = ("context", "defaultTriggers", "service", "subscriptions", "template", "trigger")
_OF_SUBSCRIPTIONS = ("recipients", "selector", "triggers")


def _listed(text: str) -> list[Any]:
    """The entries of a list. What is no list is refused by Argo CD itself, which test_manifests.py runs."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    return found if isinstance(found, list) else []


def _entries(text: str) -> list[Json]:
    return [one for one in _listed(text) if isinstance(one, dict)]


def _names_in(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _ignored_parts(data: Mapping[str, str]) -> Iterator[str]:
    for key, text in data.items():
        kind = key.partition(".")[0]
        if kind not in _OF_NOTIFICATIONS and key != "config.yaml":  # the form of old versions
            yield f"{key}: Argo CD does not read it; {_remedy(kind, _OF_NOTIFICATIONS)}"
        for index, one in enumerate(_entries(text) if kind in {"subscriptions", "trigger"} else ()):
            if kind == "trigger" and not one.get("send"):
                yield f"{key}[{index}].send: missing: nothing is sent; name a template"
            for field in one if kind == "subscriptions" else ():
                if field not in _OF_SUBSCRIPTIONS:
                    yield f"{key}[{index}].{field}: Argo CD does not read it; {_remedy(field, _OF_SUBSCRIPTIONS)}"


def _missing_parts(data: Mapping[str, str], secrets: Collection[str]) -> Iterator[str]:
    names = {
        kind: [key.partition(".")[2] for key in data if key.startswith(f"{kind}.")]
        for kind in ("service", "template", "trigger")
    }
    # `service.webhook.NAME`: pkg/api/config.go of notifications-engine, in the version that Argo CD 3.6.1 requires.
    called = {name.rpartition(".")[2] for name in names["service"]}
    defaults = _names_in(_listed(data.get("defaultTriggers", "[]")))
    named = [("trigger", one, f"defaultTriggers: {one}") for one in defaults]
    for trigger in names["trigger"]:
        for condition in _entries(data[f"trigger.{trigger}"]):
            named += [("template", one, f"trigger.{trigger}: {one}") for one in _names_in(condition.get("send"))]
    for subscription in _entries(data.get("subscriptions", "[]")):
        named += [("trigger", one, f"subscriptions: {one}") for one in _names_in(subscription.get("triggers"))]
        services = {one.partition(":")[0] for one in _names_in(subscription.get("recipients"))}
        named += [("service", one, f"subscriptions: {one}") for one in sorted(services)]
    for kind, name, where in named:
        known = called if kind == "service" else names[kind]
        if name not in known:
            yield f"{where}: no {kind} {name}; {_remedy(name, known)}"
    for service in names["service"]:
        for key in re.findall(r"\$([\w-]+)", data[f"service.{service}"]):
            if key not in secrets:
                where = f"service.{service}: ${key}"
                yield f"{where}: argocd-notifications-secret has no key {key}; {_remedy(key, secrets)}"


def _empty_notifications(data: Mapping[str, str]) -> Iterator[str]:
    """Subscriptions without a recipient, and those whose notifications have no text.

    The templates of a condition are one notification together: FormatNotification in pkg/templates/service.go of
    notifications-engine. A service reads `message` in it, and what is under its type.
    """
    types = {key.rpartition(".")[2]: key.split(".")[1] for key in data if key.startswith("service.")}
    for subscription in _entries(data.get("subscriptions", "[]")):
        for recipient in _names_in(subscription.get("recipients")):
            service, _, who = recipient.partition(":")
            kind = types.get(service)
            if kind in NEED_A_RECIPIENT:
                if not who.strip():
                    yield f"subscriptions: {recipient}: no recipient; write such as {service}:CHANNEL"
                for path, templates in _sent(data, _names_in(subscription.get("triggers"))):
                    if not {"message", kind} & {key for one in templates for key in _keys_of_template(one)}:
                        yield f"{path}: no template has message or {kind}, which {recipient} gets; add one of them"


def _sent(data: Mapping[str, str], triggers: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The texts of the templates that each condition of triggers sends, if all exist, and its path."""
    for trigger in triggers:
        for index, condition in enumerate(_entries(data.get(f"trigger.{trigger}", "[]"))):
            names = [f"template.{name}" for name in _names_in(condition.get("send"))]
            if names and {*names} <= data.keys():
                yield f"trigger.{trigger}[{index}].send", [data[name] for name in names]


def _keys_of_template(text: str) -> Collection[str]:
    """The keys of a template; `message` for one that Argo CD itself refuses."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        return ["message"]
    return found.keys() if isinstance(found, dict) else ["message"]


def rolling_syncs_have_steps(manifests: Sequence[Json]) -> Iterator[str]:
    """Without steps Argo CD syncs all Applications at once, as without the strategy.

    Source: RollingSyncStrategyEnabled of Argo CD 3.6.1, applicationset/progressivesync/progressive_sync.go.
    """
    for applied in of_kind(manifests, "ApplicationSet"):
        strategy = applied["spec"].get("strategy") or {}
        if strategy.get("type") == "RollingSync" and not (strategy.get("rollingSync") or {}).get("steps"):
            yield f"{name_of(applied)}: spec.strategy.rollingSync.steps: missing; add them, or remove the strategy"


def json_pointers_are_absolute(manifests: Sequence[Json]) -> Iterator[str]:
    """Another pointer is found in no object, so that the difference is not ignored.

    Source: findObject of the JSON patch that Argo CD 3.6.1 makes of it, github.com/evanphx/json-patch v5.9.11.
    """
    for manifest in of_kind(manifests, "Application", "ApplicationSet"):
        for path, holder in with_paths(manifest["spec"], "spec"):
            pointers = holder.get("jsonPointers")
            for index, pointer in enumerate(pointers if isinstance(pointers, list) else []):
                if not pointer.startswith(("/", "{{")):
                    remedy = "write it with / in front, such as /spec/replicas"
                    yield f"{name_of(manifest)}: {path}.jsonPointers[{index}]: {pointer}: no JSON pointer; {remedy}"


def keys_of_signatures_are_of_gnupg(manifests: Sequence[Json]) -> Iterator[str]:
    """Argo CD skips another key, so that no commit counts as signed and nothing is synced.

    Source: KeyID and legacyKeyAllowed of Argo CD 3.6.1, util/sourceintegrity/gpg.go.
    """
    for project in of_kind(manifests, "AppProject"):
        for index, one in enumerate(project["spec"].get("signatureKeys") or []):
            if not re.fullmatch(r"[0-9A-Fa-f]{16}(?:[0-9A-Fa-f]{24})?", str(one.get("keyID", ""))):
                field = f"spec.signatureKeys[{index}].keyID: {one.get('keyID', 'missing')}"
                yield f"{name_of(project)}: {field}: no key of GnuPG; write its 16 or 40 hexadecimal digits"


_HOOKS = (f"{_PREFIX}hook", "helm.sh/hook")
_MINUTES_TO_READ_A_HOOK = 10


def jobs_can_be_updated(manifests: Sequence[Json]) -> Iterator[str]:
    """The template of a Job is immutable, so that the next version of a Job that is no hook cannot be synced.

    Sources: docs/user-guide/sync-waves.md of Argo CD 3.6.1, which advises against `ttlSecondsAfterFinished`: the sync
    waits for a hook that is deleted before Argo CD reads its result, and a Job that is no hook is created again; "Force
    Sync" in its docs/user-guide/sync-options.md; ValidateJobUpdate of Kubernetes 1.37.0, pkg/apis/batch/validation.
    """
    for job in of_kind(manifests, "Job"):
        annotations = job["metadata"].get("annotations") or {}
        options = {option.strip() for option in annotations.get(f"{_PREFIX}sync-options", "").split(",")}
        is_hook = any(key in annotations for key in _HOOKS)
        ttl = (job.get("spec") or {}).get("ttlSecondsAfterFinished")
        if not is_hook and not {"Force=true", "Replace=true"} <= options:
            field = f"metadata.annotations.{_PREFIX}hook"
            yield f"{name_of(job)}: {field}: missing: a changed Job cannot be synced; write such as PreSync"
        elif ttl is not None and (not is_hook or ttl < _MINUTES_TO_READ_A_HOOK * 60):
            remedy = f"write at least {_MINUTES_TO_READ_A_HOOK * 60}, or remove it" if is_hook else "remove it"
            what = "may be deleted before Argo CD reads its result" if is_hook else "Argo CD creates and runs it again"
            yield f"{name_of(job)}: spec.ttlSecondsAfterFinished: {ttl}: {what}; {remedy}"


ALL = (
    jobs_can_be_updated,
    json_pointers_are_absolute,
    keys_of_signatures_are_of_gnupg,
    rolling_syncs_have_steps,
    annotations_of_argo_cd_are_known,
    application_sets_refuse_missing_keys,
    finalizers_of_argo_cd_are_known,
    notifications_have_their_parts,
    rights_of_argo_cd_are_valid,
    sync_options_are_known,
)

OF_THE_TREE = (annotations_in_values_of_charts_are_known,)
