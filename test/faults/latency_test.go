package faults_test

import (
	"errors"
	"slices"
	"time"
)

// latencies are sorted times from the door to the platform.
type latencies []time.Duration

// at is the time that such a part of all stays within.
func (l latencies) at(part float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	return l[int(part*float64(len(l)-1))].Round(time.Millisecond)
}

// latencies are those of a load's messages from a number on.
func (p *plant) latencies(l *load, from int) latencies {
	p.Helper()
	arrived := map[string]time.Time{}
	for _, s := range p.platform.sends(p.T, l.alias) {
		if _, again := arrived[s.text]; !again {
			arrived[s.text] = s.at
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var all latencies
	for text, at := range arrived {
		w, err := parse(text)
		if err != nil {
			p.Fatal(errors.Join(err, errors.New(text)))
		}
		if asked, ok := l.asked[text]; ok && w.number >= from {
			all = append(all, at.Sub(asked))
		}
	}
	slices.Sort(all)
	return all
}
