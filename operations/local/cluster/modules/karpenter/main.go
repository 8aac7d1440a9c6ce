// Validates the configuration of kubelets in EC2NodeClasses, of which the API server accepts everything, as Karpenter
// does: validateAgainstUpstreamType of its AWS provider 1.15.2, pkg/apis/v1/kubeletconfiguration_validation.go. Its own
// module cannot be built: the one of its core, which it imports, is not published.
//
// Reads a JSON list of lists of manifests, and writes a JSON list of {group, index, problem}.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"strings"

	kubelet "k8s.io/kubelet/config/v1beta1"
	strictjson "sigs.k8s.io/json"
)

type nodeClass struct {
	Kind string `json:"kind"`
	Spec struct {
		Kubelet map[string]json.RawMessage `json:"kubelet"`
	} `json:"spec"`
}

// The path of its fields is the one in an EC2NodeClass, so that errors name it.
type configured struct {
	Spec struct {
		Kubelet kubelet.KubeletConfiguration `json:"kubelet"`
	} `json:"spec"`
}

type found struct {
	Group   int    `json:"group"`
	Index   int    `json:"index"`
	Problem string `json:"problem"`
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	exitOn(err)
	var groups [][]json.RawMessage
	exitOn(json.Unmarshal(text, &groups))
	all := []found{}
	for group, manifests := range groups {
		for index, manifest := range manifests {
			for _, problem := range problems(manifest) {
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

func problems(manifest []byte) (said []string) {
	var class nodeClass
	if json.Unmarshal(manifest, &class) != nil || class.Kind != "EC2NodeClass" {
		return nil // the API server says why
	}
	for _, field := range slices.Sorted(maps.Keys(class.Spec.Kubelet)) {
		value := class.Spec.Kubelet[field]
		if field == "maxPods" && strings.HasPrefix(string(value), `"`) {
			continue // an expression, which Karpenter evaluates for each instance type
		}
		one := map[string]any{"spec": map[string]any{"kubelet": map[string]any{field: value}}}
		text, err := json.Marshal(one)
		exitOn(err)
		unknown, err := strictjson.UnmarshalStrict(text, &configured{})
		for _, problem := range unknown {
			path := strings.Split(problem.Error(), `"`)[1]
			said = append(said, path+": no field of KubeletConfiguration (kubelet.config.k8s.io/v1beta1); correct it")
		}
		if err != nil && strings.Contains(err.Error(), "Go struct field") {
			said = append(said, err.Error())
		} else if err != nil {
			said = append(said, fmt.Sprintf("spec.kubelet.%s: %s: %s; correct it", field, value, err))
		}
	}
	return said
}
