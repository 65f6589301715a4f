package faults_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"
)

// How many people write, and how long each thinks between two messages.
const (
	people = 200
	pace   = 3 * time.Second
)

func TestRoundsOfSIGKILL(t *testing.T) {
	t.Parallel()
	s := begin(t, "SIGKILL at random moments")
	// A send that hangs is given up soon, or the rounds would be over first.
	timeout := []string{"TOWPATH_TIMEOUT=3s"}
	p := s.start(setup{workers: 4, env: map[string][]string{"worker1": timeout, "worker2": timeout, "worker3": timeout, "worker4": timeout}})
	p.platform.script(t, s.tenth()...)
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	for range either(5, 50) {
		s.let(s.random(2 * time.Second))
		victims := append([]string{"nats", "ingest", "api"}, p.workers()...)
		// Each of the four roles is as likely.
		victim := victims[min(s.dice.IntN(4), 3)]
		if victim == victims[3] {
			victim = p.workers()[s.dice.IntN(len(p.workers()))]
		}
		down := s.random(2 * time.Second)
		t.Logf("%s is killed and comes back after %s", victim, down.Round(time.Millisecond))
		if victim == "nats" {
			p.nats.Kill()
			s.let(down)
			p.nats.Start(t)
		} else {
			p.processes[victim].Kill()
			s.let(down)
			p.again(victim)
		}
		p.waitReady(http.StatusOK, 30*time.Second)
	}
	l.stop()
	p.settle(3*time.Minute, l)
}

func TestWorkersComeAndGo(t *testing.T) {
	t.Parallel()
	s := begin(t, "workers 1 → 8 → 2")
	p := s.start(setup{workers: 1})
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	s.let(3 * time.Second)
	for n := 2; n <= 8; n++ {
		p.runWorker(n)
	}
	p.waitReady(http.StatusOK, 30*time.Second)
	s.let(either(5*time.Second, 20*time.Second))
	for _, name := range p.workers()[:6] {
		p.processes[name].Signal(syscall.SIGTERM)
	}
	for _, name := range p.workers()[:6] {
		if status := p.processes[name].Wait(25 * time.Second); status != 0 {
			t.Errorf("%s is told to drain and exits with %d", name, status)
		}
		p.retire(name)
	}
	s.let(either(3*time.Second, 20*time.Second))
	l.stop()
	a := p.settle(time.Minute, l)
	if a.ambiguous != 0 {
		t.Errorf("drains cut %d sends short", a.ambiguous)
	}
}

func TestAFrozenWorkerHasTwoOwners(t *testing.T) {
	t.Parallel()
	s := begin(t, "a worker frozen past its lease")
	p := s.start(setup{workers: 4})
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	for range either(3, 20) {
		s.let(time.Second + s.random(time.Second))
		frozen := p.processes[p.workers()[s.dice.IntN(4)]]
		frozen.Signal(syscall.SIGSTOP)
		s.let(lease + time.Second + s.random(2*time.Second))
		frozen.Signal(syscall.SIGCONT)
	}
	l.stop()
	p.settle(time.Minute, l)
}

func TestAClockAnHourOff(t *testing.T) {
	t.Parallel()
	s := begin(t, "a worker's clock an hour ahead")
	s.knows("TOWPATH_CLOCK_OFFSET")
	p := s.start(setup{workers: 4, env: map[string][]string{"worker2": {"TOWPATH_CLOCK_OFFSET=1h"}}})
	p.platform.script(t, s.tenth()[:2]...) // waits are what a clock decides about
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	s.let(either(8*time.Second, time.Minute))
	p.processes["worker1"].Kill() // its work goes to the others
	p.again("worker1")
	s.let(either(6*time.Second, time.Minute))
	l.stop()
	p.settle(2*time.Minute, l)
}
