package broker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/pkg/events"
)

// fillEvents stores events for the bot demo: a tenth of type rare, the others
// of type often. It returns their times.
func fillEvents(t *testing.T, b *broker.Broker, n int, data string) []time.Time {
	t.Helper()
	times := make([]time.Time, 0, n)
	for i := range n {
		typ := "often"
		if i%10 == 0 {
			typ = "rare"
		}
		e := events.New(fmt.Sprint(i), "/bots/demo", typ, "", time.Now(), []byte(data))
		receipt, err := b.PublishEvent(t.Context(), "demo", "slack", typ, e)
		if err != nil {
			t.Fatal(err)
		}
		message, err := b.Get(t.Context(), broker.Events, receipt.Seq)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, message.Stored)
	}
	return times
}

// newest returns the sequences of at most so many of the newest messages.
func newest(t *testing.T, b *broker.Broker, r broker.Range, limit int) (seqs []uint64) {
	t.Helper()
	for m, err := range b.Newest(t.Context(), broker.Events, r) {
		if err != nil {
			t.Fatal(err)
		}
		if seqs = append(seqs, m.Seq); len(seqs) == limit {
			break
		}
	}
	return seqs
}

// down counts from a number down to another.
func down(from, to, by int) (seqs []uint64) {
	for seq := from; seq >= to; seq -= by {
		seqs = append(seqs, uint64(seq))
	}
	return seqs
}

func TestNewestReadsBackwardsThroughChunks(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	if seqs := newest(t, b, broker.Range{}, 0); len(seqs) != 0 {
		t.Fatalf("an empty stream yields %v", seqs)
	}
	const n = 1000 // sequences 1, 11, 21 … are rare
	times := fillEvents(t, b, n, "{}")
	rare, often := "events.demo.slack.rare", "events.demo.slack.often"
	for name, c := range map[string]struct {
		r     broker.Range
		limit int
		want  []uint64
	}{
		"all":                     {broker.Range{}, 0, down(1000, 1, 1)},
		"the newest few":          {broker.Range{}, 3, down(1000, 998, 1)},
		"one subject":             {broker.Range{Subjects: []string{rare}}, 0, down(991, 1, 10)},
		"two subjects, in order":  {broker.Range{Subjects: []string{often, rare}}, 0, down(1000, 1, 1)},
		"subjects that overlap":   {broker.Range{Subjects: []string{"events.demo.>", rare}}, 0, down(1000, 1, 1)},
		"a subject of nobody":     {broker.Range{Subjects: []string{"events.nobody.>"}}, 0, nil},
		"since":                   {broker.Range{Since: times[899]}, 0, down(1000, 900, 1)},
		"until":                   {broker.Range{Until: times[100]}, 0, down(100, 1, 1)},
		"between":                 {broker.Range{Since: times[100], Until: times[200], Subjects: []string{rare}}, 0, down(191, 101, 10)},
		"since after the last":    {broker.Range{Since: times[n-1].Add(time.Second)}, 0, nil},
		"until before the first":  {broker.Range{Until: times[0]}, 0, nil},
		"until before since":      {broker.Range{Since: times[200], Until: times[100]}, 0, nil},
		"after a sequence":        {broker.Range{After: 990}, 0, down(1000, 991, 1)},
		"after the last sequence": {broker.Range{After: 1000}, 0, nil},
	} {
		if diff := cmp.Diff(c.want, newest(t, b, c.r, c.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNewestHandsOverMessagesAsTheyAreStored(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	fillEvents(t, b, 3, `{"a":1}`)
	for m, err := range b.Newest(t.Context(), broker.Events, broker.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		stored, err := b.Get(t.Context(), broker.Events, m.Seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, header := range []map[string][]string{m.Header, stored.Header} {
			for name := range header {
				if strings.HasPrefix(name, "Nats-") {
					delete(header, name)
				}
			}
		}
		if diff := cmp.Diff(stored, m); diff != "" {
			t.Errorf("(-stored +handed over):\n%s", diff)
		}
	}
}

func TestNewestHoldsFewLargeMessagesAtOnce(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	// More than a chunk's bytes in less than a chunk's messages.
	fillEvents(t, b, 40, `"`+strings.Repeat("x", 1<<20)+`"`)
	if diff := cmp.Diff(down(40, 1, 1), newest(t, b, broker.Range{}, 0)); diff != "" {
		t.Error(diff)
	}
}

func TestNewestStepsOverWhatIsGone(t *testing.T) {
	t.Parallel()
	b := brokertest.Start(t).Connect(t)
	const n = 700
	want := down(n, 1, 1)
	for i := range n {
		receipt, err := b.Enqueue(t.Context(), broker.Webhooks, "w1", "k", webhook(fmt.Sprint("dlv_", i), "{}"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.Get(t.Context(), broker.Webhooks, receipt.Seq)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Bury(t.Context(), m, broker.DeadLetter{Operation: events.WebhookReceived, Installation: "w1"}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	for seq := uint64(100); seq <= n; seq++ {
		if seq < 500 || seq%3 == 0 || seq == n {
			if err := b.DropLetter(t.Context(), seq); err != nil {
				t.Fatal(err)
			}
			want = slices.DeleteFunc(want, func(s uint64) bool { return s == seq })
		}
	}
	var got []uint64
	for m, err := range b.Newest(t.Context(), broker.DeadLetters, broker.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Seq)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNewestYieldsItsErrorLast(t *testing.T) {
	t.Parallel()
	server := brokertest.StartEmpty(t)
	b := server.Connect(t)
	yielded := 0
	for _, err := range b.Newest(t.Context(), broker.Events, broker.Range{}) {
		if yielded++; !errors.Is(err, broker.ErrNotProvisioned) {
			t.Errorf("got %v", err)
		}
	}
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	fillEvents(t, b, 300, "{}")
	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for m, err := range b.Newest(ctx, broker.Events, broker.Range{}) {
		if yielded++; m.Seq == 290 {
			cancel()
		}
		last = err
	}
	if !errors.Is(last, context.Canceled) || yielded != 1+256+1 {
		t.Errorf("%d yielded, the last with %v", yielded, last)
	}
	cancel()
}
