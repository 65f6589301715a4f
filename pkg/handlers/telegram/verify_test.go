package telegram_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/telegram"
)

const secretHeader = "X-Telegram-Bot-Api-Secret-Token"

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "message", Header: secretHeader, Secret: "secretToken", Undated: true, BodyUnsigned: true,
		Also: map[string]func(*events.Request){
			"two secrets":                  func(r *events.Request) { r.Header.Add(secretHeader, secretToken) },
			"the secret in the query":      func(r *events.Request) { r.Header.Del(secretHeader); r.Query = "secret_token=" + secretToken },
			"the bot token for the secret": func(r *events.Request) { r.Header.Set(secretHeader, botToken) },
		},
	})
}

func TestVerifyTakesBothSecretsWhileOneIsRotated(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for _, secret := range []string{secretToken, "previous-secret"} {
		r := post(`{}`)
		r.Header.Set(secretHeader, secret)
		if err := kit.Installed.Verify(r, handlerstest.Now); err != nil {
			t.Errorf("%s: %v", secret, err)
		}
	}
}

// The secret that is derived is the same wherever it is, and nobody else's.
func TestWithoutASecretOneIsDerivedFromTheBotToken(t *testing.T) {
	t.Parallel()
	configured := func(token string) handlers.Installed {
		installed, err := telegram.Integration.Configure(json.RawMessage(`{"botToken":"` + token + `"}`))
		if err != nil {
			t.Fatal(err)
		}
		return installed
	}
	args := handlers.SampleArgs{ID: "1", Text: "a", Conversation: "1", User: "1", Now: handlerstest.Now}
	sample, err := configured(botToken).Sample("message", args)
	if err != nil {
		t.Fatal(err)
	}
	derived := sample.Header.Get(secretHeader)
	if len(derived) != 43 || strings.Trim(derived, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" || strings.Contains(derived, "4201") {
		t.Errorf("%q is none that Telegram takes", derived)
	}
	if err := configured(botToken).Verify(sample, time.Now()); err != nil {
		t.Error(err)
	}
	if configured("4201:another").Verify(sample, time.Now()) == nil {
		t.Error("another bot's secret is taken")
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, telegram.Integration, func(v handlerstest.Vector) string {
		if v.Secret == "" { // refused by itself, see TestConfigureRefuses
			return `{"botToken":"` + botToken + `"}`
		}
		return `{"botToken":"` + botToken + `","secretToken":"` + v.Secret + `"}`
	})
}

func TestSplitFindsTheUpdateAndTheChat(t *testing.T) {
	t.Parallel()
	one := func(id, key string) []handlers.Part { return []handlers.Part{{ID: id, Key: key}} }
	handlerstest.Splits(t, install(t), map[string]handlerstest.Splitting{
		"a message":                 {Request: post(`{"update_id":7,"message":{"chat":{"id":-1001}}}`), Want: one("7", "-1001")},
		"the first update":          {Request: post(`{"update_id":0,"message":{"chat":{"id":1}}}`), Want: one("0", "1")},
		"an edited message":         {Request: post(`{"update_id":7,"edited_message":{"chat":{"id":5}}}`), Want: one("7", "5")},
		"a post":                    {Request: post(`{"update_id":7,"channel_post":{"chat":{"id":5}}}`), Want: one("7", "5")},
		"an edited post":            {Request: post(`{"update_id":7,"edited_channel_post":{"chat":{"id":5}}}`), Want: one("7", "5")},
		"a member":                  {Request: post(`{"update_id":7,"chat_member":{"chat":{"id":5},"from":{"id":6}}}`), Want: one("7", "5")},
		"a button":                  {Request: post(`{"update_id":7,"callback_query":{"from":{"id":6},"message":{"chat":{"id":5}}}}`), Want: one("7", "5")},
		"a button of nowhere":       {Request: post(`{"update_id":7,"callback_query":{"from":{"id":6}}}`), Want: one("7", "6")},
		"an id of 52 bits":          {Request: post(`{"update_id":9007199254740993,"message":{"chat":{"id":-4503599627370497}}}`), Want: one("9007199254740993", "-4503599627370497")},
		"what is not asked for":     {Request: post(`{"update_id":7,"poll":{"id":"1"}}`), Want: one("7", "")},
		"a chat that is no chat":    {Request: post(`{"update_id":7,"message":{"chat":"x"}}`), Want: one("7", "")},
		"no update_id":              {Request: post(`{"message":{}}`), Fault: "update_id is missing"},
		"an update_id that is text": {Request: post(`{"update_id":"7"}`), Fault: "decode update"},
		"no JSON":                   {Request: post(`update_id=7`), Fault: "decode update"},
		"half of it":                {Request: post(`{"update_id":7,"mess`), Fault: "decode update"},
		"a list":                    {Request: post(`[{"update_id":7}]`), Fault: "decode update"},
		"nothing":                   {Request: post(``), Fault: "decode update"},
	})
}

// Recorded updates are handled whole.
func TestRecordedUpdates(t *testing.T) {
	t.Parallel()
	kit := install(t)
	for file, want := range map[string][2]int{ // messages and events
		"telegram.message.text.json": {1, 0}, "telegram.message.new_chat_members.json": {0, 1}, "telegram.chat_member.json": {0, 1},
	} {
		o := arrive(t, kit, string(handlerstest.Payload(t, file)))
		if got := [2]int{len(o.Messages), len(o.Events)}; got != want {
			t.Errorf("%s: %v messages and events, want %v", file, got, want)
		}
	}
}

func FuzzWebhook(f *testing.F) {
	kit := handlerstest.Start(f, handlerstest.Config{
		Integration: telegram.Integration, Configuration: `{"botToken":"` + botToken + `"}`, Forgetful: true,
	})
	for _, name := range kit.Definition.Samples {
		f.Add(kit.Sample(name, handlers.SampleArgs{}).Body)
	}
	for _, one := range contents {
		f.Add([]byte(`{"update_id":1,"message":{"message_id":1,"chat":{"id":1},` + one.json + `}}`))
	}
	f.Add([]byte(`{"update_id":1,"message":{"photo":[{}],"chat":null}}`))
	f.Add([]byte(`{"update_id":-1,"callback_query":{"message":{}},"chat_member":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		o := kit.With(t).Unsigned(&events.Request{Method: "POST", Path: "/", Body: body})
		if o.Refused == nil && len(o.Parts) != 1 {
			t.Errorf("%d parts", len(o.Parts))
		}
	})
}

// The errors that were recorded are among those that the tests script.
func TestRecordedErrors(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]handlers.Decision{
		"telegram.error.403.json": handlers.GiveUp, "telegram.error.429.json": handlers.Retry,
	} {
		body, err := os.ReadFile(filepath.Join(handlerstest.Data(t), "payloads", file))
		if err != nil {
			t.Fatal(err)
		}
		said := decoded[struct {
			Code int `json:"error_code"`
		}](t, body)
		kit := install(t)
		kit.Script(scripted(said.Code, string(body)))
		if o := kit.Send(outgoing(events.Text{Text: "a"}, nil)); o.Verdict.Decision != want {
			t.Errorf("%s: verdict is %+v", file, o.Verdict)
		}
	}
}
