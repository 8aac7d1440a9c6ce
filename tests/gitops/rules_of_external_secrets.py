"""Rules for the stores and keys of ExternalSecrets. `check-external-secrets` checks each manifest by itself.

A rule takes the rendered manifests of every entry of the tree, and yields one line for each violation.
"""

from collections.abc import Iterator, Mapping, Sequence

from tests.gitops.rules import name_of, of_kind, with_paths, within, wrong_expression
from tests.gitops.tree import Json

Entries = Mapping[str, Sequence[Json]]

# What is created for every service, in its namespace.
_OF_SERVICES = ("management/service-namespace/base", "management/service-namespace/with-database")


def stores_of_external_secrets_exist(entries: Entries) -> Iterator[str]:
    """Without its store, the Secret is never created, and the Pods that need it do not start.

    The kind of a store is SecretStore, in the namespace of the ExternalSecret, unless it is set: `secretStoreRef` in
    `apis/externalsecrets/v1/externalsecret_types.go` of External Secrets 2.9.0.
    """
    cluster = {one["metadata"]["name"] for manifests in entries.values() for one in _cluster_stores(manifests)}
    for entry, manifests in entries.items():
        known = [*manifests, *(one for name in _OF_SERVICES for one in entries.get(name, ()))]
        own = {(_namespace(one), one["metadata"]["name"]) for one in of_kind(known, "SecretStore")}
        for secret in of_kind(manifests, "ExternalSecret", "ClusterExternalSecret", "PushSecret"):
            for path, reference in _references(secret):
                name, kind = reference["name"], reference.get("kind", "SecretStore")
                where = f"{entry}: {name_of(secret)}: {path}.name: {name}"
                if kind == "ClusterSecretStore" and name not in cluster:
                    yield f"{where}: no ClusterSecretStore has this name; write one of {', '.join(sorted(cluster))}"
                elif kind == "SecretStore" and (_namespace(secret), name) not in own:
                    remedy = "write kind: ClusterSecretStore" if name in cluster else "add it, or name one that exists"
                    yield f"{where}: no SecretStore has this name in the namespace; {remedy}"
            if secret["kind"] == "ExternalSecret" and _lacks_a_store(secret["spec"]):
                yield f"{entry}: {name_of(secret)}: spec.secretStoreRef: missing; name a store"


def service_accounts_of_cluster_stores_exist(entries: Entries) -> Iterator[str]:
    """Without a namespace, a ClusterSecretStore uses the service account in the namespace of each ExternalSecret.

    Source: `pkg/provider/aws/auth/auth.go` of External Secrets 0.20.4.
    """
    for manifests in entries.values():
        for store in _cluster_stores(manifests):
            accounts = [one["serviceAccountRef"] for one in within(store["spec"]) if "serviceAccountRef" in one]
            for account in (account["name"] for account in accounts if not account.get("namespace")):
                lacking = sorted(_entries_without(account, store["metadata"]["name"], entries))
                if lacking:
                    yield (
                        f"{name_of(store)}: serviceAccountRef {account} has no namespace, and there is none in"
                        f" {', '.join(lacking)}; add the namespace of the ServiceAccount"
                    )


def _entries_without(account: str, store: str, entries: Entries) -> Iterator[str]:
    """The entries with an ExternalSecret that uses the store, and without the ServiceAccount."""
    for entry, manifests in entries.items():
        accounts = {one["metadata"]["name"] for one in of_kind(manifests, "ServiceAccount")}
        secrets = of_kind(manifests, "ExternalSecret")
        used = any(reference["name"] == store for secret in secrets for _, reference in _references(secret))
        if used and account not in accounts:
            yield entry


def _cluster_stores(manifests: Sequence[Json]) -> list[Json]:
    return of_kind(manifests, "ClusterSecretStore")


def _namespace(manifest: Json) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def _references(secret: Json) -> Iterator[tuple[str, Json]]:
    """The references to stores, each with its path."""
    for path, holder in with_paths(secret["spec"], "spec"):
        named = {f"{path}.{key}": holder.get(key) for key in ("secretStoreRef", "storeRef")}
        named |= {f"{path}.secretStoreRefs[{i}]": one for i, one in enumerate(holder.get("secretStoreRefs") or [])}
        yield from ((field, one) for field, one in named.items() if isinstance(one, dict) and one.get("name"))


def _lacks_a_store(spec: Json) -> bool:
    sources = [*(spec.get("data") or []), *(spec.get("dataFrom") or [])]
    return not (spec.get("secretStoreRef") or {}).get("name") and not all(one.get("sourceRef") for one in sources)


