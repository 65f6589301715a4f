package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/towpath/towpath/pkg/client"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Recording is what an attempt asked for and was told, in order: enough to run
// the handler again without asking anybody. It holds none of the installation's
// secrets.
type Recording struct {
	Delivery    string           `json:"delivery"`
	Attempt     int              `json:"attempt"`
	Operation   events.Operation `json:"operation"`
	Integration string           `json:"integration"`
	WebhookID   string           `json:"webhookId"`
	Worker      string           `json:"worker,omitempty"`
	Began       time.Time        `json:"began"`
	Took        time.Duration    `json:"took"` // in nanoseconds
	// Decision is what was decided after the attempt; empty when it was cut
	// short.
	Decision  handlers.Decision `json:"decision,omitempty"`
	Error     string            `json:"error,omitempty"`
	Response  *events.Response  `json:"response,omitempty"` // of a webhook
	Calls     []Call            `json:"calls,omitempty"`
	Exchanges []Exchange        `json:"exchanges,omitempty"`
	// Truncated tells that it was too much to keep: the handler can be run
	// again only up to there.
	Truncated bool `json:"truncated,omitempty"`
}

// Call is what a handler asked its client for.
type Call struct {
	Operation string          `json:"operation"` // "getOrCreateUser"
	Effect    bool            `json:"effect,omitempty"`
	Input     json.RawMessage `json:"input"`
	Output    json.RawMessage `json:"output,omitempty"`
	Error     *client.Error   `json:"error,omitempty"`
	After     time.Duration   `json:"after"` // the attempt's beginning, in nanoseconds
	Took      time.Duration   `json:"took"`
}

// Exchange is one request to the platform and its answer.
type Exchange struct {
	Method  string        `json:"method"`
	URL     string        `json:"url"`
	Body    string        `json:"body,omitempty"` // of the request
	Status  int           `json:"status,omitempty"`
	Header  http.Header   `json:"header,omitempty"` // of the answer
	Answer  string        `json:"answer,omitempty"` // its body
	Error   string        `json:"error,omitempty"`  // why there is no answer, or not all of it
	After   time.Duration `json:"after"`            // the attempt's beginning, in nanoseconds
	Took    time.Duration `json:"took"`
	Binary  bool          `json:"binary,omitempty"`  // a body that is no text is left out
	Partial bool          `json:"partial,omitempty"` // a body was too long, and is cut
}

const (
	// maxRecordedBody bounds what is kept of one body, in bytes, and
	// maxRecording what is kept of an attempt.
	maxRecordedBody = 64 << 10
	maxRecording    = 512 << 10
)

// recorder keeps what passes between a handler and everybody else.
type recorder struct {
	began  time.Time
	hide   hider
	mu     sync.Mutex
	size   int
	keeps  Recording
	closed bool // what comes after the attempt's end is not part of it
}

// newRecorder returns a recorder that writes none of the secrets down.
func newRecorder(secrets []string) *recorder {
	return &recorder{began: time.Now(), hide: hider{known: replacerOf(secrets)}}
}

// room takes n bytes of what may be kept; the mutex is held.
func (r *recorder) room(n int) bool {
	if r.closed || r.size+n > maxRecording {
		r.keeps.Truncated = r.keeps.Truncated || !r.closed
		return false
	}
	r.size += n
	return true
}

// finish returns what was kept until now.
func (r *recorder) finish(target Target, operation events.Operation, job Job, result Result) Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	kept := r.keeps
	kept.Delivery, kept.Attempt, kept.Operation = job.Event.ID(), job.Attempt, operation
	kept.Integration, kept.WebhookID = target.Integration, target.WebhookID
	kept.Took, kept.Response = time.Since(r.began), result.Response
	if kept.Response != nil {
		hidden := *kept.Response
		hidden.Body = []byte(r.hide.Replace(string(hidden.Body)))
		kept.Response = &hidden
	}
	if !result.Interrupted {
		kept.Decision = result.Verdict.Decision
	}
	if result.Err != nil {
		kept.Error = r.hide.Replace(result.Err.Error())
	}
	return kept
}

