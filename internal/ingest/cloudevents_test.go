package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// readCloudEvent reads a message's headers as CloudEvents 1.0 and its protocol
// binding for NATS say, in binary mode, and shares no code with what writes
// them. It returns the attributes, percent-decoded.
func readCloudEvent(header map[string][]string, data []byte) (map[string]string, error) {
	attribute := regexp.MustCompile(`^[a-z0-9]+$`)
	found := map[string]string{}
	for name, values := range header {
		if name == "traceparent" || name == "content-type" {
			found[name] = values[0]
			continue
		}
		if strings.EqualFold(name, "traceparent") || strings.EqualFold(name, "content-type") {
			return nil, fmt.Errorf("header %s is not in lower case", name)
		}
		short, is := strings.CutPrefix(name, "ce-")
		if !is {
			continue
		}
		if len(values) != 1 || !attribute.MatchString(short) {
			return nil, fmt.Errorf("attribute %q has values %q", short, values)
		}
		var decoded []byte
		for raw := values[0]; raw != ""; raw = raw[1:] {
			c := raw[0]
			switch {
			case c == '%':
				var b byte
				if len(raw) < 3 {
					return nil, fmt.Errorf("%s ends in %q", name, raw)
				}
				if _, err := fmt.Sscanf(raw[1:3], "%02X", &b); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				decoded, raw = append(decoded, b), raw[2:]
			case c <= ' ' || c >= 0x7f || c == '"':
				return nil, fmt.Errorf("%s holds %q, which has to be percent-encoded", name, c)
			default:
				decoded = append(decoded, c)
			}
		}
		if !utf8.Valid(decoded) || len(decoded) == 0 {
			return nil, fmt.Errorf("%s is %q", name, decoded)
		}
		found[short] = string(decoded)
	}
	for _, required := range []string{"specversion", "id", "source", "type"} {
		if found[required] == "" {
			return nil, fmt.Errorf("the required attribute %s is missing", required)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, found["time"]); err != nil {
		return nil, fmt.Errorf("time: %w", err)
	}
	if found["content-type"] == "application/json" && !json.Valid(data) {
		return nil, fmt.Errorf("the data is no JSON: %s", data)
	}
	return found, nil
}

var traceParent = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$`)

// checkCloudEvent compares attributes with what the design says of them.
func checkCloudEvent(t *testing.T, message broker.Message, want map[string]string) map[string]string {
	t.Helper()
	got, err := readCloudEvent(message.Header, message.Data)
	if err != nil {
		t.Fatalf("%s: %v\n%v", message.Subject, err, message.Header)
	}
	if !traceParent.MatchString(got["traceparent"]) {
		t.Errorf("traceparent %q", got["traceparent"])
	}
	if at, _ := time.Parse(time.RFC3339Nano, got["time"]); time.Since(at).Abs() > time.Minute {
		t.Errorf("time %s", got["time"])
	}
	short := map[string]string{}
	for name := range want {
		short[name] = got[name]
	}
	if diff := cmp.Diff(want, short); diff != "" {
		t.Errorf("%s: %s", message.Subject, diff)
	}
	return got
}

func TestWhatIsStoredIsCloudEvents(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	ctx := t.Context()
	next := func(stream broker.Stream, subject string, after uint64) broker.Message {
		t.Helper()
		message, err := d.broker.Next(ctx, stream, subject, after)
		if err != nil {
			t.Fatalf("%s %s: %v", stream, subject, err)
		}
		return message
	}

	// A webhook, with an ordering key that no header can carry as it is.
	const key = "#général \"50 %\"\r\nce-id: forged"
	body, err := json.Marshal([]happened{{ID: "provider-1", Key: key, Text: "hello"}})
	if err != nil {
		t.Fatal(err)
	}
	d.want(d.post(string(body)), http.StatusOK)
	webhook := next(broker.Webhooks, ">", 0)
	got := checkCloudEvent(t, webhook, map[string]string{
		"specversion": "1.0", "id": events.DeliveryID("w1", "provider-1"), "source": "/webhooks/w1",
		"type": "towpath.webhook_received", "subject": key, "content-type": "application/json", "providerid": "provider-1",
	})
	delivery := client.Delivery{ID: got["id"], Time: d.now, TraceParent: got["traceparent"]}

	// What a handler makes of it, in a dispatcher as production has it.
	registry, err := handlers.NewRegistry(reporter)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := webhook.Event()
	if err != nil {
		t.Fatal(err)
	}
	dispatcher := dispatch.Dispatcher{Installations: dispatch.NewInstallations(registry), Backend: d.store, Logger: brokertest.Logger(t)}
	result := dispatcher.Run(ctx, dispatch.Target{
		BotID: "demo", Integration: "acme", Alias: "acme", WebhookID: "w1", Configuration: json.RawMessage(`{"secret":"x"}`),
	}, dispatch.Job{Event: decoded, Attempt: 1})
	if result.Err != nil {
		t.Fatal(result.Err)
	}
	fired := checkCloudEvent(t, next(broker.Events, "events.demo.acme.newOrder", 0), map[string]string{
		"specversion": "1.0", "source": "/bots/demo", "type": "acme:newOrder", "content-type": "application/json",
		"delivery": delivery.ID, "subject": "",
	})
	incoming := next(broker.Events, "events.demo.acme.message_created", 0)
	made := checkCloudEvent(t, incoming, map[string]string{
		"specversion": "1.0", "source": "/bots/demo", "type": "message_created", "content-type": "application/json", "delivery": delivery.ID,
	})
	if !strings.HasPrefix(fired["id"], "evt_") || !strings.HasPrefix(made["id"], "msg_") || !strings.HasPrefix(made["subject"], "conv_") {
		t.Errorf("ids %s and %s about %s", fired["id"], made["id"], made["subject"])
	}
	for _, attributes := range []map[string]string{fired, made} {
		if attributes["traceparent"][:35] != delivery.TraceParent[:35] {
			t.Errorf("trace %s does not follow from %s", attributes["traceparent"], delivery.TraceParent)
		}
	}

	// The bot answers.
	bot := client.New(d.store, client.Caller{BotID: "demo"}).ForDelivery(client.Delivery{
		ID: made["id"], Time: time.Now(), TraceParent: made["traceparent"],
	})
	answer, err := bot.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: made["subject"], UserID: "demo", Type: "text", Payload: json.RawMessage(`{"text":"hi"}`), Tags: client.Tags{},
	})
	if err != nil {
		t.Fatal(err)
	}
	for command := next(broker.Commands, ">", 0); ; command = next(broker.Commands, ">", command.Seq) {
		if command.Header["ce-type"][0] != "towpath.message_created" {
			// Registrations follow from nothing, so they have no trace yet.
			if _, err := readCloudEvent(command.Header, command.Data); err != nil {
				t.Error(err)
			}
			continue
		}
		checkCloudEvent(t, command, map[string]string{
			"specversion": "1.0", "id": answer.Message.ID, "source": "/bots/demo", "type": "towpath.message_created",
			"subject": made["subject"], "content-type": "application/json",
		})
		break
	}
}

// reporter is acme with a handler that tells the bot of what happened.
var reporter = func() handlers.Integration[config] {
	integration := acme
	integration.Handler = func(ctx context.Context, p handlers.WebhookProps[config]) (*events.Response, error) {
		if err := newOrder.Fire(ctx, p.Client, order{"3.50"}); err != nil {
			return nil, err
		}
		place, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{Channel: "chat", Tags: client.Tags{"id": "1"}})
		if err != nil {
			return nil, err
		}
		user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "1"}})
		if err != nil {
			return nil, err
		}
		_, err = p.Client.CreateMessage(ctx, client.CreateMessageInput{
			ConversationID: place.Conversation.ID, UserID: user.User.ID, Type: "text", Payload: json.RawMessage(`{"text":"hello"}`), Tags: client.Tags{},
		})
		return nil, err
	}
	return integration
}()

func TestReaderOfCloudEventsFindsFaults(t *testing.T) {
	t.Parallel()
	good := func() map[string][]string {
		return map[string][]string{
			"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/x"}, "ce-type": {"t"}, "ce-time": {"2026-11-20T10:00:00.5Z"},
			"content-type": {"application/json"},
		}
	}
	if _, err := readCloudEvent(good(), []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(map[string][]string){
		"no id":                  func(h map[string][]string) { delete(h, "ce-id") },
		"two ids":                func(h map[string][]string) { h["ce-id"] = []string{"1", "2"} },
		"space as it is":         func(h map[string][]string) { h["ce-subject"] = []string{"a b"} },
		"half a percent":         func(h map[string][]string) { h["ce-subject"] = []string{"a%4"} },
		"no UTF-8":               func(h map[string][]string) { h["ce-subject"] = []string{"%FF"} },
		"local time":             func(h map[string][]string) { h["ce-time"] = []string{"20.11.2026"} },
		"upper case traceparent": func(h map[string][]string) { h["Traceparent"] = []string{"00-1"} },
		"upper case attribute":   func(h map[string][]string) { h["ce-Foo"] = []string{"1"} },
	} {
		h := good()
		spoil(h)
		if _, err := readCloudEvent(h, []byte(`{}`)); err == nil {
			t.Errorf("%s passes", name)
		}
	}
}
