package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// Bot says which bot to be, and where Towpath is.
type Bot struct {
	NATS  string // nats://127.0.0.1:4222 when empty
	API   string // http://127.0.0.1:8081 when empty
	ID    string
	Token string
	// Name is what the bot's place among its events is kept under, "bot" when
	// empty: two of different names each see everything.
	Name string
	// Types are the events it wants, such as "message_created" (of every
	// integration) or "shopify:newOrderCreated"; all of them when empty.
	Types []string
	// Logger takes what happens; text on the standard error when nil.
	Logger *logrus.Logger
}

// BotHandler gets one event. It asks and sends by the client it is given,
// which makes the same effects when the event comes again. A message is an
// event of type "message_created" whose payload holds message, conversation
// and user. It tells whether it processed or ignored the event; after an error
// the event comes again, and in the end is a dead letter.
type BotHandler func(ctx context.Context, c *client.Client, e client.Event) (client.EventStatus, error)

// RunBot hands a bot its events until ctx ends, from where it was before.
// Those of one conversation come in order and one at a time, others in
// parallel.
func RunBot(ctx context.Context, bot Bot, handle BotHandler) error {
	if bot.Logger == nil {
		logger, err := ops.Logger("text", "info", os.Stderr)
		if err != nil {
			return err
		}
		bot.Logger = logger
	}
	b, err := broker.Connect(broker.Config{
		URL: cmp.Or(bot.NATS, "nats://127.0.0.1:4222"), Name: "bot-" + bot.ID, Logger: bot.Logger,
	})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.WaitReady(ctx); err != nil {
		return err
	}
	bot.Logger.WithField("bot", bot.ID).Info("bot listens")
	return serveBot(ctx, b, bot, handle)
}

func serveBot(ctx context.Context, b *broker.Broker, bot Bot, handle BotHandler) error {
	asking := client.New(&client.HTTP{BaseURL: cmp.Or(bot.API, "http://127.0.0.1:8081"), Token: bot.Token}, client.Caller{BotID: bot.ID})
	kept, err := store.Open(ctx, b)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was told to end before it began
	}
	if err != nil {
		return err
	}
	subscription := broker.Subscription{Bot: bot.ID, Name: cmp.Or(bot.Name, "bot"), Types: bot.Types}
	err = b.Subscribe(ctx, subscription, kept.Reporting(bot.ID, func(ctx context.Context, m broker.Message) (client.EventStatus, error) {
		e, err := m.Event()
		if err != nil {
			return "", err
		}
		var event client.Event
		if err := json.Unmarshal(e.Data(), &event); err != nil {
			return "", fmt.Errorf("decode event: %w", err)
		}
		own := asking.ForDelivery(client.Delivery{ID: e.ID(), Time: e.Time(), TraceParent: events.TraceParentOf(e)})
		return handle(ctx, own, event)
	}))
	if ctx.Err() == nil {
		return err
	}
	return nil
}
