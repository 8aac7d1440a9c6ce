// Validates AppProjects, Applications and ApplicationSets as Argo CD does before each sync, and the settings of its
// notifications. ApplicationSets are rendered with the files of a folder, as their controller does, and their Applications
// as the repo server does.
//
// Reads {folder, secret, groups}: the folder of the repository, the Secret of the cluster in which Argo CD runs, and lists
// of manifests, each for an Argo CD of its own. Writes {problems, newer, applications, rendered, matches}: the problems,
// the fields that only newer versions of Argo CD know, both as {group, index, problem}, and for each group the rendered
// Applications, their manifests, and whether each part of a sync window and each target of a patch matches anything.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	gotemplate "text/template"

	"github.com/sirupsen/logrus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubernetesfake "k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/controller-runtime/pkg/client"
	clientfake "sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/argoproj/argo-cd/v3/applicationset/controllers/template"
	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	appsets "github.com/argoproj/argo-cd/v3/applicationset/utils"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/util/argo"
	"github.com/argoproj/argo-cd/v3/util/argo/normalizers"
	"github.com/argoproj/argo-cd/v3/util/db"
	"github.com/argoproj/argo-cd/v3/util/settings"
)

const namespace = "argocd"

type found struct {
	Group   int    `json:"group"`
	Index   int    `json:"index"`
	Problem string `json:"problem"`
}

// What matches something, by what is said otherwise.
type matches map[string]bool

func (m matches) note(matched bool, problem string) {
	m[problem] = m[problem] || matched
}

type output struct {
	Problems     []found                  `json:"problems"`
	Newer        []found                  `json:"newer"`
	Applications [][]v1alpha1.Application `json:"applications"`
	Rendered     [][]rendering            `json:"rendered"`
	Matches      []matches                `json:"matches"`
}

func main() {
	text, err := io.ReadAll(os.Stdin)
	exitOn(err)
	var given struct {
		Folder string
		Secret corev1.Secret
		Groups [][]map[string]any
	}
	exitOn(json.Unmarshal(text, &given))
	logrus.SetOutput(io.Discard) // what it logs is also returned
	result := output{[]found{}, []found{}, [][]v1alpha1.Application{}, [][]rendering{}, []matches{}}
	sources := &renderer{given.Folder, map[string]renderedSource{}}
	for group, manifests := range given.Groups {
		start(given.Folder, given.Secret, sources).check(group, manifests, &result)
	}
	exitOn(json.NewEncoder(os.Stdout).Encode(result))
}

func exitOn(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type argoCd struct {
	folder     string
	repository string
	database   db.ArgoDB
	generators map[string]generators.Generator
	client     client.Client
	projects   map[string]*v1alpha1.AppProject
	sources    *renderer
}

// Argo CD with one cluster, and with the folder as its repository.
func start(folder string, secret corev1.Secret, sources *renderer) *argoCd {
	labels := map[string]string{"app.kubernetes.io/part-of": "argocd"}
	named := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}
	}
	secret.Data = map[string][]byte{}
	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}
	objects := []runtime.Object{
		&secret,
		&corev1.ConfigMap{ObjectMeta: named("argocd-cm")},
		&corev1.Secret{ObjectMeta: named("argocd-secret"), Data: map[string][]byte{"server.secretkey": []byte("key")}},
	}
	ctx := context.Background()
	kubernetes := kubernetesfake.NewSimpleClientset(objects...)
	scheme := runtime.NewScheme()
	exitOn(corev1.AddToScheme(scheme))
	exitOn(v1alpha1.AddToScheme(scheme))
	read := clientfake.NewClientBuilder().WithScheme(scheme).WithRuntimeObjects(&secret).Build()
	return &argoCd{
		folder:     folder,
		repository: secret.Annotations["platform/repository-url"],
		database:   db.NewDB(namespace, settings.NewSettingsManager(ctx, kubernetes, namespace), kubernetes),
		generators: generators.GetGenerators(
			ctx, read, kubernetes, namespace, repository(folder), nil, generators.SCMConfig{}, nil,
		),
		client:   read,
		projects: map[string]*v1alpha1.AppProject{},
		sources:  sources,
	}
}

// The folders of the repository that Argo CD reads.
var tops = []string{"management", "service", "helm"}

// The files of a folder, as the repository of a Git generator.
type repository string

func (r repository) GetFiles(
	_ context.Context, _, _, _, pattern string, _ bool, _ *v1alpha1.SourceIntegrity,
) (map[string][]byte, error) {
	// `*` matches any characters, as in the patterns of `git ls-files`.
	matches, err := regexp.Compile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	err = r.walk(func(path string, entry fs.DirEntry) (err error) {
		if !entry.IsDir() && matches.MatchString(path) {
			files[path], err = os.ReadFile(filepath.Join(string(r), path))
		}
		return err
	})
	return files, err
}

