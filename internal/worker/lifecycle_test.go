package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// becomes waits until the installation has a status.
func (w *town) becomes(status store.Status) store.Installation {
	w.Helper()
	var found store.Installation
	w.await("status "+string(status), func() bool {
		var err error
		found, err = w.store.Installation(w.Context(), "w1")
		return err == nil && found.Status == status
	})
	return found
}

func TestInstallationIsRegisteredAndUnregistered(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	urls := make(chan string, 9)
	w.register = func(_ context.Context, p handlers.RegisterProps[config]) error {
		if p.Delivery.Attempt == 1 {
			return errors.New("not now")
		}
		urls <- p.WebhookURL
		return nil
	}
	w.install("/api")
	w.start("a")
	w.becomes(store.Registered)
	if url := receive(w, "the registration", urls); url != "https://towpath.example/webhooks/w1" {
		t.Errorf("registered at %s", url)
	}
	if _, err := w.store.Apply(t.Context(), store.Desired{Bots: []store.BotSpec{{ID: "demo"}}}, nil); err != nil {
		t.Fatal(err)
	}
	w.await("the removal", func() bool {
		_, err := w.store.Installation(t.Context(), "w1")
		return errors.Is(err, client.ErrNotFound)
	})
	if n := len(w.letters()); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestFailedRegistrationSaysWhyAndTheNextOneMendsIt(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.register = func(_ context.Context, p handlers.RegisterProps[config]) error {
		if p.Ctx.Configuration.APIURL == w.url+"/wrong" {
			return handlers.NewRuntimeError("the token is wrong", errors.New("private"))
		}
		return nil
	}
	w.install("/wrong")
	w.start("a")
	if got := w.becomes(store.RegistrationFailed); got.StatusReason != "the token is wrong" {
		t.Errorf("reason %q", got.StatusReason)
	}
	w.install("/right")
	if got := w.becomes(store.Registered); got.StatusReason != "" {
		t.Errorf("reason %q", got.StatusReason)
	}
}

// What a registration is about must be what was asked for, also at a worker
// that has not heard of the change.
func TestRegistrationUsesTheConfigurationThatItWasAskedFor(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	seen := make(chan string, 9)
	w.register = func(_ context.Context, p handlers.RegisterProps[config]) error {
		seen <- p.Ctx.Configuration.APIURL
		return nil
	}
	w.install("/old")
	a := w.start("a")
	receive(w, "the first registration", seen)
	w.becomes(store.Registered)
	w.await("the directory", a.directory.Ready)
	a.blind()
	w.install("/new")
	if got := receive(w, "the second registration", seen); got != w.url+"/new" {
		t.Errorf("registered with %s", got)
	}
	w.becomes(store.Registered)
}

func (w *town) ask(ask string) (*client.CallActionOutput, error) {
	input, err := json.Marshal(question{ask})
	if err != nil {
		return nil, err
	}
	return w.bot().CallAction(w.Context(), client.CallActionInput{Type: "acme:ask", Input: input})
}

func TestActionsAnswerTheirCaller(t *testing.T) { //nolint:tparallel // the cases share an action that counts
	t.Parallel()
	w := newTown(t, 2)
	var attempts atomic.Int64
	w.action = func(_ context.Context, p handlers.ActionProps[config, question]) (question, error) {
		p.Metadata.SetCost(1.5)
		switch p.Input.Ask {
		case "runtime":
			return question{}, handlers.NewRuntimeError("there is no such person", errors.New("private"))
		case "permanent":
			return question{}, handlers.Permanent(errors.New("private"))
		case "panic":
			panic("private")
		case "later":
			if attempts.Add(1) < 3 {
				return question{}, errors.New("private")
			}
		case "much later":
			return question{}, handlers.RetryAfter(errors.New("private"), 2*time.Minute)
		}
		return question{"re: " + p.Input.Ask}, nil
	}
	w.install("/api")
	w.start("a")
	w.start("b")
	const unexpected = "an unexpected error occurred in the integration; its log has the cause"
	for ask, want := range map[string]struct { //nolint:paralleltest // as above
		output string
		reason string
	}{
		"hello": {output: `{"ask":"re: hello"}`}, "later": {output: `{"ask":"re: later"}`},
		"runtime": {reason: "there is no such person"}, "permanent": {reason: unexpected}, "panic": {reason: unexpected},
		"much later": {reason: unexpected},
	} {
		t.Run(ask, func(t *testing.T) {
			got, err := w.ask(ask)
			if want.output != "" {
				if err != nil || string(got.Output) != want.output {
					t.Errorf("output %+v, %v", got, err)
				}
				return
			}
			failure, ok := errors.AsType[*client.Error](err)
			if !ok || failure.Type != client.Runtime || failure.Message != want.reason {
				t.Errorf("error %v, want Runtime: %s", err, want.reason)
			}
		})
	}
}
