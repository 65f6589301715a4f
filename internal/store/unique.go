package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// indexToken sets index keys apart from those of records.
const indexToken = "index"

// index leads from tags to the one entity that has them. Its keys, whose names
// are hashes of what must be unique, hold ids; whoever writes such a key has
// decided the id for everybody. A key can be outdated, so what it leads to is
// looked at.
type index struct {
	bucket *broker.Bucket
	bot    string
	alias  string
	within string // what else must be equal: a channel, a conversation
	// tags returns those of an entity. Gone tells that it was deleted; one that
	// is not there is in the making.
	tags func(ctx context.Context, id string) (tags client.Tags, gone bool, err error)
}

// abandoned tells of a key that leads to nothing whether what it leads to was
// deleted so long ago that no mark is left, and is not merely in the making.
func abandoned(key broker.Entry) bool { return time.Since(key.Time) > deletedFor }

func (x index) key(tags client.Tags) string {
	// Maps are encoded in the order of their keys.
	data, _ := json.Marshal([]any{x.alias, x.within, tags})
	sum := sha256.Sum256(data)
	return broker.Key(x.bot, indexToken, hex.EncodeToString(sum[:]))
}

// keys are those that lead by all tags together, and by each one. Others, by
// tags that an entity once had or by some of those it has, stay when it is
// deleted, until they are looked at.
func (x index) keys(tags client.Tags) []string {
	all := []string{x.key(tags)}
	for key, value := range tags {
		all = append(all, x.key(client.Tags{key: value}))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decide returns the id that the tags lead to, and makes it the given one when
// they lead to nothing.
func (x index) decide(ctx context.Context, tags client.Tags, id string) (broker.Entry, error) {
	entry, err := x.bucket.Get(ctx, x.key(tags))
	if errors.Is(err, broker.ErrNoKey) {
		entry = broker.Entry{Key: x.key(tags), Value: []byte(id), Time: time.Now()}
		entry.Revision, err = x.bucket.Create(ctx, entry.Key, entry.Value)
	}
	return entry, err
}

// lead lets an entity be found by tags, unless another one is.
func (x index) lead(ctx context.Context, tags client.Tags, id string) error {
	for {
		entry, err := x.decide(ctx, tags, id)
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		if err != nil || string(entry.Value) == id {
			return err
		}
		has, gone, err := x.tags(ctx, string(entry.Value))
		missing := errors.Is(err, broker.ErrNoKey)
		if missing && !abandoned(entry) || err == nil && !gone && holds(has, tags) {
			return nil
		}
		if err == nil || missing {
			_, err = x.bucket.Update(ctx, entry.Key, []byte(id), entry.Revision)
		}
		if !errors.Is(err, broker.ErrConflict) {
			return err
		}
	}
}

// leadAll lets an entity be found by all of its tags together, and by each one
// that a call gave: for callers that select by fewer tags than it has. It does
// so also when the call changed nothing, since an earlier attempt may have died
// between the record and its index.
func (x index) leadAll(ctx context.Context, tags, given client.Tags, id string) error {
	if len(given) == 0 || len(tags) == 0 {
		return nil
	}
	if err := x.lead(ctx, tags, id); err != nil || len(tags) == 1 {
		return err
	}
	for key, value := range given {
		if value == "" || tags[key] != value {
			continue // taken away, or changed by somebody else since
		}
		if err := x.lead(ctx, client.Tags{key: value}, id); err != nil {
			return err
		}
	}
	return nil
}

// recordTags reads the tags of a user or a conversation.
func recordTags[Body any](bucket *broker.Bucket, bot string) func(context.Context, string) (client.Tags, bool, error) {
	return func(ctx context.Context, id string) (client.Tags, bool, error) {
		found, _, err := load[record[Body]](ctx, bucket, broker.Key(bot, id))
		return found.Tags, found.Deleted != nil, err
	}
}

// unique finds or makes the one record with given tags.
type unique[Body any] struct {
	index
	fresh record[Body]
	// selected are the tags to find by, in stored form.
	selected client.Tags
	given    client.Tags // by the call, in stored form
	// merge brings what was given into a record that was found.
	merge func(*record[Body]) bool
}

// get returns the record and whether this call made it. A call that runs again
// under the identity that made the record is told that it made it, so that a
// handler's second attempt takes the way of its first.
func (u unique[Body]) get(ctx context.Context) (record[Body], bool, error) {
	for {
		found, made, err := u.try(ctx)
		if errors.Is(err, broker.ErrConflict) {
			continue
		}
		return found, made, err
	}
}

// try returns [broker.ErrConflict] when somebody else was faster.
func (u unique[Body]) try(ctx context.Context) (record[Body], bool, error) {
	entry, err := u.decide(ctx, u.selected, u.fresh.ID)
	if err != nil {
		return record[Body]{}, false, err
	}
	id := string(entry.Value)
	key := broker.Key(u.bot, id)
	found, _, err := load[record[Body]](ctx, u.bucket, key)
	missing := errors.Is(err, broker.ErrNoKey)
	switch {
	case missing && !abandoned(entry):
		// Whoever decided the id has yet to write the record, or died.
		made := u.fresh
		made.ID = id
		if err := create(ctx, u.bucket, key, made); err != nil {
			return record[Body]{}, false, err
		}
		return made, true, u.leadAll(ctx, made.Tags, made.Tags, made.ID)
	case err != nil && !missing:
		return record[Body]{}, false, err
	case found.Deleted != nil && id == u.fresh.ID:
		// An earlier attempt made it and deleted it: it is shown once more.
		return u.fresh, true, nil
	case !missing && id == u.fresh.ID && !holds(found.Tags, u.selected):
		// An earlier attempt made it, and it got other tags since.
		return found, true, nil
	case missing || found.Deleted != nil || !holds(found.Tags, u.selected):
		// The record is gone or has got other tags since; the index gets
		// another record.
		if _, err := u.bucket.Update(ctx, entry.Key, []byte(u.fresh.ID), entry.Revision); err != nil {
			return record[Body]{}, false, err
		}
		return record[Body]{}, false, broker.ErrConflict
	}
	found, err = u.update(ctx, id, u.fresh.CreatedAt, u.given, u.merge)
	return found, found.MadeBy != "" && found.MadeBy == u.fresh.MadeBy, err
}

// update changes a record and lets it be found by the tags that were given.
func (u unique[Body]) update(ctx context.Context, id string, at time.Time, given client.Tags, edit func(*record[Body]) bool) (record[Body], error) {
	stands, err := change(ctx, u.bucket, broker.Key(u.bot, id), func(r *record[Body]) (bool, error) {
		if r.Deleted != nil {
			return false, broker.ErrConflict
		}
		changed := edit(r)
		if changed && at.After(r.UpdatedAt) { // a delivery's time may be long past
			r.UpdatedAt = at
		}
		return changed, nil
	})
	if err != nil {
		return stands, err
	}
	if len(stands.Tags) == 1 && maps.Equal(stands.Tags, u.selected) {
		return stands, nil // it was just found by them, and there are no others
	}
	return stands, u.leadAll(ctx, stands.Tags, given, id)
}

// make writes the fresh record whether or not there is one like it. Made again
// under the same id, it returns what is there.
func (u unique[Body]) make(ctx context.Context) (record[Body], error) {
	key := broker.Key(u.bot, u.fresh.ID)
	stands, err := keepFirst(ctx, u.bucket, key, u.fresh)
	if err != nil || stands.Deleted != nil {
		return u.fresh, err
	}
	return stands, u.leadAll(ctx, stands.Tags, u.fresh.Tags, u.fresh.ID)
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
