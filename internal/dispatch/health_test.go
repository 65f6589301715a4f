package dispatch_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/towpath/towpath/internal/dispatch"
	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/fake"
)

func TestLastExchangeTellsThePlatformsHealth(t *testing.T) {
	t.Parallel()
	own := errors.New("the handler's own error")
	twice := func(ctx context.Context, c *http.Client, url string) error {
		_ = send(ctx, c, http.MethodPost, url)
		return send(ctx, c, http.MethodPost, url)
	}
	for name, c := range map[string]struct {
		rules []fake.Rule
		do    func(ctx context.Context, c *http.Client, url string) error
		want  dispatch.Health
	}{
		"answered":                           {nil, nil, dispatch.Answered},
		"refused":                            {[]fake.Rule{{Status: 401}}, nil, dispatch.Answered},
		"asked to wait":                      {[]fake.Rule{{Status: 429}}, nil, dispatch.Answered},
		"not found":                          {[]fake.Rule{{Status: 404}}, nil, dispatch.Answered},
		"failed":                             {[]fake.Rule{{Status: 500}}, nil, dispatch.Failing},
		"overloaded":                         {[]fake.Rule{{Status: 503}}, nil, dispatch.Failing},
		"reset":                              {[]fake.Rule{{Reset: true}}, nil, dispatch.Failing},
		"reset after it was accepted":        {[]fake.Rule{{AfterAccept: true}}, nil, dispatch.Failing},
		"never answered":                     {[]fake.Rule{{Hang: true}}, nil, dispatch.Failing},
		"answered at the handler's own try":  {[]fake.Rule{{Status: 500, Times: 1}}, twice, dispatch.Answered},
		"failed at the handler's second try": {[]fake.Rule{{Status: 429, Times: 1}, {Status: 502}}, twice, dispatch.Failing},
		"failed, which the handler forgives": {[]fake.Rule{{Status: 500}},
			func(ctx context.Context, c *http.Client, url string) error {
				_ = send(ctx, c, http.MethodPost, url)
				return nil
			}, dispatch.Failing},
		"answered, then the handler failed": {nil, func(ctx context.Context, c *http.Client, url string) error {
			return errors.Join(send(ctx, c, http.MethodPost, url), own)
		}, dispatch.Answered},
		"answered, then the handler panicked": {nil, func(ctx context.Context, c *http.Client, url string) error {
			_ = send(ctx, c, http.MethodPost, url)
			panic(own)
		}, dispatch.Answered},
		"not asked":                     {nil, func(context.Context, *http.Client, string) error { return nil }, dispatch.Untouched},
		"not asked, the handler failed": {nil, func(context.Context, *http.Client, string) error { return own }, dispatch.Untouched},
		"not asked, the handler was slow": {nil, func(ctx context.Context, _ *http.Client, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}, dispatch.Untouched},
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
			if result.Platform != c.want {
				t.Fatalf("the platform is said to be %s, want %s: %v", result.Platform, c.want, result.Err)
			}
		})
	}
}

func TestInterruptedAttemptSaysNothingOfThePlatform(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	url := platform(t, fake.Rule{Status: 500}) + "/api/send"
	ctx, interrupt := context.WithCancel(t.Context())
	b.do = func(ctx context.Context, p handlers.Props[config]) error {
		_ = send(ctx, p.HTTP, http.MethodPost, url)
		interrupt()
		return send(ctx, p.HTTP, http.MethodPost, url)
	}
	result := b.Run(ctx, target(), job(events.MessageCreated, outgoing))
	if !result.Interrupted || result.Platform != dispatch.Untouched {
		t.Fatalf("interrupted %v, and the platform is said to be %s", result.Interrupted, result.Platform)
	}
}

func TestAnswerThatBreaksOffIsAFailureAndOneThatIsTooLargeIsNot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   dispatch.Health
	}{
		"breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"ok":`)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, dispatch.Failing},
		"is too large": {func(w http.ResponseWriter, _ *http.Request) {
			chunk := make([]byte, 1<<20)
			for range 65 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, dispatch.Answered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			t.Cleanup(server.Close)
			b := newBench(t)
			b.do = func(ctx context.Context, p handlers.Props[config]) error {
				return send(ctx, p.HTTP, http.MethodPost, server.URL)
			}
			result := b.Run(t.Context(), target(), job(events.MessageCreated, outgoing))
			if result.Err == nil || result.Platform != c.want {
				t.Fatalf("the platform is said to be %s, want %s: %v", result.Platform, c.want, result.Err)
			}
		})
	}
}
