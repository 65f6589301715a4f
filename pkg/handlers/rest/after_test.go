package rest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/handlers/rest"
)

const day = 24 * time.Hour

func TestUntilReadsEveryForm(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"0": 0, "17": 17 * time.Second, " 5 ": 5 * time.Second, "2.0": 2 * time.Second, "0.25": 250 * time.Millisecond, ".5": 500 * time.Millisecond,
		"86399": day - time.Second, "86401": day, "999999999": day, "99999999999999999999999": day,
		"1795253409": 9 * time.Second, "1795253409.5": 9500 * time.Millisecond, "1795253400": 0, "1000000000": 0,
		"1795253409250": 9250 * time.Millisecond, "1795253399999": 0,
		"Sat, 21 Nov 2026 09:30:05 GMT":    5 * time.Second,
		"Saturday, 21-Nov-26 09:30:05 GMT": 5 * time.Second,
		"Sat Nov 21 09:30:05 2026":         5 * time.Second,
		"Sat, 21 Nov 2026 09:29:05 GMT":    0,
		"Fri, 21 Nov 2036 09:30:05 GMT":    day,
	} {
		if got, ok := rest.Until(value, now); !ok || got != want {
			t.Errorf("%q is %s, %v, want %s", value, got, ok, want)
		}
	}
	for _, value := range []string{"", "soon", "-1", "+1", "1e3", "0x10", "NaN", "Inf", "1.2.3", ".", "1_000", "1 2", "21 Nov 2026"} {
		if got, ok := rest.Until(value, now); ok || got != 0 {
			t.Errorf("%q is read as %s", value, got)
		}
	}
}

func TestRetryAfterBelievesWhatTheLimitIsAbout(t *testing.T) {
	t.Parallel()
	const at = "1795253409" // nine seconds from now
	for name, tc := range map[string]struct {
		status int
		header map[string]string
		want   time.Duration // -1: does not say
	}{
		"said outright":               {429, map[string]string{"Retry-After": "3", "X-RateLimit-Reset": at}, 3 * time.Second},
		"what it says cannot be read": {429, map[string]string{"Retry-After": "soon", "X-RateLimit-Reset": at}, 9 * time.Second},
		"Discord's":                   {429, map[string]string{"X-RateLimit-Reset-After": "1.5", "X-RateLimit-Reset": at, "X-RateLimit-Remaining": "0"}, 1500 * time.Millisecond},
		"seconds":                     {429, map[string]string{"RateLimit-Reset": "7", "RateLimit-Remaining": "0"}, 7 * time.Second},
		"another limit's":             {429, map[string]string{"X-RateLimit-Reset": at, "X-RateLimit-Remaining": "7"}, -1},
		"none":                        {429, nil, -1},
		"GitHub's":                    {403, map[string]string{"X-RateLimit-Reset": at, "X-RateLimit-Remaining": "0"}, 9 * time.Second},
		"forbidden":                   {403, map[string]string{"X-RateLimit-Reset": at, "X-RateLimit-Remaining": "7"}, -1},
		"forbidden, of no limit":      {403, map[string]string{"X-RateLimit-Reset": at}, -1},
		"no limit at all":             {500, map[string]string{"X-RateLimit-Reset": at, "X-RateLimit-Remaining": "0"}, -1},
		"away":                        {503, map[string]string{"Retry-After": "3"}, 3 * time.Second},
		"done":                        {200, map[string]string{"Retry-After": "3"}, -1},
		"refused":                     {400, map[string]string{"Retry-After": "3"}, -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			for key, value := range tc.header {
				header.Set(key, value)
			}
			got, ok := rest.RetryAfter(tc.status, header, now)
			if ok != (tc.want >= 0) || ok && got != tc.want {
				t.Errorf("got %s, %v, want %s", got, ok, tc.want)
			}
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add(429, "2.0", "", "")
	f.Add(403, "", "0", "1795253409")
	f.Add(429, "Sat, 21 Nov 2026 09:30:05 GMT", "", "1795253409250")
	f.Add(503, "1e300", "9", "-5")
	f.Fuzz(func(t *testing.T, status int, after, remaining, reset string) {
		header := http.Header{}
		header.Set("Retry-After", after)
		header.Set("X-Ratelimit-Remaining", remaining)
		header.Set("X-Ratelimit-Reset", reset)
		got, ok := rest.RetryAfter(status, header, now)
		if got < 0 || got > day || !ok && got != 0 {
			t.Errorf("got %s, %v", got, ok)
		}
		if ok && status < 400 {
			t.Errorf("%d makes nobody wait", status)
		}
	})
}
