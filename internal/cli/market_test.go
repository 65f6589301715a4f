package cli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/cli"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

type stallConfig struct {
	APIURL string          `json:"apiUrl"`
	Token  handlers.Secret `json:"token"`
}

// order is a webhook of the stall's, and what the bot is told of it.
type order struct {
	ID       int    `json:"id"`
	Customer string `json:"customer"`
	Total    string `json:"total"`
}

type ordered struct {
	Order     int    `json:"order"`
	User      string `json:"user"`
	Total     string `json:"total"`
	Receipt   string `json:"receipt"`   // the platform's
	Reference string `json:"reference"` // made fresh
	Taken     string `json:"taken"`     // when
}

var orderTaken = events.Define[ordered]("orderTaken")

// stallBuild is one build of an integration.
type stallBuild struct {
	// total is what the bot is told that an order costs.
	total func(order) string
	ran   func(order, handlers.Delivery)
	// handler takes the place of the one that all others have.
	handler func(context.Context, handlers.WebhookProps[stallConfig]) (*events.Response, error)
}

func (b stallBuild) integration() handlers.Integration[stallConfig] {
	handler := b.take
	if b.handler != nil {
		handler = b.handler
	}
	return handlers.Integration[stallConfig]{
		Name: "stall", Version: "1.0.0", Unverified: true, Events: []events.Declared{orderTaken},
		Channels: handlers.Channels[stallConfig]{"counter": {
			ConversationTags: []string{"customer"}, MessageTags: []string{"id"},
			Messages: handlers.Messages[stallConfig]{"text": handlers.NewMessage(b.send)},
		}},
		UserTags: []string{"customer"}, Handler: handler,
	}
}

func (b stallBuild) take(ctx context.Context, p handlers.WebhookProps[stallConfig]) (*events.Response, error) {
	var o order
	if err := json.Unmarshal(p.Req.Body, &o); err != nil {
		return nil, handlers.Permanent(err)
	}
	if b.ran != nil {
		b.ran(o, p.Delivery)
	}
	user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"customer": o.Customer}})
	if err != nil {
		return nil, err
	}
	if _, err := p.Client.GetUser(ctx, user.User.ID); err != nil {
		return nil, err
	}
	var receipt struct {
		ID string `json:"id"`
	}
	if err := call(ctx, p.Props, "/receipts", map[string]any{"order": o.ID, "nonce": rand.Text()}, &receipt); err != nil {
		return nil, err
	}
	total := o.Total
	if b.total != nil {
		total = b.total(o)
	}
	if total != "" {
		err = orderTaken.Fire(ctx, p.Client, ordered{
			Order: o.ID, User: user.User.ID, Total: total, Receipt: receipt.ID, Reference: rand.Text(), Taken: time.Now().UTC().Format(time.RFC3339Nano),
		})
	}
	return &events.Response{Body: []byte(`{"taken":` + strconv.FormatInt(time.Now().UnixMilli(), 10) + `}`)}, err
}

func (b stallBuild) send(ctx context.Context, p handlers.MessageProps[stallConfig, events.Text]) error {
	var sent struct {
		ID string `json:"id"`
	}
	if err := call(ctx, p.Props, "/messages", map[string]any{"text": p.Payload.Text}, &sent); err != nil {
		return err
	}
	return p.Ack(ctx, client.Tags{"id": sent.ID})
}

// call posts JSON to the platform.
func call(ctx context.Context, p handlers.Props[stallConfig], path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Ctx.Configuration.APIURL+path+"?token="+p.Ctx.Configuration.Token.Reveal(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := p.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the stall answers %s", response.Status)
	}
	return json.NewDecoder(response.Body).Decode(out)
}

// market is a NATS with a stall, its platform, and no worker yet.
type market struct {
	*testing.T
	*broker.Broker
	store *store.Store
	fake  *fake.Server
	nats  string
}

func newMarket(t *testing.T) *market {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	m := &market{T: t, fake: fake.New(), nats: "--nats=" + server.ClientURL()}
	m.fake.Mount("/api", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":"`+rand.Text()+`"}`)
	}))
	platform := httptest.NewServer(m.fake)
	t.Cleanup(platform.Close)
	t.Cleanup(m.fake.Close)
	file := write(t, `
bots: [{id: demo, token: 0123456789abcdef}]
installations:
  - {bot: demo, integration: stall, webhookId: hook_stall, configuration: {apiUrl: "`+platform.URL+`/api", token: s3cret-token}}
`)
	if status, _, stderr := m.run(stallBuild{}, "provision", "--config", file, "--partitions=2"); status != 0 {
		t.Fatal(stderr)
	}
	if m.Broker, err = broker.Connect(broker.Config{Name: t.Name(), Logger: brokertest.Logger(t), InProcess: server}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if m.store, err = store.Open(t.Context(), m.Broker); err != nil {
		t.Fatal(err)
	}
	return m
}

