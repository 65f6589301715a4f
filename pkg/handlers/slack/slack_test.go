package slack_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const botToken = "xoxb-not-to-be-seen"

// now is the time of every test; nothing here reads a clock.
var now = time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC)

// recorder writes down what a handler asks of its client. It knows states, and
// gives every entity the same id; all else is the store's to test.
type recorder struct {
	mu     sync.Mutex
	calls  []call
	states map[string]json.RawMessage
	fail   error
}

type call struct {
	Name  string
	Input any
}

func (r *recorder) Do(_ context.Context, c client.Call, in, out any) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	switch in := in.(type) {
	case *client.StateInput:
		payload, ok := r.states[in.Name]
		if !ok {
			return client.NotFound("state", in.Name)
		}
		out.(*client.StateOutput).State.Payload = payload
		return nil
	case *client.SetStateInput:
		if r.states == nil {
			r.states = map[string]json.RawMessage{}
		}
		if string(in.Payload) == "null" {
			delete(r.states, in.Name)
		} else {
			r.states[in.Name] = in.Payload
		}
	case *client.GetOrCreateConversationInput:
		out.(*client.GetOrCreateConversationOutput).Conversation.ID = "conv_1"
	case *client.GetOrCreateUserInput:
		out.(*client.GetOrCreateUserOutput).User.ID = "user_1"
	}
	r.calls = append(r.calls, call{c.Operation.Name, in})
	return nil
}

// asked returns the inputs of all calls of an operation.
func (r *recorder) asked(name string) []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := []any{}
	for _, c := range r.calls {
		if c.Name == name {
			found = append(found, c.Input)
		}
	}
	return found
}

// installation is Slack installed, with the platform's fake behind it.
type installation struct {
	handlers.Installed
	base     handlers.Base
	recorder *recorder
	platform *fake.Server
	server   *httptest.Server
	log      *logged
}

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

func install(tb testing.TB) *installation {
	tb.Helper()
	platform := fake.New()
	platform.Mount("/slack", slack.Integration.NewFake())
	server := httptest.NewServer(platform)
	tb.Cleanup(func() {
		platform.Close()
		server.Close()
	})
	i := &installation{recorder: &recorder{}, platform: platform, server: server, log: &logged{}}
	i.Installed = configure(tb, map[string]any{
		"botToken": botToken, "signingSecret": []string{"current", "previous"}, "apiUrl": server.URL + "/slack/api",
	})
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.DebugLevel)
	logger.AddHook(i.log)
	i.base = handlers.Base{
		Client: client.New(i.recorder, client.Caller{BotID: "bot", IntegrationID: "intver_1", Alias: "slack"}),
		HTTP:   server.Client(), Logger: handlers.Logger{Entry: logrus.NewEntry(logger)},
	}
	return i
}

// receive sends a request the whole way: verified, split, handled.
func (i *installation) receive(ctx context.Context, r *events.Request) ([]handlers.Part, error) {
	if err := i.Verify(r, now); err != nil {
		return nil, err
	}
	parts, err := i.Split(r)
	if err != nil {
		return nil, err
	}
	_, err = i.Webhook(ctx, i.base, r)
	return parts, err
}

func (i *installation) sample(tb testing.TB, name string, args handlers.SampleArgs) *events.Request {
	tb.Helper()
	r, err := i.Sample(name, args)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Hi <there>", Conversation: "C0TEST1", User: "U0TEST1", Now: now}
}

// logged keeps the lines that a bot's owner is shown.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (*logged) Levels() []logrus.Level { return logrus.AllLevels }

func (l *logged) Fire(e *logrus.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Data["for_bot"] == true {
		l.lines = append(l.lines, e.Message)
	}
	return nil
}

func (l *logged) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

func post(contentType, body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{"Content-Type": {contentType}}, Body: []byte(body)}
}

func decision(err error) handlers.Decision { return handlers.Judge(err).Decision }

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	definition, err := slack.Integration.Definition()
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
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := slack.Integration.Configure(json.RawMessage(raw)); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

var errStore = errors.New("the store is away")
