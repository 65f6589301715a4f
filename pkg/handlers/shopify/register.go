package shopify

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// Shopify's topics. The last three no app can subscribe to: they are entered in
// the app's settings, where the law makes Shopify ask for them.
const (
	topicOrdersCreate    = "orders/create"
	topicOrdersUpdated   = "orders/updated"
	topicOrdersCancelled = "orders/cancelled"
	topicCustomersCreate = "customers/create"
	topicAppUninstalled  = "app/uninstalled"

	topicDataRequest     = "customers/data_request"
	topicCustomersRedact = "customers/redact"
	topicShopRedact      = "shop/redact"
)

// topics are what an installation subscribes to.
var topics = []string{topicOrdersCreate, topicOrdersUpdated, topicOrdersCancelled, topicCustomersCreate, topicAppUninstalled}

// register subscribes to what happens in the store. It may run again, and under
// another URL: subscriptions that stand are kept, those at the URL before are
// ended. All of it is a dozen requests at most, of the 40 that Shopify takes at
// once.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	if p.Ctx.Configuration.AccessToken.Reveal() == "" {
		p.Logger.ForBot().Info("no accessToken is configured: add " + p.WebhookURL +
			" by hand as a webhook for " + strings.Join(topics, ", ") + " (JSON) in the Shopify app's settings")
		return nil
	}
	before, err := webhook.Get(ctx, p.Client)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	api := admin(p.Props)
	subscribed, err := subscribe(ctx, p, api)
	if err != nil {
		return err
	}
	if before.WebhookURL != "" && before.WebhookURL != p.WebhookURL {
		if err := unsubscribe(ctx, api, before.WebhookURL); err != nil {
			return err
		}
	}
	return webhook.Set(ctx, p.Client, Webhook{WebhookURL: p.WebhookURL, Topics: subscribed})
}

// unregister ends what register began. Without an access token, or with one that
// is void because the app was uninstalled, there is nothing it could end, and it
// says what may be left to do: an installation can always be removed.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	known, err := webhook.Get(ctx, p.Client)
	if err != nil && !errors.Is(err, client.ErrNotFound) {
		return err
	}
	byHand := "remove the webhooks to " + p.WebhookURL + " by hand from the Shopify app's settings"
	if p.Ctx.Configuration.AccessToken.Reveal() == "" {
		p.Logger.ForBot().Info(byHand)
		return webhook.Delete(ctx, p.Client)
	}
	addresses := []string{p.WebhookURL}
	if known.WebhookURL != "" && known.WebhookURL != p.WebhookURL {
		addresses = append(addresses, known.WebhookURL)
	}
	for _, address := range addresses {
		err := unsubscribe(ctx, admin(p.Props), address)
		switch handlers.Judge(err).Decision {
		case handlers.Retry:
			return err
		case handlers.Pause, handlers.GiveUp:
			p.Logger.ForBot().WithError(err).Info("Shopify does not let the app in any more; unless it is uninstalled, " + byHand)
		}
	}
	return webhook.Delete(ctx, p.Client)
}

// subscribe makes the subscriptions that are missing and returns the topics of
// all that stand. A topic for which the app has no scope is told to the owner;
// that there is none but the app's own end means that the token will not do.
func subscribe(ctx context.Context, p handlers.RegisterProps[Config], api rest.API) ([]string, error) {
	listed, err := list(ctx, api, p.WebhookURL)
	if err != nil {
		return nil, err
	}
	var subscribed []string
	var refusal error
	for _, topic := range topics {
		if slices.ContainsFunc(listed, func(one subscription) bool { return one.Topic == topic }) {
			subscribed = append(subscribed, topic)
			continue
		}
		err := create(ctx, api, topic, p.WebhookURL)
		switch {
		case rest.HasStatus(err, http.StatusForbidden):
			refusal = errors.Join(refusal, err)
			p.Logger.ForBot().Warn("Shopify does not let the app hear of " + topic + ": it needs the scope " + scopeOf(topic))
		case err != nil:
			return nil, err
		default:
			subscribed = append(subscribed, topic)
		}
	}
	if refusal != nil && !slices.ContainsFunc(subscribed, func(topic string) bool { return topic != topicAppUninstalled }) {
		return nil, handlers.Unauthorized(refusal)
	}
	return subscribed, nil
}

// scopeOf is what an app needs to hear of a topic.
func scopeOf(topic string) string {
	about, _, _ := strings.Cut(topic, "/")
	return "read_" + about
}

// list returns the app's own subscriptions at an address. There is one for each
// topic at most: one page holds them.
func list(ctx context.Context, api rest.API, address string) ([]subscription, error) {
	var listed struct {
		Webhooks []subscription `json:"webhooks"`
	}
	query := url.Values{"address": {address}, "limit": {"250"}}
	if err := api.Do(ctx, http.MethodGet, "webhooks.json?"+query.Encode(), nil, &listed); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(listed.Webhooks, func(one subscription) bool { return one.Address != address }), nil
}

func create(ctx context.Context, api rest.API, topic, address string) error {
	type wrapped struct {
		Webhook subscription `json:"webhook"`
	}
	var made wrapped
	err := api.Do(ctx, http.MethodPost, "webhooks.json", wrapped{subscription{Topic: topic, Address: address, Format: "json"}}, &made)
	if err == nil && made.Webhook.ID == 0 {
		err = errors.New("POST webhooks.json: the answer has no id; is apiUrl Shopify's?")
	}
	return err
}

// unsubscribe ends all subscriptions at an address; one that is gone already is
// no error.
func unsubscribe(ctx context.Context, api rest.API, address string) error {
	listed, err := list(ctx, api, address)
	if err != nil {
		return err
	}
	for _, one := range listed {
		err := api.Do(ctx, http.MethodDelete, "webhooks/"+strconv.FormatInt(one.ID, 10)+".json", nil, nil)
		if err != nil && !rest.HasStatus(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}
