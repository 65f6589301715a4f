package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// deletion marks an entity as deleted. From then on nobody sees it nor what
// belongs to it, so that the rest can go in any order, also after a crash. The
// mark outlives all of it for a while: a handler that runs again is told once
// more that it deleted the entity, and does not make it again.
type deletion struct {
	By string `json:"by,omitempty"` // identity of the effect
	// Index are the keys that may lead to the entity, until they are removed.
	Index []string `json:"index,omitempty"`
	Done  bool     `json:"done,omitempty"`
}

// deletedFor is how long a mark stays.
const deletedFor = 30 * 24 * time.Hour

// deletable is what can be marked.
type deletable interface {
	owner() string
	deleted() *deletion
	// erase leaves nothing of it but its id, its owner and the mark.
	erase(mark deletion)
}

func (r *record[Body]) owner() string      { return r.Alias }
func (r *record[Body]) deleted() *deletion { return r.Deleted }
func (r *record[Body]) erase(mark deletion) {
	*r = record[Body]{ID: r.ID, Alias: r.Alias, MadeBy: r.MadeBy, Deleted: &mark}
}

func (m *storedMessage) owner() string      { return m.Alias }
func (m *storedMessage) deleted() *deletion { return m.Deleted }
func (m *storedMessage) erase(mark deletion) {
	*m = storedMessage{Alias: m.Alias, MadeBy: m.MadeBy, Deleted: &mark, Message: client.Message{
		ID: m.Message.ID, ConversationID: m.Message.ConversationID, Direction: m.Message.Direction, Status: client.Failed,
	}}
}

// remove deletes an entity: it is marked, then the keys of its index go and rest
// takes away what belongs to it, then the mark is let expire. [broker.ErrNoKey] means that the caller sees
// no such entity. Cut off in the middle, it is finished by whoever deletes
// again.
func remove[T any, P interface {
	*T
	deletable
}](ctx context.Context, bucket *broker.Bucket, key string, call client.Call, led func(T) []string, rest func(T) error) error {
	identity := scoped(call)
	marked, err := change(ctx, bucket, key, func(entity *T) (bool, error) {
		p := P(entity)
		mark := p.deleted()
		switch {
		case hidden(call.Caller, p.owner()):
			return false, broker.ErrNoKey
		case mark == nil:
			p.erase(deletion{By: identity, Index: led(*entity)})
			return true, nil
		case mark.Done && (identity == "" || mark.By != identity):
			return false, broker.ErrNoKey
		}
		return false, nil
	})
	if err != nil || P(&marked).deleted().Done {
		return err
	}
	id := key[strings.LastIndexByte(key, '.')+1:]
	if err := errors.Join(forgetIndex(ctx, bucket, P(&marked).deleted().Index, id), rest(marked)); err != nil {
		return err
	}
	for {
		entity, revision, err := load[T](ctx, bucket, key)
		if err != nil {
			return err
		}
		P(&entity).deleted().Done, P(&entity).deleted().Index = true, nil
		data, err := json.Marshal(entity)
		if err != nil {
			return fmt.Errorf("encode %s: %w", key, err)
		}
		if _, err = bucket.PutFor(ctx, key, data, revision, deletedFor); !errors.Is(err, broker.ErrConflict) {
			return err
		}
	}
}

func (s *Store) deleteUser(ctx context.Context, call client.Call, in *client.IDInput) (*client.NoOutput, error) {
	bot := call.Caller.BotID
	led := func(r record[person]) []string { return s.usersOf(bot, r.Alias).keys(r.Tags) }
	err := remove(ctx, s.users, broker.Key(bot, in.ID), call, led, func(record[person]) error {
		return errors.Join(
			clearKeys(ctx, s.conversations, broker.Key(bot, participantToken)+".*."+broker.Key(in.ID)),
			clearKeys(ctx, s.states, ownedStates(bot, client.UserState, in.ID)),
		)
	})
	return deletedOr(err, "User", in.ID)
}

