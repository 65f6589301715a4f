package slack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Interaction is something that somebody did in what an app shows: pressed a
// button, picked from a list, used a shortcut, sent off or closed a modal.
type Interaction struct {
	// Type is Slack's own: "block_actions", "view_submission", "view_closed",
	// "shortcut" or "message_action".
	Type   string `json:"type"`
	UserID string `json:"userId"`
	// ChannelID and what follows say which message it was done to; shortcuts and
	// modals have none.
	ChannelID string `json:"channelId,omitempty"`
	MessageTS string `json:"messageTs,omitempty"`
	ThreadTS  string `json:"threadTs,omitempty"`
	// CallbackID is the shortcut's or the view's, as the app named it.
	CallbackID string  `json:"callbackId,omitempty"`
	Actions    []Input `json:"actions,omitempty"`
	View       *View   `json:"view,omitempty"`
	// ResponseURL takes up to five answers within half an hour.
	ResponseURL string `json:"responseUrl,omitempty"`
	// TriggerID opens a modal within three seconds.
	TriggerID string `json:"triggerId,omitempty"`
	// Payload is all that Slack sent, in its own words, but for its deprecated
	// token. It is without the message's blocks when the event would be larger
	// than 120 KiB with them, or null when that is not enough; Omitted is true.
	Payload json.RawMessage `json:"payload"`
	Omitted bool            `json:"omitted,omitempty"`
}

// Input is an element that somebody used: what it says, and all it says where
// that may be several.
type Input struct {
	ActionID string   `json:"actionId"`
	BlockID  string   `json:"blockId,omitempty"`
	Type     string   `json:"type"`
	Value    string   `json:"value,omitempty"`
	Values   []string `json:"values,omitempty"`
}

// View is a modal or a home tab. State are the inputs by block and action, in
// Slack's own words.
type View struct {
	ID              string          `json:"id"`
	CallbackID      string          `json:"callbackId,omitempty"`
	PrivateMetadata string          `json:"privateMetadata,omitempty"`
	State           json.RawMessage `json:"state,omitempty"`
}

// interaction is an interaction in Slack's words, as far as it is looked at.
type interaction struct {
	Type        string `json:"type"`
	TriggerID   string `json:"trigger_id"`
	ResponseURL string `json:"response_url"`
	CallbackID  string `json:"callback_id"`
	Team        ref    `json:"team"`
	User        ref    `json:"user"`
	Channel     ref    `json:"channel"`
	Container   struct {
		ChannelID string `json:"channel_id"`
		MessageTS string `json:"message_ts"`
		ThreadTS  string `json:"thread_ts"`
	} `json:"container"`
	MessageTS string `json:"message_ts"`
	Message   struct {
		TS       string `json:"ts"`
		ThreadTS string `json:"thread_ts"`
	} `json:"message"`
	Actions []element `json:"actions"`
	View    *struct {
		ID              string `json:"id"`
		CallbackID      string `json:"callback_id"`
		PrivateMetadata string `json:"private_metadata"`
		State           struct {
			Values json.RawMessage `json:"values"`
		} `json:"state"`
	} `json:"view"`
}

func (i interaction) channel() string { return cmp.Or(string(i.Channel), i.Container.ChannelID) }
func (i interaction) thread() string  { return cmp.Or(i.Message.ThreadTS, i.Container.ThreadTS) }

// element is an element of a block that was used: each kind tells in a field of
// its own what was entered.
type element struct {
	ActionID string   `json:"action_id"`
	BlockID  string   `json:"block_id"`
	Type     string   `json:"type"`
	Value    string   `json:"value"`
	Option   *option  `json:"selected_option"`
	Options  []option `json:"selected_options"`
	Date     string   `json:"selected_date"`
	Time     string   `json:"selected_time"`
	DateTime int64    `json:"selected_date_time"`
	User     string   `json:"selected_user"`
	Users    []string `json:"selected_users"`
	Channel  string   `json:"selected_channel"`
	Channels []string `json:"selected_channels"`
	Place    string   `json:"selected_conversation"`
	Places   []string `json:"selected_conversations"`
}

