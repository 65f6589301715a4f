package generic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/open"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// object is a JSON object.
type object = map[string]any

// The conversation of a sample stands for what it is about.
var samples = handlers.Samples[Config]{
	"event": {Title: "something happened", Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		header, content := c.sample(a)
		return c.sign(a.Now, header, content)
	}},
	"handshake": {Title: "the sender asks whether this is the place; an event where no handshake is configured", Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		header, content := c.sample(a)
		if c.Handshake != (Handshake{}) {
			c.Handshake.Answer.Put(content, a.ID)
			c.Handshake.Field.Put(content, c.Handshake.Value)
		}
		return c.sign(a.Now, header, content)
	}},
}

func (c *Config) sample(a handlers.SampleArgs) (http.Header, object) {
	header, content := http.Header{}, object{"id": a.ID, "about": a.Conversation, "by": a.User, "note": a.Text}
	put(c.Event, header, content, "sample.created")
	put(c.ID, header, content, a.ID)
	put(c.Key, header, content, a.Conversation)
	return header, content
}

func put(source open.Source, header http.Header, content object, value string) {
	switch {
	case source.Header != "":
		header.Set(source.Header, value)
	case source.Field != "":
		source.Field.Put(content, value)
	}
}

// sign makes a request as the configuration says that the sender makes them.
func (c *Config) sign(at time.Time, header http.Header, content object) (*events.Request, error) {
	if path := c.Signature.Timestamp.BodyPath; path != "" {
		var placeholder any = 0
		if c.Signature.Timestamp.Unit == signature.RFC3339 {
			placeholder = ""
		}
		open.Path(path).Put(content, placeholder)
	}
	body, err := json.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("encode sample: %w", err)
	}
	scheme, err := c.scheme()
	if err != nil {
		return nil, err
	}
	header.Set("Content-Type", "application/json")
	message := signature.Message{Header: header, Body: body, URL: c.URL}
	if err := scheme.Sign(&message, c.Secret[0].Reveal(), at); err != nil {
		return nil, fmt.Errorf("sign sample: %w", err)
	}
	r := &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}
	if c.URL != "" {
		called, err := url.Parse(message.URL)
		if err != nil {
			return nil, errors.New("sign sample: the signed URL is none")
		}
		r.Query = called.RawQuery
	}
	if c.SharedSecret.Query != "" {
		r.Query = url.Values{c.SharedSecret.Query: {header.Get(inQuery)}}.Encode()
		header.Del(inQuery)
	}
	if err := verify(r, *c, at); err != nil {
		return nil, fmt.Errorf("the secret verifies what the sender signs and cannot sign itself: %w", err)
	}
	return r, nil
}
