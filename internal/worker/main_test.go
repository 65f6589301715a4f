package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config struct {
	APIURL string `json:"apiUrl"`
}

type step struct {
	Key string `json:"key"`
	N   int    `json:"n"`
}

var stepped = events.Define[step]("stepped")

type question struct {
	Ask string `json:"ask"`
}

// run is one run of a handler.
type run struct {
	step
	Worker  string
	Attempt int
	At      time.Time
}

// town is a NATS with an installation of a test's integration, a platform for
// it, and any number of workers, each over a connection of its own.
type town struct {
	*testing.T
	server *brokertest.Server
	broker *broker.Broker // the test's own
	store  *store.Store
	fake   *fake.Server
	url    string // of the fake platform

	// What the integration does; set before the first worker. Webhook runs
	// before the event is fired; done tells a step's run from its effects.
	webhook  func(context.Context, handlers.WebhookProps[config], run) error
	message  func(context.Context, handlers.MessageProps[config, events.Text], string) error
	action   func(context.Context, handlers.ActionProps[config, question]) (question, error)
	register func(context.Context, handlers.RegisterProps[config]) error
	// How it wants to be treated.
	uncertain handlers.Uncertain
	rate      handlers.Rate // of each conversation

	mu   sync.Mutex
	runs []run
}

func newTown(t *testing.T, partitions int) *town {
	t.Helper()
	server := brokertest.StartEmpty(t)
	w := &town{T: t, server: server, broker: server.Connect(t), fake: fake.New()}
	if err := w.broker.Provision(t.Context(), broker.Topology{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	w.fake.Mount("/api", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, `{"ok":true}`) }))
	platform := httptest.NewServer(w.fake)
	t.Cleanup(platform.Close)
	t.Cleanup(w.fake.Close)
	w.url = platform.URL
	var err error
	if w.store, err = store.Open(t.Context(), w.broker); err != nil {
		t.Fatal(err)
	}
	return w
}

// install installs the integration with the given path of its API.
func (w *town) install(api string) {
	w.Helper()
	_, err := w.store.Apply(w.Context(), store.Desired{
		WebhookBase: "https://towpath.example/webhooks/", Bots: []store.BotSpec{{ID: "demo"}},
		Installations: []store.InstallationSpec{{
			Bot: "demo", Integration: "acme", Alias: "acme", WebhookID: "w1",
			Configuration: json.RawMessage(`{"apiUrl":"` + w.url + api + `"}`),
		}},
	}, nil)
	if err != nil {
		w.Fatal(err)
	}
}

func (w *town) integration(name string) handlers.Registrable {
	return handlers.Integration[config]{
		Name: "acme", Version: "1.0.0", Title: "Acme", Unverified: true, Events: []events.Declared{stepped}, Uncertain: w.uncertain,
		Handler: func(ctx context.Context, p handlers.WebhookProps[config]) (*events.Response, error) {
			r := run{Worker: name, Attempt: p.Delivery.Attempt, At: time.Now()}
			if err := json.Unmarshal(p.Req.Body, &r.step); err != nil {
				return nil, handlers.Permanent(err)
			}
			w.mu.Lock()
			w.runs = append(w.runs, r)
			w.mu.Unlock()
			if w.webhook != nil {
				if err := w.webhook(ctx, p, r); err != nil {
					return nil, err
				}
			}
			return nil, stepped.Fire(ctx, p.Client, r.step)
		},
		Channels: handlers.Channels[config]{"chat": {Rate: w.rate, Messages: handlers.Messages[config]{
			"text": handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[config, events.Text]) error {
				if w.message != nil {
					return w.message(ctx, p, name)
				}
				if err := say(ctx, p); err != nil {
					return err
				}
				return p.Ack(ctx, client.Tags{"id": p.Payload.Text})
			}),
		}}},
		Actions: handlers.Actions[config]{"ask": handlers.NewAction(handlers.ActionInfo{Title: "Ask"},
			func(ctx context.Context, p handlers.ActionProps[config, question]) (question, error) {
				return w.action(ctx, p)
			})},
		Register: func(ctx context.Context, p handlers.RegisterProps[config]) error {
			if w.register != nil {
				return w.register(ctx, p)
			}
			return nil
		},
	}
}

// say posts a text to the platform.
func say(ctx context.Context, p handlers.MessageProps[config, events.Text]) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Ctx.Configuration.APIURL+"/send", strings.NewReader(p.Payload.Text))
	if err != nil {
		return err
	}
	request.Header.Set("Idempotency-Key", p.Delivery.ID)
	response, err := p.HTTP.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the platform answered %s", response.Status)
	}
	return nil
}

// process is a worker with all that a process of its own would have.
type process struct {
	name      string
	broker    *broker.Broker
	directory *store.Directory
	worker    *worker.Worker
	stop      context.CancelFunc
	blind     func()        // ends the watch of the directory
	ended     chan struct{} // closed when Run has returned
}

