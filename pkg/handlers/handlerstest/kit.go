package handlerstest

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// Now is what a kit's clock shows unless it is given another one.
var Now = time.Date(2026, 11, 21, 9, 30, 0, 123456000, time.UTC)

// WebhookURL is where the platform of every kit is told to send its requests.
const WebhookURL = "https://towpath.example/webhooks/w1"

// Config is what a kit is made of.
type Config struct {
	// Integration is what is tested; required.
	Integration handlers.Registrable
	// Configuration of the installation, a JSON object; required. In it,
	// ${FAKE} stands for the URL of the integration's fake. Its apiUrl is that
	// URL when it has none and the integration takes one.
	Configuration string
	// ConfigurationType is the name of another configuration, if that is meant.
	ConfigurationType string
	// Secrets are the integration's own, by name.
	Secrets map[string]string
	// Now is the clock that verification and deliveries go by; it shows [Now]
	// when nil.
	Now func() time.Time
	// Forgetful keeps nothing of what handlers make, and finds nothing, for fuzz
	// targets: a NATS beside them slows them down, and makes what an input
	// covers a matter of chance. Nothing can be sent then.
	Forgetful bool
	// Timeout bounds one run of a handler; 10 s when zero.
	Timeout time.Duration
}

// Kit is one installation of an integration with a platform's fake behind it.
// Its methods are for one goroutine at a time.
type Kit struct {
	// Installed is the integration with its configuration, for asking it
	// directly: Verify, Split, Handshake.
	Installed handlers.Installed
	// Definition is the integration's.
	Definition handlers.Definition
	// Client asks the store as the integration does, Bot as its bot does.
	Client, Bot *client.Client
	// Platform is the fake of the platform; URL is where it is.
	Platform *fake.Server
	URL      string

	tb            testing.TB
	config        Config
	configuration json.RawMessage
	prefix        string // of the fake's paths
	target        dispatch.Target
	store         *store.Store
	journal       *journal
	log           *diary
	dispatcher    *dispatch.Dispatcher
}

// New returns a kit of an integration with a configuration, a JSON object; see
// [Config.Configuration].
func New(tb testing.TB, integration handlers.Registrable, configuration string) *Kit {
	tb.Helper()
	return Start(tb, Config{Integration: integration, Configuration: configuration})
}

// Start returns a kit. The test ends at once when the integration has faults or
// refuses the configuration.
func Start(tb testing.TB, config Config) *Kit {
	tb.Helper()
	registry, err := handlers.NewRegistry(config.Integration)
	if err != nil {
		tb.Fatal(err)
	}
	definition := registry.Definitions()[0]
	k := &Kit{tb: tb, Definition: definition, config: config, prefix: "/" + definition.Name, log: newDiary()}
	k.play()
	k.configuration = k.completed(config.Configuration)
	if k.Installed, err = config.Integration.ConfigureAs(config.ConfigurationType, k.configuration); err != nil {
		tb.Fatal(err)
	}
	k.log.secrets = definition.SecretsIn(config.ConfigurationType, k.configuration)
	if config.Forgetful {
		k.forget()
	} else {
		k.install()
	}
	k.dispatcher = &dispatch.Dispatcher{
		Installations: dispatch.NewInstallations(registry), Backend: k.journal, Logger: k.log.all, OwnerLog: k.log.owner,
		Transport: k.transport(), Timeout: cmp.Or(config.Timeout, 10*time.Second),
		Secrets: func(name string) (string, bool) {
			value, ok := config.Secrets[strings.TrimPrefix(name, "SECRET_")]
			return value, ok
		},
	}
	return k
}

// With returns the same kit for another test, such as a subtest or one run of a
// fuzz target, which then fails in its stead.
func (k *Kit) With(tb testing.TB) *Kit {
	tb.Helper()
	other := *k
	other.tb = tb
	return &other
}

// Script tells the platform's fake how to fail. A rule's path is below the
// fake's URL, as [Outcome.Requests] tell it.
func (k *Kit) Script(rules ...fake.Rule) {
	k.tb.Helper()
	scripted := make([]fake.Rule, len(rules))
	for i, rule := range rules {
		if rule.Path != "" {
			rule.Path = k.prefix + rule.Path
		}
		scripted[i] = rule
	}
	if err := k.Platform.Script(scripted...); err != nil {
		k.tb.Fatal(err)
	}
}

// Requests returns all that has arrived at the platform's fake, with paths
// below its URL.
func (k *Kit) Requests() []fake.Request {
	all := k.Platform.Requests()
	for i := range all {
		all[i].Path = strings.TrimPrefix(all[i].Path, k.prefix)
	}
	return all
}

// StoreFails lets every call of the handlers' clients fail with err, until it
// is called with nil.
func (k *Kit) StoreFails(err error) { k.journal.fail(err) }

// State returns a state of the installation as JSON, nil if there is none.
func (k *Kit) State(name string) json.RawMessage {
	k.tb.Helper()
	out, err := k.Client.GetState(k.tb.Context(), client.StateInput{
		Type: client.IntegrationState, ID: k.Definition.IntegrationID(), Name: name,
	})
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		k.tb.Fatal(err)
	}
	return out.State.Payload
}

// SetState sets a state of the installation to what value is in JSON; nil
// deletes it.
func (k *Kit) SetState(name string, value any) {
	k.tb.Helper()
	_, err := k.Client.SetState(k.tb.Context(), client.SetStateInput{
		Type: client.IntegrationState, ID: k.Definition.IntegrationID(), Name: name, Payload: k.encode(value),
	})
	if err != nil {
		k.tb.Fatal(err)
	}
}

func (k *Kit) now() time.Time {
	if k.config.Now == nil {
		return Now
	}
	return k.config.Now()
}

// play starts the platform.
func (k *Kit) play() {
	k.Platform = fake.New()
	if api := k.config.Integration.NewFake(); api != nil {
		k.Platform.Mount(k.prefix, api)
	}
	server := httptest.NewServer(k.Platform)
	k.URL = server.URL + k.prefix
	k.tb.Cleanup(func() {
		k.Platform.Close()
		server.Close()
	})
}
