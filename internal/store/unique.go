package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// unique finds or makes the one record with given tags. An index key, whose
// name is a hash of what must be unique, holds the record's id; whoever creates
// that key has decided the id for everybody, also for those who find the key
// but no record, because its maker died in between.
type unique[Body any] struct {
	bucket  *broker.Bucket
	bot     string
	channel string // part of what is unique; empty for users
	fresh   record[Body]
	// selected are the tags to find by, in stored form.
	selected client.Tags
	// merge brings what was given into a record that was found.
	merge func(*record[Body]) bool
}

func (u unique[Body]) indexKey(tags client.Tags) string {
	// Maps are encoded in the order of their keys.
	data, _ := json.Marshal([]any{u.fresh.Alias, u.channel, tags})
	sum := sha256.Sum256(data)
	return broker.Key(u.bot, "index", hex.EncodeToString(sum[:]))
}

// get returns the record and whether this call made it. A call that runs again
// under the identity that made the record is told that it made it, so that a
// handler's second attempt takes the way of its first.
func (u unique[Body]) get(ctx context.Context) (record[Body], bool, error) {
	index := u.indexKey(u.selected)
	for {
		found, made, err := u.try(ctx, index)
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		return found, made, err
	}
}

// try returns [broker.ErrConflict] when somebody else was faster.
func (u unique[Body]) try(ctx context.Context, index string) (record[Body], bool, error) {
	entry, err := u.bucket.Get(ctx, index)
	if errors.Is(err, broker.ErrNoKey) {
		entry.Value = []byte(u.fresh.ID)
		entry.Revision, err = u.bucket.Create(ctx, index, entry.Value)
	}
	if err != nil {
		return record[Body]{}, false, err
	}
	key := broker.Key(u.bot, string(entry.Value))
	found, _, err := load[record[Body]](ctx, u.bucket, key)
	switch {
	case errors.Is(err, broker.ErrNoKey):
		made := u.fresh
		made.ID = string(entry.Value)
		if err := create(ctx, u.bucket, key, made); err != nil {
			return record[Body]{}, false, err
		}
		return made, true, u.alsoFindable(ctx, made)
	case err != nil:
		return record[Body]{}, false, err
	case !holds(found.Tags, u.selected):
		// The record has got other tags since; the index gets another record.
		if _, err := u.bucket.Update(ctx, index, []byte(u.fresh.ID), entry.Revision); err != nil {
			return record[Body]{}, false, err
		}
		return record[Body]{}, false, broker.ErrConflict
	}
	found, err = change(ctx, u.bucket, key, func(r *record[Body]) (bool, error) {
		changed := u.merge(r)
		if changed && u.fresh.CreatedAt.After(r.UpdatedAt) { // a delivery's time may be long past
			r.UpdatedAt = u.fresh.CreatedAt
		}
		return changed, nil
	})
	return found, found.MadeBy != "" && found.MadeBy == u.fresh.MadeBy, err
}

// make writes the fresh record whether or not there is one like it. Made again
// under the same id, it returns what is there.
func (u unique[Body]) make(ctx context.Context) (record[Body], error) {
	key := broker.Key(u.bot, u.fresh.ID)
	err := create(ctx, u.bucket, key, u.fresh)
	if errors.Is(err, broker.ErrConflict) {
		found, _, err := load[record[Body]](ctx, u.bucket, key)
		return found, err
	}
	if err != nil {
		return u.fresh, err
	}
	return u.fresh, u.alsoFindable(ctx, u.fresh)
}

// alsoFindable lets a record be found by all of its tags, unless another one
// is: for callers that select by fewer tags than they give, or not at all.
func (u unique[Body]) alsoFindable(ctx context.Context, made record[Body]) error {
	_, err := u.bucket.Create(ctx, u.indexKey(made.Tags), []byte(made.ID))
	if errors.Is(err, broker.ErrConflict) {
		return nil
	}
	return err
}

func holds(tags, selected client.Tags) bool {
	for key, value := range selected {
		if tags[key] != value {
			return false
		}
	}
	return true
}

// choose splits given tags into those to store and those to select by: all, or
// the listed ones. An empty value stands for no tag.
func choose(caller client.Caller, given client.Tags, listed []string) (stored, selected client.Tags, err error) {
	if err := checkTags(given); err != nil {
		return nil, nil, err
	}
	stored = storedTags(caller, given)
	maps.DeleteFunc(stored, func(_, value string) bool { return value == "" })
	if stored == nil {
		stored = client.Tags{}
	}
	if len(listed) == 0 {
		return stored, stored, nil
	}
	chosen := client.Tags{}
	for _, name := range listed {
		if given[name] == "" {
			return nil, nil, client.NewError(client.InvalidPayload, "discriminateByTags lists %q, which tags do not give", name)
		}
		chosen[name] = given[name]
	}
	return stored, storedTags(caller, chosen), nil
}
