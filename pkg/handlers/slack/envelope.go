package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"

	"github.com/towpath/towpath/pkg/events"
)

// The types of what Slack posts to the events URL.
const (
	typeEvent       = "event_callback"
	typeChallenge   = "url_verification"
	typeRateLimited = "app_rate_limited"
)

// envelope is everything that Slack posts, as far as it is looked at: an
// event with what goes around it, or a form of a slash command or interaction.
type envelope struct {
	Type      string          `json:"type"`
	Challenge string          `json:"challenge"`
	TeamID    string          `json:"team_id"`
	EventID   string          `json:"event_id"`
	Event     json.RawMessage `json:"event"`

	// Of a form: slash commands and interactions have no event id.
	isForm    bool
	triggerID string
	channelID string
}

// parse reads what Slack posted. What comes as a form is told apart by its
// content type, since both JSON and a form may hold nearly any byte.
func parse(r *events.Request) (envelope, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && media == "application/x-www-form-urlencoded" {
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

// parseForm reads a slash command, or an interaction, whose JSON is in the
// field payload.
func parseForm(body []byte) (envelope, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return envelope{}, fmt.Errorf("decode form: %w", err)
	}
	e := envelope{isForm: true, TeamID: form.Get("team_id"), triggerID: form.Get("trigger_id"), channelID: form.Get("channel_id")}
	payload := form.Get("payload")
	if payload == "" {
		return e, nil
	}
	var interaction struct {
		TriggerID string `json:"trigger_id"`
		Channel   ref    `json:"channel"`
		Team      ref    `json:"team"`
	}
	if err := json.Unmarshal([]byte(payload), &interaction); err != nil {
		return envelope{}, fmt.Errorf("decode payload: %w", err)
	}
	e.TeamID, e.triggerID, e.channelID = string(interaction.Team), interaction.TriggerID, string(interaction.Channel)
	return e, nil
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
