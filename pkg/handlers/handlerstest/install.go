package handlerstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// completed is the configuration with the fake's URL in it.
func (k *Kit) completed(configuration string) json.RawMessage {
	k.tb.Helper()
	configuration = strings.ReplaceAll(configuration, "${FAKE}", k.URL)
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(configuration), &fields); err != nil {
		k.tb.Fatalf("the configuration is no JSON object: %v", err)
	}
	if _, given := fields["apiUrl"]; given || !bytes.Contains(k.Definition.Configuration, []byte(`"apiUrl"`)) {
		return json.RawMessage(configuration)
	}
	return with(fields, "apiUrl", k.URL)
}

// with is a configuration with one field set.
func with(fields map[string]json.RawMessage, name string, value any) json.RawMessage {
	changed := map[string]any{name: value}
	for other, given := range fields {
		if other != name {
			changed[other] = given
		}
	}
	encoded, _ := json.Marshal(changed) // of what was JSON before
	return encoded
}

// install puts the integration into a bot of the kit's own.
func (k *Kit) install() {
	k.tb.Helper()
	stored, bot := settle(k.tb)
	k.store, k.journal = stored, &journal{backend: stored}
	alias := k.Definition.Name
	installed, err := k.store.Install(k.tb.Context(), store.InstallationSpec{
		Bot: bot, Integration: k.Definition.Name, Alias: alias, WebhookID: "w-" + bot,
		ConfigurationType: k.config.ConfigurationType, Configuration: k.configuration,
	}, nil)
	if err != nil {
		k.tb.Fatal(err)
	}
	k.Client = client.New(k.store, client.Caller{BotID: bot, IntegrationID: k.Definition.IntegrationID(), Alias: alias})
	k.Bot = client.New(k.store, client.Caller{BotID: bot})
	user, err := k.Bot.GetUser(k.tb.Context(), bot)
	if err != nil {
		k.tb.Fatal(err)
	}
	k.target = dispatch.TargetOf(installed, user.User.ID)
}

// onlyTo carries requests to one host, so that no test reaches the network.
type onlyTo struct {
	host string
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o onlyTo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host {
		return nil, fmt.Errorf("a test may reach the fake platform only, not %s: does the integration honour apiUrl?", r.URL.Host)
	}
	return o.next.RoundTrip(r)
}

func (k *Kit) transport() http.RoundTripper {
	own := &http.Transport{}
	k.tb.Cleanup(own.CloseIdleConnections)
	address, err := url.Parse(k.URL)
	if err != nil {
		k.tb.Fatal(err)
	}
	return onlyTo{address.Host, own}
}

func (k *Kit) encode(value any) json.RawMessage {
	k.tb.Helper()
	switch value := value.(type) {
	case json.RawMessage:
		return value
	case string:
		if json.Valid([]byte(value)) {
			return json.RawMessage(value)
		}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		k.tb.Fatal(err)
	}
	return encoded
}
