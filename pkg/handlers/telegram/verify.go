package telegram

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

func verify(r *events.Request, c Config, now time.Time) error {
	return signature.Verify(signature.Telegram, c.secretTokens(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// secretTokens are the secrets that Telegram may send along, the one that it is
// told first.
func (c Config) secretTokens() []string {
	if len(c.SecretToken) > 0 {
		return c.SecretToken.Reveal()
	}
	if c.BotToken.Reveal() == "" {
		return nil
	}
	mac := hmac.New(sha256.New, []byte(c.BotToken.Reveal()))
	mac.Write([]byte("towpath: secret_token of Telegram's webhook"))
	return []string{base64.RawURLEncoding.EncodeToString(mac.Sum(nil))}
}

// own is the bot's id, which its token begins with; 0 if it does not.
func (c Config) own() int64 {
	id, _, _ := strings.Cut(c.BotToken.Reveal(), ":")
	own, _ := strconv.ParseInt(id, 10, 64)
	return own
}

// split finds the update's id, which is the same each time Telegram sends it,
// and the chat, in which things must stay in order.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	var update struct {
		ID *int64 `json:"update_id"`
	}
	if err := json.Unmarshal(r.Body, &update); err != nil {
		return nil, fmt.Errorf("decode update: %w", err)
	}
	if update.ID == nil {
		return nil, errors.New("update_id is missing: what cannot be told from its retries is not taken")
	}
	return []handlers.Part{{ID: strconv.FormatInt(*update.ID, 10), Key: orderingKey(r.Body)}}, nil
}

// orderingKey is the chat that an update is about, else the person.
func orderingKey(body []byte) string {
	type about struct {
		Chat struct {
			ID int64 `json:"id"`
		} `json:"chat"`
	}
	var update struct {
		Message           about `json:"message"`
		EditedMessage     about `json:"edited_message"`
		ChannelPost       about `json:"channel_post"`
		EditedChannelPost about `json:"edited_channel_post"`
		ChatMember        about `json:"chat_member"`
		CallbackQuery     struct {
			Message about `json:"message"`
			From    struct {
				ID int64 `json:"id"`
			} `json:"from"`
		} `json:"callback_query"`
	}
	// What does not fit leaves its field empty. The handler says what is wrong.
	_ = json.Unmarshal(body, &update)
	query := update.CallbackQuery
	id := cmp.Or(update.Message.Chat.ID, update.EditedMessage.Chat.ID, update.ChannelPost.Chat.ID,
		update.EditedChannelPost.Chat.ID, update.ChatMember.Chat.ID, query.Message.Chat.ID, query.From.ID)
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
