package store_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(processURL); url != "" {
		os.Exit(beProcess(url))
	}
	goleak.VerifyTestMain(m)
}

const (
	demo    = "demo"
	webhook = "webhook_demo_slack"
)

var (
	slack = client.Caller{BotID: demo, Alias: "slack", IntegrationID: "intver_slack_1"}
	other = client.Caller{BotID: demo, Alias: "other", IntegrationID: "intver_other_1"}
	bot   = client.Caller{BotID: demo}
)

// server is a NATS of one test.
type server struct {
	t *testing.T
	*brokertest.Server
}

func quiet() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logger
}

func start(t *testing.T) *server {
	t.Helper()
	return &server{t, brokertest.Start(t)}
}

// connect opens a connection of its own, as another process would have.
func (s *server) connect() *broker.Broker {
	s.t.Helper()
	return s.Connect(s.t)
}

func (s *server) open(b *broker.Broker) *store.Store {
	s.t.Helper()
	opened, err := store.Open(s.t.Context(), b)
	if err != nil {
		s.t.Fatal(err)
	}
	return opened
}

// desired is a bot with two installations.
func desired() store.Desired {
	return store.Desired{
		Bots: []store.BotSpec{{ID: demo, Token: "the-demo-bots-token"}},
		Installations: []store.InstallationSpec{
			{Bot: demo, Integration: "slack", Alias: "slack", WebhookID: webhook, Configuration: json.RawMessage(`{"botToken":"x"}`)},
			{Bot: demo, Integration: "other", Alias: "other", WebhookID: "webhook_demo_other"},
		},
	}
}

// installed starts everything that most tests need.
func installed(t *testing.T) (*server, *broker.Broker, *store.Store) {
	t.Helper()
	s := start(t)
	b := s.connect()
	opened := s.open(b)
	if _, err := opened.Apply(t.Context(), desired(), nil); err != nil {
		t.Fatal(err)
	}
	return s, b, opened
}

// must is for calls that are not what is tested.
func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func delivery(id string) client.Delivery {
	return client.Delivery{ID: id, Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC), TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
}

// as returns a client of the caller, in an attempt at a delivery when one is
// given.
func as(s *store.Store, caller client.Caller, of ...string) *client.Client {
	c := client.New(s, caller)
	if len(of) == 1 {
		return c.ForDelivery(delivery(of[0]))
	}
	return c
}

// talk makes a conversation and a user of slack.
func talk(t *testing.T, s *store.Store) (conversation, user string) {
	t.Helper()
	c := as(s, slack)
	made := must[*client.GetOrCreateConversationOutput](t)(c.GetOrCreateConversation(t.Context(), client.GetOrCreateConversationInput{
		Channel: "channel", Tags: client.Tags{"id": "C1"},
	}))
	who := must[*client.GetOrCreateUserOutput](t)(c.GetOrCreateUser(t.Context(), client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1"}}))
	return made.Conversation.ID, who.User.ID
}

func text(conversation, user, says string) client.CreateMessageInput {
	return client.CreateMessageInput{
		ConversationID: conversation, UserID: user, Type: "text",
		Payload: json.RawMessage(`{"text":"` + says + `"}`), Tags: client.Tags{},
	}
}

// stored returns the stream's messages of a CloudEvent type.
func stored(ctx context.Context, t *testing.T, b *broker.Broker, stream broker.Stream, typ string) []broker.Message {
	t.Helper()
	var all []broker.Message
	for after := uint64(0); ; {
		message, err := b.Next(ctx, stream, ">", after)
		if err != nil {
			return all
		}
		if e, err := message.Event(); err == nil && e.Type() == typ {
			all = append(all, message)
		}
		after = message.Seq
	}
}
