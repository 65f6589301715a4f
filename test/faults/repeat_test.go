package faults_test

import (
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

func TestDeliveriesSentThreeTimes(t *testing.T) {
	t.Parallel()
	s := begin(t, "the same deliveries three times")
	p := s.start(setup{workers: 4})
	l := p.load("slack")
	each := either(5, 50)
	l.write(people, each, 0, either(500*time.Millisecond, 2*time.Second))
	l.finish()
	for range 2 {
		p.restartAll()
		if tier == long { // for as long as NATS itself remembers ids
			s.let(2*time.Minute + 10*time.Second)
		}
		var all []words
		for n := range people {
			for number := range each {
				all = append(all, words{l.channel(n), number})
			}
		}
		s.dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		again := errgroup.Group{}
		again.SetLimit(32)
		for _, w := range all {
			again.Go(func() error { return l.deliver(w) })
		}
		if err := again.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	p.settle(2*time.Minute, l)
}

// restartAll kills every process, and starts everything again.
func (p *plant) restartAll() {
	p.Helper()
	p.nats.Kill()
	for _, process := range p.processes {
		process.Kill()
	}
	p.nats.Start(p.T)
	for name := range p.runs {
		if _, ran := p.processes[name]; ran {
			p.again(name)
		}
	}
	p.waitReady(http.StatusOK, 30*time.Second)
}
