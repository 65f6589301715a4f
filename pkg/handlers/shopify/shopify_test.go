package shopify_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/shopify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accessToken = "shpat-not-to-be-seen"

func configure(tb testing.TB, configuration map[string]any) handlers.Installed {
	tb.Helper()
	raw, err := json.Marshal(configuration)
	if err != nil {
		tb.Fatal(err)
	}
	installed, err := shopify.Integration.Configure(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return installed
}

// install returns a kit of Shopify, with an access token unless that is empty.
func install(tb testing.TB, token string) *handlerstest.Kit {
	tb.Helper()
	configuration := `{"shopName":"acme","clientSecret":["current","previous"]}`
	if token != "" {
		configuration = `{"shopName":"acme","clientSecret":["current","previous"],"accessToken":"` + token + `"}`
	}
	return handlerstest.New(tb, shopify.Integration, configuration)
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Hi <there>", Conversation: "5820982911946154509", User: "Ada"}
}

func post(topic, body string) *events.Request {
	return &events.Request{Method: http.MethodPost, Path: "/", Body: []byte(body), Header: http.Header{
		"Content-Type": {"application/json"}, "X-Shopify-Topic": {topic}, "X-Shopify-Webhook-Id": {"w-1"},
	}}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, shopify.Integration, "testdata/definition.json")
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, shopify.Integration, map[string]string{
		"an empty client secret":        `{"shopName":"acme","clientSecret":""}`,
		"an empty secret in a list":     `{"shopName":"acme","clientSecret":["s",""]}`,
		"an empty list of secrets":      `{"shopName":"acme","clientSecret":[]}`,
		"no client secret":              `{"shopName":"acme"}`,
		"an empty access token":         `{"shopName":"acme","clientSecret":"s","accessToken":""}`,
		"null for an access token":      `{"shopName":"acme","clientSecret":"s","accessToken":null}`,
		"no shop":                       `{"clientSecret":"s"}`,
		"an empty shop":                 `{"shopName":"","clientSecret":"s"}`,
		"a shop that is a URL":          `{"shopName":"https://acme.myshopify.com","clientSecret":"s"}`,
		"a shop under another domain":   `{"shopName":"acme.example.com","clientSecret":"s"}`,
		"a shop that hides another":     `{"shopName":"evil.example/acme.myshopify.com","clientSecret":"s"}`,
		"a shop of two lines":           `{"shopName":"acme\n.myshopify.com","clientSecret":"s"}`,
		"a field that is not Shopify's": `{"shopName":"acme","clientSecret":"s","botToken":"t"}`,
	})
}

var errStore = errors.New("the store is away")

func TestConfigureTakesAShopWithAndWithoutItsDomain(t *testing.T) {
	t.Parallel()
	for name, want := range map[shopify.Shop]string{
		"acme": "acme.myshopify.com", "Acme-2": "acme-2.myshopify.com",
		"acme.myshopify.com": "acme.myshopify.com", "acme.myshopify.io": "acme.myshopify.io",
	} {
		configure(t, map[string]any{"shopName": name, "clientSecret": "s"})
		if got := name.Domain(); got != want {
			t.Errorf("domain of %s is %s, want %s", name, got, want)
		}
	}
}
