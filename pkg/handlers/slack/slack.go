// Package slack connects bots to Slack: messages in and out, threads, images,
// reactions and new members, through the Events API and the Web API.
//
// Slack knows its webhook from its app's settings: enter the installation's
// URL there under Event Subscriptions, and subscribe to the bot events
// message.channels, message.groups, message.im, message.mpim, reaction_added
// and team_join. The bot token needs the scopes that go with them, and
// chat:write.
package slack

import (
	_ "embed"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Config is what an installation of Slack is configured with.
type Config struct {
	// BotToken is the bot's OAuth token, "xoxb-…".
	BotToken handlers.Secret `json:"botToken"`
	// SigningSecret is the app's signing secret, and while it is being rotated
	// the one before, too.
	SigningSecret handlers.Secrets `json:"signingSecret"`
	// APIURL is the base of the Web API, by default https://slack.com/api/.
	APIURL string `json:"apiUrl,omitempty"`
}

// The tags that tell Slack's things: a channel's id on a conversation, a
// user's id on a user, and on a message its timestamp, which is its id, and
// that of the thread it belongs to.
const (
	tagChannel = "channelId"
	tagUser    = "slackUserId"
	tagMessage = "messageId"
	tagThread  = "threadId"
)

// channelName is the one channel: wherever in Slack people talk.
const channelName = "channel"

// The events a bot gets beside messages.
var (
	// ReactionAdded tells that somebody reacted with an emoji.
	ReactionAdded = events.Define[Reaction]("reactionAdded")
	// MemberJoined tells that somebody joined the workspace.
	MemberJoined = events.Define[Member]("memberJoined")
)

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is Slack.
var Integration = handlers.Integration[Config]{
	Name: "slack", Version: "1.0.0", Title: "Slack",
	Description: "Talk with people in Slack's channels, threads and direct messages.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{ReactionAdded, MemberJoined},
	Actions: handlers.Actions[Config]{
		"sendMessage": handlers.NewAction(handlers.ActionInfo{
			Title:       "Send message",
			Description: "Post a text to a channel, also one that no conversation is about.",
			Billable:    true,
		}, sendMessage),
	},
	Channels: handlers.Channels[Config]{
		channelName: {
			Title:            "Channel",
			ConversationTags: []string{tagChannel},
			MessageTags:      []string{tagMessage, tagThread},
			// One a second is what Slack promises; it lets short bursts pass.
			Rate: handlers.Rate{Limit: 1, Per: time.Second, Burst: 10},
			Messages: handlers.Messages[Config]{
				"text":  handlers.NewMessage(sendText),
				"image": handlers.NewMessage(sendImage),
			},
		},
	},
	States:     []client.DeclaredState{webhook},
	UserTags:   []string{tagUser},
	Verify:     verify,
	Handshake:  challenge,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Samples:    samples,
	Fake:       newFake,
}

// Webhook is what registration found out and stored.
type Webhook struct {
	WebhookURL string `json:"webhookUrl"`
	TeamID     string `json:"teamId"`
	BotID      string `json:"botId"`
	BotUserID  string `json:"botUserId"`
}

var webhook = client.DefineState[Webhook]("webhook")
