package github_test

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"go.uber.org/goleak"

	"github.com/towpath/towpath/pkg/events"
	"github.com/towpath/towpath/pkg/handlers"
	"github.com/towpath/towpath/pkg/handlers/github"
	"github.com/towpath/towpath/pkg/handlers/handlerstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token         = "github_pat_not-to-be-seen"
	secret        = "hook-secret-not-to-be-seen"
	configuration = `{"webhookSecret":["` + secret + `","previous-secret"],"token":"` + token + `","repositories":["towpath/example","acme"]}`
)

func install(tb testing.TB) *handlerstest.Kit {
	tb.Helper()
	return handlerstest.New(tb, github.Integration, configuration)
}

func sampleArgs() handlers.SampleArgs {
	return handlers.SampleArgs{ID: "0TEST1", Text: "Too **short**", Conversation: "towpath/example#7", User: "somebody"}
}

// post is an unsigned delivery.
func post(event, body string) *events.Request {
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set("X-Github-Event", event)
	header.Set("X-Github-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
	return &events.Request{Method: http.MethodPost, Path: "/", Header: header, Body: []byte(body)}
}

func TestDefinitionIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	handlerstest.Definition(t, github.Integration, "testdata/definition.json")
}

func TestSamplesAreAccepted(t *testing.T) {
	t.Parallel()
	handlerstest.Samples(t, install(t))
}

func TestConfigureRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Misconfigured(t, github.Integration, map[string]string{
		"no secret":                   `{"token":"t-12345678"}`,
		"an empty token":              `{"webhookSecret":"s-12345678","token":""}`,
		"a repository with a space":   `{"webhookSecret":"s-12345678","repositories":["a b"]}`,
		"a repository in a folder":    `{"webhookSecret":"s-12345678","repositories":["a/b/c"]}`,
		"a repository that goes away": `{"webhookSecret":"s-12345678","repositories":["a/.."]}`,
		"one repository":              `{"webhookSecret":"s-12345678","repositories":"a/b"}`,
		"a field that is no field":    `{"webhookSecret":"s-12345678","repository":"a/b"}`,
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	handlerstest.Refusals(t, install(t), handlerstest.Scheme{
		Sample: "issues_opened", Header: "X-Hub-Signature-256", Secret: "webhookSecret", Undated: true,
	})
}

func TestOldSignatureAloneIsRefused(t *testing.T) {
	t.Parallel()
	kit := install(t)
	r := kit.Sample("issues_opened", handlers.SampleArgs{})
	r.Header.Set("X-Hub-Signature", "sha1="+r.Header.Get("X-Hub-Signature-256")[7:47])
	r.Header.Del("X-Hub-Signature-256")
	if err := kit.Installed.Verify(r, handlerstest.Now); err == nil {
		t.Error("was accepted")
	}
}

func TestVectors(t *testing.T) {
	t.Parallel()
	handlerstest.Vectors(t, github.Integration, func(v handlerstest.Vector) string {
		// An empty secret is refused before there is anything to verify.
		encoded, err := json.Marshal(map[string]string{"webhookSecret": cmp.Or(v.Secret, "another-secret")})
		if err != nil {
			t.Error(err)
		}
		return string(encoded)
	})
}

func TestPingIsAnswered(t *testing.T) {
	t.Parallel()
	kit := install(t)
	if o := kit.Webhook(kit.Sample("ping", sampleArgs())); !o.Handshake || o.Response.Status != http.StatusOK || string(o.Response.Body) != "pong" {
		t.Errorf("%+v", o.Response)
	}
	r := kit.Sample("ping", sampleArgs())
	r.Body = append(r.Body, ' ')
	if o := kit.Webhook(r); o.Refused == nil || o.Status != http.StatusUnauthorized {
		t.Errorf("a forged ping is answered: %+v", o)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	const id = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
	form := func(body string) *events.Request {
		r := post("issues", body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		return r
	}
	without := func(header string) *events.Request {
		r := post("push", `{}`)
		r.Header.Del(header)
		return r
	}
	issue := `{"repository":{"full_name":"a/b"},"issue":{"number":7}}`
	handlerstest.Splits(t, install(t), map[string]handlerstest.Splitting{
		"an issue":                {Request: post("issues", issue), Want: []handlers.Part{{ID: id, Key: "a/b#7"}}},
		"the same in a form":      {Request: form("payload=" + url.QueryEscape(issue)), Want: []handlers.Part{{ID: id, Key: "a/b#7"}}},
		"a pull request":          {Request: post("pull_request", `{"repository":{"full_name":"a/b"},"pull_request":{"number":8}}`), Want: []handlers.Part{{ID: id, Key: "a/b#8"}}},
		"a push":                  {Request: post("push", `{"repository":{"full_name":"a/b"},"ref":"refs/heads/x"}`), Want: []handlers.Part{{ID: id, Key: "a/b:refs/heads/x"}}},
		"about a repository":      {Request: post("star", `{"repository":{"full_name":"a/b"}}`), Want: []handlers.Part{{ID: id, Key: "a/b"}}},
		"about nothing":           {Request: post("github_app_authorization", `{}`), Want: []handlers.Part{{ID: id}}},
		"nothing that fits":       {Request: post("future", `{"repository":[],"issue":7,"ref":{}}`), Want: []handlers.Part{{ID: id}}},
		"no delivery id":          {Request: without("X-GitHub-Delivery"), Fault: "X-GitHub-Delivery"},
		"no event":                {Request: without("X-GitHub-Event"), Fault: "X-GitHub-Event"},
		"no JSON":                 {Request: post("push", `{`), Fault: "no JSON"},
		"a form without payload":  {Request: form("a=b"), Fault: "no payload"},
		"a form that is no form":  {Request: form("payload=%zz"), Fault: "decode form"},
		"a form that is no JSON":  {Request: form("payload=x"), Fault: "no JSON"},
		"JSON that claims a form": {Request: form(issue), Fault: "no payload"},
	})
}
