package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

// platform starts a fake of a platform that takes everything.
func platform(t *testing.T, rules ...fake.Rule) (url string) {
	t.Helper()
	f := fake.New()
	f.Mount("/api", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) }))
	if err := f.Script(rules...); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Cleanup(f.Close)
	return server.URL
}

// send makes a request as handlers do, and fails on everything but 200.
func send(ctx context.Context, c *http.Client, method, url string) error {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(`{"text":"hi"}`))
	if err != nil {
		return err
	}
	response, err := c.Do(request)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the platform answered %s", response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func TestOnlyARequestWithoutAnswerIsAmbiguous(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed afterwards")
	for name, c := range map[string]struct {
		rules []fake.Rule
		do    func(ctx context.Context, c *http.Client, url string) error
		want  bool
	}{
		"POST answered 500":                {[]fake.Rule{{Status: 500}}, nil, false},
		"POST answered 429":                {[]fake.Rule{{Status: 429}}, nil, false},
		"POST reset":                       {[]fake.Rule{{Reset: true}}, nil, true},
		"POST reset after it was accepted": {[]fake.Rule{{AfterAccept: true}}, nil, true},
		"POST never answered":              {[]fake.Rule{{Hang: true}}, nil, true},
		"GET reset": {[]fake.Rule{{Reset: true}}, func(ctx context.Context, c *http.Client, url string) error {
			return send(ctx, c, http.MethodGet, url)
		}, false},
		"reset, and the handler's own repetition answered 500": {[]fake.Rule{{Reset: true, Times: 1}, {Status: 500}},
			func(ctx context.Context, c *http.Client, url string) error {
				_ = send(ctx, c, http.MethodPost, url)
				return send(ctx, c, http.MethodPost, url)
			}, true},
		"POST done, GET reset": {[]fake.Rule{{Method: http.MethodGet, Reset: true}},
			func(ctx context.Context, c *http.Client, url string) error {
				return errors.Join(send(ctx, c, http.MethodPost, url), send(ctx, c, http.MethodGet, url))
			}, false},
		"POST done, failure afterwards": {nil, func(ctx context.Context, c *http.Client, url string) error {
			return errors.Join(send(ctx, c, http.MethodPost, url), failed)
		}, false},
		"nothing sent": {nil, func(context.Context, *http.Client, string) error { return failed }, false},
		"nobody listens": {nil, func(ctx context.Context, c *http.Client, _ string) error {
			ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			_ = ln.Close()
			return send(ctx, c, http.MethodPost, "http://"+ln.Addr().String())
		}, false},
		"certificate that nobody knows": {nil, func(ctx context.Context, c *http.Client, _ string) error {
			server := httptest.NewTLSServer(http.NotFoundHandler())
			defer server.Close()
			return send(ctx, c, http.MethodPost, server.URL)
		}, false},
		"panic while a request is out": {[]fake.Rule{{AfterAccept: true}}, func(ctx context.Context, c *http.Client, url string) error {
			panic(send(ctx, c, http.MethodPost, url))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Timeout = 2 * time.Second
			url := platform(t, c.rules...) + "/api/send"
			b.do = func(ctx context.Context, p handlers.Props[config]) error {
				if c.do == nil {
					return send(ctx, p.HTTP, http.MethodPost, url)
				}
				return c.do(ctx, p.HTTP, url)
			}
			result := b.Run(t.Context(), target(), job(events.MessageCreated, outgoing))
			if result.Err == nil || result.Ambiguous != c.want {
				t.Fatalf("ambiguous %v, want %v: %v", result.Ambiguous, c.want, result.Err)
			}
		})
	}
}

