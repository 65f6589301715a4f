package standardwebhooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/signature"
)

// object is a JSON object.
type object = map[string]any

// The conversation of a sample stands for what it is about.
var samples = handlers.Samples[Config]{
	"event": {Title: "something happened", Build: func(a handlers.SampleArgs, configuration Config) (*events.Request, error) {
		content := object{
			"type": "contact.created", "timestamp": a.Now.UTC().Format(time.RFC3339),
			"data": object{"id": a.Conversation, "name": a.User, "note": a.Text},
		}
		configuration.Event.Put(content, "contact.created")
		if configuration.Key != "" {
			configuration.Key.Put(content, a.Conversation)
		}
		body, err := json.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("encode sample: %w", err)
		}
		message := signature.Message{Header: http.Header{"Content-Type": {"application/json"}, "Webhook-Id": {"msg_" + a.ID}}, Body: body}
		for _, secret := range configuration.Secret.Reveal() {
			if strings.HasPrefix(secret, "whpk_") {
				continue
			}
			if err := scheme.Sign(&message, secret, a.Now); err != nil {
				return nil, fmt.Errorf("sign sample: %w", err)
			}
			return &events.Request{Method: http.MethodPost, Path: "/", Header: message.Header, Body: message.Body}, nil
		}
		return nil, errors.New("a public key verifies and cannot sign: add a secret, whsec_, of your own to the list for as long as you try")
	}},
}
