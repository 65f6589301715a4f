package slack

import (
	"context"
	"errors"
	"fmt"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// SendMessage is the input of the action sendMessage.
type SendMessage struct {
	ChannelID string `json:"channelId"`
	Text      string `json:"text"`
	ThreadID  string `json:"threadId,omitempty"` // the timestamp of the thread's first message
}

// Sent is the output of the action sendMessage. In Slack a message's timestamp
// is its id.
type Sent struct {
	MessageID string `json:"messageId"`
	Timestamp string `json:"timestamp"`
}

// sendMessage sends one message. A long text is not taken apart: when its second
// part failed, the next attempt would send the first one again.
func sendMessage(ctx context.Context, p handlers.ActionProps[Config, SendMessage]) (Sent, error) {
	if err := fits(p.Input.Text); err != nil {
		return Sent{}, err
	}
	ts, err := post(ctx, p.Props, p.Input.ChannelID, p.Input.ThreadID, posting{text: p.Input.Text})
	if err != nil {
		return Sent{}, err
	}
	p.Metadata.SetCost(1)
	return Sent{MessageID: ts, Timestamp: ts}, nil
}

// fits refuses what Slack would cut off without a word.
func fits(text string) error {
	if n := texts.Length(text, texts.Characters); n > maxText {
		return handlers.Permanent(handlers.NewRuntimeError(
			fmt.Sprintf("the text has %d characters and Slack takes %d: send it as several messages", n, maxText), nil))
	}
	return nil
}

// Progress is how far the last message got that takes several of Slack's: an
// attempt goes on where the one before it stopped.
type Progress struct {
	Message string   `json:"message"` // the id of the one that the bot sent
	Sent    []string `json:"sent"`    // the timestamps of what it became so far
}

// progress is a state of the conversation, in which messages go one by one.
var progress = client.DefineConversationState[Progress]("progress")

// sends makes the handler of a message type.
func sends[M events.Payload]() handlers.Message[Config] {
	return handlers.NewMessage(func(ctx context.Context, p handlers.MessageProps[Config, M]) error {
		postings, err := render(p.Payload)
		if err == nil && len(postings) == 0 {
			err = errors.New("the message is empty, which Slack does not take")
		}
		if err != nil {
			return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil))
		}
		return deliver(ctx, p, postings)
	})
}

// deliver posts a message to where its conversation is, and says so. Slack has
// no idempotency keys: a posting of which nobody knows how it ended may be made
// again, but none that came before it.
func deliver[M any](ctx context.Context, p handlers.MessageProps[Config, M], postings []posting) error {
	var sent []string
	several := len(postings) > 1
	if several {
		var err error
		if sent, err = before(ctx, p.Client, p.Conversation.ID, p.Message.ID); err != nil {
			return err
		}
	}
	for i := len(sent); i < len(postings); i++ {
		ts, err := post(ctx, p.Props, p.Conversation.Tags[tagChannel], p.Message.Tags[tagThread], postings[i])
		if err != nil {
			return err
		}
		sent = append(sent, ts)
		if several {
			if err := progress.Set(ctx, p.Client, p.Conversation.ID, Progress{Message: p.Message.ID, Sent: sent}); err != nil {
				return err
			}
		}
	}
	if err := p.Ack(ctx, client.Tags{tagMessage: sent[len(sent)-1]}); err != nil || !several {
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

// post makes one posting and returns its timestamp.
func post(ctx context.Context, p handlers.Props[Config], channel, thread string, one posting) (string, error) {
	options := one.options()
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	_, ts, err := api(p).PostMessageContext(ctx, channel, options...)
	if err == nil && ts == "" {
		err = errors.New("chat.postMessage: the answer is not Slack's; is apiUrl right?")
	}
	return ts, judge(err)
}

// update takes a bot's change of its message over into Slack. To do so again
// changes nothing more.
func update(ctx context.Context, p handlers.MessageUpdatedProps[Config]) error {
	ts := p.Current.Tags[tagMessage]
	_, err := one(p.Previous.Type, p.Previous.Payload)
	if err == nil && ts == "" {
		err = errors.New("the message did not reach Slack, so there is nothing to change")
	}
	if err != nil {
		return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil))
	}
	now, err := one(p.Type, p.Payload)
	if err != nil {
		return handlers.Permanent(handlers.NewRuntimeError(err.Error(), nil))
	}
	options := now.options()
	if !now.markdown && len(now.blocks) == 0 {
		options = append(options, slack.MsgOptionBlocks()) // those from before would stay
	}
	options = append(options, slack.MsgOptionUpdate(ts))
	_, _, _, err = api(p.Props).SendMessageContext(ctx, p.Conversation.Tags[tagChannel], options...) //nolint:dogsled // the channel, timestamp and text are ours
	return judge(err)
}

// one is what a message is in Slack if it is one message there: only such a one
// can be changed.
func one(typ string, payload []byte) (posting, error) {
	read, err := texts.Item(events.BlocItem{Type: typ, Payload: payload})
	if err != nil {
		return posting{}, err
	}
	all, err := render(read)
	if err == nil && len(all) != 1 {
		err = errors.New("only what is one message in Slack can be changed")
	}
	if err != nil {
		return posting{}, err
	}
	return all[0], nil
}
