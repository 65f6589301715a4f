package faults_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// Neighbours are compared by the clock, so these have the machine to themselves.

func TestOnePoisonedConversation(t *testing.T) { //nolint:paralleltest // it measures times
	s := begin(t, "one poisoned conversation among 200")
	p := s.start(setup{workers: 4})
	l := p.load("slack")
	each := either(3, 20)
	l.write(people, each, 0, 2*time.Second)
	l.finish()
	p.wantArrived(l, people*each, 20*time.Second)
	without := p.latencies(l, 0)

	p.platform.setPoison(l.channel(0))
	l.write(people, each, each, 2*time.Second)
	l.finish()
	p.wantArrived(l, people*each+(people-1)*each, 20*time.Second)
	with := p.latencies(l, each)
	note := compare(without, with)
	t.Logf("%s: all others are done while it is tried again: %s", s.name, note)

	p.platform.setPoison("")
	p.settle(3*time.Minute, l)
	results.note(s.name, note)
}

func TestOneSlowInstallation(t *testing.T) { //nolint:paralleltest // it measures times
	s := begin(t, "one installation of two whose API takes 30 s")
	p := s.start(setup{workers: 4, aliases: []string{"slack", "slow"}})
	quick, slow := p.load("slack"), p.load("slow")
	each := either(3, 20)
	quick.write(people, each, 0, 2*time.Second)
	quick.finish()
	p.wantArrived(quick, people*each, 20*time.Second)
	without := p.latencies(quick, 0)

	p.platform.script(t, fake.Rule{Path: "/slack/slow/chat.postMessage", Delay: 30 * time.Second})
	conversations, waiting := either(200, 1000), either(2_000, 50_000)
	slow.write(conversations, waiting/conversations, 0, either(time.Second, 5*time.Second))
	slow.finish()
	p.untilSilent()
	reached := len(p.latencies(slow, 0))

	quick.write(people, each, each, 2*time.Second)
	quick.finish()
	p.wantArrived(quick, 2*people*each, either(30*time.Second, 5*time.Minute))
	with := p.latencies(quick, each)
	note := fmt.Sprintf("%d waiting; %s", waiting-reached, compare(without, with))
	t.Logf("%s: %s", s.name, note)

	p.platform.ClearScript()
	p.settle(either(3*time.Minute, 30*time.Minute), quick, slow)
	results.note(s.name, note)
}

// untilSilent waits until nothing more comes to the bot: what waits now waits
// for the platform.
func (p *plant) untilSilent() {
	p.Helper()
	for before := -1; before != p.bot.count(); {
		before = p.bot.count()
		p.let(3 * time.Second)
	}
}

// wantArrived waits until so many messages of a load came to the platform.
func (p *plant) wantArrived(l *load, n int, within time.Duration) {
	p.Helper()
	timer := time.Now()
	for {
		arrived := len(p.latencies(l, 0))
		if arrived >= n {
			return
		}
		if time.Since(timer) > within {
			all := p.latencies(l, 0)
			p.Errorf("%s: %v; so far p50=%s p99=%s", p.name,
				errors.New(fmt.Sprint(arrived, " of ", n, " messages came to the platform within ", within)), all.at(0.5), all.at(0.99))
			return
		}
		p.let(200 * time.Millisecond)
	}
}

// compare tells how much slower the others' messages were.
func compare(without, with latencies) string {
	ratio := func(part float64) float64 { return float64(with.at(part)) / max(1, float64(without.at(part))) }
	return fmt.Sprintf("others' p50 %s → %s (×%.2f), p99 %s → %s (×%.2f)",
		without.at(0.5), with.at(0.5), ratio(0.5), without.at(0.99), with.at(0.99), ratio(0.99))
}
