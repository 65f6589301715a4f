package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// platformTime is what a platform's clock shows in receipts.
var platformTime = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func report(ctx context.Context, s *store.Store, value string, status client.Status) error {
	receipt := client.Receipt{Tag: "wamid", Value: value, Status: status, At: platformTime}
	if status == client.Failed {
		receipt.Reason = "number is not on the platform"
	}
	return as(s, slack).ReportReceipt(ctx, receipt)
}

// ack acks a message by a tag that receipts name it by.
func ack(ctx context.Context, s *store.Store, id, value string) error {
	_, err := as(s, slack).UpdateMessage(ctx, client.UpdateMessageInput{ID: id, Tags: client.Tags{"wamid": value}, Receipt: "wamid"})
	return err
}

// begun makes an outgoing message that is being sent.
func begun(t *testing.T, b *broker.Broker, s *store.Store) string {
	t.Helper()
	m := queued(t, b, s)
	must[client.Message](t)(s.BeginSend(t.Context(), slack, m, attempt(1)))
	return m.ID
}

func seen(t *testing.T, s *store.Store, id string) client.Message {
	t.Helper()
	return must[*client.MessageOutput](t)(as(s, bot).GetMessage(t.Context(), id)).Message
}

func TestAReceiptNeverTakesAMessageBack(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	after := func(steps ...client.Status) func(id string) error {
		return func(id string) error {
			err := ack(ctx, s, id, id)
			for _, status := range steps {
				err = errors.Join(err, report(ctx, s, id, status))
			}
			return err
		}
	}
	const sent, delivered, read, failed = client.Sent, client.Delivered, client.Read, client.Failed
	// What each state becomes by a receipt of sent, delivered, read and failed.
	for name, tc := range map[string]struct {
		reach func(id string) error
		want  [4]client.Status
	}{
		"sent, not acked":           {func(id string) error { return s.FinishSend(ctx, demo, id, sent) }, [4]client.Status{sent, delivered, read, failed}},
		"given up":                  {func(id string) error { return s.FinishSend(ctx, demo, id, failed) }, [4]client.Status{sent, delivered, read, failed}},
		"acked":                     {after(), [4]client.Status{sent, delivered, read, failed}},
		"delivered":                 {after(delivered), [4]client.Status{delivered, delivered, read, delivered}},
		"read":                      {after(read), [4]client.Status{read, read, read, read}},
		"failed after it was acked": {after(failed), [4]client.Status{failed, delivered, read, failed}},
	} {
		for i, told := range []client.Status{sent, delivered, read, failed} {
			id := begun(t, b, s)
			err := tc.reach(id)
			before := seen(t, s, id)
			err = errors.Join(err, report(ctx, s, id, told))
			if before.AckedAt == nil { // receipts wait for the ack, so this pair is told by one
				err = errors.Join(err, ack(ctx, s, id, id))
			}
			got := seen(t, s, id)
			if err != nil || got.Status != tc.want[i] || (got.FailureReason != "") != (got.Status == failed) {
				t.Errorf("%s, then told %s: %s (%q), %v; want %s", name, told, got.Status, got.FailureReason, err, tc.want[i])
			}
		}
	}
}

func permutations[T any](all []T) [][]T {
	if len(all) == 0 {
		return [][]T{nil}
	}
	var found [][]T
	for i, one := range all {
		for _, rest := range permutations(slices.Delete(slices.Clone(all), i, i+1)) {
			found = append(found, append([]T{one}, rest...))
		}
	}
	return found
}

func TestReceiptsAndTheAckEndTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	const acked = client.Status("ack")
	for want, steps := range map[client.Status][]client.Status{
		client.Sent:      {acked, client.Sent, client.Sent},
		client.Failed:    {acked, client.Sent, client.Failed},
		client.Delivered: {acked, client.Failed, client.Delivered},
		client.Read:      {acked, client.Sent, client.Delivered, client.Read},
	} {
		for _, order := range permutations(steps) {
			id := begun(t, b, s)
			for _, step := range order {
				do := func() error { return report(t.Context(), s, id, step) }
				if step == acked {
					do = func() error { return ack(t.Context(), s, id, id) }
				}
				if err := errors.Join(do(), do()); err != nil { // each handler runs twice
					t.Fatal(err)
				}
			}
			got := seen(t, s, id)
			if got.Status != want || got.AckedAt == nil || got.SentAt == nil {
				t.Errorf("%v: %s, acked at %v, sent at %v; want %s", order, got.Status, got.AckedAt, got.SentAt, want)
			}
			times := map[client.Status]*time.Time{client.Delivered: got.DeliveredAt, client.Read: got.ReadAt}
			for status, at := range times {
				if (at != nil) != slices.Contains(steps, status) || at != nil && !at.Equal(platformTime) {
					t.Errorf("%v: %s at %v", order, status, at)
				}
			}
		}
	}
}

