package whatsapp

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// message is an incoming message of any type; the field of its type is set.
type message struct {
	ID        string   `json:"id"`
	Type      string   `json:"type"`
	Timestamp unixTime `json:"timestamp"`
	Context   struct {
		ID string `json:"id"`
	} `json:"context"`
	Referral *Referral `json:"referral"`
	Errors   []fault   `json:"errors"`

	Text struct {
		Body string `json:"body"`
	} `json:"text"`
	Image    medium `json:"image"`
	Sticker  medium `json:"sticker"`
	Audio    medium `json:"audio"`
	Video    medium `json:"video"`
	Document medium `json:"document"`
	Location struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
		Name      string  `json:"name"`
		Address   string  `json:"address"`
	} `json:"location"`
	Contacts json.RawMessage `json:"contacts"`
	Button   struct {
		Text    string `json:"text"`
		Payload string `json:"payload"`
	} `json:"button"`
	Interactive struct {
		Type   string `json:"type"`
		Button reply  `json:"button_reply"`
		List   reply  `json:"list_reply"`
		Form   struct {
			Body     string `json:"body"`
			Response string `json:"response_json"`
		} `json:"nfm_reply"`
	} `json:"interactive"`
	Order    json.RawMessage `json:"order"`
	Reaction Reaction        `json:"reaction"`
	System   struct {
		Type   string `json:"type"`
		WaID   string `json:"wa_id"`
		UserID string `json:"user_id"`
	} `json:"system"`
	Edit struct {
		OriginalID string   `json:"original_message_id"`
		Message    *message `json:"message"`
	} `json:"edit"`
	Revoke struct {
		OriginalID string `json:"original_message_id"`
	} `json:"revoke"`
}

type reply struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Reaction is the payload of a message of type "reaction", in and out: an emoji
// put on a message, named by WhatsApp's id. Without an emoji it takes the
// reaction away.
type Reaction struct {
	MessageID string `json:"messageId"`
	Emoji     string `json:"emoji,omitempty"`
}

// MessageType is "reaction".
func (Reaction) MessageType() string { return "reaction" }

// UnmarshalJSON takes WhatsApp's name of the field, too.
func (r *Reaction) UnmarshalJSON(data []byte) error {
	var in struct {
		MessageID string `json:"messageId"`
		Meta      string `json:"message_id"`
		Emoji     string `json:"emoji"`
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	*r = Reaction{MessageID: cmp.Or(in.MessageID, in.Meta), Emoji: in.Emoji}
	return nil
}

// said is an events.Text with what stands behind it: the value of the button or
// row that was chosen, the answers of a form, contacts or an order as WhatsApp
// sends them.
type said struct {
	events.Text
	Value    string          `json:"value,omitempty"`
	Contacts json.RawMessage `json:"contacts,omitempty"`
	Order    json.RawMessage `json:"order,omitempty"`
}

// contentOf is what a message says, in the words of package events; the type is
// empty for one that is not known.
func contentOf(ctx context.Context, p handlers.WebhookProps[Config], m message) (typ string, payload any, err error) {
	media := func(typ, field string, one medium) (string, any, error) {
		found, err := locate(ctx, p, one)
		return typ, found.payload(field), err
	}
	text := func(s said) (string, any, error) { return s.MessageType(), s, nil }
	switch m.Type {
	case "text":
		return text(said{Text: events.Text{Text: m.Text.Body}})
	case "image":
		return media("image", "imageUrl", m.Image)
	case "sticker":
		return media("image", "imageUrl", m.Sticker)
	case "audio":
		return media("audio", "audioUrl", m.Audio)
	case "video":
		return media("video", "videoUrl", m.Video)
	case "document":
		return media("file", "fileUrl", m.Document)
	case "location":
		l := m.Location
		return "location", events.Location{Latitude: l.Latitude, Longitude: l.Longitude, Title: l.Name, Address: l.Address}, nil
	case "contacts":
		return text(said{Text: events.Text{Text: describeContacts(m.Contacts)}, Contacts: m.Contacts})
	case "button":
		return text(said{Text: events.Text{Text: m.Button.Text}, Value: m.Button.Payload})
	case "interactive":
		i := m.Interactive
		chosen := reply{cmp.Or(i.Button.ID, i.List.ID, i.Form.Response), cmp.Or(i.Button.Title, i.List.Title, i.Form.Body)}
		return text(said{Text: events.Text{Text: cmp.Or(chosen.Title, chosen.ID)}, Value: chosen.ID})
	case "order":
		return text(said{Text: events.Text{Text: describeOrder(m.Order)}, Order: m.Order})
	case "reaction":
		return m.Reaction.MessageType(), m.Reaction, nil
	}
	return "", nil, nil
}

// describeContacts writes each contact on a line: the name and the numbers.
func describeContacts(raw json.RawMessage) string {
	var all []struct {
		Name struct {
			Formatted string `json:"formatted_name"`
			First     string `json:"first_name"`
		} `json:"name"`
		Phones []struct {
			Phone string `json:"phone"`
			WaID  string `json:"wa_id"`
		} `json:"phones"`
	}
	if json.Unmarshal(raw, &all) != nil || len(all) == 0 {
		return "Contact"
	}
	lines := make([]string, 0, len(all))
	for _, one := range all {
		words := []string{cmp.Or(one.Name.Formatted, one.Name.First, "Contact")}
		for _, number := range one.Phones {
			words = append(words, cmp.Or(number.Phone, number.WaID))
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, "\n")
}

// describeOrder writes what was ordered, an item on a line behind the words that
// came with it.
func describeOrder(raw json.RawMessage) string {
	var order struct {
		Text  string `json:"text"`
		Items []struct {
			Product  string      `json:"product_retailer_id"`
			Quantity json.Number `json:"quantity"`
			Price    json.Number `json:"item_price"`
			Currency string      `json:"currency"`
		} `json:"product_items"`
	}
	if json.Unmarshal(raw, &order) != nil {
		return "Order"
	}
	lines := []string{cmp.Or(order.Text, "Order")}
	for _, item := range order.Items {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s × %s %s %s", item.Quantity, item.Product, item.Price, item.Currency)))
	}
	return strings.Join(lines, "\n")
}