type option struct {
	Value string `json:"value"`
}

func (e element) input() Input {
	in := Input{ActionID: e.ActionID, BlockID: e.BlockID, Type: e.Type,
		Value: cmp.Or(e.Value, e.Date, e.Time, e.User, e.Channel, e.Place)}
	if e.Option != nil {
		in.Value = e.Option.Value
	}
	if e.DateTime != 0 {
		in.Value = strconv.FormatInt(e.DateTime, 10)
	}
	for _, one := range e.Options {
		in.Values = append(in.Values, one.Value)
	}
	in.Values = append(append(append(in.Values, e.Users...), e.Channels...), e.Places...)
	return in
}

// receiveInteraction tells the bot. Who presses a button of a choice, or picks
// from a dropdown, also says its value, as with every other platform.
func receiveInteraction(ctx context.Context, p handlers.WebhookProps[Config], i interaction, payload json.RawMessage) (*events.Response, error) {
	happened := Interaction{
		Type: i.Type, UserID: string(i.User), ChannelID: i.channel(), ThreadTS: i.thread(),
		MessageTS: cmp.Or(i.Message.TS, i.MessageTS, i.Container.MessageTS), CallbackID: i.CallbackID,
		ResponseURL: i.ResponseURL, TriggerID: i.TriggerID,
	}
	if view := i.View; view != nil {
		happened.View = &View{ID: view.ID, CallbackID: view.CallbackID, PrivateMetadata: view.PrivateMetadata, State: view.State.Values}
		happened.CallbackID = cmp.Or(happened.CallbackID, view.CallbackID)
	}
	for _, one := range i.Actions {
		happened.Actions = append(happened.Actions, one.input())
	}
	var err error
	if happened.Payload, err = withoutToken(payload); err != nil {
		return nil, unreadable("interaction", err)
	}
	happened = happened.fitting()
	about, err := refer(ctx, p.Client, happened.ChannelID, happened.UserID)
	if err != nil {
		return nil, err
	}
	if err := InteractionReceived.FireFor(ctx, p.Client, about, happened); err != nil {
		return nil, err
	}
	for _, one := range happened.Actions {
		if !strings.HasPrefix(one.ActionID, sayPrefix) || one.Value == "" || about.ConversationID == "" || about.UserID == "" {
			continue
		}
		if err := choose(ctx, p.Client, about, one.Value, happened.ThreadTS); err != nil {
			return nil, err
		}
	}
	// Without a body: a modal that was sent off closes.
	return &events.Response{Status: http.StatusOK}, nil
}

// maxEvent bounds what a bot is told, in bytes: no payload is larger than
// 128 KiB.
const maxEvent = 120 << 10

// fitting leaves out of the payload what makes the event too large.
func (i Interaction) fitting() Interaction {
	if i.fits() {
		return i
	}
	i.Omitted = true
	var fields, message map[string]json.RawMessage
	if json.Unmarshal(i.Payload, &fields) == nil && json.Unmarshal(fields["message"], &message) == nil {
		delete(message, "blocks")
		fields["message"], _ = json.Marshal(message) // it was read out of JSON
		i.Payload, _ = json.Marshal(fields)
	}
	if !i.fits() {
		i.Payload = nil
	}
	return i
}

// fits measures the event as it travels: "<" takes six bytes there.
func (i Interaction) fits() bool {
	encoded, err := json.Marshal(i)
	return err == nil && len(encoded) <= maxEvent
}

// choose makes a message out of what somebody chose.
func choose(ctx context.Context, c *client.Client, about events.Refs, text, thread string) error {
	payload, err := json.Marshal(events.Text{Text: text})
	if err != nil {
		return fmt.Errorf("encode text: %w", err)
	}
	_, err = c.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: about.ConversationID, UserID: about.UserID,
		Type: events.Text{}.MessageType(), Payload: payload, Tags: given(client.Tags{tagThread: thread}),
	})
	return err
}

// withoutToken takes away the token by which Slack used to prove itself.
func withoutToken(payload json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(payload, &fields); err != nil {
		return nil, err
	}
	delete(fields, "token")
	return json.Marshal(fields)
}
