package towpath

import (
	"context"

	"github.com/towpath/towpath/internal/cli"
)

type (
	// Bot says which bot to be, and where Towpath is.
	Bot = cli.Bot
	// BotHandler gets one event, with a client that makes the same effects
	// when the event comes again.
	BotHandler = cli.BotHandler
)

// RunBot hands a bot its events, or those of the types it names, until ctx
// ends: each until it is handled, in order within a conversation, from where
// the bot was before.
func RunBot(ctx context.Context, bot Bot, handle BotHandler) error {
	return cli.RunBot(ctx, bot, handle)
}
