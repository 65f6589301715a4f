package whatsapp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// objectType is what Meta's webhooks of WhatsApp are about; the same app's
// other products send other objects.
const objectType = "whatsapp_business_account"

// fieldMessages is the subscription that carries messages and their statuses.
const fieldMessages = "messages"

// envelope is everything that Meta posts at once, as far as it is taken apart.
type envelope struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

type entry struct {
	ID      string   `json:"id"`
	Time    int64    `json:"time,omitempty"`
	Changes []change `json:"changes"`
}

type change struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// news is the value of a change of the field messages.
type news struct {
	Product  string            `json:"messaging_product,omitempty"`
	Metadata metadata          `json:"metadata"`
	Contacts []contact         `json:"contacts,omitempty"`
	Messages []json.RawMessage `json:"messages,omitempty"`
	Statuses []json.RawMessage `json:"statuses,omitempty"`
	Errors   []fault           `json:"errors,omitempty"`
}

type metadata struct {
	DisplayPhoneNumber string `json:"display_phone_number,omitempty"`
	PhoneNumberID      string `json:"phone_number_id,omitempty"`
}

type contact struct {
	Profile struct {
		Name     string `json:"name,omitempty"`
		Username string `json:"username,omitempty"`
	} `json:"profile,omitzero"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

// fault is an error in a webhook.
type fault struct {
	Code    int    `json:"code"`
	Title   string `json:"title,omitempty"`
	Message string `json:"message,omitempty"`
	Data    struct {
		Details string `json:"details,omitempty"`
	} `json:"error_data,omitzero"`
}

func (f fault) String() string {
	return fmt.Sprintf("%s (%d)", cmp.Or(f.Data.Details, f.Message, f.Title, "no reason given"), f.Code)
}

// head is what a message or a status is told from others by.
type head struct {
	ID         string `json:"id"`
	From       string `json:"from"`
	FromUserID string `json:"from_user_id"`
	// Of a status.
	Status          string `json:"status"`
	RecipientID     string `json:"recipient_id"`
	RecipientUserID string `json:"recipient_user_id"`
}

// person is the phone number and the id of whom a message or status is about.
func (h head) person() person {
	return person{Phone: cmp.Or(h.From, h.RecipientID), UserID: cmp.Or(h.FromUserID, h.RecipientUserID)}
}

// about returns the person with what the contacts say of them.
func (n news) about(h head) person {
	p := h.person()
	if all := n.contactsOf(h); len(all) == 1 {
		p.UserID, p.Phone = cmp.Or(p.UserID, all[0].UserID), cmp.Or(p.Phone, all[0].WaID)
		p.Name, p.Username = all[0].Profile.Name, all[0].Profile.Username
	}
	return p
}

// unixTime reads Meta's timestamps, which are seconds in a string; the zero time
// for what is none.
type unixTime struct{ time.Time }

// UnmarshalJSON takes a number too.
func (t *unixTime) UnmarshalJSON(data []byte) error {
	text := string(data)
	var quoted string
	if json.Unmarshal(data, &quoted) == nil {
		text = quoted
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 && seconds < 1<<40 {
		t.Time = time.Unix(seconds, 0).UTC()
	}
	return nil
}
