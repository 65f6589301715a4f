package whatsapp

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// verify holds what is posted to the app's signature. A GET is never signed and
// never stored: challenge answers each one, and holds it to the verify token.
func verify(r *events.Request, configuration Config, now time.Time) error {
	if r.Method == http.MethodGet {
		return nil
	}
	verifier, err := signature.Meta.Verifier(configuration.AppSecret.Reveal()...)
	if err != nil {
		return err
	}
	return verifier.Verify(signature.Message{Header: r.Header, Body: r.Body}, now)
}

// challenge answers every GET: the challenge to whoever knows the verify token,
// as Meta does when a webhook is set, and 403 to everybody else.
func challenge(r *events.Request, configuration Config) (*events.Response, bool) {
	if r.Method != http.MethodGet {
		return nil, false
	}
	text := http.Header{"Content-Type": {"text/plain"}}
	query, err := url.ParseQuery(r.Query)
	if err != nil || query.Get("hub.mode") != "subscribe" || query.Get("hub.challenge") == "" ||
		!isOneOf(query.Get("hub.verify_token"), configuration.VerifyToken.Reveal()) {
		return &events.Response{Status: http.StatusForbidden, Header: text, Body: []byte("the verify token is not ours\n")}, true
	}
	return &events.Response{Status: http.StatusOK, Header: text, Body: []byte(query.Get("hub.challenge"))}, true
}

// isOneOf compares hashes, so that the time taken tells neither the secrets nor
// their length.
func isOneOf(given string, secrets []string) bool {
	sum, equal := sha256.Sum256([]byte(given)), 0
	for _, secret := range secrets {
		one := sha256.Sum256([]byte(secret))
		equal |= subtle.ConstantTimeCompare(sum[:], one[:])
	}
	return equal == 1 && given != ""
}

// split takes a batch apart: each message and each status is a part of its own,
// in Meta's own shape as if it had come alone. A message is known by its id, a
// status by its message's id and what it says. All that is about one person
// stays in order. What is not about messages, or not in a form that is known,
// is a part as it came, so that nothing unknown holds up the rest.
func split(r *events.Request, _ Config) ([]handlers.Part, error) {
	var e envelope
	if err := json.Unmarshal(r.Body, &e); err != nil {
		return nil, fmt.Errorf("decode body: %w", err)
	}
	if e.Object != objectType {
		return nil, fmt.Errorf("object is %.40q and not %q", e.Object, objectType)
	}
	var parts []handlers.Part
	for _, one := range e.Entry {
		for _, c := range one.Changes {
			within := func(id, key string, value any) error {
				part, err := alone(one, c.Field, id, key, value)
				parts = append(parts, part)
				return err
			}
			if err := splitChange(c, within); err != nil {
				return nil, err
			}
		}
	}
	return parts, nil
}

func splitChange(c change, part func(id, key string, value any) error) error {
	var n news
	if c.Field != fieldMessages || json.Unmarshal(c.Value, &n) != nil || len(n.Messages)+len(n.Statuses) == 0 {
		return part("", "", c.Value)
	}
	single := n
	for _, raw := range n.Messages {
		h := headOf(raw)
		single.Messages, single.Statuses, single.Errors = []json.RawMessage{raw}, nil, nil
		single.Contacts = n.contactsOf(h)
		if err := part(h.ID, single.about(h).key(), single); err != nil {
			return err
		}
	}
	for _, raw := range n.Statuses {
		h := headOf(raw)
		single.Messages, single.Statuses, single.Errors = nil, []json.RawMessage{raw}, nil
		single.Contacts = n.contactsOf(h)
		id := ""
		if h.ID != "" {
			id = h.ID + ":" + h.Status
		}
		if err := part(id, single.about(h).key(), single); err != nil {
			return err
		}
	}
	if len(n.Errors) > 0 {
		single.Messages, single.Statuses, single.Contacts, single.Errors = nil, nil, nil, n.Errors
		return part("", "", single)
	}
	return nil
}

// headOf reads what a message or status is told by; what it cannot read stays
// empty, and its part is then known by a hash.
func headOf(raw json.RawMessage) head {
	var h head
	_ = json.Unmarshal(raw, &h)
	return h
}

// contactsOf returns the contact that a message or status is about. A person's
// number is not always their contact's: where there is one of each, they belong
// together.
func (n news) contactsOf(h head) []contact {
	p := h.person()
	for i, one := range n.Contacts {
		if p.UserID != "" && one.UserID == p.UserID || p.Phone != "" && one.WaID == p.Phone {
			return n.Contacts[i : i+1]
		}
	}
	if len(n.Contacts) == 1 && len(n.Messages)+len(n.Statuses) == 1 {
		return n.Contacts
	}
	return nil
}

func alone(e entry, field, id, key string, value any) (handlers.Part, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return handlers.Part{}, fmt.Errorf("encode part: %w", err)
	}
	e.Changes = []change{{Field: field, Value: encoded}}
	body, err := json.Marshal(envelope{Object: objectType, Entry: []entry{e}})
	return handlers.Part{ID: id, Key: key, Body: body}, err
}

// single reads the one change that a part has.
func single(body []byte) (change, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return change{}, err
	}
	if len(e.Entry) != 1 || len(e.Entry[0].Changes) != 1 {
		return change{}, errors.New("it is no single change")
	}
	return e.Entry[0].Changes[0], nil
}

// key is what the things of one person are ordered by.
func (p person) key() string { return cmp.Or(p.UserID, p.Phone) }
