package handlers

import (
	"errors"
	"fmt"
)

// Registry finds integrations by name. It never changes once it is made.
type Registry struct {
	byName map[string]registered
}

type registered struct {
	Registrable
	definition Definition
}

// NewRegistry returns a registry of the given integrations, or every fault of
// theirs at once.
func NewRegistry(all ...Registrable) (*Registry, error) {
	r := &Registry{byName: make(map[string]registered, len(all))}
	var faults []error
	for _, one := range all {
		definition, err := one.Definition()
		if err != nil {
			faults = append(faults, err)
		}
		if _, twice := r.byName[definition.Name]; twice {
			faults = append(faults, fmt.Errorf("integration %q is registered twice", definition.Name))
		}
		r.byName[definition.Name] = registered{one, definition}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return r, nil
}

// Find returns the integration of that name; the error lists those there are.
func (r *Registry) Find(name string) (Registrable, Definition, error) {
	found, ok := r.byName[name]
	if !ok {
		return nil, Definition{}, fmt.Errorf("no integration %q in this build; it has %s", name, names(r.byName))
	}
	return found.Registrable, found.definition, nil
}

// Definitions lists the integrations by name.
func (r *Registry) Definitions() []Definition {
	all := make([]Definition, 0, len(r.byName))
	for _, name := range sorted(r.byName) {
		all = append(all, r.byName[name].definition)
	}
	return all
}
