// Validates Rollouts and analysis templates as the controller of Argo Rollouts does before each update.
//
// Reads a JSON list of lists of manifests, each list what one namespace contains, and writes a JSON list of
// {group, index, problem}.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"github.com/argoproj/argo-rollouts/utils/ingress"
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
				all = append(all, found{group, index, problem.Error()})
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

func problems(manifest object, namespace []object) field.ErrorList {
	switch manifest["kind"] {
	case "Rollout":
		rollout, err := converted[v1alpha1.Rollout](manifest)
		if err != nil {
			return wrong(field.NewPath("spec"), nil, err)
		}
		found := withDurations(validation.ValidateRollout(rollout), rollout)
		if canary := rollout.Spec.Strategy.Canary; canary != nil {
			found = append(found, canaryProblems(canary)...)
		}
		return append(found, references(rollout, namespace)...)
	case "AnalysisTemplate", "ClusterAnalysisTemplate":
		template, err := converted[v1alpha1.AnalysisTemplate](manifest)
		if err != nil {
			return wrong(field.NewPath("spec"), nil, err)
		}
		return templateProblems(template.Spec)
	}
	return nil
}

// The controller says -1 instead of a duration that it cannot read.
func withDurations(problems field.ErrorList, rollout *v1alpha1.Rollout) field.ErrorList {
	for _, problem := range problems {
		var step int
		if _, err := fmt.Sscanf(problem.Field, "spec.strategy.steps[%d].pause.duration", &step); err == nil {
			problem.BadValue = rollout.Spec.Strategy.Canary.Steps[step].Pause.Duration.String()
			problem.Detail += "; write a number of seconds, or such as 30s, 5m or 1h"
		}
	}
	return problems
}

func converted[T any](manifest object) (*T, error) {
	var target T
	return &target, runtime.DefaultUnstructuredConverter.FromUnstructured(manifest, &target)
}

func wrong(path *field.Path, value any, err error) field.ErrorList {
	if err == nil {
		return nil
	}
	if known, ok := err.(*field.Error); ok {
		return field.ErrorList{known}
	}
	return field.ErrorList{field.Invalid(path, value, err.Error())}
}

// What the controller says to a Rollout because of the objects that it names; nil if one does not exist.
func references(rollout *v1alpha1.Rollout, namespace []object) (found field.ErrorList) {
	var known validation.ReferencedResources
	strategy := rollout.Spec.Strategy
	analyse := func(one *v1alpha1.RolloutAnalysis, kind validation.AnalysisTemplateType, step int) {
		if one == nil {
			return
		}
		path := validation.GetAnalysisTemplateWithTypeFieldPath(kind, step)
		templates := validation.AnalysisTemplatesWithType{TemplateType: kind, CanaryStepIndex: step, Args: one.Args}
		missing := collect(&templates, one.Templates, path, namespace)
		found = append(found, missing...)
		if len(missing) == 0 {
			known.AnalysisTemplatesWithType = append(known.AnalysisTemplatesWithType, templates)
			found = append(found, argumentProblems(path, templates, rollout)...)
		}
	}
	serve := func(name string, kind validation.ServiceType) {
		if name == "" {
			return
		}
		service, err := named[corev1.Service](namespace, "Service", name)
		if err != nil {
			found = append(found, wrong(validation.GetServiceWithTypeFieldPath(kind), name, err)...)
			return
		}
		known.ServiceWithType = append(known.ServiceWithType, validation.ServiceWithType{Service: service, Type: kind})
	}
	if blueGreen := strategy.BlueGreen; blueGreen != nil {
		serve(blueGreen.ActiveService, validation.ActiveService)
		serve(blueGreen.PreviewService, validation.PreviewService)
		analyse(blueGreen.PrePromotionAnalysis, validation.PrePromotionAnalysis, 0)
		analyse(blueGreen.PostPromotionAnalysis, validation.PostPromotionAnalysis, 0)
	}
	if canary := strategy.Canary; canary != nil {
		serve(canary.StableService, validation.StableService)
		serve(canary.CanaryService, validation.CanaryService)
		if canary.PingPong != nil {
			serve(canary.PingPong.PingService, validation.PingService)
			serve(canary.PingPong.PongService, validation.PongService)
		}
		for i, step := range canary.Steps {
			analyse(step.Analysis, validation.InlineAnalysis, i)
			if step.Experiment != nil {
				path := field.NewPath("spec", "strategy", "canary", "steps").Index(i).Child("experiment", "analyses")
				found = append(found, experimentProblems(path, step.Experiment.Analyses, rollout, namespace)...)
			}
		}
		if canary.Analysis != nil {
			analyse(&canary.Analysis.RolloutAnalysis, validation.BackgroundAnalysis, 0)
		}
		found = append(found, routing(canary.TrafficRouting, &known, namespace)...)
		found = append(found, loadBalancerProblems(canary, known)...)
	}
	for _, check := range []func(*v1alpha1.Rollout) error{
		validation.ValidateRolloutAlbIngressesConfig,
		validation.ValidateRolloutNginxIngressesConfig,
		validation.ValidateRolloutVirtualServicesConfig,
	} {
		found = append(found, wrong(nil, nil, check(rollout))...)
	}
	return append(found, validation.ValidateRolloutReferencedResources(rollout, known)...)
}

