package test_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	dashboard = "deploy/monitoring/grafana.json"
	alerts    = "deploy/monitoring/alerts.yaml"
)

var (
	declaredMetric = regexp.MustCompile(`(?:Name: |desc\(|counter\(|histogram\()\s*"(towpath_[a-z_]+)"`)
	namedMetric    = regexp.MustCompile(`\btowpath_[a-z_]+`)
)

// What the dashboard and the alerts watch is what the code exports, and nothing of that goes unseen.
func TestMonitoringWatchesWhatIsExported(t *testing.T) {
	t.Parallel()

	h, err := readHouse("..")
	if err != nil {
		t.Fatal(err)
	}

	exported := map[string]bool{}

	for _, f := range h.source {
		if f.isTest {
			continue
		}

		for _, found := range declaredMetric.FindAllSubmatch(h.read(f.path), -1) {
			exported[string(found[1])] = true
		}
	}

	if len(exported) < 10 {
		t.Fatalf("found only %v", slices.Sorted(maps.Keys(exported)))
	}

	seen := map[string]bool{}

	for _, name := range []string{dashboard, alerts} {
		for _, found := range namedMetric.FindAllString(string(h.read(name)), -1) {
			metric := found
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				metric = strings.TrimSuffix(metric, suffix)
			}

			seen[metric] = true

			if !exported[metric] {
				t.Errorf("%s watches %s, which nothing exports", name, found)
			}
		}
	}

	for metric := range exported {
		if !seen[metric] {
			t.Errorf("%s is exported, and neither %s nor %s shows it", metric, dashboard, alerts)
		}
	}
}

func TestMonitoringFilesAreWellFormed(t *testing.T) {
	t.Parallel()

	h := house{root: ".."}

	var board struct {
		Title  string `json:"title"`
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		} `json:"panels"`
	}
	if err := json.Unmarshal(h.read(dashboard), &board); err != nil || board.Title == "" || len(board.Panels) == 0 {
		t.Errorf("%s: %v, %+v", dashboard, err, board)
	}

	for _, panel := range board.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("panel %q shows nothing", panel.Title)
		}
	}

	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(h.read(alerts), &rules); err != nil || len(rules.Groups) == 0 {
		t.Fatalf("%s: %v", alerts, err)
	}

	for _, rule := range rules.Groups[0].Rules {
		if rule.Alert == "" || rule.Expr == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("a rule does not say what it is about or what to do: %+v", rule)
		}
	}
}
