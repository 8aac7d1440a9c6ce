// Validates manifests as the API server does before it stores them, without a server: unknown fields, defaults, schemas
// and their CEL rules, and the validation of built-in kinds.
//
// Reads a JSON list of manifests, and writes one of {index, problem}. Its argument is a folder with CRDs; those among the
// manifests count, too.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"

	apiext "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextinstall "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiextensions-apiserver/pkg/crdserverscheme"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresource"
	"k8s.io/apiextensions-apiserver/pkg/registry/customresourcedefinition"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	apiregistration "k8s.io/kube-aggregator/pkg/apis/apiregistration/install"
	"k8s.io/kube-aggregator/pkg/registry/apiservice"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/admissionregistration/install"
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	_ "k8s.io/kubernetes/pkg/apis/batch/install"
	_ "k8s.io/kubernetes/pkg/apis/certificates/install"
	_ "k8s.io/kubernetes/pkg/apis/coordination/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	_ "k8s.io/kubernetes/pkg/apis/flowcontrol/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
	_ "k8s.io/kubernetes/pkg/apis/node/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	_ "k8s.io/kubernetes/pkg/apis/resource/install"
	_ "k8s.io/kubernetes/pkg/apis/scheduling/install"
	_ "k8s.io/kubernetes/pkg/apis/storage/install"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/mutatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/admissionregistration/validatingwebhookconfiguration"
	"k8s.io/kubernetes/pkg/registry/apps/daemonset"
	"k8s.io/kubernetes/pkg/registry/apps/deployment"
	"k8s.io/kubernetes/pkg/registry/apps/replicaset"
	"k8s.io/kubernetes/pkg/registry/apps/statefulset"
	"k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
	"k8s.io/kubernetes/pkg/registry/batch/cronjob"
	"k8s.io/kubernetes/pkg/registry/batch/job"
	"k8s.io/kubernetes/pkg/registry/coordination/lease"
	"k8s.io/kubernetes/pkg/registry/core/configmap"
	"k8s.io/kubernetes/pkg/registry/core/endpoint"
	"k8s.io/kubernetes/pkg/registry/core/limitrange"
	"k8s.io/kubernetes/pkg/registry/core/namespace"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolume"
	"k8s.io/kubernetes/pkg/registry/core/persistentvolumeclaim"
	"k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/kubernetes/pkg/registry/core/podtemplate"
	"k8s.io/kubernetes/pkg/registry/core/resourcequota"
	"k8s.io/kubernetes/pkg/registry/core/secret"
	"k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/flowschema"
	"k8s.io/kubernetes/pkg/registry/flowcontrol/prioritylevelconfiguration"
	"k8s.io/kubernetes/pkg/registry/networking/ingress"
	"k8s.io/kubernetes/pkg/registry/networking/ingressclass"
	"k8s.io/kubernetes/pkg/registry/networking/networkpolicy"
	"k8s.io/kubernetes/pkg/registry/node/runtimeclass"
	"k8s.io/kubernetes/pkg/registry/policy/poddisruptionbudget"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	"k8s.io/kubernetes/pkg/registry/resource/deviceclass"
	"k8s.io/kubernetes/pkg/registry/scheduling/priorityclass"
	"k8s.io/kubernetes/pkg/registry/storage/csidriver"
	"k8s.io/kubernetes/pkg/registry/storage/storageclass"
	"k8s.io/kubernetes/pkg/registry/storage/volumeattributesclass"
	"sigs.k8s.io/yaml"
)

