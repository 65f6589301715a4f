package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"

	"github.com/towpath/towpath/pkg/events"
)

// The types of what Slack posts: the first three are its own words for what
// comes as JSON, the others are forms.
const (
	typeEvent       = "event_callback"
	typeChallenge   = "url_verification"
	typeRateLimited = "app_rate_limited"
	typeCommand     = "command"
	typeInteraction = "interaction"
	typeProbe       = "ssl_check" // Slack looks whether our certificate is valid
)

// envelope is everything that Slack posts, as far as it is looked at: an
// event with what goes around it, or the form of a slash command or of an
// interaction.
type envelope struct {
	Type      string          `json:"type"`
	Challenge string          `json:"challenge"`
	TeamID    string          `json:"team_id"`
	EventID   string          `json:"event_id"`
	Event     json.RawMessage `json:"event"`

	command     Command
	interaction interaction
	payload     json.RawMessage // of the interaction, whole
}

// parse reads what Slack posted. What comes as a form is told apart by its
// content type, since both JSON and a form may hold nearly any byte.
func parse(r *events.Request) (envelope, error) {
	if isForm(r) {
		return parseForm(r.Body)
	}
	var e envelope
	if err := json.Unmarshal(r.Body, &e); err != nil {
		return envelope{}, fmt.Errorf("decode body: %w", err)
	}
	switch e.Type {
	case typeEvent:
		if e.EventID == "" {
			return envelope{}, errors.New("event_id is missing: what cannot be told from its retries is not taken")
		}
	case typeChallenge, typeRateLimited:
	default:
		return envelope{}, fmt.Errorf("type %.40q is not known", e.Type)
	}
	return e, nil
}

func isForm(r *events.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/x-www-form-urlencoded"
}

// parseForm reads a slash command, or an interaction, whose JSON is in the
// field payload.
func parseForm(body []byte) (envelope, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return envelope{}, fmt.Errorf("decode form: %w", err)
	}
	payload := form.Get("payload")
	switch {
	case payload != "":
		e := envelope{Type: typeInteraction, payload: json.RawMessage(payload)}
		if err := json.Unmarshal(e.payload, &e.interaction); err != nil {
			return envelope{}, fmt.Errorf("decode payload: %w", err)
		}
		e.TeamID = string(e.interaction.Team)
		return e, nil
	case form.Get("command") != "":
		return envelope{Type: typeCommand, TeamID: form.Get("team_id"), command: commandOf(form)}, nil
	case form.Get("ssl_check") != "":
		return envelope{Type: typeProbe}, nil
	}
	return envelope{}, errors.New("the form is neither a slash command nor an interaction")
}

// ref is the id of something, which Slack gives as a plain id in some events
// and inside the whole object in others. Anything else is no id.
type ref string

// UnmarshalJSON takes the id wherever it is.
func (r *ref) UnmarshalJSON(data []byte) error {
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(data, (*string)(r)) != nil && json.Unmarshal(data, &object) == nil {
		*r = ref(object.ID)
	}
	return nil
}
