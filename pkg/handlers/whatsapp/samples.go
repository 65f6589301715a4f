package whatsapp

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// The account and number of the samples and of the fake.
const (
	sampleAccount = "102290129340398"
	sampleNumber  = "15550783881"
	sampleMedia   = "1003383421387256"
)

// object is a JSON object.
type object = map[string]any

var samples = handlers.Samples[Config]{
	"message": incoming("somebody writes a text", "text", func(a handlers.SampleArgs) any { return object{"body": a.Text} }),
	"image": incoming("somebody sends a picture", "image", func(a handlers.SampleArgs) any {
		return object{"id": sampleMedia, "mime_type": "image/jpeg", "sha256": "4654+8g=", "caption": a.Text}
	}),
	"sticker": incoming("somebody sends a sticker", "sticker", func(handlers.SampleArgs) any {
		return object{"id": sampleMedia, "mime_type": "image/webp", "sha256": "4654+8g=", "animated": false}
	}),
	"audio": incoming("somebody sends a voice message", "audio", func(handlers.SampleArgs) any {
		return object{"id": sampleMedia, "mime_type": "audio/ogg; codecs=opus", "sha256": "4654+8g=", "voice": true}
	}),
	"video": incoming("somebody sends a film", "video", func(a handlers.SampleArgs) any {
		return object{"id": sampleMedia, "mime_type": "video/mp4", "sha256": "4654+8g=", "caption": a.Text}
	}),
	"document": incoming("somebody sends a file", "document", func(a handlers.SampleArgs) any {
		return object{"id": sampleMedia, "mime_type": "application/pdf", "sha256": "4654+8g=", "filename": "invoice.pdf", "caption": a.Text}
	}),
	"location": incoming("somebody sends a place", "location", func(a handlers.SampleArgs) any {
		return object{"latitude": 52.3676, "longitude": 4.9041, "name": a.Text, "address": "Prinsengracht 1, Amsterdam"}
	}),
	"contacts": incoming("somebody sends a contact", "contacts", func(a handlers.SampleArgs) any {
		return []object{{
			"name":   object{"formatted_name": a.Text, "first_name": a.Text},
			"phones": []object{{"phone": "+1 650-555-1234", "wa_id": "16505551234", "type": "CELL"}},
		}}
	}),
	"button": incoming("somebody taps a template's button", "button", func(a handlers.SampleArgs) any {
		return object{"text": a.Text, "payload": "payload-1"}
	}),
	"button_reply": incoming("somebody taps a button", "interactive", func(a handlers.SampleArgs) any {
		return object{"type": "button_reply", "button_reply": object{"id": "value-1", "title": a.Text}}
	}),
	"list_reply": incoming("somebody picks from a list", "interactive", func(a handlers.SampleArgs) any {
		return object{"type": "list_reply", "list_reply": object{"id": "value-1", "title": a.Text, "description": ""}}
	}),
	"order": incoming("somebody orders from the catalog", "order", func(a handlers.SampleArgs) any {
		return object{"catalog_id": "194836987003835", "text": a.Text, "product_items": []object{
			{"product_retailer_id": "di9ozbzfi4", "quantity": 2, "item_price": 30, "currency": "USD"},
		}}
	}),
	"reaction": incoming("somebody reacts with an emoji", "reaction", func(handlers.SampleArgs) any {
		return object{"message_id": "wamid.REACTED", "emoji": "👍"}
	}),
	"edit": incoming("somebody edits a message", "edit", func(a handlers.SampleArgs) any {
		return object{"original_message_id": "wamid.EDITED", "message": object{"type": "text", "text": object{"body": a.Text}}}
	}),
	"revoke": incoming("somebody takes a message back", "revoke", func(handlers.SampleArgs) any {
		return object{"original_message_id": "wamid.REVOKED"}
	}),
	"system": incoming("somebody changes their number", "system", func(a handlers.SampleArgs) any {
		return object{"type": "user_changed_number", "wa_id": "16505550199", "body": "User changed from " + phoneOf(a.User) + " to 16505550199"}
	}),
	"unsupported": incoming("somebody sends what WhatsApp does not pass on", "", func(handlers.SampleArgs) any {
		return []object{{"code": 131051, "title": "Message type unknown", "message": "Message type unknown",
			"error_data": object{"details": "Message type is currently not supported."}}}
	}),
	"request_welcome": incoming("somebody opens the chat for the first time", "request_welcome", func(handlers.SampleArgs) any { return nil }),
	"username": {Title: "somebody without a phone number writes", Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		m, who := messageOf(a, "text", object{"body": a.Text}), contactOf(a)
		delete(m, "from")
		delete(who, "wa_id")
		m["from_user_id"], who["user_id"] = "US."+phoneOf(a.User), "US."+phoneOf(a.User)
		return signed(a, c, object{"contacts": []object{who}, "messages": []object{m}})
	}},
	"sent":      status("sent"),
	"delivered": status("delivered"),
	"read":      status("read"),
	"failed":    status("failed"),
	"batch": {Title: "three messages and two statuses in one request", Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		messages, statuses := []object{}, []object{}
		for i := range 3 {
			m := messageOf(a, "text", object{"body": fmt.Sprintf("%s %d", a.Text, i+1)})
			m["id"] = fmt.Sprintf("wamid.%s.%d", a.ID, i+1)
			messages = append(messages, m)
		}
		for _, word := range []string{"sent", "delivered"} {
			statuses = append(statuses, statusOf(a, word))
		}
		return signed(a, c, object{"contacts": []object{contactOf(a)}, "messages": messages, "statuses": statuses})
	}},
	"hub.challenge": {Title: "Meta asks whether the URL is ours", Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		query := url.Values{"hub.mode": {"subscribe"}, "hub.challenge": {a.ID}, "hub.verify_token": {c.VerifyToken[0].Reveal()}}
		return &events.Request{Method: http.MethodGet, Path: "/", Query: query.Encode(), Header: http.Header{}}, nil
	}},
}

