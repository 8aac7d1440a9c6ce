"""ContainerLogs: the log group of a cluster's containers, the role of Fluent Bit that writes it, and saved queries."""

from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.cloudwatch_query_definition import CloudwatchQueryDefinition
from constructs import Construct

from eks_gitops.cluster import Cluster, cluster_log_group_name
from eks_gitops.config import Config, LogRetentionDays
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.workload_identity import ServiceAccount, WorkloadRole

_FLUENT_BIT = ServiceAccount(namespace="fluent-bit", name="fluent-bit")
_SERVICE = "kubernetes.namespace_name"
_AUDIT = 'filter @logStream like "kube-apiserver-audit"'
_PEOPLE = 'user.username not like "system:"'
_NEWEST = "sort @timestamp desc | limit 200"

_QUERIES_OF_CONTAINERS = {
    "logs-of-a-service": (
        f'fields @timestamp, kubernetes.pod_name, log | filter {_SERVICE} = "guestbook-dev" | {_NEWEST}'
    ),
    "errors-by-service": (
        f"filter log like /(?i)(error|exception|fatal|panic)/ | stats count(*) as errors by {_SERVICE} | "
        "sort errors desc"
    ),
    "volume-by-service": (
        f"stats sum(strlen(@message)) / 1000000 as megabytes, count(*) as lines by {_SERVICE} | sort megabytes desc"
    ),
}
_OF_AUDIT = "fields @timestamp, user.username, verb, objectRef.resource, objectRef.namespace, objectRef.name"
_QUERIES_OF_AUDIT = {
    "who-changed-what": (
        f'{_OF_AUDIT} | {_AUDIT} | filter verb in ["create", "update", "patch", "delete", "deletecollection"] '
        f"and {_PEOPLE} | {_NEWEST}"
    ),
    "who-read-secrets": f'{_OF_AUDIT} | {_AUDIT} | filter objectRef.resource = "secrets" and {_PEOPLE} | {_NEWEST}',
    "who-was-refused": f"{_OF_AUDIT}, responseStatus.code | {_AUDIT} | filter responseStatus.code = 403 | {_NEWEST}",
}
"""Queries of CloudWatch Logs Insights by name. EKS writes the events of the Kubernetes audit log as JSON.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html,
https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html and
https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
"""


class ContainerLogsConfig(Config):
    """The logs of all containers in CloudWatch Logs, and saved queries on them and on the audit log.

    Fluent Bit, a component, reads them on each node.
    """

    retention_days: LogRetentionDays = 90
    """Days until CloudWatch deletes a line. Of the audit log, it is `cluster.log_retention_days`."""


class ContainerLogs(Construct):
    """An encrypted log group. Only Fluent Bit may write it, which can neither create nor delete log groups."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: ContainerLogsConfig,
        *,
        context: Context,
        cluster: Cluster,
        cluster_name: str,
    ) -> None:
        super().__init__(scope, id_)
        self.group_name = container_log_group_name(cluster_name)
        group = CloudwatchLogGroup(
            self,
            "log-group",
            name=self.group_name,
            retention_in_days=config.retention_days,
            kms_key_id=context.key.arn,
        )
        self.role_arn = WorkloadRole(
            self,
            "fluent-bit",
            "pod-identity",
            _FLUENT_BIT,
            context=context,
            name="fluent-bit",
            cluster=cluster,
            policies={
                "write-logs": policy_document(
                    Statement(
                        actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                        resources=[context.location.arn("logs", f"log-group:{self.group_name}:*")],
                    )
                )
            },
        ).arn
        audit = cluster_log_group_name(cluster_name)
        for log_group, queries in ((self.group_name, _QUERIES_OF_CONTAINERS), (audit, _QUERIES_OF_AUDIT)):
            for name, query in queries.items():
                CloudwatchQueryDefinition(
                    self,
                    f"query-{name}",
                    name=f"{cluster_name}/{name}",
                    log_group_names=[log_group],
                    query_string=query,
                    depends_on=[group],
                )


def container_log_group_name(cluster_name: str) -> str:
    """The name of the log group of a cluster's containers, beside that of its control plane."""
    return f"/aws/eks/{cluster_name}/containers"
