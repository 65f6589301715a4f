package store

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

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
