package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Place is where something waits in a queue: a lane; with a Seq, one delivery
// without an ordering key; without a Key, all that an installation has there.
type Place struct {
	Queue        Stream
	Partition    int
	Installation string // as a subject has it
	Key          string // likewise
	Seq          uint64
}

// Place is the lane's place, and that of one delivery when it is keyless.
func (l Lane) Place(seq uint64) Place {
	partition, _ := strconv.Atoi(l.token(1))
	p := Place{
		Queue: Stream(strings.ToUpper(l.token(0))), Partition: partition, Installation: l.token(2), Key: l.token(3),
	}
	if l.Keyless() {
		p.Seq = seq
	}
	return p
}

// Lane is the lane of the place, with a wildcard for a key when it has none.
func (p Place) Lane() Lane {
	key := p.Key
	if key == "" {
		key = "*"
	}
	return Lane(p.Queue.prefix() + "." + strconv.Itoa(p.Partition) + "." + p.Installation + "." + key)
}

func (p Place) key() string {
	key := fmt.Sprintf("%d.%s.%s", p.Partition, p.Queue.prefix(), p.Installation)
	if p.Key != "" {
		key += "." + p.Key
	}
	if p.Seq != 0 {
		key += "." + strconv.FormatUint(p.Seq, 10)
	}
	return key
}

func parsePlace(key string) (Place, error) {
	tokens := strings.Split(key, ".")
	if len(tokens) < 3 || len(tokens) > 5 {
		return Place{}, fmt.Errorf("%q names no place", key)
	}
	partition, err := strconv.Atoi(tokens[0])
	p := Place{Queue: Stream(strings.ToUpper(tokens[1])), Partition: partition, Installation: tokens[2]}
	if len(tokens) > 3 {
		p.Key = tokens[3]
	}
	if len(tokens) > 4 && err == nil {
		p.Seq, err = strconv.ParseUint(tokens[4], 10, 64)
	}
	if err != nil {
		return Place{}, fmt.Errorf("%q names no place: %w", key, err)
	}
	return p, nil
}

// Parked says that something waits for which no doorbell rings any more.
// Whoever owns its partition sees to it.
type Parked struct {
	Place `json:"-"`
	// After is the sequence up to which everything of the place is at its end.
	After uint64 `json:"after"`
	// Until is when it is to be gone on with.
	Until time.Time `json:"until,omitzero"`
	Why   string    `json:"why"` // one word, for people and metrics
	// Revision grows with everything that is written about the place. Gone
	// tells that this one took it away.
	Revision uint64 `json:"-"`
	Gone     bool   `json:"-"`
}

// Park writes down that something waits. Revision must be that of what is
// there, 0 when nothing is, or [ErrConflict] is returned. Once it has returned
// the new revision, the doorbells of the place may be silenced.
func (b *Broker) Park(ctx context.Context, p Parked) (revision uint64, err error) {
	notes, err := b.Bucket(ctx, Waiting)
	if err != nil {
		return 0, err
	}
	value, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("encode what is parked: %w", err)
	}
	if p.Revision == 0 {
		return notes.Create(ctx, p.key(), value)
	}
	return notes.Update(ctx, p.key(), value, p.Revision)
}

// ParkedAt returns what is parked at a place, or [ErrNoKey].
func (b *Broker) ParkedAt(ctx context.Context, place Place) (Parked, error) {
	notes, err := b.Bucket(ctx, Waiting)
	if err != nil {
		return Parked{}, err
	}
	entry, err := notes.Get(ctx, place.key())
	if err != nil {
		return Parked{}, err
	}
	return readParked(entry)
}

// Unpark takes away what was parked under the revision, or returns
// [ErrConflict] when it was parked anew, or taken away, since.
func (b *Broker) Unpark(ctx context.Context, place Place, revision uint64) error {
	notes, err := b.Bucket(ctx, Waiting)
	if err != nil {
		return err
	}
	return notes.Delete(ctx, place.key(), revision)
}

// ParkedFor returns what is parked at a place, or else of its installation's
// backlog, and whether anything is.
func (b *Broker) ParkedFor(ctx context.Context, place Place) (p Parked, is bool, err error) {
	backlog := Place{Queue: place.Queue, Partition: place.Partition, Installation: place.Installation}
	for _, at := range []Place{place, backlog} {
		p, err := b.ParkedAt(ctx, at)
		if !errors.Is(err, ErrNoKey) {
			return p, err == nil, err
		}
	}
	return Parked{}, false, nil
}

// WatchParked hands over what is parked in a partition, then calls current
// once, then hands over each change until ctx ends or NATS was away.
func (b *Broker) WatchParked(ctx context.Context, partition int, current func(), visit func(Parked)) error {
	notes, err := b.Bucket(ctx, Waiting)
	if err != nil {
		return err
	}
	watching, stop := b.UntilReconnected(ctx)
	defer stop()
	return notes.Watch(watching, fmt.Sprintf("%d.>", partition), current, func(e Entry) {
		p, err := readParked(e)
		if err != nil {
			b.logger.WithError(err).Error("what is parked cannot be read, it is left where it is")
			return
		}
		visit(p)
	})
}

func readParked(e Entry) (p Parked, err error) {
	if !e.Deleted {
		if err := json.Unmarshal(e.Value, &p); err != nil {
			return p, fmt.Errorf("decode %s: %w", e.Key, err)
		}
	}
	p.Revision, p.Gone = e.Revision, e.Deleted
	p.Place, err = parsePlace(e.Key)
	return p, err
}

// parkedFloor is the sequence of a queue below which nothing that is parked is
// waited for.
func (b *Broker) parkedFloor(ctx context.Context, queue Stream) (floor uint64, waits bool, err error) {
	notes, err := b.Bucket(ctx, Waiting)
	if err != nil {
		return 0, false, err
	}
	var unreadable error
	for range 2 { // what a reading misses must be written very often indeed: another one has it
		err := notes.Scan(ctx, "*."+queue.prefix()+".>", func(e Entry) {
			p, err := readParked(e)
			if err != nil {
				unreadable = err
			}
			if !waits || p.After < floor {
				floor, waits = p.After, true
			}
		})
		if err != nil {
			return 0, false, err
		}
	}
	return floor, waits, unreadable
}
