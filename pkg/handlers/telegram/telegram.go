// Package telegram connects bots to Telegram through the Bot API: messages of
// every type in and out, people who join and leave, and buttons that are
// pressed.
//
// Registration tells Telegram where to send its updates and which secret to send
// along. That secret is the configuration's secretToken; without one it is
// derived from the bot token, see [Config].
package telegram

import (
	_ "embed"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of Telegram is configured with.
type Config struct {
	// BotToken is the bot's token, "123456:ABC-…", as BotFather gave it.
	BotToken handlers.Secret `json:"botToken"`
	// SecretToken is what Telegram sends along with every update, 1 to 256
	// letters, digits, "_" and "-"; a list while it is being rotated, of which
	// registration gives Telegram the first one. Without it, it is an HMAC of the
	// bot token: equal in every process, and only known to who knows the token,
	// who could read the bot's updates anyway.
	SecretToken handlers.Secrets `json:"secretToken,omitzero"`
	// APIURL is the base of the Bot API, by default https://api.telegram.org.
	APIURL string `json:"apiUrl,omitempty"`
}

// The tags that tell Telegram's things.
const (
	tagChat     = "chatId"   // of a conversation, and of a message: with its id, what names it
	tagChatType = "chatType" // "private", "group", "supergroup" or "channel"
	tagTitle    = "title"    // of a group
	tagUser     = "userId"   // of a person, or of the chat in whose name somebody writes
	tagUsername = "username" // without "@"
	tagLanguage = "languageCode"
	tagMessage  = "messageId" // of what became several messages, that of the last one
	tagThread   = "threadId"  // the topic of a forum
	tagReplyTo  = "replyTo"   // the id of the message that is answered
	tagEdited   = "editDate"  // when it was last edited, in seconds since 1970
)

// The channels. Telegram takes less in groups, so they are one of their own.
const (
	channelPrivate = "private"
	channelGroup   = "group" // groups, supergroups, and Telegram's channels
)

// The events a bot gets beside messages.
var (
	// MemberJoined tells that somebody joined a group.
	MemberJoined = events.Define[Member]("memberJoined")
	// MemberLeft tells that somebody left a group, or was removed.
	MemberLeft = events.Define[Member]("memberLeft")
	// CallbackQuery tells that somebody pressed a button below a message.
	CallbackQuery = events.Define[Callback]("callbackQuery")
)

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is Telegram.
var Integration = handlers.Integration[Config]{
	Name: "telegram", Version: "1.0.0", Title: "Telegram",
	Description: "Talk with people in Telegram's chats and groups.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{MemberJoined, MemberLeft, CallbackQuery},
	Actions: handlers.Actions[Config]{
		"sendMessage": handlers.NewAction(handlers.ActionInfo{
			Title:       "Send message",
			Description: "Send a text of at most 4096 characters to a chat, also one that no conversation is about.",
			Billable:    true,
		}, sendMessage),
		"downloadFile": handlers.NewAction(handlers.ActionInfo{
			Title:       "Download file",
			Description: "Get what is behind a telegram: URL of an incoming message, up to 512 KiB.",
		}, downloadFile),
	},
	Channels: handlers.Channels[Config]{
		channelPrivate: {
			Title:            "Private chat",
			ConversationTags: []string{tagChat, tagChatType, tagTitle},
			MessageTags:      []string{tagChat, tagMessage, tagThread, tagReplyTo, tagEdited},
			// One a second is what Telegram asks for; it lets short bursts pass.
			Rate:     handlers.Rate{Limit: 1, Per: time.Second, Burst: 3},
			Messages: messages(),
		},
		channelGroup: {
			Title:            "Group or channel",
			ConversationTags: []string{tagChat, tagChatType, tagTitle},
			MessageTags:      []string{tagChat, tagMessage, tagThread, tagReplyTo, tagEdited},
			// Never more than 20 in any minute, which is Telegram's limit: a burst
			// and what comes after it.
			Rate:     handlers.Rate{Limit: 15, Per: time.Minute, Burst: 5},
			Messages: messages(),
		},
	},
	Rate:     handlers.Rate{Limit: 30, Per: time.Second},
	States:   []client.DeclaredState{memberships, progress},
	UserTags: []string{tagUser, tagUsername, tagLanguage},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Telegram), Tolerance: signature.Window(signature.Telegram),
		DedupID: "`update_id`", OrderingKey: "the chat, else the person", Deadline: time.Minute,
	},
	Verify:     verify,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Ping:       ping,
	Samples:    samples,
	Fake:       newFake,
}
