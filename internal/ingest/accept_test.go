package ingest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/internal/broker/brokertest"
	"github.com/towpath/towpath/pkg/events"
)

func TestWebhookIsStoredAndThenAnswered(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	d.want(d.post(list(one("a", "k", "hello"))), http.StatusOK)
	if diff := cmp.Diff([]string{one("a", "k", "hello")}, d.bodies()); diff != "" {
		t.Error(diff)
	}
	d.want(d.post(list()), http.StatusOK)
	if n := len(d.stored()); n != 1 {
		t.Errorf("a request that tells of nothing left %d messages", n)
	}
}

func TestRefusals(t *testing.T) { //nolint:tparallel // what the cases leave behind is looked at after them
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	body := list(one("a", "k", "hello"))
	request := func(change func(*http.Request)) *http.Request {
		r := d.signed(http.MethodPost, "/webhooks/w1", body)
		change(r)
		return r
	}
	for name, c := range map[string]struct { //nolint:paralleltest // as above
		request *http.Request
		status  int
	}{
		"wrong signature":  {request(func(r *http.Request) { r.Header.Set("X-Acme-Signature", sign("0", body)) }), 401},
		"no signature":     {request(func(r *http.Request) { r.Header.Del("X-Acme-Signature") }), 401},
		"no time":          {request(func(r *http.Request) { r.Header.Del("X-Acme-Time") }), 401},
		"stale":            {request(func(r *http.Request) { resign(r, d.now.Add(-time.Hour), body) }), 401},
		"from the future":  {request(func(r *http.Request) { resign(r, d.now.Add(time.Hour), body) }), 401},
		"unsigned GET":     {request(func(r *http.Request) { r.Method = http.MethodGet; r.Header.Del("X-Acme-Signature") }), 401},
		"unknown id":       {d.signed(http.MethodPost, "/webhooks/nobody", body), 404},
		"no id":            {d.signed(http.MethodPost, "/webhooks/", body), 404},
		"another path":     {d.signed(http.MethodPost, "/v1/chat/messages", body), 404},
		"disabled":         {d.signed(http.MethodPost, "/webhooks/w2", body), 404},
		"traversal":        {d.signed(http.MethodPost, "/webhooks/w2%2F..%2Fw1", body), 404},
		"wildcard":         {d.signed(http.MethodPost, "/webhooks/*", body), 404},
		"PUT":              {d.signed(http.MethodPut, "/webhooks/w1", body), 405},
		"DELETE":           {d.signed(http.MethodDelete, "/webhooks/w1", ""), 405},
		"HEAD":             {d.signed(http.MethodHead, "/webhooks/w1", ""), 405},
		"no list":          {d.signed(http.MethodPost, "/webhooks/w1", `{"a":1}`), 400},
		"empty":            {d.signed(http.MethodPost, "/webhooks/w1", ""), 400},
		"misconfigured":    {d.signed(http.MethodPost, "/webhooks/w4", body), 503},
		"panic in Split":   {d.signed(http.MethodPost, "/webhooks/w1", list(one("a", "k", "panic"))), 503},
		"one changed byte": {d.signed(http.MethodPost, "/webhooks/w1", body), 401},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "one changed byte" {
				changed := strings.Replace(body, "hello", "hellp", 1)
				r := d.signed(http.MethodPost, "/webhooks/w1", changed)
				r.Header.Set("X-Acme-Signature", c.request.Header.Get("X-Acme-Signature"))
				c.request = r
			}
			got := d.want(d.do(c.request), c.status)
			if allow := got.header.Get("Allow"); (c.status == 405) != (allow == "GET, POST") {
				t.Errorf("Allow is %q", allow)
			}
			if after := got.header.Get("Retry-After"); (c.status == 503) != (after == "5") {
				t.Errorf("Retry-After is %q", after)
			}
			if strings.Contains(got.body, "SECRET") || c.status == 401 && strings.Contains(got.body, "signature") {
				t.Errorf("the answer says too much: %s", got.body)
			}
		})
	}
	if n := len(d.stored()); n != 0 {
		t.Errorf("%d refused webhooks are stored", n)
	}
}

func resign(r *http.Request, at time.Time, body string) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	r.Header.Set("X-Acme-Time", seconds)
	r.Header.Set("X-Acme-Signature", sign(seconds, body))
}

func TestHandshakeIsAnsweredAndNotStored(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	got := d.want(d.do(d.signed(http.MethodGet, "/webhooks/w1?challenge=<b>42", "")), http.StatusAccepted)
	if got.body != "challenge=<b>42" || got.header.Get("X-Acme") != "yes" {
		t.Errorf("answer %+v", got)
	}
	if got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Errorf("a browser may take the echo for a page: %v", got.header)
	}
	if n := len(d.stored()); n != 0 {
		t.Errorf("%d handshakes are stored", n)
	}
}

