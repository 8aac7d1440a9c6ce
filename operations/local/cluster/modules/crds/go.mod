module eks-gitops-platform/crds

go 1.27.0

// Only their files are used, so `go mod tidy` would remove them. Each is the version that the chart in management/ has,
// except External Secrets: this is its newest version that is a Go module. That of External DNS has no CRD, but the chart.
require (
	github.com/argoproj/argo-cd/v3 v3.5.1
	github.com/argoproj/argo-rollouts v1.9.1
	github.com/aws/karpenter-provider-aws v1.15.2
	github.com/external-secrets/external-secrets v1.3.2
	github.com/kyverno/kyverno v1.19.1
	github.com/prometheus-operator/prometheus-operator v0.93.0
	sigs.k8s.io/external-dns v0.23.0
)