// net/http repeats by itself what carries an idempotency key.
func TestNothingIsSentTwiceUnasked(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{"with a body": "hello", "without": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := fake.New()
			f.Mount("/api", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			server := httptest.NewServer(f)
			t.Cleanup(server.Close)
			b := newBench(t)
			b.do = func(ctx context.Context, p handlers.Props[config]) error {
				for _, path := range []string{"/api/first", "/api/second"} { // the second over a used connection
					request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+path, strings.NewReader(body))
					if err != nil {
						return err
					}
					request.Header.Set("Idempotency-Key", p.Delivery.ID)
					response, err := p.HTTP.Do(request)
					if err != nil {
						return err
					}
					_ = response.Body.Close()
				}
				return nil
			}
			if err := f.Script(fake.Rule{Path: "/api/second", AfterAccept: true}); err != nil {
				t.Fatal(err)
			}
			result := b.Run(t.Context(), target(), job(events.MessageCreated, outgoing))
			requests := f.Requests()
			if len(requests) != 2 || requests[1].Body != body || !result.Ambiguous {
				t.Errorf("the platform got %d requests, want 2; ambiguous %v: %v", len(requests), result.Ambiguous, result.Err)
			}
		})
	}
}

func TestAnswerThatBreaksOffIsAmbiguousUnlessItSaidNo(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{http.StatusOK: true, http.StatusInternalServerError: false} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				w.WriteHeader(status)
				_, _ = io.WriteString(w, `{"ok":`)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			}))
			t.Cleanup(server.Close)
			b := newBench(t)
			b.do = func(ctx context.Context, p handlers.Props[config]) error {
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, nil)
				if err != nil {
					return err
				}
				response, err := p.HTTP.Do(request)
				if err != nil {
					return err
				}
				defer func() { _ = response.Body.Close() }()
				_, err = io.ReadAll(response.Body)
				return err
			}
			result := b.Run(t.Context(), target(), job(events.MessageCreated, outgoing))
			if result.Err == nil || result.Ambiguous != want {
				t.Fatalf("ambiguous %v, want %v: %v", result.Ambiguous, want, result.Err)
			}
		})
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	const bound = 64 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 1<<20)
		for range bound>>20 + 8 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	b := newBench(t)
	var read int64
	b.do = func(ctx context.Context, p handlers.Props[config]) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			return err
		}
		response, err := p.HTTP.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		read, err = io.Copy(io.Discard, response.Body)
		return err
	}
	result := b.Run(t.Context(), target(), job(events.WebhookReceived, `{"req":{}}`))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](result.Err); !tooLarge || read != bound {
		t.Fatalf("read %d bytes, then %v", read, result.Err)
	}
}

func TestLogAndErrorsShowTheHostAndNeitherPathNorToken(t *testing.T) {
	t.Parallel()
	for name, rules := range map[string][]fake.Rule{"answered": nil, "reset": {{Reset: true}}, "refused": {{Status: 401}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			url := platform(t, rules...)
			b.do = func(ctx context.Context, p handlers.Props[config]) error {
				token := p.Ctx.Configuration.Token.Reveal()
				withUser := strings.Replace(url, "http://", "http://user:"+token+"@", 1)
				p.Logger.WithField("configuration", fmt.Sprintf("%+v", p.Ctx.Configuration)).Info("sending")
				return errors.Join(
					send(ctx, p.HTTP, http.MethodPost, url+"/api/bot"+token+"/sendMessage?key="+token),
					send(ctx, p.HTTP, http.MethodPost, withUser+"/api?"+token),
					errors.New("the end"),
				)
			}
			result := b.Run(t.Context(), target(), job(events.MessageCreated, outgoing))
			log := b.log.String()
			if strings.Contains(log+result.Err.Error(), "SECRET") {
				t.Errorf("the token is shown:\n%s\n%v", log, result.Err)
			}
			if strings.Contains(log, "sendMessage") || !strings.Contains(log, strings.TrimPrefix(url, "http://")) {
				t.Errorf("the log shows the path, or no host:\n%s", log)
			}
			for _, want := range []string{"delivery=dlv_1", "attempt=3", "alias=acme-eu"} {
				if !strings.Contains(log, want) {
					t.Errorf("the log lacks %s:\n%s", want, log)
				}
			}
		})
	}
}
