package linear

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	e, err := parse(p.Req.Body)
	if err != nil {
		return nil, unreadable(err)
	}
	switch {
	case e.Type == typeIssue:
		return nil, receiveIssue(ctx, p, e)
	case e.Type == typeComment && e.Action == actionCreate:
		return nil, receiveComment(ctx, p, e)
	}
	p.Logger.WithField("event", e.Type+" "+e.Action).Debug("event is not handled")
	return nil, nil
}

func receiveIssue(ctx context.Context, p handlers.WebhookProps[Config], e envelope) error {
	issue, err := e.issue()
	if err != nil {
		return unreadable(err)
	}
	event := IssueUpdated
	switch e.Action {
	case actionCreate:
		if isOwn(p.Ctx.WebhookID, issue.ID) {
			return nil // the bot has it from its own action
		}
		event = IssueCreated
	case actionRemove:
		event = IssueDeleted
	}
	about, err := conversation(ctx, p, issue.ID)
	if err != nil {
		return err
	}
	return event.FireFor(ctx, p.Client, events.Refs{ConversationID: about},
		IssueChange{Action: e.Action, Issue: issue, Actor: e.Actor, Before: e.before()})
}

// receiveComment tells of a comment twice: as a message, if a person wrote it
// on an issue, and as an event. A bot that heard its own comments would answer
// them.
func receiveComment(ctx context.Context, p handlers.WebhookProps[Config], e envelope) error {
	c, err := e.comment()
	if err != nil {
		return unreadable(err)
	}
	if isOwn(p.Ctx.WebhookID, c.ID) {
		return nil
	}
	var about events.Refs
	if c.IssueID != "" {
		if about.ConversationID, err = conversation(ctx, p, c.IssueID); err != nil {
			return err
		}
	}
	if c.User != nil {
		if about.UserID, err = user(ctx, p, *c.User); err != nil {
			return err
		}
	}
	if about.ConversationID != "" && about.UserID != "" {
		if about.MessageID, err = say(ctx, p, about, c); err != nil {
			return err
		}
	}
	return CommentCreated.FireFor(ctx, p.Client, about, c)
}

// say makes a message of a comment.
func say(ctx context.Context, p handlers.WebhookProps[Config], about events.Refs, c Comment) (string, error) {
	payload, err := json.Marshal(events.Text{Text: c.Body})
	if err != nil {
		return "", err
	}
	tags := client.Tags{tagComment: c.ID}
	if c.ThreadID != "" {
		tags[tagThread] = c.ThreadID
	}
	out, err := p.Client.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: about.ConversationID, UserID: about.UserID,
		Type: events.Text{}.MessageType(), Payload: payload, Tags: tags,
	})
	if err != nil {
		return "", err
	}
	return out.Message.ID, nil
}

func conversation(ctx context.Context, p handlers.WebhookProps[Config], issue string) (string, error) {
	out, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: channelName, Tags: client.Tags{tagIssue: issue},
	})
	if err != nil {
		return "", err
	}
	return out.Conversation.ID, nil
}

func user(ctx context.Context, p handlers.WebhookProps[Config], who Person) (string, error) {
	out, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
		Tags: client.Tags{tagUser: who.ID}, Name: who.Name,
	})
	if err != nil {
		return "", err
	}
	return out.User.ID, nil
}

// unreadable is for what no later attempt will be able to read either.
func unreadable(err error) error { return handlers.Permanent(fmt.Errorf("linear: %w", err)) }
