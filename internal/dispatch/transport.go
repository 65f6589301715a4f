package dispatch

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"
)

// maxAnswer bounds what a handler can read of a platform's answer, in bytes,
// so that no platform can fill a worker's memory. Reading on is an error, since
// half of an answer must not pass for the whole.
const maxAnswer = 64 << 20

// transport is what stands between a handler and a platform.
type transport struct {
	next   http.RoundTripper
	logger *logrus.Logger
	// unanswered counts the requests that may have changed something at the
	// platform and whose answer has not come, or not whole.
	unanswered atomic.Int64
	// last is the [Health] that the exchange that ended last showed.
	last atomic.Int32
}

func (t *transport) health() Health { return Health(t.last.Load()) }

func (t *transport) found(h Health) { t.last.Store(int32(h)) }

// RoundTrip implements http.RoundTripper. Only the host is logged: some
// platforms carry the token in the path.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	changes := request.Method != http.MethodGet && request.Method != http.MethodHead
	if changes {
		t.unanswered.Add(1)
	}
	started := time.Now()
	passage := &passage{}
	response, err := next.RoundTrip(passage.follow(request))
	if changes && (err == nil || passage.neverSent()) {
		t.unanswered.Add(-1)
	}
	entry := t.logger.WithFields(logrus.Fields{
		"host": request.URL.Host, "method": request.Method, "ms": time.Since(started).Milliseconds(),
	})
	t.found(healthOf(response, err))
	if err != nil {
		entry.WithError(err).Debug("platform did not answer")
		return nil, err
	}
	entry.WithField("status", response.StatusCode).Debug("platform answered")
	response.Body = &answer{
		ReadCloser: http.MaxBytesReader(nil, response.Body, maxAnswer), transport: t,
		decides: changes && response.StatusCode < http.StatusBadRequest,
	}
	return response, nil
}

// answer is the body of an answer. One that breaks off leaves open what the
// platform did: many say no only in the body, under a status of 200.
type answer struct {
	io.ReadCloser
	transport *transport
	decides   bool
}

// Read implements io.Reader.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if brokeOff(err) {
		a.transport.found(Failing)
	}
	if a.decides && err != nil && !errors.Is(err, io.EOF) {
		a.decides = false
		a.transport.unanswered.Add(1)
	}
	return n, err
}

// discreet is a handler's error without the paths of the URLs in it, which
// net/http writes into its errors, for the log and for dead letters.
type discreet struct{ error }

var urlPath = regexp.MustCompile(`(https?://)(?:[^\s/"@]*@)?([^\s/"?]+)[/?][^\s"]*`)

// Error implements error.
func (d discreet) Error() string { return urlPath.ReplaceAllString(d.error.Error(), "$1$2/…") }

// Unwrap returns the error itself.
func (d discreet) Unwrap() error { return d.error }
