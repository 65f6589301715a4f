package dispatch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// passage is how far one request got on its way to a platform.
type passage struct{ tried, begun, sent atomic.Bool }

// errSent keeps a request from being sent a second time unasked.
var errSent = errors.New("the connection broke after the request had been sent")

// follow returns the request such that the passage notes what becomes of it,
// and such that it is sent once at most. net/http would send it again by
// itself when it carries an idempotency key and a used connection breaks, and
// nobody would know. Whether to repeat is decided where it is written down.
func (p *passage) follow(request *http.Request) *http.Request {
	followed := request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GetConn:      func(string) { p.tried.Store(true) },
		WroteHeaders: func() { p.begun.Store(true) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err == nil {
				p.sent.Store(true)
			}
		},
	}))
	if request.Method == http.MethodGet || request.Method == http.MethodHead {
		return followed
	}
	if keyed(request.Header) && (request.Body == nil || request.Body == http.NoBody) {
		// One without a body would be repeated without asking for it. Others
		// keep their form: some servers insist on a length.
		followed.Body = io.NopCloser(strings.NewReader(""))
	}
	if again := request.GetBody; again != nil {
		followed.GetBody = func() (io.ReadCloser, error) {
			if p.sent.Load() {
				return nil, errSent
			}
			return again()
		}
	}
	return followed
}

// keyed tells whether net/http takes a request for one that it may repeat.
func keyed(header http.Header) bool {
	return header["Idempotency-Key"] != nil || header["X-Idempotency-Key"] != nil
}

// neverSent tells that nothing of the request has left. A transport that notes
// nothing may have sent all of it.
func (p *passage) neverSent() bool { return p.tried.Load() && !p.begun.Load() }
