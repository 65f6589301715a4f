package slack_test

import (
	"strings"
	"testing"
	"time"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
	"github.com/towpath/towpath/pkg/handlers/slack"
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

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "message", Header: "X-Slack-Signature", Secret: "signingSecret", Tolerance: 5 * time.Minute,
		Also: map[string]func(*events.Request){
			"no version":        func(r *events.Request) { cut(r, "v0=") },
			"no timestamp":      func(r *events.Request) { r.Header.Del("X-Slack-Request-Timestamp") },
			"another timestamp": func(r *events.Request) { r.Header.Set("X-Slack-Request-Timestamp", "1795253401") },
			"two signatures":    func(r *events.Request) { r.Header.Add("X-Slack-Signature", "v0=00") },
		},
	})
}

func cut(r *events.Request, prefix string) {
	r.Header.Set("X-Slack-Signature", strings.TrimPrefix(r.Header.Get("X-Slack-Signature"), prefix))
}

func TestVerifyTakesBothSecretsWhileOneIsRotated(t *testing.T) {
	t.Parallel()
	r := install(t).Sample("message", sampleArgs())
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
			err := configure(t, map[string]any{"botToken": "t", "signingSecret": tc.secrets}).Verify(r, handlerstest.Now)
			if (err == nil) != tc.ok {
				t.Errorf("got %v, want accepted: %v", err, tc.ok)
			}
		})
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, slack.Integration, func(v handlerstest.Vector) string {
		return `{"botToken":"t","signingSecret":"` + v.Secret + `"}`
	})
}
