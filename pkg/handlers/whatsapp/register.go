package whatsapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// line is a business phone number as the Graph API tells it.
type line struct {
	ID           string `json:"id"`
	Number       string `json:"display_phone_number"`
	VerifiedName string `json:"verified_name"`
	Webhooks     struct {
		PhoneNumber string `json:"phone_number"`
	} `json:"webhook_configuration"`
}

func lineOf(ctx context.Context, p handlers.Props[Config]) (line, error) {
	var found line
	err := api(p).Do(ctx, http.MethodGet, number(p)+"?fields=id,display_phone_number,verified_name,webhook_configuration", nil, &found)
	if err == nil && found.ID == "" {
		err = errors.New("GET phone number: the answer has no id; is apiUrl the Graph API's?")
	}
	return found, err
}

// ping tries the access token on the phone number.
func ping(ctx context.Context, p handlers.Props[Config]) error {
	_, err := lineOf(ctx, p)
	return err
}

// register makes Meta send what concerns the phone number to the installation.
// Meta asks the URL for the verify token before it answers. It may run again, and
// under another URL.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	found, err := lineOf(ctx, p.Props)
	if err != nil {
		return err
	}
	if err := override(ctx, p.Props, p.WebhookURL); err != nil {
		return err
	}
	if err := webhook.Set(ctx, p.Client, Webhook{WebhookURL: p.WebhookURL}); err != nil {
		return err
	}
	if err := welcome(ctx, p.Props); err != nil {
		return err
	}
	p.Logger.ForBot().Info(fmt.Sprintf("WhatsApp sends what comes for %s (%s) to %s; the Meta app must be subscribed to the field messages",
		cmp.Or(found.Number, found.ID), cmp.Or(found.VerifiedName, "no name"), p.WebhookURL))
	return nil
}

// unregister lets the app's own webhook have the phone number again, unless
// somebody else has taken it since.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	known, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	found, err := lineOf(ctx, p.Props)
	if err != nil {
		return err
	}
	if found.Webhooks.PhoneNumber == known.WebhookURL {
		if err := override(ctx, p.Props, ""); err != nil {
			return err
		}
	}
	return webhook.Delete(ctx, p.Client)
}

// override sets the URL of the phone number's own webhook; an empty one takes it
// away.
func override(ctx context.Context, p handlers.Props[Config], address string) error {
	type configuration struct {
		URL         string `json:"override_callback_uri"`
		VerifyToken string `json:"verify_token,omitempty"`
	}
	wanted := configuration{URL: address}
	if address != "" {
		wanted.VerifyToken = p.Ctx.Configuration.VerifyToken[0].Reveal()
	}
	return api(p).Do(ctx, http.MethodPost, number(p), struct {
		Webhook configuration `json:"webhook_configuration"`
	}{wanted}, nil)
}

// welcome asks Meta to tell when somebody opens the chat. Not every account may,
// and messages come without it.
func welcome(ctx context.Context, p handlers.Props[Config]) error {
	err := api(p).Do(ctx, http.MethodPost, number(p)+"/conversational_automation", struct {
		Enable bool `json:"enable_welcome_message"`
	}{true}, nil)
	if handlers.Judge(err).Decision != handlers.Retry {
		if err != nil {
			p.Logger.ForBot().WithError(err).Warn("WhatsApp will not tell when somebody opens the chat")
		}
		return nil
	}
	return err
}
