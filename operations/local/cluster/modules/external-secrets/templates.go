package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	corev1 "k8s.io/api/core/v1"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	engine "github.com/external-secrets/external-secrets/pkg/template/v2"
)

// The functions of templates: those that only 2.9.0 has do nothing here, and those that it no longer has are unknown.
var functions = func() template.FuncMap {
	known := maps.Clone(engine.FuncMap())
	delete(known, "getHostByName")
	delete(known, "getSecretKey")
	known["certSANs"] = func(string) (string, error) { return "", nil }
	known["hexdec"] = func(string) string { return "" }
	return known
}()

// What is said to the templates of a Secret. `keys` are the names that they can use; nil if they are not known.
func ofTemplate(path string, given any, keys []string, namespace []object) (said []string) {
	if given == nil {
		return nil
	}
	var one esv1.ExternalSecretTemplate
	if convert(given, &one) != nil {
		return nil
	}
	said = privileged(path, one)
	for field, texts := range map[string]map[string]string{
		"data": one.Data, "metadata.annotations": one.Metadata.Annotations, "metadata.labels": one.Metadata.Labels,
	} {
		for name, text := range texts {
			said = append(said, ofText(path+"."+field+"."+name, text, keys)...)
		}
	}
	for i, from := range one.TemplateFrom {
		path := fmt.Sprintf("%s.templateFrom[%d]", path, i)
		if from.Literal != nil {
			said = append(said, ofText(path+".literal", *from.Literal, keys)...)
		}
		if from.ConfigMap != nil {
			said = append(said, ofConfigMap(path+".configMap", *from.ConfigMap, keys, namespace)...)
		}
	}
	slices.Sort(said)
	return said
}

// What is said to the templates in a ConfigMap.
func ofConfigMap(path string, ref esv1.TemplateRef, keys []string, namespace []object) (said []string) {
	for _, manifest := range namespace {
		metadata, _ := manifest["metadata"].(object)
		if manifest["kind"] != "ConfigMap" || metadata["name"] != ref.Name {
			continue
		}
		data, _ := manifest["data"].(object)
		for i, item := range ref.Items {
			path := fmt.Sprintf("%s.items[%d].key", path, i)
			if text, ok := data[item.Key].(string); ok {
				said = append(said, ofText(path, text, keys)...)
			} else {
				said = append(said, fmt.Sprintf("%s: Invalid value: %q: no key of ConfigMap '%s'; write one of %s",
					path, item.Key, ref.Name, strings.Join(slices.Sorted(maps.Keys(data)), ", ")))
			}
		}
		return said
	}
	return []string{fmt.Sprintf("%s.name: Invalid value: %q: ConfigMap '%s' not found; add it, or name one that exists",
		path, ref.Name, ref.Name)}
}

// The rule validateTemplateFromTarget of apis/externalsecrets/v1/externalsecret_validator.go in External Secrets 2.9.0.
func ofTargets(path string, target object) (said []string) {
	if target["manifest"] != nil {
		return nil
	}
	template, _ := target["template"].(object)
	sources, _ := template["templateFrom"].([]any)
	for i, source := range sources {
		one, _ := source.(object)
		text, _ := one["target"].(string)
		if !slices.Contains([]string{"", "annotations", "data", "labels"}, strings.ToLower(text)) {
			said = append(said, fmt.Sprintf("%s.template.templateFrom[%d].target: Invalid value: %q: write Annotations, Data or Labels",
				path, i, text))
		}
	}
	return said
}

// The rule validatePrivilegedTemplate of the same file.
func privileged(path string, one esv1.ExternalSecretTemplate) (said []string) {
	switch one.Type {
	case corev1.SecretTypeServiceAccountToken:
		_, named := one.Metadata.Annotations[corev1.ServiceAccountNameKey]
		for _, from := range one.TemplateFrom {
			named = named || strings.EqualFold(string(from.Target), string(esv1.TemplateTargetAnnotations))
		}
		if named {
			said = append(said, fmt.Sprintf("%s.type: Invalid value: %q: not with the annotation %s, nor with annotations"+
				" of templateFrom; remove one", path, one.Type, corev1.ServiceAccountNameKey))
		}
	case corev1.SecretTypeBootstrapToken:
		said = append(said, fmt.Sprintf("%s.type: Invalid value: %q: not allowed; remove it", path, one.Type))
	}
	return said
}

func ofText(path, text string, keys []string) (said []string) {
	parsed, err := template.New(path).Funcs(functions).Parse(text)
	if err != nil {
		return []string{fmt.Sprintf("%s: Invalid value: %q: line %s; correct the template",
			path, text, strings.TrimPrefix(err.Error(), "template: "+path+":"))}
	}
	if keys == nil || parsed.Tree == nil {
		return nil
	}
	for _, name := range names(parsed.Root, true) {
		if !slices.Contains(keys, name) {
			said = append(said, fmt.Sprintf("%s: Invalid value: %q: no secretKey %s in spec.data, which has %s",
				path, text, name, strings.Join(keys, ", ")))
		}
	}
	return said
}

// The fields of the data that a template uses; those of `.` only where `.` is the data.
func names(node parse.Node, dot bool) (used []string) {
	switch one := node.(type) {
	case *parse.ListNode:
		if one != nil {
			for _, inner := range one.Nodes {
				used = append(used, names(inner, dot)...)
			}
		}
	case *parse.ActionNode:
		used = names(one.Pipe, dot)
	case *parse.PipeNode:
		if one != nil {
			for _, command := range one.Cmds {
				for _, argument := range command.Args {
					used = append(used, names(argument, dot)...)
				}
			}
		}
	case *parse.FieldNode:
		if dot {
			used = one.Ident[:1]
		}
	case *parse.VariableNode:
		if one.Ident[0] == "$" && len(one.Ident) > 1 {
			used = one.Ident[1:2]
		}
	case *parse.ChainNode:
		used = names(one.Node, dot)
	case *parse.IfNode:
		used = slices.Concat(names(one.Pipe, dot), names(one.List, dot), names(one.ElseList, dot))
	case *parse.RangeNode:
		used = slices.Concat(names(one.Pipe, dot), names(one.List, false), names(one.ElseList, dot))
	case *parse.WithNode:
		used = slices.Concat(names(one.Pipe, dot), names(one.List, false), names(one.ElseList, dot))
	}
	return used
}