// Ack and receipts of many messages come at the same moment, from several
// processes; none misses the other.
func TestAReceiptAndItsAckNeverMissEachOther(t *testing.T) {
	t.Parallel()
	server, b, first := installed(t)
	stores := []*store.Store{first, server.open(server.connect()), server.open(server.connect())}
	const messages = 100
	ids := make([]string, messages)
	for i := range ids {
		ids[i] = begun(t, b, first)
	}
	var group sync.WaitGroup
	for i, id := range ids {
		together := make(chan struct{})
		all := []func(*store.Store) error{
			func(s *store.Store) error { return ack(t.Context(), s, id, id) },
			func(s *store.Store) error { return report(t.Context(), s, id, client.Sent) },
			func(s *store.Store) error { return report(t.Context(), s, id, client.Delivered) },
			func(s *store.Store) error { return report(t.Context(), s, id, client.Read) },
			func(s *store.Store) error { return report(t.Context(), s, id, client.Delivered) },
		}
		if i%2 == 1 {
			all[2] = func(s *store.Store) error { return report(t.Context(), s, id, client.Failed) }
			all = all[:3]
		}
		for n, do := range all {
			group.Go(func() {
				<-together
				if err := do(stores[(i+n)%len(stores)]); err != nil {
					t.Error(err)
				}
			})
		}
		close(together)
		if i%10 == 9 {
			group.Wait()
		}
	}
	group.Wait()
	for i, id := range ids {
		got := seen(t, first, id)
		ended := got.Status == client.Read && got.DeliveredAt != nil && got.ReadAt != nil
		if i%2 == 1 {
			ended = got.Status == client.Failed && got.FailureReason != ""
		}
		if !ended || got.AckedAt == nil || got.Tags["slack:wamid"] != id {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if keys := keysOf(t, b, broker.Messages, broker.Key(demo, "receipt")+".*"); len(keys) != messages {
		t.Errorf("%d keys for the receipts of %d messages", len(keys), messages)
	}
}

// An ack, or a receipt, is cut off after any step and made again by another.
func TestAnAckThatIsCutOffLosesNoReceipt(t *testing.T) {
	t.Parallel()
	server, b, first := installed(t)
	stores := []*store.Store{first, server.open(server.connect())}
	for i := range 40 {
		id := begun(t, b, first)
		if err := report(t.Context(), first, id, client.Read); err != nil {
			t.Fatal(err)
		}
		for attempt, patience := range []time.Duration{time.Duration(i) * 40 * time.Microsecond, time.Duration(i) * 60 * time.Microsecond, time.Minute} {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := errors.Join(ack(ctx, stores[attempt%2], id, id), report(ctx, stores[attempt%2], id, client.Delivered))
			cancel()
			if err != nil && patience == time.Minute {
				t.Fatal(err)
			}
		}
		if got := seen(t, first, id); got.Status != client.Read || got.ReadAt == nil || got.DeliveredAt == nil || got.AckedAt == nil {
			t.Errorf("cut off after %d steps of time: %+v", i, got)
		}
	}
}

// An ack that dies between the key and the record leaves a message that the
// next receipt moves on by itself, with all that was told before.
func TestAReceiptBringsThoseThatWaited(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	id := begun(t, b, s)
	if err := errors.Join(report(t.Context(), s, id, client.Delivered), ack(t.Context(), s, id, id)); err != nil {
		t.Fatal(err)
	}
	bucket := must[*broker.Bucket](t)(b.Bucket(t.Context(), broker.Messages))
	key := broker.Key(demo, id)
	entry := must[broker.Entry](t)(bucket.Get(t.Context(), key))
	undone := strings.ReplaceAll(string(entry.Value), `"deliveredAt"`, `"wasDeliveredAt"`)
	must[uint64](t)(bucket.Update(t.Context(), key, []byte(undone), entry.Revision))
	if err := report(t.Context(), s, id, client.Read); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, s, id); got.DeliveredAt == nil || got.Status != client.Read {
		t.Errorf("%+v", got)
	}
}

func TestAWatchedMessageShowsWhatItsReceiptsSay(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	id := begun(t, b, s)
	next := map[client.Status]func() error{
		client.Sending:   func() error { return ack(t.Context(), s, id, id) },
		client.Sent:      func() error { return report(t.Context(), s, id, client.Delivered) },
		client.Delivered: func() error { return report(t.Context(), s, id, client.Read) },
	}
	var steps []client.Status
	err := s.WatchMessage(t.Context(), demo, id, func(now client.Message) bool {
		steps = append(steps, now.Status)
		if do := next[now.Status]; do != nil {
			if err := do(); err != nil {
				t.Error(err)
			}
		}
		return now.Status == client.Read
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]client.Status{client.Sending, client.Sent, client.Delivered, client.Read}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	listed := must[*client.ListMessagesOutput](t)(as(s, bot).ListMessages(t.Context(), client.ListMessagesInput{})).Messages
	if len(listed) != 1 || listed[0].Status != client.Read || listed[0].ReadAt == nil {
		t.Errorf("a bot lists %+v", listed)
	}
}

// A tag value is one installation's own, and one message's at a time.
func TestAReceiptMovesNoOtherMessage(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	ctx := t.Context()
	mine, next, plain := begun(t, b, s), begun(t, b, s), begun(t, b, s)
	stranger := client.Receipt{Tag: "wamid", Value: "1", Status: client.Read}
	if err := errors.Join(
		as(s, other).ReportReceipt(ctx, stranger), ack(ctx, s, mine, "1"), as(s, other).ReportReceipt(ctx, stranger),
		report(ctx, s, "2", client.Read),
	); err != nil {
		t.Fatal(err)
	}
	must[*client.MessageOutput](t)(as(s, slack).UpdateMessage(ctx, client.UpdateMessageInput{ID: plain, Tags: client.Tags{"wamid": "2"}}))
	for _, id := range []string{mine, plain} {
		if got := status(t, s, id); got != client.Sent {
			t.Errorf("%s is %s by another's receipt, or by a tag that is none of receipts", id, got)
		}
	}
	if err := errors.Join(report(ctx, s, "3", client.Delivered), ack(ctx, s, mine, "3"), ack(ctx, s, next, "3")); err != nil {
		t.Fatal(err)
	}
	if a, b := status(t, s, mine), status(t, s, next); a != client.Delivered || b != client.Sent {
		t.Errorf("the tag went on to another message: %s and %s", a, b)
	}
	if err := as(s, bot).DeleteMessage(ctx, next); err != nil {
		t.Fatal(err)
	}
	bucket := must[*broker.Bucket](t)(b.Bucket(ctx, broker.Messages))
	before := must[broker.Entry](t)(bucket.Get(ctx, broker.Key(demo, next)))
	err := report(ctx, s, "3", client.Read)
	if after := must[broker.Entry](t)(bucket.Get(ctx, broker.Key(demo, next))); err != nil || after.Revision != before.Revision {
		t.Errorf("a receipt of a deleted message wrote %s, %v", after.Value, err)
	}
}

func TestAReceiptIsRefusedForAReason(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	id := begun(t, b, s)
	good := client.Receipt{Tag: "wamid", Value: "1", Status: client.Read}
	edit := func(spoil func(*client.Receipt)) client.Receipt {
		receipt := good
		spoil(&receipt)
		return receipt
	}
	update := func(caller client.Caller, in client.UpdateMessageInput) error {
		in.ID = id
		_, err := as(s, caller).UpdateMessage(t.Context(), in)
		return err
	}
	for name, tc := range map[string]struct {
		err  error
		want error
	}{
		"a bot's":          {as(s, bot).ReportReceipt(t.Context(), good), client.ErrForbidden},
		"a bot's ack":      {update(bot, client.UpdateMessageInput{Tags: client.Tags{"wamid": "1"}, Receipt: "wamid"}), client.ErrForbidden},
		"a missing tag":    {update(slack, client.UpdateMessageInput{Tags: client.Tags{"ts": "1"}, Receipt: "wamid"}), client.ErrInvalid},
		"another's ack":    {update(other, client.UpdateMessageInput{Tags: client.Tags{"wamid": "1"}, Receipt: "wamid"}), client.ErrNotFound},
		"no tag":           {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Tag = "" })), client.ErrInvalid},
		"no value":         {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Value = "" })), client.ErrInvalid},
		"a long value":     {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Value = strings.Repeat("é", 501) })), client.ErrInvalid},
		"no status":        {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Status = "" })), client.ErrInvalid},
		"status sending":   {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Status = client.Sending })), client.ErrInvalid},
		"status scheduled": {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Status = client.Scheduled })), client.ErrInvalid},
		"an unknown one":   {as(s, slack).ReportReceipt(t.Context(), edit(func(r *client.Receipt) { r.Status = "warehoused" })), client.ErrInvalid},
	} {
		if !errors.Is(tc.err, tc.want) {
			t.Errorf("%s: %v, want %v", name, tc.err, tc.want)
		}
	}
	if keys := keysOf(t, b, broker.Messages, broker.Key(demo, "receipt")+".*"); len(keys) != 0 || status(t, s, id) != client.Sending {
		t.Errorf("what was refused left %v, and the message %s", keys, status(t, s, id))
	}
	long := edit(func(r *client.Receipt) { r.Status, r.Reason = client.Failed, strings.Repeat("é", 600) })
	if err := errors.Join(as(s, slack).ReportReceipt(t.Context(), long), ack(t.Context(), s, id, "1")); err != nil {
		t.Fatal(err)
	}
	if got := seen(t, s, id); got.FailureReason != strings.Repeat("é", 500) || got.Status != client.Failed {
		t.Errorf("%s with a reason of %d bytes", got.Status, len(got.FailureReason))
	}
}

// A handler that runs again reports the same again, which changes nothing.
func TestAReceiptCountsOncePerHandler(t *testing.T) {
	t.Parallel()
	_, b, s := installed(t)
	id := begun(t, b, s)
	if err := ack(t.Context(), s, id, "1"); err != nil {
		t.Fatal(err)
	}
	var states []string
	for range 2 {
		c := as(s, slack, "dlv_receipt")
		for _, status := range []client.Status{client.Delivered, client.Read} {
			if err := c.ReportReceipt(t.Context(), client.Receipt{Tag: "wamid", Value: "1", Status: status}); err != nil {
				t.Fatal(err)
			}
		}
		m := seen(t, s, id)
		states = append(states, fmt.Sprint(m.Status, m.DeliveredAt, m.ReadAt, m.UpdatedAt))
	}
	if states[0] != states[1] {
		t.Errorf("changed by a second run:\n%s\n%s", states[0], states[1])
	}
}
