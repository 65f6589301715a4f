package shopify

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// register subscribes to the store's new orders. It may run again, and under
// another URL: what it subscribed to before is then replaced.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	if p.Ctx.Configuration.AccessToken.Reveal() == "" {
		p.Logger.ForBot().Info("no accessToken is configured: add " + p.WebhookURL +
			" by hand as a webhook for " + topicOrdersCreate + " (JSON) in the Shopify app's settings")
		return nil
	}
	before, err := webhook.Get(ctx, p.Client)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	api := admin(p.Props)
	id, err := subscribe(ctx, api, p.WebhookURL)
	if err != nil {
		return err
	}
	if err := webhook.Set(ctx, p.Client, Webhook{WebhookURL: p.WebhookURL, ID: id}); err != nil {
		return err
	}
	if before.ID != 0 && before.ID != id {
		return unsubscribe(ctx, api, before.ID)
	}
	return nil
}

// unregister ends what register began. Without an access token there is
// nothing it could end, and it says what is left to do.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	known, err := webhook.Get(ctx, p.Client)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	if known.ID == 0 || p.Ctx.Configuration.AccessToken.Reveal() == "" {
		p.Logger.ForBot().Info("remove the webhook to " + p.WebhookURL + " by hand from the Shopify app's settings")
	} else if err := unsubscribe(ctx, admin(p.Props), known.ID); err != nil {
		return err
	}
	return webhook.Delete(ctx, p.Client)
}

// subscribe returns the id of the one subscription to new orders at a URL.
func subscribe(ctx context.Context, api rest.API, address string) (int64, error) {
	query := url.Values{"topic": {topicOrdersCreate}, "address": {address}}
	var listed struct {
		Webhooks []subscription `json:"webhooks"`
	}
	if err := api.Do(ctx, http.MethodGet, "webhooks.json?"+query.Encode(), nil, &listed); err != nil {
		return 0, err
	}
	for _, one := range listed.Webhooks {
		if one.Topic == topicOrdersCreate && one.Address == address {
			return one.ID, nil
		}
	}
	type wrapped struct {
		Webhook subscription `json:"webhook"`
	}
	var made wrapped
	err := api.Do(ctx, http.MethodPost, "webhooks.json",
		wrapped{subscription{Topic: topicOrdersCreate, Address: address, Format: "json"}}, &made)
	if err == nil && made.Webhook.ID == 0 {
		err = errors.New("POST webhooks.json: the answer has no id; is apiUrl Shopify's?")
	}
	return made.Webhook.ID, err
}

// unsubscribe ends a subscription; one that is gone already is no error.
func unsubscribe(ctx context.Context, api rest.API, id int64) error {
	err := api.Do(ctx, http.MethodDelete, "webhooks/"+strconv.FormatInt(id, 10)+".json", nil, nil)
	if rest.HasStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}
