package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
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
	Deleted   *deletion   `json:"deleted,omitempty"`
	Untold    []news      `json:"untold,omitempty"`
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
// reports whether it changed anything; the value that stands is returned, or
// [broker.ErrNoKey] when there is none.
func change[T any](ctx context.Context, bucket *broker.Bucket, key string, edit func(*T) (bool, error)) (T, error) {
	var stands T
	_, err := bucket.Modify(ctx, key, func(data []byte) ([]byte, error) {
		stands = *new(T)
		if data == nil {
			return nil, broker.ErrNoKey
		}
		if err := json.Unmarshal(data, &stands); err != nil {
			return nil, fmt.Errorf("decode %s: %w", key, err)
		}
		changed, err := edit(&stands)
		if err != nil || !changed {
			return nil, err
		}
		return json.Marshal(stands)
	})
	return stands, err
}

// entity returns a record within a caller's reach, or [broker.ErrNoKey].
func entity[Body any](ctx context.Context, bucket *broker.Bucket, caller client.Caller, id string) (record[Body], error) {
	if id == "" {
		return record[Body]{}, broker.ErrNoKey
	}
	found, _, err := load[record[Body]](ctx, bucket, broker.Key(caller.BotID, id))
	if err == nil && (found.Deleted != nil || hidden(caller, found.Alias)) {
		return record[Body]{}, broker.ErrNoKey
	}
	return found, err
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

// otherTags are those that [viewTags] does not show to a caller.
func otherTags(caller client.Caller, stored client.Tags) client.Tags {
	others := maps.Clone(stored)
	maps.DeleteFunc(others, func(key, _ string) bool {
		return !caller.IsIntegration() || strings.HasPrefix(key, caller.Alias+":")
	})
	return others
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
	maxImport     = 100     // messages in one call
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

func checkProperties(properties map[string]string) error {
	for key, value := range properties {
		if key == "" {
			return client.NewError(client.InvalidPayload, "properties must not have an empty name")
		}
		if err := checkLength("property "+key, value, maxName); err != nil {
			return err
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

// checkPayload checks a payload that must be a JSON object within the limit.
func checkPayload(payload json.RawMessage) error {
	if len(payload) > maxPayload {
		return client.NewError(client.PayloadTooLarge, "payload is larger than %d bytes", maxPayload)
	}
	if trimmed := bytes.TrimSpace(payload); len(trimmed) == 0 || trimmed[0] != '{' || !json.Valid(trimmed) {
		return client.NewError(client.InvalidPayload, "payload must be a JSON object")
	}
	return nil
}

// pageSize is how many entities a list answers with at most.
const pageSize = 20

// position is where an entity stands in a list: by time, then in the order of
// the stream, then by id, so that no two stand at one place.
type position struct {
	At  int64  `json:"at"` // milliseconds, or nanoseconds where updates are listed
	Seq uint64 `json:"seq,omitempty"`
	ID  string `json:"id"`
}

func (p position) compare(o position) int {
	return cmp.Or(cmp.Compare(p.At, o.At), cmp.Compare(p.Seq, o.Seq), cmp.Compare(p.ID, o.ID))
}

func (p position) token() string {
	data, _ := json.Marshal(p)
	return base64.RawURLEncoding.EncodeToString(data)
}

// positionOf reads a token; nil for the first page.
func positionOf(token string) (*position, error) {
	if token == "" {
		return nil, nil
	}
	p := &position{}
	data, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil || p.ID == "" {
		return nil, client.NewError(client.InvalidQuery, "nextToken is none that this API gave out")
	}
	return p, nil
}

// paging fills one page.
type paging[T any] struct {
	after     *position
	ascending bool
	place     func(T) position
	items     []T
	next      string
}

func (p *paging[T]) order(a, b T) int {
	if p.ascending {
		return p.place(a).compare(p.place(b))
	}
	return p.place(b).compare(p.place(a))
}

// take adds what comes after all that was taken before, and reports whether
// there is room for more.
func (p *paging[T]) take(some []T) bool {
	slices.SortFunc(some, p.order)
	for _, item := range some {
		at := p.place(item)
		if p.after != nil && (p.ascending && at.compare(*p.after) <= 0 || !p.ascending && at.compare(*p.after) >= 0) {
			continue
		}
		if len(p.items) == pageSize {
			p.next = p.place(p.items[pageSize-1]).token()
			return false
		}
		p.items = append(p.items, item)
	}
	return true
}

// byTime lists entities newest first whose ids are led by their time, and whose
// keys match a pattern and end in the ids. It reads no more than a page needs.
func byTime[T any](ctx context.Context, bucket *broker.Bucket, bot, pattern, token string, place func(T) position, wanted func(T) (bool, error)) (*paging[T], error) {
	after, err := positionOf(token)
	if err != nil {
		return nil, err
	}
	keys, err := bucket.Keys(ctx, pattern)
	if err != nil {
		return nil, err
	}
	moments := map[int64][]string{}
	for _, key := range keys {
		id := key[strings.LastIndexByte(key, '.')+1:]
		at, _ := events.TimeOf(id)
		moments[at.UnixMilli()] = append(moments[at.UnixMilli()], id)
	}
	page := &paging[T]{after: after, place: place}
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(moments))) {
		if after != nil && at > after.At {
			continue
		}
		var some []T
		for _, id := range moments[at] {
			found, _, err := load[T](ctx, bucket, broker.Key(bot)+"."+id)
			if errors.Is(err, broker.ErrNoKey) {
				continue // begun, and not committed yet
			}
			if err != nil {
				return nil, err
			}
			ok, err := wanted(found)
			if err != nil {
				return nil, err
			}
			if ok {
				some = append(some, found)
			}
		}
		if !page.take(some) {
			break
		}
	}
	return page, nil
}

// sorting is how a list of users or conversations is asked for.
type sorting struct{ token, field, direction string }

// scanned lists those of a bot's records that are wanted. Sorted by what can
// change, they have to be read all.
func scanned[Body any](ctx context.Context, bucket *broker.Bucket, caller client.Caller, by sorting, wanted func(record[Body]) bool) (*paging[record[Body]], error) {
	after, err := positionOf(by.token)
	if err != nil {
		return nil, err
	}
	page := &paging[record[Body]]{after: after, ascending: by.direction == client.Ascending}
	switch by.direction {
	case "", client.Ascending, client.Descending:
	default:
		return nil, client.NewError(client.InvalidQuery, "sortDirection must be asc or desc")
	}
	when, err := timeField[Body]("sortField", by.field)
	if err != nil {
		return nil, err
	}
	page.place = func(r record[Body]) position { return position{At: when(r).UnixNano(), ID: r.ID} }
	var all []record[Body]
	var failed error
	err = bucket.Scan(ctx, broker.Key(caller.BotID)+".*", func(entry broker.Entry) {
		var r record[Body]
		if err := json.Unmarshal(entry.Value, &r); err != nil {
			failed = fmt.Errorf("decode %s: %w", entry.Key, err)
		} else if r.Deleted == nil && !hidden(caller, r.Alias) && wanted(r) {
			all = append(all, r)
		}
	})
	page.take(all)
	return page, errors.Join(err, failed)
}

// timeField reads the time that a query names.
func timeField[Body any](field, name string) (func(record[Body]) time.Time, error) {
	switch name {
	case "", client.ByCreatedAt:
		return func(r record[Body]) time.Time { return r.CreatedAt }, nil
	case client.ByUpdatedAt:
		return func(r record[Body]) time.Time { return r.UpdatedAt }, nil
	}
	return nil, client.NewError(client.InvalidQuery, "%s must be %s or %s", field, client.ByCreatedAt, client.ByUpdatedAt)
}

// between reads the dates of a query and tells whether a time is after the
// first and before the second; one that is empty sets no bound.
func between(afterDate, beforeDate string) (func(time.Time) bool, error) {
	var bounds [2]time.Time
	for i, date := range []string{afterDate, beforeDate} {
		if date == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, date)
		if err != nil {
			return nil, client.NewError(client.InvalidQuery, "%s must be a date of RFC 3339", []string{"afterDate", "beforeDate"}[i])
		}
		bounds[i] = at
	}
	return func(at time.Time) bool {
		return (afterDate == "" || at.After(bounds[0])) && (beforeDate == "" || at.Before(bounds[1]))
	}, nil
}

// matches tells whether a value passes a filter; an empty filter lets all pass.
func matches[S ~string](filter, value S) bool { return filter == "" || filter == value }
