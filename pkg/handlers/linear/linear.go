// Package linear connects bots to Linear: they hear of issues and comments, and
// comment and create issues themselves.
//
// An issue is a conversation, its comments are messages. Everything the bot
// makes gets an id that follows from the delivery that it is made for, so that
// making it again makes nothing new, and its own comments are known when they
// come back.
package linear

import (
	_ "embed"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of Linear is configured with.
type Config struct {
	// APIKey is a personal API key, "lin_api_…", or an OAuth access token. The
	// bot comments as whom it belongs to. Only an admin's can set up the
	// webhook.
	APIKey handlers.Secret `json:"apiKey"`
	// WebhookSigningSecret is what Linear signs with: registration hands it to
	// Linear. While it is being rotated, list the new one first.
	WebhookSigningSecret handlers.Secrets `json:"webhookSigningSecret"`
	// Tolerance is how old, in seconds, a signed request may be; 60 when left
	// out.
	Tolerance Seconds `json:"toleranceSeconds,omitempty"`
	// APIURL is the GraphQL endpoint, by default https://api.linear.app/graphql.
	APIURL string `json:"apiUrl,omitempty"`
}

// Seconds are a span of time of a configuration, from one second to a day.
type Seconds int

// JSONSchema implements events.Titled.
func (Seconds) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "integer", Minimum: new(1.0), Maximum: new(86_400.0)}
}

// The tags that tell Linear's things: an issue's id on a conversation, that of
// a person on a user, and on a message that of the comment and of the comment
// whose thread it is in.
const (
	tagIssue   = "issueId"
	tagUser    = "linearUserId"
	tagComment = "commentId"
	tagThread  = "threadId"
)

// channelName is the one channel: the comments on an issue.
const channelName = "issue"

// The events a bot gets beside messages. Each is about the conversation of its
// issue, so that those of one issue come in order.
var (
	// IssueCreated tells of a new issue, unless the bot created it itself.
	IssueCreated = events.Define[IssueChange]("issueCreated")
	// IssueUpdated tells of a changed issue, and of one that was restored.
	IssueUpdated = events.Define[IssueChange]("issueUpdated")
	// IssueDeleted tells of an issue that was deleted or archived.
	IssueDeleted = events.Define[IssueChange]("issueDeleted")
	// CommentCreated tells of a comment that is not the bot's own. One on an
	// issue, by a person, is a message too.
	CommentCreated = events.Define[Comment]("commentCreated")
)

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is Linear.
var Integration = handlers.Integration[Config]{
	Name: "linear", Version: "1.0.0", Title: "Linear",
	Description: "Hear of issues and comments, talk in an issue's comments, create issues.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{IssueCreated, IssueUpdated, IssueDeleted, CommentCreated},
	Actions: handlers.Actions[Config]{
		"createIssue": handlers.NewAction(handlers.ActionInfo{
			Title:       "Create issue",
			Description: "Create an issue in a team.",
		}, createIssue),
	},
	Channels: handlers.Channels[Config]{
		channelName: {
			Title:            "Issue",
			ConversationTags: []string{tagIssue},
			MessageTags:      []string{tagComment, tagThread},
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
	// What an API key may ask in an hour.
	Rate:     handlers.Rate{Limit: 2500, Per: time.Hour, Burst: 100},
	States:   []client.DeclaredState{webhook},
	UserTags: []string{tagUser},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Linear), Tolerance: signature.Window(signature.Linear) + ", or as configured",
		DedupID: "`Linear-Delivery`", OrderingKey: "the issue, else what it is about", Deadline: 5 * time.Second,
	},
	Verify:     verify,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Samples:    samples,
	Fake:       newFake,
}

// Webhook is what registration set up at Linear. ID is empty when the API key
// may not, and somebody did it by hand.
type Webhook struct {
	WebhookURL string `json:"webhookUrl"`
	ID         string `json:"id,omitempty"`
}

var webhook = client.DefineState[Webhook]("webhook")
