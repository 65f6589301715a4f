package slack

import (
	"context"
	"errors"
	"fmt"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// register tries the bot token and remembers who the bot is. Slack offers no
// way to set the URL of an app's events with a bot token.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	who, err := api(p.Props).AuthTestContext(ctx)
	if err == nil && who.UserID == "" {
		err = errors.New("auth.test: the answer is not Slack's; is apiUrl right?")
	}
	if err != nil {
		return judge(err)
	}
	if err := webhook.Set(ctx, p.Client, Webhook{
		WebhookURL: p.WebhookURL, TeamID: who.TeamID, BotID: who.BotID, BotUserID: who.UserID,
	}); err != nil {
		return err
	}
	p.Logger.ForBot().Info(fmt.Sprintf("Slack knows the bot as %s in %s; enter %s as request URL under the app's Event Subscriptions",
		who.User, who.Team, p.WebhookURL))
	return nil
}

func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	known, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := webhook.Delete(ctx, p.Client); err != nil {
		return err
	}
	p.Logger.ForBot().Info("remove " + known.WebhookURL + " from the Slack app's Event Subscriptions")
	return nil
}
