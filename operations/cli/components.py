"""The commands for platform components in this repository."""

from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import errors_for_people, say

app = typer.Typer(add_completion=False)

Name = Annotated[str, typer.Argument(help="The name of the component, its folder in management/, and its release.")]


@app.command()
def component(
    name: Name,
    chart: Annotated[str, typer.Option(help="The name of the Helm chart.")],
    repository: Annotated[str, typer.Option(help="The repository of the chart: https://… or oci://…")],
    version: Annotated[str, typer.Option(help="The exact version of the chart, such as 1.20.2.")],
    namespace: Annotated[
        str | None, typer.Option(help="The namespace of the chart's objects; that of the component's name if omitted.")
    ] = None,
) -> None:
    """Create the files of a new platform component, which Argo CD installs in every cluster, and permit it.

    Writes either all files or, if there is any error, none. Downloads nothing.

    Example: make component NAME=cert-manager CHART=cert-manager REPOSITORY=https://charts.jetstack.io VERSION=1.20.2
    """
    from operations.components import creation  # noqa: PLC0415

    new = creation.NewComponent(name=name, chart=chart, repository=repository, version=version, namespace=namespace)
    with errors_for_people():
        creation.write_component(Path(), new, typer.echo)
    place = f"oci://{new.source}/{chart}" if new.is_oci else f"{chart} --repo {new.source}"
    values = f"management/{name}/values.yaml"
    options = f"--version {version} --namespace {new.in_namespace} --include-crds --values {values}"
    say("\nNext:")
    typer.echo(
        f"  helm show values {place} --version {version}    # set what it needs in {values}\n"
        f"  helm template {name} {place} {options}\n"
        "      # management/bootstrap/projects/management.yaml must permit its kinds and namespaces, the network\n"
        "      # policies its ports: no check sees them; docs/gitops.md, A component, has the list\n"
        "  make validate\n"
        "  git diff    # review it, and commit"
    )


@app.command("remove-component")
def remove_component(name: Name) -> None:
    """Remove the files of a platform component, and what is permitted only for it.

    Removes either everything or, if there is any error, nothing. Refuses while something needs the component.

    Example: make component NAME=cert-manager REMOVE=1
    """
    from operations.components import removal  # noqa: PLC0415

    with errors_for_people():
        namespaces = removal.remove_component(Path(), name, typer.echo)
    say("\nNext, in this order:")
    typer.echo(
        "  1. In every cluster, while the component still runs: delete the objects of its kinds. Only its controller\n"
        "     removes their finalizers, and the AWS resources behind them. Argo CD deletes neither them nor the CRDs.\n"
        f"       argocd app resources {name}-ENVIRONMENT    # all that Argo CD will delete, and its CRDs\n"
        "       kubectl get KIND --all-namespaces"
    )
    for namespace in namespaces:
        typer.echo(
            f"     Namespace {namespace} is deleted with all that it contains, and volumes with their claims:\n"
            f"       kubectl --namespace {namespace} get persistentvolumeclaims,secrets,configmaps"
        )
    typer.echo(
        f"  2. Commit and merge management/{name} alone. Argo CD deletes {name}-ENVIRONMENT and its objects, but only\n"
        "     those that the AppProject permits. Wait until it is gone in every cluster:\n"
        f"       git add management/{name} && git commit\n"
        "       kubectl --namespace argocd get applications\n"
        "  3. In management/bootstrap/projects/management.yaml remove the kinds that only it needed, and commit the\n"
        "     file. Delete the CRDs:\n"
        "       kubectl delete customresourcedefinitions NAME"
    )
    typer.echo(f"  git grep -nw {name}    # what else describes it\n  make validate")
