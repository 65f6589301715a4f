package linear

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/rest"
)

const publicAPI = "https://api.linear.app/graphql"

// query is a GraphQL request. Name is that of the operation in Text.
type query struct {
	Name      string `json:"operationName"`
	Text      string `json:"query"`
	Variables any    `json:"variables,omitempty"`
}

// ask sends a query and decodes the data of its answer.
func ask[Out any](ctx context.Context, p handlers.Props[Config], q query) (Out, error) {
	var answer struct {
		Data Out `json:"data"`
	}
	err := api(p).Do(ctx, http.MethodPost, "", q, &answer)
	return answer.Data, err
}

func api(p handlers.Props[Config]) rest.API {
	key := p.Ctx.Configuration.APIKey.Reveal()
	// A personal key stands alone, an OAuth token as a bearer's.
	if strings.HasPrefix(key, "lin_oauth_") {
		key = "Bearer " + key
	}
	return rest.API{
		Name: "Linear", HTTP: p.HTTP, Refused: refused,
		Base:   cmp.Or(p.Ctx.Configuration.APIURL, publicAPI),
		Header: http.Header{"Authorization": {key}},
		Secret: p.Ctx.Configuration.WebhookSigningSecret[0],
	}
}

// fault is one error of a GraphQL answer.
type fault struct {
	Message    string `json:"message"`
	Extensions struct {
		Type    string `json:"type"`
		Code    string `json:"code"`
		Message string `json:"userPresentableMessage"`
	} `json:"extensions"`
}

// outcome is what becomes of a request that was refused.
type outcome int

const (
	byStatus outcome = iota
	retry
	limited
	permanent
	unauthorized
)

// outcomes are by Linear's words in an error's type or code.
var outcomes = map[string]outcome{
	"ratelimited": limited,

	"authentication error": unauthorized, "authentication_error": unauthorized,

	"invalid input": permanent, "user error": permanent, "forbidden": permanent, "feature not accessible": permanent,
	"graphql error": permanent, "usage limit exceeded": permanent, "input_error": permanent,
	"graphql_validation_failed": permanent, "graphql_parse_failed": permanent, "bad_user_input": permanent,

	"internal error": retry, "network error": retry, "lock timeout": retry, "bootstrap error": retry,
	"internal_server_error": retry, "unknown": retry, "other": retry,
}

// outcome goes by the type, else by the code.
func (f fault) outcome() outcome {
	if known := outcomes[strings.ToLower(f.Extensions.Type)]; known != byStatus {
		return known
	}
	return outcomes[strings.ToLower(f.Extensions.Code)]
}

// refused reads the errors in an answer's body: they come with status 200 and
// with 400 alike. Of several, the first decides, unless another is a limit.
func refused(a *rest.Answer) error {
	var body struct {
		Errors []fault `json:"errors"`
	}
	_ = json.Unmarshal(a.Body, &body) // what is no JSON tells of no errors
	if len(body.Errors) == 0 {
		return nil
	}
	first := body.Errors[0]
	decided := first.outcome()
	for _, other := range body.Errors[1:] {
		if other.outcome() == limited {
			first, decided = other, limited
		}
	}
	err := a.Error(cmp.Or(first.Extensions.Type, first.Extensions.Code), cmp.Or(first.Extensions.Message, first.Message))
	switch decided {
	case limited:
		if after, ok := reset(a); ok {
			return err.RetryAfter(after)
		}
		return err.Retry()
	case permanent:
		return err.Permanent()
	case unauthorized:
		return err.Unauthorized()
	case byStatus:
		if !a.OK() {
			return err.Judge()
		}
	}
	return err.Retry()
}

// reset finds out how long a limit lasts: by Retry-After, else by the reset of
// what is used up, of several the last. Linear writes it in milliseconds since
// 1970.
func reset(a *rest.Answer) (after time.Duration, ok bool) {
	if after, ok = a.Until(a.Header.Get("Retry-After")); ok {
		return after, true
	}
	for _, what := range []string{"Requests", "Complexity", "Endpoint-Requests"} {
		if a.Header.Get("X-Ratelimit-"+what+"-Remaining") != "0" {
			continue
		}
		if until, told := a.Until(a.Header.Get("X-Ratelimit-" + what + "-Reset")); told {
			after, ok = max(after, until), true
		}
	}
	return after, ok
}
