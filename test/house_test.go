package test_test

import (
	"strings"
	"testing"
)

// A rule reads a tree and tells what in it breaks the house. Every violation begins with the place and ends with what to do.
type rule struct {
	name string
	find func(house) []string
}

func rules() []rule {
	return []rule{
		{"every package stands on a floor", homelessPackages},
		{"imports go down only", importsUpward},
		{"only the broker speaks NATS", natsOutsideBroker},
		{"a platform is reached only through its handler's HTTP client", ownHTTPClients},
		{"a file holds one idea", longFiles},
		{"a package fits in a head", largePackages},
		{"a name tells what is inside", emptyNames},
		{"every package says what it is", undocumentedPackages},
		{"tests wait for events, not for time", sleepingTests},
		{"every direct dependency has a reason", unexplainedDependencies},
		{"no file knows its author's machine", machinePaths},
	}
}

func TestHouse(t *testing.T) {
	t.Parallel()

	h, err := readHouse("..")
	if err != nil {
		t.Fatal(err)
	}

	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()

			for _, violation := range r.find(h) {
				t.Error(violation)
			}
		})
	}
}

// A rule that cannot fail is worthless: each must find what is planted for it, and nothing beside it.
func TestEachRuleFindsWhatItForbids(t *testing.T) {
	t.Parallel()

	planted := plantedTrees()

	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()

			tree, ok := planted[r.name]
			if !ok {
				t.Fatal("no tree is planted for this rule: add one to plantedTrees")
			}

			found := r.find(plant(t, tree.files))

			for _, want := range tree.want {
				if !containsWith(found, want) {
					t.Errorf("no violation begins with %q in:\n%s", want, strings.Join(found, "\n"))
				}
			}

			if len(found) != len(tree.want) {
				t.Errorf("found %d violations, planted %d:\n%s", len(found), len(tree.want), strings.Join(found, "\n"))
			}
		})
	}
}

func containsWith(all []string, prefix string) bool {
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}

	return false
}
