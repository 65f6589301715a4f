package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	e, err := parse(p.Req)
	if err != nil {
		return nil, unreadable("request", err)
	}
	switch e.Type {
	case typeEvent:
		return nil, handleEvent(ctx, p, e.Event)
	case typeCommand:
		return receiveCommand(ctx, p, e.command)
	case typeInteraction:
		return receiveInteraction(ctx, p, e.interaction, e.payload)
	case typeRateLimited:
		p.Logger.ForBot().Warn("Slack holds events back: the app gets more than 30,000 an hour from this workspace")
	}
	return nil, nil
}

func handleEvent(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var event struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &event); err != nil {
		return unreadable("event", err)
	}
	switch event.Type {
	case "message":
		return receiveMessage(ctx, p, raw)
	case "app_mention":
		return receiveMention(ctx, p, raw)
	case "reaction_added":
		return receiveReaction(ctx, p, ReactionAdded, raw)
	case "reaction_removed":
		return receiveReaction(ctx, p, ReactionRemoved, raw)
	case "team_join":
		return receiveMember(ctx, p, raw)
	}
	p.Logger.WithField("event", event.Type).Debug("event is not handled")
	return nil
}

// message is a message event. What became of an earlier message stands within
// Message and Previous.
type message struct {
	Subtype  string `json:"subtype"`
	BotID    string `json:"bot_id"`
	Channel  string `json:"channel"`
	User     string `json:"user"`
	Text     string `json:"text"`
	TS       string `json:"ts"`
	ThreadTS string `json:"thread_ts"`
	EventTS  string `json:"event_ts"`
	Files    []file `json:"files"`

	Edited *struct {
		TS string `json:"ts"`
	} `json:"edited"`
	Message   *message `json:"message"`          // of message_changed: as it is now
	Previous  *message `json:"previous_message"` // of message_changed and message_deleted
	DeletedTS string   `json:"deleted_ts"`
}

// says tells whether the event is somebody saying something. Other subtypes
// tell of changes: edits, deletions, people coming and going.
func (m message) says() bool {
	switch m.Subtype {
	case "", "file_share", "thread_broadcast":
		return m.BotID == "" && m.User != ""
	}
	return false
}

// tags are those by which the message is known: its timestamp is its id, and an
// answer with the same threadId stays in its thread.
func (m message) tags() client.Tags {
	tags := client.Tags{tagMessage: m.TS, tagThread: m.ThreadTS}
	if m.Edited != nil {
		tags[tagEdited] = m.Edited.TS
	}
	return given(tags)
}

func receiveMessage(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable("message", err)
	}
	switch m.Subtype {
	case "message_changed":
		return receiveChange(ctx, p, m)
	case "message_deleted":
		return receiveDeletion(ctx, p, m.Channel, m.DeletedTS, m.Previous)
	}
	if heard, err := isHeard(ctx, p, m); !heard || err != nil {
		return err
	}
	about, err := refer(ctx, p.Client, m.Channel, m.User)
	if err != nil {
		return err
	}
	_, err = create(ctx, p.Client, about, m)
	return err
}

// isHeard tells whether the bot is told what a message says.
func isHeard(ctx context.Context, p handlers.WebhookProps[Config], m message) (bool, error) {
	if !m.says() {
		return false, nil
	}
	own, err := isOwn(ctx, p, m.User)
	return !own && err == nil, err
}

// create tells the bot of a message, and of the same one only once: Slack tells
// of one that mentions the bot in two events. The id is empty for a message
// with nothing in it.
func create(ctx context.Context, c *client.Client, about events.Refs, m message) (id string, err error) {
	payload := m.payload()
	if payload == nil {
		return "", nil
	}
	encoded, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", payload.MessageType(), err)
	}
	out, err := c.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: about.ConversationID, UserID: about.UserID,
			Type: payload.MessageType(), Payload: encoded, Tags: m.tags(),
		},
		DiscriminateByTags: []string{tagMessage},
	})
	if err != nil {
		return "", err
	}
	return out.Message.ID, nil
}

// find returns the message with a timestamp, nil if the bot was told of none.
func find(ctx context.Context, c *client.Client, about events.Refs, ts string) (*client.Message, error) {
	out, err := c.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: about.ConversationID, UserID: about.UserID,
			Type: events.Text{}.MessageType(), Tags: client.Tags{tagMessage: ts},
		},
	})
	if errors.Is(err, client.ErrInvalid) {
		return nil, nil // it would have to be made, and has no payload
	}
	if err != nil {
		return nil, err
	}
	return &out.Message, nil
}

// refer finds or makes the bot's entities of a channel and a person; either may
// be empty.
func refer(ctx context.Context, c *client.Client, channel, user string) (events.Refs, error) {
	var about events.Refs
	if channel != "" {
		out, err := c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
			Channel: channelName, Tags: client.Tags{tagChannel: channel},
		})
		if err != nil {
			return about, err
		}
		about.ConversationID = out.Conversation.ID
	}
	if user != "" {
		out, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{tagUser: user}})
		if err != nil {
			return about, err
		}
		about.UserID = out.User.ID
	}
	return about, nil
}

// isOwn tells whether a user is the bot itself, which must not answer itself.
func isOwn(ctx context.Context, p handlers.WebhookProps[Config], user string) (bool, error) {
	known, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return false, nil // not registered yet
	}
	return err == nil && user != "" && user == known.BotUserID, err
}

// given leaves out tags without a value.
func given(tags client.Tags) client.Tags {
	for name, value := range tags {
		if value == "" {
			delete(tags, name)
		}
	}
	return tags
}

// unreadable is for what no later attempt will be able to read either.
func unreadable(what string, err error) error {
	return handlers.Permanent(fmt.Errorf("decode Slack's %s: %w", what, err))
}
