// Validates ExternalSecrets, their stores and their templates as External Secrets does, in its webhook and afterwards.
//
// Reads a JSON list of lists of manifests, each list what one namespace contains, and writes a JSON list of
// {group, index, problem}. Newer modules, such as 1.3.2, lack this code. What External Secrets 2.9.0 does otherwise than
// 0.20.4 is written here.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
)

type object = map[string]any

type found struct {
	Group   int    `json:"group"`
	Index   int    `json:"index"`
	Problem string `json:"problem"`
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	exitOn(err)
	var groups [][]object
	exitOn(json.Unmarshal(text, &groups))
	all := []found{}
	for group, manifests := range groups {
		for index, manifest := range manifests {
			for _, problem := range problems(manifest, manifests) {
				all = append(all, found{group, index, problem})
			}
		}
	}
	exitOn(json.NewEncoder(os.Stdout).Encode(all))
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func problems(manifest object, namespace []object) []string {
	switch manifest["kind"] {
	case "ExternalSecret":
		return ofSecret(manifest, "spec", namespace)
	case "ClusterExternalSecret":
		spec, _ := manifest["spec"].(object)
		refresh, _ := spec["refreshTime"].(string)
		return append(duration("spec.refreshTime", refresh), ofSecret(spec, "externalSecretSpec", namespace)...)
	case "PushSecret":
		spec, _ := manifest["spec"].(object)
		refresh, _ := spec["refreshInterval"].(string)
		return append(duration("spec.refreshInterval", refresh), ofTemplate("spec.template", spec["template"], nil, namespace)...)
	case "SecretStore", "ClusterSecretStore":
		return ofStore(manifest)
	}
	return nil
}

// What is said to an ExternalSecret, of which `holder` has the specification as `field`.
func ofSecret(holder object, field string, namespace []object) []string {
	path := strings.Replace(field, "externalSecretSpec", "spec.externalSecretSpec", 1)
	spec, _ := holder[field].(object)
	refresh, _ := spec["refreshInterval"].(string)
	if said := duration(path+".refreshInterval", refresh); said != nil {
		return said // the controller cannot read the object, and checks nothing else
	}
	var secret esv1.ExternalSecret
	if convert(spec, &secret.Spec) != nil {
		return nil // the API server says why
	}
	_, err := (&esv1.ExternalSecretValidator{}).ValidateCreate(context.Background(), &secret)
	said := each(path, err)
	if secret.Spec.Target.DeletionPolicy == esv1.DeletionPolicyDelete &&
		secret.Spec.Target.CreationPolicy == "CreateOrMerge" {
		said = append(said, path+".target: deletionPolicy Delete with creationPolicy CreateOrMerge; write Owner")
	}
	for i, source := range secret.Spec.DataFrom {
		for j, rewrite := range source.Rewrite {
			if rewrite.Regexp == nil {
				continue
			}
			if _, err := regexp.Compile(rewrite.Regexp.Source); err != nil {
				field := fmt.Sprintf("%s.dataFrom[%d].rewrite[%d].regexp.source", path, i, j)
				said = append(said, fmt.Sprintf("%s: Invalid value: %q: %s", field, rewrite.Regexp.Source, err))
			}
		}
	}
	// The keys that a template can use are known if each is named.
	var keys []string
	if len(secret.Spec.DataFrom) == 0 {
		keys = []string{}
		for _, data := range secret.Spec.Data {
			keys = append(keys, data.SecretKey)
		}
	}
	target, _ := spec["target"].(object)
	if target["manifest"] != nil {
		keys = nil
	}
	said = append(said, ofTargets(path+".target", target)...)
	return append(said, ofTemplate(path+".target.template", target["template"], keys, namespace)...)
}

func convert(from, to any) error {
	text, err := json.Marshal(from)
	exitOn(err)
	return json.Unmarshal(text, to)
}

// The errors that one error joins, a line each.
func each(path string, err error) (said []string) {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			said = append(said, each(path, one)...)
		}
		return said
	}
	return []string{path + ": " + err.Error()}
}

func duration(path, value string) []string {
	if value == "" {
		return nil
	}
	if _, err := time.ParseDuration(value); err != nil {
		return []string{fmt.Sprintf("%s: Invalid value: %q: no duration; write such as 30s, 5m or 1h0m0s", path, value)}
	}
	return nil
}

func ofStore(manifest object) (said []string) {
	spec, _ := manifest["spec"].(object)
	refresh, _ := spec["refreshInterval"].(string)
	said = duration("spec.refreshInterval", refresh)
	conditions, _ := spec["conditions"].([]any)
	for i, condition := range conditions {
		one, _ := condition.(object)
		expressions, _ := one["namespaceRegexes"].([]any)
		for j, expression := range expressions {
			text, _ := expression.(string)
			if _, err := regexp.Compile(text); err != nil {
				said = append(said, fmt.Sprintf("spec.conditions[%d].namespaceRegexes[%d]: Invalid value: %q: %s", i, j, text, err))
			}
		}
	}
	metadata, _ := manifest["metadata"].(object)
	if manifest["kind"] == "SecretStore" && metadata["namespace"] != nil {
		said = append(said, foreign("spec.provider", spec["provider"], metadata["namespace"])...)
	}
	return said
}

// A SecretStore uses only what is in its own namespace: see ValidateReferentSecretSelector and
// ValidateReferentServiceAccountSelector in pkg/esutils/utils.go of the module.
func foreign(path string, value any, own any) (said []string) {
	switch one := value.(type) {
	case object:
		for _, key := range slices.Sorted(maps.Keys(one)) {
			namespace, named := one[key].(string)
			if _, isReference := one["name"]; isReference && named && key == "namespace" && namespace != own {
				said = append(said, fmt.Sprintf(
					"%s.namespace: Invalid value: %q: a SecretStore refers to its own namespace only; remove it", path, namespace))
			}
			said = append(said, foreign(path+"."+key, one[key], own)...)
		}
	case []any:
		for i, inner := range one {
			said = append(said, foreign(fmt.Sprintf("%s[%d]", path, i), inner, own)...)
		}
	}
	return said
}
