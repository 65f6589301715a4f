package slack_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
)

// slashCommand is the example in Slack's own documentation of its signatures.
func slashCommand() *events.Request {
	r := post("application/x-www-form-urlencoded", "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"+
		"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="+
		"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"+
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")
	r.Header.Set("X-Slack-Request-Timestamp", "1531420618")
	r.Header.Set("X-Slack-Signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503")
	return r
}

const slashSecret = "8f742231b10e8888abcd99yyyzzz85a5"

func TestDocumentedSlashCommandVerifies(t *testing.T) {
	t.Parallel()
	installed := configure(t, map[string]any{"botToken": "t", "signingSecret": slashSecret})
	if err := installed.Verify(slashCommand(), time.Unix(1531420618, 0)); err != nil {
		t.Fatal(err)
	}
	parts, err := installed.Split(slashCommand())
	if err != nil {
		t.Fatal(err)
	}
	if want := "T1DC2JH3J:398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"; parts[0].ID != want || parts[0].Key != "G8PSS9T3V" {
		t.Errorf("part is %+v, want id %s and key G8PSS9T3V", parts[0], want)
	}
}

func TestVerifyRefusesWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(*events.Request, *time.Time){
		"one byte of the body":       func(r *events.Request, _ *time.Time) { r.Body[20] ^= 1 },
		"one byte more":              func(r *events.Request, _ *time.Time) { r.Body = append(r.Body, ' ') },
		"an empty body":              func(r *events.Request, _ *time.Time) { r.Body = nil },
		"no signature":               func(r *events.Request, _ *time.Time) { r.Header.Del("X-Slack-Signature") },
		"an empty signature":         func(r *events.Request, _ *time.Time) { r.Header.Set("X-Slack-Signature", "") },
		"no version":                 func(r *events.Request, _ *time.Time) { cut(r, "v0=") },
		"no timestamp":               func(r *events.Request, _ *time.Time) { r.Header.Del("X-Slack-Request-Timestamp") },
		"another timestamp":          func(r *events.Request, _ *time.Time) { r.Header.Set("X-Slack-Request-Timestamp", "1795253401") },
		"two signatures":             func(r *events.Request, _ *time.Time) { r.Header.Add("X-Slack-Signature", "v0=00") },
		"older than five minutes":    func(_ *events.Request, at *time.Time) { *at = at.Add(301 * time.Second) },
		"five minutes in the future": func(_ *events.Request, at *time.Time) { *at = at.Add(-301 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := install(t)
			r, at := i.sample(t, "message", sampleArgs()), now
			if err := i.Verify(r, at); err != nil {
				t.Fatalf("untouched: %v", err)
			}
			tamper(r, &at)
			if err := i.Verify(r, at); err == nil {
				t.Error("was accepted")
			}
		})
	}
}

func cut(r *events.Request, prefix string) {
	r.Header.Set("X-Slack-Signature", strings.TrimPrefix(r.Header.Get("X-Slack-Signature"), prefix))
}

func TestVerifyTakesBothSecretsWhileOneIsRotated(t *testing.T) {
	t.Parallel()
	r := install(t).sample(t, "message", sampleArgs())
	for name, tc := range map[string]struct {
		secrets any
		ok      bool
	}{
		"the same one":            {"current", true},
		"one of two":              {[]string{"next", "current"}, true},
		"only the one after it":   {"next", false},
		"one that it begins with": {"curren", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := configure(t, map[string]any{"botToken": "t", "signingSecret": tc.secrets}).Verify(r, now)
			if (err == nil) != tc.ok {
				t.Errorf("got %v, want accepted: %v", err, tc.ok)
			}
		})
	}
}

// vector is a signed request with the verdict it deserves.
type vector struct {
	ID       string            `json:"id"`
	Platform string            `json:"platform"`
	Secret   string            `json:"secret"`
	Method   string            `json:"method"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Now      int64             `json:"now"`
	Valid    bool              `json:"valid"`
	Note     string            `json:"note"`
}

func TestVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join(testData(t), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		if v.Platform != "slack" {
			continue
		}
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			r := &events.Request{Method: v.Method, Path: "/", Header: http.Header{}, Body: []byte(v.Body)}
			for name, value := range v.Headers {
				r.Header.Set(name, value)
			}
			err := configure(t, map[string]any{"botToken": "t", "signingSecret": v.Secret}).Verify(r, time.Unix(v.Now, 0))
			if (err == nil) != v.Valid {
				t.Errorf("got %v, want valid: %v (%s)", err, v.Valid, v.Note)
			}
		})
	}
}

// testData is the folder of sample data that is too large to be committed.
func testData(tb testing.TB) string {
	tb.Helper()
	folder := os.Getenv("TOWPATH_TESTDATA")
	if folder == "" {
		tb.Skip("TOWPATH_TESTDATA is not set: it names the folder with vectors.json and payloads/")
	}
	return folder
}
