package fake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/towpath/towpath/pkg/handlers/fake"
)

// script posts rules as JSON, as a test outside Go would.
func script(t *testing.T, url, rules string) {
	t.Helper()
	if res, body := ask(t, "POST", url+"/_script", rules); res.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
}

// untilArrived waits until a request is recorded, answered or not.
func untilArrived(t *testing.T, url string) {
	t.Helper()
	if _, list := ask(t, "GET", url+"/_requests?wait=30s", ""); list == "[]\n" {
		t.Fatal("nothing arrived")
	}
}

func TestScriptedStatusIsAnsweredInThePlatformsStead(t *testing.T) {
	t.Parallel()
	s, url, acted := start(t)
	script(t, url, `[{"method":"POST","path":"/slack/api/*","times":2,"status":429,"headers":{"Retry-After":"1"},"body":"slow down"}]`)
	ask(t, "GET", url+"/slack/api/post", "") // another method
	ask(t, "POST", url+"/slack/api/x/y", "") // the star ends at a slash
	for range 2 {
		res, body := ask(t, "POST", url+"/slack/api/post", "")
		if res.StatusCode != http.StatusTooManyRequests || body != "slow down" || res.Header.Get("Retry-After") != "1" {
			t.Errorf("%d %q %v", res.StatusCode, body, res.Header)
		}
	}
	if res, _ := ask(t, "POST", url+"/slack/api/post", ""); res.StatusCode != http.StatusOK || acted.Load() != 3 {
		t.Errorf("used up: %d, the platform acted %d times", res.StatusCode, acted.Load())
	}
	if got := summary(s.Requests()); !strings.HasSuffix(got[2], "false") || !strings.HasSuffix(got[4], "true") {
		t.Error(got)
	}
}

func TestScriptedResetIsAReset(t *testing.T) {
	t.Parallel()
	s, url, acted := start(t)
	script(t, url, `[{"path":"/slack/","reset":true}]`)
	if _, _, err := do(t.Context(), "POST", url+"/slack/x", "b"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
	ask(t, "DELETE", url+"/_script", "")
	ask(t, "POST", url+"/slack/x", "b")
	if diff := cmp.Diff([]string{"POST /slack/x b false", "POST /slack/x b true"}, summary(s.Requests())); diff != "" || acted.Load() != 1 {
		t.Error(acted.Load(), diff)
	}
}

func TestAfterAcceptActsAndLosesTheAnswer(t *testing.T) {
	t.Parallel()
	s, url, acted := start(t)
	script(t, url, `[{"afterAccept":true,"times":1},{"afterAccept":true,"times":1,"status":502},{"afterAccept":true,"path":"/slack/api/bad"}]`)
	if _, _, err := do(t.Context(), "POST", url+"/slack/x", "1"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client saw %v", err)
	}
	if res, _ := ask(t, "POST", url+"/slack/x", "2"); res.StatusCode != http.StatusBadGateway {
		t.Errorf("the client saw %d", res.StatusCode)
	}
	if _, _, err := do(t.Context(), "POST", url+"/slack/api/bad", "3"); err == nil {
		t.Error("the client saw an answer")
	}
	want := []string{"POST /slack/x 1 true", "POST /slack/x 2 true", "POST /slack/api/bad 3 false"}
	if diff := cmp.Diff(want, summary(s.Requests())); diff != "" || acted.Load() != 3 {
		t.Error(acted.Load(), diff)
	}
}

func TestAHangingRequestEndsWithItsClient(t *testing.T) {
	t.Parallel()
	s, url, acted := start(t)
	script(t, url, `[{"hang":true}]`)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { _, _, err := do(ctx, "POST", url+"/slack/x", "b"); done <- err }()
	untilArrived(t, url)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client saw %v", err)
	}
	// Settled once the server has noticed that the client is gone.
	ask(t, "GET", url+"/_requests?settled=true&wait=30s", "")
	if diff := cmp.Diff([]string{"POST /slack/x b false"}, summary(s.Requests())); diff != "" || acted.Load() != 0 {
		t.Error(acted.Load(), diff)
	}
}

func TestAHangingRequestEndsWithClose(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	script(t, url, `[{"path":"/slack/hang","hang":true,"afterAccept":true},{"path":"/slack/slow","delay":"1h"}]`)
	done := make(chan error, 2)
	for _, path := range []string{"/slack/hang", "/slack/slow"} {
		go func() { _, _, err := do(context.Background(), "POST", url+path, ""); done <- err }()
	}
	for _, path := range []string{"/slack/hang", "/slack/slow"} {
		ask(t, "GET", url+"/_requests?wait=30s&path="+path, "")
	}
	// What the platform did counts even while the answer hangs.
	ask(t, "GET", url+"/_requests?wait=30s&settled=true&path=/slack/hang", "")
	s.Close()
	for range 2 {
		if err := <-done; err == nil {
			t.Error("a hanging request was answered")
		}
	}
	for _, r := range s.Requests() {
		if r.Accepted != (r.Path == "/slack/hang") {
			t.Errorf("%+v", r)
		}
	}
}

func TestADelayAloneIsASlowPlatform(t *testing.T) {
	t.Parallel()
	s, url, _ := start(t)
	if err := s.Script(fake.Rule{Delay: 30 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if res, _ := ask(t, "POST", url+"/slack/x", ""); res.StatusCode != http.StatusOK || time.Since(began) < 30*time.Millisecond {
		t.Errorf("%d after %s", res.StatusCode, time.Since(began))
	}
}

func TestTheSameSeedFailsTheSameRequests(t *testing.T) {
	t.Parallel()
	play := func() (fallen string) {
		_, url, _ := start(t)
		script(t, url, `[{"probability":0.5,"seed":7,"status":500}]`)
		for range 40 {
			res, _ := ask(t, "POST", url+"/slack/x", "")
			fallen += fmt.Sprint(res.StatusCode / 500)
		}
		return fallen
	}
	first, second := play(), play()
	if first != second || !strings.Contains(first, "1") || !strings.Contains(first, "0") {
		t.Errorf("%s, then %s", first, second)
	}
}

func TestScriptRefusesRulesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	_, url, _ := start(t)
	for _, rules := range []string{
		`{}`, `[{}]`, `[{"statsu":500}]`, `[{"status":99}]`, `[{"status":500,"hang":true}]`, `[{"delay":"soon"}]`, `[{"delay":5}]`, `[{"delay":"-1s"}]`,
		`[{"status":500,"probability":2}]`, `[{"status":500,"times":-1}]`, `[{"reset":true,"path":"["}]`, `[{"body":"x","reset":true}]`, `[{"reset":true},{}]`,
	} {
		if res, body := ask(t, "POST", url+"/_script", rules); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s gives %d %s", rules, res.StatusCode, body)
		}
	}
	if res, _ := ask(t, "POST", url+"/slack/x", ""); res.StatusCode != http.StatusOK {
		t.Error("half of a refused script is in force")
	}
}

func FuzzRuleReadsWhatItWrites(f *testing.F) {
	f.Add([]byte(`{"method":"POST","path":"/x*","times":1,"probability":0.5,"seed":3,"status":429,"headers":{"A":"b"},"body":"c","delay":"250ms"}`))
	f.Add([]byte(`{"hang":true,"reset":true,"afterAccept":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var rule, again fake.Rule
		if json.Unmarshal(data, &rule) != nil {
			return
		}
		out, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		_ = fake.New().Script(again)
	})
}
