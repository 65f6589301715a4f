package slack

import (
	"cmp"
	"encoding/json"
	"net/http"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

func verify(r *events.Request, configuration Config, now time.Time) error {
	verifier, err := signature.Slack.Verifier(configuration.SigningSecret.Reveal()...)
	if err != nil {
		return err
	}
	return verifier.Verify(signature.Message{Header: r.Header, Body: r.Body}, now)
}

// challenge gives back the text with which Slack asks whether this is a place
// for its events.
func challenge(r *events.Request, _ Config) (*events.Response, bool) {
	e, err := parse(r)
	if err != nil || e.Type != typeChallenge || e.Challenge == "" {
		return nil, false
	}
	return &events.Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/plain"}},
		Body:   []byte(e.Challenge),
	}, true
}

// split finds the delivery's id, which is the same in each of Slack's retries,
// and the channel, in which things must stay in order.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	e, err := parse(r)
	if err != nil {
		return nil, err
	}
	part := handlers.Part{Key: e.channelID}
	if id := cmp.Or(e.EventID, e.triggerID); id != "" {
		part.ID = e.TeamID + ":" + id
	}
	if e.Type == typeEvent {
		part.Key = orderingKey(e.Event)
	}
	return []handlers.Part{part}, nil
}

// orderingKey is the channel an event is about, else the person.
func orderingKey(event json.RawMessage) string {
	var about struct {
		Channel   ref `json:"channel"`
		ChannelID ref `json:"channel_id"`
		User      ref `json:"user"`
		Item      struct {
			Channel ref `json:"channel"`
		} `json:"item"`
	}
	// What does not fit, such as an item that is a list, leaves its field empty.
	_ = json.Unmarshal(event, &about)
	return string(cmp.Or(about.Channel, about.Item.Channel, about.ChannelID, about.User))
}
