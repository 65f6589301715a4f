package telegram

import (
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

const publicAPI = "https://api.telegram.org"

// object is a JSON object.
type object = map[string]any

// api returns the Bot API for an installation. The token is in its URL, which
// no error and no log line tells.
func api(p handlers.Props[Config]) rest.API {
	token := p.Ctx.Configuration.BotToken
	return rest.API{
		Name: "Telegram", HTTP: p.HTTP, Secret: token, Refused: refused,
		Base: base(p) + "/bot" + url.PathEscape(token.Reveal()),
	}
}

// files returns where files are downloaded from.
func files(p handlers.Props[Config]) rest.API {
	token := p.Ctx.Configuration.BotToken
	return rest.API{
		Name: "Telegram", HTTP: p.HTTP, Secret: token,
		Base: base(p) + "/file/bot" + url.PathEscape(token.Reveal()),
	}
}

func base(p handlers.Props[Config]) string {
	return strings.TrimSuffix(cmp.Or(p.Ctx.Configuration.APIURL, publicAPI), "/")
}

// refused reads what Telegram says in the body of every answer.
func refused(a *rest.Answer) error {
	var said struct {
		OK          bool   `json:"ok"`
		Code        int    `json:"error_code"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter int64 `json:"retry_after"` // seconds
			MigrateTo  int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	readable := a.Decode(&said) == nil
	switch {
	case a.OK() && said.OK:
		return nil
	case a.OK() && said.Code == 0:
		return fmt.Errorf("the answer is not Telegram's; is apiUrl right? %w", a.Error("", ""))
	case !readable:
		return nil // it comes from something before Telegram, and its status decides
	}
	code := cmp.Or(said.Code, a.Status)
	refusal := a.Error(strconv.Itoa(code), said.Description)
	wait := time.Duration(min(said.Parameters.RetryAfter, 24*60*60)) * time.Second
	switch {
	case said.Parameters.MigrateTo != 0:
		return &moved{to: strconv.FormatInt(said.Parameters.MigrateTo, 10), error: refusal.Permanent()}
	case code == 401:
		return refusal.Unauthorized()
	case code == 404:
		return a.Error("404", said.Description+"; check botToken and apiUrl").Permanent()
	case code != 429 && code < 500:
		// 403 too: it is one chat that does not want the bot, not all of Telegram.
		return refusal.Permanent()
	case wait > 0:
		return refusal.RetryAfter(wait)
	}
	return refusal.Retry()
}

// moved says that a group became a supergroup, which has another id.
type moved struct {
	error

	to string
}

// Unwrap returns the refusal.
func (m *moved) Unwrap() error { return m.error }