// incoming is a message of a type with its content; the type is unsupported, and
// the content its errors, when none is given.
func incoming(title, typ string, content func(handlers.SampleArgs) any) handlers.Sample[Config] {
	return handlers.Sample[Config]{Title: title, Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
		value := object{"messages": []object{messageOf(a, typ, content(a))}}
		if typ != "system" {
			value["contacts"] = []object{contactOf(a)}
		}
		return signed(a, c, value)
	}}
}

func messageOf(a handlers.SampleArgs, typ string, content any) object {
	id := "wamid." + a.ID
	if typ != "text" {
		id += "." + typ // no two messages have the same, whatever they are
	}
	m := object{
		"from": phoneOf(a.User), "id": id, "timestamp": strconv.FormatInt(a.Now.Unix(), 10),
		"type": cmp.Or(typ, "unsupported"),
	}
	if content != nil {
		m[cmp.Or(typ, "errors")] = content
	}
	return m
}

func contactOf(a handlers.SampleArgs) object {
	return object{"profile": object{"name": a.User}, "wa_id": phoneOf(a.User)}
}

func status(word string) handlers.Sample[Config] {
	return handlers.Sample[Config]{
		Title: "a message was " + word + "; its id is the text, if that is a wamid",
		Build: func(a handlers.SampleArgs, c Config) (*events.Request, error) {
			return signed(a, c, object{"statuses": []object{statusOf(a, word)}})
		},
	}
}

func statusOf(a handlers.SampleArgs, word string) object {
	id := "wamid." + a.ID
	if strings.HasPrefix(a.Text, "wamid.") {
		id = a.Text
	}
	s := object{
		"id": id, "status": word, "timestamp": strconv.FormatInt(a.Now.Unix(), 10), "recipient_id": phoneOf(a.User),
	}
	if word == "failed" {
		s["errors"] = []object{{"code": 131047, "title": "Re-engagement message", "message": "Re-engagement message",
			"error_data": object{"details": "Message failed to send because more than 24 hours have passed since the customer last replied to this number."}}}
		return s
	}
	s["conversation"] = object{"id": "7270432eae37498234f4444b35ffc5", "origin": object{"type": "service"}}
	s["pricing"] = object{"billable": true, "pricing_model": "PMP", "category": "service"}
	return s
}

// phoneOf is a number for anybody: their own, if they are called by it.
func phoneOf(user string) string {
	if number := digits(user); len(number) >= 7 {
		return number
	}
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(user))
	return fmt.Sprintf("1555%07d", sum.Sum32()%10_000_000)
}

func signed(a handlers.SampleArgs, c Config, value object) (*events.Request, error) {
	value["messaging_product"] = "whatsapp"
	value["metadata"] = object{"display_phone_number": sampleNumber, "phone_number_id": c.PhoneNumberID}
	encoded, err := json.Marshal(object{"object": objectType, "entry": []object{{
		"id": sampleAccount, "changes": []object{{"field": fieldMessages, "value": value}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("encode sample: %w", err)
	}
	message := signature.Message{Header: http.Header{"Content-Type": {"application/json"}}, Body: escaped(encoded)}
	if err := signature.Meta.Sign(&message, c.AppSecret[0].Reveal(), a.Now); err != nil {
		return nil, fmt.Errorf("sign sample: %w", err)
	}
	return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
}

// escaped writes JSON as Meta does, with all that is not ASCII as \uXXXX in lower
// case, which is what it signs.
func escaped(encoded []byte) []byte {
	var out strings.Builder
	for _, r := range string(encoded) {
		if r < 0x80 {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return []byte(out.String())
}
