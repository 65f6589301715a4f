// Package github connects bots to GitHub: they hear of issues, pull requests,
// pushes and comments, and comment themselves.
//
// An issue or pull request is a conversation, its comments are messages. GitHub
// takes no idempotency key, so each comment of the bot ends in a mark that is
// not shown: by it, an attempt finds out what the one before has posted, and the
// bot's own comments are known when they come back.
package github

import (
	_ "embed"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of GitHub is configured with.
type Config struct {
	// WebhookSecret is what GitHub signs with, and while it is being rotated the
	// one before, too. Registration hands the first one to GitHub.
	WebhookSecret handlers.Secrets `json:"webhookSecret"`
	// Token lets the bot comment, as whom it belongs to: a personal access token
	// or that of an app's installation. Without it, the bot only listens.
	Token handlers.Secret `json:"token,omitzero"`
	// Repositories are where registration sets up a webhook.
	Repositories []Repository `json:"repositories,omitempty"`
	// APIURL is the base of the REST API, by default https://api.github.com.
	APIURL string `json:"apiUrl,omitempty"`
}

// Repository names a repository, "owner/name", or all those of an organization,
// "owner".
type Repository string

// JSONSchema implements events.Titled.
func (Repository) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^[A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)?$`}
}

// The tags that tell GitHub's things: on a conversation the repository and the
// number of the issue or pull request, on a user the id of the account, on a
// message the id of the comment, of several the first one's.
const (
	tagRepository = "repository"
	tagNumber     = "number"
	tagUser       = "githubUserId"
	tagComment    = "commentId"
)

// channelName is the one channel: the comments on an issue or pull request.
const channelName = "comments"

// The events a bot gets beside messages, one for each of GitHub's, whose action
// is in the payload. Those of an issue or pull request are about its
// conversation, so that they come in order.
var (
	// Issues tells that something happened to an issue.
	Issues = events.Define[IssueEvent]("issues")
	// PullRequests tells that something happened to a pull request.
	PullRequests = events.Define[PullRequestEvent]("pullRequest")
	// Pushed tells of commits that were pushed, and of branches and tags that
	// came or went.
	Pushed = events.Define[Push]("push")
	// Commented tells of a comment on an issue or pull request that is new, was
	// edited or deleted. A new one by a person is a message too.
	Commented = events.Define[CommentEvent]("comment")
)

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is GitHub.
var Integration = handlers.Integration[Config]{
	Name: "github", Version: "1.0.0", Title: "GitHub",
	Description: "Hear of issues, pull requests and pushes, talk in their comments.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{Issues, PullRequests, Pushed, Commented},
	Channels: handlers.Channels[Config]{
		channelName: {
			Title:            "Comments",
			ConversationTags: []string{tagRepository, tagNumber},
			MessageTags:      []string{tagComment},
			Messages: handlers.Messages[Config]{
				"text":     comment[events.Text](),
				"markdown": comment[events.Markdown](),
				"image":    comment[events.Image](),
				"audio":    comment[events.Audio](),
				"video":    comment[events.Video](),
				"file":     comment[events.File](),
				"location": comment[events.Location](),
				"card":     comment[events.Card](),
				"carousel": comment[events.Carousel](),
				"choice":   comment[events.Choice](),
				"dropdown": comment[events.Dropdown](),
				"bloc":     comment[events.Bloc](),
			},
		},
	},
	// One change a second is what GitHub asks for; it minds more than 80 a
	// minute.
	Rate:     handlers.Rate{Limit: 1, Per: time.Second, Burst: 10},
	States:   []client.DeclaredState{webhook},
	UserTags: []string{tagUser},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.GitHub), Tolerance: signature.Window(signature.GitHub), Handshake: "`ping`",
		DedupID: "`X-GitHub-Delivery`", OrderingKey: "the issue or pull request, else the branch, else the repository",
		Deadline: 10 * time.Second,
	},
	Verify:     verify,
	Handshake:  pong,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Samples:    samples,
	Fake:       newFake,
}

// Webhook is what registration set up at GitHub: the ids of the webhooks by
// repository.
type Webhook struct {
	WebhookURL string               `json:"webhookUrl"`
	Hooks      map[Repository]int64 `json:"hooks,omitempty"`
}

var webhook = client.DefineState[Webhook]("webhook")
