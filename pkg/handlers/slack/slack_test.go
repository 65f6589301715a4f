package slack_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const botToken = "xoxb-not-to-be-seen"

func configure(tb testing.TB, configuration map[string]any) handlers.Installed {
	tb.Helper()
	raw, err := json.Marshal(configuration)
	if err != nil {
		tb.Fatal(err)
	}
	installed, err := slack.Integration.Configure(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return installed
}

const configuration = `{"botToken":"` + botToken + `","signingSecret":["current","previous"],"apiUrl":"${FAKE}/api"}`

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, slack.Integration, configuration)
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Hi <there>", Conversation: "C0TEST1", User: "U0TEST1"}
}

func post(contentType, body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, slack.Integration, "testdata/definition.json")
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, slack.Integration, map[string]string{
		"an empty bot token":             `{"botToken":"","signingSecret":"s"}`,
		"an empty signing secret":        `{"botToken":"t","signingSecret":""}`,
		"an empty list of secrets":       `{"botToken":"t","signingSecret":[]}`,
		"an empty secret in a list":      `{"botToken":"t","signingSecret":["s",""]}`,
		"no signing secret":              `{"botToken":"t"}`,
		"null for a secret":              `{"botToken":"t","signingSecret":null}`,
		"a field that is not Slack's":    `{"botToken":"t","signingSecret":"s","shopName":"acme"}`,
		"nothing at all":                 ``,
		"what is no object":              `[]`,
		"a secret that is not a string":  `{"botToken":7,"signingSecret":"s"}`,
		"secrets that are not strings":   `{"botToken":"t","signingSecret":[7]}`,
		"an object in place of a secret": `{"botToken":{"value":"t"},"signingSecret":"s"}`,
	})
}

var errStore = errors.New("the store is away")
