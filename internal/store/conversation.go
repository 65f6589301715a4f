package store

import (
	"context"
	"errors"
	"maps"
	"strings"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
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
		index: s.conversationsOf(call.Caller.BotID, alias, in.Channel), selected: selected, given: storedTags(call.Caller, in.Tags),
		fresh: record[place]{
			ID: e.ID, Alias: alias, MadeBy: scoped(call), CreatedAt: e.At, UpdatedAt: e.At, Tags: stored,
			Body: place{Channel: in.Channel},
		},
		merge: func(r *record[place]) bool { return mergeTags(&r.Tags, storedTags(call.Caller, in.Tags)) },
	}, nil
}

func (s *Store) getConversation(ctx context.Context, call client.Call, in *client.IDInput) (*client.ConversationOutput, error) {
	found, err := s.conversation(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return nil, err
	}
	return &client.ConversationOutput{Conversation: viewConversation(call.Caller, found)}, err
}

// conversationsOf leads from tags to the conversations of a channel.
func (s *Store) conversationsOf(bot, alias, channel string) index {
	return index{bucket: s.conversations, bot: bot, alias: alias, within: channel, tags: recordTags[place](s.conversations, bot)}
}

// conversation returns one within a caller's reach, or [broker.ErrNoKey].
func (s *Store) conversation(ctx context.Context, caller client.Caller, id string) (record[place], error) {
	return entity[place](ctx, s.conversations, caller, id)
}

// ConversationUpdateData is the data of a conversation_updated operation, in
// the view of the integration.
type ConversationUpdateData struct {
	Current  client.Conversation `json:"currentConversation"`
	Previous client.Conversation `json:"previousConversation"`
}

// updateConversation changes tags. The integration is told of what the bot
// changes.
func (s *Store) updateConversation(ctx context.Context, call client.Call, in *client.UpdateConversationInput) (*client.ConversationOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	bot, now := call.Caller.BotID, s.now().UTC()
	found, err := s.conversation(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return nil, err
	}
	given := storedTags(call.Caller, in.Tags)
	integration := client.Caller{BotID: bot, Alias: found.Alias}
	to := addressee{bot, found.Alias, in.ID}
	stands, err := changeAndTell(ctx, s, s.conversations, broker.Key(bot, in.ID), to, func(r *record[place]) (bool, error) {
		if r.Deleted != nil {
			return false, broker.ErrNoKey
		}
		previous := viewConversation(integration, *r)
		if !mergeTags(&r.Tags, given) {
			return false, nil
		}
		r.UpdatedAt = now
		current := viewConversation(integration, *r)
		if call.Caller.IsIntegration() || maps.Equal(previous.Tags, current.Tags) {
			return true, nil
		}
		one, err := newsOf(call, events.ConversationUpdated, now, ConversationUpdateData{Current: current, Previous: previous})
		r.Untold = append(r.Untold, one)
		return true, err
	})
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err == nil {
		err = s.conversationsOf(bot, found.Alias, found.Body.Channel).leadAll(ctx, stands.Tags, given, in.ID)
	}
	return &client.ConversationOutput{Conversation: viewConversation(call.Caller, stands)}, err
}

func (s *Store) listConversations(ctx context.Context, call client.Call, in *client.ListConversationsInput) (*client.ListConversationsOutput, error) {
	inTime, err := between(in.AfterDate, in.BeforeDate)
	if err != nil {
		return nil, err
	}
	of := map[string]int{} // how many of the participants take part
	for _, user := range in.ParticipantIDs {
		keys, err := s.conversations.Keys(ctx, broker.Key(call.Caller.BotID, participantToken)+".*."+broker.Key(user))
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			of[strings.Split(key, ".")[2]]++
		}
	}
	tags := storedTags(call.Caller, in.Tags)
	page, err := scanned(ctx, s.conversations, call.Caller, sorting{in.NextToken, in.SortField, in.SortDirection}, func(r record[place]) bool {
		return holds(r.Tags, tags) && matches(in.Channel, r.Body.Channel) && matches(in.IntegrationName, r.Alias) &&
			inTime(r.CreatedAt) && of[broker.Token(r.ID)] == len(in.ParticipantIDs)
	})
	if err != nil {
		return nil, err
	}
	out := &client.ListConversationsOutput{Conversations: make([]client.Conversation, 0, len(page.items)), Meta: client.Meta{NextToken: page.next}}
	for _, r := range page.items {
		out.Conversations = append(out.Conversations, viewConversation(call.Caller, r))
	}
	return out, nil
}

// participantToken sets the keys of participants apart from others; each is
// under its conversation and its user.
const participantToken = "participant"

func participantKey(bot, conversation, user string) string {
	return broker.Key(bot, participantToken, conversation, user)
}

// takePart makes a user a participant. The bot's own is in every conversation
// and in no list.
func (s *Store) takePart(ctx context.Context, bot, conversation string, user record[person]) error {
	if user.ID == botUserID(bot) {
		return nil
	}
	key := participantKey(bot, conversation, user.ID)
	_, err := s.conversations.Get(ctx, key)
	if errors.Is(err, broker.ErrNoKey) {
		_, err = s.conversations.Create(ctx, key, nil)
	}
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}

func (s *Store) addParticipant(ctx context.Context, call client.Call, in *client.AddParticipantInput) (*client.ParticipantOutput, error) {
	conversation, err := s.conversation(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return nil, err
	}
	user, err := s.user(ctx, call.Caller, in.UserID)
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NewError(client.ReferenceNotFound, "user %q not found", in.UserID)
	}
	if err == nil {
		err = s.takePart(ctx, call.Caller.BotID, conversation.ID, user)
	}
	return &client.ParticipantOutput{Participant: viewUser(call.Caller, user)}, err
}

// participant returns a user who takes part in a conversation, or an error that
// says what there is none of.
func (s *Store) participant(ctx context.Context, call client.Call, in *client.ParticipantInput) (record[person], error) {
	_, err := s.conversation(ctx, call.Caller, in.ID)
	if errors.Is(err, broker.ErrNoKey) {
		return record[person]{}, client.NotFound("Conversation", in.ID)
	}
	if err != nil {
		return record[person]{}, err
	}
	user, err := s.user(ctx, call.Caller, in.UserID)
	if err == nil {
		_, err = s.conversations.Get(ctx, participantKey(call.Caller.BotID, in.ID, user.ID))
	}
	if errors.Is(err, broker.ErrNoKey) {
		return user, client.NotFound("Participant", in.UserID)
	}
	return user, err
}

func (s *Store) getParticipant(ctx context.Context, call client.Call, in *client.ParticipantInput) (*client.ParticipantOutput, error) {
	user, err := s.participant(ctx, call, in)
	return &client.ParticipantOutput{Participant: viewUser(call.Caller, user)}, err
}

// removeParticipant notes who removed before it removes, so that the same call
// made again is told so, and not that there is nobody.
func (s *Store) removeParticipant(ctx context.Context, call client.Call, in *client.ParticipantInput) (*client.NoOutput, error) {
	note := broker.Key("removed", scoped(call))
	user, err := s.participant(ctx, call, in)
	if errors.Is(err, client.ErrNotFound) && call.Identity != "" {
		if _, noted := s.seen.Get(ctx, note); noted == nil {
			return &client.NoOutput{}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if call.Identity != "" {
		if _, err := s.seen.Put(ctx, note, nil); err != nil {
			return nil, err
		}
	}
	return &client.NoOutput{}, s.conversations.Delete(ctx, participantKey(call.Caller.BotID, in.ID, user.ID), 0)
}
