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

// answers are for what people did in Slack's own windows: Slack waits three
// seconds for slash commands and interactions, of which half a one is left for
// the way. Whoever is answered late sees nothing amiss: the event is stored, and
// the bot answers through the response URL anyway.
var answers = &handlers.Answers{
	Awaited: isForm,
	Within:  2500 * time.Millisecond,
	Late:    &events.Response{Status: http.StatusOK},
}

// challenge gives back the text with which Slack asks whether this is a place
// for its events. When it asks for the certificate alone, it has its answer
// already.
func challenge(r *events.Request, _ Config) (*events.Response, bool) {
	e, err := parse(r)
	switch {
	case err != nil:
		return nil, false
	case e.Type == typeProbe:
		return &events.Response{Status: http.StatusOK}, true
	case e.Type != typeChallenge || e.Challenge == "":
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
	var part handlers.Part
	id := e.EventID
	switch e.Type {
	case typeEvent:
		part.Key = orderingKey(e.Event)
	case typeCommand:
		id, part.Key = e.command.TriggerID, cmp.Or(e.command.ChannelID, e.command.UserID)
	case typeInteraction:
		id, part.Key = e.interaction.TriggerID, cmp.Or(e.interaction.channel(), string(e.interaction.User))
	}
	if id != "" {
		part.ID = e.TeamID + ":" + id
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
