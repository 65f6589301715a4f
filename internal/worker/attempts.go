package worker

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/towpath/towpath/internal/broker"
)

// failures is what is recorded of the failed attempts at one delivery, so that
// whoever goes on with it counts on.
type failures struct {
	Seq       uint64           `json:"seq"`
	Attempts  int              `json:"attempts"`
	NotBefore time.Time        `json:"notBefore"` // of the next attempt
	Errors    []broker.Failure `json:"errors"`
	// GivenUp is why there will be no further attempt. It is recorded before
	// the dead letter is stored, so that whoever goes on stores it, and does
	// not try once more.
	GivenUp string `json:"givenUp,omitempty"`
}

// maxErrors bounds how many failures are kept: the first, and the newest.
const maxErrors = 20

func (f *failures) add(one broker.Failure, notBefore time.Time) {
	f.Attempts, f.NotBefore = one.Attempt, notBefore
	if len(f.Errors) == maxErrors {
		f.Errors = append(f.Errors[:1], f.Errors[2:]...)
	}
	f.Errors = append(f.Errors, one)
}

// record keeps the failures of one delivery: lanes in their cursor, keyless
// deliveries under a key of their own.
type record interface {
	// load returns nil when no attempt has failed; ErrConflict from save means
	// that another worker recorded something meanwhile.
	load(ctx context.Context) (*failures, error)
	save(ctx context.Context, f *failures) error
	// clear forgets them, once the delivery is at its end.
	clear(ctx context.Context) error
}

// laneAttempts is the record of the delivery at a lane's head.
type laneAttempts struct {
	lane *lane
	at   *cursor
}

func (a *laneAttempts) load(context.Context) (*failures, error) { return a.at.Failed, nil }

func (a *laneAttempts) save(_ context.Context, f *failures) error {
	a.at.Failed = f
	return a.lane.save(a.at)
}

// clear leaves it to the cursor's next commit.
func (a *laneAttempts) clear(context.Context) error { return nil }

// attempts is the record of a keyless delivery.
type attempts struct {
	bucket   *broker.Bucket
	message  broker.Message
	delivery string
	revision uint64
}

func (a *attempts) key() string { return broker.Key("attempts", string(a.message.Stream), a.delivery) }

func (a *attempts) load(ctx context.Context) (*failures, error) {
	e, err := a.message.Event()
	if err != nil {
		return nil, nil //nolint:nilerr // what cannot be decoded is not attempted
	}
	a.delivery = e.ID()
	entry, err := a.bucket.Get(ctx, a.key())
	if errors.Is(err, broker.ErrNoKey) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a.revision = entry.Revision
	f := &failures{}
	return f, json.Unmarshal(entry.Value, f)
}

func (a *attempts) save(ctx context.Context, f *failures) error {
	value, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if a.revision == 0 {
		a.revision, err = a.bucket.Create(ctx, a.key(), value)
	} else {
		a.revision, err = a.bucket.Update(ctx, a.key(), value, a.revision)
	}
	return err
}

func (a *attempts) clear(ctx context.Context) error {
	if a.revision == 0 {
		return nil
	}
	return a.bucket.Delete(ctx, a.key(), 0)
}
