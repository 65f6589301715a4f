package whatsapp

import (
	"context"
	"net/http"
	"strings"

	"github.com/towpath/towpath/pkg/handlers"
)

// Template is the payload of a message of type "template": one that Meta has
// approved, which may be sent at any time. Parameters fill the body's {{1}},
// {{2}}, …; Components are whatever else the template takes, as Meta documents
// it, such as a header's picture or a button's payload.
type Template struct {
	Name       string           `json:"name"`
	Language   string           `json:"language"` // "en_US"
	Parameters []string         `json:"parameters,omitempty"`
	Components []map[string]any `json:"components,omitempty"`
}

// MessageType is "template".
func (Template) MessageType() string { return "template" }

type outTemplate struct {
	Name       string           `json:"name"`
	Language   language         `json:"language"`
	Components []map[string]any `json:"components,omitempty"`
}

type language struct {
	Code string `json:"code"`
}

func template(m Template) ([]outbound, error) {
	if m.Name == "" || m.Language == "" {
		return nil, impossible("template: name and language are required, such as hello_world and en_US")
	}
	components := m.Components
	if len(m.Parameters) > 0 {
		parameters := make([]map[string]any, 0, len(m.Parameters))
		for _, one := range m.Parameters {
			parameters = append(parameters, map[string]any{"type": "text", "text": one})
		}
		components = append([]map[string]any{{"type": "body", "parameters": parameters}}, components...)
	}
	return []outbound{{Type: "template", Template: &outTemplate{m.Name, language{m.Language}, components}}}, nil
}

// SendTemplate is the input of the action sendTemplate: to whom, by number or by
// user id, and what.
type SendTemplate struct {
	UserPhone string `json:"userPhone,omitempty"` // with country code
	UserID    string `json:"userId,omitempty"`
	Template
}

// TemplateSent is the output of the action sendTemplate: WhatsApp's id of the
// message, and the conversation in which an answer will come.
type TemplateSent struct {
	MessageID      string `json:"messageId"`
	ConversationID string `json:"conversationId"`
}

func sendTemplate(ctx context.Context, p handlers.ActionProps[Config, SendTemplate]) (TemplateSent, error) {
	who := person{Phone: digits(p.Input.UserPhone), UserID: p.Input.UserID}
	if who.key() == "" {
		return TemplateSent{}, impossible("sendTemplate: userPhone or userId is required")
	}
	parts, err := template(p.Input.Template)
	if err != nil {
		return TemplateSent{}, err
	}
	// The conversation comes first: when it failed after the sending, a retry
	// would send twice.
	conversation, err := conversations(p.Client).find(ctx, who)
	if err != nil {
		return TemplateSent{}, err
	}
	id, err := post(ctx, p.Props, parts[0].addressed(who.Phone, who.UserID))
	if err != nil {
		return TemplateSent{}, err
	}
	p.Metadata.SetCost(1)
	return TemplateSent{MessageID: id, ConversationID: conversation.id}, nil
}

// digits is a phone number as WhatsApp writes it: "+1 (650) 555-1234" is
// 16505551234.
func digits(number string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
}

// MarkAsRead is the input of the action markAsRead: WhatsApp's id of an incoming
// message. Typing shows for up to 25 seconds that an answer is being written.
type MarkAsRead struct {
	MessageID string `json:"messageId"`
	Typing    bool   `json:"typing,omitempty"`
}

// Marked is the output of the action markAsRead.
type Marked struct{}

func markAsRead(ctx context.Context, p handlers.ActionProps[Config, MarkAsRead]) (Marked, error) {
	type indicator struct {
		Type string `json:"type"`
	}
	in := struct {
		Product   string     `json:"messaging_product"`
		Status    string     `json:"status"`
		MessageID string     `json:"message_id"`
		Typing    *indicator `json:"typing_indicator,omitempty"`
	}{Product: "whatsapp", Status: "read", MessageID: p.Input.MessageID}
	if p.Input.Typing {
		in.Typing = &indicator{"text"}
	}
	return Marked{}, api(p.Props).Do(ctx, http.MethodPost, number(p.Props)+"/messages", in, nil)
}
