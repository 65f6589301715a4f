package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

const (
	// maxLines is how many log lines an answer holds at most.
	maxLines = 1000
	// logsSince is how far back lines go when nothing else is asked for.
	logsSince = time.Hour
)

// look makes a route of what a bot's owner can look at.
func (a *api) look(read func(r *http.Request, bot string) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := func() (any, error) {
			if r.Method != http.MethodGet {
				w.Header().Set("Allow", http.MethodGet)
				return nil, client.NewError(client.MethodNotFound, "%s takes GET, not %s", r.URL.EscapedPath(), r.Method)
			}
			bot := r.PathValue("id")
			if err := a.authorize(r, bot); err != nil {
				return nil, err
			}
			return read(r, bot)
		}()
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		body, err := json.Marshal(answer)
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		write(w, http.StatusOK, body)
	}
}

// errEnough ends a reading of lines.
var errEnough = errors.New("enough lines")

// logs answers with what integrations wrote for the bot's owner: oldest first,
// from timeStart, RFC 3339, an hour ago when it is left out; of one
// installation when integration names its alias. More than 1,000 lines are
// cut; the next call asks from the time of the last.
func (a *api) logs(r *http.Request, bot string) (any, error) {
	since := time.Now().Add(-logsSince)
	if given := r.URL.Query().Get("timeStart"); given != "" {
		at, err := time.Parse(time.RFC3339, given)
		if err != nil {
			return nil, client.NewError(client.InvalidQuery, "timeStart must be a date of RFC 3339")
		}
		since = at
	}
	lines := []broker.LogLine{}
	err := a.Admin.Broker.ReadLogs(r.Context(), bot, r.URL.Query().Get("integration"), since, false, func(line broker.LogLine) error {
		if lines = append(lines, line); len(lines) == maxLines {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return map[string]any{"logs": lines}, nil
}

// used is the usage of one installation in one month.
type used struct {
	Alias string `json:"alias"`
	store.Usage
}

// usage answers with what the actions of the bot's installations cost.
func (a *api) usage(r *http.Request, bot string) (any, error) {
	installed, err := a.Admin.Store.Installations(r.Context())
	if err != nil {
		return nil, err
	}
	all := []used{}
	for _, i := range installed {
		if i.BotID != bot {
			continue
		}
		months, err := a.Admin.Store.Usage(r.Context(), i.WebhookID)
		if err != nil {
			return nil, err
		}
		for _, month := range months {
			all = append(all, used{i.Alias, month})
		}
	}
	return map[string]any{"usage": all}, nil
}
