package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
)

// record is a user or a conversation as it is stored: what they have in common,
// and a body of their own.
type record[Body any] struct {
	ID        string      `json:"id"`
	Alias     string      `json:"alias,omitempty"`  // of the installation it belongs to
	MadeBy    string      `json:"madeBy,omitempty"` // identity of the effect that made it
	CreatedAt time.Time   `json:"createdAt"`
	UpdatedAt time.Time   `json:"updatedAt"`
	Tags      client.Tags `json:"tags"` // as bots see them
	Body      Body        `json:"body"`
}

// load reads a JSON value; its error is [broker.ErrNoKey] when there is none.
func load[T any](ctx context.Context, bucket *broker.Bucket, key string) (value T, revision uint64, err error) {
	entry, err := bucket.Get(ctx, key)
	if err != nil {
		return value, 0, err
	}
	if err := json.Unmarshal(entry.Value, &value); err != nil {
		return value, 0, fmt.Errorf("decode %s: %w", key, err)
	}
	return value, entry.Revision, nil
}

// create writes a value whose key is not there yet, or [broker.ErrConflict].
func create(ctx context.Context, bucket *broker.Bucket, key string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	_, err = bucket.Create(ctx, key, data)
	return err
}

// change replaces a value by compare-and-swap. Edit may run more than once and
// reports whether it changed anything; the value that stands is returned.
func change[T any](ctx context.Context, bucket *broker.Bucket, key string, edit func(*T) (bool, error)) (T, error) {
	for {
		value, revision, err := load[T](ctx, bucket, key)
		if err != nil {
			return value, err
		}
		changed, err := edit(&value)
		if err != nil || !changed {
			return value, err
		}
		data, err := json.Marshal(value)
		if err != nil {
			return value, fmt.Errorf("encode %s: %w", key, err)
		}
		if _, err = bucket.Update(ctx, key, data, revision); !errors.Is(err, broker.ErrConflict) {
			return value, err
		}
	}
}

// storedTags writes a caller's tags as bots see them.
func storedTags(caller client.Caller, tags client.Tags) client.Tags {
	if !caller.IsIntegration() {
		return maps.Clone(tags)
	}
	stored := client.Tags{}
	for key, value := range tags {
		stored[caller.Alias+":"+key] = value
	}
	return stored
}

// viewTags shows stored tags to a caller: an integration sees only its own.
func viewTags(caller client.Caller, stored client.Tags) client.Tags {
	view := client.Tags{}
	for key, value := range stored {
		if !caller.IsIntegration() {
			view[key] = value
		} else if own, ok := strings.CutPrefix(key, caller.Alias+":"); ok {
			view[own] = value
		}
	}
	return view
}

// mergeTags sets given tags, removes those that are given empty, and reports
// whether anything changed.
func mergeTags(tags *client.Tags, given client.Tags) bool {
	changed := false
	for key, value := range given {
		old, has := (*tags)[key]
		switch {
		case value == "" && has:
			delete(*tags, key)
		case value == "" || has && value == old:
			continue
		default:
			if *tags == nil {
				*tags = client.Tags{}
			}
			(*tags)[key] = value
		}
		changed = true
	}
	return changed
}

// hidden tells whether something of an alias is out of a caller's reach.
func hidden(caller client.Caller, alias string) bool {
	return caller.IsIntegration() && caller.Alias != alias
}

// Botpress's published limits.
const (
	maxPayload    = 131_072 // bytes, of messages, events and states
	maxTagValue   = 500     // characters
	maxName       = 200     // characters, of types, channels and names
	maxPictureURL = 40_000  // characters
)

func checkTags(tags client.Tags) error {
	for key, value := range tags {
		if key == "" {
			return client.NewError(client.InvalidPayload, "tags must not have an empty name")
		}
		if utf8.RuneCountInString(value) > maxTagValue {
			return client.NewError(client.InvalidPayload, "tag %q is longer than %d characters", key, maxTagValue)
		}
	}
	return nil
}

// checkName checks a field that must be given and is at most maxName long.
func checkName(field, value string) error {
	if value == "" {
		return client.NewError(client.InvalidPayload, "%s is required", field)
	}
	return checkLength(field, value, maxName)
}

func checkLength(field, value string, limit int) error {
	if utf8.RuneCountInString(value) > limit {
		return client.NewError(client.InvalidPayload, "%s is longer than %d characters", field, limit)
	}
	return nil
}

// checkObject checks a payload that must be a JSON object within the limit.
func checkObject(field string, payload json.RawMessage) error {
	if len(payload) > maxPayload {
		return client.NewError(client.PayloadTooLarge, "%s is larger than %d bytes", field, maxPayload)
	}
	if trimmed := bytes.TrimSpace(payload); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return client.NewError(client.InvalidPayload, "%s must be a JSON object", field)
	}
	return nil
}
