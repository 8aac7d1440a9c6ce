"""The CDKTF app: creates the stacks of all regions and environments. `cdktf synth` runs it."""

import gc
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

if __name__ == "__main__":
    gc.disable()  # a synthesis leaves next to nothing to collect, and looking for it takes a twentieth of the time

# isort: split
import stacks  # noqa: F401  (before cdktf, to install lazy loading of the provider packages)

# isort: split
from cdktf import Annotations, App

from stacks import platform, warnings
from stacks.backend import BackendStack
from stacks.base import RegionStack
from stacks.environment import EnvironmentStack, FurtherClusterStack
from stacks.gitops import GitopsStack
from stacks.loading import SettingsError, load
from stacks.regions import REGIONS
from stacks.settings import Owner, Region
from stacks.shared import SharedStack


def build(app: App, owner: Owner, regions: Sequence[Region]) -> list[RegionStack]:
    """Add all stacks to `app`, and return them. CDKTF derives their order from the references between them."""
    added: list[RegionStack] = []
    for region in [account for every in regions for account in every.accounts]:
        added.append(BackendStack(app, region, owner=owner))
        shared = SharedStack(app, region, owner=owner)
        added.append(shared)
        environments: dict[str, EnvironmentStack] = {}
        for environment in sorted(region.environments, key=lambda one: one.hub is not None):  # hubs before their spokes
            environments[environment.name] = EnvironmentStack(
                app, region, environment, owner=owner, shared=shared, hub=environments.get(environment.hub or "")
            )
        for environment in region.environments:
            aws = environments[environment.name]
            spokes = [environments[spoke.name] for spoke in region.spokes(environment)]
            added += [aws, GitopsStack(app, region, environment, owner=owner, shared=shared, aws=aws, spokes=spokes)]
            for further in environment.further:
                beside = FurtherClusterStack(app, region, further, owner=owner, shared=shared, first=aws)
                added += [beside, GitopsStack(app, region, further, owner=owner, shared=shared, aws=beside)]
    return added


def synthesize(app: App, owner: Owner, regions: Sequence[Region]) -> None:
    """Write all stacks and `platform.json` to the output folder of `app`."""
    added = build(app, owner, regions)
    for stack, warning in warnings.found(owner, regions, datetime.now(tz=UTC).date()):
        Annotations.of(app.node.find_child(stack)).add_warning(warning)
    app.synth()
    platform.write_platform(
        Path(app.outdir),
        regions=[region.describe() for region in regions],
        stacks={stack.node.id: stack.describe() for stack in added},
        placeholders=list(warnings.placeholders(owner, regions)),
    )


def main() -> None:
    """Load the settings and synthesize; report all errors if the settings are invalid."""
    try:
        owner, regions = load(REGIONS)
    except SettingsError as error:
        sys.exit(str(error))
    app = App(stack_traces=False)  # stack traces contain local paths
    synthesize(app, owner, regions)


if __name__ == "__main__":
    main()
