package faults_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/test/system"
)

// account is what became of a load. Lost, doubled and misordered follow from
// what was accepted at the HTTP door and what came to the bot and to the
// platform; Towpath is asked only which sends it marked as ambiguous, and
// whether it holds each message once.
type account struct {
	accepted  int // messages that were answered with 200
	stored    int // webhooks in the stream
	handled   int // incoming messages, as the API lists them
	events    int // messages that came to the bot
	sent      int // sends that the platform took
	lost      int // messages that did not come to the bot, or not to the platform
	doubled   int // messages that came again under another id, or were sent more often than they may be
	misorders int // messages that came after one that was accepted later
	ambiguous int // sends whose outcome Towpath did not know
	faults    []string
}

// String is the account as it is printed.
func (a account) String() string {
	return fmt.Sprintf("accepted=%d stored=%d handled=%d events=%d sent=%d lost=%d doubled=%d misordered=%d ambiguous=%d",
		a.accepted, a.stored, a.handled, a.events, a.sent, a.lost, a.doubled, a.misorders, a.ambiguous)
}

// listed is what the API tells of a text.
type listed struct {
	incoming, outgoing, acked, ambiguous int
	answers                              string // ids of outgoing messages
}

// quiet is longer than a dead worker's lease lasts: what it left half done has
// been taken up by then.
const quiet = lease + 2*time.Second

// settle waits until all that was accepted has come to its end, then until
// nothing more comes, counts, and holds the counts against what must be.
func (p *plant) settle(within time.Duration, loads ...*load) account {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), within)
	defer cancel()
	for ctx.Err() == nil {
		// What the API lists costs more to ask than all the rest.
		if p.account(nil, loads...).lost == 0 {
			if a, err := p.listed(loads...); err == nil && a.lost == 0 {
				break
			}
		}
		p.let(time.Second)
	}
	p.let(quiet)
	var a account
	system.Eventually(p.T, time.Minute, "the API's lists", func() (err error) {
		a, err = p.listed(loads...)
		return err
	})
	a.stored = p.stored()
	p.report(a, loads...)
	return a
}

// report prints and keeps a result, and fails unless it is as promised.
func (p *plant) report(a account, loads ...*load) {
	p.Helper()
	p.Logf("%s: %v", p.name, a)
	var all latencies
	for _, l := range loads {
		all = append(all, p.latencies(l, 0)...)
	}
	p.Logf("%s: from the door to the platform p50=%s p99=%s max=%s", p.name, all.at(0.5), all.at(0.99), all.at(1))
	if a.lost+a.doubled+a.misorders != 0 || a.stored < a.accepted {
		p.Errorf("%s: not once and in order: %v\n%s", p.name, a, strings.Join(a.faults[:min(20, len(a.faults))], "\n"))
	}
	if a.accepted == 0 {
		p.Errorf("%s: nothing was accepted, so nothing was shown", p.name)
	}
	p.bot.wantHeld(p.scenario)
	p.wantAlive()
	results.add(row{name: p.name, account: a, took: time.Since(p.began), latencies: all, failed: p.Failed()})
}

// account counts. Without known, what the API lists is left out of it.
func (p *plant) account(known map[string]listed, loads ...*load) account {
	p.Helper()
	var a account
	for _, l := range loads {
		sends := p.platform.sends(p.T, l.alias)
		l.mu.Lock()
		p.bot.mu.Lock()
		evidence{accepted: l.accepted, heard: p.bot.heard, ids: p.bot.ids, sends: sends, listed: known}.count(&a)
		p.bot.mu.Unlock()
		l.mu.Unlock()
	}
	return a
}

// evidence is all that a load is judged by.
type evidence struct {
	accepted map[string][]string        // texts by channel, in the order of the door
	heard    map[string][]string        // texts by channel, in the order in which they first came to the bot
	ids      map[string]map[string]bool // of events, by text
	sends    []send                     // in the platform's order
	listed   map[string]listed          // by text; nil when the API was not asked
}

