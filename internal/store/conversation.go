package store

import (
	"context"
	"errors"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// place is what a conversation has beside what every record has.
type place struct {
	Channel string `json:"channel"`
}

func viewConversation(caller client.Caller, r record[place]) client.Conversation {
	return client.Conversation{
		ID: r.ID, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Channel: r.Body.Channel, Integration: r.Alias,
		Tags: viewTags(caller, r.Tags),
	}
}

func (s *Store) createConversation(ctx context.Context, call client.Call, in *client.CreateConversationInput) (*client.ConversationOutput, error) {
	u, err := s.uniqueConversation(ctx, call, &client.GetOrCreateConversationInput{
		Channel: in.Channel, Tags: in.Tags, IntegrationName: in.IntegrationName,
	})
	if err != nil {
		return nil, err
	}
	made, err := u.make(ctx)
	return &client.ConversationOutput{Conversation: viewConversation(call.Caller, made)}, err
}

func (s *Store) getOrCreateConversation(ctx context.Context, call client.Call, in *client.GetOrCreateConversationInput) (*client.GetOrCreateConversationOutput, error) {
	u, err := s.uniqueConversation(ctx, call, in)
	if err != nil {
		return nil, err
	}
	found, made, err := u.get(ctx)
	return &client.GetOrCreateConversationOutput{
		Conversation: viewConversation(call.Caller, found), Meta: client.Created{Created: made},
	}, err
}

func (s *Store) uniqueConversation(ctx context.Context, call client.Call, in *client.GetOrCreateConversationInput) (unique[place], error) {
	if err := checkName("channel", in.Channel); err != nil {
		return unique[place]{}, err
	}
	stored, selected, err := choose(call.Caller, in.Tags, in.DiscriminateByTags)
	if err != nil {
		return unique[place]{}, err
	}
	alias, err := s.owner(ctx, call.Caller, in.IntegrationName)
	if err != nil {
		return unique[place]{}, err
	}
	if alias == "" {
		return unique[place]{}, client.NewError(client.InvalidPayload,
			"integrationName is required: it names the installation that the conversation belongs to")
	}
	e, err := s.effectOf(ctx, call, "conv")
	if err != nil {
		return unique[place]{}, err
	}
	return unique[place]{
		bucket: s.conversations, bot: call.Caller.BotID, channel: in.Channel, selected: selected,
		fresh: record[place]{
			ID: e.ID, Alias: alias, MadeBy: scoped(call), CreatedAt: e.At, UpdatedAt: e.At, Tags: stored,
			Body: place{Channel: in.Channel},
		},
		merge: func(r *record[place]) bool { return mergeTags(&r.Tags, storedTags(call.Caller, in.Tags)) },
	}, nil
}

// getConversation counts the messages too; other answers leave the count at 0,
// since it costs a walk through the conversation's index.
func (s *Store) getConversation(ctx context.Context, call client.Call, in *client.IDInput) (*client.ConversationOutput, error) {
	found, err := s.conversation(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return nil, err
	}
	view := viewConversation(call.Caller, found)
	messages, err := s.messages.Keys(ctx, broker.Key(call.Caller.BotID, in.ID)+".*")
	view.MessageCount = len(messages)
	return &client.ConversationOutput{Conversation: view}, err
}

// conversation returns one within a caller's reach, or [broker.ErrNoKey].
func (s *Store) conversation(ctx context.Context, caller client.Caller, id string) (record[place], error) {
	if id == "" {
		return record[place]{}, broker.ErrNoKey
	}
	found, _, err := load[record[place]](ctx, s.conversations, broker.Key(caller.BotID, id))
	if err == nil && hidden(caller, found.Alias) {
		return record[place]{}, broker.ErrNoKey
	}
	return found, err
}
