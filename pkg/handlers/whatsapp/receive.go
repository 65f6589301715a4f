package whatsapp

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
	c, err := single(p.Req.Body)
	if err != nil {
		return nil, unreadable("webhook", err)
	}
	if c.Field != fieldMessages {
		p.Logger.WithField("field", c.Field).Debug("field is not handled")
		return nil, nil
	}
	var n news
	if err := json.Unmarshal(c.Value, &n); err != nil {
		return nil, unreadable("news", err)
	}
	// An app's secret is the same for all of its numbers, and so may its URL be.
	if id := n.Metadata.PhoneNumberID; id != "" && id != p.Ctx.Configuration.PhoneNumberID {
		p.Logger.ForBot().Warn("passed over what is about another phone number, " + id +
			": set the app's webhook for each number, as registration does")
		return nil, nil
	}
	for _, f := range n.Errors {
		p.Logger.ForBot().Warn("WhatsApp reports an error: " + f.String())
	}
	for _, raw := range n.Messages {
		if err := receiveMessage(ctx, p, n, raw); err != nil {
			return nil, err
		}
	}
	for _, raw := range n.Statuses {
		if err := receiveStatus(ctx, p, raw); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func receiveMessage(ctx context.Context, p handlers.WebhookProps[Config], n news, raw json.RawMessage) error {
	var m message
	if err := json.Unmarshal(raw, &m); err != nil {
		return unreadable("message", err)
	}
	if m.ID == "" {
		return unreadable("message", errors.New("it has no id"))
	}
	who := n.about(headOf(raw))
	switch m.Type {
	case "unsupported", "unknown":
		return passOver(p, m)
	case "system":
		return receiveSystem(ctx, p, who, m)
	}
	conversation, err := conversations(p.Client).find(ctx, who)
	if err != nil {
		return err
	}
	user, err := users(p.Client, who.Name).find(ctx, who)
	if err != nil {
		return err
	}
	place := placed{conversation, user, who}
	switch m.Type {
	case "request_welcome":
		return ConversationOpened.FireFor(ctx, p.Client, place.refs(), place.event(m))
	case "edit":
		return edit(ctx, p, place, m)
	case "revoke":
		return revoke(ctx, p, place, m)
	}
	typ, payload, err := contentOf(ctx, p, m)
	if err != nil {
		return err
	}
	if typ == "" {
		return passOver(p, m)
	}
	if err := started(ctx, p, place, m); err != nil {
		return err
	}
	return place.create(ctx, p, m, typ, payload)
}

// placed is where a message belongs and whose it is.
type placed struct {
	conversation, user entity
	who                person
}

func (l placed) refs() events.Refs {
	return events.Refs{ConversationID: l.conversation.id, UserID: l.user.id}
}

func (l placed) event(m message) Conversation {
	return Conversation{
		PhoneNumber: l.who.Phone, UserID: l.who.UserID, Name: l.who.Name, Username: l.who.Username,
		MessageID: m.ID, Time: m.Timestamp.Time, Referral: m.Referral,
	}
}

// started fires conversationStarted for the first message that somebody writes.
// The conversation may be older: a bot may have written first, or the chat been
// opened. So its tag says which message was the first; a second attempt at that
// one fires the same event, which is told once.
func started(ctx context.Context, p handlers.WebhookProps[Config], place placed, m message) error {
	first := place.conversation.tags[tagFirstMessage]
	if first != "" && first != m.ID {
		return nil
	}
	if first == "" {
		if err := conversations(p.Client).change(ctx, place.conversation.id, client.Tags{tagFirstMessage: m.ID}); err != nil {
			return err
		}
	}
	return ConversationStarted.FireFor(ctx, p.Client, place.refs(), place.event(m))
}

// create makes the message, found by its id: the URL of a picture is another one
// in each attempt, so that what it says is no good to tell it from itself.
func (l placed) create(ctx context.Context, p handlers.WebhookProps[Config], m message, typ string, payload any) error {
	encoded, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode payload: %w", err)
	}
	tags := client.Tags{tagMessage: m.ID}
	if m.Context.ID != "" {
		tags[tagReplyTo] = m.Context.ID
	}
	_, err = p.Client.GetOrCreateMessage(ctx, client.GetOrCreateMessageInput{
		CreateMessageInput: client.CreateMessageInput{
			ConversationID: l.conversation.id, UserID: l.user.id, Type: typ, Payload: encoded, Tags: tags,
		},
		DiscriminateByTags: []string{tagMessage},
	})
	return err
}

// passOver tells the bot's owner of a message that WhatsApp does not pass on, or
// that this integration does not know.
func passOver(p handlers.WebhookProps[Config], m message) error {
	why := make([]string, 0, len(m.Errors))
	for _, f := range m.Errors {
		why = append(why, f.String())
	}
	p.Logger.ForBot().Warn(strings.TrimSpace(fmt.Sprintf("passed over a message of type %.40q: %s", m.Type, strings.Join(why, "; "))))
	return nil
}

// unreadable is for what no later attempt will be able to read either.
func unreadable(what string, err error) error {
	return handlers.Permanent(fmt.Errorf("decode WhatsApp's %s: %w", what, err))
}
