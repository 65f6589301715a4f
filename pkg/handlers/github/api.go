package github

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

const publicAPI = "https://api.github.com"

// leastPause is what GitHub asks for at a secondary limit that does not say how
// long it lasts.
const leastPause = time.Minute

func api(p handlers.Props[Config]) rest.API {
	return rest.API{
		Name: "GitHub", HTTP: p.HTTP, Refused: refused, Secret: p.Ctx.Configuration.WebhookSecret[0],
		Base: cmp.Or(p.Ctx.Configuration.APIURL, publicAPI),
		Header: http.Header{
			"Authorization": {"Bearer " + p.Ctx.Configuration.Token.Reveal()},
			"Accept":        {"application/vnd.github+json"}, "User-Agent": {"towpath"},
			"X-Github-Api-Version": {"2022-11-28"},
		},
	}
}

// refused reads what the status alone does not say: GitHub answers 403 to a
// token that is not good enough, at a limit, and where nobody may comment.
func refused(a *rest.Answer) error {
	if a.OK() {
		return nil
	}
	says := words(a.Body)
	_, told := rest.RetryAfter(a.Status, a.Header, time.Now())
	switch err := a.Error("", says); {
	case a.Status != http.StatusForbidden && a.Status != http.StatusTooManyRequests:
		if a.Status == http.StatusNotFound {
			return a.Error("", cmp.Or(says, "404 Not Found")+": it is not there, or the token may not see it").Judge()
		}
		return err.Judge()
	case !told && isLimit(says):
		return err.RetryAfter(leastPause)
	case !told && a.Status == http.StatusForbidden && isClosed(says):
		return err.Permanent()
	default:
		return err.Judge()
	}
}

// words are GitHub's own words in an answer.
func words(body []byte) string {
	var said struct {
		Message string `json:"message"`
		Errors  []struct {
			Message string `json:"message"`
		} `json:"errors"`
	}
	_ = json.Unmarshal(body, &said) // what does not fit has no words
	for _, one := range said.Errors {
		if one.Message != "" {
			said.Message += ": " + one.Message
		}
	}
	return said.Message
}

func isLimit(says string) bool {
	says = strings.ToLower(says)
	return strings.Contains(says, "rate limit") || strings.Contains(says, "abuse detection")
}

// isClosed tells whether it is the place that takes no comments, not the token
// that is not good enough.
func isClosed(says string) bool {
	says = strings.ToLower(says)
	return strings.Contains(says, "locked") || strings.Contains(says, "archived") || strings.Contains(says, "blocked")
}
