package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/argoproj/notifications-engine/pkg/api"
	"github.com/argoproj/notifications-engine/pkg/services"
	"github.com/argoproj/notifications-engine/pkg/templates"
	"github.com/argoproj/notifications-engine/pkg/triggers"
	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/types"
	"github.com/expr-lang/expr/vm"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/yaml"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/notification/expression"
	"github.com/argoproj/argo-cd/v3/util/notification/expression/shared"
)

const notificationsConfigMap = "argocd-notifications-cm"

// Checks the settings of notifications as their controller reads them: with one wrong setting it sends none at all.
// Conditions and templates are also run with an Application that has every field, because the controller only logs what
// fails later. Conditions may only name fields that Applications have.
func notificationProblems(config *corev1.ConfigMap) (problems []error) {
	variables := map[string]string{}
	if err := yaml.Unmarshal([]byte(config.Data["context"]), &variables); err != nil {
		problems = append(problems, fmt.Errorf("data[context]: %s", withRemedy(err)))
	}
	given := sample(variables)
	for _, key := range slices.Sorted(maps.Keys(config.Data)) {
		single := corev1.ConfigMap{ObjectMeta: config.ObjectMeta, Data: map[string]string{key: config.Data[key]}}
		parsed, err := api.ParseConfig(&single, &corev1.Secret{})
		wrong := []error{err}
		if err == nil {
			wrong = append(settingProblems(parsed, given), unknownFields(key, config.Data[key]))
		}
		for _, err := range wrong {
			if err != nil {
				problems = append(problems, fmt.Errorf("data[%s]: %s", key, withRemedy(err)))
			}
		}
	}
	return problems
}

// What is said to wrong YAML, without the Go types.
var (
	ofDecoders = regexp.MustCompile(
		`(failed to unmarshal \w+ \S+: )?error (converting YAML to JSON|unmarshaling JSON: while decoding JSON): (json: )?`,
	)
	noList       = regexp.MustCompile(`cannot unmarshal (\w+) into Go .* of type (\[\]|\w+\.\w*Subscriptions).*`)
	unknownField = regexp.MustCompile(`unknown field "?([\w-]+)"?(.*)`)
)

func withRemedy(err error) string {
	text := ofDecoders.ReplaceAllString(err.Error(), "")
	text = noList.ReplaceAllString(text, "$1; write a list")
	text = unknownField.ReplaceAllString(text, "unknown field $1$2; correct its name")
	if !strings.Contains(text, "; ") {
		text += "; correct it"
	}
	return text
}

func settingProblems(config *api.Config, given map[string]any) (problems []error) {
	for _, start := range config.Services {
		_, err := start()
		problems = append(problems, err)
	}
	for _, conditions := range config.Triggers {
		for index, condition := range conditions {
			if err := expressionProblem(condition.When, given, expr.AsBool()); err != nil {
				problems = append(problems, fmt.Errorf("[%d].when: %w", index, err))
			}
			if err := expressionProblem(condition.OncePer, given); err != nil {
				problems = append(problems, fmt.Errorf("[%d].oncePer: %w", index, err))
			}
		}
	}
	for name, template := range config.Templates {
		problems = append(problems, templateProblem(name, template, given))
	}
	return problems
}

func unknownFields(key, text string) error {
	switch kind, _, _ := strings.Cut(key, "."); kind {
	case "template":
		return yaml.UnmarshalStrict([]byte(text), &services.Notification{})
	case "trigger":
		return yaml.UnmarshalStrict([]byte(text), &[]triggers.Condition{})
	}
	return nil
}

func expressionProblem(text string, given map[string]any, options ...expr.Option) error {
	if text == "" {
		return nil
	}
	known := types.Map{"app": typeOf(reflect.TypeFor[v1alpha1.Application]())}
	for name, value := range given {
		if inner, is := value.(map[string]any); is && name != "app" && name != "appProject" {
			names := types.Map{}
			for key, value := range inner {
				names[key] = types.TypeOf(value)
			}
			known[name] = names
		}
	}
	known["appProject"] = types.Any
	_, err := expr.Compile(text, append(options, expr.Env(known))...)
	var program *vm.Program
	if err == nil {
		program, err = expr.Compile(text) // as the controller does, which knows no types
	}
	if err == nil {
		_, err = expr.Run(program, given)
	}
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		return errors.New(line)
	}
	return nil
}

