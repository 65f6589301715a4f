package slack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/texts"
)

// How many characters Slack takes: of a message's text, where it cuts off the
// rest without a word, and of a section's text and an image's alt_text, where
// it refuses the message.
const (
	maxText    = 40_000
	maxSection = 3000
	maxAltText = 2000
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

func sendMessage(ctx context.Context, p handlers.ActionProps[Config, SendMessage]) (Sent, error) {
	ts, err := post(ctx, p.Props, p.Input.ChannelID, p.Input.ThreadID, p.Input.Text)
	if err != nil {
		return Sent{}, err
	}
	p.Metadata.SetCost(1)
	return Sent{MessageID: ts, Timestamp: ts}, nil
}

func sendText(ctx context.Context, p handlers.MessageProps[Config, events.Text]) error {
	return deliver(ctx, p, p.Payload.Text)
}

func sendImage(ctx context.Context, p handlers.MessageProps[Config, events.Image]) error {
	caption := cmp.Or(p.Payload.Caption, p.Payload.Title)
	text := cmp.Or(caption, "Image")
	blocks := []slack.Block{slack.NewImageBlock(p.Payload.ImageURL, texts.Cut(text, maxAltText, texts.Characters), "", nil)}
	if caption != "" {
		// Beside blocks, text is shown in notifications alone. A bot's words
		// are sent as it wrote them, with Slack's own markup.
		said := slack.NewTextBlockObject(slack.MarkdownType, texts.Cut(caption, maxSection, texts.Characters), false, false)
		blocks = []slack.Block{slack.NewSectionBlock(said, nil, nil), blocks[0]}
	}
	return deliver(ctx, p, text, blocks...)
}

// deliver posts a message to where its conversation is and says so.
func deliver[M any](ctx context.Context, p handlers.MessageProps[Config, M], text string, blocks ...slack.Block) error {
	ts, err := post(ctx, p.Props, p.Conversation.Tags[tagChannel], p.Message.Tags[tagThread], text, blocks...)
	if err != nil {
		return err
	}
	return p.Ack(ctx, client.Tags{tagMessage: ts})
}

// post sends one message and returns its timestamp. A long text is not taken
// apart: Slack has no idempotency keys, so when the second piece failed, its
// retry would send the first one twice.
func post(ctx context.Context, p handlers.Props[Config], channel, thread, text string, blocks ...slack.Block) (string, error) {
	if n := utf8.RuneCountInString(text); n > maxText {
		return "", handlers.Permanent(handlers.NewRuntimeError(
			fmt.Sprintf("the text has %d characters and Slack takes %d: send it as several messages", n, maxText), nil))
	}
	options := []slack.MsgOption{slack.MsgOptionText(text, false)}
	if len(blocks) > 0 {
		options = append(options, slack.MsgOptionBlocks(blocks...))
	}
	if thread != "" {
		options = append(options, slack.MsgOptionTS(thread))
	}
	_, ts, err := api(p).PostMessageContext(ctx, channel, options...)
	if err == nil && ts == "" {
		err = errors.New("chat.postMessage: the answer is not Slack's; is apiUrl right?")
	}
	return ts, judge(err)
}
