// Package store keeps what integrations and bots share: users, conversations,
// messages, events, states, and the installations themselves. It answers every
// operation of the client package, on nothing but streams and buckets.
//
// Three rules hold it together. What is unique is decided by compare-and-swap
// on one key, so any number of processes may ask at once. What somebody must
// be told of is committed by its stream message, which carries the whole
// entity; the record in a bucket is made from it and can be made again. And an
// effect's id comes from the effect's identity, so doing it again finds what
// was done.
package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// Store answers client calls and keeps installations. It holds no state of its
// own, so any number of them may work on the same NATS.
type Store struct {
	broker *broker.Broker
	now    func() time.Time
	table  map[string]handler
	// looksOnly tells that reads write nothing.
	looksOnly bool

	bots, installations, users, conversations, messages, events, states, seen, usage *broker.Bucket
}

// handler carries out one operation of the table.
type handler func(ctx context.Context, call client.Call, in, out any) error

// bind gives a typed function the form of the table.
func bind[In, Out any](f func(context.Context, client.Call, *In) (*Out, error)) handler {
	return func(ctx context.Context, call client.Call, in, out any) error {
		typedIn, okIn := in.(*In)
		typedOut, okOut := out.(*Out)
		if !okIn || !okOut {
			return fmt.Errorf("%s takes %T and %T, not %T and %T", call.Operation.Name, typedIn, typedOut, in, out)
		}
		answer, err := f(ctx, call, typedIn)
		if err != nil {
			return err
		}
		*typedOut = *answer
		return nil
	}
}

// Open opens the store's buckets. It returns [broker.ErrNotProvisioned] or
// [broker.ErrUnavailable] when they cannot be reached.
func Open(ctx context.Context, b *broker.Broker) (*Store, error) {
	s := &Store{broker: b, now: b.Now}
	for name, bucket := range map[broker.BucketName]**broker.Bucket{
		broker.Bots: &s.bots, broker.Installations: &s.installations, broker.Users: &s.users,
		broker.Conversations: &s.conversations, broker.Messages: &s.messages, broker.EventRecords: &s.events,
		broker.States: &s.states, broker.Seen: &s.seen, broker.Usage: &s.usage,
	} {
		opened, err := b.Bucket(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		*bucket = opened
	}
	s.table = map[string]handler{
		"createUser":                bind(s.createUser),
		"getUser":                   bind(s.getUser),
		"getOrCreateUser":           bind(s.getOrCreateUser),
		"createConversation":        bind(s.createConversation),
		"getConversation":           bind(s.getConversation),
		"getOrCreateConversation":   bind(s.getOrCreateConversation),
		"createMessage":             bind(s.createMessage),
		"getMessage":                bind(s.getMessage),
		"listMessages":              bind(s.listMessages),
		"updateMessage":             bind(s.updateMessage),
		"createEvent":               bind(s.createEvent),
		"getEvent":                  bind(s.getEvent),
		"listEvents":                bind(s.listEvents),
		"getState":                  bind(s.getState),
		"setState":                  bind(s.setState),
		"listConversations":         bind(s.listConversations),
		"updateConversation":        bind(s.updateConversation),
		"deleteConversation":        bind(s.deleteConversation),
		"listParticipants":          bind(s.listParticipants),
		"addParticipant":            bind(s.addParticipant),
		"getParticipant":            bind(s.getParticipant),
		"removeParticipant":         bind(s.removeParticipant),
		"updateUser":                bind(s.updateUser),
		"deleteUser":                bind(s.deleteUser),
		"listUsers":                 bind(s.listUsers),
		"getOrCreateMessage":        bind(s.getOrCreateMessage),
		"deleteMessage":             bind(s.deleteMessage),
		"reportReceipt":             bind(s.reportReceipt),
		"importMessages":            bind(s.importMessages),
		"initializeIncomingMessage": bind(s.initializeIncomingMessage),
		"patchState":                bind(s.patchState),
		"getOrSetState":             bind(s.getOrSetState),
		"setStateExpiry":            bind(s.setStateExpiry),
		"cancelScheduledEvent":      bind(s.cancelScheduledEvent),
		"listTagValues":             bind(s.listTagValues),
		"trackAnalytics":            bind(s.trackAnalytics),
		"configureIntegration":      bind(s.configureIntegration),
		"callAction":                bind(s.callAction),
	}
	return s, nil
}

// Do implements [client.Backend]. A failure that the caller can act on is a
// *[client.Error]; those of NATS are the broker's.
func (s *Store) Do(ctx context.Context, call client.Call, in, out any) error {
	do, ok := s.table[call.Operation.Name]
	if !ok {
		return client.NewError(client.MethodNotFound, "operation %s is not offered", call.Operation.Name)
	}
	if call.Caller.BotID == "" {
		return client.NewError(client.Forbidden, "a call needs the bot that it is made for")
	}
	if call.Caller.IsIntegration() {
		if err := s.allow(ctx, call.Caller); err != nil {
			return err
		}
	}
	return do(ctx, call, in, out)
}

// allow refuses an integration whose installation is gone or disabled. One
// that is being unregistered may still clean up behind itself.
func (s *Store) allow(ctx context.Context, caller client.Caller) error {
	installation, err := s.byAlias(ctx, caller.BotID, caller.Alias)
	if errors.Is(err, broker.ErrNoKey) {
		return client.NewError(client.Forbidden, "bot %q has no installation %q", caller.BotID, caller.Alias)
	}
	if err != nil {
		return err
	}
	if installation.Disabled {
		return client.NewError(client.Forbidden, "installation %q is disabled", caller.Alias)
	}
	return nil
}
