package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// receivers are by GitHub's names of the events.
var receivers = map[string]func(context.Context, handlers.WebhookProps[Config], delivery) error{
	onIssues: receiveIssue, onPullRequest: receivePullRequest, onComment: receiveComment, onPush: receivePush,
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	event := p.Req.Header.Get(headerEvent)
	receive, ok := receivers[event]
	if !ok {
		p.Logger.WithField("event", event).Debug("event is not handled")
		return nil, nil
	}
	body, err := content(p.Req)
	if err != nil {
		return nil, unreadable(err)
	}
	var d delivery
	if err := json.Unmarshal(body, &d); err != nil {
		return nil, unreadable(fmt.Errorf("decode body: %w", err))
	}
	return nil, receive(ctx, p, d)
}

func receivePush(ctx context.Context, p handlers.WebhookProps[Config], d delivery) error {
	if d.Ref == "" {
		return unreadable(errors.New("there is no ref in it"))
	}
	return Pushed.Fire(ctx, p.Client, d.push())
}

func receiveIssue(ctx context.Context, p handlers.WebhookProps[Config], d delivery) error {
	if d.Issue == nil {
		return unreadable(errors.New("there is no issue in it"))
	}
	about, err := conversation(ctx, p, d.Repository.FullName, d.Issue.Number)
	if err != nil {
		return err
	}
	return Issues.FireFor(ctx, p.Client, events.Refs{ConversationID: about}, IssueEvent{
		Action: d.Action, Issue: d.Issue.told(), Label: d.label(), Assignee: d.Assignee,
		Repository: d.Repository.told(), Sender: d.Sender,
	})
}

func receivePullRequest(ctx context.Context, p handlers.WebhookProps[Config], d delivery) error {
	if d.PullRequest == nil {
		return unreadable(errors.New("there is no pull request in it"))
	}
	about, err := conversation(ctx, p, d.Repository.FullName, d.PullRequest.Number)
	if err != nil {
		return err
	}
	return PullRequests.FireFor(ctx, p.Client, events.Refs{ConversationID: about}, PullRequestEvent{
		Action: d.Action, PullRequest: d.PullRequest.told(), Label: d.label(), Assignee: d.Assignee,
		Repository: d.Repository.told(), Sender: d.Sender,
	})
}

// receiveComment tells of a comment twice: as a message, if it is a person's and
// new, and as an event. A bot that heard its own comments would answer them; one
// that heard other bots' might never end.
func receiveComment(ctx context.Context, p handlers.WebhookProps[Config], d delivery) error {
	if d.Issue == nil || d.Comment == nil {
		return unreadable(errors.New("there is no issue or no comment in it"))
	}
	isNew := d.Action == "created"
	if isNew && ownMark(p.Ctx.WebhookID, d.Comment.Body) != "" {
		return nil
	}
	said := d.Comment.told()
	var about events.Refs
	var err error
	if about.ConversationID, err = conversation(ctx, p, d.Repository.FullName, d.Issue.Number); err != nil {
		return err
	}
	if isNew && said.User.Type != "Bot" && said.User.ID != 0 {
		if about.UserID, about.MessageID, err = say(ctx, p, about.ConversationID, said); err != nil {
			return err
		}
	}
	issue := d.Issue.told()
	issue.Body = cut(issue.Body, maxIssueBody)
	return Commented.FireFor(ctx, p.Client, about, CommentEvent{
		Action: d.Action, Comment: said, Issue: issue, IsPullRequest: d.Issue.PullRequest != nil,
		Repository: d.Repository.told(), Sender: d.Sender,
	})
}

// say makes a message of a comment.
func say(ctx context.Context, p handlers.WebhookProps[Config], conversation string, said Comment) (user, message string, err error) {
	who, err := p.Client.GetOrCreateUser(ctx, client.GetOrCreateUserInput{
		Tags: client.Tags{tagUser: strconv.FormatInt(said.User.ID, 10)}, Name: said.User.Login,
	})
	if err != nil {
		return "", "", err
	}
	payload, err := json.Marshal(events.Text{Text: said.Body})
	if err != nil {
		return "", "", err
	}
	out, err := p.Client.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: conversation, UserID: who.User.ID, Type: events.Text{}.MessageType(), Payload: payload,
		Tags: client.Tags{tagComment: strconv.FormatInt(said.ID, 10)},
	})
	if err != nil {
		return "", "", err
	}
	return who.User.ID, out.Message.ID, nil
}

func conversation(ctx context.Context, p handlers.WebhookProps[Config], repository string, number int) (string, error) {
	if repository == "" || number <= 0 {
		return "", unreadable(errors.New("there is no repository or no number in it"))
	}
	out, err := p.Client.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{
		Channel: channelName, Tags: client.Tags{tagRepository: repository, tagNumber: strconv.Itoa(number)},
	})
	if err != nil {
		return "", err
	}
	return out.Conversation.ID, nil
}

// unreadable is for what no later attempt will be able to read either.
func unreadable(err error) error {
	return handlers.Permanent(fmt.Errorf("read GitHub's delivery: %w", err))
}