func TestSubPathAndQueryAreStored(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	d.want(d.do(d.signed(http.MethodPost, "/webhooks/w1/oauth/a%20b?code=x%26y&z", list(one("a", "", "")))), http.StatusOK)
	d.want(d.do(d.signed(http.MethodPost, "/webhooks/w1/", list(one("b", "", "")))), http.StatusOK)
	var got []string
	for _, message := range d.stored() {
		var data struct {
			Req struct{ Method, Path, Query string }
		}
		if err := json.Unmarshal(message.Data, &data); err != nil {
			t.Fatal(err)
		}
		got = append(got, data.Req.Method+" "+data.Req.Path+" "+data.Req.Query)
	}
	if diff := cmp.Diff([]string{"POST /oauth/a b code=x%26y&z", "POST / "}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSecretHeadersAreNotStored(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	r := d.signed(http.MethodPost, "/webhooks/w1", list(one("a", "", "")))
	for _, name := range []string{
		"Authorization", "Cookie", "X-Api-Key", "X-Gitlab-Token", "X-Telegram-Bot-Api-Secret-Token",
		"Proxy-Authorization", "X-Shopify-Hmac-Sha256", "Webhook-Signature", "Stripe-Signature",
	} {
		r.Header.Set(name, "hunter2")
	}
	r.Header.Set("X-Acme-Topic", "orders/create")
	d.want(d.do(r), http.StatusOK)
	for _, message := range d.stored() {
		raw := fmt.Sprint(message.Header) + string(message.Data)
		if strings.Contains(raw, "hunter2") || strings.Contains(raw, sign(strconv.FormatInt(d.now.Unix(), 10), list(one("a", "", "")))) {
			t.Errorf("a secret is stored: %s", raw)
		}
		if !strings.Contains(raw, `"x-acme-topic":"orders/create"`) {
			t.Errorf("what is no secret is not stored: %s", raw)
		}
	}
}

func TestAHandlerThatVerifiesGetsTheSignature(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	r := d.signed(http.MethodPost, "/webhooks/w5", "{}")
	signature := r.Header.Get("X-Acme-Signature")
	d.want(d.do(r), http.StatusOK)
	stored := d.stored()
	if len(stored) != 1 {
		t.Fatalf("%d messages are stored", len(stored))
	}
	var webhook events.Webhook
	if err := json.Unmarshal(stored[0].Data, &webhook); err != nil {
		t.Fatal(err)
	}
	if got := webhook.Req.Header.Get("X-Acme-Signature"); got != signature {
		t.Errorf("the handler has to verify by the signature %q", got)
	}
}

func TestOneDuplicateInABatchLeavesItsSiblings(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	a, b, c, e := one("a", "k", "1"), one("b", "k", "2"), one("c", "k", "3"), one("e", "other", "4")
	d.want(d.post(list(b)), http.StatusOK)
	for range 2 {
		d.want(d.post(list(a, b, c, e, c)), http.StatusOK)
	}
	if diff := cmp.Diff([]string{b, a, c, e}, d.bodies()); diff != "" {
		t.Error(diff)
	}
	ids := map[string]bool{}
	for _, message := range d.stored() {
		ids[message.Header["ce-id"][0]] = true
	}
	if len(ids) != 4 {
		t.Errorf("ids %v", ids)
	}
}

func TestTheSameWebhookAtOnceIsStoredOnce(t *testing.T) {
	t.Parallel()
	server := brokertest.Start(t)
	first, second := newDoor(t, server, nil), newDoor(t, server, nil)
	for i := range 5 {
		var posts sync.WaitGroup
		for n := range 6 {
			d := []*door{first, second}[n%2]
			posts.Go(func() { d.want(d.post(list(one(strconv.Itoa(i), "k", "hello"))), http.StatusOK) })
		}
		posts.Wait()
	}
	if n := len(first.stored()); n != 5 {
		t.Errorf("5 webhooks, each posted 6 times at once, made %d messages", n)
	}
}

// The example in Slack's documentation of its signatures: a slash command.
const (
	slashCommand = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow" +
		"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
		"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
		"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	slashTime      = 1531420618
	slashSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
)

func TestSlacksOwnExample(t *testing.T) {
	t.Parallel()
	d := newDoor(t, brokertest.Start(t), nil)
	signedWith := func(key string) func(*http.Request) {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = fmt.Fprintf(mac, "v0:%d:%s", slashTime, slashCommand)
		return func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil))) }
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		after  time.Duration
		body   string
		status int
	}{
		{"one changed byte", nil, 0, strings.Replace(slashCommand, "roadrunner", "roadrunnes", 1), 401},
		{"stale", nil, 6 * time.Minute, slashCommand, 401},
		{"no signature", func(r *http.Request) { r.Header.Del("X-Slack-Signature") }, 0, slashCommand, 401},
		{"no timestamp", func(r *http.Request) { r.Header.Del("X-Slack-Request-Timestamp") }, 0, slashCommand, 401},
		{"signed with an empty secret", signedWith(""), 0, slashCommand, 401},
		{"signed with another secret", signedWith("another"), 0, slashCommand, 401},
		{"as it is", nil, 0, slashCommand, 200},
		{"signed here, 4 minutes later", signedWith(slackSecret), 4 * time.Minute, slashCommand, 200},
	} {
		d.now = time.Unix(slashTime, 0).Add(c.after)
		r := d.signed(http.MethodPost, "/webhooks/w3", c.body)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Slack-Request-Timestamp", strconv.Itoa(slashTime))
		r.Header.Set("X-Slack-Signature", slashSignature)
		if c.change != nil {
			c.change(r)
		}
		if got := d.do(r); got.status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, got.status, c.status)
		}
	}
	if n := len(d.stored()); n != 1 {
		t.Errorf("%d messages are stored, want 1", n)
	}
}
