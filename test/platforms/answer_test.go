package platforms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/ingest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/catalog"
)

// unpublished is how fast a platform is answered that does not tell how long it waits.
const unpublished = 5 * time.Second

// With no worker at all, every platform has its answer before it stops waiting: what is stored is answered, and nothing waits
// for a handler but what the platform wants answered by one, for less long than it waits.
func TestEveryPlatformIsAnsweredBeforeItStopsWaiting(t *testing.T) {
	t.Parallel()

	door := openDoor(t)

	for platform, s := range all(t) {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()

			installed, deadline := s.configure(t), s.definition.Wire.Deadline
			if deadline == 0 {
				deadline = unpublished
			}

			for _, name := range s.definition.Samples {
				r := sample(t, installed, name, time.Now())
				if awaited := installed.Awaits(r); awaited != nil {
					if awaited.Within >= deadline {
						t.Errorf("%s: its handler is awaited for %s, the platform waits for %s", name, awaited.Within, deadline)
					}

					continue
				}

				began := time.Now()
				if status := door(t, s.definition.Name, r); status != http.StatusOK {
					t.Errorf("%s is answered with %d", name, status)
				}

				if took := time.Since(began); took >= deadline {
					t.Errorf("%s is answered after %s, the platform waits for %s", name, took, deadline)
				}
			}

			oversized := &events.Request{Method: http.MethodPost, Header: http.Header{}, Body: bytes.Repeat([]byte{' '}, 3<<20)}
			if status := door(t, s.definition.Name, oversized); status != http.StatusRequestEntityTooLarge {
				t.Errorf("an oversized body is answered with %d", status)
			}
		})
	}
}

// openDoor starts an ingest over a real NATS with an installation of every platform, and returns what sends it requests.
func openDoor(t *testing.T) func(t *testing.T, platform string, r *events.Request) int {
	t.Helper()

	server := brokertest.Start(t)
	b := server.Connect(t)

	opened, err := store.Open(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}

	desired := store.Desired{Bots: []store.BotSpec{{ID: "demo"}}}
	for name, known := range platforms() {
		desired.Installations = append(desired.Installations, store.InstallationSpec{
			Bot: "demo", Integration: name, Alias: name, WebhookID: "w-" + name, Configuration: json.RawMessage(known.configuration),
		})
	}

	if _, err := opened.Apply(t.Context(), desired, nil); err != nil {
		t.Fatal(err)
	}

	registry, err := catalog.Registry()
	if err != nil {
		t.Fatal(err)
	}

	logger := brokertest.Logger(t)
	directory := store.NewDirectory(b, logger)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})

	go func() {
		defer close(ended)

		_ = directory.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-ended })

	for tick := time.Tick(5 * time.Millisecond); !directory.Ready(); {
		<-tick
	}

	listener := httptest.NewServer(ingest.New(ingest.Config{
		Broker: b, Directory: directory, Installations: dispatch.NewInstallations(registry), Logger: logger,
	}))
	t.Cleanup(listener.Close)

	return func(t *testing.T, name string, r *events.Request) int {
		t.Helper()

		request, err := http.NewRequestWithContext(t.Context(), r.Method, listener.URL+"/webhooks/w-"+name+"?"+r.Query, bytes.NewReader(r.Body))
		if err != nil {
			t.Fatal(err)
		}

		request.Header = r.Header
		transport := &http.Transport{DisableKeepAlives: true}

		defer transport.CloseIdleConnections()

		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Error(err)

			return 0
		}

		defer func() { _ = response.Body.Close() }()

		_, _ = io.Copy(io.Discard, response.Body)

		return response.StatusCode
	}
}