def keys_of_external_secrets_are_unique(entries: Entries) -> Iterator[str]:
    """Of two values for one key, the Secret has only the later one.

    Source: handleSecretData of External Secrets 1.3.2, `externalsecret_controller_secret.go`.
    """
    for entry, manifests in entries.items():
        for secret in of_kind(manifests, "ExternalSecret"):
            seen: dict[str, int] = {}
            for index, one in enumerate(secret["spec"].get("data") or []):
                first = seen.setdefault(one["secretKey"], index)
                if first != index:
                    yield (
                        f"{entry}: {name_of(secret)}: spec.data[{index}].secretKey: {one['secretKey']}: "
                        f"also in spec.data[{first}]; write another key, or remove one"
                    )


def secrets_have_one_owner(entries: Entries) -> Iterator[str]:
    """The second ExternalSecret that creates a Secret fails: `target is owned by another ExternalSecret`.

    Source: `externalsecret_controller.go` of External Secrets 1.3.2; others than Owner add to a Secret.
    """
    for entry, manifests in entries.items():
        owners: dict[tuple[str, str], str] = {}
        for secret in of_kind(manifests, "ExternalSecret"):
            target = secret["spec"].get("target") or {}
            name = str(target.get("name") or secret["metadata"]["name"])
            if target.get("creationPolicy", "Owner") == "Owner":
                first = owners.setdefault((_namespace(secret), name), name_of(secret))
                if first != name_of(secret):
                    yield f"{entry}: {name_of(secret)}: spec.target.name: {name}: also of {first}; write another name"


# The keys that the API server requires of a Secret, or one of several: ValidateSecret of Kubernetes 1.37.0,
# pkg/apis/core/validation/validation.go, and the constants of its pkg/apis/core/types.go.
_KEYS: Mapping[str, Sequence[Sequence[str]]] = {
    "kubernetes.io/basic-auth": (("username", "password"),),
    "kubernetes.io/dockercfg": ((".dockercfg",),),
    "kubernetes.io/dockerconfigjson": ((".dockerconfigjson",),),
    "kubernetes.io/ssh-auth": (("ssh-privatekey",),),
    "kubernetes.io/tls": (("tls.crt",), ("tls.key",)),
}


def secrets_have_the_keys_of_their_type(entries: Entries) -> Iterator[str]:
    """Otherwise the API server refuses the Secret, so it is never created."""
    for entry, manifests in entries.items():
        for secret in of_kind(manifests, "ExternalSecret"):
            template = (secret["spec"].get("target") or {}).get("template") or {}
            merged = template.get("mergePolicy") == "Merge" or not template.get("data")
            if template.get("templateFrom") or (merged and secret["spec"].get("dataFrom")):
                continue  # it may have any key
            keys = set(template.get("data") or {})
            keys |= {one["secretKey"] for one in secret["spec"].get("data") or [] if merged}
            kind = template.get("type", "Opaque")
            yield from (
                f"{entry}: {name_of(secret)}: spec.target.template.type: {kind}: no key {' or '.join(one_of)}; add it"
                for one_of in _KEYS.get(kind, ())
                if not keys & {*one_of}
            )


def searches_are_regular_expressions(entries: Entries) -> Iterator[str]:
    """Otherwise the ExternalSecret fails on each refresh, and its Secret is never created.

    Source: New of External Secrets 0.20.4, pkg/find/find.go.
    """
    for entry, manifests in entries.items():
        for secret in of_kind(manifests, "ExternalSecret"):
            for index, source in enumerate(secret["spec"].get("dataFrom") or []):
                text = str(((source.get("find") or {}).get("name") or {}).get("regexp", ""))
                if said := wrong_expression(text):
                    field = f"spec.dataFrom[{index}].find.name.regexp"
                    yield f"{entry}: {name_of(secret)}: {field}: {text}: {said}; correct it"


def generators_of_external_secrets_exist(entries: Entries) -> Iterator[str]:
    """Without its generator, the Secret is never created. A ClusterGenerator is of all namespaces.

    Source: GeneratorRef of External Secrets 0.20.4, apis/externalsecrets/v1/externalsecret_types.go.
    """
    cluster = {one["metadata"]["name"] for all_of in entries.values() for one in of_kind(all_of, "ClusterGenerator")}
    for entry, manifests in entries.items():
        for secret in of_kind(manifests, "ExternalSecret", "PushSecret"):
            for path, holder in with_paths(secret["spec"], "spec"):
                reference = holder.get("generatorRef")
                kind, name = (reference.get(key) for key in ("kind", "name")) if reference else (None, None)
                own = {(_namespace(one), one["metadata"]["name"]) for one in of_kind(manifests, str(kind))}
                known = name in cluster if kind == "ClusterGenerator" else (_namespace(secret), name) in own
                if reference and not known:
                    field = f"{path}.generatorRef.name: {name}"
                    yield f"{entry}: {name_of(secret)}: {field}: no {kind} has this name; add it, or name another"


ALL = (
    generators_of_external_secrets_exist,
    searches_are_regular_expressions,
    stores_of_external_secrets_exist,
    service_accounts_of_cluster_stores_exist,
    keys_of_external_secrets_are_unique,
    secrets_have_one_owner,
    secrets_have_the_keys_of_their_type,
)
