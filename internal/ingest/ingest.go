package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/internal/ops"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
)

// Config is what ingest needs. Fields without a default are required.
type Config struct {
	Broker        *broker.Broker
	Directory     *store.Directory
	Installations *dispatch.Installations
	Logger        *logrus.Logger
	Metrics       prometheus.Registerer
	// Secrets finds what integrations with a global webhook need to know; none
	// are found when nil.
	Secrets dispatch.Secrets
	// MaxBody bounds a request's body, in bytes; 2 MiB when zero.
	MaxBody int64
	// Deadline bounds the time from a whole request to its answer; 2.5 s when
	// zero, since Slack waits for 3.
	Deadline time.Duration
	// Now is the clock that signatures' ages are measured by; time.Now when
	// nil.
	Now func() time.Time
	// Tracer traces what is stored; nothing is traced when it is nil.
	Tracer trace.Tracer
}

const retryAfter = "5" // seconds

type ingest struct {
	Config
	outcomes *prometheus.CounterVec
	refusing atomic.Bool // webhooks that it should store
}

// New returns the handler of the webhook listener.
func New(config Config) http.Handler {
	if config.MaxBody == 0 {
		config.MaxBody = 2 << 20
	}
	if config.Deadline == 0 {
		config.Deadline = 2500 * time.Millisecond
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Tracer == nil {
		config.Tracer = noop.Tracer{}
	}
	in := &ingest{Config: config, outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "towpath_webhooks_total", Help: "Webhook requests by what became of them.",
	}, []string{"integration", "outcome"})}
	if config.Metrics != nil {
		config.Metrics.MustRegister(in.outcomes)
	}
	mux := http.NewServeMux()
	one := func(w http.ResponseWriter, r *http.Request) { in.serve(w, r, in.byWebhookID) }
	mux.HandleFunc("/webhooks/{webhookId}", one)
	mux.HandleFunc("/webhooks/{webhookId}/{rest...}", one)
	all := func(w http.ResponseWriter, r *http.Request) { in.serve(w, r, in.byIdentifier) }
	mux.HandleFunc("/integration/global/{integration}", all)
	mux.HandleFunc("/integration/global/{integration}/{rest...}", all)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "webhooks are at /webhooks/{webhookId}", http.StatusNotFound)
	})
	return mux
}

// refusal is an answer that is no success. Reason is for the metrics and the
// log; Text is for the sender, and gives nothing away.
type refusal struct {
	status int
	reason string
	text   string
	cause  error
}

func (r *refusal) Error() string { return fmt.Sprintf("%s: %v", r.reason, r.cause) }

// finder finds whom a request is for, and reads it. A response answers it
// without anybody.
type finder func(w http.ResponseWriter, r *http.Request) (store.Installation, *events.Request, *events.Response, error)

func (in *ingest) serve(w http.ResponseWriter, r *http.Request, find finder) {
	integration, outcome, response, err := in.accept(w, r, find)
	entry := in.Logger.WithFields(logrus.Fields{"webhook": r.PathValue("webhookId"), "integration": integration})
	refused := &refusal{}
	switch {
	case errors.As(err, &refused):
		outcome = refused.reason
		entry.WithField("status", refused.status).WithField("reason", refused.reason).WithError(refused.cause).
			Log(in.levelOf(refused), "webhook refused")
		if refused.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		if refused.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", "GET, POST")
		}
		http.Error(w, refused.text, refused.status)
	case response != nil:
		write(w, response)
	default:
		w.WriteHeader(http.StatusOK)
	}
	if outcome == "accepted" && in.refusing.CompareAndSwap(true, false) {
		in.Logger.Info("webhooks are stored again")
	}
	in.outcomes.WithLabelValues(integration, outcome).Inc()
}

// levelOf keeps an outage to one line: that webhooks cannot be stored is news
// once, whoever sends them.
func (in *ingest) levelOf(r *refusal) logrus.Level {
	switch {
	case r.reason != "not_stored" && r.reason != "not_ready":
		return logrus.InfoLevel
	case in.refusing.CompareAndSwap(false, true):
		return logrus.WarnLevel
	default:
		return logrus.DebugLevel
	}
}

// write sends what an integration answers. A handshake echoes what the sender
// chose, so no browser may take it for anything but what it says it is.
func write(w http.ResponseWriter, response *events.Response) {
	maps.Copy(w.Header(), response.Header)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	}
	if response.Status != 0 {
		w.WriteHeader(response.Status)
	}
	_, _ = w.Write(response.Body) //nolint:gosec // verified sender, and neither HTML nor sniffed
}

