package dispatch_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

const outgoing = `{"type":"text","payload":{"text":"hi"},
	"conversation":{"id":"conv_1","channel":"chat"},
	"message":{"id":"msg_1","type":"text","payload":{"text":"hi"}},
	"user":{"id":"user_1"}}`

func TestEachOperationReachesItsHandlerWithItsProps(t *testing.T) {
	t.Parallel()
	for operation, c := range map[events.Operation]struct{ data, handler, detail string }{
		events.WebhookReceived: {`{"req":{"method":"POST","path":"/sub","query":"a=1","headers":{},"body":"x"}}`, "webhook", "POST /sub?a=1 x"},
		events.MessageCreated:  {outgoing, "message", "hi/conv_1/msg_1/user_1"},
		events.ActionTriggered: {`{"type":"greet","input":{"name":"Ada"}}`, "action", "Ada"},
		events.Register:        {`{"webhookUrl":"https://x/webhooks/w1"}`, "register", "https://x/webhooks/w1"},
		events.Unregister:      {`{"webhookUrl":"https://x/webhooks/w1"}`, "unregister", "https://x/webhooks/w1"},
	} {
		t.Run(string(operation), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			result := b.Run(t.Context(), target(), job(operation, c.data))
			if result.Err != nil || result.Verdict.Decision != handlers.Done {
				t.Fatalf("result %+v", result)
			}
			got := b.last(t)
			want := handlers.Identity{
				BotID: "demo", BotUserID: "user_bot", IntegrationID: got.Ctx.IntegrationID, IntegrationAlias: "acme-eu",
				WebhookID: "w1", Operation: operation,
			}
			if diff := cmp.Diff(want, got.Ctx.Identity); diff != "" {
				t.Error(diff)
			}
			if !strings.HasPrefix(got.Ctx.IntegrationID, "intver_") {
				t.Errorf("integration id %q", got.Ctx.IntegrationID)
			}
			if got.Handler != c.handler || got.Detail != c.detail {
				t.Errorf("%s got %q, want %s with %q", got.Handler, got.Detail, c.handler, c.detail)
			}
			if want := (handlers.Delivery{ID: "dlv_1", Attempt: 3, Replayed: true}); got.Delivery != want {
				t.Errorf("delivery %+v", got.Delivery)
			}
			caller := client.Caller{BotID: "demo", IntegrationID: got.Ctx.IntegrationID, Alias: "acme-eu"}
			if got.Props.Client.Caller() != caller {
				t.Errorf("the client calls as %+v", got.Props.Client.Caller())
			}
			if c := got.Ctx.Configuration; c.Greeting != "Hello" || c.Token.Reveal() != "tok-SECRET-1" {
				t.Errorf("configuration %+v", c)
			}
		})
	}
}

func TestResponseOutputAndCostComeBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`))
	if result.Response == nil || result.Response.Status != 418 {
		t.Errorf("response %+v", result.Response)
	}
	result = b.Run(t.Context(), target(), job(events.ActionTriggered, `{"type":"greet","input":{"name":"Ada"}}`))
	if result.Action == nil || string(result.Action.Output) != `{"text":"Hello Ada"}` || result.Action.Cost != 2.5 {
		t.Errorf("action %+v", result.Action)
	}
	if result := b.Run(t.Context(), target(), job(events.Ping, `{}`)); result.Verdict.Decision != handlers.Done {
		t.Errorf("ping %+v", result)
	}
}

func TestWhatCannotBeUnderstoodIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, j := range map[string]dispatch.Job{
		"webhook without request": job(events.WebhookReceived, `{}`),
		"webhook no JSON":         job(events.WebhookReceived, `{"req":`),
		"message no JSON":         job(events.MessageCreated, `nonsense`),
		"unknown channel":         job(events.MessageCreated, strings.Replace(outgoing, `"chat"`, `"fax"`, 1)),
		"unknown message type":    job(events.MessageCreated, strings.ReplaceAll(outgoing, `"type":"text"`, `"type":"hologram"`)),
		"payload without text":    job(events.MessageCreated, strings.ReplaceAll(outgoing, `{"text":"hi"}`, `{}`)),
		"unknown action":          job(events.ActionTriggered, `{"type":"explode","input":{}}`),
		"unknown input":           job(events.ActionTriggered, `{"type":"greet","input":{"name":"Ada","age":3}}`),
		"registration no JSON":    job(events.Register, `[]`),
		"unsupported operation":   job(events.CreateUser, `{}`),
		"no operation":            {Event: events.New("dlv_1", "/x", "acme.thing", "", stored, nil), Attempt: 1},
		"no data":                 {Event: withoutData(job(events.Register, ``).Event), Attempt: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			if result := b.Run(t.Context(), target(), j); result.Verdict.Decision != handlers.GiveUp || result.Err == nil || result.Ambiguous {
				t.Fatalf("result %+v", result)
			}
			if len(b.seen) > 0 {
				t.Fatal("a handler ran")
			}
		})
	}
}

func TestPanicIsAnErrorThatIsRetried(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{"text": "oh no", "error": errors.New("oh no"), "nil": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.do = func(context.Context, handlers.Props[config]) error { panic(value) }
			result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`))
			panicked, ok := errors.AsType[*handlers.PanicError](result.Err)
			if !ok || result.Verdict.Decision != handlers.Retry || result.Interrupted || result.Response != nil {
				t.Fatalf("result %+v", result)
			}
			if !strings.Contains(string(panicked.Stack), "dispatch_test.go") {
				t.Error("the stack does not lead to the handler")
			}
		})
	}
}

