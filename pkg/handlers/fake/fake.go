// Package fake is a fake of the platforms' public APIs for tests and for
// trying Towpath out: it hands requests to the platforms' own fakes, records
// what arrived and fails as it is told to.
//
// Beside what is mounted it answers
//
//	GET    /_requests   the recorded requests, see Server.list
//	DELETE /_requests   forgets them
//	POST   /_script     adds failures, a JSON array of Rule
//	DELETE /_script     forgets them
package fake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// maxBody bounds what is read of a request, in bytes.
const maxBody = 10 << 20

// Server is the fake; it is an http.Handler and safe for concurrent use.
type Server struct {
	mu     sync.RWMutex
	mounts map[string]http.Handler // by prefix

	record record
	script script

	close  sync.Once
	closed chan struct{}
}

// New returns a fake on which nothing is mounted: every request is recorded
// and answered with 404.
func New() *Server {
	return &Server{
		mounts: map[string]http.Handler{}, closed: make(chan struct{}),
		record: record{changed: make(chan struct{})},
	}
}

// Mount serves api below prefix, which begins with a slash and does not end in
// one, such as "/slack". The API sees paths without the prefix. It panics on
// another kind of prefix and on one that is taken, as http.ServeMux does.
func (s *Server) Mount(prefix string, api http.Handler) {
	if len(prefix) < 2 || prefix[0] != '/' || prefix[1] == '_' || strings.HasSuffix(prefix, "/") {
		panic("fake: cannot mount at " + prefix + "; write it like /slack")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mounts[prefix] != nil {
		panic("fake: something is mounted at " + prefix)
	}
	s.mounts[prefix] = api
}

// Close ends hanging requests and waiting readers; later requests get 503.
func (s *Server) Close() {
	s.close.Do(func() { close(s.closed) })
}

type refusedKey struct{}

// Refuse marks the request as not taken by the platform although the answer's
// status says 2xx, as with Slack's {"ok":false}. A platform's fake calls it; on
// a request that did not come through a Server it does nothing.
func Refuse(r *http.Request) {
	if refused, ok := r.Context().Value(refusedKey{}).(*atomic.Bool); ok {
		refused.Store(true)
	}
}

// ServeHTTP answers the fake's own paths and plays the platforms on all others.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-s.closed:
		http.Error(w, "the fake is closed", http.StatusServiceUnavailable)
		return
	default:
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /_requests":
		s.list(w, r)
	case "DELETE /_requests":
		s.Forget()
		w.WriteHeader(http.StatusNoContent)
	case "POST /_script":
		s.addRules(w, r)
	case "DELETE /_script":
		s.ClearScript()
		w.WriteHeader(http.StatusNoContent)
	default:
		if strings.HasPrefix(r.URL.Path, "/_") {
			http.Error(w, "the fake has GET and DELETE /_requests, POST and DELETE /_script", http.StatusNotFound)
			return
		}
		s.play(w, r)
	}
}

// play records one request and answers it as the script or the platform says.
func (s *Server) play(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		// The client went away before its request had arrived.
		panic(http.ErrAbortHandler)
	}
	if tooLarge != nil {
		body = nil
	}
	entry, rule := s.arrive(r, string(body))
	accepted := false
	// Also when the platform's fake panics, or the request would stay unsettled.
	defer func() { s.record.settle(entry, accepted) }()
	if tooLarge != nil {
		http.Error(w, "the body is larger than 10 MiB", http.StatusRequestEntityTooLarge)
		return
	}

	var answer *answer
	if rule == nil || rule.AfterAccept {
		answer, accepted = s.ask(r, body)
	}
	if rule != nil {
		// The platform has made up its mind, whatever becomes of the answer.
		if rule.AfterAccept {
			s.record.settle(entry, accepted)
		}
		if !s.pause(r.Context(), rule.Delay) {
			panic(http.ErrAbortHandler)
		}
		switch {
		case rule.Hang:
			s.pause(r.Context(), -1)
			panic(http.ErrAbortHandler)
		case rule.Status != 0:
			answer = rule.answer()
			accepted = accepted || !rule.AfterAccept && rule.Status < 300
		case rule.Reset || rule.AfterAccept:
			reset(w)
			return
		default:
			answer, accepted = s.ask(r, body)
		}
	}
	// Settled before it is answered, so that who has the answer and then asks
	// for the recorded requests finds it there.
	s.record.settle(entry, accepted)
	answer.write(w)
}

// ask lets the mounted API answer and reports whether it took the request.
func (s *Server) ask(r *http.Request, body []byte) (*answer, bool) {
	answer := &answer{header: http.Header{}}
	prefix, api := s.mounted(r.URL.Path)
	if api == nil {
		http.Error(answer, "nothing is mounted here", http.StatusNotFound)
		return answer, false
	}
	refused := new(atomic.Bool)
	in := r.WithContext(context.WithValue(r.Context(), refusedKey{}, refused))
	in.URL = new(url.URL)
	*in.URL = *r.URL
	in.URL.Path = "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, prefix), "/")
	if in.URL.RawPath != "" {
		in.URL.RawPath = "/" + strings.TrimPrefix(strings.TrimPrefix(r.URL.RawPath, prefix), "/")
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	api.ServeHTTP(answer, in)
	answer.WriteHeader(http.StatusOK)
	return answer, answer.status < 300 && !refused.Load()
}

// mounted returns the API with the longest prefix of path.
func (s *Server) mounted(path string) (prefix string, api http.Handler) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for p, mounted := range s.mounts {
		if len(p) > len(prefix) && (path == p || strings.HasPrefix(path, p+"/")) {
			prefix, api = p, mounted
		}
	}
	return prefix, api
}

// answer holds an API's response back until the request is settled.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header is the header to be sent.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first final status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

// Write keeps what is written.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

func (a *answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	// A client that is gone has nothing to be told.
	_, _ = w.Write(a.body.Bytes())
}
