package api

import (
	"net/http"
	"strings"

	"github.com/towpath/towpath/pkg/client"
)

// authenticate tells on whose behalf a request is made. A token belongs to one
// bot, and the request must name that bot; a token of a bot never acts for an
// integration.
func (a *api) authenticate(r *http.Request) (client.Caller, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return client.Caller{}, client.NewError(client.Unauthorized, "send the bot's token as Authorization: Bearer TOKEN")
	}
	bot, ok := a.Directory.Authenticate(token)
	if !ok {
		return client.Caller{}, client.NewError(client.Unauthorized, "the token belongs to no bot")
	}
	named := r.Header.Values("X-Bot-Id")
	switch {
	case len(named) != 1 || named[0] == "":
		return client.Caller{}, client.NewError(client.InvalidPayload, "the header x-bot-id is required, once")
	case named[0] != bot.ID:
		return client.Caller{}, client.NewError(client.Forbidden, "the token is not one of the bot that x-bot-id names")
	case len(r.Header.Values("X-Integration-Id")) > 0 || len(r.Header.Values("X-Integration-Alias")) > 0:
		return client.Caller{}, client.NewError(client.Forbidden, "a bot's token does not act for an integration")
	}
	return client.Caller{BotID: bot.ID}, nil
}
