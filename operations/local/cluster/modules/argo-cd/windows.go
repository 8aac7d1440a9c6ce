package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
)

// What Argo CD accepts in a sync window, and then ignores: it takes UTC for an unknown time zone.
func windowProblems(project *v1alpha1.AppProject) (problems []error) {
	for index, window := range project.Spec.SyncWindows {
		say := func(field, value, what string) {
			problems = append(problems, fmt.Errorf("spec.syncWindows[%d].%s: %s: %s", index, field, value, what))
		}
		if _, err := time.LoadLocation(window.TimeZone); err != nil {
			say("timeZone", window.TimeZone, "unknown time zone; write a name of the IANA database, such as Asia/Seoul")
		}
		if duration, err := time.ParseDuration(window.Duration); err == nil && duration <= 0 {
			say("duration", window.Duration, "not above zero; write one such as 7h")
		}
		fields := cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
		schedule, err := cron.NewParser(fields).Parse(window.Schedule)
		if err == nil && schedule.Next(time.Now()).IsZero() {
			say("schedule", window.Schedule, "no such day exists; correct it")
		}
	}
	return problems
}

// Notes whether each part of a sync window matches an Application, or one in a namespace that the project permits.
func noteWindows(project *v1alpha1.AppProject, applications []v1alpha1.Application, noted matches) {
	for _, destination := range project.Spec.Destinations {
		permitted := v1alpha1.Application{}
		permitted.Name = destination.Namespace // services are named after their namespaces
		permitted.Spec.Project = project.Name
		permitted.Spec.Destination = v1alpha1.ApplicationDestination{
			Server: destination.Server, Name: destination.Name, Namespace: destination.Namespace,
		}
		applications = append(applications, permitted)
	}
	for index, window := range project.Spec.SyncWindows {
		note := func(part v1alpha1.InlineSyncWindow, text string) {
			windows := v1alpha1.SyncWindows{&part}
			matched := slices.ContainsFunc(applications, func(one v1alpha1.Application) bool {
				return one.Spec.GetProject() == project.Name && windows.Matches(&one).HasWindows()
			})
			noted.note(matched, fmt.Sprintf("AppProject %s: spec.syncWindows[%d]%s", project.Name, index, text))
		}
		for _, pattern := range window.Applications {
			part := v1alpha1.InlineSyncWindow{Applications: []string{pattern}}
			note(part, ".applications: "+pattern+": matches no Application of the project; correct it")
		}
		for _, pattern := range window.Namespaces {
			part := v1alpha1.InlineSyncWindow{Namespaces: []string{pattern}}
			note(part, ".namespaces: "+pattern+": matches no namespace of the project; correct it")
		}
		for _, pattern := range window.Clusters {
			part := v1alpha1.InlineSyncWindow{Clusters: []string{pattern}}
			note(part, ".clusters: "+pattern+": matches no cluster of the project; correct it")
		}
		if window.UseAndOperator || len(window.Applications)+len(window.Namespaces)+len(window.Clusters) == 0 {
			note(*window, ": matches no Application of the project; set applications, namespaces or clusters")
		}
	}
}

// What Argo CD accepts as a backoff, although it waits no time, or less.
func backoffProblems(backoff *v1alpha1.Backoff) (problems []error) {
	say := func(field, value, what string) {
		problems = append(problems, fmt.Errorf("spec.syncPolicy.retry.backoff.%s: %s: %s", field, value, what))
	}
	for _, one := range [][2]string{{"duration", backoff.Duration}, {"maxDuration", backoff.MaxDuration}} {
		field, text := one[0], one[1]
		if text == "" || (field == "maxDuration" && strings.Trim(text, "0hms") == "") { // without a limit
			continue
		}
		now := time.Now()
		retry := v1alpha1.RetryStrategy{Backoff: &v1alpha1.Backoff{Duration: text}}
		if next, err := retry.NextRetryAt(now, 0); err != nil {
			say(field, text, "not a duration; write one such as 10s")
		} else if !next.After(now) {
			say(field, text, "not above zero; write one such as 10s")
		}
	}
	if backoff.Factor != nil && *backoff.Factor < 1 {
		say("factor", fmt.Sprint(*backoff.Factor), "below one; write one such as 2")
	}
	return problems
}