func templateProblem(name string, template services.Notification, given map[string]any) error {
	service, err := templates.NewService(map[string]services.Notification{name: template})
	if err != nil {
		return err
	}
	made, err := service.FormatNotification(given, name)
	if err != nil {
		return err
	}
	text, err := json.Marshal(made)
	if err != nil {
		return err
	}
	if bytes.Contains(text, []byte(`\u003cno value\u003e`)) {
		return errors.New("<no value> is in the text: Applications have no such field, or context no such name; correct it")
	}
	if made.Slack == nil {
		return nil
	}
	for field, list := range map[string]string{"attachments": made.Slack.Attachments, "blocks": made.Slack.Blocks} {
		if err := json.Unmarshal([]byte(list), &[]any{}); list != "" && err != nil {
			return fmt.Errorf("slack.%s: no list in JSON: %w", field, err)
		}
	}
	return nil
}

// What templates and conditions are given, for an Application with every field.
func sample(variables map[string]string) map[string]any {
	application := filled(reflect.TypeFor[v1alpha1.Application]()).Interface()
	text, err := json.Marshal(application)
	exitOn(err)
	var object map[string]any
	exitOn(json.Unmarshal(text, &object))
	context := map[string]any{}
	for name, value := range variables {
		context[name] = value
	}
	given := map[string]any{
		"app": object, "appProject": map[string]any{}, "context": context, "secrets": map[string][]byte{},
		"serviceType": "slack", "recipient": "channel",
	}
	return expression.Spawn(&unstructured.Unstructured{Object: object}, repositories{}, given)
}

// A repository server whose every repository has one commit.
type repositories struct{}

func (repositories) GetCommitMetadata(context.Context, string, string, string) (*shared.CommitMetadata, error) {
	return filled(reflect.TypeFor[*shared.CommitMetadata]()).Interface().(*shared.CommitMetadata), nil
}

func (repositories) GetAppDetails(context.Context, *v1alpha1.Application) (*shared.AppDetail, error) {
	return filled(reflect.TypeFor[*shared.AppDetail]()).Interface().(*shared.AppDetail), nil
}

func (repositories) GetAppProject(context.Context, string) (*unstructured.Unstructured, error) {
	return &unstructured.Unstructured{Object: map[string]any{}}, nil
}

func (repositories) SetAppProjectInformer(cache.SharedIndexInformer) {}

var moment = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A value in which every field is set, and every list and map has one entry.
func filled(of reflect.Type) reflect.Value {
	value := reflect.New(of).Elem()
	switch of {
	case reflect.TypeFor[metav1.Time]():
		return reflect.ValueOf(metav1.NewTime(moment))
	case reflect.TypeFor[time.Time]():
		return reflect.ValueOf(moment)
	}
	switch of.Kind() {
	case reflect.Pointer:
		value.Set(reflect.New(of.Elem()))
		value.Elem().Set(filled(of.Elem()))
	case reflect.Struct:
		for index := range of.NumField() {
			if of.Field(index).IsExported() {
				value.Field(index).Set(filled(of.Field(index).Type))
			}
		}
	case reflect.Slice:
		if of.Elem().Kind() != reflect.Uint8 { // not bytes, which may have a format of their own
			value.Set(reflect.Append(value, filled(of.Elem())))
		}
	case reflect.Map:
		value.Set(reflect.MakeMap(of))
		value.SetMapIndex(filled(of.Key()), filled(of.Elem()))
	case reflect.String:
		value.SetString("text")
	case reflect.Bool:
		value.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		value.SetInt(1)
	}
	return value
}

// The type of the JSON of a Go type, with the fields that it has.
func typeOf(of reflect.Type) types.Type {
	switch {
	case of == reflect.TypeFor[metav1.Time]():
		return types.String
	case of.Kind() == reflect.Pointer:
		return typeOf(of.Elem())
	case of.Implements(reflect.TypeFor[json.Marshaler]()) || reflect.PointerTo(of).Implements(reflect.TypeFor[json.Marshaler]()):
		return types.Any
	}
	switch of.Kind() {
	case reflect.Struct:
		return types.Map(fieldsOf(of))
	case reflect.Slice:
		return types.Array(typeOf(of.Elem()))
	case reflect.Map:
		return types.Map{types.Extra: typeOf(of.Elem())}
	case reflect.String:
		return types.String
	case reflect.Bool:
		return types.Bool
	}
	return types.Any
}

func fieldsOf(of reflect.Type) map[string]types.Type {
	fields := map[string]types.Type{}
	for index := range of.NumField() {
		field := of.Field(index)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case name == "" && field.Anonymous:
			maps.Copy(fields, fieldsOf(field.Type))
		default:
			fields[name] = typeOf(field.Type)
		}
	}
	return fields
}
