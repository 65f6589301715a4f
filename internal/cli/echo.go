package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

type botCommand struct {
	Echo echoCommand `cmd:"" help:"Answer every text message with the same text."`
}

type echoCommand struct {
	natsFlag
	logFlags
	API   string `name:"api" default:"http://127.0.0.1:8081" env:"TOWPATH_API" help:"Where the API is."`
	Bot   string `default:"demo" env:"TOWPATH_BOT" help:"The bot's id."`
	Token string `required:"" env:"TOWPATH_TOKEN" help:"The bot's token."`
}

// Run is the echoing bot until ctx ends.
func (c *echoCommand) Run(ctx context.Context, p *program) error {
	logger, err := ops.Logger(c.LogFormat, c.LogLevel, p.stderr)
	if err != nil {
		return err
	}
	return RunBot(ctx, Bot{NATS: c.NATS, API: c.API, ID: c.Bot, Token: c.Token, Name: "echo", Logger: logger}, echo)
}

// runEcho runs the echoing bot within a node.
func (n *node) runEcho(ctx context.Context, api string, bot devBot) {
	n.group.Go(func() error {
		return serveBot(ctx, n.broker, Bot{API: api, ID: bot.ID, Token: bot.Token, Name: "echo"}, echo)
	})
}

// received is the payload of a message_created event, as a bot sees it.
type received struct {
	Message      client.Message      `json:"message"`
	Conversation client.Conversation `json:"conversation"`
}

// echo answers a text with itself.
func echo(ctx context.Context, c *client.Client, e client.Event) (client.EventStatus, error) {
	if e.Type != string(events.MessageCreated) {
		return client.EventIgnored, nil
	}
	var got received
	if err := json.Unmarshal(e.Payload, &got); err != nil {
		return "", fmt.Errorf("decode message: %w", err)
	}
	if got.Message.Type != (events.Text{}).MessageType() {
		return client.EventIgnored, nil
	}
	_, err := c.CreateMessage(ctx, client.CreateMessageInput{
		ConversationID: got.Conversation.ID, UserID: c.Caller().BotID, Type: got.Message.Type, Payload: got.Message.Payload,
		Tags: answerTags(got.Message.Tags),
	})
	if refused, ok := errors.AsType[*client.Error](err); ok && refused.Type.Status() < 500 && refused.Type != client.RateLimited {
		return client.EventIgnored, nil // it would be refused again
	}
	return client.EventProcessed, err
}

// answerTags keeps an answer in the thread of what it answers.
func answerTags(tags client.Tags) client.Tags {
	kept := client.Tags{}
	for key, value := range tags {
		if _, name, ok := cutAlias(key); ok && name == "threadId" {
			kept[key] = value
		}
	}
	return kept
}