// start starts a worker.
func (w *town) start(name string, changes ...func(*worker.Config)) *process {
	w.Helper()
	b := w.server.Connect(w.T)
	opened, err := store.Open(w.Context(), b)
	if err != nil {
		w.Fatal(err)
	}
	registry, err := handlers.NewRegistry(w.integration(name))
	if err != nil {
		w.Fatal(err)
	}
	logger, transport := brokertest.Logger(w.T), &http.Transport{}
	p := &process{name: name, broker: b, directory: store.NewDirectory(b, logger), ended: make(chan struct{})}
	c := worker.Config{
		Name: name, Broker: b, Store: opened, Directory: p.directory, Logger: logger,
		Dispatcher: &dispatch.Dispatcher{
			Installations: dispatch.NewInstallations(registry), Backend: opened, Logger: logger, Transport: transport, Timeout: 20 * time.Second,
		},
		Grace: 10 * time.Second, Lease: broker.Lease{TTL: time.Second},
		Retry: handlers.RetryPolicy{MaxAttempts: 5, Base: 20 * time.Millisecond, Cap: 200 * time.Millisecond},
	}
	for _, change := range changes {
		change(&c)
	}
	if p.worker, err = worker.New(w.Context(), c); err != nil {
		w.Fatal(err)
	}
	watching, blind := context.WithCancel(context.WithoutCancel(w.Context()))
	ctx, stop := context.WithCancel(context.WithoutCancel(w.Context()))
	p.stop = stop
	var directory sync.WaitGroup
	directory.Go(func() { _ = p.directory.Run(watching) })
	p.blind = func() { blind(); directory.Wait() }
	go func() {
		defer close(p.ended)
		p.worker.Run(ctx)
	}()
	w.Cleanup(func() {
		stop()
		<-p.ended
		p.blind()
		transport.CloseIdleConnections()
	})
	return p
}

// drain ends the worker as SIGTERM does.
func (p *process) drain() {
	p.stop()
	<-p.ended
}

// kill cuts the worker off from everything, as kill -9 would.
func (p *process) kill() { p.broker.Close() }

// patience is how long a test waits for what comes in a second, unless the
// machine has much else to do.
const patience = 90 * time.Second

// await waits until something holds that nothing announces.
func (w *town) await(what string, holds func() bool) {
	w.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-limit:
			w.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// receive waits for a value.
func receive[T any](w *town, what string, from <-chan T) T {
	w.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(40 * time.Second):
		w.Fatalf("%s: not within 40 s", what)
		panic("unreachable")
	}
}

func delivery(key string, n int) string { return events.DeliveryID("w1", fmt.Sprintf("%s/%d", key, n)) }

// webhookEvent is what ingest would store.
func webhookEvent(w *town, key string, n int) broker.Receipt {
	w.Helper()
	return w.enqueue(broker.Webhooks, key, n, key)
}

// enqueue stores step n of a key in a queue, in a lane of its own name.
func (w *town) enqueue(queue broker.Stream, key string, n int, lane string) broker.Receipt {
	w.Helper()
	body, err := json.Marshal(step{key, n})
	if err != nil {
		w.Fatal(err)
	}
	data, err := json.Marshal(events.Webhook{Req: &events.Request{Method: "POST", Path: "/", Body: body}})
	if err != nil {
		w.Fatal(err)
	}
	e := events.New(delivery(key, n), "/webhooks/w1", events.WebhookReceived.CloudEventType(), key, time.Now(), data)
	receipt, err := w.broker.Enqueue(w.Context(), queue, "w1", lane, e)
	if err != nil {
		w.Fatal(err)
	}
	return receipt
}

// handled tells whether a delivery is at its end.
func (w *town) handled(key string, n int) bool {
	return w.ended(delivery(key, n))
}

// ended tells whether a delivery is at its end.
func (w *town) ended(id string) bool {
	w.Helper()
	d, err := w.store.Delivery(w.Context(), id)
	return d.Outcome != "" && err == nil
}

// all returns every message of a stream.
func (w *town) all(stream broker.Stream, subject string) []broker.Message {
	w.Helper()
	var all []broker.Message
	for after := uint64(0); ; {
		message, err := w.broker.Next(w.Context(), stream, subject, after)
		if errors.Is(err, broker.ErrNoMessage) {
			return all
		}
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, message)
		after = message.Seq
	}
}

// steps returns what the bot was told, by key and in order.
func (w *town) steps() map[string][]int {
	w.Helper()
	told := map[string][]int{}
	for _, message := range w.all(broker.Events, "events.demo.acme.stepped") {
		var event struct{ Payload step }
		if err := json.Unmarshal(message.Data, &event); err != nil {
			w.Fatal(err)
		}
		told[event.Payload.Key] = append(told[event.Payload.Key], event.Payload.N)
	}
	return told
}

// ran returns the runs of a key so far.
func (w *town) ran(key string) []run {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []run
	for _, r := range w.runs {
		if r.Key == key {
			all = append(all, r)
		}
	}
	return all
}

// letters returns the dead letters.
func (w *town) letters() []broker.DeadLetter {
	w.Helper()
	var all []broker.DeadLetter
	for _, message := range w.all(broker.DeadLetters, ">") {
		var letter broker.DeadLetter
		if err := json.Unmarshal(message.Data, &letter); err != nil {
			w.Fatal(err)
		}
		all = append(all, letter)
	}
	return all
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
