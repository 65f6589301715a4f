package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sirupsen/logrus"
)

// Errors that callers branch on.
var (
	// ErrUnavailable means that NATS did not confirm in time. What was asked
	// for may have happened all the same.
	ErrUnavailable = errors.New("NATS is not available")
	// ErrFull means that the stream takes no more until room is made.
	ErrFull = errors.New("the stream is full")
	// ErrNotProvisioned means that a stream or bucket does not exist.
	ErrNotProvisioned = errors.New("streams are missing: run `towpath provision` first")
)

// Config says how to reach NATS.
type Config struct {
	URL    string         // "nats://127.0.0.1:4222"
	Name   string         // of this process, shown by NATS
	Logger *logrus.Logger // required
	// Timeout bounds each request; 2 s when zero. It is short because callers
	// repeat: a publish is repeated under the same message id.
	Timeout time.Duration
	// InProcess connects without a network, to an embedded server.
	InProcess nats.InProcessConnProvider
	// Clock is this process's clock; time.Now when nil.
	Clock func() time.Time
}

// Broker is a connection to NATS. It reconnects for ever.
type Broker struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	logger  *logrus.Logger
	timeout time.Duration

	clock func() time.Time
	skew  atomic.Int64 // of NATS's clock against this one, in nanoseconds

	mu      sync.Mutex
	handles map[Stream]jetstream.Stream
	buckets map[BucketName]*Bucket
}

// Connect returns a Broker at once, whether or not NATS can be reached yet;
// [Broker.Ready] tells. It fails only on a configuration that cannot work.
func Connect(config Config) (*Broker, error) {
	b := &Broker{logger: config.Logger, timeout: config.Timeout, handles: map[Stream]jetstream.Stream{}, buckets: map[BucketName]*Bucket{}}
	b.clock = config.Clock
	if b.clock == nil {
		b.clock = time.Now
	}
	if b.timeout == 0 {
		b.timeout = 2 * time.Second
	}
	options := []nats.Option{
		nats.Name(config.Name),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(300*time.Millisecond, 300*time.Millisecond),
		// Without a buffer a publish fails at once while NATS is away, and its
		// caller can say so instead of waiting.
		nats.ReconnectBufSize(-1),
		// A server that reads nothing must not hold up whoever publishes.
		nats.FlusherTimeout(b.timeout),
		nats.PingInterval(5 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				b.logger.WithError(err).Warn("NATS connection lost, reconnecting")
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { b.logger.WithField("server", c.ConnectedAddr()).Info("NATS connection is back") }),
		nats.ErrorHandler(func(c *nats.Conn, sub *nats.Subscription, err error) {
			entry := b.logger.WithError(err)
			if sub != nil {
				entry = entry.WithField("subject", sub.Subject)
			}
			// While NATS is away, all that follows from that is no news.
			level := logrus.WarnLevel
			if !c.IsConnected() {
				level = logrus.DebugLevel
			}
			entry.Log(level, "NATS reports an error")
		}),
	}
	if config.InProcess != nil {
		options = append(options, nats.InProcessServer(config.InProcess))
	}
	conn, err := nats.Connect(config.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redact(config.URL), err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(b.timeout))
	if err != nil {
		conn.Close()
		return nil, err
	}
	b.conn, b.js = conn, js
	return b, nil
}

// Now is the time by NATS's clock, as well as that is known. What several
// processes compare times of must not depend on whose clock is wrong.
func (b *Broker) Now() time.Time { return b.clock().Add(time.Duration(b.skew.Load())) }

// Close flushes what was sent and closes the connection.
func (b *Broker) Close() {
	if b.conn.IsConnected() {
		_ = b.conn.FlushTimeout(b.timeout)
	}
	b.conn.Close()
}

// Ready returns nil when NATS answers and the streams are there.
func (b *Broker) Ready(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return ErrUnavailable
	}
	_, err := b.stream(ctx, Webhooks)
	return err
}

// WaitReady blocks until [Broker.Ready] holds, or ctx ends.
func (b *Broker) WaitReady(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := b.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// WaitConnected blocks until NATS answers, whether or not anything is
// provisioned, or until ctx ends; then it returns the last reason.
func (b *Broker) WaitConnected(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, b.timeout)
		_, err := b.js.AccountInfo(bounded)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return mapError(err)
		case <-tick.C:
		}
	}
}

// MaxPayload is how large a message NATS takes, headers included, in bytes.
func (b *Broker) MaxPayload() int { return int(b.conn.MaxPayload()) }

// Connected tells whether there is a connection to NATS at this moment.
func (b *Broker) Connected() bool { return b.conn.IsConnected() }

// ErrReconnected means that the connection was lost and is back.
var ErrReconnected = errors.New("NATS was away and is back")

// UntilReconnected returns a context that ends with [ErrReconnected] as its
// cause as soon as NATS is back from an outage. A watch that is older than the
// connection may have lost the server's half of it and notices only after many
// seconds; whoever must be up to date sooner begins a new one. The cancel
// function must be called.
func (b *Broker) UntilReconnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	back := b.conn.StatusChanged(nats.CONNECTED)
	go func() {
		defer b.conn.RemoveStatusListener(back)
		select {
		case <-ctx.Done():
		case _, open := <-back:
			if open {
				end(ErrReconnected)
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// mapError turns the many ways in which NATS says no into the errors above.
func mapError(err error) error {
	if err == nil {
		return nil
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		switch {
		case strings.Contains(api.Description, "maximum bytes exceeded") || strings.Contains(api.Description, "maximum messages exceeded"),
			api.ErrorCode == codeInsufficientResources:
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		case api.Code == 503 || api.ErrorCode == codeStoreFailed:
			return fmt.Errorf("%w: %s", ErrUnavailable, api.Description)
		case api.ErrorCode == jetstream.JSErrCodeStreamNotFound || api.ErrorCode == jetstream.JSErrCodeConsumerNotFound:
			return fmt.Errorf("%w: %s", ErrNotProvisioned, api.Description)
		}
		return err
	}
	for _, away := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrConnectionClosed, nats.ErrNoServers,
		nats.ErrReconnectBufExceeded, nats.ErrConnectionReconnecting, nats.ErrDisconnected, jetstream.ErrNoStreamResponse,
		jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, away) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return err
}

// Error codes of the server that nats.go gives no names to.
const (
	codeInsufficientResources jetstream.ErrorCode = 10023
	codeStoreFailed           jetstream.ErrorCode = 10077
)

// redact takes user and password out of a NATS URL.
func redact(url string) string {
	if at := strings.LastIndex(url, "@"); at >= 0 {
		if scheme := strings.Index(url, "://"); scheme >= 0 && scheme < at {
			return url[:scheme+3] + "[secret]" + url[at:]
		}
		return "[secret]" + url[at:]
	}
	return url
}
