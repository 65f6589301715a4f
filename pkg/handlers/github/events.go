package github

// IssueEvent tells what happened to an issue: Action is "opened", "edited",
// "closed", "reopened", "assigned", "labeled" and so on, as GitHub names it.
type IssueEvent struct {
	Action     string   `json:"action"`
	Issue      Issue    `json:"issue"`
	Label      string   `json:"label,omitempty"`    // of "labeled" and "unlabeled"
	Assignee   *Account `json:"assignee,omitempty"` // of "assigned" and "unassigned"
	Repository Repo     `json:"repository"`
	Sender     Account  `json:"sender"` // who did it
}

// PullRequestEvent tells what happened to a pull request: Action is "opened",
// "synchronize", "closed" and so on, as GitHub names it. A closed one may be
// merged.
type PullRequestEvent struct {
	Action      string      `json:"action"`
	PullRequest PullRequest `json:"pullRequest"`
	Label       string      `json:"label,omitempty"`
	Assignee    *Account    `json:"assignee,omitempty"`
	Repository  Repo        `json:"repository"`
	Sender      Account     `json:"sender"`
}

// CommentEvent tells of a comment on an issue or pull request: Action is
// "created", "edited" or "deleted".
type CommentEvent struct {
	Action        string  `json:"action"`
	Comment       Comment `json:"comment"`
	Issue         Issue   `json:"issue"` // or the pull request, as far as it is an issue
	IsPullRequest bool    `json:"isPullRequest"`
	Repository    Repo    `json:"repository"`
	Sender        Account `json:"sender"`
}

// Push tells of commits that were pushed to a branch or tag.
type Push struct {
	Ref        string   `json:"ref"`              // "refs/heads/main", "refs/tags/v1"
	Branch     string   `json:"branch,omitempty"` // "main", if it is one
	Before     string   `json:"before"`           // the commit before, zeros for a new branch
	After      string   `json:"after"`            // the commit after, zeros for one that is gone
	Created    bool     `json:"created"`
	Deleted    bool     `json:"deleted"`
	Forced     bool     `json:"forced"`
	URL        string   `json:"url"`     // of the comparison
	Commits    []Commit `json:"commits"` // oldest first
	Omitted    int      `json:"omitted"` // how many older ones there were besides
	Repository Repo     `json:"repository"`
	Sender     Account  `json:"sender"`
}

// Repo is a repository.
type Repo struct {
	FullName      string `json:"fullName"` // "owner/name"
	URL           string `json:"url"`
	Private       bool   `json:"private"`
	DefaultBranch string `json:"defaultBranch,omitempty"`
}

// Account is a person, a bot or an organization.
type Account struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
	Type  string `json:"type"` // "User", "Bot", "Organization"
}

// Issue is an issue as it is now. Times are RFC 3339. A very long body is cut.
type Issue struct {
	Number      int       `json:"number"`
	Title       string    `json:"title"`
	Body        string    `json:"body"`
	State       string    `json:"state"` // "open", "closed"
	StateReason string    `json:"stateReason,omitempty"`
	URL         string    `json:"url"`
	User        Account   `json:"user"`
	Labels      []string  `json:"labels"`
	Assignees   []Account `json:"assignees"`
	CreatedAt   string    `json:"createdAt"`
	UpdatedAt   string    `json:"updatedAt"`
}

// PullRequest is a pull request as it is now. A very long body is cut.
type PullRequest struct {
	Number    int       `json:"number"`
	Title     string    `json:"title"`
	Body      string    `json:"body"`
	State     string    `json:"state"` // "open", "closed"
	Draft     bool      `json:"draft"`
	Merged    bool      `json:"merged"`
	URL       string    `json:"url"`
	User      Account   `json:"user"`
	Labels    []string  `json:"labels"`
	Assignees []Account `json:"assignees"`
	Head      Branch    `json:"head"` // what is to be merged
	Base      Branch    `json:"base"` // into what
	CreatedAt string    `json:"createdAt"`
	UpdatedAt string    `json:"updatedAt"`
}

// Branch is one end of a pull request; Repository is empty when it is gone.
type Branch struct {
	Ref        string `json:"ref"`
	SHA        string `json:"sha"`
	Repository string `json:"repository,omitempty"`
}

// Comment is a comment on an issue or pull request. A very long body is cut.
type Comment struct {
	ID        int64   `json:"id"`
	Body      string  `json:"body"` // Markdown
	URL       string  `json:"url"`
	User      Account `json:"user"`
	CreatedAt string  `json:"createdAt"`
	UpdatedAt string  `json:"updatedAt"`
}

// Commit is a commit of a push. The lists of paths are empty when they are very
// long.
type Commit struct {
	ID       string   `json:"id"`
	Message  string   `json:"message"`
	URL      string   `json:"url"`
	Author   Author   `json:"author"`
	Time     string   `json:"time"`
	Added    []string `json:"added"` // paths
	Removed  []string `json:"removed"`
	Modified []string `json:"modified"`
}

// Author is who wrote a commit; Login is empty for one whom GitHub does not
// know.
type Author struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
	Login string `json:"login,omitempty"`
}
