package telegram

import (
	"context"
	"net/http"
	"strconv"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Callback is a button that somebody pressed below a message.
type Callback struct {
	ID   string `json:"id"`
	Data string `json:"data,omitempty"` // the button's value
	User Person `json:"user"`
	// Chat and MessageID say which message the button is below; it has none if
	// it was sent through inline mode.
	Chat            *Chat  `json:"chat,omitempty"`
	MessageID       string `json:"messageId,omitempty"`
	InlineMessageID string `json:"inlineMessageId,omitempty"`
	GameShortName   string `json:"gameShortName,omitempty"`
}

// receiveQuery tells the bot, and then Telegram that it was told, which lets the
// button stop waiting.
func receiveQuery(ctx context.Context, p handlers.Props[Config], q *query) error {
	pressed := Callback{
		ID: q.ID, Data: q.Data, User: personOf(p, q.From), InlineMessageID: q.InlineMessageID, GameShortName: q.Game,
	}
	person, err := userOf(ctx, p.Client, q.From.ID, q.From.name(), q.From)
	if err != nil {
		return err
	}
	about := events.Refs{UserID: person.ID}
	if q.Message != nil {
		conversation, err := conversationOf(ctx, p.Client, q.Message.Chat)
		if err != nil {
			return err
		}
		about.ConversationID = conversation.ID
		pressed.Chat, pressed.MessageID = new(chatOf(q.Message.Chat)), strconv.FormatInt(q.Message.ID, 10)
	}
	if err := CallbackQuery.FireFor(ctx, p.Client, about, pressed); err != nil {
		return err
	}
	err = api(p).Do(ctx, http.MethodPost, "answerCallbackQuery", object{"callback_query_id": q.ID}, nil)
	if handlers.Judge(err).Decision == handlers.GiveUp {
		// It is too old, or was answered by an attempt before: the bot knows.
		p.Logger.WithError(err).Debug("the button was not told to stop waiting")
		return nil
	}
	return err
}
