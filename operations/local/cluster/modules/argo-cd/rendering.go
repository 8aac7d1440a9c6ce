package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/argoproj/argo-cd/v3/reposerver/apiclient"
	reposerver "github.com/argoproj/argo-cd/v3/reposerver/repository"
	"github.com/argoproj/argo-cd/v3/util/git"
	utilio "github.com/argoproj/argo-cd/v3/util/io"
	"github.com/argoproj/argo-cd/v3/util/io/path"
)

// What the repo server makes of an Application.
type rendering struct {
	Application string           `json:"application"`
	Manifests   []map[string]any `json:"manifests"`
	// The sources in other repositories, which are not rendered.
	Elsewhere int `json:"elsewhere"`
}

// Renders the sources of Applications that are in the folder, with the `kustomize` and `helm` of the PATH.
type renderer struct {
	folder string
	known  map[string]renderedSource
}

type renderedSource struct {
	manifests []map[string]any
	err       error
}

// Renders an Application, and notes for its `owner`, which may be an ApplicationSet, whether the targets of patches match.
func (r *renderer) render(
	application *v1alpha1.Application, owner, repository string, noted matches,
) (rendering, []error) {
	made := rendering{Application: application.Name, Manifests: []map[string]any{}}
	sources := application.Spec.GetSources()
	var problems []error
	for index, source := range sources {
		field := "spec.source"
		if application.Spec.HasMultipleSources() {
			field = fmt.Sprintf("spec.sources[%d]", index)
		}
		wrong := r.valueFileProblems(field, &source, sources, repository)
		problems = append(problems, wrong...)
		switch {
		case source.RepoURL != repository:
			made.Elsewhere++
			continue
		case source.Path == "" || len(wrong) > 0: // a source that others refer to, or one that Argo CD cannot render
			continue
		}
		marked := withMarks(&source)
		found := r.source(application, &marked, sources)
		if found.err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", field, source.Path, found.err))
			continue
		}
		problems = append(problems, imageProblems(field, &source, found.manifests)...)
		for _, patch := range patches(&source) {
			noted.note(has(found.manifests, patch.mark), fmt.Sprintf(
				"%s: kustomize.patches: target %s: matches no object of its Applications; correct it",
				owner, patch.text(),
			))
		}
		for _, manifest := range found.manifests {
			made.Manifests = append(made.Manifests, withoutMarks(manifest))
		}
	}
	return made, problems
}

// The manifests of a source. Each is rendered in a copy of the folder, because `kustomize edit` changes files.
func (r *renderer) source(
	application *v1alpha1.Application, source *v1alpha1.ApplicationSource, sources v1alpha1.ApplicationSources,
) renderedSource {
	copied := *source
	copied.Name = "" // the ApplicationSets name it after the hour
	key, err := json.Marshal([]any{application.Name, application.Spec.Destination, application.Spec.Project, copied})
	exitOn(err)
	if _, exists := r.known[string(key)]; !exists {
		manifests, err := r.generate(application, source, sources)
		r.known[string(key)] = renderedSource{manifests, err}
	}
	return r.known[string(key)]
}

func (r *renderer) generate(
	application *v1alpha1.Application, source *v1alpha1.ApplicationSource, sources v1alpha1.ApplicationSources,
) (manifests []map[string]any, err error) {
	work, err := os.MkdirTemp("", "repository-")
	exitOn(err)
	defer func() { _ = os.RemoveAll(work) }()
	for _, top := range tops {
		if err := os.CopyFS(filepath.Join(work, top), os.DirFS(filepath.Join(r.folder, top))); !os.IsNotExist(err) {
			exitOn(err)
		}
	}
	paths := utilio.NewRandomizedTempPaths(work)
	references := v1alpha1.RefTargetRevisionMapping{}
	for _, other := range sources {
		if other.Ref != "" {
			references["$"+other.Ref] = &v1alpha1.RefTarget{Repo: v1alpha1.Repository{Repo: other.RepoURL}}
			paths.Add(git.NormalizeGitURL(other.RepoURL), work)
		}
	}
	made, err := reposerver.GenerateManifests(
		context.Background(), filepath.Join(work, source.Path), work, "main", &apiclient.ManifestRequest{
			Repo:               &v1alpha1.Repository{Repo: source.RepoURL},
			AppName:            application.Name,
			Namespace:          application.Spec.Destination.Namespace,
			ApplicationSource:  source,
			ProjectName:        application.Spec.Project,
			RefSources:         references,
			HasMultipleSources: application.Spec.HasMultipleSources(),
		}, false, git.NoopCredsStore{}, resource.MustParse("0"), paths,
	)
	if err != nil {
		text := strings.ReplaceAll(err.Error(), work, ".")
		if _, said, found := strings.Cut(text, " failed exit status 1: Error: "); found { // without the command
			text = said
		}
		return nil, errors.New(text)
	}
	for _, text := range made.Manifests {
		var manifest map[string]any
		exitOn(json.Unmarshal([]byte(text), &manifest))
		manifests = append(manifests, manifest)
	}
	return manifests, nil
}

