package generic

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

func verify(r *events.Request, c Config, now time.Time) error {
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	message := signature.Message{Header: r.Header, Body: r.Body, URL: c.called(r)}
	if c.SharedSecret.Query != "" {
		query, err := url.ParseQuery(r.Query)
		if err != nil {
			return err
		}
		message.Header = http.Header{inQuery: query[c.SharedSecret.Query]}
	}
	return signature.Verify(scheme, c.Secret.Reveal(), message, now)
}

// called is the URL that the sender called, as far as the configuration tells.
func (c *Config) called(r *events.Request) string {
	if c.URL == "" {
		return ""
	}
	called := c.URL
	if r.Path != "/" {
		called = strings.TrimSuffix(called, "/") + r.Path
	}
	if r.Query != "" {
		called += "?" + r.Query
	}
	return called
}

// stored leaves out what carries the secret, by its configured name. The headers
// that the handler reads stay, whatever they are called.
func stored(r *events.Request, c Config) *events.Request {
	kept := r.Redacted()
	for _, source := range []open.Source{c.Event, c.ID, c.Key} {
		if value := r.Header.Values(source.Header); source.Header != "" && len(value) > 0 {
			kept.Header[http.CanonicalHeaderKey(source.Header)] = value
		}
	}
	kept.Header.Del(c.secretHeader())
	if c.SharedSecret.Query != "" {
		kept.Query = strings.Join(slices.DeleteFunc(strings.Split(r.Query, "&"), func(pair string) bool {
			name, _, _ := strings.Cut(pair, "=")
			unescaped, err := url.QueryUnescape(name)
			return err != nil || unescaped == c.SharedSecret.Query
		}), "&")
	}
	return kept
}

// challenge answers the sender's question. It is verified like any request.
func challenge(r *events.Request, c Config) (*events.Response, bool) {
	body, err := open.Read(r)
	if err != nil || c.Handshake == (Handshake{}) || c.Handshake.Field.In(body) != c.Handshake.Value {
		return nil, false
	}
	answer := c.Handshake.Answer.In(body)
	if answer == "" {
		return nil, false
	}
	return &events.Response{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(answer)}, true
}
