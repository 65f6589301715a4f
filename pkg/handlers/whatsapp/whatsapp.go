// Package whatsapp connects bots to WhatsApp through Meta's Cloud API: messages
// of every type in and out, templates, receipts, and an event when somebody
// opens or begins a conversation.
//
// An installation is one business phone number. Registration makes Meta send
// that number's webhooks to the installation's URL, whatever URL the app has
// for its other numbers; the app must be subscribed to the field messages of
// the WhatsApp Business Account.
package whatsapp

import (
	_ "embed"
	"time"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// Config is what an installation of WhatsApp is configured with.
type Config struct {
	// AccessToken is a token of a system user, with the permissions
	// whatsapp_business_messaging and whatsapp_business_management.
	AccessToken handlers.Secret `json:"accessToken"`
	// PhoneNumberID is Meta's id of the business phone number, not the number.
	PhoneNumberID string `json:"phoneNumberId"`
	// AppSecret is the Meta app's secret, and while it is being rotated the one
	// before, too.
	AppSecret handlers.Secrets `json:"appSecret"`
	// VerifyToken is any word that only Meta is told: it repeats it when it asks
	// whether the webhook is ours.
	VerifyToken handlers.Secrets `json:"verifyToken"`
	// APIURL is where the Graph API is, by default https://graph.facebook.com.
	APIURL string `json:"apiUrl,omitempty"`
}

// The tags that tell WhatsApp's things. A person has a phone number, an id
// within the business, or both: whoever has taken a username may keep the number
// to themselves. FirstMessage is the id of the first message that the person
// wrote in a conversation. A message has an id ("wamid.…") and may reply to
// another one.
const (
	tagPhone        = "userPhone"
	tagUserID       = "userId"
	tagFirstMessage = "firstMessageId"
	tagMessage      = "id"
	tagReplyTo      = "replyTo"
	tagRevoked      = "revokedAt"
)

// channelName is the one channel: the chat with one person.
const channelName = "channel"

// The events a bot gets beside messages.
var (
	// ConversationOpened tells that somebody opened the chat for the first time
	// and has not written yet. Meta sends it only now and then.
	ConversationOpened = events.Define[Conversation]("conversationOpened")
	// ConversationStarted tells that somebody wrote for the first time. It comes
	// before the message.
	ConversationStarted = events.Define[Conversation]("conversationStarted")
)

// Conversation is who opened or started a conversation, and when. PhoneNumber
// or UserID may be missing, but not both.
type Conversation struct {
	PhoneNumber string    `json:"phoneNumber,omitempty"` // digits alone
	UserID      string    `json:"userId,omitempty"`      // within the business
	Name        string    `json:"name,omitempty"`        // as they call themselves
	Username    string    `json:"username,omitempty"`
	MessageID   string    `json:"messageId"`
	Time        time.Time `json:"time"`
	Referral    *Referral `json:"referral,omitempty"`
}

// Referral is the advertisement or post that led somebody here.
type Referral struct {
	SourceURL  string `json:"source_url,omitempty"`
	SourceID   string `json:"source_id,omitempty"`
	SourceType string `json:"source_type,omitempty"`
	Headline   string `json:"headline,omitempty"`
	Body       string `json:"body,omitempty"`
	ClickID    string `json:"ctwa_clid,omitempty"`
}

var (
	//go:embed icon.svg
	icon string
	//go:embed readme.md
	readme string
)

// Integration is WhatsApp.
var Integration = handlers.Integration[Config]{
	Name: "whatsapp", Version: "1.0.0", Title: "WhatsApp",
	Description: "Talk with people on WhatsApp through a business phone number.",
	Icon:        icon,
	Readme:      readme,
	Events:      []events.Declared{ConversationOpened, ConversationStarted},
	Actions: handlers.Actions[Config]{
		"sendTemplate": handlers.NewAction(handlers.ActionInfo{
			Title:       "Send template",
			Description: "Write to somebody first, or again after 24 hours of silence, by a template that Meta has approved.",
			Billable:    true,
		}, sendTemplate),
		"markAsRead": handlers.NewAction(handlers.ActionInfo{
			Title:       "Mark as read",
			Description: "Show the blue check marks on a message, and, if wanted, that an answer is being written.",
		}, markAsRead),
		"getMedia": handlers.NewAction(handlers.ActionInfo{
			Title:       "Get media",
			Description: "Get a fresh URL of a picture, a sound or a file; it is good for five minutes.",
		}, getMedia),
	},
	Channels: handlers.Channels[Config]{
		channelName: {
			Title:            "Chat",
			ConversationTags: []string{tagPhone, tagUserID, tagFirstMessage},
			MessageTags:      []string{tagMessage, tagReplyTo, tagRevoked},
			Receipt:          tagMessage,
			// One in six seconds to one person, of which 45 may come at once.
			Rate:     handlers.Rate{Limit: 1, Per: 6 * time.Second, Burst: 45},
			Messages: outgoing,
		},
	},
	States:   []client.DeclaredState{webhook, progress},
	UserTags: []string{tagPhone, tagUserID},
	Rate:     handlers.Rate{Limit: 80, Per: time.Second, Burst: 80},
	Wire: handlers.Wire{
		Scheme: signature.Describe(signature.Meta), Tolerance: signature.Window(signature.Meta),
		Handshake: "GET with `hub.verify_token`: `hub.challenge` is given back",
		DedupID:   "the message's id; of a status, with the status", OrderingKey: "the person",
	},
	Verify:     verify,
	Handshake:  challenge,
	Split:      split,
	Handler:    handle,
	Register:   register,
	Unregister: unregister,
	Ping:       ping,
	Samples:    samples,
	Fake:       newFake,
}

// Webhook is what registration told Meta.
type Webhook struct {
	WebhookURL string `json:"webhookUrl"`
}

var webhook = client.DefineState[Webhook]("webhook")
