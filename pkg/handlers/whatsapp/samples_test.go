package whatsapp_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

// Meta's own samples and recorded webhooks of others.
func TestSamplesOfOthersAreHandled(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(handlerstest.Data(t), "payloads", "whatsapp.*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no files: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if strings.Contains(name, ".error.") || strings.Contains(name, ".send.") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := handlerstest.Payload(t, name)
			bodies := map[string]json.RawMessage{"": raw}
			if name == "whatsapp.system.json" {
				if err := json.Unmarshal(raw, &bodies); err != nil {
					t.Fatal(err)
				}
				delete(bodies, "")
			}
			for what, body := range bodies {
				var about struct {
					Entry []struct {
						Changes []struct {
							Value struct {
								Metadata struct {
									ID string `json:"phone_number_id"`
								} `json:"metadata"`
								Messages, Statuses []json.RawMessage
							} `json:"value"`
						} `json:"changes"`
					} `json:"entry"`
				}
				if err := json.Unmarshal(body, &about); err != nil {
					t.Fatal(err)
				}
				first := about.Entry[0].Changes[0].Value
				kit := handlerstest.New(t, whatsapp.Integration, strings.Replace(configuration, "106540352242922", first.Metadata.ID, 1))
				o := kit.Unsigned(&events.Request{Method: http.MethodPost, Header: http.Header{}, Body: body})
				if o.Refused != nil || o.Err != nil || len(o.Parts) < len(first.Messages)+len(first.Statuses) {
					t.Errorf("%s: %d parts, %v, %v", what, len(o.Parts), o.Refused, o.Err)
				}
				silent := len(first.Statuses) > 0 || what == "identity_change"
				if len(o.Messages)+len(o.Events)+len(o.Told) == 0 && !silent && what != "phone_number_change" {
					t.Errorf("%s: nothing came of it", what)
				}
			}
		})
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, whatsapp.Integration, func(v handlerstest.Vector) string {
		encoded, _ := json.Marshal(v.Secret) // a text
		return strings.Replace(configuration, `"app-secret-1234"`, string(encoded), 1)
	})
}