// Value files that do not exist. Argo CD takes a reference to an unknown source for the name of a file.
func (r *renderer) valueFileProblems(
	field string, source *v1alpha1.ApplicationSource, sources v1alpha1.ApplicationSources, repository string,
) (problems []error) {
	if source.Helm == nil {
		return nil
	}
	var missing []string
	checked := 0
	for index, file := range source.Helm.ValueFiles {
		name := fmt.Sprintf("%s.helm.valueFiles[%d]: %s", field, index, file)
		at, relative := source, file
		if strings.HasPrefix(file, "$") {
			reference, below, _ := strings.Cut(strings.TrimPrefix(file, "$"), "/")
			found := slices.IndexFunc(sources, func(one v1alpha1.ApplicationSource) bool { return one.Ref == reference })
			if found < 0 {
				problems = append(problems, fmt.Errorf("%s: no source has the ref %s; correct it", name, reference))
				continue
			}
			at, relative = &sources[found], "/"+below
		}
		if at.RepoURL != repository {
			continue
		}
		resolved, isRemote, err := path.ResolveValueFilePathOrUrl(
			filepath.Join(r.folder, source.Path), r.folder, relative, []string{"http", "https"},
		)
		if isRemote {
			continue
		}
		checked++
		if err == nil {
			_, err = os.Stat(string(resolved))
		}
		if os.IsNotExist(err) {
			missing = append(missing, file)
			if !source.Helm.IgnoreMissingValueFiles {
				problems = append(problems, fmt.Errorf("%s: does not exist; add it, or correct the path", name))
			}
		} else if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	if source.Helm.IgnoreMissingValueFiles && checked > 0 && len(missing) == checked {
		problems = append(problems, fmt.Errorf(
			"%s.helm.valueFiles: none of %s exists; correct the paths", field, strings.Join(missing, ", "),
		))
	}
	return problems
}

// A patch, with the mark that is set on each object that its target matches.
type patch struct {
	v1alpha1.KustomizePatch
	mark string
}

func (p patch) text() string {
	target := p.Target
	fields := [][2]string{
		{"group", target.Group}, {"version", target.Version}, {"kind", target.Kind}, {"name", target.Name},
		{"namespace", target.Namespace}, {"labelSelector", target.LabelSelector},
		{"annotationSelector", target.AnnotationSelector},
	}
	var set []string
	for _, field := range fields {
		if field[1] != "" {
			set = append(set, field[0]+" "+field[1])
		}
	}
	return strings.Join(set, ", ")
}

const markPrefix = "matched-by-patch-"

// The patches with a target. Kustomize refuses the others if they match nothing.
func patches(source *v1alpha1.ApplicationSource) (found []patch) {
	if source.Kustomize != nil {
		for index, one := range source.Kustomize.Patches {
			if one.Target != nil {
				found = append(found, patch{one, fmt.Sprintf("%s%d", markPrefix, index)})
			}
		}
	}
	return found
}

// The source, with a patch before each that has a target: it adds a field to the objects of the same target.
func withMarks(source *v1alpha1.ApplicationSource) v1alpha1.ApplicationSource {
	marked := *source.DeepCopy()
	if marked.Kustomize == nil {
		return marked
	}
	marked.Kustomize.Patches = nil
	for index, one := range source.Kustomize.Patches {
		if one.Target != nil {
			operation := fmt.Sprintf(`[{"op": "add", "path": "/%s%d", "value": "true"}]`, markPrefix, index)
			marked.Kustomize.Patches = append(
				marked.Kustomize.Patches, v1alpha1.KustomizePatch{Patch: operation, Target: one.Target},
			)
		}
		marked.Kustomize.Patches = append(marked.Kustomize.Patches, one)
	}
	return marked
}

func withoutMarks(manifest map[string]any) map[string]any {
	bare := map[string]any{}
	for key, value := range manifest {
		if !strings.HasPrefix(key, markPrefix) {
			bare[key] = value
		}
	}
	return bare
}

func has(manifests []map[string]any, mark string) bool {
	return slices.ContainsFunc(manifests, func(one map[string]any) bool { return one[mark] != nil })
}

// Images that no container has: Kustomize ignores them.
func imageProblems(field string, source *v1alpha1.ApplicationSource, manifests []map[string]any) (problems []error) {
	if source.Kustomize == nil {
		return nil
	}
	used := map[string]bool{}
	for _, manifest := range manifests {
		addImages(manifest, used)
	}
	for index, image := range source.Kustomize.Images {
		name, renamed, isRenamed := strings.Cut(string(image), "=")
		if !isRenamed || nameOf(renamed) == "*" {
			renamed = name
		}
		if !used[nameOf(renamed)] {
			problems = append(problems, fmt.Errorf(
				"%s.kustomize.images[%d]: %s: no container in %s has the image %s; correct the name",
				field, index, image, source.Path, nameOf(name),
			))
		}
	}
	return problems
}

func addImages(value any, found map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			if image, isText := below.(string); isText && key == "image" {
				found[nameOf(image)] = true
			}
			addImages(below, found)
		}
	case []any:
		for _, below := range value {
			addImages(below, found)
		}
	}
}

// The name of an image, without its tag and digest.
func nameOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if colon := strings.LastIndex(image, ":"); colon > strings.LastIndex(image, "/") {
		return image[:colon]
	}
	return image
}
