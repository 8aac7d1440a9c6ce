"""The roles through which environments of other accounts reach the zone of the platform's domain."""

from collections.abc import Mapping, Sequence

from constructs import Construct

from eks_gitops.delivery.boundary import changed_records, delivery_path
from eks_gitops.iam import Role, Statement, policy_document
from eks_gitops.location import Location

READ_DELEGATION = "plan"
"""The suffix of the role that only reads, of all plans. No environment has this name."""


def delegation_role_arn(location: Location, name: str) -> str:
    """The ARN of the role of an environment, or of plans. `location` is that of the shared stack with the zone."""
    return location.arn("iam", f"role{delivery_path(location)}{location.name(_suffix(name))}")


def _suffix(name: str) -> str:
    return f"delegation-{name}"


class DelegationRoles(Construct):
    """A role for each environment of another account, which writes its NS record only, and one that reads, for plans.

    A role trusts the account, whose IAM policies decide who assumes it: there, only the apply role of the environment,
    the plan role and administrators may. The role itself need not exist yet, unlike one that a trust policy names.
    `domains` are those of the environments, by account and name.
    """

    def __init__(
        self, scope: Construct, id_: str, *, location: Location, zone_arn: str, domains: Mapping[str, Mapping[str, str]]
    ) -> None:
        super().__init__(scope, id_)
        read = [
            Statement(
                sid="FindZone",
                actions=["route53:ListHostedZones", "route53:ListHostedZonesByName"],
                resources=["*"],
            ),
            Statement(
                sid="ReadZone",
                actions=[
                    "route53:GetChange",
                    "route53:GetHostedZone",
                    "route53:ListResourceRecordSets",
                    "route53:ListTagsForResource",
                ],
                resources=[zone_arn, location.arn("route53", "change/*")],
            ),
        ]
        self._role(location, READ_DELEGATION, list(domains), "Plans of other accounts: reads the zone", read)
        for account_id, environments in domains.items():
            for name, domain in environments.items():
                write = Statement(
                    sid="Delegation",
                    actions=["route53:ChangeResourceRecordSets"],
                    resources=[zone_arn],
                    conditions=changed_records([domain], "NS"),
                )
                self._role(location, name, [account_id], f"Delegates {domain} to account {account_id}", [*read, write])

    def _role(
        self, location: Location, name: str, accounts: Sequence[str], description: str, statements: Sequence[Statement]
    ) -> None:
        roots = [location.arn("iam", "root", account_id=account_id) for account_id in accounts]
        Role(
            self,
            name,
            location=location,
            name=_suffix(name),
            path=delivery_path(location),
            description=description,
            trust=[Statement(actions=["sts:AssumeRole"], principals={"AWS": roots})],
            permissions_boundary=None,
            policies={"zone": policy_document(*statements)},
        )
