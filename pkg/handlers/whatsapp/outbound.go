package whatsapp

import (
	"context"
	"errors"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
)

// outbound is a message as the API takes it; the field of its type is set.
type outbound struct {
	Product       string       `json:"messaging_product"`
	RecipientType string       `json:"recipient_type"`
	To            string       `json:"to,omitempty"`        // a phone number
	Recipient     string       `json:"recipient,omitempty"` // or a user id
	Context       *replied     `json:"context,omitempty"`
	Type          string       `json:"type"`
	Text          *outText     `json:"text,omitempty"`
	Image         *outMedia    `json:"image,omitempty"`
	Audio         *outMedia    `json:"audio,omitempty"`
	Video         *outMedia    `json:"video,omitempty"`
	Document      *outMedia    `json:"document,omitempty"`
	Location      *outLocation `json:"location,omitempty"`
	Interactive   *interactive `json:"interactive,omitempty"`
	Template      *outTemplate `json:"template,omitempty"`
	Reaction      *outReaction `json:"reaction,omitempty"`
}

type replied struct {
	MessageID string `json:"message_id"`
}

type outText struct {
	Body       string `json:"body"`
	PreviewURL bool   `json:"preview_url,omitempty"`
}

type outMedia struct {
	ID       string `json:"id,omitempty"`
	Link     string `json:"link,omitempty"`
	Caption  string `json:"caption,omitempty"`
	Filename string `json:"filename,omitempty"`
}

type outLocation struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
	Address   string  `json:"address,omitempty"`
}

type outReaction struct {
	MessageID string `json:"message_id"`
	Emoji     string `json:"emoji"`
}

// addressed is a message to somebody: by number where it is known, as Meta
// advises, else by user id.
func (m outbound) addressed(phone, userID string) outbound {
	m.Product, m.RecipientType = "whatsapp", "individual"
	if m.To = phone; phone == "" {
		m.Recipient = userID
	}
	return m
}

// Progress is how much of a message that takes several of WhatsApp's is sent.
type Progress struct {
	MessageID string   `json:"messageId"`
	Sent      []string `json:"sent"` // WhatsApp's ids, in order
}

// progress is of the last such message of each conversation: they are sent one
// after another.
var progress = client.DefineConversationState[Progress]("progress")

// deliver sends all that a message takes, in order, and acks it with the id of
// the last one, whose receipts are then the message's. What an earlier attempt
// sent is not sent again; only when it died, or the answer was lost, between
// WhatsApp's taking a part and its being noted, that part comes twice.
func deliver[M any](ctx context.Context, p handlers.MessageProps[Config, M], parts []outbound) error {
	phone, userID := p.Conversation.Tags[tagPhone], p.Conversation.Tags[tagUserID]
	if phone == "" && userID == "" {
		return handlers.Permanent(handlers.NewRuntimeError(
			"the conversation has neither the tag "+tagPhone+" nor "+tagUserID+": nobody to send it to", nil))
	}
	if len(parts) == 0 {
		return handlers.Permanent(handlers.NewRuntimeError("the message is empty: WhatsApp takes none without content", nil))
	}
	done := Progress{MessageID: p.Message.ID}
	if len(parts) > 1 {
		known, err := progress.Get(ctx, p.Client, p.Conversation.ID)
		if err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if known.MessageID == p.Message.ID && len(known.Sent) < len(parts) {
			done = known
		}
	}
	if id := p.Message.Tags[tagReplyTo]; id != "" {
		parts[0].Context = &replied{id}
	}
	for {
		at := len(done.Sent)
		id, err := post(ctx, p.Props, parts[at].addressed(phone, userID))
		if err != nil {
			return err
		}
		if at == len(parts)-1 {
			return p.Ack(ctx, client.Tags{tagMessage: id})
		}
		done.Sent = append(done.Sent, id)
		if err := progress.Set(ctx, p.Client, p.Conversation.ID, done); err != nil {
			return err
		}
	}
}
