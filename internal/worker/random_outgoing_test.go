package worker_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/worker"
	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// TestOnlyAmbiguousMessagesAreSentTwice drains and kills workers at random
// while they send to a platform that fails at random, and compares what the
// platform got with what the messages say of themselves.
func TestOnlyAmbiguousMessagesAreSentTwice(t *testing.T) {
	t.Parallel()
	steps, seed := fromEnvironment(t, "TOWPATH_RANDOM_STEPS", 40)/2, fromEnvironment(t, "TOWPATH_RANDOM_SEED", int(time.Now().UnixNano()))
	t.Logf("seed %d", seed)
	const conversations, workers = 5, 2
	d := &dice{rand: rand.New(rand.NewPCG(uint64(seed), 2))}
	w := newTown(t, 4)
	err := w.fake.Script(
		fake.Rule{Status: 500, Probability: 0.1, Seed: uint64(seed)},
		fake.Rule{AfterAccept: true, Probability: 0.1, Seed: uint64(seed) + 1},
		fake.Rule{Reset: true, Probability: 0.05, Seed: uint64(seed) + 2},
		fake.Rule{Delay: 5 * time.Millisecond},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.install("/api")
	begin := func(name string) *process {
		return w.start(name, func(c *worker.Config) {
			c.Retry = handlers.RetryPolicy{MaxAttempts: 1000, Base: 5 * time.Millisecond, Cap: 50 * time.Millisecond}
			c.Grace = time.Duration(1+d.n(20)) * time.Millisecond
		})
	}
	var running []*process
	for i := range workers {
		running = append(running, begin(fmt.Sprint("w", i)))
	}
	ids := make([][]string, conversations)
	for n := range steps {
		for k := range conversations {
			ids[k] = append(ids[k], w.tell(w.talk(fmt.Sprint(k)), fmt.Sprintf("%d/%d", k, n)))
		}
		if n%(steps/6) != steps/12 {
			continue
		}
		victim := d.n(workers)
		if d.n(2) == 0 {
			running[victim].kill()
		} else {
			running[victim].drain()
		}
		running[victim] = begin(fmt.Sprintf("w%d.%d", victim, n))
	}
	sent, accepted := map[string][]fake.Request{}, map[string]int{}
	messages := map[string]client.Message{}
	for k := range conversations {
		for _, id := range ids[k] {
			messages[id] = w.settled(id)
		}
	}
	for _, r := range w.fake.Requests() {
		id := r.Headers["idempotency-key"]
		sent[id] = append(sent[id], r)
		if r.Accepted {
			accepted[id]++
		}
	}
	total, ambiguous, twice := 0, 0, 0
	for k := range conversations {
		var before time.Time
		for _, id := range ids[k] {
			message := messages[id]
			total += accepted[id]
			ambiguous += message.Ambiguous
			if accepted[id] > 1 {
				twice++
			}
			if message.Status != client.Sent || message.AckedAt == nil || accepted[id] == 0 {
				t.Errorf("%s: status %s, acked %v, accepted %d times", id, message.Status, message.AckedAt, accepted[id])
				continue
			}
			if accepted[id] > 1+message.Ambiguous {
				t.Errorf("%s: the platform took it %d times, %d sends are marked ambiguous", id, accepted[id], message.Ambiguous)
			}
			for _, r := range sent[id] {
				if r.Time.After(*message.AckedAt) {
					t.Errorf("%s: sent at %s, after it was acked at %s", id, r.Time, message.AckedAt)
				}
				if r.Time.Before(before) {
					t.Errorf("%s: sent before the message before it was through", id)
				}
			}
			before = *message.AckedAt
		}
	}
	t.Logf("messages=%d accepted=%d ambiguous=%d twice=%d", len(messages), total, ambiguous, twice)
}
