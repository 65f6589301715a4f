package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

// object is a JSON object.
type object = map[string]any

// hook is a webhook as GitHub lists it.
type hook struct {
	ID     int64 `json:"id"`
	Config struct {
		URL string `json:"url"`
	} `json:"config"`
}

// hooks is the path of the webhooks of a repository or an organization.
func (r Repository) hooks() string {
	if strings.Contains(string(r), "/") {
		return "repos/" + string(r) + "/hooks"
	}
	return "orgs/" + string(r) + "/hooks"
}

// register tries the token and sets up a webhook for each repository that is
// configured. It may run again, with another URL, secret or list: the webhooks
// that are there are then changed, and those of repositories that are no longer
// listed deleted.
func register(ctx context.Context, p handlers.RegisterProps[Config]) error {
	c := p.Ctx.Configuration
	byHand := "add " + p.WebhookURL + " by hand under Settings, Webhooks, with webhookSecret as its secret"
	if c.Token.Reveal() == "" {
		p.Logger.ForBot().Info("no token is configured: " + byHand)
		return nil
	}
	before, err := known(ctx, p)
	if err != nil {
		return err
	}
	if err := tryToken(ctx, p); err != nil {
		return err
	}
	now := Webhook{WebhookURL: p.WebhookURL, Hooks: map[Repository]int64{}}
	for _, repository := range c.Repositories {
		if now.Hooks[repository], err = subscribe(ctx, p, repository, before.Hooks[repository]); err != nil {
			return fmt.Errorf("webhook of %s: %w", repository, err)
		}
	}
	if err := webhook.Set(ctx, p.Client, now); err != nil {
		return err
	}
	for repository, id := range before.Hooks {
		if !slices.Contains(c.Repositories, repository) {
			if err := unsubscribe(ctx, p, repository, id); err != nil {
				return err
			}
		}
	}
	if len(c.Repositories) == 0 {
		p.Logger.ForBot().Info("no repositories are configured: " + byHand)
	}
	return nil
}

// tryToken asks GitHub who the bot is. An app's token is nobody's, which GitHub
// says with 403.
func tryToken(ctx context.Context, p handlers.RegisterProps[Config]) error {
	var who Account
	err := api(p.Props).Do(ctx, http.MethodGet, "user", nil, &who)
	switch {
	case rest.HasStatus(err, http.StatusForbidden) && handlers.Judge(err).Decision == handlers.Pause:
		return nil
	case err == nil && who.Login == "":
		return errors.New("GitHub: the answer names nobody; is apiUrl GitHub's?")
	case err == nil:
		p.Logger.ForBot().Info("the bot comments as " + who.Login)
	}
	return err
}

// subscribe changes the webhook that is ours, or creates it, and returns its id.
func subscribe(ctx context.Context, p handlers.RegisterProps[Config], repository Repository, before int64) (int64, error) {
	found := int64(0)
	err := pages(ctx, api(p.Props), repository.hooks(), url.Values{}, func(one hook) {
		if one.ID == before || found == 0 && one.Config.URL == p.WebhookURL {
			found = one.ID
		}
	})
	if err != nil {
		return 0, err
	}
	// The secret is left out of a webhook that is changed without it.
	content := object{
		"name": "web", "active": true, "events": []string{onIssues, onPullRequest, onPush, onComment},
		"config": object{
			"url": p.WebhookURL, "content_type": "json", "insecure_ssl": "0", "secret": p.Ctx.Configuration.WebhookSecret[0].Reveal(),
		},
	}
	method, path := http.MethodPost, repository.hooks()
	if found != 0 {
		delete(content, "name")
		method, path = http.MethodPatch, path+"/"+strconv.FormatInt(found, 10)
	}
	var made hook
	err = api(p.Props).Do(ctx, method, path, content, &made)
	if err == nil && made.ID == 0 {
		err = errors.New("GitHub: the answer has no webhook; is apiUrl GitHub's?")
	}
	return made.ID, err
}

// unregister deletes the webhooks that registration set up.
func unregister(ctx context.Context, p handlers.RegisterProps[Config]) error {
	before, err := known(ctx, p)
	if err != nil {
		return err
	}
	if len(before.Hooks) == 0 || p.Ctx.Configuration.Token.Reveal() == "" {
		p.Logger.ForBot().Info("remove the webhooks to " + p.WebhookURL + " by hand from GitHub's settings")
		return webhook.Delete(ctx, p.Client)
	}
	for repository, id := range before.Hooks {
		if err := unsubscribe(ctx, p, repository, id); err != nil {
			return err
		}
	}
	return webhook.Delete(ctx, p.Client)
}

// unsubscribe deletes a webhook; one that is gone already is no error.
func unsubscribe(ctx context.Context, p handlers.RegisterProps[Config], repository Repository, id int64) error {
	err := api(p.Props).Do(ctx, http.MethodDelete, repository.hooks()+"/"+strconv.FormatInt(id, 10), nil, nil)
	if rest.HasStatus(err, http.StatusNotFound) {
		return nil
	}
	return err
}

// known is what was registered before, the zero Webhook if nothing was.
func known(ctx context.Context, p handlers.RegisterProps[Config]) (Webhook, error) {
	before, err := webhook.Get(ctx, p.Client)
	if errors.Is(err, client.ErrNotFound) {
		return Webhook{}, nil
	}
	return before, err
}
