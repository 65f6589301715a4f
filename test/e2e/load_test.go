package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/test/system"
)

const (
	conversations = 20
	perEach       = 15 // messages in a conversation
	// pace is how long somebody thinks between two messages, so that a load
	// lasts long enough for what is done to the processes meanwhile.
	pace = 80 * time.Millisecond
)

// load is people writing in Slack: in every conversation one message after the
// other, the next once the one before was accepted.
type load struct {
	people sync.WaitGroup

	mu       sync.Mutex
	accepted map[string][]string // texts by conversation, in order
	ids      map[string]string   // the delivery's id by text
	refused  int
	faults   []error
}

// write begins to send. What is refused with 503 is sent again, as it was.
func (a *apart) write() *load {
	l := &load{accepted: map[string][]string{}, ids: map[string]string{}}
	for c := range conversations {
		l.people.Go(func() {
			conversation := fmt.Sprintf("C%02d", c)
			thinking := time.NewTicker(pace)
			defer thinking.Stop()
			for m := range perEach {
				<-thinking.C
				text := fmt.Sprintf("%s message %02d", conversation, m)
				if err := l.say(a, conversation, text); err != nil {
					l.mu.Lock()
					l.faults = append(l.faults, fmt.Errorf("%s: %w", text, err))
					l.mu.Unlock()
					return
				}
			}
		})
	}
	return l
}

// say sends one message until it is accepted.
func (l *load) say(a *apart, conversation, text string) error {
	sample, err := a.slack.Sample("message", handlers.SampleArgs{
		ID: strings.ReplaceAll(text, " ", ""), Text: text, Conversation: conversation, User: "U" + conversation, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	parts, err := a.slack.Split(sample)
	if err != nil {
		return err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for range 300 {
		got, err := send(a.ingest+"/webhooks/webhook_slack", sample)
		switch {
		case err != nil:
			return err
		case got.status == http.StatusOK:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.accepted[conversation] = append(l.accepted[conversation], text)
			l.ids[text] = events.DeliveryID("webhook_slack", parts[0].ID)
			return nil
		case got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "":
			return fmt.Errorf("ingest answers %d %q", got.status, got.body)
		}
		l.mu.Lock()
		l.refused++
		l.mu.Unlock()
		<-again.C
	}
	return errors.New("refused for too long")
}

// untilAccepted waits until that many messages were.
func (l *load) untilAccepted(t *testing.T, n int) {
	t.Helper()
	system.Eventually(t, 20*time.Second, "the first messages", func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.ids) < n {
			return fmt.Errorf("%d accepted", len(l.ids))
		}
		return nil
	})
}

// wait returns once everything is accepted.
func (l *load) wait(t *testing.T) {
	t.Helper()
	l.people.Wait()
	if len(l.faults) > 0 {
		t.Fatal(errors.Join(l.faults...))
	}
}

// account is what became of a load.
type account struct {
	accepted, refused         int
	stored, handled           int // as NATS holds it
	received                  int // incoming messages, as the API lists them
	sent                      int // as the platform took it
	acked, ambiguous          int // as the API tells of outgoing messages
	lost, doubled, misordered int
	heard                     map[string][]string // texts by conversation, in the platform's order
}

func (c account) String() string {
	return fmt.Sprintf("accepted=%d refused=%d stored=%d handled=%d sent=%d acked=%d lost=%d doubled=%d misordered=%d ambiguous=%d",
		c.accepted, c.refused, c.stored, c.handled, c.sent, c.acked, c.lost, c.doubled, c.misordered, c.ambiguous)
}

// settle waits until everything that was accepted is answered, and counts.
func (a *apart) settle(l *load) account {
	a.t.Helper()
	l.wait(a.t)
	a.untilHeard(len(l.ids)) // costs less to ask than all the rest
	var c account
	system.Eventually(a.t, 20*time.Second, "every message answered and acked", func() error {
		c = a.count(l)
		if c.handled < c.accepted || c.acked < c.accepted {
			return errors.New(c.String())
		}
		return nil
	})
	a.t.Log(c)
	return c
}

// count reads from NATS, the API and the platform what became of a load.
func (a *apart) count(l *load) account {
	a.t.Helper()
	c := account{refused: l.refused, accepted: len(l.ids)}
	c.stored, c.handled = a.stored(), a.handled(l)
	ambiguous := map[string]int{}
	for _, m := range messages(a.t, a.own) {
		if m.Direction == client.Incoming {
			c.received++
			continue
		}
		if m.AckedAt != nil {
			c.acked++
		}
		c.ambiguous += m.Ambiguous
		ambiguous[textOf(a.t, m.Payload)] = m.Ambiguous
	}
	c.heard = map[string][]string{}
	times := map[string]int{}
	for _, form := range a.fake.posted(a.t) {
		text := form.Get("text")
		c.sent++
		if times[text]++; times[text] == 1 {
			c.heard[form.Get("channel")] = append(c.heard[form.Get("channel")], text)
		} else if times[text] > 1+ambiguous[text] {
			c.doubled++
		}
	}
	for conversation, texts := range l.accepted {
		for _, text := range texts {
			if times[text] == 0 {
				c.lost++
			}
		}
		if !slices.Equal(texts, c.heard[conversation]) {
			c.misordered++
		}
	}
	return c
}

func (a *apart) stored() int {
	a.t.Helper()
	js, err := jetstream.New(a.connection())
	if err != nil {
		a.t.Fatal(err)
	}
	stream, err := js.Stream(a.t.Context(), "WEBHOOKS")
	if err != nil {
		a.t.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}

func (a *apart) handled(l *load) int {
	a.t.Helper()
	seen := bucket(a.t, a.connection(), "seen")
	n := 0
	for _, id := range l.ids {
		if strings.Contains(seen[id], `"outcome":"done"`) {
			n++
		}
	}
	return n
}

func textOf(t *testing.T, payload json.RawMessage) string {
	t.Helper()
	var said struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		t.Fatal(err)
	}
	return said.Text
}

// wantExact fails unless everything happened once, in order.
func (c account) wantExact(t *testing.T) {
	t.Helper()
	const all = conversations * perEach
	if c.accepted != all || c.stored != all || c.handled != all || c.received != all || c.acked != all {
		t.Errorf("of %d: %v, received=%d", all, c, c.received)
	}
	if c.lost+c.doubled+c.misordered != 0 || c.sent > all+c.ambiguous {
		t.Errorf("not once, or not in order: %v", c)
	}
}

// untilHeard waits until the platform took that many messages.
func (a *apart) untilHeard(n int) {
	a.t.Helper()
	system.Eventually(a.t, 30*time.Second, "messages at the platform", func() error {
		if heard := len(a.fake.posted(a.t)); heard < n {
			return fmt.Errorf("%d messages", heard)
		}
		return nil
	})
}
