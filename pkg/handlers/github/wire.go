package github

import "strings"

// What GitHub sends, as far as it is looked at. What bots are told is apart
// from it, so that it stays the same when GitHub's changes.
type (
	delivery struct {
		Action      string           `json:"action"`
		Repository  wireRepo         `json:"repository"`
		Sender      Account          `json:"sender"`
		Issue       *wireIssue       `json:"issue"`
		PullRequest *wirePullRequest `json:"pull_request"`
		Comment     *wireComment     `json:"comment"`
		Label       *wireLabel       `json:"label"`
		Assignee    *Account         `json:"assignee"`
		wirePush
	}
	wirePush struct {
		Ref     string       `json:"ref"`
		Before  string       `json:"before"`
		After   string       `json:"after"`
		Created bool         `json:"created"`
		Deleted bool         `json:"deleted"`
		Forced  bool         `json:"forced"`
		Compare string       `json:"compare"`
		Commits []wireCommit `json:"commits"`
	}
	wireRepo struct {
		FullName      string `json:"full_name"`
		HTMLURL       string `json:"html_url"`
		Private       bool   `json:"private"`
		DefaultBranch string `json:"default_branch"`
	}
	wireLabel struct {
		Name string `json:"name"`
	}
	wireIssue struct {
		Number      int         `json:"number"`
		Title       string      `json:"title"`
		Body        string      `json:"body"`
		State       string      `json:"state"`
		StateReason string      `json:"state_reason"`
		HTMLURL     string      `json:"html_url"`
		User        Account     `json:"user"`
		Labels      []wireLabel `json:"labels"`
		Assignees   []Account   `json:"assignees"`
		CreatedAt   string      `json:"created_at"`
		UpdatedAt   string      `json:"updated_at"`
		PullRequest *struct{}   `json:"pull_request"` // there if it is one
	}
	wirePullRequest struct {
		wireIssue
		Draft  bool       `json:"draft"`
		Merged bool       `json:"merged"`
		Head   wireBranch `json:"head"`
		Base   wireBranch `json:"base"`
	}
	wireBranch struct {
		Ref  string    `json:"ref"`
		SHA  string    `json:"sha"`
		Repo *wireRepo `json:"repo"`
	}
	wireComment struct {
		ID        int64   `json:"id"`
		Body      string  `json:"body"`
		HTMLURL   string  `json:"html_url"`
		User      Account `json:"user"`
		CreatedAt string  `json:"created_at"`
		UpdatedAt string  `json:"updated_at"`
	}
	wireCommit struct {
		ID        string   `json:"id"`
		Message   string   `json:"message"`
		URL       string   `json:"url"`
		Timestamp string   `json:"timestamp"`
		Added     []string `json:"added"`
		Removed   []string `json:"removed"`
		Modified  []string `json:"modified"`
		Author    struct {
			Name     string `json:"name"`
			Email    string `json:"email"`
			Username string `json:"username"`
		} `json:"author"`
	}
)

func (w wireRepo) told() Repo {
	return Repo{FullName: w.FullName, URL: w.HTMLURL, Private: w.Private, DefaultBranch: w.DefaultBranch}
}

func (w wireIssue) told() Issue {
	return Issue{
		Number: w.Number, Title: w.Title, Body: cut(w.Body, maxBody), State: w.State, StateReason: w.StateReason, URL: w.HTMLURL, User: w.User,
		Labels: labels(w.Labels), Assignees: list(w.Assignees), CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

func (w wirePullRequest) told() PullRequest {
	return PullRequest{
		Number: w.Number, Title: w.Title, Body: cut(w.Body, maxBody), State: w.State, Draft: w.Draft, Merged: w.Merged, URL: w.HTMLURL, User: w.User,
		Labels: labels(w.Labels), Assignees: list(w.Assignees), Head: w.Head.told(), Base: w.Base.told(),
		CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt,
	}
}

func (w wireBranch) told() Branch {
	b := Branch{Ref: w.Ref, SHA: w.SHA}
	if w.Repo != nil {
		b.Repository = w.Repo.FullName
	}
	return b
}

func (w wireComment) told() Comment {
	return Comment{ID: w.ID, Body: cut(unmarked(w.Body), maxBody), URL: w.HTMLURL, User: w.User, CreatedAt: w.CreatedAt, UpdatedAt: w.UpdatedAt}
}

func (w wireCommit) told() Commit {
	return Commit{
		ID: w.ID, Message: w.Message, URL: w.URL, Time: w.Timestamp,
		Author: Author{Name: w.Author.Name, Email: w.Author.Email, Login: w.Author.Username},
		Added:  list(w.Added), Removed: list(w.Removed), Modified: list(w.Modified),
	}
}

func (d delivery) push() Push {
	p := Push{
		Ref: d.Ref, Before: d.Before, After: d.After, Created: d.Created, Deleted: d.Deleted, Forced: d.Forced, URL: d.Compare,
		Repository: d.Repository.told(), Sender: d.Sender,
	}
	if branch, ok := strings.CutPrefix(d.Ref, "refs/heads/"); ok {
		p.Branch = branch
	}
	p.Commits, p.Omitted = fitting(d.Commits)
	return p
}

// label is the name of the label that was put on or taken off.
func (d delivery) label() string {
	if d.Label == nil {
		return ""
	}
	return d.Label.Name
}

func labels(all []wireLabel) []string {
	names := make([]string, len(all))
	for i, one := range all {
		names[i] = one.Name
	}
	return names
}

// list is never nil, which JSON would show as null.
func list[T any](all []T) []T { return append([]T{}, all...) }
