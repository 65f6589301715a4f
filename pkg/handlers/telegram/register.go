package telegram

import (
	"context"
	"net/http"
	"regexp"

	"github.com/towpath/towpath/pkg/handlers"
)

var secretPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// webhookInfo is what Telegram knows of the bot's webhook.
type webhookInfo struct {
	Result struct {
		URL string `json:"url"`
	} `json:"result"`
}

// register tells Telegram where the bot's updates go. What waits for delivery is
// kept.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	secret := p.Ctx.Configuration.secretTokens()[0]
	if !secretPattern.MatchString(secret) {
		return handlers.Permanent(handlers.NewRuntimeError(
			"secretToken is not one that Telegram takes: 1 to 256 letters, digits, _ and -", nil))
	}
	if err := api(p.Props).Do(ctx, http.MethodPost, "setWebhook", object{
		"url": p.WebhookURL, "secret_token": secret, "allowed_updates": updateKinds, "drop_pending_updates": false,
	}, nil); err != nil {
		return err
	}
	p.Logger.ForBot().Info("Telegram sends the bot's updates to " + p.WebhookURL)
	return nil
}

// unregister ends what register began, unless the bot's updates go elsewhere by
// now: a bot has one webhook, and that would be another installation's.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	var info webhookInfo
	if err := api(p.Props).Do(ctx, http.MethodGet, "getWebhookInfo", nil, &info); err != nil {
		return err
	}
	if info.Result.URL == "" {
		return nil
	}
	if info.Result.URL != p.WebhookURL {
		p.Logger.ForBot().Info("the bot's updates go to another address by now, which is left as it is")
		return nil
	}
	return api(p.Props).Do(ctx, http.MethodPost, "deleteWebhook", object{"drop_pending_updates": false}, nil)
}

// ping asks Telegram who the bot is.
func ping(ctx context.Context, p handlers.Props[Config]) error {
	return api(p).Do(ctx, http.MethodGet, "getMe", nil, nil)
}
