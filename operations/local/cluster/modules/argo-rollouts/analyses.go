package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/argoproj/argo-rollouts/metricproviders/prometheus"
	"github.com/argoproj/argo-rollouts/metricproviders/webmetric"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"github.com/argoproj/argo-rollouts/utils/analysis"
	"github.com/argoproj/argo-rollouts/utils/evaluate"
)

// What a condition can use: see EvalCondition in utils/evaluate of the module.
type environment[T any] struct {
	Result  T                  `expr:"result"`
	AsInt   func(any) int64    `expr:"asInt"`
	AsFloat func(any) float64  `expr:"asFloat"`
	IsNaN   func(float64) bool `expr:"isNaN"`
	IsInf   func(float64) bool `expr:"isInf"`
	IsNil   func(any) bool     `expr:"isNil"`
	Default func(any, any) any `expr:"default"`
}

// What the controller says to a run of the template, whatever the arguments are.
func templateProblems(spec v1alpha1.AnalysisTemplateSpec) (found field.ErrorList) {
	path := field.NewPath("spec", "metrics")
	found = duplicates(field.NewPath("spec", "args"), spec.Args, func(one v1alpha1.Argument) string { return one.Name })
	if len(spec.Metrics) == 0 && len(spec.Templates) > 0 {
		return found
	}
	resolved, problems := metricProblems(path, spec.Metrics, spec.Args)
	found = append(found, problems...)
	if resolved == nil {
		return found
	}
	for _, check := range []func() error{
		func() error { return analysis.ValidateMetrics(resolved) },
		func() error { _, err := analysis.GetDryRunMetrics(spec.DryRun, resolved); return err },
		func() error {
			_, err := analysis.GetMeasurementRetentionMetrics(spec.MeasurementRetention, resolved)
			return err
		},
	} {
		found = append(found, wrong(path, len(resolved), check())...)
	}
	return found
}

func duplicates[T any](path *field.Path, named []T, name func(T) string) (found field.ErrorList) {
	known := map[string]bool{}
	for i, one := range named {
		if known[name(one)] {
			found = append(found, field.Invalid(path.Index(i), name(one), "duplicate name; remove one"))
		}
		known[name(one)] = true
	}
	return found
}

// The metrics with their arguments, and what the controller says to them. Fields with an argument that has no value yet
// are checked only as far as their value does not matter.
func metricProblems(
	path *field.Path, metrics []v1alpha1.Metric, args []v1alpha1.Argument,
) (resolved []v1alpha1.Metric, found field.ErrorList) {
	unknown := []string{}
	given := slices.Clone(args)
	for i := range given {
		if given[i].Value == nil {
			anything := "1"
			given[i].Value = &anything
			unknown = append(unknown, given[i].Name)
		}
	}
	isKnown := func(text string) bool {
		return !slices.ContainsFunc(placeholder.FindAllStringSubmatch(text, -1), func(match []string) bool {
			return slices.Contains(unknown, match[1])
		})
	}
	resolved = []v1alpha1.Metric{}
	for i, metric := range metrics {
		one, err := analysis.ResolveMetricArgs(metric, given)
		if err != nil {
			return nil, wrong(path.Index(i), metric.Name, err)
		}
		forget(one, metric, isKnown)
		resolved = append(resolved, *one)
		found = append(found, numberProblems(path.Index(i), *one)...)
		found = append(found, conditionProblems(path.Index(i), metric, *one, isKnown)...)
		found = append(found, providerProblems(path.Index(i).Child("provider"), metric, *one, isKnown)...)
	}
	return resolved, found
}

// Replaces numbers and durations that are not known by valid ones.
func forget(metric *v1alpha1.Metric, raw v1alpha1.Metric, isKnown func(string) bool) {
	for _, one := range []struct{ value, raw **intstr.IntOrString }{
		{&metric.ConsecutiveErrorLimit, &raw.ConsecutiveErrorLimit},
		{&metric.ConsecutiveSuccessLimit, &raw.ConsecutiveSuccessLimit},
		{&metric.Count, &raw.Count},
		{&metric.FailureLimit, &raw.FailureLimit},
		{&metric.InconclusiveLimit, &raw.InconclusiveLimit},
	} {
		if *one.raw != nil && !isKnown((*one.raw).StrVal) {
			*one.value = nil
		}
	}
	if !isKnown(string(raw.Interval)) {
		metric.Interval = "1s"
	}
	if !isKnown(string(raw.InitialDelay)) {
		metric.InitialDelay = ""
	}
}

var placeholder = regexp.MustCompile(`\{\{\s*args\.([^\s}]+)\s*\}\}`)

