package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/towpath/towpath/internal/ops"
)

// serve runs h on loopback until the test ends and returns its base URL.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ln := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ops.Serve(ctx, ln, h, ops.Limits{}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

func ask(t *testing.T, method, url, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(got)
}

func handler(t *testing.T, checks map[string]func(context.Context) error, pprof bool) (http.Handler, *logrus.Logger) {
	t.Helper()
	logger, err := ops.Logger("text", "info", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return ops.New(ops.Config{
		Logger: logger, Registry: ops.NewRegistry("worker"), Checks: checks, CheckTimeout: 50 * time.Millisecond, Pprof: pprof,
	}), logger
}

func TestHealthAndMetrics(t *testing.T) {
	t.Parallel()
	h, _ := handler(t, nil, false)
	base := serve(t, h)
	if status, body := ask(t, "GET", base+"/healthz", ""); status != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	if status, body := ask(t, "GET", base+"/readyz", ""); status != 200 || body != "ready\n" {
		t.Errorf("readyz without checks: %d %q", status, body)
	}
	_, metrics := ask(t, "GET", base+"/metrics", "")
	for _, want := range []string{`towpath_build_info{component="worker"`, "go_goroutines ", "process_start_time_seconds "} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if status, _ := ask(t, "GET", base+"/debug/pprof/", ""); status != 404 {
		t.Errorf("pprof is there although it is not enabled: %d", status)
	}
	h, _ = handler(t, nil, true)
	if status, body := ask(t, "GET", serve(t, h)+"/debug/pprof/goroutine?debug=1", ""); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("enabled pprof: %d", status)
	}
}

func TestReadinessTellsWhatEachCheckFindsNow(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	entered := make(chan struct{}, 10)
	answers := make(chan error, 10)
	h, _ := handler(t, map[string]func(context.Context) error{
		"nats":   func(context.Context) error { return <-answers },
		"broken": func(context.Context) error { panic("oops") },
		"stuck":  func(context.Context) error { entered <- struct{}{}; <-release; return nil },
	}, false)
	base := serve(t, h)
	t.Cleanup(func() { close(release) })

	answers <- errors.New("not\nconnected")
	status, body := ask(t, "GET", base+"/readyz", "")
	if diff := cmp.Diff("not ready\nbroken: the check panicked: oops\nnats: not connected\nstuck: no answer within 50ms\n", body); status != 503 || diff != "" {
		t.Error(status, diff)
	}
	answers <- nil
	status, body = ask(t, "GET", base+"/readyz", "", "Accept", "application/json")
	var got struct {
		Ready  bool `json:"ready"`
		Checks []struct {
			OK bool `json:"ok"`
		} `json:"checks"`
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || status != 503 || got.Ready || len(got.Checks) != 3 || !got.Checks[1].OK || got.Checks[2].OK {
		t.Errorf("%d %s (%v)", status, body, err)
	}
	if n := len(entered); n != 1 {
		t.Errorf("a stuck check was started %d times", n)
	}
}

func TestLogLevelChangesAtOnce(t *testing.T) {
	t.Parallel()
	h, logger := handler(t, nil, false)
	base := serve(t, h)
	if status, body := ask(t, "PUT", base+"/loglevel", "debug\n"); status != 200 || body != "debug\n" || logger.GetLevel() != logrus.DebugLevel {
		t.Errorf("%d %q, level %s", status, body, logger.GetLevel())
	}
	for _, bad := range []string{"loud", "panic", "", strings.Repeat("x", 1000)} {
		if status, _ := ask(t, "PUT", base+"/loglevel", bad); status != 400 {
			t.Errorf("level %.10q gives %d", bad, status)
		}
	}
	if _, body := ask(t, "GET", base+"/loglevel", ""); body != "debug\n" {
		t.Errorf("level is %q", body)
	}
}

func TestLoggerFormats(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger, err := ops.Logger("json", "warn", &out)
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("unseen")
	logger.Warn("seen")
	var line struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Level != "warning" || line.Msg != "seen" {
		t.Errorf("%s (%v)", out.String(), err)
	}
	if _, err := ops.Logger("xml", "", io.Discard); err == nil {
		t.Error("an unknown format was accepted")
	}
	if _, err := ops.Logger("", "fatal", io.Discard); err == nil {
		t.Error("a level that hides errors was accepted")
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	entered, release := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- ops.Serve(ctx, ln, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "finished")
		}), ops.Limits{})
	}()
	go func() { <-entered; cancel(); close(release) }()
	if status, body := ask(t, "GET", "http://"+ln.Addr().String(), ""); status != 200 || body != "finished" {
		t.Errorf("%d %q", status, body)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestServeCutsWhatOutlivesTheGrace(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- ops.Serve(ctx, ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		}), ops.Limits{Grace: 20 * time.Millisecond})
	}()
	if res, err := http.Get("http://" + ln.Addr().String()); err == nil {
		res.Body.Close()
		t.Error("the request was answered")
	}
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestServeEndsWhenDoneBeforeItBegan(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ops.Serve(ctx, ln, http.NotFoundHandler(), ops.Limits{}); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	ln.Close()
	if err := ops.Serve(context.Background(), ln, http.NotFoundHandler(), ops.Limits{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}

func TestServeRefusesLargeHeaders(t *testing.T) {
	t.Parallel()
	h, _ := handler(t, nil, false)
	if status, _ := ask(t, "GET", serve(t, h)+"/healthz", "", "X-Large", strings.Repeat("x", 128<<10)); status != 431 {
		t.Errorf("a header of 128 KiB gives %d", status)
	}
}