// run runs a verb of a build to its end.
func (m *market) run(b stallBuild, args ...string) (status int, stdout, stderr string) {
	m.Helper()
	var out, complaints output
	status = cli.Run(m.Context(), append([]string{args[0], m.nats}, args[1:]...), &out, &complaints, []handlers.Registrable{b.integration()})
	return status, out.String(), complaints.String()
}

// work runs a worker until the returned function is called.
func (m *market) work(b stallBuild) (stop func()) {
	m.Helper()
	var out, complaints output
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, []string{"worker", m.nats, "--ops=127.0.0.1:0"}, &out, &complaints, []handlers.Registrable{b.integration()})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if status := <-ended; status != 0 {
			m.Errorf("the worker ends with %d: %s", status, complaints.String())
		}
	})
	m.Cleanup(stop)
	return stop
}

// order stores a webhook as ingest does.
func (m *market) order(o order) (delivery string) {
	m.Helper()
	body, err := json.Marshal(o)
	if err != nil {
		m.Fatal(err)
	}
	data, err := json.Marshal(events.Webhook{Req: &events.Request{Method: "POST", Path: "/", Header: http.Header{}, Body: body}})
	if err != nil {
		m.Fatal(err)
	}
	provider := "order-" + strconv.Itoa(o.ID)
	id := events.DeliveryID("hook_stall", provider)
	e := events.New(id, "/webhooks/hook_stall", events.WebhookReceived.CloudEventType(), o.Customer, time.Now(), data)
	e.SetExtension("providerid", provider)
	e.SetExtension("traceparent", events.TraceParent(id, 0))
	if _, err := m.Enqueue(m.Context(), broker.Webhooks, "hook_stall", o.Customer, e); err != nil {
		m.Fatal(err)
	}
	return id
}

// say has the bot send a message.
func (m *market) say(text string) (delivery string) {
	m.Helper()
	stall := client.New(m.store, client.Caller{BotID: "demo", IntegrationID: "intver_x", Alias: "stall"})
	talk, err := stall.GetOrCreateConversation(m.Context(), client.GetOrCreateConversationInput{Channel: "counter", Tags: client.Tags{"customer": "c"}})
	if err != nil {
		m.Fatal(err)
	}
	payload, err := json.Marshal(events.Text{Text: text})
	if err != nil {
		m.Fatal(err)
	}
	sent, err := client.New(m.store, client.Caller{BotID: "demo"}).CreateMessage(m.Context(), client.CreateMessageInput{
		ConversationID: talk.Conversation.ID, UserID: "demo", Type: "text", Payload: payload,
	})
	if err != nil {
		m.Fatal(err)
	}
	return sent.Message.ID
}

// settled waits until deliveries are at their ends, and their recordings kept.
func (m *market) settled(ids ...string) {
	m.Helper()
	for _, id := range ids {
		until(m.T, id, func() bool {
			d, err := m.store.Delivery(m.Context(), id)
			if err != nil || d.Outcome == "" {
				return false
			}
			_, err = m.Next(m.Context(), broker.Recordings, broker.RecordingSubject("hook_stall", id), 0)
			return err == nil
		})
	}
}

// hash is of everything that is stored, with where it is.
func (m *market) hash() string {
	m.Helper()
	sum := sha256.New()
	for _, stream := range []broker.Stream{
		broker.Webhooks, broker.Commands, broker.Wakeups, broker.Events, broker.DeadLetters, broker.Logs, broker.Recordings,
	} {
		last, err := m.LastSeq(m.Context(), stream)
		if err != nil {
			m.Fatal(err)
		}
		fmt.Fprintln(sum, stream, last)
		for message, err := range m.Oldest(m.Context(), stream, broker.Range{}) {
			if err != nil {
				m.Fatal(err)
			}
			data, err := json.Marshal(message)
			if err != nil {
				m.Fatal(err)
			}
			fmt.Fprintln(sum, string(data))
		}
	}
	for _, name := range []broker.BucketName{
		broker.Bots, broker.Installations, broker.Users, broker.Conversations, broker.Messages, broker.EventRecords,
		broker.States, broker.Cursors, broker.Leases, broker.Seen, broker.Usage, broker.Pace,
	} {
		bucket, err := m.Bucket(m.Context(), name)
		if err != nil {
			m.Fatal(err)
		}
		var entries []string
		if err := bucket.Scan(m.Context(), ">", func(e broker.Entry) {
			entries = append(entries, fmt.Sprintf("%s %d %s", e.Key, e.Revision, e.Value))
		}); err != nil {
			m.Fatal(err)
		}
		slices.Sort(entries)
		fmt.Fprintln(sum, name, strings.Join(entries, "\n"))
		if name != broker.Leases && name != broker.Pace { // whose keys expire, which is a write of NATS's own
			last, err := m.LastSeq(m.Context(), broker.Stream("KV_"+string(name)))
			if err != nil {
				m.Fatal(err)
			}
			fmt.Fprintln(sum, last)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func (m *market) last(stream broker.Stream) int {
	m.Helper()
	seq, err := m.LastSeq(m.Context(), stream)
	if err != nil {
		m.Fatal(err)
	}
	return int(seq)
}
