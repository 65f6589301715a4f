package api

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// Admin is what the admin routes work with.
type Admin struct {
	Store    *store.Store
	Broker   *broker.Broker // for what integrations wrote for the bot's owner
	Registry *handlers.Registry
}

// botView is a bot as its owner sees it; Botpress's shape.
type botView struct {
	ID           string                      `json:"id"`
	Integrations map[string]installationView `json:"integrations"` // by alias
}

// installationView leaves out the configuration, which holds secrets.
type installationView struct {
	ID                string        `json:"id"` // of the integration in its version
	Name              string        `json:"name"`
	Version           string        `json:"version,omitempty"`
	Enabled           bool          `json:"enabled"`
	ConfigurationType string        `json:"configurationType,omitempty"`
	WebhookID         string        `json:"webhookId"`
	WebhookURL        string        `json:"webhookUrl"`
	Status            store.Status  `json:"status"`
	StatusReason      string        `json:"statusReason,omitempty"`
	Paused            *store.Paused `json:"paused,omitempty"`
	CreatedAt         time.Time     `json:"createdAt"`
	UpdatedAt         time.Time     `json:"updatedAt"`
}

// installationChange is what may be said of one installation: null removes it,
// and what is left out stays as it is.
type installationChange struct {
	Enabled           *bool           `json:"enabled"`
	IntegrationID     string          `json:"integrationId"` // or its name; required for a new alias of another name
	WebhookID         string          `json:"webhookId"`
	ConfigurationType *string         `json:"configurationType"`
	Configuration     json.RawMessage `json:"configuration"`
}

// bot answers GET and PUT of /v1/admin/bots/{id} for the bot's own token.
func (a *api) bot(w http.ResponseWriter, r *http.Request) {
	view, err := a.changeBot(w, r)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	body, err := json.Marshal(map[string]botView{"bot": view})
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	write(w, http.StatusOK, body)
}

func (a *api) changeBot(w http.ResponseWriter, r *http.Request) (botView, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPut {
		w.Header().Set("Allow", "GET, PUT")
		return botView{}, client.NewError(client.MethodNotFound, "%s takes GET and PUT, not %s", r.URL.EscapedPath(), r.Method)
	}
	id := r.PathValue("id")
	if err := a.authorize(r, id); err != nil {
		return botView{}, err
	}
	if r.Method == http.MethodPut {
		if err := a.changeInstallations(w, r, id); err != nil {
			return botView{}, err
		}
	}
	return a.viewBot(r, id)
}

// authorize lets a bot's own token through.
func (a *api) authorize(r *http.Request, bot string) error {
	if !a.Directory.Ready() || !a.Connected() {
		return away(broker.ErrUnavailable)
	}
	if r.Header.Get("X-Bot-Id") == "" {
		r.Header.Set("X-Bot-Id", bot) // Botpress's admin calls name the bot only in the path
	}
	caller, err := a.authenticate(r)
	if err == nil && caller.BotID != bot {
		err = client.NewError(client.Forbidden, "the token is not one of bot %q", bot)
	}
	return err
}

func (a *api) changeInstallations(w http.ResponseWriter, r *http.Request, bot string) error {
	var in struct {
		Integrations map[string]*installationChange `json:"integrations"`
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return client.NewError(client.PayloadTooLarge, "request body is larger than %d bytes, or ended early", MaxBody)
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return client.NewError(client.InvalidPayload, "request body is no JSON of a bot: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	installed, err := a.Admin.Store.Installations(r.Context())
	if err != nil {
		return err
	}
	for _, alias := range slices.Sorted(maps.Keys(in.Integrations)) {
		change := in.Integrations[alias]
		at := slices.IndexFunc(installed, func(i store.Installation) bool { return i.BotID == bot && i.Alias == alias && !i.Leaving() })
		if change == nil {
			if _, err := a.Admin.Store.Remove(r.Context(), bot, alias); err != nil {
				return err
			}
			continue
		}
		spec := store.InstallationSpec{Bot: bot, Alias: alias, Integration: alias, Configuration: json.RawMessage("{}")}
		if at >= 0 {
			spec = installed[at].Spec()
		}
		if _, err := a.Admin.Store.Install(r.Context(), a.over(spec, change), a.Admin.Check); err != nil {
			return err
		}
	}
	return nil
}

// over lays a change over an installation.
func (a *api) over(spec store.InstallationSpec, change *installationChange) store.InstallationSpec {
	if change.IntegrationID != "" {
		spec.Integration = change.IntegrationID
		for _, d := range a.Admin.Registry.Definitions() {
			if d.IntegrationID() == change.IntegrationID {
				spec.Integration = d.Name
			}
		}
	}
	if change.WebhookID != "" {
		spec.WebhookID = change.WebhookID
	}
	if change.ConfigurationType != nil {
		spec.ConfigurationType = *change.ConfigurationType
	}
	if len(change.Configuration) > 0 {
		spec.Configuration = change.Configuration
	}
	if change.Enabled != nil {
		spec.Disabled = !*change.Enabled
	}
	return spec
}

// Check holds an installation to its integration's schema; the error names the
// field.
func (a *Admin) Check(spec store.InstallationSpec) error {
	integration, _, err := a.Registry.Find(spec.Integration)
	if err != nil {
		return err
	}
	_, err = integration.ConfigureAs(spec.ConfigurationType, spec.Configuration)
	return err
}

func (a *api) viewBot(r *http.Request, bot string) (botView, error) {
	installed, err := a.Admin.Store.Installations(r.Context())
	if err != nil {
		return botView{}, err
	}
	view := botView{ID: bot, Integrations: map[string]installationView{}}
	for _, i := range installed {
		if i.BotID != bot {
			continue
		}
		shown := installationView{
			Name: i.Integration, Enabled: !i.Disabled, ConfigurationType: i.ConfigurationType, WebhookID: i.WebhookID,
			WebhookURL: i.WebhookURL, Status: i.Status, StatusReason: i.StatusReason, Paused: i.Paused,
			CreatedAt: i.CreatedAt, UpdatedAt: i.UpdatedAt,
		}
		if _, definition, err := a.Admin.Registry.Find(i.Integration); err == nil {
			shown.ID, shown.Version = definition.IntegrationID(), definition.Version
		}
		view.Integrations[i.Alias] = shown
	}
	return view, nil
}
