package ingest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/ingest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/slack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secret      = "acme-SECRET"
	slackSecret = "8f742231b10e8888abcd99yyyzzz85a5"
)

type config struct {
	Secret handlers.Secret `json:"secret"`
}

type happened struct {
	ID   string `json:"id"`
	Key  string `json:"key"`
	Text string `json:"text"`
}

type order struct {
	Total string `json:"total"`
}

var newOrder = events.Define[order]("newOrder")

// sign is acme's scheme: a MAC over the time and the body.
func sign(at, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(at + "." + body))
	return hex.EncodeToString(mac.Sum(nil))
}

var acme = handlers.Integration[config]{
	Name: "acme", Version: "1.0.0", Title: "Acme", Events: []events.Declared{newOrder},
	Channels: handlers.Channels[config]{"chat": {Messages: handlers.Messages[config]{
		"text": handlers.NewMessage(func(context.Context, handlers.MessageProps[config, events.Text]) error { return nil }),
	}}},
	Verify: func(r *events.Request, c config, now time.Time) error {
		at := r.Header.Get("X-Acme-Time")
		seconds, err := strconv.ParseInt(at, 10, 64)
		if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
			return errors.New("the time is missing or too old")
		}
		if !hmac.Equal([]byte(r.Header.Get("X-Acme-Signature")), []byte(sign(at, string(r.Body)))) || c.Secret.Reveal() != secret {
			return errors.New("the signature is wrong")
		}
		return nil
	},
	Handshake: func(r *events.Request, _ config) (*events.Response, bool) {
		if r.Method == http.MethodGet {
			return &events.Response{Status: http.StatusAccepted, Header: http.Header{"X-Acme": {"yes"}}, Body: []byte(r.Query)}, true
		}
		return nil, false
	},
	Split: func(r *events.Request, _ config) ([]handlers.Part, error) {
		var all []happened
		if err := json.Unmarshal(r.Body, &all); err != nil {
			return nil, errors.New("it is no list of what happened")
		}
		parts := make([]handlers.Part, len(all))
		for i, one := range all {
			if one.Text == "panic" {
				panic("split cannot read this")
			}
			body, err := json.Marshal(one)
			if err != nil {
				return nil, err
			}
			parts[i] = handlers.Part{ID: one.ID, Key: one.Key, Body: body}
		}
		return parts, nil
	},
}

// own is an integration whose handler verifies.
var own = handlers.Integration[struct{}]{
	Name: "own", Version: "1.0.0", Title: "Own", Unverified: true,
	Handler: func(context.Context, handlers.WebhookProps[struct{}]) (*events.Response, error) { return nil, nil },
}

// door is an ingest over a real NATS, with one installation of acme, one that
// is disabled, and one of Slack.
type door struct {
	t      *testing.T
	broker *broker.Broker // the test's own connection
	store  *store.Store
	url    string
	now    time.Time
}

func newDoor(t *testing.T, server *brokertest.Server, change func(*ingest.Config)) *door {
	t.Helper()
	d := &door{t: t, broker: server.Connect(t), now: time.Now()}
	handler := d.handler(server.Connect(t), change)
	listener := httptest.NewServer(handler)
	t.Cleanup(listener.Close)
	d.url = listener.URL
	return d
}

// handler returns an ingest over b once it knows its installations.
func (d *door) handler(b *broker.Broker, change func(*ingest.Config)) http.Handler {
	d.t.Helper()
	opened, err := store.Open(d.t.Context(), d.broker)
	if err != nil {
		d.t.Fatal(err)
	}
	d.store = opened
	configuration := json.RawMessage(`{"secret":"` + secret + `"}`)
	_, err = opened.Apply(d.t.Context(), store.Desired{
		Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{
			{Bot: "demo", Integration: "acme", Alias: "acme", WebhookID: "w1", Configuration: configuration},
			{Bot: "demo", Integration: "acme", Alias: "off", WebhookID: "w2", Configuration: configuration, Disabled: true},
			{Bot: "demo", Integration: "slack", Alias: "slack", WebhookID: "w3", Configuration: json.RawMessage(
				`{"botToken":"xoxb-SECRET","signingSecret":"` + slackSecret + `"}`)},
			{Bot: "demo", Integration: "acme", Alias: "broken", WebhookID: "w4", Configuration: json.RawMessage(`{}`)},
			{Bot: "demo", Integration: "own", Alias: "own", WebhookID: "w5", Configuration: json.RawMessage(`{}`)},
		},
	}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	registry, err := handlers.NewRegistry(acme, own, slack.Integration)
	if err != nil {
		d.t.Fatal(err)
	}
	logger := brokertest.Logger(d.t)
	directory := store.NewDirectory(b, logger)
	ctx, stop := context.WithCancel(context.WithoutCancel(d.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = directory.Run(ctx)
	}()
	d.t.Cleanup(func() { stop(); <-ended })
	config := ingest.Config{
		Broker: b, Directory: directory, Installations: dispatch.NewInstallations(registry), Logger: logger,
		Now: func() time.Time { return d.now },
	}
	if change != nil {
		change(&config)
	}
	await(d.t, "the directory", directory.Ready)
	return ingest.New(config)
}

// await waits until something holds that nothing announces.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// signed is a request of acme's.
func (d *door) signed(method, path, body string) *http.Request {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	at := strconv.FormatInt(d.now.Unix(), 10)
	request.Header.Set("X-Acme-Time", at)
	request.Header.Set("X-Acme-Signature", sign(at, body))
	request.Header.Set("Content-Type", "application/json")
	return request
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request over a connection of its own.
func (d *door) do(request *http.Request) reply {
	d.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		d.t.Errorf("%s %s: %v", request.Method, request.URL, err)
		return reply{}
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Error(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

func (d *door) post(body string) reply {
	d.t.Helper()
	return d.do(d.signed(http.MethodPost, "/webhooks/w1", body))
}

// want fails unless the status is the given one.
func (d *door) want(got reply, status int) reply {
	d.t.Helper()
	if got.status != status {
		d.t.Errorf("status %d, want %d: %s", got.status, status, got.body)
	}
	return got
}

// stored returns what is in the stream.
func (d *door) stored() []broker.Message {
	d.t.Helper()
	var all []broker.Message
	for after := uint64(0); ; {
		message, err := d.broker.Next(d.t.Context(), broker.Webhooks, ">", after)
		if errors.Is(err, broker.ErrNoMessage) {
			return all
		}
		if err != nil {
			d.t.Fatal(err)
		}
		all = append(all, message)
		after = message.Seq
	}
}

// bodies returns the bodies of the stored webhooks in order.
func (d *door) bodies() []string {
	d.t.Helper()
	var all []string
	for _, message := range d.stored() {
		var webhook events.Webhook
		if err := json.Unmarshal(message.Data, &webhook); err != nil {
			d.t.Fatal(err)
		}
		all = append(all, string(webhook.Req.Body))
	}
	return all
}

func one(id, key, text string) string {
	data, _ := json.Marshal(happened{id, key, text})
	return string(data)
}

func list(items ...string) string { return "[" + strings.Join(items, ",") + "]" }

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte{'x'}, len(p))), nil }