// The controller reads a text that is no number as 0.
func numberProblems(path *field.Path, metric v1alpha1.Metric) (found field.ErrorList) {
	for _, one := range []struct {
		name  string
		value *intstr.IntOrString
	}{
		{"consecutiveErrorLimit", metric.ConsecutiveErrorLimit},
		{"consecutiveSuccessLimit", metric.ConsecutiveSuccessLimit},
		{"count", metric.Count},
		{"failureLimit", metric.FailureLimit},
		{"inconclusiveLimit", metric.InconclusiveLimit},
	} {
		if one.value != nil && one.value.Type == intstr.String {
			if _, err := strconv.Atoi(one.value.StrVal); err != nil {
				found = append(found, field.Invalid(path.Child(one.name), one.value.StrVal, "no number, read as 0; write such as 3"))
			}
		}
	}
	return found
}

func conditionProblems(
	path *field.Path, raw, metric v1alpha1.Metric, isKnown func(string) bool,
) (found field.ErrorList) {
	for _, one := range []struct{ name, raw, text string }{
		{"failureCondition", raw.FailureCondition, metric.FailureCondition},
		{"successCondition", raw.SuccessCondition, metric.SuccessCondition},
	} {
		if one.text == "" {
			continue
		}
		options := []expr.Option{}
		if isKnown(one.raw) {
			options = append(options, expr.AsBool())
		}
		_, err := expr.Compile(one.text, append(options, expr.Env(environment[any]{}))...)
		if query := metric.Provider.Prometheus; err == nil && query != nil {
			_, err = expr.Compile(one.text, append(options, expr.Env(environment[[]float64]{}))...)
			if err != nil && scalar.MatchString(query.Query) {
				_, err = expr.Compile(one.text, append(options, expr.Env(environment[float64]{}))...)
			} else if err != nil {
				err = fmt.Errorf("%w; Prometheus returns a list of numbers, such as result[0]", err)
			}
		}
		found = append(found, wrong(path.Child(one.name), one.text, err)...)
	}
	return found
}

// A query whose result is one number, and no list, has one of these functions, or only numbers.
var scalar = regexp.MustCompile(`\b(scalar|time|pi)\s*\(|^[\d\s.+*/%^()-]*$`)

func remedied(path *field.Path, value string, err error, example string) field.ErrorList {
	if err == nil {
		return nil
	}
	return wrong(path, value, fmt.Errorf("%w; write such as %s", err, example))
}

const noURL = "no URL; write such as http://SERVICE.NAMESPACE.svc:PORT"

// What a provider says before it measures.
func providerProblems(
	path *field.Path, raw, metric v1alpha1.Metric, isKnown func(string) bool,
) (found field.ErrorList) {
	if query := metric.Provider.Prometheus; query != nil {
		path := path.Child("prometheus")
		if isKnown(raw.Provider.Prometheus.Address) && !prometheus.IsUrl(query.Address) {
			found = append(found, field.Invalid(path.Child("address"), query.Address, noURL))
		}
		if span := query.RangeQuery; span != nil {
			_, err := evaluate.EvalTime(span.Start)
			found = append(found, remedied(path.Child("rangeQuery", "start"), span.Start, err, `now() - duration("1h")`)...)
			_, err = evaluate.EvalTime(span.End)
			found = append(found, remedied(path.Child("rangeQuery", "end"), span.End, err, "now()")...)
			_, err = span.Step.Duration()
			found = append(found, remedied(path.Child("rangeQuery", "step"), string(span.Step), err, "30s")...)
		}
	}
	if web := metric.Provider.Web; web != nil {
		path := path.Child("web")
		if isKnown(raw.Provider.Web.URL) && !prometheus.IsUrl(web.URL) {
			found = append(found, field.Invalid(path.Child("url"), web.URL, noURL))
		}
		if isKnown(raw.Provider.Web.JSONPath) {
			_, err := webmetric.NewWebMetricJsonParser(metric)
			found = append(found, remedied(path.Child("jsonPath"), web.JSONPath, err, "{$.status}")...)
		}
		if (web.Body != "" || web.JSONBody != nil) && (web.Method == "" || web.Method == v1alpha1.WebMetricMethodGet) {
			found = append(found, field.Invalid(path.Child("method"), web.Method, "a body needs POST or PUT"))
		}
		if web.Body != "" && web.JSONBody != nil {
			found = append(found, field.Invalid(path.Child("body"), web.Body, "not with jsonBody; remove one"))
		}
	}
	return found
}