// The object of a kind and a name; an error with a remedy if there is none.
func named[T any](namespace []object, kind, name string) (*T, error) {
	for _, manifest := range namespace {
		metadata, _ := manifest["metadata"].(object)
		if manifest["kind"] == kind && metadata["name"] == name {
			return converted[T](manifest)
		}
	}
	return nil, fmt.Errorf("%s '%s' not found; add it, or name one that exists", kind, name)
}

// Adds the templates and those that they name. Returns those that do not exist.
func collect(
	into *validation.AnalysisTemplatesWithType,
	refs []v1alpha1.AnalysisTemplateRef,
	path *field.Path,
	namespace []object,
	above ...string,
) (missing field.ErrorList) {
	for _, ref := range refs {
		if slices.Contains(above, ref.TemplateName) {
			cycle := fmt.Errorf("names itself, which the controller follows without end; remove it")
			missing = append(missing, wrong(path, ref.TemplateName, cycle)...)
			continue
		}
		var nested []v1alpha1.AnalysisTemplateRef
		var err error
		if ref.IsClusterScope() {
			var template *v1alpha1.ClusterAnalysisTemplate
			template, err = named[v1alpha1.ClusterAnalysisTemplate](namespace, "ClusterAnalysisTemplate", ref.TemplateName)
			if err == nil {
				into.ClusterAnalysisTemplates = append(into.ClusterAnalysisTemplates, template)
				nested = template.Spec.Templates
			}
		} else {
			var template *v1alpha1.AnalysisTemplate
			template, err = named[v1alpha1.AnalysisTemplate](namespace, "AnalysisTemplate", ref.TemplateName)
			if err == nil {
				into.AnalysisTemplates = append(into.AnalysisTemplates, template)
				nested = template.Spec.Templates
			}
		}
		missing = append(missing, wrong(path, ref.TemplateName, err)...)
		missing = append(missing, collect(into, nested, path, namespace, append(above, ref.TemplateName)...)...)
	}
	return missing
}

// Adds the Ingresses that traffic routing names. Returns those that do not exist.
func routing(
	traffic *v1alpha1.RolloutTrafficRouting, into *validation.ReferencedResources, namespace []object,
) (missing field.ErrorList) {
	if traffic == nil {
		return nil
	}
	path, names := field.NewPath("spec", "strategy", "canary", "trafficRouting"), []string{}
	if alb := traffic.ALB; alb != nil {
		path, names = path.Child("alb", "ingress"), append(slices.Clone(alb.Ingresses), alb.Ingress)
	} else if nginx := traffic.Nginx; nginx != nil {
		path, names = path.Child("nginx", "stableIngress"), append(slices.Clone(nginx.StableIngresses), nginx.StableIngress)
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		one, err := named[networkingv1.Ingress](namespace, "Ingress", name)
		if err == nil {
			err = onlyServices(one)
		}
		if err == nil {
			into.Ingresses = append(into.Ingresses, *ingress.NewIngress(one))
		}
		missing = append(missing, wrong(path, name, err)...)
	}
	return missing
}

// The controller ends with a panic at any other backend: see hasIngressRuleWithService in utils/ingress of the module.
func onlyServices(one *networkingv1.Ingress) error {
	for _, rule := range one.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, way := range rule.HTTP.Paths {
			if way.Backend.Service == nil {
				return fmt.Errorf("its path %s has no Service as backend; name one", way.Path)
			}
		}
	}
	return nil
}
