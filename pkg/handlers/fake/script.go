package fake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"
)

// Rule is one scripted failure: which requests it meets and what becomes of
// them. A request meets the first rule that matches, is not used up and, with
// a probability, hits. What is done is at most one of Status, Hang and Reset,
// after Delay; a rule with a Delay alone makes the platform slow.
type Rule struct { //nolint:recvcheck // what is read needs a pointer, what is written must not
	// Method is matched exactly; empty matches every method.
	Method string `json:"method,omitempty"`
	// Path is matched against the whole path, mount prefix included and query
	// excluded: as path.Match does when it holds one of *?[, else as a prefix.
	// Empty matches every path.
	Path string `json:"path,omitempty"`
	// Times is how many requests the rule meets, 0 for all of them.
	Times int `json:"times,omitempty"`
	// Probability is how likely a matching request meets the rule, from 0 to
	// 1; 0 means always. The dice are thrown in order of arrival from Seed.
	Probability float64 `json:"probability,omitempty"`
	// Seed makes the same dice fall again.
	Seed uint64 `json:"seed,omitempty"`
	// Status is answered, with Headers and Body, in the platform's stead.
	Status int `json:"status,omitempty"`
	// Headers go with Status.
	Headers map[string]string `json:"headers,omitempty"`
	// Body goes with Status.
	Body string `json:"body,omitempty"`
	// Delay is waited before anything else is done; "250ms" in JSON.
	Delay time.Duration `json:"-"`
	// Hang never answers; the request ends with its client or with Close.
	Hang bool `json:"hang,omitempty"`
	// Reset ends the connection with a TCP reset.
	Reset bool `json:"reset,omitempty"`
	// AfterAccept lets the platform act first and loses its answer: by a
	// reset unless Status or Hang say otherwise.
	AfterAccept bool `json:"afterAccept,omitempty"`
}

// fields is a Rule without its methods, so that JSON does not come back to them.
type fields Rule

// UnmarshalJSON reads a rule and refuses unknown keys.
func (r *Rule) UnmarshalJSON(data []byte) error {
	in := struct {
		*fields
		Delay string `json:"delay"`
	}{fields: (*fields)(r)}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	if in.Delay == "" {
		return nil
	}
	delay, err := time.ParseDuration(in.Delay)
	if err != nil {
		return errors.New(`delay is no duration; write it like "250ms"`)
	}
	r.Delay = delay
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (r Rule) MarshalJSON() ([]byte, error) {
	out := struct {
		fields
		Delay string `json:"delay,omitempty"`
	}{fields: fields(r)}
	if r.Delay != 0 {
		out.Delay = r.Delay.String()
	}
	return json.Marshal(out)
}

func (r *Rule) check() error {
	outcomes := 0
	for _, is := range []bool{r.Status != 0, r.Hang, r.Reset} {
		if is {
			outcomes++
		}
	}
	_, badPath := path.Match(r.Path, "")
	switch {
	case outcomes > 1:
		return errors.New("status, hang and reset exclude each other; keep one of them")
	case outcomes == 0 && r.Delay == 0 && !r.AfterAccept:
		return errors.New("the rule does nothing; give it status, delay, hang, reset or afterAccept")
	case r.Status != 0 && (r.Status < 200 || r.Status > 599):
		return errors.New("status is none to answer with; use 200 to 599")
	case r.Status == 0 && (r.Body != "" || len(r.Headers) > 0):
		return errors.New("headers and body go with a status; add one")
	case !(r.Probability >= 0 && r.Probability <= 1):
		return errors.New("probability must be from 0 to 1")
	case r.Times < 0 || r.Delay < 0:
		return errors.New("times and delay cannot be negative")
	case badPath != nil:
		return errors.New("path is no pattern; close its brackets")
	}
	return nil
}

func (r *Rule) answer() *answer {
	a := &answer{header: http.Header{}, status: r.Status}
	for key, value := range r.Headers {
		a.header.Set(key, value)
	}
	a.body.WriteString(r.Body)
	return a
}

// script is the rules in force.
type script struct {
	mu    sync.Mutex
	rules []*scripted
}

type scripted struct {
	Rule
	met  int
	dice *rand.Rand
}

// Script adds rules behind those in force, all or, with an error, none.
func (s *Server) Script(rules ...Rule) error {
	add := make([]*scripted, len(rules))
	for i, r := range rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
		add[i] = &scripted{Rule: r, dice: rand.New(rand.NewPCG(r.Seed, 0))}
	}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.rules = append(s.script.rules, add...)
	return nil
}

// ClearScript forgets all rules; requests that a rule holds stay held.
func (s *Server) ClearScript() {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.rules = nil
}

// meet returns the rule that a request meets, nil for none.
func (s *script) meet(method, path string) *Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.Method != "" && r.Method != method || !matches(r.Path, path) {
			continue
		}
		if r.Times > 0 && r.met == r.Times || r.Probability > 0 && r.dice.Float64() >= r.Probability {
			continue
		}
		r.met++
		return &r.Rule
	}
	return nil
}

// matches reports whether p matches a pattern as Rule.Path describes it.
func matches(pattern, p string) bool {
	if strings.ContainsAny(pattern, "*?[") {
		ok, err := path.Match(pattern, p)
		return ok && err == nil
	}
	return strings.HasPrefix(p, pattern)
}

// addRules is POST /_script.
func (s *Server) addRules(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var rules []Rule
	if err == nil {
		err = json.Unmarshal(body, &rules)
	}
	if err == nil {
		err = s.Script(rules...)
	}
	if err != nil {
		http.Error(w, "read script: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// pause waits, without end when d is negative, and reports whether the time
// passed before the client left or the fake was closed.
func (s *Server) pause(ctx context.Context, d time.Duration) bool {
	var passed <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		passed = timer.C
	}
	select {
	case <-passed:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// reset ends the connection so that the client sees "connection reset by
// peer"; where there is no TCP connection to take over, it is only cut.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send RST instead of FIN
	}
	_ = conn.Close()
}
