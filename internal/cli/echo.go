package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
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
	b, err := broker.Connect(broker.Config{URL: c.NATS, Name: "bot-" + c.Bot, Logger: logger})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.WaitReady(ctx); err != nil {
		return err
	}
	logger.WithField("bot", c.Bot).Info("bot listens")
	return echo(ctx, b, c.API, devBot{ID: c.Bot, Token: c.Token})
}

// runEcho runs the echoing bot within a node.
func (n *node) runEcho(ctx context.Context, api string, bot devBot) {
	n.group.Go(func() error { return echo(ctx, n.broker, api, bot) })
}

// received is the payload of a message_created event, as a bot sees it.
type received struct {
	Message      client.Message      `json:"message"`
	Conversation client.Conversation `json:"conversation"`
}

// echo answers through the API like any bot outside. The event's id is the
// identity of the answer, so that an event that comes again is not answered
// again.
func echo(ctx context.Context, b *broker.Broker, api string, bot devBot) error {
	answering := client.New(&client.HTTP{BaseURL: api, Token: bot.Token}, client.Caller{BotID: bot.ID})
	kept, err := store.Open(ctx, b)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end before it began
	}
	if err != nil {
		return err
	}
	handle := func(ctx context.Context, m broker.Message) (client.EventStatus, error) {
		e, err := m.Event()
		if err != nil || e.Type() != string(events.MessageCreated) {
			return client.EventIgnored, nil //nolint:nilerr // what is no message is not for this bot
		}
		var event client.Event
		var got received
		if err := errors.Join(json.Unmarshal(e.Data(), &event), json.Unmarshal(event.Payload, &got)); err != nil {
			return "", fmt.Errorf("decode message: %w", err)
		}
		if got.Message.Type != (events.Text{}).MessageType() {
			return client.EventIgnored, nil
		}
		own := answering.ForDelivery(client.Delivery{ID: e.ID(), Time: e.Time(), TraceParent: events.TraceParentOf(e)})
		_, err = own.CreateMessage(ctx, client.CreateMessageInput{
			ConversationID: got.Conversation.ID, UserID: bot.ID, Type: got.Message.Type, Payload: got.Message.Payload,
			Tags: answerTags(got.Message.Tags),
		})
		if refused, ok := errors.AsType[*client.Error](err); ok && refused.Type.Status() < 500 && refused.Type != client.RateLimited {
			return client.EventIgnored, nil // it would be refused again
		}
		return client.EventProcessed, err
	}
	err = b.Subscribe(ctx, broker.Subscription{Bot: bot.ID, Name: "echo"}, kept.Reporting(bot.ID, handle))
	if ctx.Err() == nil {
		return err
	}
	return nil
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
