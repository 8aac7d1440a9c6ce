"""Validation rules on environments whose cluster has no Argo CD of its own: that of another one, the hub, deploys."""

from collections.abc import Iterator

from eks_gitops.config import Problem
from eks_gitops.versions import ARGO_CD_CHARTS
from stacks.settings import Environment, Region

_FIELD = "gitops.hub"


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    return [
        *[(environment.file, rule(region, environment)) for environment in region.environments for rule in _RULES],
        *[(further.file, _further(further)) for environment in region.environments for further in environment.further],
    ]


def _hub(region: Region, environment: Environment) -> Environment | None:
    return next((one for one in region.environments if environment.hub == one.name != environment.name), None)


def _unknown(region: Region, environment: Environment) -> Iterator[Problem]:
    """Each region has its own hub: a cluster in another region would be lost with the region of its hub."""
    hub = environment.hub
    if hub is not None and _hub(region, environment) is None:
        others = [one.name for one in region.environments if one.name != environment.name and one.hub is None]
        message = f"no other environment of {region.name}; choose one of {', '.join(others)}, or None"
        yield Problem(_FIELD, hub, message if others else f"no other environment of {region.name}; set it to None")


def _chain(region: Region, environment: Environment) -> Iterator[Problem]:
    hub = _hub(region, environment)
    if hub is not None and hub.hub is not None:
        message = f"has no Argo CD, but that of {hub.hub}; write {hub.hub}"
        yield Problem(_FIELD, hub.name, message)


def _account(region: Region, environment: Environment) -> Iterator[Problem]:
    """The apply role of each reads the other's outputs in the state bucket of the account (`write_state`)."""
    hub = _hub(region, environment)
    if hub is not None and hub.settings.account_id != environment.settings.account_id:
        message = f"in the account {hub.settings.account_id}; choose an environment of the same account, or None"
        yield Problem(_FIELD, hub.name, message)


def _production(region: Region, environment: Environment) -> Iterator[Problem]:
    """Who can change the Argo CD of the hub can change all clusters to which it deploys."""
    hub = _hub(region, environment)
    if hub is not None and environment.settings.production and not hub.settings.production:
        message = "not for production, but its administrators would be those of production; choose another hub"
        yield Problem(_FIELD, hub.name, message)


def _further_clusters(region: Region, environment: Environment) -> Iterator[Problem]:
    """ApplicationSets name an Application after its environment, so one Argo CD cannot have two of its clusters."""
    if _hub(region, environment) is not None and environment.further:
        message = (
            "the Applications of its clusters would have the same names; set it to None, or remove the further ones"
        )
        yield Problem(_FIELD, environment.hub, message)


def _further(environment: Environment) -> Iterator[Problem]:
    if environment.hub is not None:
        message = "a further cluster has its own Argo CD; set it to None"
        yield Problem(_FIELD, environment.hub, message).below(environment.path)


def _auto_mode(region: Region, environment: Environment) -> Iterator[Problem]:
    if _hub(region, environment) is not None and environment.settings.cluster.auto_mode is not None:
        message = "with EKS Auto Mode, the IngressClass is installed with Argo CD; set it to None, or cluster.auto_mode"
        yield Problem(_FIELD, environment.hub, message)


def _trials(region: Region, environment: Environment) -> Iterator[Problem]:
    """Argo CD connects by EKS Pod Identity and an access entry, which a cluster outside of EKS does not have."""
    hub = _hub(region, environment)
    for one in (environment, hub) if hub is not None else ():
        kubeconfig = one.settings.gitops.kubeconfig
        if kubeconfig is not None:
            message = f"{one.name} uses the cluster of {kubeconfig}, which is not in EKS; set it to None for the trial"
            yield Problem(_FIELD, environment.hub, message)


def _chart(region: Region, environment: Environment) -> Iterator[Problem]:
    hub, version = _hub(region, environment), environment.settings.cluster.version
    chart = None if hub is None else ARGO_CD_CHARTS.get(hub.settings.gitops.argo_cd.chart_version)
    if hub is not None and chart is not None and not chart.supports(version):
        first, last = chart.kubernetes
        message = (
            f"its Argo CD is tested with Kubernetes {first} to {last}, not {version}; upgrade argo_cd of {hub.name}"
        )
        yield Problem(_FIELD, hub.name, message)


_RULES = (_unknown, _chain, _account, _production, _further_clusters, _auto_mode, _trials, _chart)
