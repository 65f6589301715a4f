package store

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// pageSize is how many entities a list answers with at most.
const pageSize = 20

// list returns a page of a bot's entities, newest first, and the token of the
// next one. Pattern matches keys that end in the entities' ids, which sort by
// time; the entity itself is under its bot and id.
func list[T any](
	ctx context.Context, bucket *broker.Bucket, bot, pattern, token string, wanted func(T) bool,
) (page []T, next string, err error) {
	after, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, "", client.NewError(client.InvalidQuery, "nextToken is none that this API gave out")
	}
	keys, err := bucket.Keys(ctx, pattern)
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(keys))
	for i, key := range keys {
		ids[i] = key[strings.LastIndexByte(key, '.')+1:]
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	last := ""
	for _, id := range ids {
		if token != "" && id >= string(after) {
			continue
		}
		entity, _, err := load[T](ctx, bucket, broker.Key(bot)+"."+id)
		if errors.Is(err, broker.ErrNoKey) {
			continue // begun, and not committed yet
		}
		if err != nil {
			return nil, "", err
		}
		if !wanted(entity) {
			continue
		}
		if len(page) == pageSize {
			return page, base64.RawURLEncoding.EncodeToString([]byte(last)), nil
		}
		page, last = append(page, entity), id
	}
	return page, "", nil
}

func (s *Store) listMessages(ctx context.Context, call client.Call, in *client.ListMessagesInput) (*client.ListMessagesOutput, error) {
	var after, before time.Time
	for _, date := range []struct {
		field, value string
		at           *time.Time
	}{{"afterDate", in.AfterDate, &after}, {"beforeDate", in.BeforeDate, &before}} {
		if date.value == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, date.value)
		if err != nil {
			return nil, client.NewError(client.InvalidQuery, "%s must be a date of RFC 3339", date.field)
		}
		*date.at = at
	}
	bot := call.Caller.BotID
	pattern := broker.Key(bot) + ".*"
	if in.ConversationID != "" {
		pattern = broker.Key(bot, in.ConversationID) + ".*"
	}
	tags := storedTags(call.Caller, in.Tags)
	found, next, err := list(ctx, s.messages, bot, pattern, in.NextToken, func(m storedMessage) bool {
		return !hidden(call.Caller, m.Alias) && holds(m.Message.Tags, tags) &&
			(after.IsZero() || m.Message.CreatedAt.After(after)) && (before.IsZero() || m.Message.CreatedAt.Before(before))
	})
	out := &client.ListMessagesOutput{Messages: make([]client.Message, 0, len(found)), Meta: client.Meta{NextToken: next}}
	for _, m := range found {
		out.Messages = append(out.Messages, viewMessage(call.Caller, m))
	}
	return out, err
}

func (s *Store) listEvents(ctx context.Context, call client.Call, in *client.ListEventsInput) (*client.ListEventsOutput, error) {
	wanted := func(e storedEvent) bool {
		return !hidden(call.Caller, e.Alias) && matches(in.Type, e.Event.Type) &&
			matches(in.ConversationID, e.Event.ConversationID) && matches(in.UserID, e.Event.UserID) &&
			matches(in.MessageID, e.Event.MessageID) && matches(in.Status, e.Event.Status)
	}
	found, next, err := list(ctx, s.events, call.Caller.BotID, broker.Key(call.Caller.BotID)+".*", in.NextToken, wanted)
	out := &client.ListEventsOutput{Events: make([]client.Event, 0, len(found)), Meta: client.Meta{NextToken: next}}
	for _, e := range found {
		out.Events = append(out.Events, e.Event)
	}
	return out, err
}

// matches tells whether a value passes a filter; an empty filter lets all pass.
func matches(filter, value string) bool { return filter == "" || filter == value }