func waitForEnd(ctx context.Context, _ handlers.Props[config]) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestHandlerThatTakesTooLongEndsAndIsRetried(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Timeout, b.do = 20*time.Millisecond, waitForEnd
	result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`))
	if result.Verdict.Decision != handlers.Retry || result.Interrupted || !strings.Contains(result.Err.Error(), "took too long: 20ms") {
		t.Fatalf("result %+v", result)
	}
}

func TestInterruptionIsToldFromFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, cut := context.WithCancelCause(t.Context())
	b.do = func(ctx context.Context, p handlers.Props[config]) error {
		cut(errors.New("the lease is lost"))
		return waitForEnd(ctx, p)
	}
	if result := b.Run(ctx, target(), job(events.WebhookReceived, `{"req":{}}`)); !result.Interrupted {
		t.Fatalf("result %+v", result)
	}
	// What is done is done, whatever ended meanwhile.
	b.do = nil
	if result := b.Run(ctx, target(), job(events.WebhookReceived, `{"req":{}}`)); result.Interrupted || result.Verdict.Decision != handlers.Done {
		t.Fatalf("result %+v", result)
	}
}

func TestOnlyDeclaredEventsAreFired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.stored(t)
	undeclared := events.Define[said]("secretly")
	b.do = func(ctx context.Context, p handlers.Props[config]) error {
		return undeclared.Fire(ctx, p.Client, said{"x"})
	}
	result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`))
	if result.Verdict.Decision != handlers.GiveUp || !strings.Contains(result.Err.Error(), `declares no event "secretly"`) {
		t.Fatalf("undeclared: %+v", result)
	}
	var fired *client.EventOutput
	b.do = func(ctx context.Context, p handlers.Props[config]) error {
		if err := greeted.Fire(ctx, p.Client, said{"hello"}); err != nil {
			return err
		}
		var err error
		fired, err = p.Client.CreateEvent(ctx, client.CreateEventInput{Type: "greeted", Payload: json.RawMessage(`{"text":"other"}`)})
		return err
	}
	// The second attempt finds what the first one made.
	var ids []string
	for range 2 {
		if result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`)); result.Err != nil {
			t.Fatal(result.Err)
		}
		ids = append(ids, fired.Event.ID)
	}
	if ids[0] != ids[1] || fired.Event.Type != "acme-eu:greeted" {
		t.Fatalf("events %v, last %+v", ids, fired.Event)
	}
}

func TestChangeOfTheConfigurationIsPickedUp(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	changed := target()
	for _, greeting := range []string{"Hello", "Ahoi", "Hello"} {
		changed.Configuration = json.RawMessage(`{"greeting":"` + greeting + `"}`)
		if result := b.Run(t.Context(), changed, job(events.Register, `{}`)); result.Err != nil {
			t.Fatal(result.Err)
		}
		if got := b.last(t).Ctx.Configuration.Greeting; got != greeting {
			t.Fatalf("configured %s, the handler got %s", greeting, got)
		}
	}
	broken := target()
	broken.Configuration = json.RawMessage(`{"greeting":7}`)
	if result := b.Run(t.Context(), broken, job(events.Register, `{}`)); result.Verdict.Decision != handlers.Retry {
		t.Fatalf("broken configuration: %+v", result)
	}
	broken.Integration = "unheard-of"
	if result := b.Run(t.Context(), broken, job(events.Register, `{}`)); result.Verdict.Decision != handlers.Retry {
		t.Fatalf("unknown integration: %+v", result)
	}
}
