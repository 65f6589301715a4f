package whatsapp_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

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
	handlerstest.Definition(t, whatsapp.Integration, filepath.Join("testdata", "definition.json"))
}

func TestEverySampleIsHandled(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, whatsapp.Integration, map[string]string{
		"an empty access token": `{"accessToken":"","phoneNumberId":"1","appSecret":"s","verifyToken":"v"}`,
		"an empty app secret":   `{"accessToken":"t","phoneNumberId":"1","appSecret":"","verifyToken":"v"}`,
		"an empty verify token": `{"accessToken":"t","phoneNumberId":"1","appSecret":"s","verifyToken":""}`,
		"no app secret":         `{"accessToken":"t","phoneNumberId":"1","verifyToken":"v"}`,
		"no verify token":       `{"accessToken":"t","phoneNumberId":"1","appSecret":"s"}`,
		"no phone number id":    `{"accessToken":"t","appSecret":"s","verifyToken":"v"}`,
		"a field of another":    `{"accessToken":"t","phoneNumberId":"1","appSecret":"s","verifyToken":"v","botToken":"x"}`,
	})
}
