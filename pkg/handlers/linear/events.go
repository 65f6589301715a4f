package linear

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/pkg/handlers/texts"
)

// IssueChange is what happened to an issue.
type IssueChange struct {
	Action string `json:"action"` // "create", "update", "remove" or "restore"
	Issue  Issue  `json:"issue"`
	Actor  *Actor `json:"actor,omitempty"` // who did it, if Linear says so
	// Before are the former values of the fields that changed, under Linear's
	// own names; only of updates. A very long one is null.
	Before json.RawMessage `json:"before,omitempty"`
}

// Issue is an issue as it is now. Times are RFC 3339. A very long description is
// cut.
type Issue struct {
	ID            string  `json:"id"`         // UUID
	Identifier    string  `json:"identifier"` // "LIN-123"
	Number        int     `json:"number"`
	Title         string  `json:"title"`
	Description   string  `json:"description,omitempty"` // Markdown
	URL           string  `json:"url,omitempty"`
	Priority      int     `json:"priority"` // 0 none, 1 urgent, 2 high, 3 medium, 4 low
	PriorityLabel string  `json:"priorityLabel,omitempty"`
	State         State   `json:"state"`
	Team          Team    `json:"team"`
	Labels        []Label `json:"labels"`
	CreatorID     string  `json:"creatorId,omitempty"`
	AssigneeID    string  `json:"assigneeId,omitempty"`
	ProjectID     string  `json:"projectId,omitempty"`
	ParentID      string  `json:"parentId,omitempty"` // the issue that it is a part of
	DueDate       string  `json:"dueDate,omitempty"`  // "2026-11-21"
	CreatedAt     string  `json:"createdAt,omitempty"`
	UpdatedAt     string  `json:"updatedAt,omitempty"`
	ArchivedAt    string  `json:"archivedAt,omitempty"`
}

// State is where an issue stands in its team's workflow.
type State struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"` // "triage", "backlog", "unstarted", "started", "completed" or "canceled"
}

// Team is a team; Key begins the identifiers of its issues.
type Team struct {
	ID   string `json:"id"`
	Key  string `json:"key"`
	Name string `json:"name"`
}

// Label is a label of an issue.
type Label struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Actor is who did something: a "user", an "OauthClient", an "integration".
type Actor struct {
	ID    string `json:"id"`
	Type  string `json:"type,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

// Comment is a comment. A very long body is cut. IssueID is empty for one on something else than an
// issue, such as a project's update.
type Comment struct {
	ID        string  `json:"id"` // UUID
	Body      string  `json:"body"`
	URL       string  `json:"url,omitempty"`
	IssueID   string  `json:"issueId,omitempty"`
	ThreadID  string  `json:"threadId,omitempty"` // the comment that it answers
	User      *Person `json:"user,omitempty"`     // nil for one by a bot
	CreatedAt string  `json:"createdAt,omitempty"`
}

// Person is somebody in Linear, or somebody outside it whose words come in
// through another tool, such as Slack.
type Person struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Email    string `json:"email,omitempty"`
	External bool   `json:"external"`
}

// issue reads an issue out of a request.
func (e envelope) issue() (Issue, error) {
	var i Issue
	if err := json.Unmarshal(e.Data, &i); err != nil {
		return Issue{}, fmt.Errorf("decode issue: %w", err)
	}
	if i.ID == "" {
		return Issue{}, errors.New("decode issue: it has no id")
	}
	i.Description = cut(i.Description)
	if i.Labels == nil {
		i.Labels = []Label{}
	}
	if i.URL == "" {
		i.URL = e.URL
	}
	// Older deliveries lack it.
	if i.Identifier == "" && i.Team.Key != "" {
		i.Identifier = fmt.Sprintf("%s-%d", i.Team.Key, i.Number)
	}
	return i, nil
}

// comment reads a comment out of a request. Who wrote it is told in one of
// several ways.
func (e envelope) comment() (Comment, error) {
	var raw struct {
		ID           string          `json:"id"`
		Body         string          `json:"body"`
		IssueID      string          `json:"issueId"`
		Issue        *reference      `json:"issue"`
		ParentID     string          `json:"parentId"`
		UserID       string          `json:"userId"`
		User         *Person         `json:"user"`
		ExternalUser *Person         `json:"externalUser"`
		BotActor     json.RawMessage `json:"botActor"`
		CreatedAt    string          `json:"createdAt"`
	}
	if err := json.Unmarshal(e.Data, &raw); err != nil {
		return Comment{}, fmt.Errorf("decode comment: %w", err)
	}
	if raw.ID == "" {
		return Comment{}, errors.New("decode comment: it has no id")
	}
	c := Comment{ID: raw.ID, Body: cut(raw.Body), URL: e.URL, IssueID: raw.IssueID, ThreadID: raw.ParentID, CreatedAt: raw.CreatedAt}
	if c.IssueID == "" && raw.Issue != nil {
		c.IssueID = raw.Issue.ID
	}
	switch isBot := len(raw.BotActor) > 0 && string(raw.BotActor) != "null"; {
	case raw.ExternalUser != nil && raw.ExternalUser.ID != "":
		c.User = raw.ExternalUser
		c.User.External = true
	case isBot:
	case raw.User != nil && raw.User.ID != "":
		c.User = raw.User
	case raw.UserID != "":
		c.User = &Person{ID: raw.UserID}
	}
	return c, nil
}

// A bot is told 128 KiB at once. All in bytes of JSON.
const (
	maxText   = 80_000 // of a description or a comment
	maxBefore = 30_000 // of all former values
	maxFormer = 5_000  // of one, when all are too long
)

func cut(text string) string { return texts.Cut(text, maxText, texts.JSON) }

// before is what the changed fields were. What is no object is left out, and so
// is what is too long in any way.
func (e envelope) before() json.RawMessage {
	if len(e.UpdatedFrom) <= maxBefore {
		return e.UpdatedFrom
	}
	var former map[string]json.RawMessage
	if json.Unmarshal(e.UpdatedFrom, &former) != nil {
		return nil
	}
	for name, value := range former {
		if len(value) > maxFormer {
			former[name] = json.RawMessage("null")
		}
	}
	encoded, err := json.Marshal(former)
	if err != nil || len(encoded) > maxBefore {
		return nil
	}
	return encoded
}
