package generic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// SharedSecret is where the secret itself comes along: in a header, behind a
// prefix such as "Bearer ", or in the URL's query. It proves who sent a request,
// not that nobody changed it.
type SharedSecret struct {
	Header string `json:"header,omitempty"`
	Prefix string `json:"prefix,omitempty"`
	Query  string `json:"query,omitempty"`
}

// Handshake is a question of the sender's: a body whose Field has Value is
// answered with the text that Answer leads to.
type Handshake struct {
	Field  open.Path `json:"field"`
	Value  string    `json:"value"`
	Answer open.Path `json:"answer"`
}

const fiveMinutes = signature.Duration(5 * time.Minute)

// UnmarshalJSON refuses what could verify nothing, or would find nothing.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config
	if err := json.Unmarshal(data, (*plain)(c)); err != nil {
		return err
	}
	if c.Signature.Timestamp != (signature.Timestamp{}) && c.Signature.Tolerance == (signature.Tolerance{}) {
		c.Signature.Tolerance = signature.Tolerance{Past: fiveMinutes, Future: fiveMinutes}
	}
	for _, check := range []func() error{c.checkScheme, c.checkURL, c.checkSources, c.checkHandshake} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkScheme() error {
	scheme, err := c.scheme()
	if err != nil {
		return err
	}
	if _, err := scheme.Verifier(c.Secret.Reveal()...); err != nil {
		return fmt.Errorf("signature or secret: %w", err)
	}
	return nil
}

// scheme is the one scheme that is configured.
func (c *Config) scheme() (signature.Scheme, error) {
	var found []signature.Scheme
	if c.Signature != (signature.Spec{}) {
		found = append(found, c.Signature)
	}
	if c.SharedSecret != (SharedSecret{}) {
		if (c.SharedSecret.Header == "") == (c.SharedSecret.Query == "") {
			return nil, errors.New("sharedSecret: name the header or the query parameter that carries the secret, one of the two")
		}
		found = append(found, c.SharedSecret.scheme())
	}
	if c.Platform != "" {
		scheme, ok := signature.Named(c.Platform)
		if !ok {
			return nil, fmt.Errorf("platform: %q is not known: use one of %s, or describe its signature", c.Platform, strings.Join(signature.Names(), ", "))
		}
		found = append(found, scheme)
	}
	if len(found) != 1 {
		return nil, errors.New("say in one way how requests are verified: signature (how they are signed), sharedSecret (where the secret comes along) or platform (whose scheme it is)")
	}
	return found[0], nil
}

// inQuery is the header that stands for the query parameter, so that it is
// compared as a header is.
const inQuery = "Query-Parameter"

func (s SharedSecret) scheme() signature.SharedSecret {
	if s.Query != "" {
		return signature.SharedSecret{Header: inQuery, Prefix: s.Prefix}
	}
	return signature.SharedSecret{Header: s.Header, Prefix: s.Prefix}
}

// checkURL wants the URL where it is signed, and only there, so that nobody
// takes it for something that has an effect.
func (c *Config) checkURL() error {
	signed := c.Platform == "twilio" || strings.Contains(c.Signature.Template, "{url}")
	if !signed {
		if c.URL != "" {
			return errors.New("url: the scheme does not sign it: leave it out")
		}
		return nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("url: the scheme signs it: configure this installation's webhook URL as the sender calls it, without a query")
	}
	return nil
}

func (c *Config) checkSources() error {
	for name, source := range map[string]open.Source{"event": c.Event, "id": c.ID, "key": c.Key} {
		if err := source.Validate(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if source.Header != "" && strings.EqualFold(source.Header, c.secretHeader()) {
			return fmt.Errorf("%s: header %s carries the secret or its signature: name another one", name, source.Header)
		}
	}
	return nil
}

// checkHandshake wants a value: with none, every body without the field would be
// taken for the question, and no event told.
func (c *Config) checkHandshake() error {
	if c.Handshake != (Handshake{}) && c.Handshake.Value == "" {
		return errors.New("handshake: value is empty: write what the field has in the sender's question")
	}
	return nil
}

// secretHeader is the header with the secret or the signature, where the
// configuration says which one that is.
func (c *Config) secretHeader() string {
	if c.SharedSecret.Header != "" {
		return c.SharedSecret.Header
	}
	return c.Signature.Header
}