// count adds what the evidence shows to an account.
func (e evidence) count(a *account) {
	times, posted, at := map[string]int{}, map[string][]string{}, map[string][]string{}
	for _, s := range e.sends {
		at[s.text] = append(at[s.text], s.at.Format("15:04:05.000"))
		a.sent++
		if times[s.text]++; times[s.text] == 1 {
			posted[s.channel] = append(posted[s.channel], s.text)
		}
	}
	for channel, texts := range posted { // also where nobody wrote
		if n := misordered(e.accepted[channel], texts); n > 0 {
			a.misorders += n
			a.faults = append(a.faults, fmt.Sprintf("misordered at the platform: %q", texts))
		}
	}
	for channel, texts := range e.accepted {
		a.accepted += len(texts)
		if n := misordered(texts, e.heard[channel]); n > 0 {
			a.misorders += n
			a.faults = append(a.faults, fmt.Sprintf("misordered at the bot: %q", e.heard[channel]))
		}
		for _, text := range texts {
			api, ids := e.listed[text], len(e.ids[text])
			a.handled += min(1, api.incoming)
			a.events += min(1, ids)
			a.ambiguous += api.ambiguous
			whole := fmt.Sprintf("%q: sent at %v, %d events, listed %+v", text, at[text], ids, api)
			if times[text] == 0 || ids == 0 || e.listed != nil && (api.incoming == 0 || api.acked == 0) {
				a.lost++
				a.faults = append(a.faults, "lost: "+whole)
			}
			if e.listed != nil && times[text] > 1+api.ambiguous || ids > 1 || api.incoming > 1 || api.outgoing > 1 {
				a.doubled++
				a.faults = append(a.faults, "doubled: "+whole)
			}
		}
	}
}

// misordered counts those that came after one that should have come later.
// What came without having been accepted counts too.
func misordered(want, got []string) int {
	place := make(map[string]int, len(want))
	for i, text := range want {
		place[text] = i
	}
	count, newest := 0, -1
	for _, text := range got {
		at, ok := place[text]
		if !ok || at < newest {
			count++
		}
		newest = max(newest, at)
	}
	return count
}

// listed is the account with what the API lists.
func (p *plant) listed(loads ...*load) (account, error) {
	p.Helper()
	known, err := p.list(p.Context())
	return p.account(known, loads...), err
}

// list asks the API for every message of the conversations that the bot knows.
func (p *plant) list(ctx context.Context) (map[string]listed, error) {
	var mu sync.Mutex
	all := map[string]listed{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, conversation := range p.bot.talked() {
		group.Go(func() error {
			for in := (client.ListMessagesInput{ConversationID: conversation}); ; {
				page, err := p.own.ListMessages(ctx, in)
				if err != nil {
					return fmt.Errorf("list messages: %w", err)
				}
				mu.Lock()
				err = tell(all, page.Messages)
				mu.Unlock()
				if in.NextToken = page.Meta.NextToken; in.NextToken == "" || err != nil {
					return err
				}
			}
		})
	}
	return all, group.Wait()
}

func tell(all map[string]listed, messages []client.Message) error {
	for _, m := range messages {
		w, err := wordsOf(m.Payload)
		if err != nil {
			return err
		}
		one := all[w.String()]
		if m.Direction == client.Incoming {
			one.incoming++
		} else {
			one.outgoing++
			one.ambiguous += m.Ambiguous
			one.answers += m.ID + " "
		}
		if m.AckedAt != nil {
			one.acked++
		}
		all[w.String()] = one
	}
	return nil
}

// stored is how many webhooks NATS holds.
func (p *plant) stored() int {
	p.Helper()
	conn, err := nats.Connect(p.url, nats.Timeout(30*time.Second))
	if err != nil {
		p.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		p.Fatal(err)
	}
	stream, err := js.Stream(p.Context(), "WEBHOOKS")
	if err != nil {
		p.Fatal(err)
	}
	return int(stream.CachedInfo().State.Msgs)
}
