package shopify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers"
)

const (
	// apiVersion is the version of the Admin API that is spoken.
	apiVersion = "2026-10"
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer = 1 << 20
)

// subscription is one webhook of a store.
type subscription struct {
	ID      int64  `json:"id,omitempty"`
	Topic   string `json:"topic"`
	Address string `json:"address"`
	Format  string `json:"format,omitempty"`
}

// admin is a store's Admin API.
type admin struct {
	http  *http.Client
	base  string
	token string
}

func newAdmin(p handlers.Props[Config]) admin {
	c := p.Ctx.Configuration
	base := cmp.Or(c.APIURL, "https://"+c.ShopName.Domain())
	return admin{
		http:  p.HTTP,
		base:  strings.TrimSuffix(base, "/") + "/admin/api/" + apiVersion + "/",
		token: c.AccessToken.Reveal(),
	}
}

// do asks and decodes the answer into out, unless that is nil.
func (a admin) do(ctx context.Context, method, path string, in, out any) error {
	what := method + " " + strings.SplitN(path, "?", 2)[0]
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: encode: %w", what, err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	request.Header.Set("X-Shopify-Access-Token", a.token)
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: read answer: %w", what, err)
	}
	if err := judge(what, response, answer); err != nil {
		return err
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: decode answer: %w", what, err)
	}
	return nil
}

// errGone is a resource that is not there.
var errGone = errors.New("not there")

// judge decides what an answer of Shopify's API means.
func judge(what string, response *http.Response, answer []byte) error {
	status := response.StatusCode
	if status >= 200 && status <= 299 {
		return nil
	}
	cause := fmt.Errorf("%s: %s: %.300q", what, response.Status, answer)
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return handlers.Unauthorized(handlers.NewRuntimeError(
			"Shopify refuses the access token: check it, and that it has the scope read_orders", cause))
	case status == http.StatusTooManyRequests:
		// Shopify writes seconds with a fraction, "2.0".
		seconds, err := strconv.ParseFloat(response.Header.Get("Retry-After"), 64)
		if err != nil || !(seconds >= 0 && seconds <= 3600) {
			return cause
		}
		return handlers.RetryAfter(cause, time.Duration(seconds*float64(time.Second)))
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusLocked:
		return cause
	case status == http.StatusNotFound:
		cause = fmt.Errorf("%w: %w", cause, errGone)
		fallthrough
	default:
		return handlers.Permanent(handlers.NewRuntimeError(
			fmt.Sprintf("Shopify refuses the webhook subscription: %s; check shopName and apiUrl", response.Status), cause))
	}
}