// The kinds with the rules of the API server. Of all others that it has, only fields and their types are checked.
var builtIn = map[schema.GroupKind]rest.RESTCreateStrategy{
	{Group: "", Kind: "ConfigMap"}:                                                  configmap.Strategy,
	{Group: "", Kind: "Endpoints"}:                                                  endpoint.Strategy,
	{Group: "", Kind: "LimitRange"}:                                                 limitrange.Strategy,
	{Group: "", Kind: "Namespace"}:                                                  namespace.Strategy,
	{Group: "", Kind: "PersistentVolume"}:                                           persistentvolume.Strategy,
	{Group: "", Kind: "PersistentVolumeClaim"}:                                      persistentvolumeclaim.Strategy,
	{Group: "", Kind: "Pod"}:                                                        pod.Strategy,
	{Group: "", Kind: "PodTemplate"}:                                                podtemplate.Strategy,
	{Group: "", Kind: "ResourceQuota"}:                                              resourcequota.Strategy,
	{Group: "", Kind: "Secret"}:                                                     secret.Strategy,
	{Group: "", Kind: "Service"}:                                                    service.Strategy,
	{Group: "", Kind: "ServiceAccount"}:                                             serviceaccount.Strategy,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   mutatingwebhookconfiguration.Strategy,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: validatingwebhookconfiguration.Strategy,
	{Group: "apps", Kind: "DaemonSet"}:                                              daemonset.Strategy,
	{Group: "apps", Kind: "Deployment"}:                                             deployment.Strategy,
	{Group: "apps", Kind: "ReplicaSet"}:                                             replicaset.Strategy,
	{Group: "apps", Kind: "StatefulSet"}:                                            statefulset.Strategy,
	{Group: "autoscaling", Kind: "HorizontalPodAutoscaler"}:                         horizontalpodautoscaler.Strategy,
	{Group: "batch", Kind: "CronJob"}:                                               cronjob.Strategy,
	{Group: "batch", Kind: "Job"}:                                                   job.Strategy,
	{Group: "coordination.k8s.io", Kind: "Lease"}:                                   lease.Strategy,
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:                              endpointslice.Strategy,
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "FlowSchema"}:                     flowschema.Strategy,
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "PriorityLevelConfiguration"}:     prioritylevelconfiguration.Strategy,
	{Group: "networking.k8s.io", Kind: "Ingress"}:                                   ingress.Strategy,
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                              ingressclass.Strategy,
	{Group: "networking.k8s.io", Kind: "NetworkPolicy"}:                             networkpolicy.Strategy,
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                                    runtimeclass.Strategy,
	{Group: "policy", Kind: "PodDisruptionBudget"}:                                  poddisruptionbudget.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole"}:                       clusterrole.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:                clusterrolebinding.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "Role"}:                              role.Strategy,
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                       rolebinding.Strategy,
	{Group: "resource.k8s.io", Kind: "DeviceClass"}:                                 deviceclass.Strategy,
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                             priorityclass.Strategy,
	{Group: "storage.k8s.io", Kind: "CSIDriver"}:                                    csidriver.Strategy,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 storageclass.Strategy,
	{Group: "storage.k8s.io", Kind: "VolumeAttributesClass"}:                        volumeattributesclass.Strategy,
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:               customresourcedefinition.NewStrategy(legacyscheme.Scheme),
	{Group: "apiregistration.k8s.io", Kind: "APIService"}:                           apiservice.NewStrategy(legacyscheme.Scheme),
}

type found struct {
	Index   int    `json:"index"`
	Problem string `json:"problem"`
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: kubernetes <folder with CRDs> < manifests.json")
	}
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true}) // as EKS does
	apiextinstall.Install(legacyscheme.Scheme)
	apiregistration.Install(legacyscheme.Scheme)
	custom := definitions(os.Args[1])
	text, err := io.ReadAll(os.Stdin)
	exitOn(err)
	var manifests []json.RawMessage
	exitOn(json.Unmarshal(text, &manifests))
	for _, manifest := range manifests {
		var published apiextv1.CustomResourceDefinition
		if json.Unmarshal(manifest, &published) == nil && published.Kind == "CustomResourceDefinition" &&
			len(problems(manifest, custom)) == 0 {
			maps.Copy(custom, versions(&published))
		}
	}
	all := []found{}
	for index, manifest := range manifests {
		for _, problem := range slices.Compact(problems(manifest, custom)) {
			all = append(all, found{index, problem})
		}
	}
	exitOn(json.NewEncoder(os.Stdout).Encode(all))
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func problems(manifest []byte, custom map[schema.GroupVersionKind]definition) []string {
	var object unstructured.Unstructured
	if err := object.UnmarshalJSON(manifest); err != nil {
		return []string{err.Error()}
	}
	kind := object.GroupVersionKind()
	if legacyscheme.Scheme.Recognizes(kind) {
		decoder := jsonserializer.NewSerializerWithOptions(
			jsonserializer.DefaultMetaFactory, legacyscheme.Scheme, legacyscheme.Scheme,
			jsonserializer.SerializerOptions{Strict: true},
		)
		internal := schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal}
		decoded, _, err := legacyscheme.Codecs.DecoderToVersion(decoder, internal).Decode(manifest, nil, nil)
		strategy, known := builtIn[kind.GroupKind()]
		if decoded == nil || !known {
			return lines(err)
		}
		return append(lines(err), created(strategy, kind, decoded)...)
	}
	if definition, known := custom[kind]; known {
		unknown, err := definition.coerce(&object)
		if err != nil {
			return append(unknown, err.Error())
		}
		return append(unknown, created(definition.strategy, kind, &object)...)
	}
	return []string{fmt.Sprintf("apiVersion: %s: no such kind; correct it, or add its CRD", object.GetAPIVersion())}
}

