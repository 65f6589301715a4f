// Package open reads webhooks whose content nobody has described: what they are
// about is found by paths and headers that a configuration names, and the rest
// is handed to bots as it came.
package open

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
)

// EventReceived tells of anything that was sent. There is one event for all: a
// bot is told of none but declared ones, and what a sender sends is its own
// business. The bot goes by the type.
var EventReceived = events.Define[Event]("eventReceived")

// Event is what a sender sent.
type Event struct {
	ID   string `json:"id,omitempty"`   // the sender's own, where it has one
	Type string `json:"type,omitempty"` // as the sender calls it, such as "invoice.paid"
	// Payload is the body, digit by digit; a form is an object of its fields. It
	// is null when the event would be larger than 120 KiB with it, and Omitted is
	// true.
	Payload json.RawMessage `json:"payload"`
	Omitted bool            `json:"omitted"`
}

// maxEvent bounds what a bot is told, in bytes: no payload is larger than
// 128 KiB.
const maxEvent = 120 << 10

// Fire fires the event for a body that was read.
func Fire(ctx context.Context, c *client.Client, id, typ string, body Content) error {
	e := Event{ID: id, Type: typ, Payload: body.json}
	// Measured as it travels: "<" takes six bytes there.
	encoded, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if len(encoded) > maxEvent {
		e.Payload, e.Omitted = json.RawMessage("null"), true
	}
	return EventReceived.Fire(ctx, c, e)
}

// Content is a body that was read.
type Content struct {
	json  json.RawMessage
	value any
}

// Read reads a body: JSON, or a form, which becomes an object of its fields,
// with a list for each that is there several times.
func Read(r *events.Request) (Content, error) {
	raw := json.RawMessage(r.Body)
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what is none is JSON
	if media == "application/x-www-form-urlencoded" {
		form, err := url.ParseQuery(string(r.Body))
		if err != nil {
			return Content{}, errors.New("the body is no form, though its content type says so")
		}
		fields := map[string]any{}
		for name, values := range form {
			fields[name] = values
			if len(values) == 1 {
				fields[name] = values[0]
			}
		}
		if raw, err = json.Marshal(fields); err != nil {
			return Content{}, fmt.Errorf("encode form: %w", err)
		}
	}
	value, err := decode(raw)
	return Content{raw, value}, err
}

// longest is how long a name may be, in bytes.
const longest = 256

// name is a text that is fit to be an id, a key or a type: one that is too long
// for that is told by its hash.
func name(text string) string {
	if len(text) <= longest {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}
