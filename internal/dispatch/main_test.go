package dispatch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config struct {
	Greeting string          `json:"greeting"`
	Token    handlers.Secret `json:"token,omitzero"`
}

type ask struct {
	Name string `json:"name"`
}

type said struct {
	Text string `json:"text"`
}

var greeted = events.Define[said]("greeted")

// seen is what a handler saw; the props differ in type, not in what matters.
type seen struct {
	Handler  string
	Ctx      handlers.Context[config]
	Delivery handlers.Delivery
	Props    handlers.Props[config]
	Detail   string
}

// acme is an integration whose handlers note what they get and do as do says.
type acme struct {
	mu   sync.Mutex
	seen []seen
	do   func(context.Context, handlers.Props[config]) error
}

func (a *acme) note(ctx context.Context, handler string, p handlers.Props[config], detail string) error {
	a.mu.Lock()
	a.seen = append(a.seen, seen{handler, p.Ctx, p.Delivery, p, detail})
	a.mu.Unlock()
	if a.do == nil {
		return nil
	}
	return a.do(ctx, p)
}

func (a *acme) last(t *testing.T) seen {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) == 0 {
		t.Fatal("no handler ran")
	}
	return a.seen[len(a.seen)-1]
}

func (a *acme) integration() handlers.Integration[config] {
	return handlers.Integration[config]{
		Name: "acme", Version: "1.2.3", Title: "Acme", Events: []events.Declared{greeted}, Unverified: true,
		Actions: handlers.Actions[config]{"greet": handlers.NewAction(handlers.ActionInfo{Title: "Greet", Billable: true},
			func(ctx context.Context, p handlers.ActionProps[config, ask]) (said, error) {
				p.Metadata.SetCost(2.5)
				return said{p.Ctx.Configuration.Greeting + " " + p.Input.Name}, a.note(ctx, "action", p.Props, p.Input.Name)
			})},
		Channels: handlers.Channels[config]{"chat": {Messages: handlers.Messages[config]{
			"text": handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[config, events.Text]) error {
				return a.note(ctx, "message", p.Props, p.Payload.Text+"/"+p.Conversation.ID+"/"+p.Message.ID+"/"+p.User.ID)
			})}}},
		Handler: func(ctx context.Context, p handlers.WebhookProps[config]) (*events.Response, error) {
			err := a.note(ctx, "webhook", p.Props, p.Req.Method+" "+p.Req.Path+"?"+p.Req.Query+" "+string(p.Req.Body))
			return &events.Response{Status: http.StatusTeapot}, err
		},
		Register: func(ctx context.Context, p handlers.RegisterProps[config]) error {
			return a.note(ctx, "register", p.Props, p.WebhookURL)
		},
		Unregister: func(ctx context.Context, p handlers.RegisterProps[config]) error {
			return a.note(ctx, "unregister", p.Props, p.WebhookURL)
		},
	}
}

// bench is a dispatcher over a real store, with its log.
type bench struct {
	*acme
	dispatch.Dispatcher
	log *safeBuffer
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{acme: &acme{}, log: &safeBuffer{}}
	registry, err := handlers.NewRegistry(b.integration())
	if err != nil {
		t.Fatal(err)
	}
	logger := logrus.New()
	logger.SetOutput(b.log)
	logger.SetLevel(logrus.DebugLevel)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b.Dispatcher = dispatch.Dispatcher{
		Installations: dispatch.NewInstallations(registry), Logger: logger, Transport: transport, Timeout: 10 * time.Second,
	}
	return b
}

// stored gives the bench a store, in which the target is installed.
func (b *bench) stored(t *testing.T) *store.Store {
	t.Helper()
	opened, err := store.Open(t.Context(), brokertest.Start(t).Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	_, err = opened.Apply(t.Context(), store.Desired{
		Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{{
			Bot: "demo", Integration: "acme", Alias: "acme-eu", WebhookID: "w1", Configuration: target().Configuration,
		}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Backend = opened
	return opened
}

func target() dispatch.Target {
	return dispatch.Target{
		BotID: "demo", BotUserID: "user_bot", Integration: "acme", Alias: "acme-eu", WebhookID: "w1",
		ConfigurationType: "", Configuration: json.RawMessage(`{"greeting":"Hello","token":"tok-SECRET-1"}`),
	}
}

var stored = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func job(operation events.Operation, data string) dispatch.Job {
	return dispatch.Job{
		Event:   events.New("dlv_1", "/webhooks/w1", operation.CloudEventType(), "", stored, []byte(data)),
		Attempt: 3, Replayed: true,
	}
}

func withoutData(e event.Event) event.Event {
	e.DataEncoded = nil
	return e
}
