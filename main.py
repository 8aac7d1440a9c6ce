"""Every stack of every region and environment, on one page. `cdktf synth` runs it."""

import sys
from datetime import UTC, datetime

import stacks  # noqa: F401  (before cdktf: the provider packages then load lazily)

# isort: split
from cdktf import Annotations, App

from stacks import warnings
from stacks.backend import BackendStack
from stacks.environment import EnvironmentStack
from stacks.gitops import GitopsStack
from stacks.loading import SettingsError, load
from stacks.settings import Owner, Region
from stacks.shared import SharedStack

REGIONS = ("stacks.ap_northeast_2",)
"""The folders of settings: a new region is one folder and one line here."""


def build(app: App, owner: Owner, regions: list[Region]) -> None:
    """Add every stack to `app`; CDKTF orders them by the references between them."""
    for region in regions:
        BackendStack(app, region, owner=owner)
        shared = SharedStack(app, region, owner=owner)
        for environment in region.environments:
            aws = EnvironmentStack(app, region, environment, owner=owner, shared=shared)
            GitopsStack(app, region, environment, owner=owner, shared=shared, aws=aws)


def main() -> None:
    """Load the settings, say all that is wrong with them, or synthesize."""
    try:
        owner, regions = load(REGIONS)
    except SettingsError as error:
        sys.exit(str(error))
    app = App(stack_traces=False)  # they name folders of this run
    build(app, owner, regions)
    for stack, warning in warnings.found(owner, regions, datetime.now(tz=UTC).date()):
        Annotations.of(app.node.find_child(stack)).add_warning(warning)
    app.synth()


if __name__ == "__main__":
    main()