// accept takes one request through every step. A nil response means 200 with
// an empty body.
func (in *ingest) accept(w http.ResponseWriter, r *http.Request, find finder) (integration, outcome string, response *events.Response, err error) {
	defer func() {
		// An integration's panic is a bug that the next version may not have,
		// so the platform shall keep what it has to say.
		if value := recover(); value != nil {
			in.Logger.WithField("integration", integration).WithField("stack", string(debug.Stack())).Error("verifying or splitting panicked")
			err = &refusal{http.StatusServiceUnavailable, "panic", "could not be read, send it again", &handlers.PanicError{Value: value}}
		}
	}()
	if r.Method != http.MethodPost && r.Method != http.MethodGet {
		return "", "", nil, &refusal{http.StatusMethodNotAllowed, "method", "webhooks take POST and GET", errors.New(r.Method)}
	}
	if !in.Directory.Ready() {
		return "", "", nil, &refusal{http.StatusServiceUnavailable, "not_ready", "not ready yet, send it again", errors.New("the installations are not loaded")}
	}
	installation, request, response, err := find(w, r)
	if integration = installation.Integration; err != nil {
		return integration, "", nil, err
	}
	if response != nil {
		return integration, "handshake", response, nil
	}
	installed, _, err := in.Installations.Resolve(dispatch.TargetOf(installation, ""))
	if err != nil {
		return integration, "", nil, &refusal{http.StatusServiceUnavailable, "misconfigured", "the installation is not configured correctly", err}
	}
	now := in.Now()
	if err := installed.Verify(request, now); err != nil {
		return integration, "", nil, &refusal{http.StatusUnauthorized, "unverified", "the request could not be verified", err}
	}
	if response, ok := installed.Handshake(request); ok {
		return integration, "handshake", response, nil
	}
	parts, err := installed.Split(request)
	if err != nil {
		return integration, "", nil, &refusal{http.StatusBadRequest, "malformed", "the request is not what " + integration + " sends: " + err.Error(), err}
	}
	waiting, err := in.await(installed, installation, request, parts)
	if err != nil {
		return integration, "", nil, &refusal{http.StatusServiceUnavailable, "not_stored", "could not be stored, send it again", err}
	}
	defer waiting.close()
	ctx, cancel := context.WithTimeout(r.Context(), in.Deadline)
	defer cancel()
	outcome = "duplicate"
	if len(parts) == 0 {
		outcome = "ignored"
	}
	for _, part := range parts {
		fresh, err := in.store(ctx, installed, installation, request, part, now)
		if errors.Is(err, errTooLarge) {
			return integration, "", nil, &refusal{http.StatusRequestEntityTooLarge, "too_large", err.Error(), err}
		}
		if err != nil {
			return integration, "", nil, &refusal{http.StatusServiceUnavailable, "not_stored", "could not be stored, send it again", err}
		}
		if fresh {
			outcome = "accepted"
		}
	}
	return integration, outcome, waiting.answer(r.Context()), nil
}

var errUnknown = &refusal{http.StatusNotFound, "unknown", "no such webhook", errors.New("no such installation, or it is disabled")}

func (in *ingest) byWebhookID(w http.ResponseWriter, r *http.Request) (store.Installation, *events.Request, *events.Response, error) {
	installation, ok := in.Directory.Installation(r.PathValue("webhookId"))
	if !ok || installation.Disabled {
		return store.Installation{}, nil, nil, errUnknown
	}
	request, err := in.read(w, r)
	return installation, request, nil, err
}

func (in *ingest) read(w http.ResponseWriter, r *http.Request) (*events.Request, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, in.MaxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &refusal{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the body is larger than %d bytes", in.MaxBody), err}
	}
	if err != nil {
		return nil, &refusal{http.StatusBadRequest, "truncated", "the body ended early", err}
	}
	return &events.Request{
		Method: r.Method, Path: "/" + strings.TrimPrefix(r.PathValue("rest"), "/"), Query: r.URL.RawQuery,
		Header: r.Header, Body: body,
	}, nil
}

// attemptPause is how long a publish that NATS did not confirm waits before it
// is repeated under the same id.
const attemptPause = 100 * time.Millisecond

// store stores one part, and reports whether it is new.
func (in *ingest) store(ctx context.Context, installed handlers.Installed, installation store.Installation, request *events.Request, part handlers.Part, now time.Time) (fresh bool, err error) {
	e, err := cloudEvent(installed, installation, request, part, now)
	if err != nil {
		return false, err
	}
	ctx, span := in.Tracer.Start(ops.As(ctx, events.TraceParentOf(e)), "webhook "+installation.Integration,
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("towpath.delivery", e.ID()), attribute.String("towpath.installation", installation.WebhookID)))
	defer func() { ops.End(span, err) }()
	for {
		receipt, err := in.Broker.Enqueue(ctx, broker.Webhooks, installation.WebhookID, part.Key, e)
		if err == nil {
			in.Logger.WithFields(logrus.Fields{
				"webhook": installation.WebhookID, "delivery": e.ID(), "seq": receipt.Seq, "duplicate": receipt.Duplicate,
			}).Info("webhook stored")
			return !receipt.Duplicate, nil
		}
		if !errors.Is(err, broker.ErrUnavailable) {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(attemptPause):
		}
	}
}
