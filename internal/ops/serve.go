package ops

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // net/http knows no other logger
	"net"
	"net/http"
	"time"
)

// Limits bound what a client can hold of a listener. A zero field means its
// default.
type Limits struct {
	// ReadHeaderTimeout is how long a request's header may take; 5 s.
	ReadHeaderTimeout time.Duration
	// ReadTimeout is how long a request with its body may take; 30 s.
	ReadTimeout time.Duration
	// WriteTimeout is how long an answer may take from the end of the
	// request's header; no limit, for the sake of long polls.
	WriteTimeout time.Duration
	// IdleTimeout is how long a connection waits for its next request; 2 min.
	IdleTimeout time.Duration
	// MaxHeaderBytes is how large a request's header may be; 64 KiB.
	MaxHeaderBytes int
	// Grace is how long requests under way may take after the end; 10 s.
	Grace time.Duration
	// ErrorLog takes what net/http has to say of connections and panics; the
	// standard logger.
	ErrorLog *log.Logger
}

// Serve answers requests on ln with h until ctx is done. Then it takes no new
// connection, lets requests under way finish within the grace, cuts what is
// left, and returns: nil, or an error when requests had to be cut or the
// listener broke. It always closes ln.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, limits Limits) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: cmp.Or(limits.ReadHeaderTimeout, 5*time.Second),
		ReadTimeout:       cmp.Or(limits.ReadTimeout, 30*time.Second),
		WriteTimeout:      limits.WriteTimeout,
		IdleTimeout:       cmp.Or(limits.IdleTimeout, 2*time.Minute),
		MaxHeaderBytes:    cmp.Or(limits.MaxHeaderBytes, 64<<10),
		ErrorLog:          limits.ErrorLog,
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		_ = srv.Close()
		return fmt.Errorf("serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(limits.Grace, 10*time.Second))
	defer cancel()
	err := srv.Shutdown(grace)
	if err != nil {
		_ = srv.Close()
		err = fmt.Errorf("shut down %s: requests under way were cut: %w", ln.Addr(), err)
	}
	// Shutdown may have come before Serve knew the listener.
	_ = ln.Close()
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		return errors.Join(err, fmt.Errorf("serve %s: %w", ln.Addr(), serveErr))
	}
	return err
}
