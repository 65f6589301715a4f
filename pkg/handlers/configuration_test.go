package handlers_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers"
)

// withConfigurations is acme, to be configured with keys alone, or with
// anything but nothing required.
func withConfigurations() handlers.Integration[config] {
	i := acme()
	i.Configurations = map[string]handlers.Configuration{
		"keys": {Title: "Keys", Description: "With keys.", Fields: []string{"keys", "limit"}, Required: []string{"keys"}},
		"free": {},
	}
	return i
}

func TestConfigureAsTakesTheFieldsOfItsType(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ typ, raw, field string }{
		"the one configuration":                  {"", `{"token":"t","keys":["k"],"limit":1}`, ""},
		"the one configuration, field missing":   {"", `{"keys":"k"}`, "token"},
		"a subset":                               {"keys", `{"keys":"k","limit":1}`, ""},
		"a subset, optional field missing":       {"keys", `{"keys":["k","l"]}`, ""},
		"a subset, required field missing":       {"keys", `{"limit":1}`, "keys"},
		"a subset, field of another type":        {"keys", `{"keys":"k","token":"t"}`, "token"},
		"a subset, nothing":                      {"keys", ``, "keys"},
		"all fields, none required":              {"free", ``, ""},
		"all fields":                             {"free", `{"token":"t","keys":"k","limit":1,"place":{"room":"r"}}`, ""},
		"all fields, unknown field":              {"free", `{"surprise":1}`, "surprise"},
		"all fields, unknown field within field": {"free", `{"place":{"floor":1}}`, "place"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			installed, err := withConfigurations().ConfigureAs(tc.typ, json.RawMessage(tc.raw))
			if tc.field != "" {
				wantError(t, err, []string{"configuration of acme", tc.field}, nil)
				return
			}
			if err != nil || installed == nil {
				t.Errorf("%s is refused: %v", tc.raw, err)
			}
		})
	}
}

func TestConfigureAsListsTheTypesThereAre(t *testing.T) {
	t.Parallel()
	_, err := withConfigurations().ConfigureAs("oauth", json.RawMessage(`{"token":"hush"}`))
	wantError(t, err, []string{`no configuration type "oauth"`, "it has free, keys"}, []string{"hush"})
	_, err = acme().ConfigureAs("oauth", json.RawMessage(`{"token":"hush"}`))
	wantError(t, err, []string{`no configuration type "oauth"`, "it has none"}, []string{"hush"})
}

func TestConfigureAsShowsNoSecret(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ typ, raw string }{
		"a number for a secret":               {"keys", `{"keys":12345678}`},
		"an empty secret in a list":           {"keys", `{"keys":["hush",""]}`},
		"a list for one secret":               {"free", `{"token":["hush"]}`},
		"an object for a secret":              {"free", `{"token":{"value":"hush"}}`},
		"a wrong field beside a secret":       {"keys", `{"limit":"many","keys":"hush"}`},
		"a secret that this type has not":     {"keys", `{"keys":"hush","token":"hush"}`},
		"a wrong secret this type has not":    {"keys", `{"keys":"hush","token":["hush"]}`},
		"only a secret that the type has not": {"keys", `{"token":"hush"}`},
		"no JSON":                             {"keys", `{"keys":"hush"`},
		"a list":                              {"keys", `["hush"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := withConfigurations().ConfigureAs(tc.typ, json.RawMessage(tc.raw))
			wantError(t, err, []string{"configuration of acme"}, []string{"hush", "1234", "1.2345"})
		})
	}
}

func TestConfigurationsAreDescribed(t *testing.T) {
	t.Parallel()
	definition, err := withConfigurations().Definition()
	if err != nil {
		t.Fatal(err)
	}
	keys := definition.Configurations["keys"]
	var schema struct {
		Properties           map[string]any `json:"properties"`
		Required             []string       `json:"required"`
		AdditionalProperties any            `json:"additionalProperties"`
	}
	if err := json.Unmarshal(keys.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	if keys.Title != "Keys" || keys.Description != "With keys." || schema.AdditionalProperties != false {
		t.Errorf("described as %+v, %s", keys, keys.Schema)
	}
	if diff := cmp.Diff([]string{"keys"}, schema.Required); diff != "" {
		t.Error(diff)
	}
	if len(schema.Properties) != 2 || schema.Properties["keys"] == nil || schema.Properties["limit"] == nil {
		t.Errorf("properties are %v", schema.Properties)
	}
}

func TestHandlersLearnTheirConfigurationType(t *testing.T) {
	t.Parallel()
	i := withConfigurations()
	var seen string
	i.Ping = pingSeeing(&seen)
	installed, err := i.ConfigureAs("keys", json.RawMessage(`{"keys":["k","l"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := installed.Ping(t.Context(), handlers.Base{Identity: handlers.Identity{ConfigurationType: "keys"}}); err != nil {
		t.Fatal(err)
	}
	if seen != "keys with 2 keys and token \"\"" {
		t.Errorf("the handler saw %s", seen)
	}
}