// What the API server says to a request that creates the object.
func created(strategy rest.RESTCreateStrategy, kind schema.GroupVersionKind, object runtime.Object) []string {
	metadata, err := meta.Accessor(object)
	exitOn(err)
	if strategy.NamespaceScoped() && metadata.GetNamespace() == "" {
		metadata.SetNamespace("default")
	}
	rest.FillObjectMetaSystemFields(metadata)
	ctx := request.WithNamespace(context.Background(), metadata.GetNamespace())
	ctx = request.WithRequestInfo(ctx, &request.RequestInfo{
		IsResourceRequest: true, Verb: "create", APIGroup: kind.Group, APIVersion: kind.Version,
	})
	return lines(rest.BeforeCreate(strategy, ctx, object))
}

// The problems that an error of the API server lists.
func lines(err error) (found []string) {
	if err == nil {
		return nil
	}
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, one := range strict.Errors() {
			found = append(found, one.Error())
		}
		return found
	}
	if status, ok := err.(apierrors.APIStatus); ok && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			if cause.Field != "<nil>" { // says only that other problems may be found later
				found = append(found, cause.Field+": "+cause.Message)
			}
		}
	}
	if len(found) == 0 {
		found = []string{err.Error()}
	}
	return found
}

// One version of a CRD.
type definition struct {
	schema   *structural.Structural
	strategy rest.RESTCreateStrategy
}

func definitions(folder string) map[schema.GroupVersionKind]definition {
	found := map[schema.GroupVersionKind]definition{}
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	exitOn(err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		exitOn(err)
		var published apiextv1.CustomResourceDefinition
		exitOn(yaml.Unmarshal(text, &published))
		if published.Kind == "CustomResourceDefinition" {
			maps.Copy(found, versions(&published))
		}
	}
	return found
}

func versions(published *apiextv1.CustomResourceDefinition) map[schema.GroupVersionKind]definition {
	found := map[schema.GroupVersionKind]definition{}
	for _, version := range published.Spec.Versions {
		if !version.Served {
			continue
		}
		kind := schema.GroupVersionKind{
			Group: published.Spec.Group, Version: version.Name, Kind: published.Spec.Names.Kind,
		}
		var internal apiext.CustomResourceValidation
		exitOn(apiextv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
			version.Schema, &internal, nil,
		))
		schema_, err := structural.NewStructural(internal.OpenAPIV3Schema)
		exitOn(err)
		validator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
		exitOn(err)
		found[kind] = definition{schema_, customresource.NewStrategy(
			crdserverscheme.NewUnstructuredObjectTyper(), published.Spec.Scope == apiextv1.NamespaceScoped, kind,
			validator, nil, schema_, nil, nil, nil,
		)}
	}
	return found
}

// Removes unknown fields, of which it returns the names, and sets defaults: the API server does this when it decodes.
func (d definition) coerce(object *unstructured.Unstructured) (unknown []string, err error) {
	_, _, wrong, err := objectmeta.GetObjectMetaWithOptions(
		object.Object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true},
	)
	if err != nil {
		return nil, err
	}
	pruned := pruning.PruneWithOptions(
		object.Object, d.schema, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true},
	)
	for _, path := range append(wrong, pruned...) {
		unknown = append(unknown, fmt.Sprintf("unknown field %q", path))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, d.schema)
	defaulting.Default(object.Object, d.schema)
	return unknown, nil
}