// recorded is a backend whose calls are kept.
type recorded struct {
	client.Backend
	recorder *recorder
}

// Do implements client.Backend.
func (b recorded) Do(ctx context.Context, call client.Call, in, out any) error {
	after := time.Since(b.recorder.began)
	err := b.Backend.Do(ctx, call, in, out)
	c := Call{Operation: call.Operation.Name, Effect: call.Operation.Effect, After: after}
	c.Took = time.Since(b.recorder.began) - after
	c.Input = b.recorder.json(in)
	if err != nil {
		told := *client.AsError(err)
		told.Message = b.recorder.hide.Replace(told.Message)
		c.Error = &told
	} else {
		c.Output = b.recorder.json(out)
	}
	b.recorder.mu.Lock()
	defer b.recorder.mu.Unlock()
	if b.recorder.room(len(c.Input) + len(c.Output)) {
		b.recorder.keeps.Calls = append(b.recorder.keeps.Calls, c)
	}
	return err
}

func (r *recorder) json(value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return json.RawMessage(r.hide.Replace(string(data)))
}

// exchanged is a transport whose exchanges are kept.
type exchanged struct {
	http.RoundTripper
	recorder *recorder
}

// RoundTrip implements http.RoundTripper.
func (t exchanged) RoundTrip(request *http.Request) (*http.Response, error) {
	sent, answered := &capture{}, &capture{}
	if request.Body != nil && request.Body != http.NoBody {
		request = request.Clone(request.Context())
		request.Body = captured{request.Body, sent, nil}
		if again := request.GetBody; again != nil {
			request.GetBody = func() (io.ReadCloser, error) {
				body, err := again()
				sent.reset()
				return captured{body, sent, nil}, err
			}
		}
	}
	after := time.Since(t.recorder.began)
	response, err := t.RoundTripper.RoundTrip(request)
	e := Exchange{Method: request.Method, URL: t.recorder.hide.Replace(request.URL.String()), After: after}
	if err != nil {
		e.Error = t.recorder.hide.Replace(discreet{err}.Error())
		t.recorder.exchange(e, sent, answered)
		return nil, err
	}
	e.Status, e.Header = response.StatusCode, http.Header{}
	for name, values := range response.Header {
		if events.SecretHeader(name) {
			continue
		}
		for _, value := range values {
			e.Header.Add(name, t.recorder.hide.Replace(value))
		}
	}
	response.Body = captured{response.Body, answered, sync.OnceFunc(func() { t.recorder.exchange(e, sent, answered) })}
	return response, nil
}

func (r *recorder) exchange(e Exchange, sent, answered *capture) {
	e.Took = time.Since(r.began) - e.After
	for _, body := range []struct {
		of *capture
		to *string
	}{{sent, &e.Body}, {answered, &e.Answer}} {
		text, whole := body.of.text()
		e.Partial = e.Partial || !whole
		if !utf8.ValidString(text) {
			e.Binary, text = true, ""
		}
		*body.to = r.hide.Replace(text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.room(len(e.URL) + len(e.Body) + len(e.Answer)) {
		r.keeps.Exchanges = append(r.keeps.Exchanges, e)
	}
}

// capture keeps the beginning of a body.
type capture struct {
	mu   sync.Mutex
	kept bytes.Buffer
	more bool
}

func (c *capture) write(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(p), maxRecordedBody-c.kept.Len())
	c.kept.Write(p[:n])
	c.more = c.more || n < len(p)
}

func (c *capture) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept.Reset()
	c.more = false
}

func (c *capture) text() (text string, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept.String(), !c.more
}

// captured is a body that is kept as it is read.
type captured struct {
	io.ReadCloser
	capture *capture
	done    func()
}

// Read implements io.Reader.
func (c captured) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.capture.write(p[:n])
	return n, err
}

// Close implements io.Closer.
func (c captured) Close() error {
	if c.done != nil {
		c.done()
	}
	return c.ReadCloser.Close()
}