// What is wrong with the arguments that a Rollout gives to templates, and with what the templates measure with them.
func argumentProblems(
	path *field.Path, templates validation.AnalysisTemplatesWithType, rollout *v1alpha1.Rollout,
) (found field.ErrorList) {
	names := validation.GetAnalysisTemplateNames(templates)
	known, valid := map[string]bool{}, true
	for _, spec := range specs(templates) {
		for _, argument := range spec.Args {
			known[argument.Name] = true
		}
		valid = valid && len(templateProblems(spec)) == 0
	}
	given := pathOfArguments(path)
	found = duplicates(given, templates.Args, func(one v1alpha1.AnalysisRunArgument) string { return one.Name })
	for i, argument := range templates.Args {
		if !known[argument.Name] {
			found = append(found, field.Invalid(given.Index(i), argument.Name, fmt.Sprintf(
				"no argument of %s; remove it, or add it to the template", strings.Join(names, ", "))))
		}
		if from := argument.ValueFrom; from != nil && from.PodTemplateHashValue != nil {
			if hash := *from.PodTemplateHashValue; hash != v1alpha1.Latest && hash != v1alpha1.Stable {
				found = append(found, field.NotSupported(
					given.Index(i).Child("valueFrom", "podTemplateHashValue"), hash,
					[]v1alpha1.ValueFromPodTemplateHash{v1alpha1.Latest, v1alpha1.Stable}))
			}
		}
	}
	values, problems := values(given, templates.Args, rollout)
	found = append(found, problems...)
	if len(found) > 0 || !valid || values == nil {
		return found
	}
	run, err := analysis.NewAnalysisRunFromTemplates(
		templates.AnalysisTemplates, templates.ClusterAnalysisTemplates, values, nil, nil, nil, nil, "", "", "",
	)
	if err != nil {
		return wrong(path, fmt.Sprintf("templateNames: %s", names), err)
	}
	metrics := field.NewPath("metrics")
	resolved, problems := metricProblems(metrics, run.Spec.Metrics, run.Spec.Args)
	if len(problems) == 0 {
		problems = wrong(metrics, len(resolved), analysis.ValidateMetrics(resolved))
	}
	for _, problem := range problems {
		found = append(found, field.Invalid(path, strings.Join(names, ", "), problem.Error()))
	}
	return found
}

func specs(templates validation.AnalysisTemplatesWithType) (found []v1alpha1.AnalysisTemplateSpec) {
	for _, one := range templates.AnalysisTemplates {
		found = append(found, *one.Spec.DeepCopy())
	}
	for _, one := range templates.ClusterAnalysisTemplates {
		found = append(found, *one.Spec.DeepCopy())
	}
	return found
}

var anyPods = appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{
	Labels: map[string]string{v1alpha1.DefaultRolloutUniqueLabelKey: "hash"},
}}

// The values of the arguments; nil if one is known only in the cluster, because it is in the status.
func values(
	path *field.Path, args []v1alpha1.AnalysisRunArgument, rollout *v1alpha1.Rollout,
) (values []v1alpha1.Argument, found field.ErrorList) {
	values = []v1alpha1.Argument{}
	for i, argument := range args {
		from := argument.ValueFrom
		if from != nil && from.FieldRef != nil && strings.HasPrefix(from.FieldRef.FieldPath, "status") {
			return nil, found
		}
		value, err := analysis.BuildArgumentsForRolloutAnalysisRun(
			[]v1alpha1.AnalysisRunArgument{argument}, &anyPods, &anyPods, rollout,
		)
		if err != nil && value != nil { // without a value, the controller says it itself
			path := path.Index(i).Child("valueFrom", "fieldRef", "fieldPath")
			found = append(found, wrong(path, from.FieldRef.FieldPath, err)...)
		}
		values = append(values, value...)
	}
	return values, found
}

// The arguments beside the templates of an analysis.
func pathOfArguments(templates *field.Path) *field.Path {
	above, _ := strings.CutSuffix(templates.String(), ".templates")
	return field.NewPath(above).Child("args")
}

func experimentProblems(
	path *field.Path, analyses []v1alpha1.RolloutExperimentStepAnalysisTemplateRef, rollout *v1alpha1.Rollout, namespace []object,
) (found field.ErrorList) {
	for i, one := range analyses {
		templates := validation.AnalysisTemplatesWithType{Args: one.Args}
		ref := v1alpha1.AnalysisTemplateRef{TemplateName: one.TemplateName, ClusterScope: one.ClusterScope}
		missing := collect(&templates, []v1alpha1.AnalysisTemplateRef{ref}, path.Index(i).Child("templateName"), namespace)
		found = append(found, missing...)
		if len(missing) == 0 {
			found = append(found, argumentProblems(path.Index(i), templates, rollout)...)
		}
	}
	return found
}
