// Package slack connects bots to Slack: messages of every type in and out, in
// channels and threads, edited and deleted ones, files, reactions, mentions, new
// members, slash commands and what people do with buttons and modals, through
// the Events API and the Web API.
//
// Slack knows its webhook from its app's settings, which no bot token can
// change: the readme says what to enter there.
//
// A conversation is a channel, whatever its kind; a message of it that has the
// tag threadId belongs to that thread, and so does a bot's answer that keeps the
// tag. A message that mentions the bot comes in two events: it is created once,
// by whichever comes first, and [AppMentioned] is fired besides.
package slack

import (
	_ "embed"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of Slack is configured with.
type Config struct {
	// BotToken is the bot's OAuth token, "xoxb-…".
	BotToken handlers.Secret `json:"botToken"`
	// SigningSecret is the app's signing secret, and while it is being rotated
	// the one before, too.
	SigningSecret handlers.Secrets `json:"signingSecret"`
	// CommandAnswer is what somebody who gives a slash command sees at once, and
	// nobody else; "One moment…" when left out.
	CommandAnswer string `json:"commandAnswer,omitempty"`
	// APIURL is the base of the Web API, by default https://slack.com/api/.
	APIURL string `json:"apiUrl,omitempty"`
}

// The tags that tell Slack's things: a channel's id on a conversation, a
// user's id on a user, and on a message its timestamp, which is its id, that of
// the thread it belongs to, and that of its last edit.
const (
	tagChannel = "channelId"
	tagUser    = "slackUserId"
	tagMessage = "messageId"
	tagThread  = "threadId"
	tagEdited  = "editedAt"
)

// channelName is the one channel: wherever in Slack people talk.
const channelName = "channel"

// The events a bot gets beside messages.
var (
	// ReactionAdded tells that somebody reacted with an emoji.
	ReactionAdded = events.Define[Reaction]("reactionAdded")
	// ReactionRemoved tells that somebody took an emoji back.
	ReactionRemoved = events.Define[Reaction]("reactionRemoved")
	// MemberJoined tells that somebody joined the workspace.
	MemberJoined = events.Define[Member]("memberJoined")
	// AppMentioned tells that somebody named the bot in a message.
	AppMentioned = events.Define[Mention]("appMentioned")
	// CommandInvoked tells that somebody gave a slash command.
	CommandInvoked = events.Define[Command]("commandInvoked")
	// InteractionReceived tells that somebody used a button, a list, a shortcut
	// or a modal.
	InteractionReceived = events.Define[Interaction]("interactionReceived")
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
	Events:      []events.Declared{ReactionAdded, ReactionRemoved, MemberJoined, AppMentioned, CommandInvoked, InteractionReceived},
	Actions: handlers.Actions[Config]{
		"sendMessage": handlers.NewAction(handlers.ActionInfo{
			Title:       "Send message",
			Description: "Post a text to a channel, also one that no conversation is about.",
			Billable:    true,
		}, sendMessage),
		"respond": handlers.NewAction(handlers.ActionInfo{
			Title:       "Respond",
			Description: "Answer a slash command or an interaction.",
			Billable:    true,
		}, respond),
		"openView": handlers.NewAction(handlers.ActionInfo{
			Title:       "Open view",
			Description: "Open a modal for whoever gave a command, used a button or a shortcut.",
		}, openView),
		"downloadFile": handlers.NewAction(handlers.ActionInfo{
			Title:       "Download file",
			Description: "Fetch a file of a message, of up to 512 KiB.",
		}, downloadFile),
	},
	Channels: handlers.Channels[Config]{
		channelName: {
			Title:            "Channel",
			ConversationTags: []string{tagChannel},
			MessageTags:      []string{tagMessage, tagThread, tagEdited},
			// One a second is what Slack promises; it lets short bursts pass.
			Rate: handlers.Rate{Limit: 1, Per: time.Second, Burst: 10},
			Messages: handlers.Messages[Config]{
				"text":     sends[events.Text](),
				"markdown": sends[events.Markdown](),
				"image":    sends[events.Image](),
				"audio":    sends[events.Audio](),
				"video":    sends[events.Video](),
				"file":     sends[events.File](),
				"location": sends[events.Location](),
				"card":     sends[events.Card](),
				"carousel": sends[events.Carousel](),
				"choice":   sends[events.Choice](),
				"dropdown": sends[events.Dropdown](),
				"bloc":     sends[events.Bloc](),
			},
			Updated: handlers.Updates[Config]{Message: update},
		},
	},
	States:   []client.DeclaredState{webhook, progress},
	UserTags: []string{tagUser},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Slack), Tolerance: signature.Window(signature.Slack),
		Handshake: "`url_verification`: its challenge is given back", DedupID: "`event_id` or `trigger_id`, with the team's",
		OrderingKey: "the channel, else the person", Deadline: 3 * time.Second,
	},
	Verify:     verify,
	Handshake:  challenge,
	Answers:    answers,
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
