package telegram_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	botToken    = "4201:not-to-be-seen"
	secretToken = "s3cret_not-to-be-seen"
)

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, telegram.Integration, `{"botToken":"`+botToken+`","secretToken":["`+secretToken+`","previous-secret"]}`)
}

// post is an update as Telegram sends it.
func post(body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Header: http.Header{
		"Content-Type": {"application/json"}, "X-Telegram-Bot-Api-Secret-Token": {secretToken},
	}, Body: []byte(body)}
}

// arrive sends an update the whole way; it must be handled.
func arrive(tb testing.TB, kit *handlerstest.Kit, body string) handlerstest.Outcome {
	tb.Helper()
	o := kit.Webhook(post(body))
	if o.Refused != nil || o.Err != nil || o.Response != nil {
		tb.Fatalf("%s: refused %v, failed %v, answered %v", body, o.Refused, o.Err, o.Response)
	}
	return o
}

// say lets the bot send something to chat 77; it must be sent.
func say(tb testing.TB, kit *handlerstest.Kit, payload any, tags client.Tags) handlerstest.Outcome {
	tb.Helper()
	o := kit.Send(outgoing(payload, tags))
	if o.Err != nil {
		tb.Fatal(o.Err)
	}
	return o
}

func outgoing(payload any, tags client.Tags) handlerstest.Message {
	return handlerstest.Message{Payload: payload, Channel: "private", Conversation: client.Tags{"chatId": "77"}, Tags: tags}
}

func decoded[T any](tb testing.TB, raw []byte) T {
	tb.Helper()
	var value T
	if err := json.Unmarshal(raw, &value); err != nil {
		tb.Fatal(err)
	}
	return value
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, telegram.Integration, "testdata/definition.json")
}

func TestSamplesAreHandledOnce(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, telegram.Integration, map[string]string{
		"no bot token":                 `{}`,
		"an empty bot token":           `{"botToken":""}`,
		"an empty secret":              `{"botToken":"1:not-to-be-seen","secretToken":""}`,
		"an empty list of secrets":     `{"botToken":"1:not-to-be-seen","secretToken":[]}`,
		"an empty secret in a list":    `{"botToken":"1:not-to-be-seen","secretToken":["not-to-be-seen",""]}`,
		"a field that is not its own":  `{"botToken":"1:not-to-be-seen","shopName":"acme"}`,
		"a bot token that is a number": `{"botToken":4201}`,
		"nothing":                      ``,
		"what is no object":            `[]`,
	})
}

func TestRatesKeepTelegramsLimits(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for channel, most := range map[string]int{"private": 63, "group": 20} {
		conduct := kit.Installed.Conduct(events.MessageCreated, channel)
		rate := conduct.Conversation
		if perMinute := rate.Burst + int(60_000_000_000/rate.Interval()); perMinute > most {
			t.Errorf("%s: %d in a minute, want at most %d", channel, perMinute, most)
		}
		if conduct.Installation.Interval().Milliseconds() < 33 {
			t.Errorf("the bot sends every %s", conduct.Installation.Interval())
		}
	}
}

func TestPing(t *testing.T) {
	t.Parallel()
	if o := install(t).Ping(); o.Err != nil {
		t.Error(o.Err)
	}
	kit := handlerstest.New(t, telegram.Integration, `{"botToken":"4201:revoked"}`)
	if o := kit.Ping(); o.Verdict.Decision != handlers.Pause {
		t.Errorf("verdict is %+v", o.Verdict)
	}
}
