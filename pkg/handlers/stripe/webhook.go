package stripe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

func verify(r *events.Request, configuration Config, now time.Time) error {
	return signature.Verify(signature.Stripe, configuration.SigningSecret.Reveal(), signature.Message{Header: r.Header, Body: r.Body}, now)
}

// thin is what "object" says of an event of Stripe's newer kind.
const thin = "v2.core.event"

// wire is what Stripe sends, of either kind.
type wire struct {
	ID         string          `json:"id"`
	Object     string          `json:"object"`
	Type       string          `json:"type"`
	Created    json.RawMessage `json:"created"` // seconds, or RFC 3339 in a thin event
	Livemode   bool            `json:"livemode"`
	APIVersion string          `json:"api_version"`
	Account    string          `json:"account"`
	Context    string          `json:"context"` // the account, in a thin event
	Data       json.RawMessage `json:"data"`
	Related    *struct {
		ID   string `json:"id"`
		Type string `json:"type"`
	} `json:"related_object"`
}

// maxEvent bounds what a bot is told, in bytes: no payload is larger than
// 128 KiB.
const maxEvent = 120 << 10

// parse reads an event, and the object that it is about out of its data.
func parse(body []byte) (Event, error) {
	var w wire
	if err := json.Unmarshal(body, &w); err != nil {
		return Event{}, fmt.Errorf("decode body: %w", err)
	}
	if w.ID == "" || w.Type == "" {
		return Event{}, errors.New("id or type is missing: Stripe's events have them")
	}
	created, err := seconds(w.Created)
	if err != nil {
		return Event{}, err
	}
	e := Event{
		ID: w.ID, Type: w.Type, Created: created, Livemode: w.Livemode, Data: w.Data,
		Account: cmp.Or(w.Account, w.Context), APIVersion: w.APIVersion, Thin: w.Object == thin,
	}
	var about struct {
		Object struct {
			ID     string `json:"id"`
			Object string `json:"object"`
		} `json:"object"`
	}
	_ = json.Unmarshal(w.Data, &about) // objects without an id, such as a balance, stay without
	e.ObjectID, e.ObjectType = about.Object.ID, about.Object.Object
	if w.Related != nil {
		e.ObjectID, e.ObjectType = w.Related.ID, w.Related.Type
	}
	if len(e.Data) == 0 || string(e.Data) == "null" {
		e.Data = json.RawMessage("{}")
	}
	// Measured as it travels: "<" takes six bytes there.
	encoded, err := json.Marshal(e)
	if err != nil {
		return Event{}, fmt.Errorf("encode event: %w", err)
	}
	if len(encoded) > maxEvent {
		e.Data, e.Thin = json.RawMessage("{}"), true
	}
	return e, nil
}

// seconds reads a time in either of Stripe's forms.
func seconds(raw json.RawMessage) (int64, error) {
	var at time.Time
	if len(raw) > 0 && raw[0] == '"' {
		if err := json.Unmarshal(raw, &at); err != nil {
			return 0, fmt.Errorf("decode created: %w", err)
		}
		return at.Unix(), nil
	}
	number, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0, errors.New("decode created: it is neither seconds nor a time")
	}
	return number, nil
}

// split finds the event's id, which is the same in each of Stripe's retries, and
// the object that it is about. Stripe promises no order; of one object, what
// comes in order stays in it.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	e, err := parse(r.Body)
	if err != nil {
		return nil, err
	}
	return []handlers.Part{{ID: e.ID, Key: e.ObjectID}}, nil
}

func handle(ctx context.Context, p handlers.WebhookProps[Config]) (*events.Response, error) {
	e, err := parse(p.Req.Body)
	if err != nil {
		return nil, handlers.Permanent(fmt.Errorf("read Stripe's event: %w", err))
	}
	return nil, EventReceived.Fire(ctx, p.Client, e)
}

// register says what to do by hand: there is no API key to do it with.
func register(_ context.Context, p handlers.RegisterProps[Config]) error {
	p.Logger.ForBot().Info("add " + p.WebhookURL + " as a webhook endpoint in Stripe's settings, and configure the signing secret that it shows there")
	return nil
}
