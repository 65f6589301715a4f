package broker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// fullEnough is from which part of its size on a stream loses history.
	fullEnough = 0.8
	// trimmed is which part of its messages a stream loses at once.
	trimmed = 0.25
)

// TrimHistory makes room in streams that are nearly full, by what is handled:
// of a queue what lies below every ack floor and everything that is parked, of
// the events what every
// subscription of their bot has read. What still has to be handled stays, and
// when nothing else is left, the stream refuses what is new. It returns how
// many messages went.
func (b *Broker) TrimHistory(ctx context.Context) (uint64, error) {
	var gone uint64
	for _, queue := range Queues {
		n, err := b.trim(ctx, queue, func(stream jetstream.Stream) (map[string]uint64, error) {
			floor, err := ackFloor(ctx, stream)
			if err != nil {
				return nil, err
			}
			// Read after the acks: what is parked is written down before its
			// doorbells are silenced.
			parked, waits, err := b.parkedFloor(ctx, queue)
			if waits {
				floor = min(floor, parked)
			}
			return map[string]uint64{">": floor}, err
		})
		gone += n
		if err != nil {
			return gone, fmt.Errorf("trim %s: %w", queue, mapError(err))
		}
	}
	n, err := b.trim(ctx, Events, func(jetstream.Stream) (map[string]uint64, error) { return b.readByAll(ctx) })
	if err != nil {
		return gone + n, fmt.Errorf("trim %s: %w", Events, mapError(err))
	}
	return gone + n, nil
}

// trim purges a stream that is full enough. Handled returns up to which
// sequence the messages under a subject are handled.
func (b *Broker) trim(ctx context.Context, name Stream, handled func(jetstream.Stream) (map[string]uint64, error)) (uint64, error) {
	stream, err := b.stream(ctx, name)
	if err != nil {
		return 0, err
	}
	info := stream.CachedInfo()
	before := info.State
	if info.Config.MaxBytes <= 0 || float64(before.Bytes) < fullEnough*float64(info.Config.MaxBytes) {
		return 0, nil
	}
	subjects, err := handled(stream)
	if err != nil {
		return 0, err
	}
	oldest := before.FirstSeq + uint64(trimmed*float64(before.LastSeq-before.FirstSeq))
	for subject, seq := range subjects {
		upTo := min(seq, oldest)
		if upTo < before.FirstSeq {
			continue
		}
		options := []jetstream.StreamPurgeOpt{jetstream.WithPurgeSequence(upTo + 1)}
		if subject != ">" {
			options = append(options, jetstream.WithPurgeSubject(subject))
		}
		if err := stream.Purge(ctx, options...); err != nil {
			return 0, err
		}
	}
	after, err := stream.Info(ctx)
	if err != nil {
		return 0, err
	}
	return before.Msgs - min(after.State.Msgs, before.Msgs), nil
}

// ackFloor is the sequence below which every consumer of a queue has acked
// everything that is its own. A lane acks its oldest doorbell last, so nothing
// below the floor is waited for. The server forgets acks when it is killed,
// which lowers the floor and harms nothing.
func ackFloor(ctx context.Context, stream jetstream.Stream) (uint64, error) {
	floor := uint64(math.MaxUint64)
	lister := stream.ListConsumers(ctx)
	for info := range lister.Info() {
		if info.NumPending > 0 || info.NumAckPending > 0 {
			floor = min(floor, info.AckFloor.Stream)
		}
	}
	return floor, lister.Err()
}

// readByAll returns, for each bot that subscribes, the subject of its events
// and up to which all of its subscriptions have read. A bot that only lists
// its events has no cursor, and loses them only by age.
func (b *Broker) readByAll(ctx context.Context) (map[string]uint64, error) {
	cursors, err := b.Bucket(ctx, Cursors)
	if err != nil {
		return nil, err
	}
	keys, err := cursors.Keys(ctx, "bot.*.*")
	if err != nil {
		return nil, err
	}
	read := map[string]uint64{}
	for _, key := range keys {
		entry, err := cursors.Get(ctx, key)
		if errors.Is(err, ErrNoKey) {
			continue
		}
		if err != nil {
			return nil, err
		}
		seq, err := strconv.ParseUint(string(entry.Value), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cursor %s: %w", key, err)
		}
		subject := Events.prefix() + "." + strings.Split(key, ".")[1] + ".>"
		if earlier, ok := read[subject]; !ok || seq < earlier {
			read[subject] = seq
		}
	}
	return read, nil
}
