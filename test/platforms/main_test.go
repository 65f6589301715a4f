// Package platforms_test holds every platform of the catalog to what none may lack. A new platform is held to it as soon as
// it is in the catalog: its configuration below is all that it has to bring.
package platforms_test

import (
	"encoding/json"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/catalog"
	"github.com/towpath/towpath/pkg/handlers/fake"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/whatsapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A platform is what a test has to know of an integration beside its value.
type platform struct {
	configuration string
	// rooms are where it can talk, one for each channel.
	rooms []handlerstest.Message
	// permanent and refused are what its API answers to what it will never take, and to credentials that are no longer good.
	permanent, refused fake.Rule
}

func platforms() map[string]platform {
	return map[string]platform{
		"generic": {configuration: `{"secret":"secret-12345678","signature":{"header":"X-Signature","template":"{timestamp}.{body}",
			"timestamp":{"header":"X-Time"}},"event":{"field":"type"},"id":{"field":"id"},"handshake":{"field":"type","value":"hello","answer":"id"}}`},
		"github": {
			configuration: `{"webhookSecret":"secret-12345678","token":"token-12345678"}`,
			rooms:         []handlerstest.Message{{Conversation: client.Tags{"repository": "towpath/example", "number": "7"}}},
			permanent:     fake.Rule{Status: 404, Body: `{"message":"Not Found"}`},
			refused:       fake.Rule{Status: 401, Body: `{"message":"Bad credentials"}`},
		},
		"linear": {
			configuration: `{"apiKey":"lin_api_12345678","webhookSigningSecret":"secret-12345678"}`,
			rooms:         []handlerstest.Message{{Conversation: client.Tags{"issueId": "2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9"}}},
			permanent:     fake.Rule{Status: 200, Body: `{"errors":[{"message":"no","extensions":{"type":"invalid input","code":"INPUT_ERROR"}}]}`},
			refused:       fake.Rule{Status: 400, Body: `{"errors":[{"message":"no","extensions":{"type":"authentication error","code":"AUTHENTICATION_ERROR"}}]}`},
		},
		"shopify": {configuration: `{"shopName":"acme","clientSecret":"secret-12345678"}`},
		"slack": {
			configuration: `{"botToken":"xoxb-12345678","signingSecret":"secret-12345678"}`,
			rooms:         []handlerstest.Message{{Conversation: client.Tags{"channelId": "C0TEST1"}}},
			permanent:     fake.Rule{Status: 200, Body: `{"ok":false,"error":"channel_not_found"}`},
			refused:       fake.Rule{Status: 200, Body: `{"ok":false,"error":"invalid_auth"}`},
		},
		"standard-webhooks": {configuration: `{"secret":"whsec_bm90LXRvLWJlLXNlZW4tYnktYW55Ym9keQ=="}`},
		"stripe":            {configuration: `{"signingSecret":"whsec_12345678"}`},
		"telegram": {
			configuration: `{"botToken":"110201543:token-12345678","secretToken":"secret-12345678"}`,
			rooms: []handlerstest.Message{
				{Channel: "private", Conversation: client.Tags{"chatId": "77"}}, {Channel: "group", Conversation: client.Tags{"chatId": "-77"}},
			},
			permanent: fake.Rule{Status: 403, Body: `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`},
			refused:   fake.Rule{Status: 401, Body: `{"ok":false,"error_code":401,"description":"Unauthorized"}`},
		},
		"whatsapp": {
			configuration: `{"accessToken":"token-12345678","phoneNumberId":"106540352242922","appSecret":"secret-12345678","verifyToken":"verify-12345678"}`,
			rooms:         []handlerstest.Message{{Conversation: client.Tags{"userPhone": "16505551234"}}},
			permanent:     whatsapp.Refusal(131026, "Message undeliverable"),
			refused:       whatsapp.Refusal(190, "The access token has expired"),
		},
	}
}

// A subject is an integration of the catalog, with what is known of it.
type subject struct {
	platform

	integration handlers.Registrable
	definition  handlers.Definition
}

// all are the integrations of the catalog by name.
func all(t *testing.T) map[string]subject {
	t.Helper()

	found := map[string]subject{}

	for _, integration := range catalog.All() {
		definition, err := integration.Definition()
		if err != nil {
			t.Fatal(err)
		}

		known, ok := platforms()[definition.Name]
		if !ok || len(known.rooms) != len(definition.Channels) {
			t.Errorf("%s: the tests of all platforms do not know it, or not all of its channels", definition.Name)
			continue
		}

		found[definition.Name] = subject{known, integration, definition}
	}

	return found
}

// room is a channel of a platform, and says hello.
type room struct {
	subject

	hello handlerstest.Message
}

// rooms are the channels of all platforms, by what they are.
func rooms(t *testing.T) map[string]room {
	t.Helper()

	found := map[string]room{}

	for name, s := range all(t) {
		for _, hello := range s.rooms {
			hello.Payload = events.Text{Text: "hello"}
			found[strings.TrimSpace(name+" "+hello.Channel)] = room{s, hello}
		}
	}

	return found
}

func (r room) kit(t *testing.T) *handlerstest.Kit {
	t.Helper()

	return handlerstest.New(t, r.integration, r.configuration)
}

func (s subject) configure(t *testing.T) handlers.Installed {
	t.Helper()

	installed, err := s.integration.Configure(json.RawMessage(s.configuration))
	if err != nil {
		t.Fatal(err)
	}

	return installed
}
