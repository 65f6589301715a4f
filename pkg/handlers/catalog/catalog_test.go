package catalog_test

import (
	"slices"
	"testing"

	"github.com/towpath/towpath/pkg/handlers/catalog"
)

func TestCatalogHasNoFaults(t *testing.T) {
	t.Parallel()
	registry, err := catalog.Registry()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(registry.Definitions()); got != len(catalog.All()) {
		t.Errorf("%d integrations of %d can be found", got, len(catalog.All()))
	}
}

func TestCatalogIsSortedAndDescribed(t *testing.T) {
	t.Parallel()
	var names []string
	for _, one := range catalog.All() {
		definition, err := one.Definition()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, definition.Name)
		if definition.Title == "" || definition.Description == "" || len(definition.Samples) == 0 {
			t.Errorf("%s lacks title, description or samples", definition.Name)
		}
	}
	if !slices.IsSorted(names) {
		t.Errorf("names are not sorted: %v", names)
	}
}
