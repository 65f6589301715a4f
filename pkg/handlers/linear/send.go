package linear

import (
	"context"
	"errors"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// object is a JSON object.
type object = map[string]any

const (
	createCommentText = `mutation CreateComment($input: CommentCreateInput!) { commentCreate(input: $input) { success } }`
	findCommentText   = `query FindComment($id: ID!) { comments(filter: {id: {eq: $id}}, first: 1) { nodes { id } } }`
	createIssueText   = `mutation CreateIssue($input: IssueCreateInput!) { issueCreate(input: $input) { success issue { id identifier title url } } }`
	findIssueText     = `query FindIssue($id: ID!) { issues(filter: {id: {eq: $id}}, first: 1, includeArchived: true) { nodes { id identifier title url } } }`
)

// comment posts a message of a type as one comment, however long and whatever
// is in it: so there is nothing that could be posted by half.
func comment[M events.Payload]() handlers.Message[Config] {
	return handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[Config, M]) error {
		text, err := texts.Markdown(p.Payload)
		if err == nil && text == "" {
			err = errors.New("there is nothing in the message")
		}
		if err != nil {
			return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil))
		}
		id := idFor(p.Ctx.WebhookID, p.Delivery.ID, "comment")
		input := object{"id": id, "issueId": p.Conversation.Tags[tagIssue], "body": text}
		if thread := p.Message.Tags[tagThread]; thread != "" {
			input["parentId"] = thread
		}
		if _, err := once(ctx, p.Props, id, createComment(input), findComment); err != nil {
			return err
		}
		return p.Ack(ctx, client.Tags{tagComment: id})
	})
}

// maker makes something at Linear, finder looks whether it is there; both
// return nil without an error when it is not.
type (
	maker[T any]  func(ctx context.Context, p handlers.Props[Config]) (*T, error)
	finder[T any] func(ctx context.Context, p handlers.Props[Config], id string) (*T, error)
)

// once makes something under an id of our own. When an attempt before may have
// made it, and when Linear refuses it, as it does an id that is taken, it looks
// whether it is there already.
func once[T any](ctx context.Context, p handlers.Props[Config], id string, create maker[T], find finder[T]) (*T, error) {
	if p.Delivery.Attempt > 1 {
		if found, err := find(ctx, p, id); found != nil || err != nil {
			return found, err
		}
	}
	made, err := create(ctx, p)
	if err == nil && made == nil {
		err = errors.New("linear: the answer does not say that it was made; is apiUrl Linear's?")
	}
	if handlers.Judge(err).Decision == handlers.GiveUp {
		if found, unfound := find(ctx, p, id); found != nil || unfound != nil {
			return found, unfound
		}
	}
	return made, err
}

// reference is what is left of a comment: that there is one.
type reference struct {
	ID string `json:"id"`
}

// nodes is a page of a list.
type nodes[T any] struct {
	Nodes []T `json:"nodes"`
}

func (n nodes[T]) first() *T {
	if len(n.Nodes) == 0 {
		return nil
	}
	return &n.Nodes[0]
}

func createComment(input object) maker[reference] {
	return func(ctx context.Context, p handlers.Props[Config]) (*reference, error) {
		out, err := ask[struct {
			Created struct {
				Success bool `json:"success"`
			} `json:"commentCreate"`
		}](ctx, p, query{"CreateComment", createCommentText, object{"input": input}})
		if err != nil || !out.Created.Success {
			return nil, err
		}
		return &reference{}, nil
	}
}

func findComment(ctx context.Context, p handlers.Props[Config], id string) (*reference, error) {
	out, err := ask[struct {
		Comments nodes[reference] `json:"comments"`
	}](ctx, p, query{"FindComment", findCommentText, object{"id": id}})
	return out.Comments.first(), err
}

// CreateIssue is the input of the action createIssue. All but team and title
// may be left out; ids are UUIDs.
type CreateIssue struct {
	TeamID      string   `json:"teamId"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"` // Markdown
	Priority    int      `json:"priority,omitempty"`    // 1 urgent, 2 high, 3 medium, 4 low
	StateID     string   `json:"stateId,omitempty"`
	AssigneeID  string   `json:"assigneeId,omitempty"`
	ProjectID   string   `json:"projectId,omitempty"`
	ParentID    string   `json:"parentId,omitempty"` // makes it a part of that issue; "LIN-123" will do
	LabelIDs    []string `json:"labelIds,omitempty"`
}

// Created is the output of the action createIssue.
type Created struct {
	ID         string `json:"id"`
	Identifier string `json:"identifier"` // "LIN-123"
	Title      string `json:"title"`
	URL        string `json:"url"`
}

func createIssue(ctx context.Context, p handlers.ActionProps[Config, CreateIssue]) (Created, error) {
	id := idFor(p.Ctx.WebhookID, p.Delivery.ID, "issue")
	made, err := once(ctx, p.Props, id, createIssueAs(id, p.Input), findIssue)
	if err != nil {
		return Created{}, err
	}
	return *made, nil
}

func createIssueAs(id string, in CreateIssue) maker[Created] {
	return func(ctx context.Context, p handlers.Props[Config]) (*Created, error) {
		out, err := ask[struct {
			Created struct {
				Issue *Created `json:"issue"`
			} `json:"issueCreate"`
		}](ctx, p, query{"CreateIssue", createIssueText, object{"input": struct {
			ID string `json:"id"`
			CreateIssue
		}{id, in}}})
		return out.Created.Issue, err
	}
}

func findIssue(ctx context.Context, p handlers.Props[Config], id string) (*Created, error) {
	out, err := ask[struct {
		Issues nodes[Created] `json:"issues"`
	}](ctx, p, query{"FindIssue", findIssueText, object{"id": id}})
	return out.Issues.first(), err
}
