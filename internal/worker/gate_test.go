package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// refuse makes the platform refuse the credentials of one path.
func refuse(path string) func(context.Context, handlers.MessageProps[config, events.Text], string) error {
	return func(ctx context.Context, p handlers.MessageProps[config, events.Text], _ string) error {
		if strings.HasSuffix(p.Ctx.Configuration.APIURL, path) {
			return handlers.Unauthorized(handlers.NewRuntimeError("the token is revoked", nil))
		}
		if err := say(ctx, p); err != nil {
			return err
		}
		return p.Ack(ctx, client.Tags{"id": p.Payload.Text})
	}
}

func TestRefusedCredentialsPauseTheInstallation(t *testing.T) {
	t.Parallel()
	for name, resume := range map[string]func(*town){
		"until it is configured anew": func(w *town) { w.install("/api/new") },
		"until somebody enables it": func(w *town) {
			w.message = refuse("/nothing")
			if _, err := w.store.SetDisabled(w.Context(), "demo", "acme", false); err != nil {
				w.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, 2)
			w.message = refuse("/old")
			w.install("/api/old")
			a := w.start("a")
			conversation := w.talk("1")
			var ids []string
			for n := range 5 {
				ids = append(ids, w.tell(conversation, fmt.Sprint(n)))
			}
			others := []string{w.tell(w.talk("2"), "other")}
			var paused store.Installation
			w.await("the pause", func() bool {
				found, err := w.store.Installation(t.Context(), "w1")
				paused = found
				return err == nil && found.Paused != nil
			})
			if paused.Paused.Reason != "the token is revoked" {
				t.Errorf("paused: %+v", paused.Paused)
			}
			webhook := webhookEvent(w, "k", 0)
			w.await("what waits to be parked", func() bool { return w.parked() >= 2 })
			if w.handled("k", 0) || webhook.Seq == 0 {
				t.Error("a paused installation handles webhooks")
			}
			// The pause is everybody's, and lasts.
			a.drain()
			resume(w)
			w.start("b")
			for _, id := range slices.Concat(ids, others) {
				if m := w.settled(id); m.Status != client.Sent || m.AckedAt == nil {
					t.Errorf("message %+v", m)
				}
			}
			w.await("the webhook", func() bool { return w.handled("k", 0) })
			texts, _ := w.sent()
			if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, slices.DeleteFunc(texts, func(s string) bool { return s == "other" })); diff != "" {
				t.Error(diff)
			}
			if n := len(w.letters()); n != 0 {
				t.Errorf("%d dead letters", n)
			}
			failed := 0
			for _, id := range []string{ids[0], others[0]} {
				d, err := w.store.Delivery(t.Context(), id)
				if failed += len(d.Errors); err != nil || d.Attempts != 1+len(d.Errors) {
					t.Errorf("delivery %+v, %v", d, err)
				}
			}
			if failed == 0 {
				t.Error("nothing shows what paused it")
			}
		})
	}
}

func TestUncertainSendIsHeldAndSentAgainByAnOperator(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	w.uncertain = handlers.Hold
	if err := w.fake.Script(fake.Rule{Times: 1, Status: http.StatusTooManyRequests}, fake.Rule{Times: 1, AfterAccept: true}); err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	w.start("a")
	conversation := w.talk("1")
	first, second := w.tell(conversation, "first"), w.tell(conversation, "second")
	if m := w.settled(first); m.Status != client.Failed || m.Ambiguous != 1 {
		t.Errorf("the uncertain message is %+v", m)
	}
	if m := w.settled(second); m.Status != client.Sent {
		t.Errorf("the next message is %+v", m)
	}
	if texts, _ := w.sent(); !slices.Equal(texts, []string{"first", "first", "second"}) {
		t.Errorf("the platform got %v", texts)
	}
	w.sendAgain(1)
	w.await("the held message", func() bool {
		got, err := w.bot().GetMessage(t.Context(), first)
		return err == nil && got.Message.Status == client.Sent
	})
	if texts, _ := w.sent(); !slices.Equal(texts, []string{"first", "first", "second", "first"}) {
		t.Errorf("the platform got %v", texts)
	}
}

// sendAgain sends the dead letters again, of which there are n, each twice, as
// an operator does who is cut off in between.
func (w *town) sendAgain(n int) {
	w.Helper()
	letters := w.all(broker.DeadLetters, ">")
	if len(letters) != n {
		w.Fatalf("%d dead letters, want %d", len(letters), n)
	}
	for _, m := range letters {
		for range 2 {
			if _, err := w.broker.Resend(w.Context(), m.Letter()); err != nil {
				w.Fatal(err)
			}
		}
	}
}

