package events

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"strings"
)

// Request is one HTTP request of a platform, as its webhook handler sees it.
type Request struct {
	Method string // "POST", "GET"
	Path   string // below the webhook's URL, "/" at its root
	Query  string // raw, without "?"
	Header http.Header
	Body   []byte // the raw bytes that were signed, or one part of them
}

// storedRequest is Botpress's shape of a request: one string a header, names
// in lower case. A body that is no UTF-8, which a JSON string cannot carry,
// goes into bodyBase64 instead.
type storedRequest struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Query      string            `json:"query"`
	Headers    map[string]string `json:"headers"`
	Body       *string           `json:"body,omitempty"`
	BodyBase64 string            `json:"bodyBase64,omitempty"`
}

// MarshalJSON writes the request, whole, in the shape that is stored and that
// remote integrations are sent. A stored request has the headers that carry
// secrets when its handler verifies it, so whoever shows one to people shows
// what [Request.Redacted] returns.
func (r *Request) MarshalJSON() ([]byte, error) {
	stored := storedRequest{Method: r.Method, Path: r.Path, Query: r.Query, Headers: map[string]string{}}
	for name, values := range r.Header {
		stored.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	stored.Body, stored.BodyBase64 = storedBody(r.Body)
	return json.Marshal(stored)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (r *Request) UnmarshalJSON(data []byte) error {
	var stored storedRequest
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	*r = Request{Method: stored.Method, Path: stored.Path, Query: stored.Query, Header: http.Header{}}
	for name, value := range stored.Headers {
		r.Header.Set(name, value)
	}
	var err error
	r.Body, err = bodyOf(stored.Body, stored.BodyBase64)
	return err
}

// Redacted returns a copy without the headers that carry secrets, for storing
// a request that was verified before, and for showing any to people. It shares
// the body with the original.
func (r *Request) Redacted() *Request {
	redacted := *r
	redacted.Header = maps.Clone(r.Header)
	maps.DeleteFunc(redacted.Header, func(name string, _ []string) bool { return SecretHeader(name) })
	return &redacted
}

var secretHeader = regexp.MustCompile(`(?i)authorization|cookie|token|secret|password|api-?key|signature|hmac`)

// SecretHeader tells whether a header's value is a secret or proves one, and
// must not be shown. It goes by words in the name, so that a platform nobody has thought of yet is
// covered too.
func SecretHeader(name string) bool { return secretHeader.MatchString(name) }

// Webhook is the data of a webhook_received operation.
type Webhook struct {
	Req *Request `json:"req"`
}
