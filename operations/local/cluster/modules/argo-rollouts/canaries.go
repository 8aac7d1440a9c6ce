package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"github.com/argoproj/argo-rollouts/utils/ingress"
)

// What the controller accepts in a canary, and then ignores.
func canaryProblems(canary *v1alpha1.CanaryStrategy) (found field.ErrorList) {
	path := field.NewPath("spec", "strategy", "canary")
	if background := canary.Analysis; background != nil && background.StartingStep != nil && len(canary.Steps) > 0 {
		if first := *background.StartingStep; int(first) >= len(canary.Steps) {
			found = append(found, field.Invalid(path.Child("analysis", "startingStep"), first,
				fmt.Sprintf("never reached; write at most %d, the last step", len(canary.Steps)-1)))
		}
	}
	found = append(found, percentProblems(path.Child("maxSurge"), canary.MaxSurge)...)
	found = append(found, percentProblems(path.Child("maxUnavailable"), canary.MaxUnavailable)...)
	for i, step := range canary.Steps {
		path := path.Child("steps").Index(i)
		scale := step.SetCanaryScale
		if scale != nil {
			found = append(found, scaleProblems(path.Child("setCanaryScale"), *scale)...)
		}
		actions := []string{}
		for _, one := range []struct {
			name string
			set  bool
		}{
			{"analysis", step.Analysis != nil}, {"experiment", step.Experiment != nil}, {"pause", step.Pause != nil},
			{"setWeight", step.SetWeight != nil}, {"setCanaryScale", scale != nil}, {"plugin", step.Plugin != nil},
			{"setHeaderRoute", step.SetHeaderRoute != nil}, {"setMirrorRoute", step.SetMirrorRoute != nil},
		} {
			if one.set {
				actions = append(actions, one.name)
			}
		}
		// The controller itself compares only the first four.
		if len(actions) > 1 && !slices.Contains(actionsOfController, actions[1]) {
			found = append(found, field.Invalid(path, strings.Join(actions, ", "), "write a step for each"))
		}
	}
	return found
}

func percentProblems(path *field.Path, value *intstr.IntOrString) field.ErrorList {
	if value == nil || value.Type == intstr.Int || len(utilvalidation.IsValidPercent(value.StrVal)) == 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value.StrVal, "write a number, or a percentage such as 25%")}
}

var actionsOfController = []string{"analysis", "experiment", "pause", "setWeight"}

func scaleProblems(path *field.Path, scale v1alpha1.SetCanaryScale) (found field.ErrorList) {
	set := []string{}
	if scale.Weight != nil {
		set = append(set, "weight")
	}
	if scale.Replicas != nil {
		set = append(set, "replicas")
	}
	if scale.MatchTrafficWeight {
		set = append(set, "matchTrafficWeight")
	}
	if len(set) != 1 {
		found = append(found, field.Invalid(
			path, strings.Join(set, ", "), "write one of weight, replicas and matchTrafficWeight"))
	}
	if scale.Weight != nil && (*scale.Weight < 0 || *scale.Weight > 100) {
		found = append(found, field.Invalid(path.Child("weight"), *scale.Weight, "write a number from 0 to 100"))
	}
	if scale.Replicas != nil && *scale.Replicas < 0 {
		found = append(found, field.Invalid(path.Child("replicas"), *scale.Replicas, "write a number from 0"))
	}
	return found
}

// Whether the load balancer reads the weights. The controller writes them into an annotation of each Ingress, named
// after a Service: see getDesiredAnnotations in rollout/trafficrouting/alb/alb.go of the module.
func loadBalancerProblems(canary *v1alpha1.CanaryStrategy, known validation.ReferencedResources) (found field.ErrorList) {
	if canary.TrafficRouting == nil || canary.TrafficRouting.ALB == nil {
		return nil
	}
	alb := canary.TrafficRouting.ALB
	path := field.NewPath("spec", "strategy", "canary", "trafficRouting", "alb")
	if alb.AnnotationPrefix != "" && alb.AnnotationPrefix != ingress.ALBIngressAnnotation {
		found = append(found, field.Invalid(path.Child("annotationPrefix"), alb.AnnotationPrefix,
			"the AWS Load Balancer Controller reads only "+ingress.ALBIngressAnnotation+"; remove it"))
	}
	if sticky := alb.StickinessConfig; sticky != nil && sticky.Enabled &&
		(sticky.DurationSeconds < 1 || sticky.DurationSeconds > 604800) {
		found = append(found, field.Invalid(
			path.Child("stickinessConfig", "durationSeconds"), sticky.DurationSeconds, "write a number from 1 to 604800"))
	}
	root, weighted := alb.RootService, []validation.ServiceType{validation.PingService, validation.PongService}
	if root == "" {
		root = canary.StableService
	}
	if canary.PingPong == nil {
		weighted = []validation.ServiceType{validation.StableService, validation.CanaryService}
	}
	for _, one := range known.ServiceWithType {
		ports := []string{}
		for _, port := range one.Service.Spec.Ports {
			ports = append(ports, strconv.Itoa(int(port.Port)))
		}
		if slices.Contains(weighted, one.Type) && !slices.Contains(ports, strconv.Itoa(int(alb.ServicePort))) {
			found = append(found, field.Invalid(path.Child("servicePort"), alb.ServicePort, fmt.Sprintf(
				"no port of Service %s; write %s", one.Service.Name, strings.Join(ports, " or "))))
		}
	}
	for i := range known.Ingresses {
		found = append(found, backendProblems(path, &known.Ingresses[i], root)...)
	}
	return found
}

func backendProblems(path *field.Path, one *ingress.Ingress, root string) (found field.ErrorList) {
	if _, set := one.GetAnnotations()[ingress.ALBIngressAnnotation+ingress.ALBActionPrefix+root]; set {
		found = append(found, field.Invalid(path.Child("ingress"), one.GetName(), fmt.Sprintf(
			"it sets the annotation %s%s%s, in which the controller writes the weights; remove it from Git",
			ingress.ALBIngressAnnotation, ingress.ALBActionPrefix, root)))
	}
	specification, err := one.GetNetworkingIngress()
	exitOn(err)
	for _, rule := range specification.Spec.Rules {
		if rule.HTTP == nil {
			continue
		}
		for _, way := range rule.HTTP.Paths {
			service := way.Backend.Service
			if service.Name == root && service.Port.Name != "use-annotation" {
				port := service.Port.Name
				if port == "" {
					port = strconv.Itoa(int(service.Port.Number))
				}
				found = append(found, field.Invalid(path.Child("ingress"), one.GetName(), fmt.Sprintf(
					"its backend %s has the port %s, and would not get the weights; write port.name: use-annotation", root, port)))
			}
		}
	}
	return found
}
