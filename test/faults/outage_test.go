package faults_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// unready is how soon readiness has to tell that NATS is away.
const unready = 2 * time.Second

func TestNATSAway(t *testing.T) {
	t.Parallel()
	for _, away := range either([]time.Duration{20 * time.Second}, []time.Duration{3 * time.Minute, 10 * time.Minute}) {
		t.Run(away.String(), func(t *testing.T) {
			t.Parallel()
			s := begin(t, "NATS away for "+away.String())
			p := s.start(setup{workers: 2})
			l := p.load("slack")
			l.write(people, 0, 0, pace)
			s.let(3 * time.Second)
			p.nats.Kill()
			before := p.said()
			told := p.waitReady(http.StatusServiceUnavailable, unready)
			s.let(away)
			lines := p.said() - before
			p.wantAlive()
			p.nats.Start(t)
			back := p.waitReady(http.StatusOK, 20*time.Second)
			s.let(3 * time.Second)
			l.stop()
			if l.refused == 0 {
				t.Error("the outage went past the load")
			}
			p.settle(time.Minute, l)
			results.note(s.name, fmt.Sprintf("unready after %s, ready %s after NATS, %d answers of 503, %d log lines of %d processes",
				told, back, l.refused, lines, len(p.processes)))
			t.Logf("%s: unready after %s, ready again after %s, refused=%d broken=%d slowest answer=%s log lines=%d",
				s.name, told, back, l.refused, l.broken, l.slowest.Round(time.Millisecond), lines)
		})
	}
}

func TestNATSFrozen(t *testing.T) {
	t.Parallel()
	s := begin(t, "NATS frozen")
	p := s.start(setup{workers: 2})
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	for range either(1, 10) {
		s.let(2 * time.Second)
		frozen, ok := p.nats.(interface{ Signal(syscall.Signal) })
		if !ok {
			t.Fatal("NATS is no process")
		}
		frozen.Signal(syscall.SIGSTOP)
		s.let(either(6*time.Second, s.random(30*time.Second)))
		frozen.Signal(syscall.SIGCONT)
		p.waitReady(http.StatusOK, 30*time.Second)
	}
	s.let(2 * time.Second)
	l.stop()
	p.settle(time.Minute, l)
	l.wantInTime()
}

func TestIngestAloneIsCutOff(t *testing.T) {
	t.Parallel()
	s := begin(t, "ingest alone cut off from NATS")
	var cable *wire
	p := s.start(setup{workers: 2, between: func(url string) string {
		var at string
		cable, at = lay(t, url)
		return at
	}})
	l := p.load("slack")
	l.write(people, 0, 0, pace)
	for range either(1, 5) {
		s.let(2 * time.Second)
		cable.cut()
		p.waitReady(http.StatusServiceUnavailable, unready+time.Second, "ingest")
		s.let(either(8*time.Second, time.Minute))
		p.waitReady(http.StatusOK, time.Second, append(p.workers(), "api")...)
		cable.mend()
		p.waitReady(http.StatusOK, 20*time.Second)
	}
	s.let(2 * time.Second)
	l.stop()
	if l.refused == 0 {
		t.Error("the cut went past the load")
	}
	p.settle(time.Minute, l)
	l.wantInTime()
	results.note(s.name, fmt.Sprintf("%d answers of 503, the slowest answer after %s", l.refused, l.slowest.Round(time.Millisecond)))
}

// wantInTime fails if ingest let a platform wait for longer than its deadline
// of 2.5 s, and as long again for a busy machine.
func (l *load) wantInTime() {
	l.Helper()
	l.Logf("%s: refused=%d broken=%d slowest answer=%s", l.name, l.refused, l.broken, l.slowest.Round(time.Millisecond))
	if l.slowest > 5*time.Second {
		l.Errorf("%s: ingest answered after %s", l.name, l.slowest)
	}
}