// deleteConversation takes messages, participants and states along.
func (s *Store) deleteConversation(ctx context.Context, call client.Call, in *client.IDInput) (*client.NoOutput, error) {
	bot := call.Caller.BotID
	led := func(r record[place]) []string { return s.conversationsOf(bot, r.Alias, r.Body.Channel).keys(r.Tags) }
	err := remove(ctx, s.conversations, broker.Key(bot, in.ID), call, led, func(r record[place]) error {
		return errors.Join(
			s.clearMessages(ctx, bot, r),
			clearKeys(ctx, s.conversations, broker.Key(bot, participantToken, in.ID)+".*"),
			clearKeys(ctx, s.states, ownedStates(bot, client.ConversationState, in.ID)),
		)
	})
	return deletedOr(err, "Conversation", in.ID)
}

// clearMessages removes a deleted conversation's messages: what a record tells
// before the record, and that before the key that lists it, so that nothing is
// left that nobody finds.
func (s *Store) clearMessages(ctx context.Context, bot string, conversation record[place]) error {
	keys, err := s.messages.Keys(ctx, broker.Key(bot, conversation.ID)+".>")
	if err != nil {
		return err
	}
	index := s.messagesOf(bot, conversation)
	for _, key := range keys {
		id := strings.Split(key, ".")[2]
		record := broker.Key(bot) + "." + id
		m, _, err := load[storedMessage](ctx, s.messages, record)
		if err == nil {
			err = errors.Join(forgetIndex(ctx, s.messages, index.keys(m.Message.Tags), id), s.messages.Delete(ctx, record, 0))
		}
		if err == nil || errors.Is(err, broker.ErrNoKey) {
			err = s.messages.Delete(ctx, key, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// deleteMessage leaves the mark, which keeps an outgoing message that waits in
// the queue from being sent.
func (s *Store) deleteMessage(ctx context.Context, call client.Call, in *client.IDInput) (*client.NoOutput, error) {
	bot := call.Caller.BotID
	led := func(m storedMessage) []string {
		return s.messagesOf(bot, record[place]{ID: m.Message.ConversationID, Alias: m.Alias}).keys(m.Message.Tags)
	}
	err := remove(ctx, s.messages, broker.Key(bot, in.ID), call, led, func(m storedMessage) error {
		return errors.Join(
			s.messages.Delete(ctx, messageIndex(bot, m.Message.ConversationID, in.ID), 0),
			s.messages.Delete(ctx, dueClaim(messageIndex(bot, m.Message.ConversationID, in.ID)), 0),
			s.broker.Cancel(ctx, in.ID),
		)
	})
	return deletedOr(err, "Message", in.ID)
}

func deletedOr(err error, what, id string) (*client.NoOutput, error) {
	if errors.Is(err, broker.ErrNoKey) {
		return nil, client.NotFound(what, id)
	}
	return &client.NoOutput{}, err
}

// ownedStates matches the keys of an owner's states, whoever keeps them.
func ownedStates(bot string, typ client.StateType, id string) string {
	return broker.Key(bot) + ".*." + broker.Key(string(typ), id) + ".*"
}

// clearKeys removes every key that matches.
func clearKeys(ctx context.Context, bucket *broker.Bucket, pattern string) error {
	keys, err := bucket.Keys(ctx, pattern)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := bucket.Delete(ctx, key, 0); err != nil {
			return err
		}
	}
	return nil
}

// forgetIndex removes those of the keys that lead to an entity, whose id is
// given as a token.
func forgetIndex(ctx context.Context, bucket *broker.Bucket, keys []string, id string) error {
	for _, key := range keys {
		entry, err := bucket.Get(ctx, key)
		if err == nil && broker.Token(string(entry.Value)) == id {
			err = bucket.Delete(ctx, key, entry.Revision)
		}
		if err != nil && !errors.Is(err, broker.ErrNoKey) && !errors.Is(err, broker.ErrConflict) {
			return err
		}
	}
	return nil
}