func TestDeadLettersSentAgainRunOnceUnderTheirIdsAndInOrder(t *testing.T) {
	t.Parallel()
	w := newTown(t, 2)
	mended := make(chan struct{})
	w.webhook = func(ctx context.Context, p handlers.WebhookProps[config], r run) error {
		select {
		case <-mended:
			return nil
		default:
			return errors.Join(stepped.Fire(ctx, p.Client, step{"effect of " + r.Key, r.N}), handlers.Permanent(errors.New("a bug")))
		}
	}
	w.install("/api")
	a := w.start("a")
	for n := range 3 {
		webhookEvent(w, "k", n)
		webhookEvent(w, "", n)
	}
	w.await("the dead letters", func() bool { return w.handled("k", 2) && w.handled("", 2) && len(w.letters()) == 6 })
	a.drain()
	close(mended)
	w.start("b")
	w.sendAgain(6)
	w.await("what was sent again", func() bool { return len(w.steps()["k"]) == 3 && len(w.steps()[""]) == 3 })
	webhookEvent(w, "k", 3)
	w.await("what comes after", func() bool { return w.handled("k", 3) })
	told := w.steps()
	if diff := cmp.Diff(upTo(4), told["k"]); diff != "" {
		t.Error(diff)
	}
	// An effect of the first life is the same one in the second.
	if diff := cmp.Diff(upTo(3), told["effect of k"]); diff != "" {
		t.Error(diff)
	}
	if n := len(w.letters()); n != 6 {
		t.Errorf("%d dead letters", n)
	}
	d, err := w.store.Delivery(t.Context(), delivery("k", 0))
	if err != nil || d.Outcome != store.Finished || d.Attempts != 1 || len(d.Errors) != 1 {
		t.Errorf("the delivery is %+v, %v", d, err)
	}
}

func TestPlatformThatIsDownIsAskedByOneAndGetsEverythingWhenItIsBack(t *testing.T) {
	t.Parallel()
	const conversations, each = 20, 4
	w := newTown(t, 4)
	if err := w.fake.Script(fake.Rule{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	patient := func(c *worker.Config) { c.Retry.MaxAttempts = 100 }
	w.start("a", patient)
	w.start("b", patient)
	var ids []string
	for c := range conversations {
		conversation := w.talk(fmt.Sprint(c))
		for n := range each {
			ids = append(ids, w.tell(conversation, fmt.Sprintf("%d/%d", c, n)))
		}
	}
	down := time.Now()
	w.await("its circuit to be open for longer than a lane waits", func() bool { return time.Since(down) > 9*time.Second })
	asked, _ := w.sent()
	// Without a breaker each conversation's first message is tried every 0.2 s.
	t.Logf("asked %d times in %s by %d conversations", len(asked), time.Since(down), conversations)
	if len(asked) > 4*conversations {
		t.Errorf("a platform that is down was asked %d times", len(asked))
	}
	w.fake.ClearScript()
	for _, id := range ids {
		if m := w.settled(id); m.Status != client.Sent || m.Ambiguous != 0 {
			t.Errorf("message %+v", m)
		}
	}
	w.wantTextsInOrder(conversations, each)
}

// wantTextsInOrder fails unless the platform accepted each conversation's texts
// once and in order.
func (w *town) wantTextsInOrder(conversations, each int) {
	w.Helper()
	heard := map[string][]string{}
	for _, r := range w.fake.Requests() {
		if conversation, n, ok := strings.Cut(r.Body, "/"); ok && r.Accepted {
			heard[conversation] = append(heard[conversation], n)
		}
	}
	for c := range conversations {
		var want []string
		for n := range each {
			want = append(want, fmt.Sprint(n))
		}
		if diff := cmp.Diff(want, heard[fmt.Sprint(c)]); diff != "" {
			w.Errorf("conversation %d: %s", c, diff)
		}
	}
}

func TestActionOfAPlatformThatIsDownIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t, 1)
	if err := w.fake.Script(fake.Rule{Status: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	w.action = func(context.Context, handlers.ActionProps[config, question]) (question, error) {
		return question{}, nil
	}
	w.install("/api")
	w.start("a", func(c *worker.Config) { c.Retry.MaxAttempts = 100 })
	for c := range 8 {
		w.tell(w.talk(fmt.Sprint(c)), "hello")
	}
	w.await("the platform to be left alone", func() bool {
		texts, _ := w.sent()
		return len(texts) >= 10
	})
	w.await("an action's refusal", func() bool {
		began := time.Now()
		input, _ := json.Marshal(question{Ask: "are you there?"})
		_, err := w.bot().CallAction(t.Context(), client.CallActionInput{Type: "acme:ask", Input: input})
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the answer took %s", took)
		}
		return err != nil && strings.Contains(err.Error(), "does not answer at the moment")
	})
}

func TestRateOfAConversationIsKeptByAllWorkers(t *testing.T) {
	t.Parallel()
	const messages = 12
	w := newTown(t, 2)
	w.rate = handlers.Rate{Limit: 10, Per: time.Second, Burst: 2}
	w.install("/api")
	a := w.start("a")
	first, second := w.talk("1"), w.talk("2")
	var last string
	for n := range messages {
		w.tell(first, fmt.Sprintf("1/%d", n))
		last = w.tell(second, fmt.Sprintf("2/%d", n))
	}
	w.await("some messages", func() bool { _, n := w.sent(); return n > 6 })
	w.start("b")
	a.drain()
	w.settled(last)
	w.await("the rest", func() bool { _, n := w.sent(); return n == 2*messages })
	at := map[string][]time.Time{}
	for _, r := range w.fake.Requests() {
		conversation, _, _ := strings.Cut(r.Body, "/")
		at[conversation] = append(at[conversation], r.Time)
	}
	for conversation, times := range at {
		// Any three take an interval, but that the first of them may come late.
		for i := 2; i < len(times); i++ {
			if took := times[i].Sub(times[i-2]); took < 20*time.Millisecond {
				t.Errorf("conversation %s: three messages within %s", conversation, took)
			}
		}
		if took := times[len(times)-1].Sub(times[0]); took < (messages-2)*100*time.Millisecond-200*time.Millisecond {
			t.Errorf("conversation %s: %d messages within %s", conversation, len(times), took)
		}
	}
}
