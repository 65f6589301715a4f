package whatsapp_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const configuration = `{"accessToken":"EAAJtoken-1234","phoneNumberId":"106540352242922","appSecret":"app-secret-1234","verifyToken":"verify-token-1234"}`

func install(t *testing.T) *handlerstest.Kit {
	t.Helper()
	return handlerstest.New(t, whatsapp.Integration, configuration)
}

// phone is the conversation of somebody who is known by a number.
var phone = client.Tags{"userPhone": "16505551234"}

// bodies returns what arrived at POST messages and was taken, decoded.
func bodies(t *testing.T, requests []fake.Request) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, r := range requests {
		if r.Method != "POST" || r.Path != "/v24.0/106540352242922/messages" || !r.Accepted {
			t.Fatalf("the platform got %+v", r)
		}
		var one map[string]any
		if err := json.Unmarshal([]byte(r.Body), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

func same(t *testing.T, want string, got any) {
	t.Helper()
	var a, b any
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	definition, err := whatsapp.Integration.Definition()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(definition, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "definition.json")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("definition (-golden +now), run with -update if it is meant:\n%s", diff)
	}
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"an empty access token": `{"accessToken":"","phoneNumberId":"1","appSecret":"s","verifyToken":"v"}`,
		"an empty app secret":   `{"accessToken":"t","phoneNumberId":"1","appSecret":"","verifyToken":"v"}`,
		"an empty verify token": `{"accessToken":"t","phoneNumberId":"1","appSecret":"s","verifyToken":""}`,
		"no app secret":         `{"accessToken":"t","phoneNumberId":"1","verifyToken":"v"}`,
		"no verify token":       `{"accessToken":"t","phoneNumberId":"1","appSecret":"s"}`,
		"no phone number id":    `{"accessToken":"t","appSecret":"s","verifyToken":"v"}`,
		"a field of another":    `{"accessToken":"t","phoneNumberId":"1","appSecret":"s","verifyToken":"v","botToken":"x"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := whatsapp.Integration.Configure(json.RawMessage(raw)); err == nil {
				t.Error("was accepted")
			}
		})
	}
}
