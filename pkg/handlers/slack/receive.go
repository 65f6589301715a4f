package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	e, err := parse(p.Req)
	if err != nil {
		return nil, unreadable("request", err)
	}
	switch {
	case e.Type == typeRateLimited:
		p.Logger.ForBot().Warn("Slack holds events back: the app gets more than 30,000 an hour from this workspace")
	case e.isForm:
		p.Logger.Debug("slash commands and interactions are not handled")
	case e.Type == typeEvent:
		return nil, handleEvent(ctx, p, e.Event)
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
	case "reaction_added":
		return receiveReaction(ctx, p, raw)
	case "team_join":
		return receiveMember(ctx, p, raw)
	}
	p.Logger.WithField("event", event.Type).Debug("event is not handled")
	return nil
}

// message is a message event. Files are there for a message that is nothing
// but files.
type message struct {
	Subtype  string `json:"subtype"`
	BotID    string `json:"bot_id"`
	Channel  string `json:"channel"`
	User     string `json:"user"`
	Text     string `json:"text"`
	TS       string `json:"ts"`
	ThreadTS string `json:"thread_ts"`
	Files    []struct {
		Title     string `json:"title"`
		Permalink string `json:"permalink"`
	} `json:"files"`
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

// text is what was said, or the links to the files that were shared without a
// word.
func (m message) text() string {
	if m.Text != "" {
		return m.Text
	}
	lines := make([]string, 0, len(m.Files))
	for _, file := range m.Files {
		lines = append(lines, strings.TrimSpace(file.Title+" "+file.Permalink))
	}
	return strings.Join(lines, "\n")
}

func receiveMessage(ctx context.Context, p handlers.WebhookProps[Config], raw json.RawMessage) error {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable("message", err)
	}
	if !m.says() {
		return nil
	}
	if own, err := isOwn(ctx, p, m.User); own || err != nil {
		return err
	}
	conversation, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: channelName, Tags: client.Tags{tagChannel: m.Channel},
	})
	if err != nil {
		return err
	}
	user, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{tagUser: m.User}})
	if err != nil {
		return err
	}
	payload, err := json.Marshal(events.Text{Text: m.text()})
	if err != nil {
		return err
	}
	tags := client.Tags{tagMessage: m.TS}
	if m.ThreadTS != "" {
		tags[tagThread] = m.ThreadTS
	}
	_, err = p.Client.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: conversation.Conversation.ID, UserID: user.User.ID,
		Type: events.Text{}.MessageType(), Payload: payload, Tags: tags,
	})
	return err
}

// isOwn tells whether a user is the bot itself, which must not answer itself.
func isOwn(ctx context.Context, p handlers.WebhookProps[Config], user string) (bool, error) {
	known, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return false, nil // not registered yet
	}
	return err == nil && user != "" && user == known.BotUserID, err
}

// unreadable is for what no later attempt will be able to read either.
func unreadable(what string, err error) error {
	return handlers.Permanent(fmt.Errorf("decode Slack's %s: %w", what, err))
}
