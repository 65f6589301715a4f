package telegram

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/handlers"
)

// update is what Telegram sends, as far as it is looked at: at most one of its
// optional fields is there.
type update struct {
	Message           *message    `json:"message"`
	EditedMessage     *message    `json:"edited_message"`
	ChannelPost       *message    `json:"channel_post"`
	EditedChannelPost *message    `json:"edited_channel_post"`
	CallbackQuery     *query      `json:"callback_query"`
	ChatMember        *membership `json:"chat_member"`
}

// updateKinds are the updates that are asked for: Telegram leaves some out
// unless they are named.
var updateKinds = []string{
	"message", "edited_message", "channel_post", "edited_channel_post", "callback_query", "chat_member",
}

// message is a message of a chat, or what a chat says about itself.
type message struct {
	ID         int64    `json:"message_id"`
	ThreadID   int64    `json:"message_thread_id"`
	InTopic    bool     `json:"is_topic_message"`
	From       *user    `json:"from"`
	SenderChat *chat    `json:"sender_chat"`
	Chat       chat     `json:"chat"`
	Date       int64    `json:"date"`
	EditDate   int64    `json:"edit_date"`
	ReplyTo    *message `json:"reply_to_message"`
	content

	NewMembers  []user `json:"new_chat_members"`
	LeftMember  *user  `json:"left_chat_member"`
	MigrateTo   int64  `json:"migrate_to_chat_id"`
	MigrateFrom int64  `json:"migrate_from_chat_id"`
}

// sentBy is who wrote the message: the chat in whose name it is, where an admin
// stays anonymous, else the person. Telegram then puts a bot of its own in From.
func (m *message) sentBy() (id int64, name string, person user) {
	switch {
	case m.SenderChat != nil:
		return m.SenderChat.ID, cmp.Or(m.SenderChat.Title, m.SenderChat.Username), user{Username: m.SenderChat.Username}
	case m.From != nil:
		return m.From.ID, m.From.name(), *m.From
	default: // a channel that signs nothing
		return m.Chat.ID, m.Chat.Title, user{Username: m.Chat.Username}
	}
}

// query is a button that was pressed.
type query struct {
	ID              string   `json:"id"`
	From            user     `json:"from"`
	Message         *message `json:"message"`
	InlineMessageID string   `json:"inline_message_id"`
	Data            string   `json:"data"`
	Game            string   `json:"game_short_name"`
}

// membership is a change of what somebody is in a chat.
type membership struct {
	Chat chat   `json:"chat"`
	From user   `json:"from"`
	Date int64  `json:"date"`
	Old  status `json:"old_chat_member"`
	New  status `json:"new_chat_member"`
}

// status is what somebody is in a chat.
type status struct {
	User     user   `json:"user"`
	Status   string `json:"status"`
	IsMember bool   `json:"is_member"` // of who is restricted
}

func (s status) in() bool {
	switch s.Status {
	case "creator", "administrator", "member":
		return true
	case "restricted":
		return s.IsMember
	}
	return false
}

type chat struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Title    string `json:"title"`
	Username string `json:"username"`
}

func (c chat) channel() string {
	if c.Type == "private" || c.Type == "" && c.ID > 0 {
		return channelPrivate
	}
	return channelGroup
}

type user struct {
	ID        int64  `json:"id"`
	IsBot     bool   `json:"is_bot"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Username  string `json:"username"`
	Language  string `json:"language_code"`
}

func (u user) name() string { return strings.TrimSpace(u.FirstName + " " + u.LastName) }

// Person is somebody on Telegram, or a bot.
type Person struct {
	ID           string `json:"id"`
	FirstName    string `json:"firstName"`
	LastName     string `json:"lastName,omitempty"`
	Username     string `json:"username,omitempty"`     // without "@"
	LanguageCode string `json:"languageCode,omitempty"` // IETF tag
	IsBot        bool   `json:"isBot"`
	IsSelf       bool   `json:"isSelf"` // it is this bot itself
}

// Chat is a place on Telegram.
type Chat struct {
	ID       string `json:"id"`
	Type     string `json:"type"` // "private", "group", "supergroup" or "channel"
	Title    string `json:"title,omitempty"`
	Username string `json:"username,omitempty"` // without "@"
}

func personOf(p handlers.Props[Config], u user) Person {
	return Person{
		ID: strconv.FormatInt(u.ID, 10), FirstName: u.FirstName, LastName: u.LastName, Username: u.Username,
		LanguageCode: u.Language, IsBot: u.IsBot, IsSelf: u.ID != 0 && u.ID == p.Ctx.Configuration.own(),
	}
}

func chatOf(c chat) Chat {
	return Chat{ID: strconv.FormatInt(c.ID, 10), Type: c.Type, Title: c.Title, Username: c.Username}
}
