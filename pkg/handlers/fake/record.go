package fake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxRequests = 100_000   // how many requests are kept
	maxKept     = 256 << 20 // how many bytes of them
	maxWait     = time.Minute
)

// NextHeader carries, in the answer to GET /_requests, the value of since that
// asks for what came after the answer.
const NextHeader = "Fake-Next"

// recordedHeaders are the only request headers that are kept: none carries a
// secret.
var recordedHeaders = []string{"content-type", "idempotency-key", "traceparent"}

// Request is one request that arrived for a platform.
type Request struct {
	// Time is when its last byte had arrived; RFC 3339 with nanoseconds in JSON.
	Time time.Time `json:"time"`
	// Method is the HTTP method.
	Method string `json:"method"`
	// Path is the path as sent, with the mount's prefix and the query.
	Path string `json:"path"`
	// Body is the body, empty when it was larger than 10 MiB; bytes that are
	// not UTF-8 are U+FFFD in JSON.
	Body string `json:"body"`
	// Accepted says that the platform took it: its final status was 2xx and
	// its fake did not Refuse it. It is false while the request is answered.
	Accepted bool `json:"accepted"`
	// Headers are the few headers that are recorded, in lower case.
	Headers map[string]string `json:"headers,omitempty"`
}

// record is what arrived, in order. A request's index counts from the fake's
// start and is never given twice, whatever has been forgotten since.
type record struct {
	mu      sync.Mutex
	entries []*entry
	first   int // index of entries[0]
	bytes   int
	changed chan struct{} // closed and replaced at every change
}

type entry struct {
	Request
	path    string // without the query
	settled bool
}

func (e *entry) size() int { return len(e.Body) + len(e.Path) }

// arrive records a request and finds the rule it meets in one step, so that
// dice and counted rules fall in the recorded order.
func (s *Server) arrive(r *http.Request, body string) (*entry, *Rule) {
	e := &entry{path: r.URL.Path, Request: Request{Method: r.Method, Path: r.URL.RequestURI(), Body: body}}
	for _, name := range recordedHeaders {
		if value := r.Header.Get(name); value != "" {
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[name] = value
		}
	}
	rec := &s.record
	rec.mu.Lock()
	defer rec.mu.Unlock()
	e.Time = time.Now().UTC()
	rec.entries = append(rec.entries, e)
	rec.bytes += e.size()
	for len(rec.entries) > maxRequests || rec.bytes > maxKept && len(rec.entries) > 1 {
		rec.bytes -= rec.entries[0].size()
		rec.entries[0] = nil
		rec.entries = rec.entries[1:]
		rec.first++
	}
	rec.wake()
	return e, s.script.meet(r.Method, r.URL.Path)
}

// settle notes once what became of a request.
func (rec *record) settle(e *entry, accepted bool) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if !e.settled {
		e.settled, e.Accepted = true, accepted
		rec.wake()
	}
}

// wake lets every waiting reader look again; mu is held.
func (rec *record) wake() {
	close(rec.changed)
	rec.changed = make(chan struct{})
}

// selection says which requests a reader wants.
type selection struct {
	since   int
	path    string
	settled bool // stop before the first such request that is still being answered
}

// read returns the selected requests, the index behind the last one looked at,
// and a channel that is closed when there may be more.
func (rec *record) read(sel selection) (found []Request, next int, changed <-chan struct{}) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	found = []Request{}
	next = min(max(sel.since, rec.first), rec.first+len(rec.entries))
	for _, e := range rec.entries[next-rec.first:] {
		if matches(sel.path, e.path) {
			if sel.settled && !e.settled {
				break
			}
			found = append(found, e.Request)
		}
		next++
	}
	return found, next, rec.changed
}

// Requests returns the kept requests in order of arrival.
func (s *Server) Requests() []Request {
	found, _, _ := s.record.read(selection{})
	return found
}

// Forget clears the recorded requests; indexes go on counting.
func (s *Server) Forget() {
	rec := &s.record
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.first += len(rec.entries)
	rec.entries, rec.bytes = nil, 0
	rec.wake()
}

// list is GET /_requests: the requests as a JSON array in order of arrival.
//
//	since=N        only those with index N and later; the header Fake-Next has
//	               the N for the next call
//	path=P         only those whose path matches, as Rule.Path does
//	settled=true   only up to the first of them that is still being answered, so that
//	               nothing that was returned changes afterwards
//	wait=5s        when there are none, wait for one, a minute at most
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var errs []string
	sel := selection{path: query.Get("path")}
	var wait time.Duration
	var err error
	if v := query.Get("since"); v != "" {
		if sel.since, err = strconv.Atoi(v); err != nil || sel.since < 0 {
			errs = append(errs, "since must be a number from "+NextHeader)
		}
	}
	if v := query.Get("settled"); v != "" {
		if sel.settled, err = strconv.ParseBool(v); err != nil {
			errs = append(errs, "settled must be true or false")
		}
	}
	if v := query.Get("wait"); v != "" {
		if wait, err = time.ParseDuration(v); err != nil || wait < 0 {
			errs = append(errs, "wait must be a duration like 5s")
		}
	}
	if errs != nil {
		http.Error(w, strings.Join(errs, "; "), http.StatusBadRequest)
		return
	}
	deadline := time.NewTimer(min(wait, maxWait))
	defer deadline.Stop()
	found, next, changed := s.record.read(sel)
	for waiting := wait > 0; waiting && len(found) == 0; found, next, changed = s.record.read(sel) {
		select {
		case <-changed:
		case <-deadline.C:
			waiting = false
		case <-s.closed:
			waiting = false
		case <-r.Context().Done():
			return
		}
		sel.since = next // nothing before it is wanted
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(NextHeader, strconv.Itoa(next))
	// A reader that is gone has nothing to be told.
	if query.Get("headers") != "true" {
		for i := range found {
			found[i].Headers = nil
		}
	}
	_ = json.NewEncoder(w).Encode(found)
}
