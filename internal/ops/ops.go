// Package ops is the operator's side of every process: health, readiness,
// metrics, profiles and the log level behind one handler, the logger, and the
// one way in which the project's HTTP listeners are served and shut down.
package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/sirupsen/logrus"
)

// Config is what New needs.
type Config struct {
	// Logger is the one whose level /loglevel changes; required.
	Logger *logrus.Logger
	// Registry is what /metrics shows; required.
	Registry *prometheus.Registry
	// Checks are run at every /readyz, all at once, under their names. An
	// error's text is shown to the operator, so it must hold no secret.
	Checks map[string]func(context.Context) error
	// CheckTimeout is how long one check may take; 2 s when zero.
	CheckTimeout time.Duration
	// Pprof serves /debug/pprof/, which tells much and costs CPU.
	Pprof bool
}

// New returns the handler of a process's operations listener:
//
//	GET /healthz        200 while the process is alive
//	GET /readyz         200 when every check passes now, else 503, a line per check
//	GET /metrics        Prometheus
//	GET, PUT /loglevel  the log level as text, changed at once
//	GET /debug/pprof/   only when enabled
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "ok")
	})
	mux.Handle("GET /readyz", newReadiness(c.Checks, c.CheckTimeout))
	mux.Handle("GET /metrics", promhttp.HandlerFor(c.Registry, promhttp.HandlerOpts{Registry: c.Registry, ErrorLog: c.Logger}))
	mux.HandleFunc("GET /loglevel", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, c.Logger.GetLevel().String())
	})
	mux.HandleFunc("PUT /loglevel", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64))
		if err != nil {
			text(w, http.StatusBadRequest, "the body must be a log level: "+levels)
			return
		}
		level, err := parseLevel(strings.TrimSpace(string(body)))
		if err != nil {
			text(w, http.StatusBadRequest, err.Error())
			return
		}
		c.Logger.SetLevel(level)
		text(w, http.StatusOK, level.String())
	})
	if c.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func text(w http.ResponseWriter, status int, s string) {
	head(w, status, "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, s) // a reader that is gone has nothing to be told
}

func asJSON(w http.ResponseWriter, status int, v any) {
	head(w, status, "application/json")
	// A reader that is gone has nothing to be told.
	_ = json.NewEncoder(w).Encode(v)
}

func head(w http.ResponseWriter, status int, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
}
