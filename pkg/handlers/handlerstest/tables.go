package handlerstest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Misconfigured holds an integration to refusing configurations, by what is
// wrong with each; all but one thing in each should be right. Where they are
// JSON objects, no secret in them may be told by the error.
func Misconfigured(t *testing.T, integration handlers.Registrable, wrong map[string]string) {
	t.Helper()
	definition, err := integration.Definition()
	if err != nil {
		t.Fatal(err)
	}
	for name, configuration := range wrong {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := integration.Configure(json.RawMessage(configuration))
			if err == nil {
				t.Fatal("was accepted")
			}
			for _, secret := range definition.SecretsIn("", json.RawMessage(configuration)) {
				if strings.Contains(err.Error(), secret) {
					t.Error("the error tells a secret")
				}
			}
		})
	}
}

// Splitting is what Split makes of a request: parts, or an error with Fault in
// its text.
type Splitting struct {
	Request *events.Request
	Want    []handlers.Part
	Fault   string
}

// Splits holds the integration's Split to what it should make of requests.
func Splits(t *testing.T, k *Kit, cases map[string]Splitting) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parts, err := k.Installed.Split(tc.Request)
			if tc.Fault != "" {
				if err == nil || !strings.Contains(err.Error(), tc.Fault) {
					t.Errorf("got %v, want %q", err, tc.Fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.Want, parts); diff != "" {
				t.Error(diff)
			}
		})
	}
}
