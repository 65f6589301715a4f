package telegram

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Progress is how far the last message got that takes several of Telegram's: an
// attempt goes on where the one before it stopped.
type Progress struct {
	Message string   `json:"message"` // the id of the one that the bot sent
	Sent    []string `json:"sent"`    // Telegram's ids of what it became so far
}

// progress is a state of the conversation, in which messages go one by one.
var progress = client.DefineConversationState[Progress]("progress")

// sends makes the handler of a message type of what says such a message.
func sends[M any](say func(M) []call) handlers.Message[Config] {
	return handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[Config, M]) error {
		return deliver(ctx, p, say(p.Payload))
	})
}

func sendBloc(ctx context.Context, p handlers.MessageProps[Config, events.Bloc]) error {
	calls, err := sayBloc(p.Payload)
	if err != nil {
		return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil))
	}
	return deliver(ctx, p, calls)
}

// deliver makes the calls in order and acks the message. Telegram has no
// idempotency keys: a call of which nobody knows how it ended may be made again,
// but none that came before it.
func deliver[M any](ctx context.Context, p handlers.MessageProps[Config, M], calls []call) error {
	if len(calls) == 0 {
		return handlers.Permanent(handlers.NewRuntimeError("the message is empty, which Telegram does not take", nil))
	}
	to, err := addressOf(p.Props, p.Conversation, p.Message)
	if err != nil {
		return err
	}
	var sent []string
	if len(calls) > 1 {
		if sent, err = before(ctx, p.Client, p.Conversation.ID, p.Message.ID); err != nil {
			return err
		}
	}
	for i := len(sent); i < len(calls); i++ {
		id, err := to.send(ctx, calls[i], i == 0)
		if err != nil {
			return err
		}
		sent = append(sent, id)
		if len(calls) > 1 {
			if err := progress.Set(ctx, p.Client, p.Conversation.ID, Progress{Message: p.Message.ID, Sent: sent}); err != nil {
				return err
			}
		}
	}
	if err := p.Ack(ctx, client.Tags{tagChat: to.chat, tagMessage: sent[len(sent)-1]}); err != nil || len(calls) == 1 {
		return err
	}
	return progress.Delete(ctx, p.Client, p.Conversation.ID)
}

// before returns what earlier attempts sent of a message.
func before(ctx context.Context, c *client.Client, conversation, message string) ([]string, error) {
	known, err := progress.Get(ctx, c, conversation)
	if errors.Is(err, client.ErrNotFound) || err == nil && known.Message != message {
		return nil, nil
	}
	return known.Sent, err
}

// address is where in Telegram a message goes.
type address struct {
	props        handlers.Props[Config]
	conversation string // empty for an action
	chat         string
	thread       int64
	replyTo      int64
}

// addressOf reads it off the tags of conversation and message.
func addressOf(p handlers.Props[Config], conversation client.Conversation, message client.Message) (*address, error) {
	to := &address{props: p, conversation: conversation.ID, chat: conversation.Tags[tagChat]}
	if to.chat == "" {
		return nil, handlers.Permanent(handlers.NewRuntimeError("the conversation has no tag "+tagChat, nil))
	}
	var err error
	if to.thread, err = number(message.Tags, tagThread); err != nil {
		return nil, err
	}
	to.replyTo, err = number(message.Tags, tagReplyTo)
	return to, err
}

func number(tags client.Tags, name string) (int64, error) {
	if tags[name] == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(tags[name], 10, 64)
	if err != nil {
		return 0, handlers.Permanent(handlers.NewRuntimeError("tag "+name+" is no number", nil))
	}
	return n, nil
}

// send makes one call and returns the id of the message that it made. A group
// that became a supergroup has another id: its conversation goes on there. Only
// the first part of a message is an answer.
func (to *address) send(ctx context.Context, c call, first bool) (string, error) {
	id, err := to.try(ctx, c, first)
	next, ok := errors.AsType[*moved](err)
	if !ok {
		return id, err
	}
	if to.conversation != "" {
		if err := moveTo(ctx, to.props.Client, to.conversation, next.to); err != nil {
			return "", err
		}
	}
	to.chat = next.to
	return to.try(ctx, c, first)
}

func (to *address) try(ctx context.Context, c call, first bool) (string, error) {
	params := maps.Clone(c.params)
	params["chat_id"] = to.chat
	if id, err := strconv.ParseInt(to.chat, 10, 64); err == nil {
		params["chat_id"] = id // else it is the "@name" of a channel
	}
	if to.thread != 0 {
		params["message_thread_id"] = to.thread
	}
	if to.replyTo != 0 && first {
		params["reply_parameters"] = object{"message_id": to.replyTo, "allow_sending_without_reply": true}
	}
	var answer struct {
		Result struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
	}
	if err := api(to.props).Do(ctx, http.MethodPost, c.method, params, &answer); err != nil {
		return "", err
	}
	if answer.Result.ID == 0 {
		return "", fmt.Errorf("%s: the answer is not Telegram's; is apiUrl right?", c.method)
	}
	return strconv.FormatInt(answer.Result.ID, 10), nil
}
