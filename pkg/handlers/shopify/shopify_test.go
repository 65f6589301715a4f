package shopify_test

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
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accessToken = "shpat-not-to-be-seen"

// now is the time of every test; nothing here reads a clock.
var now = time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC)

// recorder writes down what a handler asks of its client, and knows states; all
// else is the store's to test.
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

// installation is Shopify installed, with the platform's fake behind it.
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
	installed, err := shopify.Integration.Configure(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return installed
}

func install(tb testing.TB, token string) *installation {
	tb.Helper()
	platform := fake.New()
	platform.Mount("/shopify", shopify.Integration.NewFake())
	server := httptest.NewServer(platform)
	tb.Cleanup(func() {
		platform.Close()
		server.Close()
	})
	i := &installation{recorder: &recorder{}, platform: platform, server: server, log: &logged{}}
	configuration := map[string]any{
		"shopName": "acme", "clientSecret": []string{"current", "previous"}, "apiUrl": server.URL + "/shopify",
	}
	if token != "" {
		configuration["accessToken"] = token
	}
	i.Installed = configure(tb, configuration)
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	logger.SetLevel(logrus.DebugLevel)
	logger.AddHook(i.log)
	i.base = handlers.Base{
		Client: client.New(i.recorder, client.Caller{BotID: "bot", IntegrationID: "intver_1", Alias: "shopify"}),
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
	return handlers.SampleArgs{ID: "0TEST1", Text: "Hi <there>", Conversation: "5820982911946154509", User: "Ada", Now: now}
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

func post(topic, body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Body: []byte(body), Header: http.Header{
		"Content-Type": {"application/json"}, "X-Shopify-Topic": {topic}, "X-Shopify-Webhook-Id": {"w-1"},
	}}
}

func decision(err error) handlers.Decision { return handlers.Judge(err).Decision }

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	definition, err := shopify.Integration.Definition()
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
		"an empty client secret":        `{"shopName":"acme","clientSecret":""}`,
		"an empty secret in a list":     `{"shopName":"acme","clientSecret":["s",""]}`,
		"an empty list of secrets":      `{"shopName":"acme","clientSecret":[]}`,
		"no client secret":              `{"shopName":"acme"}`,
		"an empty access token":         `{"shopName":"acme","clientSecret":"s","accessToken":""}`,
		"null for an access token":      `{"shopName":"acme","clientSecret":"s","accessToken":null}`,
		"no shop":                       `{"clientSecret":"s"}`,
		"an empty shop":                 `{"shopName":"","clientSecret":"s"}`,
		"a shop that is a URL":          `{"shopName":"https://acme.myshopify.com","clientSecret":"s"}`,
		"a shop under another domain":   `{"shopName":"acme.example.com","clientSecret":"s"}`,
		"a shop that hides another":     `{"shopName":"evil.example/acme.myshopify.com","clientSecret":"s"}`,
		"a shop of two lines":           `{"shopName":"acme\n.myshopify.com","clientSecret":"s"}`,
		"a field that is not Shopify's": `{"shopName":"acme","clientSecret":"s","botToken":"t"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := shopify.Integration.Configure(json.RawMessage(raw)); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

var errStore = errors.New("the store is away")

func TestConfigureTakesAShopWithAndWithoutItsDomain(t *testing.T) {
	t.Parallel()
	for name, want := range map[shopify.Shop]string{
		"acme": "acme.myshopify.com", "Acme-2": "acme-2.myshopify.com",
		"acme.myshopify.com": "acme.myshopify.com", "acme.myshopify.io": "acme.myshopify.io",
	} {
		configure(t, map[string]any{"shopName": name, "clientSecret": "s"})
		if got := name.Domain(); got != want {
			t.Errorf("domain of %s is %s, want %s", name, got, want)
		}
	}
}
