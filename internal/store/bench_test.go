package store_test

import (
	"encoding/json"
	"testing"

	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// BenchmarkEffects measures what a handler's calls cost with every write
// flushed to the disk, one after the other.
func BenchmarkEffects(b *testing.B) {
	s, err := store.Open(b.Context(), brokertest.Start(b).Connect(b))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Apply(b.Context(), desired(), nil); err != nil {
		b.Fatal(err)
	}
	c := as(s, slack, "dlv_1")
	conversation, err := c.GetOrCreateConversation(b.Context(), client.GetOrCreateConversationInput{Channel: "c"})
	if err != nil {
		b.Fatal(err)
	}
	user, err := c.GetOrCreateUser(b.Context(), client.GetOrCreateUserInput{})
	if err != nil {
		b.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"getOrCreateUser of one that exists": func() error {
			_, err := c.GetOrCreateUser(b.Context(), client.GetOrCreateUserInput{})
			return err
		},
		"createEvent": func() error {
			_, err := c.CreateEvent(b.Context(), client.CreateEventInput{Type: "x", Payload: json.RawMessage(`{}`)})
			return err
		},
		"createMessage": func() error {
			_, err := c.CreateMessage(b.Context(), text(conversation.Conversation.ID, user.User.ID, "hello"))
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