func (r repository) GetDirectories(
	_ context.Context, _, _, _ string, _ bool, _ *v1alpha1.SourceIntegrity,
) (found []string, err error) {
	err = r.walk(func(path string, entry fs.DirEntry) error {
		if entry.IsDir() {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

var errArtifact = errors.New("an artifact of another registry is not read here; use files of this repository")

func (repository) GetOciFiles(context.Context, string, string, string, string, bool) (map[string][]byte, error) {
	return nil, errArtifact
}

func (repository) GetOciDirectories(context.Context, string, string, string, bool) ([]string, error) {
	return nil, errArtifact
}

func (r repository) walk(visit func(path string, entry fs.DirEntry) error) error {
	for _, top := range tops {
		err := fs.WalkDir(os.DirFS(string(r)), top, func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) || path == top {
				return nil
			}
			if err != nil {
				return err
			}
			return visit(path, entry)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *argoCd) check(group int, manifests []map[string]any, result *output) {
	all, single := []v1alpha1.Application{}, []v1alpha1.Application{}
	renderings, noted := []rendering{}, matches{}
	say := func(index int, problems ...error) {
		for _, err := range problems {
			if err != nil {
				result.Problems = append(result.Problems, found{group, index, err.Error()})
			}
		}
	}
	sets, applications := map[int]v1alpha1.ApplicationSet{}, map[int]v1alpha1.Application{}
	for index, manifest := range manifests {
		var err error
		switch manifest["kind"] {
		case "AppProject":
			var project v1alpha1.AppProject
			if err = convert(manifest, &project); err == nil || runtime.IsStrictDecodingError(err) {
				a.projects[project.Name] = &project
				say(index, a.client.Create(context.Background(), project.DeepCopy()))
				say(index, windowProblems(&project)...)
				say(index, project.DeepCopy().ValidateProject()) // which changes unknown time zones
			}
		case "Application":
			var application v1alpha1.Application
			err = convert(manifest, &application)
			applications[index] = application
		case "ApplicationSet":
			var set v1alpha1.ApplicationSet
			err = convert(manifest, &set)
			sets[index] = set
		case "ConfigMap":
			var config corev1.ConfigMap
			if err = convert(manifest, &config); err == nil && config.Name == notificationsConfigMap {
				say(index, notificationProblems(&config)...)
			}
		}
		if strict, ok := runtime.AsStrictDecodingError(err); ok {
			for _, unknown := range strict.Errors() {
				result.Newer = append(result.Newer, found{group, index, unknown.Error()})
			}
		} else {
			say(index, err)
		}
	}
	names := map[string]int{}
	for index := range manifests {
		if application, is := applications[index]; is {
			wrong := a.applicationProblems(&application)
			if len(wrong) == 0 {
				made, problems := a.sources.render(&application, "Application "+application.Name, a.repository, noted)
				renderings = append(renderings, made)
				say(index, problems...)
			}
			say(index, wrong...)
			single = append(single, application)
		}
		set, is := sets[index]
		if !is {
			continue
		}
		say(index, appsets.CheckInvalidGenerators(&set))
		if wrong := optionProblems(&set); len(wrong) > 0 { // Argo CD panics
			say(index, wrong...)
			continue
		}
		rendered, _, err := template.GenerateApplications(
			logrus.NewEntry(logrus.StandardLogger()), set, a.generators, &appsets.Render{}, a.client,
		)
		say(index, err)
		for _, application := range rendered {
			if other, exists := names[application.Name]; exists {
				say(index, fmt.Errorf(
					"Application %s: duplicate name: of ApplicationSet %s, too", application.Name, sets[other].Name,
				))
			}
			names[application.Name] = index
			problems := a.applicationProblems(&application)
			if len(problems) == 0 {
				var made rendering
				made, problems = a.sources.render(&application, "ApplicationSet "+set.Name, a.repository, noted)
				renderings = append(renderings, made)
			}
			for _, err := range problems {
				say(index, fmt.Errorf("Application %s: %w", application.Name, err))
			}
		}
		all = append(all, rendered...)
	}
	for _, name := range slices.Sorted(maps.Keys(a.projects)) {
		noteWindows(a.projects[name], append(single, all...), noted)
	}
	result.Applications = append(result.Applications, all)
	result.Rendered = append(result.Rendered, renderings)
	result.Matches = append(result.Matches, noted)
}

// Options of Go templates that Go does not know.
func optionProblems(set *v1alpha1.ApplicationSet) (problems []error) {
	for index, option := range set.Spec.GoTemplateOptions {
		func() {
			defer func() {
				if recover() != nil {
					problems = append(problems, fmt.Errorf(
						"spec.goTemplateOptions[%d]: %q: unknown option; write missingkey=error", index, option,
					))
				}
			}()
			gotemplate.New("").Option(option)
		}()
	}
	return problems
}

func convert(manifest map[string]any, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(manifest, into, true)
}

func (a *argoCd) applicationProblems(application *v1alpha1.Application) (problems []error) {
	spec := &application.Spec
	project, exists := a.projects[spec.GetProject()]
	if !exists {
		return []error{fmt.Errorf("spec.project: %s: no such AppProject", spec.GetProject())}
	}
	conditions, err := argo.ValidatePermissions(context.Background(), spec, project, a.database)
	if err != nil {
		problems = append(problems, err)
	}
	for _, condition := range conditions {
		problems = append(problems, fmt.Errorf("spec: %s", condition.Message))
	}
	for _, source := range spec.GetSources() {
		if source.RepoURL == a.repository && source.Path != "" {
			if _, err := os.Stat(filepath.Join(a.folder, source.Path)); err != nil {
				problems = append(problems, fmt.Errorf("spec.source.path: %s: does not exist", source.Path))
			}
		}
	}
	if policy := spec.SyncPolicy; policy != nil && policy.Retry != nil && policy.Retry.Backoff != nil {
		problems = append(problems, backoffProblems(policy.Retry.Backoff)...)
	}
	_, err = normalizers.NewIgnoreNormalizer(spec.IgnoreDifferences, nil, normalizers.IgnoreNormalizerOpts{})
	if err != nil {
		problems = append(problems, fmt.Errorf("spec.ignoreDifferences: %w", err))
	}
	return problems
}
