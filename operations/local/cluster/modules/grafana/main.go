// Validates dashboards with the schema that Grafana publishes: prints each unknown, missing or wrong field.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: grafana <dashboard.json>...")
	}
	plugins.RegisterDefaultPlugins() // the schemas of panels and of queries
	status := 0
	for _, file := range os.Args[1:] {
		for _, problem := range problems(file) {
			fmt.Printf("%s: %s\n", file, problem)
			status = 1
		}
	}
	os.Exit(status)
}

func problems(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return []string{err.Error()}
	}
	// The strict parser returns a list of problems, which is empty and not nil if there are none. It drops panels, so
	// the limits of values are checked on what the other parser returns.
	var strict, parsed dashboard.Dashboard
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		return strings.Split(err.Error(), "\n")
	}
	if err := json.Unmarshal(text, &parsed); err != nil {
		return []string{err.Error()}
	}
	if err := parsed.Validate(); err != nil {
		return strings.Split(err.Error(), "\n")
	}
	return unknownTypes("panels", parsed.Panels)
}

// Fields of a panel of an unknown type are not checked.
func unknownTypes(path string, panels []dashboard.PanelOrRowPanel) (found []string) {
	for i, one := range panels {
		here := fmt.Sprintf("%s[%d]", path, i)
		if one.RowPanel != nil {
			inner := make([]dashboard.PanelOrRowPanel, len(one.RowPanel.Panels))
			for j := range inner {
				inner[j].Panel = &one.RowPanel.Panels[j]
			}
			found = append(found, unknownTypes(here+".panels", inner)...)
		} else if _, known := cog.ConfigForPanelcfgVariant(one.Panel.Type); !known {
			found = append(found, fmt.Sprintf("%s.type: unknown panel '%s'", here, one.Panel.Type))
		}
	}
	return found
}
