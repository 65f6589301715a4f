package linear

import (
	"context"
	"errors"
	"net/http"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

const (
	viewerText        = `query Viewer { viewer { id name } }`
	listWebhooksText  = `query ListWebhooks { webhooks(first: 250) { nodes { id url } } }`
	createWebhookText = `mutation CreateWebhook($input: WebhookCreateInput!) { webhookCreate(input: $input) { success webhook { id } } }`
	updateWebhookText = `mutation UpdateWebhook($id: String!, $input: WebhookUpdateInput!) { webhookUpdate(id: $id, input: $input) { success webhook { id } } }`
	deleteWebhookText = `mutation DeleteWebhook($id: String!) { webhookDelete(id: $id) { success } }`
)

// subscription is a webhook as Linear lists it.
type subscription struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// register tries the API key and sets up the webhook: for all public teams,
// signed with the first signing secret. It may run again, with another URL or
// secret: the webhook that is there is then changed. Where the key may not, it
// says what to do by hand.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	who, err := ask[struct {
		Viewer Person `json:"viewer"`
	}](ctx, p.Props, query{Name: "Viewer", Text: viewerText})
	if err == nil && who.Viewer.ID == "" {
		err = errors.New("linear: the answer has no viewer; is apiUrl Linear's?")
	}
	if err != nil {
		return err
	}
	before, err := known(ctx, p)
	if err != nil {
		return err
	}
	listed, err := list(ctx, p)
	if forbidden(err) {
		p.Logger.ForBot().Info("the API key of " + who.Viewer.Name + " may not set up webhooks, an admin's may: add " + p.WebhookURL +
			" by hand under Settings, API, for issues and comments, and configure its signing secret as webhookSigningSecret")
		return webhook.Set(ctx, p.Client, Webhook{WebhookURL: p.WebhookURL})
	}
	if err != nil {
		return err
	}
	id, err := subscribe(ctx, p, before, listed)
	if err != nil {
		return err
	}
	if err := webhook.Set(ctx, p.Client, Webhook{WebhookURL: p.WebhookURL, ID: id}); err != nil {
		return err
	}
	p.Logger.ForBot().Info("Linear sends the issues and comments of all public teams; the bot comments as " + who.Viewer.Name)
	return nil
}

// subscribe changes the webhook that is ours, or creates it, and returns its id.
func subscribe(ctx context.Context, p handlers.RegisterProps[Config], before Webhook, listed []subscription) (string, error) {
	input := object{
		"url": p.WebhookURL, "label": "Towpath", "enabled": true, "resourceTypes": []string{typeIssue, typeComment},
		"secret": p.Ctx.Configuration.WebhookSigningSecret[0].Reveal(),
	}
	type made struct {
		Webhook subscription `json:"webhook"`
	}
	for _, one := range listed {
		if one.URL == p.WebhookURL || one.ID == before.ID {
			_, err := ask[struct{}](ctx, p.Props, query{"UpdateWebhook", updateWebhookText, object{"id": one.ID, "input": input}})
			return one.ID, err
		}
	}
	input["allPublicTeams"] = true
	out, err := ask[struct {
		Created made `json:"webhookCreate"`
	}](ctx, p.Props, query{"CreateWebhook", createWebhookText, object{"input": input}})
	if err == nil && out.Created.Webhook.ID == "" {
		err = errors.New("linear: the answer has no webhook; is apiUrl Linear's?")
	}
	return out.Created.Webhook.ID, err
}

// unregister deletes the webhook; one that is gone already is no error.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	before, err := known(ctx, p)
	if err != nil {
		return err
	}
	if before.ID == "" {
		p.Logger.ForBot().Info("remove the webhook to " + p.WebhookURL + " by hand from Linear's settings")
		return webhook.Delete(ctx, p.Client)
	}
	listed, err := list(ctx, p)
	if err != nil {
		return err
	}
	for _, one := range listed {
		if one.ID != before.ID {
			continue
		}
		if _, err := ask[struct{}](ctx, p.Props, query{"DeleteWebhook", deleteWebhookText, object{"id": one.ID}}); err != nil {
			return err
		}
	}
	return webhook.Delete(ctx, p.Client)
}

// known is what was registered before, the zero Webhook if nothing was.
func known(ctx context.Context, p handlers.RegisterProps[Config]) (Webhook, error) {
	before, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return Webhook{}, nil
	}
	return before, err
}

func list(ctx context.Context, p handlers.RegisterProps[Config]) ([]subscription, error) {
	out, err := ask[struct {
		Webhooks nodes[subscription] `json:"webhooks"`
	}](ctx, p.Props, query{Name: "ListWebhooks", Text: listWebhooksText})
	return out.Webhooks.Nodes, err
}

// forbidden tells whether the key is good, but not for this.
func forbidden(err error) bool {
	answer, ok := errors.AsType[*rest.Error](err)
	return ok && (answer.Code == "forbidden" || answer.Code == "FORBIDDEN" || answer.Status == http.StatusForbidden)
}
