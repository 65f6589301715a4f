package dispatch

import (
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// maxAnswer bounds what a handler can read of a platform's answer, in bytes,
// so that no platform can fill a worker's memory.
const maxAnswer = 64 << 20

// transport is what stands between a handler and a platform.
type transport struct {
	next   http.RoundTripper
	logger *logrus.Logger
	// unanswered is set while a request that may change something has gone out
	// and no answer has come back.
	unanswered atomic.Bool
}

// RoundTrip implements http.RoundTripper. Only the host is logged: some
// platforms carry the token in the path.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	changes := request.Method != http.MethodGet && request.Method != http.MethodHead
	if changes {
		t.unanswered.Store(true)
	}
	started := time.Now()
	response, err := next.RoundTrip(request)
	entry := t.logger.WithFields(logrus.Fields{
		"host": request.URL.Host, "method": request.Method, "ms": time.Since(started).Milliseconds(),
	})
	if err != nil {
		entry.WithError(err).Debug("platform did not answer")
		return nil, err
	}
	if changes {
		t.unanswered.Store(false)
	}
	entry.WithField("status", response.StatusCode).Debug("platform answered")
	response.Body = &limitedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	return response, nil
}

type limitedBody struct {
	io.Reader
	io.Closer
}
